// End-to-end encryption: the envelopes by spec/e2e.json, and channels that use them, over the server of the simulation.
import { beforeEach, describe, expect, test } from 'vitest';
import { endToEnd, type E2EKey } from '../src/e2e.ts';
import { binding, importKey, isEnvelope, openWith, sealWith } from '../src/envelope.ts';
import { connect, type Connection, type Message, type Place, type Sealer, type SocketLike, type UnreadableEvent } from '../src/index.ts';
import { Sealed } from '../src/sealed.ts';
import { Drive } from './drive.ts';
import { Server, World } from './sim.ts';

interface Vector {
  name: string;
  channel: string;
  key?: string;
  op: Place['op'];
  kid: string;
  iv: string;
  binding: string;
  json?: string;
  bytes?: string;
  envelope: any;
}

const files = import.meta.glob<string>('../../../spec/e2e.json', { query: '?raw', import: 'default', eager: true });
const vectors = JSON.parse(Object.values(files)[0] as string) as { keys: Record<string, string>; good: Vector[]; bad: Vector[] };
const bytes = (base64: string) => Uint8Array.from(atob(base64.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
const hex = (b: Uint8Array) => Array.from(b, (n) => n.toString(16).padStart(2, '0')).join('');
const place = (v: Vector): Place => ({ channel: v.channel, key: v.key ?? '', op: v.op });
const keyOf = (kid: string) => importKey(bytes(vectors.keys[kid] ?? ''));

describe('the vectors', () => {
  test.each(vectors.good)('$name', async (v) => {
    const payload = v.json ?? bytes(v.bytes as string);
    expect(hex(binding(place(v), v.kid))).toBe(v.binding);
    expect(await sealWith(await keyOf(v.kid), v.kid, bytes(v.iv), place(v), payload)).toEqual(v.envelope);
    const opened = await openWith(await keyOf(v.kid), place(v), v.envelope);
    expect(opened).toEqual(v.json === undefined ? payload : JSON.parse(v.json));
  });

  test.each(vectors.bad)('$name', async (v) => {
    const sealer = endToEnd({ key: (_, kid = '') => ({ kid, key: bytes(vectors.keys[kid] ?? '') }) });
    await expect(sealer.open(place(v), v.envelope)).rejects.toMatchObject({ name: 'unreadable', code: 8 });
  });

  test('there are some', () => expect([vectors.good.length > 0, vectors.bad.length > 0]).toEqual([true, true]));
});

/** Keys that a test hands out. */
class Ring {
  readonly keys = new Map<string, Uint8Array>();
  now: string | undefined;
  readonly asked: (string | undefined)[] = [];

  constructor(...names: string[]) {
    for (const name of names) this.keys.set(name, crypto.getRandomValues(new Uint8Array(32)));
    this.now = names[0];
  }

  sealer(): Sealer {
    return endToEnd({ covers: (channel) => channel.startsWith('dm:'), key: async (_, kid) => this.give(kid) });
  }

  give(kid: string | undefined): E2EKey | undefined {
    this.asked.push(kid);
    const name = kid ?? this.now ?? '';
    const key = this.keys.get(name);
    return key && { kid: name, key };
  }
}

let world: World;
let server: Server;
let wire: any[]; // all that was sent and received

class FakeSocket implements SocketLike {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly #up = server.accept({ toClient: (text) => this.#hears(text), closedByServer: () => {} });

  constructor() {
    world.after(1, () => this.onopen?.({} as never));
  }

  send(text: string): void {
    wire.push(JSON.parse(text));
    world.after(1, () => this.#up.take(text));
  }

  #hears(text: string): void {
    wire.push(JSON.parse(text));
    world.after(1, () => this.onmessage?.({ data: text } as never));
  }

  close(): void {
    this.#up.gone();
  }
}

function open(e2e?: Sealer): Connection {
  const clock = { now: () => world.now, after: (ms: number, fn: () => void) => world.after(ms, fn) };
  return connect('ws://test', { WebSocket: FakeSocket, clock, random: () => 0.5, ...(e2e && { e2e }) });
}

/** Lets virtual time pass, and WebCrypto work, until the promise is settled. */
async function run<T>(wanted: Promise<T>): Promise<T> {
  let settled = false;
  const done = () => (settled = true);
  wanted.then(done, done);
  for (let turns = 0; !settled && turns < 2_000; turns++) {
    world.run(5);
    await new Promise((resolve) => setTimeout(resolve));
  }
  return wanted;
}

/** Hears so many messages of a channel, readable or not. */
function hear(conn: Connection, name: string, count: number): Promise<(Message | UnreadableEvent)[]> {
  return new Promise((resolve) => {
    const heard: (Message | UnreadableEvent)[] = [];
    const take = (m: Message | UnreadableEvent) => heard.push(m) === count && resolve(heard);
    conn.channel(name).on('message', take);
    conn.channel(name).on('unreadable', take);
    void conn.channel(name).subscribe();
  });
}

const payloads = (heard: (Message | UnreadableEvent)[]) => heard.map((m) => ('error' in m ? m.error.name : m.payload));

beforeEach(() => {
  world = new World(1);
  server = new Server(world);
  wire = [];
});

test('nobody between sees a payload, and nothing else changes', async () => {
  const ring = new Ring('k1', 'k2');
  const ada = open(ring.sealer());
  const bo = open(ring.sealer());
  const heard = hear(bo, 'dm:1', 5);
  await run(bo.channel('dm:1').subscribe());
  const dm = ada.channel('dm:1');
  const object = { text: 'a secret' };
  const sent = [dm.publish(object), dm.publish('a secret'), dm.publish(new Uint8Array([0, 255]))];
  object.text = 'another'; // payloads are read at once
  const offsets = (await run(Promise.all(sent))).map((p) => p.offset);
  ring.now = 'k2';
  await run(dm.publish(null));
  await run(dm.publish([4], { key: 'k', tags: { lang: 'en' } }));
  const all = (await run(heard)) as Message[];
  expect(payloads(all)).toEqual([{ text: 'a secret' }, 'a secret', new Uint8Array([0, 255]), null, [4]]);
  expect(all.slice(0, 3).map((m) => m.offset)).toEqual(offsets);
  expect(all[4]).toMatchObject({ key: 'k', op: 'set', tags: { lang: 'en' } });

  expect(JSON.stringify(wire)).not.toMatch(/secret/);
  const kids = wire.filter((m) => m.type === 'publish').map((m) => m.payload.kid);
  expect(kids).toEqual(['k1', 'k1', 'k1', 'k2', 'k2']);

  await run(ada.channel('open').publish('no secret'));
  expect(JSON.stringify(wire)).toMatch(/no secret/);
  ada.close();
  bo.close();
});

test('order is kept where a key takes its time', async () => {
  const ring = new Ring('slow', 'fast');
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const ada = open(ring.sealer());
  const bo = open(endToEnd({ key: async (_, kid) => (kid === 'slow' && (await held), ring.give(kid)) }));
  const heard = hear(bo, 'dm:1', 3);
  const seen: unknown[] = [];
  bo.channel('dm:1').on('message', (m) => seen.push(m.payload));
  const positions: number[] = [];
  bo.channel('dm:1').on('position', (p) => positions.push(p.offset));
  await run(bo.channel('dm:1').subscribe());
  for (const [kid, payload] of [['slow', 1], ['fast', 2], ['fast', 3]] as const) {
    ring.now = kid;
    await run(ada.channel('dm:1').publish(payload));
  }
  await run(new Promise((resolve) => world.after(100, () => resolve(0))));
  expect([seen, positions]).toEqual([[], []]);
  release();
  const offsets = (await run(heard) as Message[]).map((m) => m.offset);
  expect(seen).toEqual([1, 2, 3]);
  expect(bo.channel('dm:1').position?.offset ?? offsets[1]).toBeGreaterThanOrEqual(offsets[1] as number);
});

test('publishes stand in their order whatever encrypting takes', async () => {
  const slowest: Sealer = {
    covers: () => true,
    seal: (_, payload) => new Promise((resolve) => world.after(payload === '1' ? 300 : 1, () => resolve({ sealed: payload }))),
    open: async (_, payload) => JSON.parse((payload as { sealed: string }).sealed),
  };
  const conn = open(slowest);
  const heard = hear(conn, 'a', 2);
  await run(conn.channel('a').subscribe());
  const failing = conn.channel('a').publish(1);
  await run(Promise.all([failing, conn.channel('a').publish(2)]));
  expect(payloads(await run(heard))).toEqual([1, 2]);
});

test('what cannot be read is told, and what follows comes', async () => {
  const ring = new Ring('k1');
  const plain = open();
  const bo = open(ring.sealer());
  const heard = hear(bo, 'dm:1', 5);
  await run(bo.channel('dm:1').subscribe());
  const moved = await ring.sealer().seal({ channel: 'dm:2', key: '', op: 'set' }, '"elsewhere"');
  await run(plain.channel('dm:1').publish({ text: 'trust me' }));
  await run(plain.channel('dm:1').publish(moved));
  await run(plain.channel('dm:1').publish({ ...(moved as object), kid: 'k9' }));
  await run(plain.channel('dm:1').publish({ ...(moved as object), kid: 'k9' }));
  await run(open(ring.sealer()).channel('dm:1').publish('two'));
  expect(payloads(await run(heard))).toEqual(['unreadable', 'unreadable', 'no_key', 'no_key', 'two']);
  expect(ring.asked.filter((kid) => kid === 'k9').length).toBe(2); // what is not there now may be there later

});

test('of a page what can be read is given, and the rest is told', async () => {
  const ring = new Ring('k1');
  const sealer = ring.sealer();
  const told: string[] = [];
  const sealed = new Sealed('dm:1', sealer, (e) => told.push(e.type === 'unreadable' ? `${e.error.name} ${e.message.offset}` : e.type));
  const message = (offset: number, payload: unknown, op: Message['op'] = 'set'): Message => ({
    channel: 'dm:1', epoch: 'e', offset, time: 1, payload, key: undefined, op, tags: undefined, score: 0, from: undefined, live: false,
  });
  const at: Place = { channel: 'dm:1', key: '', op: 'set' };
  const page = await sealed.openAll([
    message(1, await sealer.seal(at, '1')), message(2, { text: 'trust me' }), message(3, undefined, 'delete'), message(4, await sealer.seal(at, '4')),
  ]);
  expect(page.map((m) => [m.offset, m.payload])).toEqual([[1, 1], [3, undefined], [4, 4]]);
  expect(told).toEqual(['unreadable 2']);
});

test('a map works, and loses a value that it cannot read', async () => {
  const ring = new Ring('k1');
  const conn = open(ring.sealer());
  const map = conn.channel('dm:board').map<number>();
  for (let i = 0; i < 3; i++) await run(map.update('n', (n = 0) => n + 1));
  expect(map.get('n')).toBe(3);
  await run(map.set('m', 1));
  await run(map.delete('m'));
  await run(open().channel('dm:board').publish(4, { key: 'n' }));
  const last = new Promise((resolve) => map.on('change', ({ key }) => key === 'last' && resolve(0)));
  await run(map.set('last', 1));
  await run(last);
  expect([...map]).toEqual([['last', 1]]);
  const sent = wire.filter((m) => m.type === 'publish' && m.op === 'delete');
  expect(sent.map((m) => 'payload' in m)).toEqual([false]);
  await expect(map.append('n', 'more')).rejects.toMatchObject({ name: 'not_supported' });
  await expect(map.write('last', ['a', 'text'])).rejects.toMatchObject({ name: 'not_supported' });
  expect(JSON.stringify(wire)).not.toMatch(/more/);
  expect([conn.channel('dm:board').encrypted, conn.channel('open').encrypted]).toEqual([true, false]);
  expect(map.get('last')).toBe(1);
});

test('without a key nothing goes out', async () => {
  const ring = new Ring('k1');
  const conn = open(ring.sealer());
  ring.now = 'gone';
  await expect(run(conn.channel('dm:1').publish('a secret'))).rejects.toMatchObject({ name: 'no_key', code: 7 });
  const odd: [unknown, RegExp][] = [
    [{ kid: 'k', key: new Uint8Array(16) }, /32 bytes, not 16/],
    [{ kid: '', key: new Uint8Array(32) }, /1 to 64 bytes/],
    [{ kid: 'k', key: await crypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['encrypt']) }, /256 bits/],
    [Promise.reject(new Error('the key store is shut')), /the key store is shut/],
  ];
  for (const [key, why] of odd) {
    const sealer = endToEnd({ key: () => key as E2EKey });
    await expect(sealer.seal({ channel: 'c', key: '', op: 'set' }, '1')).rejects.toThrow(why);
  }
  expect(JSON.stringify(wire)).not.toMatch(/secret/);
});

test('keys are asked for once, and only so many are kept', async () => {
  const asked = new Map<string, number>();
  const sealer = endToEnd({
    key: (_, kid = 'now') => {
      asked.set(kid, (asked.get(kid) ?? 0) + 1);
      return { kid, key: new Uint8Array(32) };
    },
  });
  const at: Place = { channel: 'c', key: '', op: 'set' };
  const envelope = (await sealer.seal(at, '1')) as object;
  expect(isEnvelope(envelope)).toBe(true);
  await Promise.all([1, 2, 3].map(() => sealer.open(at, envelope)));
  const under = (kid: string) => sealer.open(at, { ...envelope, kid }).catch((e: Error) => e.name);
  await Promise.all([under('a'), under('a'), under('a')]);
  expect([asked.get('now'), asked.get('a')]).toEqual([1, 1]);
  for (let i = 0; i < 1_000; i++) await under(`k${i}`);
  await under('a');
  expect(asked.get('a')).toBe(2);
});

test('a channel that is encrypted is left when there is no key for it', () => {
  const d = Drive.connected();
  d.subscribe('a');
  d.reply('subscribe', { epoch: 'e', offset: 1, recovered: true, e2e: true });
  expect(d.happened('subscribed')).toEqual([]);
  expect(d.happened('unsubscribed')).toMatchObject([{ error: { name: 'no_key' }, retrying: false }]);
  expect(d.sentOf('unsubscribe').length).toBe(1);

  const keyed = Drive.connected();
  keyed.input({ type: 'subscribe', channel: 'a', options: {}, keyed: true });
  keyed.reply('subscribe', { epoch: 'e', offset: 1, recovered: true, e2e: true });
  expect(keyed.happened('subscribed').length).toBe(1);
});
