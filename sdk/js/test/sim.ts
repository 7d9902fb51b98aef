// A world in virtual time: a server that keeps its promises, lines that lose what is under way, and clients that are
// nothing but a Session. Chance comes from a seed, so that a failure can be looked at again.
import { type Input, Session, type SessionSettings } from '../src/index.ts';
import { defaultBackoff } from '../src/backoff.ts';
import type { ChannelOptions, GapEvent, Message, ResetEvent } from '../src/types.ts';

/** Numbers from 0 up to 1 that depend on the seed alone. */
export function seeded(seed: number): () => number {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = s;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Virtual time: functions to call later, in order. */
export class World {
  now = 1_000_000;
  readonly random: () => number;
  #due: { at: number; order: number; fn: () => void }[] = [];
  #order = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
  }

  /** Calls fn after ms. Returns what cancels it. */
  after(ms: number, fn: () => void): () => void {
    const entry = { at: this.now + ms, order: this.#order++, fn };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((e) => e !== entry);
    };
  }

  /** Lets ms pass. */
  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      let first: { at: number; order: number; fn: () => void } | undefined;
      for (const e of this.#due) {
        if (e.at <= end && (!first || e.at < first.at || (e.at === first.at && e.order < first.order))) first = e;
      }
      if (first === undefined) break;
      this.#due = this.#due.filter((e) => e !== first);
      this.now = first.at;
      first.fn();
    }
    this.now = end;
  }

  upTo(n: number): number {
    return Math.floor(this.random() * n);
  }
}

interface Entry {
  offset: number;
  payload: unknown;
  session: string;
}

interface Log {
  epoch: string;
  entries: Entry[];
  head: number;
  seen: Map<string, { seq: number; offset: number }>; // by client
}

/** The server's end of a line. */
export interface Line {
  toClient(text: string): void;
  closedByServer(code: number): void;
}

interface ServerSession {
  name: string;
  client: string;
  line: Line;
  cursors: Map<string, number>;
}

/** A server with logs that stay below `keep` entries and die with it. */
export class Server {
  readonly world: World;
  readonly keep: number;
  /** Everything ever published, by channel and epoch: what the logs would be had nothing been forgotten. */
  readonly book = new Map<string, Entry[]>();
  up = true;
  #logs = new Map<string, Log>();
  #sessions = new Set<ServerSession>();
  #life = 0;
  #names = 0;

  constructor(world: World, keep = Infinity) {
    this.world = world;
    this.keep = keep;
  }

  /** A client has come. Returns what takes its messages, and what is called when it has gone. */
  accept(line: Line): { take(text: string): void; gone(): void } {
    const s: ServerSession = { name: `s${++this.#names}`, client: '', line, cursors: new Map() };
    this.#sessions.add(s);
    return { take: (text) => this.#sessions.has(s) && this.#take(s, JSON.parse(text)), gone: () => this.#sessions.delete(s) };
  }

  /** Stops taking messages, lets what was sent arrive, closes, and begins again with empty logs. */
  restart(drainMs: number): void {
    const sessions = [...this.#sessions];
    this.#sessions.clear();
    this.up = false;
    this.world.after(drainMs, () => {
      for (const s of sessions) s.line.closedByServer(4000);
      this.#logs.clear();
      this.#life++;
      this.up = true;
    });
  }

  publish(channel: string, payload: unknown): void {
    this.#append(channel, payload, '');
  }

  log(channel: string): Log {
    let log = this.#logs.get(channel);
    if (log === undefined) {
      log = { epoch: `e${this.#life}`, entries: [], head: this.world.upTo(1000), seen: new Map() };
      this.#logs.set(channel, log);
    }
    return log;
  }

  #take(s: ServerSession, m: any): void {
    const reply = (payload: unknown) => s.line.toClient(JSON.stringify({ type: 'reply', id: m.id, channel: m.channel, payload }));
    switch (m.type) {
      case 'connect':
        s.client = m.payload.client;
        return reply({ session: s.name, user: '' });
      case 'ping':
        return s.line.toClient(JSON.stringify({ type: 'pong', id: m.id }));
      case 'subscribe':
        return this.#subscribe(s, m, reply);
      case 'unsubscribe':
        s.cursors.delete(m.channel);
        return reply({});
      case 'publish':
        return reply(this.#publish(s, m));
    }
  }

  #publish(s: ServerSession, m: any): unknown {
    const log = this.log(m.channel);
    const seen = log.seen.get(s.client);
    if (seen !== undefined && m.seq <= seen.seq) return { epoch: log.epoch, offset: seen.offset, duplicate: true };
    const offset = this.#append(m.channel, m.payload, s.name);
    log.seen.set(s.client, { seq: m.seq, offset });
    return { epoch: log.epoch, offset };
  }

  #append(channel: string, payload: unknown, session: string): number {
    const log = this.log(channel);
    log.head += 1 + this.world.upTo(3); // with holes, so that nobody counts
    const entry = { offset: log.head, payload, session };
    log.entries.push(entry);
    if (log.entries.length > this.keep) log.entries.shift();
    const name = `${channel} ${log.epoch}`;
    this.book.set(name, [...(this.book.get(name) ?? []), entry]);
    for (const s of this.#sessions) this.#feed(s, channel);
    return entry.offset;
  }

  #subscribe(s: ServerSession, m: any, reply: (payload: unknown) => void): void {
    const log = this.log(m.channel);
    const from = m.payload.from;
    let recovered = true;
    let cursor = log.head;
    if (from.last !== undefined) cursor = (log.entries.at(-from.last) ?? log.entries[0] ?? { offset: log.head + 1 }).offset - 1;
    if (from.epoch !== undefined) {
      const kept = this.book.get(`${m.channel} ${log.epoch}`) ?? [];
      const gone = kept.slice(0, kept.length - log.entries.length).at(-1)?.offset ?? 0;
      recovered = from.epoch === log.epoch && from.offset <= log.head && from.offset >= gone;
      cursor = recovered ? from.offset : 0;
    }
    s.cursors.set(m.channel, cursor);
    reply({ epoch: log.epoch, offset: log.head, recovered });
    this.#feed(s, m.channel);
  }

  #feed(s: ServerSession, channel: string): void {
    const log = this.log(channel);
    const cursor = s.cursors.get(channel);
    if (cursor === undefined) return;
    for (const e of log.entries) {
      if (e.offset <= cursor) continue;
      const from = e.session === '' ? undefined : { session: e.session };
      s.line.toClient(JSON.stringify({ type: 'message', channel, offset: e.offset, time: this.world.now, payload: e.payload, from }));
    }
    s.cursors.set(channel, log.head);
  }
}

/** What one client has seen of a channel, in order. */
export type Seen = { message: Message } | { reset: ResetEvent } | { gap: GapEvent };

/** A client in the world: a Session, a line that takes its time, and what came of it. */
export class Client {
  readonly session: Session;
  readonly seen: Seen[] = [];
  readonly answers = new Map<number, unknown>();
  readonly failures = new Map<number, unknown>();
  readonly sent: any[] = [];
  state = 'connecting';
  #world: World;
  #server: Server;
  #line: { cut: boolean; up: ReturnType<Server['accept']> } | undefined;
  #cancel = () => {};
  #ticket = 0;

  constructor(world: World, server: Server, settings: Partial<SessionSettings> = {}) {
    this.#world = world;
    this.#server = server;
    this.session = new Session({ ...simSettings, client: `c${world.upTo(1e9)}`, ...settings }, world.random);
    this.input({ type: 'start' });
  }

  subscribe(channel: string, options: ChannelOptions = {}): void {
    this.input({ type: 'subscribe', channel, options });
  }

  publish(channel: string, payload: unknown): number {
    const ticket = ++this.#ticket;
    this.input({ type: 'publish', ticket, fields: { channel, payload } });
    return ticket;
  }

  get messages(): Message[] {
    return this.seen.flatMap((s) => ('message' in s ? [s.message] : []));
  }

  /** Cuts the line: what is under way in either direction is lost. The client hears of it when it is `noticed`. */
  cut(noticed = true): void {
    const line = this.#line;
    if (line === undefined || line.cut) return;
    line.cut = true;
    line.up.gone();
    if (noticed) this.#closed(line, 1006);
  }

  input(input: Input): void {
    for (const o of this.session.next(input, this.#world.now)) {
      switch (o.type) {
        case 'open':
          this.#open();
          break;
        case 'drop':
          if (this.#line) this.#line.cut = true;
          this.#line?.up.gone();
          this.#line = undefined;
          break;
        case 'send':
          this.#send(o.text);
          break;
        case 'state':
          this.state = o.state;
          break;
        case 'answer':
          this.answers.set(o.ticket, o.payload);
          break;
        case 'failure':
          this.failures.set(o.ticket, o.error);
          break;
        case 'channel':
          if (o.event.type === 'message') this.seen.push({ message: o.event.message });
          if (o.event.type === 'reset') this.seen.push({ reset: o.event.reset });
          if (o.event.type === 'gap') this.seen.push({ gap: o.event.gap });
      }
    }
    this.#cancel();
    const at = this.session.wakeAt;
    if (at !== undefined) this.#cancel = this.#world.after(Math.max(0, at - this.#world.now), () => this.input({ type: 'tick' }));
  }

  #open(): void {
    const world = this.#world;
    if (!this.#server.up) {
      world.after(5, () => this.input({ type: 'closed', code: 1006, reason: '' }));
      return;
    }
    const delay = 1 + world.upTo(20);
    const line = { cut: false } as { cut: boolean; up: ReturnType<Server['accept']> };
    line.up = this.#server.accept({
      toClient: (text) => world.after(delay, () => !line.cut && this.input({ type: 'received', text })),
      closedByServer: (code) => this.#closed(line, code),
    });
    this.#line = line;
    world.after(delay, () => !line.cut && this.input({ type: 'opened' }));
  }

  #send(text: string): void {
    const line = this.#line;
    this.sent.push(JSON.parse(text));
    this.#world.after(1 + this.sent.length / 1e6, () => line && !line.cut && line.up.take(text));
  }

  #closed(line: { cut: boolean }, code: number): void {
    if (this.#line !== line) return;
    line.cut = true;
    this.#line = undefined;
    this.input({ type: 'closed', code, reason: '' });
  }
}

/** Settings for sessions in tests. */
export const simSettings: SessionSettings = {
  url: 'ws://test/v1/ws',
  client: 'c1',
  hasTokenSource: false,
  backoff: defaultBackoff,
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  pingEveryMs: 10_000,
  pongTimeoutMs: 5_000,
  maxQueued: 1_000,
};
