// A map and the texts in it, on clients of the simulation.
import { beforeEach, describe, expect, test } from 'vitest';
import { ConflictError, type LiveMap } from '../src/index.ts';
import { Client, Server, World } from './sim.ts';

let world: World;
let server: Server;

beforeEach(() => {
  world = new World(7);
  server = new Server(world);
});

function map<V>(options = {}): { map: LiveMap<V>; client: Client } {
  const client = new Client(world, server);
  return { map: client.channel('board', { from: 'state', ...options }).map<V>(), client };
}

/** Lets time pass, with the promises that wait for it. */
async function pass(ms = 200): Promise<void> {
  for (let left = ms; left > 0; left -= 5) {
    world.run(Math.min(left, 5));
    for (let i = 0; i < 8; i++) await Promise.resolve();
  }
}

async function settled<T>(promise: Promise<T>, ms = 1_000): Promise<T> {
  let over = false;
  promise.then(() => (over = true), () => (over = true));
  for (let i = 0; i < ms / 5 && !over; i++) await pass(5);
  if (!over) throw new Error(`not settled within ${ms} ms`);
  return promise;
}

test('keys have a score, and the best of them are found', async () => {
  const { map: scores } = map<string>();
  await settled(scores.set('ada', 'x', { score: 3 }));
  await settled(scores.set('bo', 'x', { score: 7.5 }));
  await settled(scores.set('cy', 'x', { score: 3 }));
  await settled(scores.set('dee', 'x'));
  await pass();
  expect(scores.top(3).map((e) => [e.key, e.score])).toEqual([['bo', 7.5], ['ada', 3], ['cy', 3]]);
  expect(scores.top()).toHaveLength(4);
  expect(scores.entry('ada')).toMatchObject({ key: 'ada', value: 'x', score: 3, from: { session: expect.any(String) } });
});

test('what is published says all that was asked for', async () => {
  const { map: board, client } = map<unknown>();
  void board.set('k', 1, { ttlMs: 5_000, ephemeral: true, tags: { lang: 'en' }, expect: 0, score: 0.5 });
  await pass();
  expect(client.sent.find((m) => m.type === 'publish')).toEqual({
    type: 'publish', id: expect.any(Number), seq: 1, channel: 'board', payload: 1, key: 'k', expect: 0, ttl_ms: 5_000, score: 0.5, ephemeral: true, tags: { lang: 'en' },
  });
});

test('keys are no properties: a map is none of an object, whatever a server lets pass', async () => {
  const { map: board } = map<number>();
  expect(board.get('toString')).toBeUndefined();
  expect(board.has('__proto__')).toBe(false);
  for (const key of ['__proto__', 'constructor', 'toString']) await settled(board.set(key, 1));
  await pass();
  expect(board.get('__proto__')).toBe(1);
  expect(board.get('constructor')).toBe(1);
  expect(Object.getPrototypeOf({})).toBe(Object.prototype);
});

test('a key whose time is over is gone on every screen', async () => {
  const [one, two] = [map<string>(), map<string>()];
  await settled(one.map.set('typing', 'ada', { ttlMs: 3_000 }));
  await pass();
  expect(two.map.get('typing')).toBe('ada');
  await pass(3_000);
  expect(two.map.has('typing')).toBe(false);
});

describe('compare and set', () => {
  test('a conflict tells what there is, and then it goes', async () => {
    const { map: board } = map<string>();
    const { offset } = await settled(board.set('k', 'first'));
    const conflict = await settled(board.set('k', 'second', { expect: 0 }).catch((e: unknown) => e));
    expect(conflict).toBeInstanceOf(ConflictError);
    expect(conflict).toMatchObject({ code: 1409, name: 'conflict', offset, epoch: 'e0', retryable: false });
    await settled(board.set('k', 'second', { expect: (conflict as ConflictError).offset }));
  });

  test('many who count at once lose no count', async () => {
    const all = Array.from({ length: 6 }, () => map<number>().map);
    await pass();
    const counts = all.flatMap((m) => [m, m, m]).map((m) => m.update('likes', (n = 0) => n + 1));
    await settled(Promise.all(counts), 20_000);
    await pass();
    expect(all.map((m) => m.get('likes'))).toEqual(Array(6).fill(18));
  });

  test('after an update the map shows it', async () => {
    const { map: board } = map<number>();
    for (let n = 1; n <= 5; n++) {
      expect(await settled(board.update('n', (v = 0) => v + 1))).toBe(n);
      expect(board.get('n')).toBe(n);
    }
  });

  test('waits until the map is whole, over a cut, and is applied once', async () => {
    const { map: board, client } = map<number>();
    const updating = board.update('n', (v = 0) => v + 1);
    await pass(3);
    client.cut();
    expect(await settled(updating, 10_000)).toBe(1);
    expect(server.log('board').entries).toHaveLength(1);
  });

  test('an update waits for its key, where what has changed meanwhile brings others first', async () => {
    server = new Server(world, 2);
    server.stateGapMs = 500;
    const { map: board, client } = map<number>();
    await settled(board.set('n', 1));
    await pass(1_000);
    const updating = board.update('n', (v = 0) => v + 1);
    await pass(7);
    client.cut(); // before the answer
    expect(server.log('board').entries).toHaveLength(2);
    server.publish('board', 1, { key: 'other' });
    server.publish('board', 3, { key: 'n' });
    expect(board.get('n')).toBe(1);
    expect(await settled(updating, 10_000)).toBe(2);
    expect([board.get('n'), board.get('other'), board.synced]).toEqual([3, 1, true]);
  });

  test('undefined leaves it as it is', async () => {
    const { map: board } = map<number>();
    await settled(board.set('n', 4));
    await pass();
    expect(await settled(board.update('n', () => undefined))).toBe(4);
    expect(server.log('board').entries).toHaveLength(1);
  });

  test('it is not tried for ever', async () => {
    const { map: board } = map<number>();
    await settled(board.set('n', 1));
    await pass();
    let tries = 0;
    const updating = board.update('n', (v = 0) => {
      tries++;
      server.publish('board', v, { key: 'n' }); // somebody is always faster
      return v + 1;
    }, { tries: 3 });
    await expect(settled(updating)).rejects.toBeInstanceOf(ConflictError);
    expect(tries).toBe(3);
  });

  test('a key that was deleted meanwhile is none', async () => {
    const { map: board } = map<number>();
    await settled(board.set('n', 1));
    await pass();
    let first = true;
    const seen: unknown[] = [];
    const value = await settled(board.update('n', (v) => {
      seen.push(v);
      if (first) server.publish('board', null, { key: 'n', op: 'delete' });
      first = false;
      return (v ?? 10) + 1;
    }));
    expect([seen, value]).toEqual([[1, undefined], 11]);
  });

  test('it ends with the subscription', async () => {
    const client = new Client(world, server);
    const channel = client.channel('board', { from: 'state' });
    const updating = channel.map<number>().update('n', () => 1);
    channel.unsubscribe();
    await expect(settled(updating)).rejects.toMatchObject({ name: 'unsubscribed' });
    await expect(settled(channel.map().update('n', () => 1))).resolves.toBe(1); // map() follows it again
  });
});

describe('text', () => {
  /** Reads until the text ends. */
  function reading(pieces: AsyncIterable<string>): { pieces: string[]; done: Promise<string[]> } {
    const got: string[] = [];
    const done = (async () => {
      for await (const piece of pieces) got.push(piece);
      return got;
    })();
    return { pieces: got, done };
  }

  async function* slowly(words: string[]): AsyncIterable<string> {
    for (const word of words) {
      await new Promise<void>((resolve) => world.after(30, resolve));
      yield word;
    }
  }

  test('one who is there gets the pieces, one who comes late the whole of it first', async () => {
    const writer = map<string>();
    const early = reading(map<string>().map.text('answer'));
    await pass();
    const writing = writer.map.write('answer', slowly(['Hoc', 'ket', ' is', ' a', ' melody']));
    await pass(120);
    const late = reading(map<string>().map.text('answer'));
    expect(await settled(writing)).toBe('Hocket is a melody');
    expect(await settled(early.done)).toEqual(['Hoc', 'ket', ' is', ' a', ' melody']);
    const whole = await settled(late.done);
    expect(whole.join('')).toBe('Hocket is a melody');
    expect(whole.length).toBeLessThan(5);
    expect(whole[0]).toMatch(/^Hocket/);
  });

  test('who comes when it has ended gets it in one piece', async () => {
    const writer = map<string>();
    await settled(writer.map.write('answer', ['all', ' of', ' it']));
    expect(await settled(reading(map<string>().map.text('answer')).done, 5_000)).toEqual(['all of it']);
  });

  test('a piece that ends within a character waits for the rest of it', async () => {
    const writer = map<string>();
    const pieces = reading(map<string>().map.text('answer'));
    await pass();
    expect(await settled(writer.map.write('answer', slowly(['a \ud83d', '\ude00', ' b \ud83d'])))).toBe('a \u{1f600} b \ud83d');
    expect(await settled(pieces.done)).toEqual(['a ', '\u{1f600}', ' b ']);
  });

  test('what comes fast travels together', async () => {
    const writer = map<string>();
    await settled(writer.map.write('answer', Array.from({ length: 500 }, (_, n) => `${n} `)), 5_000);
    expect(server.log('board').entries.length).toBeLessThan(200);
  });

  test('a cut line costs no piece and doubles none', async () => {
    const writer = map<string>();
    const reader = map<string>();
    const read = reading(reader.map.text('answer'));
    const words = Array.from({ length: 40 }, (_, n) => `${n} `);
    const writing = writer.map.write('answer', slowly(words));
    for (let i = 0; i < 4; i++) {
      await pass(250);
      reader.client.cut();
      if (i % 2) writer.client.cut();
    }
    await settled(writing, 60_000);
    expect((await settled(read.done, 60_000)).join('')).toBe(words.join(''));
  });

  test('a text that is replaced ends what was read of the old one', async () => {
    const { map: board } = map<string>();
    await settled(board.set('k', 'one'));
    await pass();
    const text = board.text('k');
    const resets: string[] = [];
    text.on('reset', (t) => resets.push(t));
    const read = reading(text);
    await settled(board.append('k', ' two'));
    await settled(board.set('k', 'another'));
    expect((await settled(read.done)).join('')).toBe('one two');
    expect([text.value, text.ended, resets]).toEqual(['another', false, ['another']]);
    await settled(board.delete('k'));
    await pass();
    expect(text.ended).toBe(true);
  });
});

test('a state is read in pages, without following it', async () => {
  const { map: scores, client } = map<string>();
  for (const [key, score] of [['a', 1], ['b', 3], ['c', 2]] as const) await settled(scores.set(key, key, { score }));
  const channel = client.channel('board', {});
  const first = await settled(channel.readState({ order: 'score', limit: 2 }));
  expect(first).toMatchObject({ epoch: 'e0', count: 3, next: '2', messages: [{ key: 'b', score: 3, channel: 'board', op: 'set', live: false }, { key: 'c' }] });
  const last = await settled(channel.readState({ order: 'score', limit: 2, next: first.next as string }));
  expect(last.messages.map((m) => m.key)).toEqual(['a']);
  expect(last.next).toBeUndefined();
});
