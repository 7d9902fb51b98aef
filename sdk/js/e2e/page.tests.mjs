// The playground in Chromium, against the real server.
import assert from 'node:assert/strict';
import { Visitor } from './browser.mjs';
import { until } from './until.mjs';

/** The tests by name. */
export const tests = new Map(Object.entries({
  'two pages chat, and a third finds the history': async (w) => {
    const server = await w.server();
    const [ada, bo] = [await open(w, server.url, 'Ada'), await open(w, server.url, 'Bo')];
    await ada.say('hello');
    await bo.shows(['hello']);
    await bo.say('hello yourself');
    await ada.say('<img src=x onerror="document.title=\'owned\'"><b>bold</b>');
    const all = ['hello', 'hello yourself', '<img src=x onerror="document.title=\'owned\'"><b>bold</b>'];
    await everywhere([ada, bo], all);
    assert.equal(await bo.page.title(), 'Hocket playground');
    const cy = await open(w, server.url, 'Cy');
    await everywhere([cy], all);
    assert.deepEqual(await cy.page.locator('.author').allTextContents(), ['Ada', 'Bo', 'Ada']);
  },

  'the list shows who is here, comes, goes and takes another name': async (w) => {
    const server = await w.server();
    const [ada, bo] = [await open(w, server.url, 'Ada'), await open(w, server.url, 'Bo')];
    await lists([ada, bo], ['Ada', 'Bo']);
    await until('the coming to be told', async () => (await ada.id('comings').textContent()) === 'Bo joined');
    const name = bo.page.getByLabel('Your name');
    await name.fill('Bob');
    await name.press('Enter');
    await lists([ada, bo], ['Ada', 'Bob']);
    await bo.page.reload();
    await bo.connected();
    await lists([ada, bo], ['Ada', 'Bob']);
    await bo.context.close();
    await lists([ada], ['Ada']);
    await until('the leaving to be told', async () => (await ada.id('comings').textContent()) === 'Bob left');
  },

  'cursors move on the other page, and vanish with their page': async (w) => {
    const server = await w.server();
    const [ada, bo] = [await open(w, server.url, 'Ada'), await open(w, server.url, 'Bo')];
    await lists([ada, bo], ['Ada', 'Bo']);
    await point(bo, 0.25, 0.25);
    const cursor = ada.id('cursor');
    await until('the cursor', async () => (await cursor.count()) === 1);
    assert.equal(await cursor.textContent(), 'Bo');
    for (const [x, y] of [[0.75, 0.5], [0.5, 0.75]]) {
      await point(bo, x, y);
      await until('the cursor to move', async () => near(await place(ada, cursor), [x, y]));
    }
    assert.equal(await bo.id('cursor').count(), 0, 'nobody sees a cursor of their own');
    await bo.context.close();
    await until('the cursor to vanish', async () => (await cursor.count()) === 0);
  },

  'who types is named until the message is sent, the strokes end, or the page is gone': async (w) => {
    const server = await w.server();
    const [ada, bo] = [await open(w, server.url, 'Ada'), await open(w, server.url, 'Bo')];
    await lists([ada, bo], ['Ada', 'Bo']);
    const write = (who) => who.page.getByLabel('Message', { exact: true }).fill('Once upon');
    /** Waits until `who` reads the text, while the writers go on writing: they would be forgotten after some seconds. */
    const says = (who, text, ...writers) =>
      until(`${who.name} to read "${text}"`, async () => {
        for (const writer of writers) await write(writer);
        return (await who.id('typing').textContent()) === text;
      });
    await says(ada, 'Bo is typing…', bo);
    assert.equal(await bo.id('typing').textContent(), '', 'nobody is told of their own typing');
    const cy = await open(w, server.url, 'Cy');
    await says(ada, 'Bo and Cy are typing…', bo, cy);
    await bo.say('Once upon a time');
    await says(ada, 'Cy is typing…', cy);
    await says(ada, ''); // after some seconds without a stroke
    await says(ada, 'Cy is typing…', cy);
    await cy.context.close();
    await says(ada, '');
  },

  'the price ticks several times a second': async (w) => {
    const server = await w.server();
    const ada = await open(w, server.url, 'Ada');
    const prices = new Set();
    const began = performance.now();
    await until('five prices', async () => prices.add(await ada.id('price').textContent()).size >= 6);
    assert.ok(performance.now() - began < 20_000); // within two where nothing else runs
    assert.match([...prices].at(-1), /^[\d,]+\.\d\d$/);
    assert.match(await ada.page.locator('#spark-line').getAttribute('d'), /^M[\d.]+ [\d.]+ L/);
  },

  'the state of the line and the latency are shown': async (w) => {
    const server = await w.server();
    const ada = await open(w, server.url, 'Ada');
    assert.equal(await ada.id('status-text').textContent(), 'connected');
    await until('the latency', async () => /^[\d.]+ ms$/.test(await ada.id('latency').textContent()));
  },

  'a page that was cut off misses nothing': async (w) => {
    const server = await w.server();
    const proxy = await w.proxy(server);
    const [ada, bo] = [await open(w, proxy.url, 'Ada'), await open(w, server.url, 'Bo')];
    await ada.say('before, from Ada');
    await bo.say('before, from Bo');
    await everywhere([ada, bo], ['before, from Ada', 'before, from Bo']);
    proxy.cut();
    await ada.disconnected();
    for (const n of [1, 2, 3]) await bo.say(`Ada is away ${n}`);
    for (const n of [1, 2]) await ada.say(`Ada speaks into the void ${n}`);
    assert.deepEqual(await ada.pending(), ['Ada speaks into the void 1', 'Ada speaks into the void 2']);
    await bo.shows(['Ada is away 3']);
    proxy.mend();
    await ada.connected();
    await ada.say('after, from Ada');
    await everywhere([ada, bo], [
      'before, from Ada', 'before, from Bo', 'Ada is away 1', 'Ada is away 2', 'Ada is away 3',
      'Ada speaks into the void 1', 'Ada speaks into the void 2', 'after, from Ada',
    ]);
    assert.equal(await ada.id('divider-missed').textContent(), 'Back online — 3 messages you missed');
    assert.equal(await ada.id('divider-epoch').count(), 0);
    assert.equal(await bo.page.locator('.divider').count(), 0);
    await lists([ada, bo], ['Ada', 'Bo']);
  },

  'a keyed map and presence over two tabs: a short cut is no leave': async (w) => {
    const server = await w.server();
    const proxy = await w.proxy(server);
    const [ada, bo] = [await open(w, proxy.url, 'Ada'), await open(w, server.url, 'Bo')];
    await lists([ada, bo], ['Ada', 'Bo']);
    for (const v of [ada, bo]) {
      await v.page.evaluate(() => {
        globalThis.board = globalThis.hocket.channel('board:e2e').map();
        globalThis.left = [];
        globalThis.hocket.channel('chat:lobby').presence.on('leave', (m) => globalThis.left.push(m.session));
      });
    }
    const session = await ada.page.evaluate(() => globalThis.hocket.session);
    await ada.page.evaluate(() => globalThis.board.set('typing', 'Ada', { ephemeral: true }));
    await Promise.all([ada, bo].flatMap((v) => [1, 2, 3].map(() => v.page.evaluate(() => globalThis.board.update('count', (n = 0) => n + 1)))));
    proxy.cut();
    await ada.disconnected();
    await bo.page.evaluate(() => globalThis.board.set('meanwhile', 1, { score: 2 }));
    proxy.mend();
    await ada.connected();
    const shown = (v) => v.page.evaluate(() => JSON.stringify([...globalThis.board].sort()));
    for (const v of [ada, bo]) {
      await until(`${v.name} to have the map`, async () => (await shown(v)) === '[["count",6],["meanwhile",1],["typing","Ada"]]');
    }
    assert.equal(await ada.page.evaluate(() => globalThis.hocket.session), session, 'the session keeps its name');
    for (const v of [ada, bo]) assert.deepEqual(await v.page.evaluate(() => globalThis.left), []);
    await ada.context.close();
    await lists([bo], ['Bo']);
    await until('the ephemeral key to end', async () => (await shown(bo)) === '[["count",6],["meanwhile",1]]');
  },

  'a page that missed more than it asks for at first misses nothing either': async (w) => {
    const server = await w.server();
    const proxy = await w.proxy(server);
    const [ada, bo] = [await open(w, proxy.url, 'Ada'), await open(w, server.url, 'Bo')];
    await bo.say('before');
    await everywhere([ada, bo], ['before']);
    proxy.cut();
    await ada.disconnected();
    const many = Array.from({ length: 80 }, (_, n) => `missed ${n}`);
    await bo.page.evaluate((texts) => {
      const lobby = globalThis.hocket.channel('chat:lobby');
      return Promise.all(texts.map((text) => lobby.publish({ name: 'Bo', text })));
    }, many);
    proxy.mend();
    await everywhere([ada, bo], ['before', ...many]);
    assert.equal(await ada.id('divider-missed').textContent(), 'Back online — 80 messages you missed');
  },

  'a message is sent again when it was lost, and not doubled when its answer was': async (w) => {
    const server = await w.server();
    const proxy = await w.proxy(server);
    const [ada, bo] = [await open(w, proxy.url, 'Ada'), await open(w, server.url, 'Bo')];
    await ada.say('before');
    await everywhere([ada, bo], ['before']);
    proxy.losesAnswers = true;
    await ada.say('its answer is lost');
    await until('Bo to have it', async () => (await bo.texts()).length === 2);
    assert.deepEqual(await ada.pending(), ['its answer is lost']);
    proxy.cut();
    await ada.disconnected();
    proxy.mend();
    await everywhere([ada, bo], ['before', 'its answer is lost']);

    proxy.losesRequests = true;
    await ada.say('it is lost itself');
    proxy.cut();
    await ada.disconnected();
    assert.deepEqual(await ada.pending(), ['it is lost itself']);
    proxy.mend();
    await ada.say('after');
    await everywhere([ada, bo], ['before', 'its answer is lost', 'it is lost itself', 'after']);
  },

  'a line that dies without a word is noticed': async (w) => {
    const server = await w.server();
    const proxy = await w.proxy(server);
    const [ada, bo] = [await open(w, proxy.url, 'Ada'), await open(w, server.url, 'Bo')];
    proxy.losesAnswers = proxy.losesRequests = true;
    await ada.disconnected();
    await bo.say('meanwhile');
    proxy.mend();
    await everywhere([ada, bo], ['meanwhile']);
  },

  'cuts in the middle of a conversation neither lose nor double': async (w) => {
    const server = await w.server();
    const proxy = await w.proxy(server);
    const [ada, bo] = [await open(w, proxy.url, 'Ada'), await open(w, server.url, 'Bo')];
    const said = [];
    for (let n = 0; n < 24; n++) {
      said.push(`Ada ${n}`, `Bo ${n}`);
      await Promise.all([ada.say(`Ada ${n}`), bo.say(`Bo ${n}`)]);
      if (n % 6 === 3) {
        proxy.cut();
        proxy.mend();
      }
    }
    await everywhere([ada, bo], said, { inOrder: false });
    for (const who of ['Ada', 'Bo']) {
      const own = (await bo.texts()).filter((t) => t.startsWith(who));
      assert.deepEqual(own, said.filter((t) => t.startsWith(who)), `what ${who} says stands in the order it was said`);
    }
  },

  'a restart of the server begins a new epoch and loses nothing': async (w) => {
    const server = await w.server();
    const [ada, bo] = [await open(w, server.url, 'Ada'), await open(w, server.url, 'Bo')];
    const replies = await subscribeReplies(ada);
    await ada.say('before, from Ada');
    await bo.say('before, from Bo');
    await everywhere([ada, bo], ['before, from Ada', 'before, from Bo'], { inOrder: false });
    assert.ok((await server.stop()) < 20_000, 'SIGTERM ends the server'); // within two seconds where nothing else runs
    await Promise.all([ada.disconnected(), bo.disconnected()]);
    await ada.say('during, from Ada 1');
    await bo.say('during, from Bo');
    await ada.say('during, from Ada 2');
    await server.start();
    await Promise.all([ada.connected(), bo.connected()]);
    for (const v of [ada, bo]) await until(`${v.name} to mark the break`, async () => (await v.id('divider-epoch').count()) === 1);
    await bo.say('after, from Bo');
    await ada.say('after, from Ada');
    const before = (await ada.texts()).slice(0, 2);
    assert.deepEqual(before.toSorted(), ['before, from Ada', 'before, from Bo'], 'what stood there stays');
    await everywhere([ada, bo], [
      'before, from Ada', 'before, from Bo', 'during, from Ada 1', 'during, from Bo', 'during, from Ada 2', 'after, from Bo', 'after, from Ada',
    ], { inOrder: false });
    for (const v of [ada, bo]) {
      assert.match(await v.id('divider-epoch').textContent(), /new epoch/);
      const kinds = await v.page.locator('#messages > li').evaluateAll((all) => all.map((li) => li.dataset.testid));
      assert.deepEqual(kinds, ['message', 'message', 'divider-epoch', ...Array(5).fill('message')]);
    }
    await lists([ada, bo], ['Ada', 'Bo']);
    assert.deepEqual((await replies()).filter((r) => r.channel === 'chat:lobby').map((r) => r.recovered), [false]);
  },

  'a restart in the middle of a conversation neither loses nor doubles': async (w) => {
    const server = await w.server();
    const [ada, bo] = [await open(w, server.url, 'Ada'), await open(w, server.url, 'Bo')];
    const said = [];
    let restarting;
    for (let n = 0; n < 30; n++) {
      said.push(`Ada ${n}`, `Bo ${n}`);
      await Promise.all([ada.say(`Ada ${n}`), bo.say(`Bo ${n}`)]);
      if (n === 12) restarting = server.stop().then(() => server.start());
    }
    await restarting;
    await Promise.all([ada.connected(), bo.connected()]);
    await everywhere([ada, bo], said, { inOrder: false });
  },

  'a server that is killed is found again': async (w) => {
    const server = await w.server();
    const [ada, bo] = [await open(w, server.url, 'Ada'), await open(w, server.url, 'Bo')];
    await ada.say('before');
    await everywhere([ada, bo], ['before']);
    await server.stop('SIGKILL');
    await ada.disconnected();
    await ada.say('during');
    await server.start();
    await everywhere([ada, bo], ['before', 'during']);
  },

  'the raw panel sends what is typed and shows every frame': async (w) => {
    const server = await w.server();
    const ada = await open(w, server.url, 'Ada');
    await ada.id('raw-toggle').click();
    const send = async (text) => {
      await ada.id('raw-input').fill(text);
      await ada.id('raw-send').click();
    };
    await send('{"type":"ping","id":9}');
    await frame(ada, 'out', '{"type":"ping","id":9}');
    await frame(ada, 'in', '{"type":"pong","id":9}');
    await send('no JSON at all');
    await frame(ada, 'in', '"name":"invalid_json"');
    await send('{"type":"publish","id":"p","channel":"chat:lobby","payload":"by hand"}');
    await frame(ada, 'in', '"id":"p"');
    await everywhere([ada], ['by hand']);
    assert.equal(await ada.page.locator('.frame-page').count(), 0);
    await ada.id('raw-own').check();
    await until('the page’s own frames', async () => (await ada.page.locator('.frame-page').count()) > 2);
    for (const name of await ada.page.locator('#examples button').allTextContents()) {
      await ada.page.getByRole('button', { name, exact: true }).click();
      assert.ok(JSON.parse(await ada.id('raw-input').inputValue()).type);
    }
  },

  'the page fits a phone and a laptop': async (w) => {
    const server = await w.server();
    for (const [width, height] of [[390, 844], [320, 640], [860, 700], [1280, 800]]) {
      const v = await open(w, server.url, 'Ada', { viewport: { width, height } });
      await v.say('a rather long message without any space in it: ' + 'x'.repeat(200));
      await v.shows([]);
      for (const [state, more] of [['connected', '12345 ms'], ['reconnecting', 'in 20 s']]) {
        const wide = await v.page.evaluate(([state, more]) => {
          document.getElementById('status-text').textContent = state;
          document.getElementById('latency').textContent = more;
          return document.documentElement.scrollWidth;
        }, [state, more]);
        assert.ok(wide <= width, `${wide} px of content in a window of ${width}: ${state} ${more}`);
      }
      assert.ok(await v.id('message-input').isVisible() && await v.id('price').isVisible());
    }
  },

  'every control has a name': async (w) => {
    const server = await w.server();
    const ada = await open(w, server.url, 'Ada');
    await ada.id('raw-toggle').click();
    const nameless = await ada.page.locator('button, input, textarea, a').evaluateAll((all) =>
      all.filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.[0]?.textContent.trim())).map((e) => e.outerHTML));
    assert.deepEqual(nameless, []);
  },
}));

async function open(w, url, name, options) {
  const v = await Visitor.open(w.browser, url, name, options);
  w.later(async () => {
    await v.context.close();
    assert.deepEqual(v.errors, [], `${name}'s page met errors`);
  });
  return v;
}

/** All these visitors show exactly these texts, each once, in one order. */
async function everywhere(visitors, texts, { inOrder = true } = {}) {
  for (const v of visitors) await v.shows(texts);
  const [first, ...others] = visitors;
  const shown = await first.texts();
  for (const v of others) assert.deepEqual(await v.texts(), shown, `${v.name} and ${first.name} show the same`);
  if (inOrder) assert.deepEqual(shown, texts);
  else assert.deepEqual(shown.toSorted(), texts.toSorted());
}

async function lists(visitors, names) {
  for (const v of visitors) {
    await until(`${v.name} to list ${names}`, async () => JSON.stringify(await v.people()) === JSON.stringify(names));
  }
}

/** Collects the replies to subscribes that the page's own connection gets from now on. */
async function subscribeReplies(v) {
  await v.page.evaluate(() => {
    globalThis.replies = [];
    globalThis.hocket.on('raw', ({ text }) => {
      const m = JSON.parse(text);
      if (m.type === 'reply' && m.payload?.recovered !== undefined) globalThis.replies.push({ channel: m.channel, recovered: m.payload.recovered });
    });
  });
  return () => v.page.evaluate(() => globalThis.replies);
}

async function point(v, x, y) {
  const box = await v.page.locator('#stage').boundingBox();
  await v.page.mouse.move(box.x + box.width * x, box.y + box.height * y, { steps: 3 });
}

/** Where a cursor stands, in parts of the stage. */
async function place(v, cursor) {
  const stage = await v.page.locator('#stage').boundingBox();
  const box = await cursor.locator('svg').boundingBox();
  return [(box.x - stage.x) / stage.width, (box.y - stage.y) / stage.height];
}

function near(a, b) {
  return a.every((part, i) => Math.abs(part - b[i]) < 0.01);
}

async function frame(v, direction, part) {
  const frames = v.page.locator(`[data-testid=frame][data-direction=${direction}]`);
  await until(`${part} to be shown`, async () => (await frames.allTextContents()).some((t) => t.includes(part)));
}
