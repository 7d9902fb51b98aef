import { describe, expect, test } from 'vitest';
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
