// The public API over a WebSocket in memory, in virtual time, against the server of the simulation.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { connect, type ConnectOptions, type Message, type SocketLike } from '../src/index.ts';
import { Server, World } from './sim.ts';

let world: World;
let server: Server;
let sockets: FakeSocket[];
let takes: (text: string, socket: FakeSocket) => boolean; // a test may answer itself

class FakeSocket implements SocketLike {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly sent: any[] = [];
  #up: ReturnType<Server['accept']>;

  constructor(readonly url: string, readonly protocols: string[]) {
    sockets.push(this);
    this.#up = server.accept({ toClient: (text) => this.hears(text), closedByServer: (code) => this.closes(code) });
    world.after(1, () => this.onopen?.({} as never));
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
    world.after(1, () => takes(text, this) || this.#up.take(text));
  }

  hears(text: string): void {
    world.after(1, () => this.onmessage?.({ data: text } as never));
  }

  close(): void {
    this.#up.gone();
  }

  closes(code: number): void {
    this.#up.gone();
    this.onclose?.({ code, reason: '' } as never);
  }
}

function open(options: ConnectOptions = {}) {
  const clock = { now: () => world.now, after: (ms: number, fn: () => void) => world.after(ms, fn) };
  return connect('ws://test', { WebSocket: FakeSocket, clock, random: () => 0.5, ...options });
}

/** Lets virtual time pass, and the promises that wait for it. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 10) {
    world.run(Math.min(10, left));
    for (let i = 0; i < 5; i++) await Promise.resolve();
  }
}

beforeEach(() => {
  world = new World(1);
  server = new Server(world);
  sockets = [];
  takes = () => false;
});

test('connect, subscribe, publish, hear', async () => {
  const conn = open();
  const states: string[] = [];
  conn.on('state', (e) => states.push(e.state));
  const lobby = conn.channel('chat:lobby');
  const heard: Message[] = [];
  lobby.on('message', (m) => heard.push(m));
  const subscribing = lobby.subscribe();
  const publishing = lobby.publish({ text: 'hi' });
  await pass(50);
  await subscribing;
  expect(await publishing).toEqual({ epoch: 'e0', offset: heard[0]?.offset, duplicate: false });
  expect(heard.map((m) => [m.payload, m.from?.session])).toEqual([[{ text: 'hi' }, conn.session]]);
  expect(states).toEqual(['connected']);
  expect(conn.state).toBe('connected');
  expect(conn.latency).toBe(2);
  expect(sockets[0]?.url).toBe('ws://test/v1/ws');
  expect(sockets[0]?.protocols).toEqual(['hocket.v1.json']);
  expect(conn.channel('chat:lobby')).toBe(lobby);
});

test('what is published without a line arrives once, in order', async () => {
  const conn = open();
  const lobby = conn.channel('a');
  const heard: unknown[] = [];
  lobby.on('message', (m) => heard.push(m.payload));
  void lobby.subscribe();
  await pass(50);
  sockets[0]?.closes(1006);
  const done = [1, 2, 3].map((n) => lobby.publish(n));
  await pass(1_000);
  await Promise.all(done);
  expect(heard).toEqual([1, 2, 3]);
  expect(server.log('a').entries.map((e) => e.payload)).toEqual([1, 2, 3]);
});

test('what a listener asks for is sent after what was decided before', async () => {
  const conn = open();
  const lobby = conn.channel('a');
  lobby.on('subscribed', () => void lobby.publish('greeting'));
  void lobby.subscribe();
  await pass(50);
  expect(sockets[0]?.sent.map((m) => m.type)).toEqual(['connect', 'subscribe', 'ping', 'publish']);
});

test('a listener that throws harms nobody else', async () => {
  const conn = open();
  const thrown: unknown[] = [];
  const report = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((fn) => {
    try {
      fn();
    } catch (error) {
      thrown.push(error);
    }
  });
  const lobby = conn.channel('a');
  const heard: unknown[] = [];
  lobby.on('message', () => {
    throw new Error('mine');
  });
  lobby.on('message', (m) => heard.push(m.payload));
  void lobby.subscribe();
  void lobby.publish(1);
  await pass(50);
  report.mockRestore();
  expect(heard).toEqual([1]);
  expect(thrown).toHaveLength(1);
});

// A page has not the client itself where it was read while the channel was left, since the state was asked for anew, or before
// the client was a member in a log that has begun anew. Nobody tells it of its own join.
test('a member lists itself', async () => {
  const conn = open({ user: 'ada', info: 'in' });
  const room = conn.channel('room', { from: 'state', presence: true });
  const watched = conn.channel('watched', { presence: 'watch' });
  const asked: any[] = [];
  takes = (text) => ['presence', 'subscribe'].includes(JSON.parse(text).type) && asked.push(JSON.parse(text)) > 0;
  const answer = async (m: any, payload: unknown) => {
    sockets[0]?.hears(JSON.stringify({ type: 'reply', id: m.id, channel: m.channel, payload }));
    await pass(10);
  };
  const nobody = (epoch: string) => ({ count: 0, members: [], epoch, offset: 0 });
  void room.subscribe();
  await pass(10);
  await answer(asked[0], { epoch: 'e', offset: 0, recovered: true, presence: { count: 1, epoch: 'p', offset: 1 } });
  sockets[0]?.hears('{"type":"gap","channel":"room","payload":{"from":1,"to":2,"reason":"slow_consumer"}}');
  await pass(10);
  expect(asked.map((m) => m.type)).toEqual(['subscribe', 'presence', 'subscribe']);
  await answer(asked[1], nobody('p'));
  await answer(asked[2], { epoch: 'e', offset: 2, recovered: true, presence: { count: 1, epoch: 'p', offset: 3 } });
  expect([room.presence.complete, room.presence.members]).toEqual([true, [{ session: conn.session, user: 'ada', info: 'in' }]]);

  const left: unknown[] = [];
  room.presence.on('leave', (m) => left.push(m));
  sockets[0]?.hears('{"type":"gap","channel":"$presence:room","payload":{"from":0,"to":0,"reason":"unavailable"}}');
  await pass(10);
  await answer(asked[3], nobody('q'));
  expect([room.presence.complete, room.presence.count, room.presence.self?.info, left]).toEqual([true, 1, 'in', []]);

  void watched.subscribe();
  await pass(10);
  await answer(asked[4], { epoch: 'e', offset: 0, recovered: true, presence: { count: 0, epoch: 'p', offset: 0 } });
  await answer(asked[5], nobody('p'));
  expect([watched.presence.complete, watched.presence.members]).toEqual([true, []]);
});

test('the token callback is asked, waited for, and its failure told', async () => {
  let calls = 0;
  const errors: string[] = [];
  const conn = open({
    token: async () => {
      if (++calls === 1) throw new Error('the back end sleeps');
      return 'fresh';
    },
  });
  conn.on('error', (e) => errors.push(e.message));
  await pass(1_000);
  expect(errors).toEqual(['the token callback failed: Error: the back end sleeps']);
  expect(sockets[0]?.sent[0].payload.token).toBe('fresh');
});

test('the ticket callback is asked for every socket, and no error tells what it gave', async () => {
  let calls = 0;
  const told: string[] = [];
  class Broken {
    constructor(url: string) {
      throw new SyntaxError(`the URL '${url}' is invalid`);
    }
  }
  const broken = open({ ticket: () => 'hkt_secret', WebSocket: Broken as never });
  broken.on('state', (e) => told.push(String(e.error?.message)));
  await pass(50);
  broken.close();
  expect(told[0]).toContain('is invalid');
  expect(told.join()).not.toContain('hkt_secret');

  const conn = open({
    ticket: async () => {
      if (++calls === 1) throw new Error('the back end sleeps');
      return `hkt_${calls}`;
    },
  });
  conn.on('error', (e) => told.push(e.message));
  await pass(1_000);
  expect(told).toContain('the ticket callback failed: Error: the back end sleeps');
  sockets[0]?.closes(1006);
  await pass(2_000);
  expect(sockets.map((s) => new URL(s.url).searchParams.get('ticket'))).toEqual(['hkt_2', 'hkt_3']);
});

test('call answers, and rejects with what the server says', async () => {
  takes = (text, socket) => {
    const m = JSON.parse(text);
    if (m.type !== 'call') return false;
    const error = { code: 1404, name: 'not_found', message: 'no such method' };
    socket.hears(JSON.stringify(m.method === 'echo' ? { type: 'reply', id: m.id, payload: m.payload } : { type: 'error', id: m.id, error }));
    return true;
  };
  const conn = open();
  const echo = conn.call('echo', { n: 1 });
  const none = conn.call('none');
  none.catch(() => {});
  await pass(50);
  expect(await echo).toEqual({ n: 1 });
  await expect(none).rejects.toMatchObject({ code: 1404, name: 'not_found', message: 'no such method', retryAfterMs: 0 });
});

test('close rejects what waits and leaves nothing behind', async () => {
  const conn = open();
  await pass(50);
  const call = conn.call('never');
  conn.close();
  await expect(call).rejects.toMatchObject({ name: 'closed' });
  await expect(conn.channel('a').subscribe()).rejects.toMatchObject({ name: 'closed' });
  await expect(conn.channel('a').publish(1)).rejects.toMatchObject({ name: 'closed' });
  expect(conn.state).toBe('closed');
});

test('a payload that cannot be JSON is rejected and disturbs nothing', async () => {
  const conn = open();
  const ring: Record<string, unknown> = {};
  ring['ring'] = ring;
  await expect(conn.channel('a').publish(ring)).rejects.toBeInstanceOf(Error);
  const next = conn.channel('a').publish('fine');
  await pass(50);
  expect((await next).offset).toBeGreaterThan(0);
});

test('raw shows every text in both directions', async () => {
  const conn = open();
  const seen: string[] = [];
  conn.on('raw', (e) => seen.push(`${e.direction} ${JSON.parse(e.text).type}`));
  await pass(50);
  expect(seen).toEqual(['in connected', 'out connect', 'in reply', 'out ping', 'in pong']);
});

test('channel options stand once it is subscribed', async () => {
  const conn = open();
  const a = conn.channel('a', { from: { last: 1 } });
  void a.subscribe();
  expect(() => conn.channel('a', { from: 'live' })).toThrow(TypeError);
});

describe('async iteration', () => {
  test('gives the messages and ends with the subscription', async () => {
    const conn = open();
    const lobby = conn.channel('a');
    const heard: unknown[] = [];
    const reading = (async () => {
      for await (const m of lobby) {
        heard.push(m.payload);
        if (heard.length === 3) lobby.unsubscribe();
      }
    })();
    await pass(50);
    for (const n of [1, 2, 3]) server.publish('a', n);
    await pass(50);
    await reading;
    expect(heard).toEqual([1, 2, 3]);
  });

  test('does not keep messages without bound', async () => {
    const conn = open();
    const messages = conn.channel('a')[Symbol.asyncIterator]();
    const first = messages.next();
    await pass(50);
    for (let n = 0; n < 10_002; n++) server.publish('a', n);
    await pass(50);
    expect((await first).value.payload).toBe(0);
    let read = 0;
    await expect((async () => {
      while (!(await messages.next()).done) read++;
    })()).rejects.toMatchObject({ name: 'iterator_overflow' });
    expect(read).toBe(9_999);
  });
});

/** Plays the server for a keyed channel: subscribes begin with the given entries. */
function keyed(state: Record<string, unknown>[], epoch: () => string): void {
  takes = (text, socket) => {
    const m = JSON.parse(text);
    if (m.type !== 'subscribe') return false;
    const recovered = m.payload.from === 'state' || m.payload.from.epoch === epoch();
    const whole = m.payload.from === 'state' || !recovered;
    socket.hears(JSON.stringify({ type: 'reply', id: m.id, channel: 'k', payload: { epoch: epoch(), offset: 10, recovered } }));
    if (whole) for (const e of state) socket.hears(JSON.stringify({ type: 'message', channel: 'k', time: 1, ...e }));
    return true;
  };
}

describe('map', () => {
  test('holds the state and follows set, append and delete', async () => {
    keyed([{ offset: 4, key: 'a', payload: 1 }, { offset: 9, key: 'b', payload: 'x' }], () => 'e1');
    const map = open().channel('k').map();
    const changes: unknown[] = [];
    map.on('change', (c) => changes.push([c.op, c.key, c.previous, c.value]));
    await pass(50);
    expect([...map]).toEqual([['a', 1], ['b', 'x']]);
    const push = (e: object) => sockets[0]?.hears(JSON.stringify({ type: 'message', channel: 'k', time: 1, ...e }));
    push({ offset: 11, key: 'b', op: 'append', payload: 'y' });
    push({ offset: 12, key: 'a', op: 'delete' });
    push({ offset: 13, key: 'c', payload: null });
    push({ offset: 14, payload: 'of a stream' });
    await pass(50);
    expect([...map]).toEqual([['b', 'xy'], ['c', null]]);
    expect(changes.slice(2)).toEqual([['append', 'b', 'x', 'xy'], ['delete', 'a', 1, undefined], ['set', 'c', undefined, null]]);
  });

  test('is kept over a lost line and read anew in a new epoch', async () => {
    const state = [{ offset: 4, key: 'a', payload: 1 }];
    let epoch = 'e1';
    keyed(state, () => epoch);
    const map = open().channel('k').map();
    const log: string[] = [];
    map.on('change', (c) => log.push(`${c.op} ${c.key}`));
    map.on('sync', () => log.push(`sync ${map.size}`));
    await pass(3_000);
    sockets.at(-1)?.closes(1006);
    expect(map.synced).toBe(false);
    await pass(3_000);
    expect([...map]).toEqual([['a', 1]]);
    expect(log).toEqual(['set a', 'sync 1', 'sync 1']);
    epoch = 'e2';
    state[0] = { offset: 2, key: 'b', payload: 2 };
    sockets.at(-1)?.closes(1006);
    await pass(3_000);
    expect([...map]).toEqual([['b', 2]]);
    expect(log.slice(3)).toEqual(['set b', 'delete a', 'sync 1']);
  });

  test('writes with publish', async () => {
    const map = open().channel('k').map();
    void map.set('a', 1);
    void map.append('a', 'more');
    void map.delete('a');
    await pass(50);
    expect(sockets[0]?.sent.filter((m) => m.type === 'publish')).toMatchObject([
      { key: 'a', payload: 1 }, { key: 'a', op: 'append', payload: 'more' }, { key: 'a', op: 'delete' },
    ]);
  });
});

test('a number that JSON does not have is refused, and does not leave its option out', async () => {
  const a = open().channel('a');
  for (const number of [NaN, Infinity, -Infinity]) {
    for (const option of ['expect', 'ttlMs', 'score']) {
      await expect(a.publish(1, { key: 'k', [option]: number })).rejects.toMatchObject({
        code: 1112, name: 'invalid_range', message: `${option} must be a finite number, not ${number}`,
      });
    }
    await expect(a.history({ after: number })).rejects.toMatchObject({ name: 'invalid_range' });
    await expect(a.readState({ limit: number })).rejects.toMatchObject({ name: 'invalid_range' });
  }
  await pass(50);
  expect(sockets[0]?.sent.map((m) => m.type)).toEqual(['connect', 'ping']);
});

describe('history', () => {
  test('gives messages as the channel does', async () => {
    takes = (text, socket) => {
      const m = JSON.parse(text);
      if (m.type !== 'history') return false;
      expect(m.payload).toEqual({ after: 3, limit: 2 });
      const messages = [{ offset: 4, time: 7, payload: 'x', from: { session: 's' } }];
      socket.hears(JSON.stringify({ type: 'reply', id: m.id, payload: { epoch: 'e1', offset: 9, messages, more: true } }));
      return true;
    };
    const asking = open().channel('a').history({ after: 3, limit: 2 });
    await pass(50);
    expect(await asking).toMatchObject({
      epoch: 'e1', offset: 9, more: true,
      messages: [{ channel: 'a', offset: 4, time: 7, payload: 'x', op: 'set', from: { session: 's', user: '' }, live: false }],
    });
  });
});

afterEach(() => vi.restoreAllMocks());
