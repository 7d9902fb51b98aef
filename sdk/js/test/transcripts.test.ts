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
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

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
  introduces?: boolean;
}

/** How an SDK proves who it is: by a ticket, or by tokens that the transcript gives it when it asks. */
interface Proof {
  ticket?: string;
  /** Answers the SDK's question for a token; undefined while it asks for none. */
  give?: ((token: string) => void) | undefined;
  /** What the proof is worth has not been told. */
  coming: boolean;
  /** The server has ended the connection, and the SDK comes back. */
  away: boolean;
  /** It has come back: what it has followed it asks for by itself. */
  back: boolean;
}

/** One SDK in the place of a client. */
class Actor {
  readonly conn: Connection;
  readonly proof: Proof | undefined;
  readonly #sockets: Socket[] = [];
  readonly asked = new Map<unknown, Asked>();
  readonly skipped = new Set<unknown>();
  readonly told: { event: string; value: any }[] = [];
  readonly followed = new Map<string, Channel>();

  readonly #world: World;

  constructor(world: World, query: string, session: string, proof?: { ticket?: string }) {
    const sockets = this.#sockets;
    const Made = class extends Socket {
      constructor(url: string) {
        super(url);
        sockets.push(this);
      }
    };
    this.#world = world;
    this.proof = proof && { ...proof, coming: true, away: false, back: false };
    const ask = () => new Promise<string>((resolve) => Object.assign(this.proof!, { give: resolve }));
    const source = proof === undefined ? {} : proof.ticket === undefined ? { token: ask } : { ticket: () => proof.ticket! };
    const clock = { now: () => world.now, after: (ms: number, fn: () => void) => world.after(ms, fn) };
    const user = new URLSearchParams(query).get('user') ?? undefined;
    this.conn = connect('ws://test', { WebSocket: Made as never, clock, random: () => 0.5, pingEveryMs: 1e9, pongTimeoutMs: 1e9, ...(user && { user }), ...source });
    this.conn.on('event', (value) => this.told.push({ event: 'event', value }));
    this.conn.on('error', (value) => this.told.push({ event: 'error', value }));
    if (proof !== undefined) return; // it is told what it is worth
    this.socket.onopen?.({} as never);
    const hello = this.take('connect');
    expect(hello.payload.client, 'a client has an id').toMatch(/^.{1,64}$/);
    this.socket.hears({ type: 'reply', id: hello.id, payload: { session, user: user ?? '' } });
    this.take('ping');
  }

  /** The connection that it has opened last. */
  get socket(): Socket {
    return this.#sockets.at(-1) as Socket;
  }

  /**
   * Has the SDK introduce itself as the transcript's client does: with a token, at first or in the place of one before, or on a
   * connection that was opened with a ticket. False when it does not.
   */
  async prove(m: any): Promise<boolean> {
    const { proof } = this;
    const token = m.payload.token;
    if (proof === undefined || (token === undefined && !proof.coming)) return false;
    if (token !== undefined) {
      for (let i = 0; i < 100 && proof.give === undefined; i++) await this.#pass(100);
      if (proof.give === undefined) return false; // it has asked for another already, which was refused
      proof.give(token);
      proof.give = undefined;
    }
    await this.#pass(0);
    if (proof.away) Object.assign(proof, { away: false, back: true, coming: true });
    if (proof.coming && token !== undefined) this.#opened();
    const sent = this.take('connect');
    expect([sent.payload.token, typeof sent.payload.client]).toEqual([token, 'string']);
    this.asked.set(m.id, { id: sent.id, result: {}, introduces: true });
    return true;
  }

  /** Opens the connection that the SDK wants to prove itself on. */
  #opened(): void {
    expect(new URL(this.socket.url).searchParams.get('ticket'), 'the ticket').toBe(this.proof?.ticket ?? null);
    this.socket.onopen?.({} as never);
  }

  /** The same where it has a ticket. */
  async knock(): Promise<this> {
    await this.#pass(0);
    this.#opened();
    return this;
  }

  /** Tells the SDK what became of its proof. False for what is told later. */
  async decided(m: any): Promise<boolean> {
    const { proof } = this;
    const asked = this.asked.get(m.id);
    if (proof === undefined || !(proof.coming || asked?.introduces)) return false;
    const reply = m.type === 'reply' && asked !== undefined;
    if (reply) m.payload.expires_at = this.#world.now + 35_000; // soon enough for it to ask for the next one
    this.hears(m);
    await this.#pass(0);
    if (m.type === 'error') expect(this.#told('error')).toMatchObject({ code: m.error.code, message: m.error.message });
    if (!reply) return true;
    proof.coming = false;
    if (proof.back) this.take('ping');
    expect([this.conn.session, this.conn.user, this.conn.features]).toEqual([m.payload.session, m.payload.user, m.payload.features]);
    return true;
  }

  /** The server closes, and the SDK does what the code says. False when it was the end. */
  async closed(text: string): Promise<boolean> {
    const [, code, reason] = /^close ([0-9]+) ?(.*)$/.exec(text) ?? [];
    const told: any[] = [];
    this.conn.on('state', (event) => told.push(event));
    (this.socket as any).onclose?.({ code: Number(code), reason });
    await this.#pass(0);
    const back = Number(code) < 4200 || this.proof?.ticket !== undefined; // another ticket may do
    expect(told[0]).toMatchObject({ state: back ? 'waiting' : 'closed', error: { code: Number(code), name: reason } });
    if (!back) return false;
    Object.assign(this.proof!, { away: true, give: undefined });
    return true;
  }

  async #pass(ms: number): Promise<void> {
    this.#world.run(ms);
    for (let i = 0; i < 8; i++) await Promise.resolve();
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
        if (this.proof?.back && this.followed.has(channel)) {
          const sent = this.take('subscribe'); // by itself
          expect(sent).toEqual({ ...m, id: sent.id });
          this.asked.set(m.id, { id: sent.id, result: {} });
          return true;
        }
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
      case 'connect': {
        const { info, ...rest } = payload;
        if (info === undefined || Object.keys(rest).length > 0 || this.proof !== undefined) return false; // it introduces itself by itself
        this.conn.setInfo(info);
        const sent = this.take('connect');
        expect(sent.payload.info).toEqual(info);
        const { session, user } = this.conn;
        if (m.id === undefined) this.socket.hears({ type: 'reply', id: sent.id, payload: { session, user } }); // it wants an answer
        else this.asked.set(m.id, { id: sent.id, result: {}, introduces: true });
        return true;
      }
      default: // ping and presence the SDK sends by itself
        return false;
    }
  }

  /** Makes sure that the SDK has told what the transcript's client receives. */
  heard(m: any): void {
    const asked = this.asked.get(m.id);
    if (m.type === 'error' && asked?.introduces) return expect(this.#told('error')).toMatchObject({ code: m.error.code, message: m.error.message });
    if (m.type === 'error' && m.id !== undefined) return expect(asked?.result.error, 'the request fails').toMatchObject({ code: m.error.code, name: m.error.name, retryAfterMs: m.error.retry_after_ms, ...(m.error.name !== 'timeout' && { message: m.error.message }) });
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
        const { offset, time, key, tags, op = 'set', score = 0 } = m;
        const payload = m.encoding === 'base64' ? Uint8Array.from(atob(m.payload), (c) => c.charCodeAt(0)) : m.payload;
        return expect(this.#told(`message ${m.channel}`)).toMatchObject({ offset, time, payload, key, tags, op, score, from: m.from });
      }
      case 'position':
        return expect(channel.position?.offset).toBe(m.offset);
      case 'gap':
        return expect(this.#told(`gap ${m.channel}`)).toEqual(m.payload);
      case 'unsubscribed':
        this.followed.delete(m.channel);
        return expect([channel.state, this.#told(`unsubscribed ${m.channel}`).error.code]).toEqual(['unsubscribed', m.payload.code]);
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
      channel.on('unsubscribed', (value) => this.told.push({ event: `unsubscribed ${name}`, value }));
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
  const lines = new Set<number>(); // connections that are open, and on which nothing has been said
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
    } else if (sign === '=' && text.startsWith('dial')) {
      if (actor?.proof?.away && actor.proof.ticket === undefined) continue; // it does so by itself
      actor?.conn.close();
      actors.delete(client);
      lines.delete(client);
      const ticket = /^dial \?ticket=(<ticket:[a-z]+>)$/.exec(text)?.[1];
      if (text === 'dial') lines.add(client);
      if (ticket !== undefined) {
        actors.set(client, await new Actor(world, '', '', { ticket: values.fill(ticket) }).knock());
      }
    } else if (sign === '!' && actor?.proof !== undefined) {
      driven++;
      try {
        if (!(await actor.closed(text))) actors.delete(client);
      } catch (error) {
        throw new Error(`${at}: ${(error as Error).message}`, { cause: error });
      }
    } else if (sign === '!' || sign === '=' && /^(cut|close)/.test(text)) {
      actor?.conn.close();
      actors.delete(client);
    } else if (sign === '>') {
      let m: any;
      try {
        m = JSON.parse(values.fill(text));
      } catch {
        continue; // no JSON at all
      }
      const fresh = lines.delete(client);
      if (fresh && m.type === 'connect' && m.payload?.token !== undefined) actors.set(client, (actor = new Actor(world, '', '', {})));
      if (actor === undefined) continue;
      try {
        if (m.type === 'connect' && (await actor.prove(m))) driven++;
        else if (actor.proof?.coming) continue; // it waits for the answer
        else if (actor.send(m)) driven++;
        else actor.skipped.add(m.id);
      } catch (error) {
        throw new Error(`${at}: ${(error as Error).message}`, { cause: error });
      }
    } else if (sign.startsWith('<')) {
      const filled = values.fill(text.replaceAll('[<rest>]', '[]').replaceAll(',<rest>}', '}')); // also where nobody hears it: values are made up in order
      if (actor === undefined || /<rest>$|"session":"[^"]*",<rest>/.test(text)) continue; // a greeting
      const m = JSON.parse(filled);
      if (m.id === undefined ? m.type === 'error' && !actor.proof?.coming : !actor.asked.has(m.id)) continue; // it answers what no SDK sends
      driven++;
      try {
        if (await actor.decided(m)) continue;
      } catch (error) {
        throw new Error(`${at}: ${(error as Error).message}`, { cause: error });
      }
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
