import { describe, expect, test } from 'vitest';
import type { LiveMap } from '../src/index.ts';
import { Client, Server, World } from './sim.ts';

const channel = 'chat:lobby';
const seeds = Array.from({ length: 60 }, (_, i) => i + 1);

/** Three clients talk while their lines are cut at any moment. Ends with every line whole and everything settled. */
function talk(world: World, server: Server, trouble: (clients: Client[], turn: number) => void): { clients: Client[]; said: string[][] } {
  const clients = [0, 1, 2].map(() => new Client(world, server));
  const said: string[][] = [[], [], []];
  for (const c of clients) c.subscribe(channel);
  world.run(1_000);
  for (let turn = 0; turn < 120; turn++) {
    const who = world.upTo(3);
    const text = `${who}-${turn}`;
    clients[who]?.publish(channel, text);
    said[who]?.push(text);
    trouble(clients, turn);
    world.run(world.upTo(150));
  }
  world.run(180_000);
  return { clients, said };
}

function texts(client: Client): unknown[] {
  return client.messages.map((m) => m.payload);
}

describe.each(seeds)('seed %i', (seed) => {
  test('lines that are cut lose and double nothing', () => {
    const world = new World(seed);
    const server = new Server(world);
    const { clients, said } = talk(world, server, (all) => {
      if (world.random() < 0.15) all[world.upTo(3)]?.cut(world.random() < 0.7);
    });
    const log = server.log(channel).entries.map((e) => e.payload);
    expect(log).toHaveLength(120);
    expect(new Set(log).size).toBe(120);
    said.forEach((mine, who) => expect(log.filter((t) => String(t).startsWith(`${who}-`))).toEqual(mine));
    for (const c of clients) {
      expect(texts(c)).toEqual(log);
      expect(c.answers.size).toBe(said[clients.indexOf(c)]?.length);
      expect(c.seen).toHaveLength(120); // no gap, no reset
    }
  });

  test('a restart that drains begins a new epoch, and every message stands once on every screen', () => {
    const world = new World(seed);
    const server = new Server(world);
    let restarts = 0;
    const { clients, said } = talk(world, server, (all, turn) => {
      // A publish whose answer a cut has just swallowed, in a log that is then gone: nobody could tell that from one
      // that never arrived. So the server goes down while every line stands.
      if (turn > 40 * (restarts + 1) && restarts < 2 && all.every((c) => c.state === 'connected')) {
        restarts++;
        server.restart(100);
      } else if (server.up && world.random() < 0.05) {
        all[world.upTo(3)]?.cut();
      }
    });
    expect(restarts).toBeGreaterThan(0);
    const everything = said.flat().sort();
    for (const c of clients) {
      const epochs = new Set(c.messages.map((m) => m.epoch));
      expect(c.seen.filter((s) => 'reset' in s).length).toBeGreaterThan(0);
      expect(new Set(texts(c)).size).toBe(texts(c).length);
      expect(epochs.size).toBeGreaterThan(1);
    }
    const stored = [...server.book.values()].flat().map((e) => e.payload as string);
    expect(stored.sort()).toEqual(everything);
  });

  test('a log that forgets is reported wherever something is missing', () => {
    const world = new World(seed);
    const server = new Server(world, 5);
    const { clients } = talk(world, server, (all) => {
      if (world.random() < 0.15) all[world.upTo(3)]?.cut(false);
    });
    const log = server.book.get(`${channel} e0`)?.map((e) => e.payload) ?? [];
    for (const c of clients) {
      let at = 0;
      let told = false;
      for (const s of c.seen) {
        if (!('message' in s)) {
          told = true;
          continue;
        }
        const found = log.indexOf(s.message.payload, at);
        expect(found, 'messages come in the order of the log, each once').toBeGreaterThanOrEqual(at);
        if (found > at) expect(told, `${String(log[at])} is missing and nobody said so`).toBe(true);
        at = found + 1;
        told = false;
      }
      expect(at).toBe(log.length);
    }
  });
});

/** What the server has for each key, and what a map has. */
function state(server: Server): Record<string, unknown> {
  return Object.fromEntries([...server.log('board').cells].map(([key, e]) => [key, e.payload]).sort());
}

function shown(map: LiveMap): Record<string, unknown> {
  return Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Clients that change keys at random while something happens to them. Ends with every line whole. */
function change(world: World, server: Server, trouble: (clients: Client[]) => void): LiveMap[] {
  const clients = [0, 1, 2].map(() => new Client(world, server));
  const maps = clients.map((c) => c.channel('board', { from: 'state' }).map());
  for (let turn = 0; turn < 120; turn++) {
    if (turn % 20 === 19) { // somebody comes late, to a state that takes its time
      clients.push(new Client(world, server));
      maps.push((clients.at(-1) as Client).channel('board', { from: 'state' }).map());
    }
    const key = `k${world.upTo(12)}`;
    const op = (['set', 'append', 'append', 'delete'] as const)[world.upTo(4)];
    const fields = { key, ...(op !== 'set' && { op }), ...(world.random() < 0.2 && { ttl_ms: 100 + world.upTo(500) }) };
    clients[world.upTo(3)]?.publish('board', op === 'delete' ? null : `${turn} `, fields);
    trouble(clients);
    world.run(world.upTo(60));
  }
  world.run(180_000);
  return maps;
}

describe.each(seeds)('maps, seed %i', (seed) => {
  const runs: [string, number, (world: World, server: Server) => (clients: Client[]) => void][] = [
    ['lines that are cut, states in the middle', Infinity, (world, server) => (all) => {
      server.stateGapMs = 40;
      if (world.random() < 0.3) all[world.upTo(all.length)]?.cut(world.random() < 0.7);
    }],
    ['lines that are cut and a log that forgets', 4, (world) => (all) => {
      if (world.random() < 0.3) all[world.upTo(all.length)]?.cut(world.random() < 0.7);
    }],
    ['gaps', 6, (world, server) => (all) => {
      if (world.random() < 0.1) server.skip('board', () => server.publish('board', 'unseen', { key: `k${world.upTo(5)}`, op: 'append' }));
      if (world.random() < 0.1) all[world.upTo(all.length)]?.cut();
    }],
    ['restarts', 6, (world, server) => (all) => {
      if (server.up && world.random() < 0.05) server.restart(20);
      if (world.random() < 0.1) all[world.upTo(all.length)]?.cut();
    }],
  ];

  test.each(runs)('show what the server has after %s', (_, keep, trouble) => {
    const world = new World(seed);
    const server = new Server(world, keep);
    for (const map of change(world, server, trouble(world, server))) {
      expect(map.synced).toBe(true);
      expect(shown(map)).toEqual(state(server));
    }
  });
});

describe.each(seeds)('presence, seed %i', (seed) => {
  /** Clients on a channel, and what each was told: +session and -session. */
  async function present(world: World, server: Server, count: number) {
    const clients = Array.from({ length: count }, (_, i) => new Client(world, server, { user: `u${i % 2}` }));
    const channels = clients.map((c) => c.channel('room', { presence: true }));
    const logs = channels.map((ch) => {
      const log: string[] = [];
      ch.presence.on('join', (m) => log.push(`+${m.session}`));
      ch.presence.on('leave', (m) => log.push(`-${m.session}`));
      return log;
    });
    for (const ch of channels) void ch.subscribe();
    await pass(world, 1_000);
    return { clients, channels, logs };
  }

  /** Lets time pass, with the promises that wait for it. */
  async function pass(world: World, ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      world.run(Math.min(50, left));
      for (let i = 0; i < 8; i++) await Promise.resolve();
    }
  }

  test('lists agree with the server whatever happens to the lines', async () => {
    const world = new World(seed);
    const server = new Server(world);
    server.graceMs = world.upTo(3_000);
    const { clients, channels } = await present(world, server, 7);
    for (let turn = 0; turn < 30; turn++) {
      const i = world.upTo(7);
      if (world.random() < 0.5) clients[i]?.cut(world.random() < 0.7);
      else if (channels[i]?.state === 'unsubscribed') void channels[i]?.subscribe().catch(() => {});
      else if (world.random() < 0.3) channels[i]?.unsubscribe();
      if (server.up && world.random() < 0.05) server.restart(20);
      await pass(world, world.upTo(2_000));
    }
    await pass(world, 60_000);
    const here = server.members('room').sort();
    for (const ch of channels) {
      if (ch.state === 'unsubscribed') continue;
      expect(ch.presence.members.map((m) => m.session).sort()).toEqual(here);
      expect(ch.presence.count).toBe(here.length);
      expect(ch.presence.self).toBeDefined();
    }
  });

  test('a short cut is no leave, a long one is one', async () => {
    const world = new World(seed);
    const server = new Server(world);
    const { clients, channels, logs } = await present(world, server, 4);
    for (const log of logs) log.length = 0;
    for (let turn = 0; turn < 6; turn++) {
      clients[world.upTo(3)]?.cut();
      await pass(world, 3_000);
    }
    expect(logs).toEqual([[], [], [], []]);
    expect(channels[0]?.presence.count).toBe(4);
    const gone = clients[3]?.name;
    clients[3]?.input({ type: 'stop' });
    await pass(world, 12_000);
    expect(logs.slice(0, 3)).toEqual(Array(3).fill([`-${gone}`]));
  });
});
