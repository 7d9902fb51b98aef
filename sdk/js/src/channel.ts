import { bytesOf, toBase64 } from './bytes.ts';
import { Emitter } from './emitter.ts';
import { type HocketError, localError, needNumbers } from './errors.ts';
import { LiveMap } from './map.ts';
import { Presence } from './presence.ts';
import type { Position, ServerMessage } from './protocol.ts';
import { Sealed } from './sealed.ts';
import type { Request } from './requests.ts';
import { type ChannelEvent, toMessage } from './subscription.ts';
import type {
  ChannelOptions, ChannelState, GapEvent, History, HistoryOptions, Member, Message, Published, PublishOptions, ResetEvent, Sealer, State,
  StateOptions, SubscribedEvent, UnreadableEvent,
} from './types.ts';

/** The events of a {@link Channel}. */
export interface ChannelEvents {
  message: Message;
  /** With end-to-end encryption: a payload could not be decrypted. */
  unreadable: UnreadableEvent;
  /** Entries are missing for good. */
  gap: GapEvent;
  /** The subscription could not go on where it stood. */
  reset: ResetEvent;
  /**
   * Everything up to here has come, or was not for this client: its own with `echo: false`, filtered, sampled or expired
   * entries. Given as `from`, it goes on from here.
   */
  position: Position;
  /** With `from: 'state'`: all the keys there were have come. */
  sync: undefined;
  subscribed: SubscribedEvent;
  /** The subscription has ended; with `retrying` it is made again by itself. */
  unsubscribed: { error: HocketError; retrying: boolean };
  state: ChannelState;
}

/** Takes what happens on a channel. */
export type ChannelHost = (event: ChannelEvent) => void;

/** What a channel asks of its connection. */
export interface ChannelLink {
  /** What encrypts the payloads of this channel. */
  sealer?: Sealer | undefined;
  /** `keyed`: what is encrypted can be decrypted. */
  subscribe(options: ChannelOptions, keyed: boolean): void;
  unsubscribe(): void;
  publish(fields: Record<string, unknown>): Promise<unknown>;
  request(request: Request): Promise<unknown>;
  /** What the present session is as a member. */
  self(): Member;
  /** Calls `fn` after a time, unless the function it returns is called before. */
  after(ms: number, fn: () => void): () => void;
  register(host: ChannelHost): void;
}

/** How many messages an async iterator keeps for a reader that is behind. */
const iteratorBound = 10_000;

/** A channel as this client sees it. Made by `connection.channel(name)`. */
export class Channel extends Emitter<ChannelEvents> implements AsyncIterable<Message> {
  readonly name: string;
  /** Who is on the channel; kept while it is subscribed with `presence`. */
  readonly presence: Presence;
  readonly #link: ChannelLink;
  readonly #sealed: Sealed | undefined;
  #options: ChannelOptions;
  #state: ChannelState = 'unsubscribed';
  #subscribing: { promise: Promise<void>; resolve: () => void; reject: (e: HocketError) => void } | undefined;
  #map: LiveMap | undefined;
  #position: Position | undefined;

  /** @internal */
  constructor(name: string, options: ChannelOptions, link: ChannelLink) {
    super();
    this.name = name;
    this.#options = options;
    this.#link = link;
    this.presence = new Presence(
      (payload) => link.request({ type: 'presence', payload }),
      () => link.self().session,
      (ms, fn) => link.after(ms, fn),
      () => (this.#state === 'subscribed' && this.#options.presence === true ? link.self() : undefined),
    );
    const tell = (event: ChannelEvent) => this.#happened(event);
    this.#sealed = link.sealer && new Sealed(name, link.sealer, tell);
    link.register((event) => (this.#sealed ? this.#sealed.take(event) : tell(event)));
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** Whether payloads are encrypted end to end. */
  get encrypted(): boolean {
    return this.#sealed !== undefined;
  }

  /** How far the channel has come here; undefined before the first message. See the event `position`. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** @internal Takes options as long as they can still take effect. */
  configure(options: ChannelOptions): void {
    if (this.#state !== 'unsubscribed') throw new TypeError(`${this.name} is subscribed already: its options stand`);
    this.#options = { ...this.#options, ...options };
  }

  /**
   * Follows the channel until {@link unsubscribe}, over every reconnect. Resolves when the server has confirmed it for
   * the first time, however long the line takes; rejects when it is refused for good.
   */
  subscribe(): Promise<void> {
    if (this.#state === 'subscribed') return Promise.resolve();
    if (this.#subscribing === undefined) {
      const { promise, resolve, reject } = deferred();
      promise.catch(() => {}); // whoever does not wait hears of it by `unsubscribed`
      this.#subscribing = { promise, resolve, reject };
      this.#link.subscribe(this.#options, this.#sealed !== undefined);
      return promise;
    }
    return this.#subscribing.promise;
  }

  /** Stops following the channel. */
  unsubscribe(): void {
    this.#link.unsubscribe();
  }

  /**
   * Publishes. Resolves when the entry is in the log. Without a line it waits, in order with the others; it never times
   * out, because an entry given up might still arrive. It rejects when the server refuses it (a new publish is then a
   * new entry), when too many wait, and when the connection is closed; with a {@link ConflictError} when `expect` does
   * not hold, and with an {@link UnknownOutcomeError} when it may have been published all the same; with `no_key` where the
   * channel is encrypted and there is no key. The payload is read at once: an ArrayBuffer or a view of one, such as a
   * Uint8Array, is published as its bytes, anything else as JSON.
   */
  async publish(payload: unknown, options: PublishOptions = {}): Promise<Published> {
    needNumbers(options);
    const { key, op, echo, idempotencyKey, expect, ttlMs, score, ephemeral, tags } = options;
    const bytes = bytesOf(payload);
    const fields = {
      ...(bytes === undefined || this.#sealed ? { payload: bytes ?? payload } : { payload: toBase64(bytes), encoding: 'base64' }),
      ...(key !== undefined && { key }),
      ...(op !== undefined && op !== 'set' && { op }),
      ...(echo === false && { echo }),
      ...(idempotencyKey !== undefined && { idempotency_key: idempotencyKey }),
      ...(expect !== undefined && { expect }),
      ...(ttlMs !== undefined && { ttl_ms: ttlMs }),
      ...(score !== undefined && { score }),
      ...(ephemeral && { ephemeral }),
      ...(tags !== undefined && { tags }),
    };
    const send = (f: Record<string, unknown>) => this.#link.publish(f);
    const reply = (await (this.#sealed ? this.#sealed.publish(fields, send) : send(fields))) as Partial<Published>;
    return { epoch: reply.epoch ?? '', offset: reply.offset ?? 0, duplicate: reply.duplicate === true };
  }

  /** Reads older messages, oldest first. */
  async history(options: HistoryOptions = {}): Promise<History> {
    needNumbers(options);
    const reply = (await this.#link.request({ type: 'history', payload: options })) as {
      epoch: string; offset: number; messages?: ServerMessage[]; more?: boolean;
    };
    return { epoch: reply.epoch, offset: reply.offset, messages: await this.#page(reply), more: reply.more === true };
  }

  /** Reads a page of the channel's state, without following it: the latest entry of each key. */
  async readState(options: StateOptions = {}): Promise<State> {
    needNumbers(options);
    const reply = (await this.#link.request({ type: 'state', payload: options })) as {
      epoch: string; offset: number; messages?: ServerMessage[]; count?: number; next?: string;
    };
    const { epoch, offset, count, next } = reply;
    return { epoch, offset, messages: await this.#page(reply), count: count ?? 0, next };
  }

  async #page(reply: { epoch: string; messages?: ServerMessage[] }): Promise<Message[]> {
    const messages = (reply.messages ?? []).map((m) => toMessage({ channel: this.name, ...m }, reply.epoch, false));
    return this.#sealed ? this.#sealed.openAll(messages) : messages;
  }

  /** The channel as a live map: each key with its latest value. It subscribes with `from: 'state'`. */
  map<V = unknown>(): LiveMap<V> {
    if (this.#map === undefined) {
      if (this.#options.from !== 'state') this.configure({ from: 'state' });
      this.#map = new LiveMap(this);
    }
    void this.subscribe().catch(() => {}); // `unsubscribed` tells
    return this.#map as LiveMap<V>;
  }

  /**
   * The messages from now on; it subscribes when nobody has. It ends with the subscription. A reader that lets 10,000
   * messages wait gets an `iterator_overflow` error.
   */
  async *[Symbol.asyncIterator](): AsyncIterator<Message> {
    const waiting: Message[] = [];
    let ended: { error?: HocketError } | undefined;
    let wake = () => {};
    const ends = [
      this.on('message', (m) => {
        if (waiting.length < iteratorBound) waiting.push(m);
        else ended ??= { error: localError('iterator_overflow', `${iteratorBound} messages wait to be read`) };
        wake();
      }),
      this.on('unsubscribed', ({ retrying }) => {
        if (!retrying) ended ??= {};
        wake();
      }),
    ];
    try {
      await this.subscribe();
      while (ended === undefined || waiting.length > 0) {
        const m = waiting.shift();
        if (m !== undefined) yield m;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
      if (ended.error !== undefined) throw ended.error;
    } finally {
      for (const end of ends) end();
    }
  }

  #happened(event: ChannelEvent): void {
    switch (event.type) {
      case 'message':
        return this.emit('message', event.message);
      case 'unreadable':
        return this.emit('unreadable', { message: event.message, error: event.error });
      case 'gap':
        return this.emit('gap', event.gap);
      case 'reset':
        return this.emit('reset', event.reset);
      case 'state':
        this.#state = event.state;
        return this.emit('state', event.state);
      case 'subscribed':
        if (this.#options.presence) this.presence.subscribed(event.presence, this.#options.maxMembers);
        this.emit('subscribed', event.subscribed);
        this.#subscribing?.resolve();
        this.#subscribing = undefined;
        return;
      case 'unsubscribed':
        return this.#unsubscribed(event.error, event.retrying);
      case 'presence':
        return this.presence.changed(event.kind, event.members, event.position);
      case 'presence changed':
        return this.presence.changedUnseen(event.count);
      case 'position':
        this.#position = event.position;
        return this.emit('position', event.position);
      case 'whole':
        return this.emit('sync', undefined);
    }
  }

  #unsubscribed(error: HocketError, retrying: boolean): void {
    this.emit('unsubscribed', { error, retrying });
    if (retrying) return;
    this.#position = undefined;
    this.presence.clear();
    this.#subscribing?.reject(error);
    this.#subscribing = undefined;
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void; reject: (e: HocketError) => void } {
  let resolve = () => {};
  let reject: (e: HocketError) => void = () => {};
  const promise = new Promise<void>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}
