// Clients that know nothing of Hocket: JSON by hand over the `ws` package, and over a browser's own WebSocket.
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { profile } from './browser.mjs';
import { until } from './until.mjs';

/** The tests by name. */
export const tests = new Map(Object.entries({
  'the ws package talks JSON by hand': async (w) => {
    const server = await w.server();
    const url = server.url.replace('http', 'ws');
    const [ada, bo] = [await Plain.open(w, `${url}/v1/ws?user=ada`), await Plain.open(w, `${url}/v1/ws`, ['hocket.v1.json'])];
    await conversation(ada, bo);
  },

  'a bare WebSocket of a browser talks JSON by hand': async (w) => {
    const server = await w.server();
    const context = await profile(w.browser);
    w.later(() => context.close());
    const page = await context.newPage();
    await page.goto(`${server.url}/healthz`); // a page of the server that runs no script of ours
    const said = await page.evaluate(async () => {
      const ws = new WebSocket(`${location.origin.replace('http', 'ws')}/v1/ws?user=eve&channel=chat:plain`);
      const heard = [];
      await new Promise((resolve, reject) => {
        ws.onerror = reject;
        ws.onopen = () => ws.send(JSON.stringify({ type: 'publish', id: 2, channel: 'chat:plain', payload: { text: 'hello' } }));
        ws.onmessage = (event) => {
          const m = JSON.parse(event.data);
          heard.push(m);
          if (m.type === 'message') resolve();
        };
      });
      ws.close();
      return heard;
    });
    const kinds = said.map((m) => m.type);
    assert.equal(kinds[0], 'connected');
    const message = said.find((m) => m.type === 'message');
    const reply = said.find((m) => m.type === 'reply' && m.id === 2);
    assert.deepEqual(message.payload, { text: 'hello' });
    assert.equal(message.from.user, 'eve');
    assert.equal(message.offset, reply.payload.offset);
  },
}));

/** What PROTOCOL shows, typed by hand. */
async function conversation(ada, bo) {
  const hello = await ada.hears((m) => m.type === 'connected');
  assert.equal(hello.payload.user, 'ada');
  ada.send({ type: 'subscribe', id: 1, channel: 'chat:plain', payload: { from: { last: 50 }, presence: true } });
  const { payload: subscribed } = await ada.hears((m) => m.id === 1);
  assert.equal(subscribed.recovered, true);
  assert.equal(subscribed.presence.count, 1);

  bo.send({ type: 'subscribe', id: 'one', channel: 'chat:plain', payload: { presence: true } });
  await bo.hears((m) => m.id === 'one');
  const join = await ada.hears((m) => m.type === 'join');
  assert.equal(join.members.length, 1);

  bo.send({ type: 'publish', id: 2, channel: 'chat:plain', payload: { text: 'hi' }, idempotency_key: 'b-1' });
  const first = await bo.hears((m) => m.id === 2);
  bo.send({ type: 'publish', id: 3, channel: 'chat:plain', payload: { text: 'hi' }, idempotency_key: 'b-1' });
  const second = await bo.hears((m) => m.id === 3);
  assert.equal(second.payload.duplicate, true);
  assert.equal(second.payload.offset, first.payload.offset);
  const message = await ada.hears((m) => m.type === 'message');
  assert.deepEqual([message.offset, message.payload], [first.payload.offset, { text: 'hi' }]);

  ada.send({ type: 'publish', channel: 'chat:plain', payload: 'without an id, and without an echo', echo: false });
  ada.send({ type: 'history', id: 4, channel: 'chat:plain', payload: { limit: 10 } });
  const { payload: history } = await ada.hears((m) => m.id === 4);
  assert.deepEqual(history.messages.map((m) => m.payload), [{ text: 'hi' }, 'without an id, and without an echo']);
  const position = await ada.hears((m) => m.type === 'position');
  assert.equal(position.offset, history.offset);

  ada.send({ type: 'presence', id: 5, channel: 'chat:plain', payload: { limit: 100 } });
  const { payload: presence } = await ada.hears((m) => m.id === 5);
  assert.deepEqual([presence.count, presence.members.map((m) => m.user).toSorted()], [2, ['', 'ada']]);
  ada.send({ type: 'call', id: 6, method: 'echo', payload: { n: 1 } });
  assert.deepEqual((await ada.hears((m) => m.id === 6)).payload, { n: 1 });
  ada.send({ type: 'shout', id: 7 });
  assert.equal((await ada.hears((m) => m.id === 7)).error.name, 'unknown_type');
  ada.send({ type: 'ping', id: 8 });
  assert.equal((await ada.hears((m) => m.id === 8)).type, 'pong');

  bo.send({ type: 'unsubscribe', id: 9, channel: 'chat:plain' });
  await bo.hears((m) => m.id === 9);
  await ada.hears((m) => m.type === 'leave');
  assert.equal(ada.all.filter((m) => m.type === 'message').length, 1);
}

/** A plain client: what it hears, it keeps. */
class Plain {
  all = [];
  #socket;

  static async open(w, url, protocols = []) {
    const p = new Plain();
    p.#socket = new WebSocket(url, protocols);
    p.#socket.on('message', (data, binary) => p.all.push(binary ? data : JSON.parse(data)));
    w.later(() => p.#socket.terminate());
    await new Promise((resolve, reject) => p.#socket.once('open', resolve).once('error', reject));
    assert.equal(p.#socket.protocol, 'hocket.v1.json'.repeat(protocols.length));
    return p;
  }

  send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  /** Waits for a message like this, and gives it. */
  hears(like) {
    return until(`${like} among ${JSON.stringify(this.all)}`, () => this.all.find(like));
  }
}
