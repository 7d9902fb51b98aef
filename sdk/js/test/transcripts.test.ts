// The conversations in spec/transcripts with the SDK in the client's place: what a line says that a client sends, the SDK is
// asked for by its own API and has to send; what a line says that a client receives, it is sent and has to tell. The README
// there says which lines an SDK cannot take.
/// <reference types="vite/client" />
import { expect, test } from 'vitest';
import { type Channel, connect, type Connection, type Message, type SocketLike } from '../src/index.ts';
import { World } from './sim.ts';

const files = import.meta.glob<string>('../../../spec/transcripts/*', { query: '?raw', import: 'default', eager: true });
const texts = new Map(Object.entries(files).map(([path, text]) => [path.replace(/.*\//, ''), text]));
/** The ones in which there is nothing for an SDK to do. */
const outside = new Set([...(texts.get('README.md') ?? '').matchAll(/^- `([a-z-]+)`: /gm)].map((m) => `${m[1]}.txt`));

interface Step {
  line: number;
  client: number;
  sign: string;
  text: string;
}

function read(text: string): Step[] {
  return text.split('\n').flatMap((row, i) => {
    const m = /^([0-9]*)(>|<\*|<|@|!|=) (.+)$/.exec(row.trim());
    return m ? [{ line: i + 1, client: Number(m[1] || 1), sign: m[2] as string, text: m[3] as string }] : [];
  });
}

/** Values for placeholders, made up where the server would. Names of offsets are letters in the order of the log. */
class Values {
  #known = new Map<string, string>();
  #last = 1_000;

  fill(text: string): string {
    return text.replace(/<([a-z]+)(?::([a-z0-9]+)(?: (?:after|not) [a-z0-9]+)?)?>/g, (_, kind: string, name?: string) => {
      const known = name && this.#known.get(`${kind}:${name}`);
      if (known) return known;
      const number = ['offset', 'time', 'ms'].includes(kind);
      if (kind === 'offset') this.#last = name === undefined ? this.#last + 1 : 1_000 + 50 * (name.charCodeAt(0) - 96);
      const value = number ? String(kind === 'offset' ? this.#last : 1_795_000_000_000) : `${kind}-${name ?? ''}`;
      if (name) this.#known.set(`${kind}:${name}`, value);
      return value;
    });
  }
}

class Socket implements SocketLike {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly sent: any[] = [];

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {}

  hears(m: unknown): void {
    this.onmessage?.({ data: JSON.stringify(m) } as never);
  }
}

/** Answers of the API that were awaited, by the id in the transcript. */
interface Asked {
  /** The id under which the SDK sent it. */
  id: number;
  result: { value?: any; error?: any };
}

/** One SDK in the place of a client. */
class Actor {
  readonly conn: Connection;
  readonly socket: Socket;
  readonly asked = new Map<unknown, Asked>();
  readonly skipped = new Set<unknown>();
  readonly told: { event: string; value: any }[] = [];
  readonly followed = new Map<string, Channel>();

  constructor(world: World, query: string, session: string) {
    const sockets: Socket[] = [];
    const Made = class extends Socket {
      constructor() {
        super();
        sockets.push(this);
      }
    };
    const clock = { now: () => world.now, after: (ms: number, fn: () => void) => world.after(ms, fn) };
    const user = new URLSearchParams(query).get('user') ?? undefined;
    this.conn = connect('ws://test', { WebSocket: Made as never, clock, random: () => 0.5, pingEveryMs: 1e9, pongTimeoutMs: 1e9, ...(user && { user }) });
    this.socket = sockets[0] as Socket;
    this.socket.onopen?.({} as never);
    const hello = this.take('connect');
    expect(hello.payload.client, 'a client has an id').toMatch(/^.{1,64}$/);
    this.socket.hears({ type: 'reply', id: hello.id, payload: { session, user: user ?? '' } });
    this.take('ping');
    this.conn.on('event', (value) => this.told.push({ event: 'event', value }));
    this.conn.on('error', (value) => this.told.push({ event: 'error', value }));
  }

  /** Takes the oldest message of this type that the SDK has sent. */
  take(type: string): any {
    const i = this.socket.sent.findIndex((m) => m.type === type);
    expect(i, `the SDK sends a ${type}; it has sent ${JSON.stringify(this.socket.sent)}`).toBeGreaterThanOrEqual(0);
    return this.socket.sent.splice(i, 1)[0];
  }

  /** Asks the SDK for what the transcript's client sends. False when its API cannot. */
  send(m: any): boolean {
    const { type, channel, payload = {}, key, op, echo, tags, expect: wants, ttl_ms, score, ephemeral, idempotency_key } = m;
    switch (type) {
      case 'subscribe': {
        const { from, ...rest } = payload;
        if (this.followed.has(channel) || m.id === undefined) return false; // subscribe() again is no request, and one waits for the answer
        if (typeof from === 'object' && from?.state !== undefined) return false; // only over a line that was lost
        if (typeof payload.presence === 'object') return false; // the same
        const start = from?.since_ms === undefined ? from : { sinceMs: from.since_ms };
        const followed = this.#channel(channel, { ...(start && { from: start }), ...rest });
        this.followed.set(channel, followed);
        const sent = this.#ask(m, followed.subscribe());
        const { presence: _, ...asked } = sent.payload;
        expect(asked).toEqual({ from: 'live', ...payload, presence: undefined });
        return true;
      }
      case 'unsubscribe': {
        const followed = this.followed.get(channel);
        if (followed === undefined) return false;
        this.followed.delete(channel);
        followed.unsubscribe();
        this.asked.set(m.id, { id: this.take('unsubscribe').id, result: {} });
        return true;
      }
      case 'publish': {
        if (m.encoding !== undefined || m.payload === undefined && op !== 'delete') return false;
        const sent = this.#ask(m, this.#channel(channel).publish(m.payload ?? null, {
          key, op, echo, tags, expect: wants, ttlMs: ttl_ms, score, ephemeral, idempotencyKey: idempotency_key,
        }));
        const { id: _, seq: __, op: ___, payload: ____, ...said } = sent;
        const { id: _i, seq: _s, op: _o, payload: _p, ...want } = m;
        expect(said).toEqual(want);
        expect([sent.payload, sent.op ?? 'set']).toEqual([m.payload ?? null, op ?? 'set']);
        expect(sent.seq === undefined).toBe(idempotency_key !== undefined);
        return true;
      }
      case 'history':
      case 'state': {
        if (channel === undefined) return false;
        const ch = this.#channel(channel);
        const sent = this.#ask(m, type === 'history' ? ch.history(payload) : ch.readState(payload));
        expect(sent.payload).toEqual(payload);
        return true;
      }
      case 'call': {
        if (m.method === undefined || m.encoding !== undefined) return false;
        const sent = this.#ask(m, this.conn.call(m.method, m.payload));
        expect(sent).toEqual({ ...m, id: sent.id });
        return true;
      }
      case 'pong':
        if (!this.socket.sent.some((sent) => sent.type === 'pong')) return false; // nobody has asked
        this.take('pong');
        return true;
      default: // connect, ping and presence the SDK sends by itself
        return false;
    }
  }

  /** Makes sure that the SDK has told what the transcript's client receives. */
  heard(m: any): void {
    const asked = this.asked.get(m.id);
    if (m.type === 'error' && m.id !== undefined) return expect(asked?.result.error, 'the request fails').toMatchObject({ code: m.error.code, name: m.error.name });
    if (m.type === 'error') return expect(this.#told('error')).toMatchObject({ code: m.error.code });
    if (m.type === 'event') return expect(this.#told('event')).toEqual(m.payload);
    const channel = this.followed.get(m.channel);
    if (m.type === 'reply' && asked?.result.value !== undefined) {
      const { messages, ...rest } = (m.payload ?? {}) as { messages?: any[] };
      if (m.channel === undefined || messages !== undefined) expect(asked.result.value).toMatchObject(rest);
      if (messages) expect(asked.result.value.messages.map((x: Message) => x.offset)).toEqual(messages.map((x) => x.offset));
    }
    if (channel === undefined) return;
    switch (m.type) {
      case 'message': {
        const { offset, time, payload, key, tags, op = 'set', score = 0 } = m;
        return expect(this.#told(`message ${m.channel}`)).toMatchObject({ offset, time, payload, key, tags, op, score, from: m.from });
      }
      case 'position':
        return expect(channel.position?.offset).toBe(m.offset);
      case 'gap':
        return expect(this.#told(`gap ${m.channel}`)).toEqual(m.payload);
      case 'presence':
        return expect(channel.presence.count).toBe(m.payload.count);
      case 'join':
      case 'update':
        for (const member of m.members) expect(channel.presence.get(member.session)).toMatchObject(member);
        return;
      case 'leave':
        for (const { session } of m.members) expect(channel.presence.get(session)).toBeUndefined();
    }
  }

  /** The text as it reaches the SDK: with the id that it gave the request. */
  hears(m: any): void {
    const id = this.asked.get(m.id)?.id;
    this.socket.hears(m.id === undefined ? m : { ...m, id });
  }

  #channel(name: string, options?: any): Channel {
    const channel = this.conn.channel(name);
    if (options !== undefined) channel.configure({ from: 'live', filter: undefined, presence: false, ...options });
    if (!this.#heard.has(name)) {
      this.#heard.add(name);
      channel.on('message', (value) => this.told.push({ event: `message ${name}`, value }));
      channel.on('gap', (value) => this.told.push({ event: `gap ${name}`, value }));
    }
    return channel;
  }

  readonly #heard = new Set<string>();

  #ask(m: any, promise: Promise<unknown>): any {
    const result: Asked['result'] = {};
    promise.then((value) => (result.value = value), (error: unknown) => (result.error = error));
    const sent = this.take(m.type);
    if (m.id !== undefined) this.asked.set(m.id, { id: sent.id, result });
    return sent;
  }

  #told(event: string): any {
    const i = this.told.findIndex((t) => t.event === event);
    expect(i, `the SDK tells a ${event}`).toBeGreaterThanOrEqual(0);
    return this.told.splice(i, 1)[0]?.value;
  }
}

test.each([...texts].filter(([name]) => name.endsWith('.txt')))('%s', async (name, script) => {
  const world = new World(1);
  const values = new Values();
  const actors = new Map<number, Actor>();
  let driven = 0;
  for (const { line, client, sign, text } of read(script)) {
    const at = `${name}:${line}`;
    let actor = actors.get(client);
    if (sign === '@') {
      world.run(Number(/[\d.]+/.exec(text)?.[0]) * (text.endsWith('ms') ? 1 : text.endsWith('s') ? 1_000 : 60_000));
    } else if (sign === '=' && text.startsWith('connect')) {
      actor?.conn.close();
      if (text.includes('channel=')) actors.delete(client); // the SDKs subscribe by request
      else actors.set(client, new Actor(world, text.slice('connect '.length), values.fill(`<session:${client}>`)));
    } else if (sign === '!' || sign === '=' && /^(cut|close|dial)/.test(text)) {
      actor?.conn.close();
      actors.delete(client);
    } else if (actor !== undefined && sign === '>') {
      let m: any;
      try {
        m = JSON.parse(values.fill(text));
      } catch {
        continue; // no JSON at all
      }
      try {
        if (actor.send(m)) driven++;
        else actor.skipped.add(m.id);
      } catch (error) {
        throw new Error(`${at}: ${(error as Error).message}`, { cause: error });
      }
    } else if (sign.startsWith('<')) {
      const filled = values.fill(text.replaceAll('[<rest>]', '[]').replaceAll(',<rest>}', '}')); // also where nobody hears it: values are made up in order
      if (actor === undefined || /<rest>$|"session":"[^"]*",<rest>/.test(text)) continue; // a greeting
      const m = JSON.parse(filled);
      if (m.id === undefined ? m.type === 'error' : !actor.asked.has(m.id)) continue; // it answers what no SDK sends
      driven++;
      actor.hears(m);
      for (let i = 0; i < 8; i++) await Promise.resolve();
      try {
        actor.heard(m);
      } catch (error) {
        throw new Error(`${at}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
  for (const actor of actors.values()) actor.conn.close();
  expect(outside.has(name), `${name} is listed as one that no SDK can take`).toBe(driven === 0);
});
