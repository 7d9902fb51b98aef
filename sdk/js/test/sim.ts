// A world in virtual time: a server that keeps its promises, lines that lose what is under way, and clients that are
// nothing but a Session. Chance comes from a seed, so that a failure can be looked at again.
import { Channel, type Input, Session, type SessionSettings } from '../src/index.ts';
import type { ChannelHost } from '../src/channel.ts';
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
  encoding?: 'base64';
  session: string;
  key?: string;
  op?: 'set' | 'append' | 'delete';
  score?: number;
  tags?: Record<string, string>;
}

interface Log {
  epoch: string;
  entries: Entry[];
  head: number;
  seen: Map<string, { seq: number; offset: number }>; // by client
  /** The latest entry of each key, appends made part of it. */
  cells: Map<string, Entry>;
  /** What was deleted, and where; what was forgotten of that lies up to `forgotten`. */
  deleted: Map<string, number>;
  forgotten: number;
}

/** Where a session stands in a channel. What it is sent for it goes out one by one, `#say` has the time of the last. */
interface Cursor {
  offset: number;
  busyUntil: number;
}

type Member = { session: string; user: string; info?: unknown };

/** The server's end of a line. */
export interface Line {
  toClient(text: string): void;
  closedByServer(code: number): void;
}

interface ServerSession {
  name: string;
  client: string;
  line: Line;
  user: string;
  info: unknown;
  cursors: Map<string, Cursor>;
  watching: Set<string>; // channels of whose members it hears
}

/** How many members the server's page has at most, and how many deletes a state remembers. */
const pageSize = 3;
const deletesKept = 4;

/** A server with logs that stay below `keep` entries and die with it. */
export class Server {
  readonly world: World;
  readonly keep: number;
  /** Everything ever published, by channel and epoch: what the logs would be had nothing been forgotten. */
  readonly book = new Map<string, Entry[]>();
  up = true;
  /** How long a member whose line was lost stays one. */
  graceMs = 10_000;
  /** How long a state's entries are apart on their way, so that a line can be cut between them. */
  stateGapMs = 3;
  #logs = new Map<string, Log>();
  #sessions = new Set<ServerSession>();
  #life = 0;
  #names = 0;
  #presence = new Map<string, { epoch: string; head: number; log: { offset: number; kind: string; member: Member }[]; members: Map<string, Member> }>();
  #lingering = new Map<string, () => void>(); // by session and channel: ends the waiting for it

  constructor(world: World, keep = Infinity) {
    this.world = world;
    this.keep = keep;
  }

  /** A client has come. Returns what takes its messages, and what is called when it has gone. */
  accept(line: Line): { take(text: string): void; gone(): void } {
    const s: ServerSession = {
      name: `s${++this.#names}`, client: '', line, user: '', info: undefined, cursors: new Map(), watching: new Set(),
    };
    this.#sessions.add(s);
    line.toClient(JSON.stringify({ type: 'connected', payload: { session: s.name, user: '' } }));
    return { take: (text) => this.#sessions.has(s) && this.#take(s, JSON.parse(text)), gone: () => this.#gone(s) };
  }

  /** Skips what the sessions are yet to be sent of a channel, and says so. */
  skip(channel: string, entries: () => void): void {
    const before = this.log(channel).head;
    const all = [...this.#sessions].filter((s) => s.cursors.has(channel) && this.world.random() < 0.5);
    const cursors = all.map((s) => s.cursors.get(channel) as Cursor);
    for (const c of cursors) c.offset = Infinity;
    entries();
    const to = this.log(channel).head;
    all.forEach((s, i) => {
      (cursors[i] as Cursor).offset = to;
      this.#say(s, channel, { type: 'gap', channel, payload: { from: before + 1, to, reason: 'slow_consumer' } });
    });
  }

  /** Who is on a channel. */
  members(channel: string): string[] {
    return [...this.#present(channel).members.keys()];
  }

  /** Stops taking messages, lets what was sent arrive, closes, and begins again with empty logs. */
  restart(drainMs: number): void {
    const sessions = [...this.#sessions];
    this.#sessions.clear();
    this.up = false;
    this.world.after(drainMs, () => {
      for (const s of sessions) s.line.closedByServer(4000);
      this.#logs.clear();
      this.#presence.clear();
      for (const cancel of this.#lingering.values()) cancel();
      this.#lingering.clear();
      this.#life++;
      this.up = true;
    });
  }

  publish(channel: string, payload: unknown, more: Partial<Entry> = {}): void {
    this.#append(channel, payload, '', more);
  }

  log(channel: string): Log {
    let log = this.#logs.get(channel);
    if (log === undefined) {
      log = {
        epoch: `e${this.#life}`, entries: [], head: 0, seen: new Map(), cells: new Map(), deleted: new Map(), forgotten: 0,
      };
      this.#logs.set(channel, log);
    }
    return log;
  }

  #take(s: ServerSession, m: any): void {
    const reply = (payload: unknown) => s.line.toClient(JSON.stringify({ type: 'reply', id: m.id, channel: m.channel, payload }));
    switch (m.type) {
      case 'connect':
        s.user = m.payload.user ?? '';
        s.info = m.payload.info;
        if (s.client === '' && m.payload.client) s.name = `of-${m.payload.client}`;
        s.client = m.payload.client;
        return reply({ session: s.name, user: s.user });
      case 'ping':
        return s.line.toClient(JSON.stringify({ type: 'pong', id: m.id }));
      case 'subscribe':
        return this.#subscribe(s, m, reply);
      case 'unsubscribe':
        s.cursors.delete(m.channel);
        this.#leave(s.name, m.channel);
        s.watching.delete(m.channel);
        return reply({});
      case 'publish':
        return this.#publish(s, m, reply);
      case 'presence':
        return this.#presencePage(m, reply);
      case 'state':
        return this.#statePage(m, reply);
    }
  }

  #publish(s: ServerSession, m: any, reply: (payload: unknown) => void): void {
    const log = this.log(m.channel);
    const seen = log.seen.get(s.client);
    if (seen !== undefined && m.seq <= seen.seq) return reply({ epoch: log.epoch, offset: seen.offset, duplicate: true });
    const last = m.key === undefined ? (log.entries.at(-1)?.offset ?? 0) : (log.cells.get(m.key)?.offset ?? 0);
    if (m.expect !== undefined && m.expect !== last) {
      const error = { code: 1409, name: 'conflict', message: 'not as expected', retry_after_ms: 0, epoch: log.epoch, offset: last };
      return s.line.toClient(JSON.stringify({ type: 'error', id: m.id, channel: m.channel, error }));
    }
    const offset = this.#append(m.channel, m.payload, s.name, m);
    log.seen.set(s.client, { seq: m.seq, offset });
    reply({ epoch: log.epoch, offset });
    if (m.ttl_ms !== undefined && m.key !== undefined) {
      this.world.after(m.ttl_ms, () => {
        if (log.cells.get(m.key)?.offset === offset && this.log(m.channel) === log) this.#append(m.channel, null, '', { key: m.key, op: 'delete' });
      });
    }
  }

  #append(channel: string, payload: unknown, session: string, more: Partial<Entry> = {}): number {
    const log = this.log(channel);
    log.head += 1 + this.world.upTo(log.head === 0 ? 1000 : 3); // with holes, so that nobody counts
    const { key, op, score, tags, encoding } = more;
    const entry: Entry = { offset: log.head, payload, session, ...(encoding && { encoding }), ...(key && { key }), ...(op && { op }), ...(score && { score }), ...(tags && { tags }) };
    log.entries.push(entry);
    if (key !== undefined) this.#compact(log, key, entry);
    if (log.entries.length > this.keep) log.entries.shift();
    const name = `${channel} ${log.epoch}`;
    const book = this.book.get(name);
    if (book === undefined) this.book.set(name, [entry]);
    else book.push(entry);
    for (const s of this.#sessions) this.#feed(s, channel);
    return entry.offset;
  }

  #compact(log: Log, key: string, entry: Entry): void {
    const before = log.cells.get(key);
    log.cells.delete(key); // and to the end with it: the order is that of offsets
    log.deleted.delete(key);
    if (entry.op !== 'delete') {
      const grown = String(before?.payload ?? '') + String(entry.payload);
      const bytes = () => btoa(atob(String(before?.payload ?? '')) + atob(String(entry.payload)));
      const payload = entry.op !== 'append' ? entry.payload : entry.encoding === 'base64' ? bytes() : grown;
      log.cells.set(key, { ...entry, op: 'set', payload });
      return;
    }
    log.deleted.set(key, entry.offset);
    for (const [gone, at] of log.deleted) {
      if (log.deleted.size <= deletesKept) break;
      log.deleted.delete(gone);
      log.forgotten = at;
    }
  }

  #subscribe(s: ServerSession, m: any, reply: (payload: unknown) => void): void {
    const log = this.log(m.channel);
    const from = m.payload.from;
    let recovered = true;
    let offset = log.head;
    let state: Entry[] | undefined;
    if (from.last !== undefined) offset = (log.entries.at(-from.last) ?? log.entries[0] ?? { offset: log.head + 1 }).offset - 1;
    if (from === 'state') state = [...log.cells.values()];
    if (from.epoch !== undefined) {
      const kept = this.book.get(`${m.channel} ${log.epoch}`) ?? [];
      const gone = kept.slice(0, kept.length - log.entries.length).at(-1)?.offset ?? 0;
      const ours = from.epoch === log.epoch && from.offset <= log.head;
      recovered = ours && from.offset >= gone;
      offset = recovered ? from.offset : 0;
      if (!recovered && from.state) {
        recovered = ours && from.offset >= log.forgotten;
        const deletes = [...log.deleted].map(([key, at]) => ({ offset: at, key, op: 'delete' as const, payload: undefined, session: '' }));
        state = recovered ? [...log.cells.values(), ...deletes] : [...log.cells.values()];
        state = state.filter((e) => !recovered || e.offset > from.offset).sort((a, b) => a.offset - b.offset);
        offset = log.head;
      }
    }
    s.cursors.set(m.channel, { offset, busyUntil: 0 });
    const presence = m.payload.presence && this.#enter(s, m);
    reply({ epoch: log.epoch, offset: log.head, recovered, ...(presence && { presence }) });
    if (presence && m.payload.presence.epoch === presence.epoch) this.#missedMembers(s, m.channel, m.payload.presence.offset);
    for (const e of state ?? []) this.#say(s, m.channel, this.#message(m.channel, { ...e, op: e.op === 'delete' ? 'delete' : undefined } as Entry), this.stateGapMs);
    this.#feed(s, m.channel);
  }

  #message(channel: string, e: Entry): unknown {
    const { session, ...rest } = e;
    return { type: 'message', channel, time: this.world.now, from: session === '' ? undefined : { session }, ...rest };
  }

  #feed(s: ServerSession, channel: string): void {
    const log = this.log(channel);
    const cursor = s.cursors.get(channel);
    if (cursor === undefined) return;
    for (const e of log.entries) {
      if (e.offset > cursor.offset) this.#say(s, channel, this.#message(channel, e));
    }
    cursor.offset = Math.max(cursor.offset, log.head);
  }

  /** Sends something of a channel after all that was said of it before, unless the session has left it by then. */
  #say(s: ServerSession, channel: string, message: unknown, takes = 0): void {
    const cursor = s.cursors.get(channel);
    if (cursor === undefined) return;
    const text = JSON.stringify(message);
    if (takes === 0 && cursor.busyUntil <= this.world.now) return s.line.toClient(text);
    cursor.busyUntil = Math.max(cursor.busyUntil, this.world.now) + takes;
    this.world.after(cursor.busyUntil - this.world.now, () => s.cursors.get(channel) === cursor && s.line.toClient(text));
  }

  #statePage(m: any, reply: (payload: unknown) => void): void {
    const log = this.log(m.channel);
    const all = [...log.cells.values()];
    if (m.payload.order === 'score') all.sort((a, b) => (b.score ?? 0) - (a.score ?? 0) || a.offset - b.offset);
    const begin = Number(m.payload.next ?? 0);
    const end = begin + (m.payload.limit ?? 100);
    const messages = all.slice(begin, end).map(({ session, op, ...e }) => ({ time: 1, ...e }));
    reply({ epoch: log.epoch, offset: log.head, count: all.length, messages, ...(end < all.length && { next: String(end) }) });
  }

  // Presence: a log of its own, in which those who lose their line stay for a while.

  #present(channel: string) {
    let p = this.#presence.get(channel);
    if (p === undefined) {
      this.#presence.set(channel, (p = { epoch: `p${this.#life}`, head: this.world.upTo(1000), log: [], members: new Map() }));
    }
    return p;
  }

  #enter(s: ServerSession, m: any): { count: number; epoch: string; offset: number } {
    const p = this.#present(m.channel);
    const asked = m.payload.presence;
    if (asked !== 'watch') {
      this.#lingering.get(`${s.name} ${m.channel}`)?.();
      this.#lingering.delete(`${s.name} ${m.channel}`);
      const kind = p.members.has(s.name) ? 'update' : 'join';
      const member = { session: s.name, user: s.user, ...(s.info !== undefined && { info: s.info }) };
      const changed = kind === 'join' || JSON.stringify(p.members.get(s.name)) !== JSON.stringify(member);
      if (changed) this.#tell(m.channel, kind, member);
    }
    s.watching.add(m.channel);
    return { count: p.members.size, epoch: p.epoch, offset: p.head };
  }

  #missedMembers(s: ServerSession, channel: string, after: number): void {
    const p = this.#present(channel);
    for (const { offset, kind, member } of p.log) {
      if (offset > after && member.session !== s.name) this.#say(s, channel, { type: kind, channel, epoch: p.epoch, offset, members: [member] });
    }
  }

  #tell(channel: string, kind: 'join' | 'leave' | 'update', member: Member): void {
    const p = this.#present(channel);
    p.head += 1 + this.world.upTo(3);
    p.log.push({ offset: p.head, kind, member });
    if (kind === 'leave') p.members.delete(member.session);
    else p.members.set(member.session, member);
    for (const s of this.#sessions) {
      if (!s.watching.has(channel) || s.name === member.session) continue;
      this.#say(s, channel, { type: kind, channel, epoch: p.epoch, offset: p.head, members: [member] });
    }
  }

  #leave(name: string, channel: string): void {
    const member = this.#present(channel).members.get(name);
    if (member !== undefined) this.#tell(channel, 'leave', { session: member.session, user: member.user });
  }

  /** A line is gone without a goodbye: who was a member stays one for a while. */
  #gone(s: ServerSession): void {
    if (!this.#sessions.delete(s)) return;
    for (const channel of s.watching) {
      const key = `${s.name} ${channel}`;
      this.#lingering.get(key)?.();
      this.#lingering.set(key, this.world.after(this.graceMs, () => {
        this.#lingering.delete(key);
        this.#leave(s.name, channel);
      }));
    }
  }

  #presencePage(m: any, reply: (payload: unknown) => void): void {
    const p = this.#present(m.channel);
    const all = [...p.members.values()].sort((a, b) => (a.session < b.session ? -1 : 1));
    const rest = all.filter((x) => m.payload.next === undefined || x.session > m.payload.next);
    const members = rest.slice(0, Math.min(pageSize, m.payload.limit));
    const next = rest.length > members.length ? members.at(-1)?.session : undefined;
    reply({ count: all.length, members, epoch: p.epoch, offset: p.head, ...(next && { next }) });
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
  /** Who hears what happens on a channel, besides `seen`. */
  readonly hosts = new Map<string, ChannelHost>();
  readonly waiters = new Map<number, { resolve: (payload: unknown) => void; reject: (error: unknown) => void }>();
  state = 'connecting';
  name = '';
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

  publish(channel: string, payload: unknown, fields: Record<string, unknown> = {}): number {
    const ticket = ++this.#ticket;
    this.input({ type: 'publish', ticket, fields: { channel, payload, ...fields } });
    return ticket;
  }

  /** The channel as an application has it. */
  channel(name: string, options: ChannelOptions): Channel {
    const ask = (input: (ticket: number) => Input) =>
      new Promise<unknown>((resolve, reject) => {
        const ticket = ++this.#ticket;
        this.waiters.set(ticket, { resolve, reject });
        this.input(input(ticket));
      });
    return new Channel(name, options, {
      subscribe: (wanted) => this.subscribe(name, wanted),
      unsubscribe: () => this.input({ type: 'unsubscribe', channel: name }),
      publish: (fields) => ask((ticket) => ({ type: 'publish', ticket, fields: { channel: name, ...fields } })),
      request: (request) => ask((ticket) => ({ type: 'request', ticket, request: { channel: name, ...request } })),
      self: () => ({ session: this.name, user: '', info: undefined }),
      after: (ms, fn) => this.#world.after(ms, fn),
      register: (host) => this.hosts.set(name, host),
    });
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
        case 'connected':
          this.name = o.connected.session;
          break;
        case 'answer':
          this.answers.set(o.ticket, o.payload);
          this.waiters.get(o.ticket)?.resolve(o.payload);
          break;
        case 'failure':
          this.failures.set(o.ticket, o.error);
          this.waiters.get(o.ticket)?.reject(o.error);
          break;
        case 'channel':
          this.hosts.get(o.channel)?.(o.event);
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
  hasTicketSource: false,
  backoff: defaultBackoff,
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  pingEveryMs: 10_000,
  pongTimeoutMs: 5_000,
  maxQueued: 1_000,
};
