// Payloads that are bytes.
import { expect, test } from 'vitest';
import type { LiveMap, Message } from '../src/index.ts';
import { bytesOf, readPayload, toBase64 } from '../src/bytes.ts';
import { Drive } from './drive.ts';
import { Client, Server, World } from './sim.ts';

const all = Uint8Array.from({ length: 256 }, (_, i) => i);

test.each([0, 1, 2, 3, 256, 100_000])('%d bytes are the same afterwards', (n) => {
  const bytes = Uint8Array.from({ length: n }, (_, i) => (i * 7) % 256);
  const read = readPayload({ payload: toBase64(bytes), encoding: 'base64' }) as Uint8Array;
  expect(read).toBeInstanceOf(Uint8Array);
  expect(read.length).toBe(n);
  expect(read.findIndex((b, i) => b !== bytes[i])).toBe(-1); // toEqual looks at each byte for seconds
});

test('a view of a buffer is its own bytes, and everything else is none', () => {
  expect(bytesOf(all.subarray(3, 5))).toEqual(Uint8Array.of(3, 4));
  expect(bytesOf(new DataView(all.buffer, 254))).toEqual(Uint8Array.of(254, 255));
  expect(bytesOf(all.buffer)).toEqual(all);
  for (const other of ['AP8=', [1, 2], { length: 1 }, null, undefined, 7]) expect(bytesOf(other)).toBeUndefined();
});

test('text that looks like base64 stays text', () => {
  expect(readPayload({ payload: 'AP8=' })).toBe('AP8=');
});

test('an event may be bytes', () => {
  const d = Drive.connected();
  d.server({ type: 'event', payload: 'AP8=', encoding: 'base64' });
  expect(d.of('event')).toEqual([{ type: 'event', payload: Uint8Array.of(0, 255) }]);
});

test('bytes are published, received, read in history, and grow', async () => {
  const world = new World(7);
  const server = new Server(world);
  const [one, two] = [new Client(world, server), new Client(world, server)];
  const pass = async () => {
    for (let i = 0; i < 40; i++) {
      world.run(5);
      for (let k = 0; k < 8; k++) await Promise.resolve();
    }
  };
  const got: Message[] = [];
  const channel = two.channel('files', {});
  channel.on('message', (m) => got.push(m));
  void channel.subscribe();
  await pass();
  void one.channel('files', {}).publish(all);
  void one.channel('files', {}).publish('plain');
  await pass();
  expect(one.sent.filter((m) => m.type === 'publish')).toMatchObject([{ payload: toBase64(all), encoding: 'base64' }, { payload: 'plain' }]);
  expect(one.sent.at(-1)).not.toHaveProperty('encoding');
  expect(got.map((m) => m.payload)).toEqual([all, 'plain']);

  const map = one.channel('board', { from: 'state' }).map<Uint8Array>();
  await pass();
  void map.set('k', Uint8Array.of(0xe2, 0x82));
  await pass();
  const pieces: string[] = [];
  const text = (map as LiveMap).text('k');
  text.on('piece', (piece) => pieces.push(piece));
  void map.append('k', Uint8Array.of(0xac, 0x21));
  await pass();
  expect(map.get('k')).toEqual(Uint8Array.of(0xe2, 0x82, 0xac, 0x21));
  expect(pieces).toEqual(['\u20ac!']);
  const late = two.channel('board', { from: 'state' }).map<Uint8Array>();
  await pass();
  expect(late.get('k')).toEqual(Uint8Array.of(0xe2, 0x82, 0xac, 0x21));
});
