// End-to-end encryption: a page in Chromium and a program in Node, over a server that cannot read what they say.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import { endToEnd } from '../dist/e2e.js';
import { connect } from '../dist/hocket.js';
import { profile } from './browser.mjs';
import { until } from './until.mjs';

/** The tests by name. */
export const tests = new Map(Object.entries({
  'a browser and Node talk end to end encrypted': async (w) => {
    const server = await w.server('--config', await configuration(w, 'channels:\n- pattern: dm:>\n  e2e: true\n  history: {count: 100}\n'));
    const secret = new Uint8Array(32).map((_, i) => i * 7);
    const ada = await Page.open(w, server, [...secret]);
    const wire = [];
    const bo = connect(server.url, {
      WebSocket, e2e: endToEnd({ covers: (c) => c.startsWith('dm:'), key: (_, kid = 'k1') => (kid === 'k1' ? { kid, key: secret } : undefined) }),
    });
    w.later(() => bo.close());
    bo.on('raw', ({ text }) => wire.push(text));
    const dm = bo.channel('dm:1', { from: { last: 10 } });
    const heard = [];
    dm.on('message', (m) => heard.push(m.payload));
    await dm.subscribe();

    await ada.run(async (conn) => {
      await conn.channel('dm:1').subscribe();
      await conn.channel('dm:1').publish({ text: 'Treffen um acht, am Hafen ⚓' });
      await conn.channel('dm:board').map().set('pin', { x: 1 });
    });
    await dm.publish({ text: 'I bring the maps' });
    await until('Bo to hear both', () => heard.length === 2);
    assert.deepEqual(heard, [{ text: 'Treffen um acht, am Hafen ⚓' }, { text: 'I bring the maps' }]);
    assert.deepEqual((await dm.history()).messages.map((m) => m.payload), heard);
    assert.deepEqual((await bo.channel('dm:board').readState()).messages.map((m) => m.payload), [{ x: 1 }]);
    assert.deepEqual(await ada.run(async (conn) => (await conn.channel('dm:1').history()).messages.map((m) => m.payload)), heard);
    assert.doesNotMatch(wire.join('\n'), /Hafen|maps/);

    await server.stop('SIGKILL'); // the log is lost; what follows comes over the next line
    await server.start();
    await ada.run((conn) => conn.channel('dm:1').publish('back again'));
    await until('Bo to hear of the next server', () => heard.includes('back again'));

    const plain = connect(server.url, { WebSocket });
    w.later(() => plain.close());
    await assert.rejects(plain.channel('dm:1').subscribe(), { name: 'no_key' });
    await assert.rejects(plain.channel('dm:1').publish('a secret'), { name: 'not_encrypted' });
  },
}));

async function configuration(w, yaml) {
  const dir = await mkdtemp(join(tmpdir(), 'hocket-e2e-'));
  w.later(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, 'hocket.yaml'), yaml);
  return join(dir, 'hocket.yaml');
}

/** A page that has the SDK, from the server, and its encryption. */
class Page {
  #page;

  static async open(w, server, secret) {
    const p = new Page();
    const context = await profile(w.browser);
    w.later(() => context.close());
    p.#page = await context.newPage();
    const module = await readFile(new URL('../dist/e2e.js', import.meta.url), 'utf8');
    await p.#page.route('**/e2e.js', (route) => route.fulfill({ body: module, contentType: 'text/javascript' }));
    await p.#page.goto(`${server.url}/healthz`);
    await p.#page.evaluate(async (bytes) => {
      const { connect } = await import('/hocket.js');
      const { endToEnd } = await import('/e2e.js');
      const key = await crypto.subtle.importKey('raw', new Uint8Array(bytes), 'AES-GCM', false, ['encrypt', 'decrypt']);
      window.conn = connect('/', { e2e: endToEnd({ covers: (c) => c.startsWith('dm:'), key: () => ({ kid: 'k1', key }) }) });
    }, secret);
    return p;
  }

  /** Runs a function in the page, with its connection. */
  run(fn) {
    return this.#page.evaluate(`(${fn})(window.conn)`);
  }
}
