import type { BackoffSettings } from './backoff.ts';
import { readPayload } from './bytes.ts';
import { HocketError, localError, tooLong } from './errors.ts';
import { Link, type LinkSettings } from './link.ts';
import { Outbox } from './outbox.ts';
import { type Connected, parseMessage, type ServerMessage, type SubscribeReply } from './protocol.ts';
import { type Failure, type Request, Requests } from './requests.ts';
import { type ChannelEvent, Subscription } from './subscription.ts';
import type { ChannelOptions, ConnectionState } from './types.ts';

/** What can happen to a session. The number `ticket` is the caller's own number for something that will be answered. */
export type Input =
  | { type: 'start' }
  | { type: 'stop' }
  | { type: 'opened' }
  | { type: 'received'; text: string }
  | { type: 'closed'; code: number; reason: string }
  | { type: 'token'; token: string }
  | { type: 'ticket'; text: string } // the proof for one connection
  | { type: 'no token'; error: HocketError } // or ticket
  | { type: 'info'; info: unknown }
  | { type: 'online' }
  | { type: 'tick' }
  /** `keyed`: what is encrypted end to end can be decrypted. */
  | { type: 'subscribe'; channel: string; options: ChannelOptions; keyed?: boolean }
  | { type: 'unsubscribe'; channel: string }
  | { type: 'publish'; ticket: number; fields: Record<string, unknown> }
  | { type: 'request'; ticket: number; request: Request };

/** What a session wants done, in this order. */
export type Output =
  | { type: 'open'; url: string }
  /** Close the socket with this code and hear nothing more of it. */
  | { type: 'drop'; code: number }
  | { type: 'send'; text: string }
  | { type: 'get token' }
  | { type: 'get ticket' }
  | { type: 'state'; state: ConnectionState; previous: ConnectionState; retryInMs?: number; error?: HocketError }
  | { type: 'connected'; connected: Connected }
  | { type: 'latency'; ms: number }
  | { type: 'error'; error: HocketError }
  /** What others see of this session is this: the server has not taken what came later. */
  | { type: 'info'; info: unknown }
  | { type: 'event'; payload: unknown }
  | { type: 'channel'; channel: string; event: ChannelEvent }
  | { type: 'answer'; ticket: number; payload: unknown }
  | { type: 'failure'; ticket: number; error: HocketError };

/** What a session needs to know. Times are in milliseconds. */
export interface SessionSettings extends Omit<LinkSettings, 'backoff'> {
  backoff: BackoffSettings;
  requestTimeoutMs: number;
  /** How many publishes may wait. */
  maxQueued: number;
}

/** The name of a channel's presence log begins with this. */
const presenceLog = '$presence:';

/**
 * A client's whole behaviour without I/O, clock or chance of its own: what happens goes in with the time at which it
 * happened, what is to be done comes out. {@link Connection} drives it with a WebSocket and timers; a test or a
 * simulation can drive it with anything.
 */
export class Session {
  readonly #settings: SessionSettings;
  readonly #random: () => number;
  readonly #link: Link;
  readonly #requests: Requests;
  readonly #outbox: Outbox;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #keyed = new Set<string>(); // channels whose payloads can be decrypted
  readonly #asking = new Map<number, Subscription>(); // by the id of the open subscribe
  #lastId = 0;
  #out: Output[] = [];

  constructor(settings: SessionSettings, random: () => number) {
    this.#settings = settings;
    this.#random = random;
    this.#requests = new Requests(settings.requestTimeoutMs);
    this.#outbox = new Outbox(settings.maxQueued);
    const emit = (o: Output) => this.#out.push(o);
    this.#link = new Link(settings, random, {
      open: (url) => emit({ type: 'open', url }),
      drop: (code) => emit({ type: 'drop', code }),
      send: (text) => this.#send(text),
      newId: () => this.#newId(),
      getToken: () => emit({ type: 'get token' }),
      getTicket: () => emit({ type: 'get ticket' }),
      stateChanged: (state, previous, retryInMs, error) =>
        emit({ type: 'state', state, previous, ...(retryInMs !== undefined && { retryInMs }), ...(error && { error }) }),
      latency: (ms) => emit({ type: 'latency', ms }),
      failed: (error) => emit({ type: 'error', error }),
      infoIs: (info) => emit({ type: 'info', info }),
      greeted: (now) => this.#subscribeAll(now),
      up: () => this.#flush(),
      down: () => this.#down(),
      ended: (error) => this.#ended(error),
    });
  }

  /** Takes what has happened at `now` (milliseconds, never going backwards), and gives what is to be done. */
  next(input: Input, now: number): Output[] {
    this.#take(input, now);
    const out = this.#out;
    this.#out = [];
    return out;
  }

  /** When the session wants a `tick`, in the time of {@link next}; undefined: not before something else happens. */
  get wakeAt(): number | undefined {
    let first = this.#link.wakeAt;
    const consider = (t: number | undefined) => {
      if (t !== undefined && (first === undefined || t < first)) first = t;
    };
    consider(this.#requests.deadline);
    if (this.#link.open) {
      for (const s of this.#subscriptions.values()) consider(s.deadline(this.#settings.requestTimeoutMs));
    }
    return first;
  }

  #take(input: Input, now: number): void {
    switch (input.type) {
      case 'start':
        return this.#link.start(now);
      case 'stop':
        return this.#link.stop();
      case 'opened':
        return this.#link.opened(now);
      case 'received':
        return this.#received(input.text, now);
      case 'closed':
        if (input.code === 1009) this.#dropTooLarge();
        return this.#link.closed(input.code, input.reason, now);
      case 'token':
        return this.#link.gotToken(input.token, now);
      case 'ticket':
        return this.#link.gotTicket(input.text, now);
      case 'no token':
        return this.#link.noToken(input.error, now);
      case 'info':
        return this.#link.setInfo(input.info);
      case 'online':
        return this.#link.online(now);
      case 'tick':
        return this.#tick(now);
      case 'subscribe':
        if (input.keyed) this.#keyed.add(input.channel);
        return this.#subscribe(input.channel, input.options, now);
      case 'unsubscribe':
        return this.#unsubscribe(input.channel);
      case 'publish':
        return this.#publish(input.ticket, input.fields);
      case 'request':
        return this.#request(input.ticket, input.request, now);
    }
  }

  #tick(now: number): void {
    this.#link.tick(now);
    this.#failAll(this.#requests.expire(now));
    if (!this.#link.open) return;
    for (const s of this.#subscriptions.values()) {
      if (s.tick(now, this.#settings.requestTimeoutMs)) this.#sendUnsubscribe(s.channel);
      if (s.wants(now)) this.#ask(s, now);
    }
  }

  // What the application asks for.

  #subscribe(channel: string, options: ChannelOptions, now: number): void {
    if (this.#link.state === 'closed') {
      const event: ChannelEvent = { type: 'unsubscribed', error: closedError(), retrying: false };
      this.#out.push({ type: 'channel', channel, event });
      return;
    }
    let s = this.#subscriptions.get(channel);
    if (s === undefined) {
      const emit = (event: ChannelEvent) => this.#out.push({ type: 'channel', channel, event });
      s = new Subscription(channel, options, this.#settings.backoff, this.#random, emit);
      this.#subscriptions.set(channel, s);
    }
    s.want();
    if (this.#link.open && s.wants(now)) this.#ask(s, now);
  }

  #unsubscribe(channel: string): void {
    const s = this.#subscriptions.get(channel);
    if (s === undefined) return;
    this.#subscriptions.delete(channel);
    const known = s.state === 'subscribing' || s.state === 'subscribed';
    if (known && this.#link.open) this.#sendUnsubscribe(channel);
    s.leave(localError('unsubscribed', `unsubscribe from ${channel} was called`));
  }

  #publish(ticket: number, fields: Record<string, unknown>): void {
    try {
      if (this.#link.state === 'closed') throw closedError();
      this.#outbox.add(ticket, fields);
    } catch (error) {
      this.#out.push({ type: 'failure', ticket, error: error as HocketError });
      return;
    }
    if (this.#link.connected) this.#flush();
  }

  #request(ticket: number, request: Request, now: number): void {
    if (this.#link.state === 'closed') {
      this.#out.push({ type: 'failure', ticket, error: closedError() });
      return;
    }
    this.#requests.add(ticket, request, now);
    if (this.#link.connected) this.#flush();
  }

  // What the line does.

  /** `connect` is under way; subscriptions need not wait for its answer. Publishes do: a refused one would be lost. */
  #subscribeAll(now: number): void {
    for (const s of this.#subscriptions.values()) {
      if (s.wants(now)) this.#ask(s, now);
    }
  }

  /** Sends what waits: publishes in the order they were made, then requests. */
  #flush(): void {
    const newId = () => this.#newId();
    for (let m = this.#outbox.next(newId); m !== undefined; m = this.#outbox.next(newId)) this.#sendShort(m);
    for (let m = this.#requests.next(newId); m !== undefined; m = this.#requests.next(newId)) this.#sendShort(m);
  }

  /** Sends the message that has just got its id, or answers for the server where it is too long. */
  #sendShort(text: string): void {
    const error = tooLong(text, this.#link.messageBytes);
    if (error === undefined) return this.#send(text);
    const told = this.#outbox.refusal(this.#lastId, error);
    const ticket = this.#outbox.answered(this.#lastId) ?? this.#requests.answered(this.#lastId);
    if (ticket !== undefined) this.#out.push({ type: 'failure', ticket, error: told });
  }

  #down(): void {
    this.#asking.clear();
    for (const s of this.#subscriptions.values()) s.lost();
    this.#outbox.lost();
    this.#failAll(this.#requests.lost());
  }

  #ended(error: HocketError): void {
    this.#failAll(this.#outbox.clear(error));
    this.#failAll(this.#requests.clear(error));
    for (const s of this.#subscriptions.values()) s.leave(error);
    this.#subscriptions.clear();
  }

  /** The server closed because of a message it will never take: sent again, it would close every line anew. */
  #dropTooLarge(): void {
    const ticket = this.#outbox.dropLongest();
    const error = new HocketError(1109, 'too_large', 'the server closed the connection because of this message');
    if (ticket !== undefined) this.#out.push({ type: 'failure', ticket, error });
  }

  // What the server says.

  #received(text: string, now: number): void {
    if (!this.#link.open) return;
    this.#link.alive();
    const m = parseMessage(text);
    if (m === undefined) return;
    switch (m.type) {
      case 'reply':
        return this.#reply(m, now);
      case 'error':
        return this.#error(m, now);
      case 'connected':
        return; // the reply to our `connect` says the same, and knows the session's lasting name
      case 'ping':
        return this.#send('{"type":"pong"}');
      case 'pong':
        return this.#link.pong(m.id, now);
      case 'event':
        this.#out.push({ type: 'event', payload: readPayload(m) });
        return;
      case 'reconnect':
        return this.#reconnect(m, now);
      case 'unsubscribed':
        return this.#unsubscribed(m, now);
      default:
        return this.#push(m, now);
    }
  }

  #reply(m: ServerMessage, now: number): void {
    if (this.#link.isConnect(m.id)) {
      const connected = m.payload as Connected;
      this.#out.push({ type: 'connected', connected });
      return this.#link.welcomed(connected, now);
    }
    const s = this.#askedBy(m);
    if (s !== undefined) return this.#confirm(s, m.payload as SubscribeReply, now);
    const ticket = this.#ticketOf(m);
    if (ticket !== undefined) this.#out.push({ type: 'answer', ticket, payload: m.payload });
  }

  #confirm(s: Subscription, reply: SubscribeReply, now: number): void {
    if (!reply.e2e || this.#keyed.has(s.channel)) return s.confirm(reply, now);
    this.#sendUnsubscribe(s.channel);
    s.fail(localError('no_key', `${s.channel} is encrypted end to end: give connect() an option e2e that covers it`), now);
  }

  #error(m: ServerMessage, now: number): void {
    const error = HocketError.from(m.error);
    if (this.#link.isConnect(m.id) || (m.id === undefined && this.#link.mayBeTooLong(error))) return this.#link.refused(error, now);
    const s = this.#askedBy(m);
    if (s !== undefined) return s.fail(error, now);
    const told = this.#outbox.refusal(m.id, error);
    const ticket = this.#ticketOf(m);
    if (ticket !== undefined) this.#out.push({ type: 'failure', ticket, error: told });
    else this.#out.push({ type: 'error', error });
  }

  #reconnect(m: ServerMessage, now: number): void {
    const p = (m.payload ?? {}) as { after_ms?: number; url?: string };
    this.#link.move(p.after_ms ?? 0, p.url, now);
  }

  #unsubscribed(m: ServerMessage, now: number): void {
    const s = this.#subscriptions.get(m.channel ?? '');
    if (s?.state === 'subscribed') s.fail(HocketError.from(m.payload), now);
  }

  #push(m: ServerMessage, now: number): void {
    const channel = m.channel ?? '';
    if (m.type === 'gap' && channel.startsWith(presenceLog)) {
      return this.#subscriptions.get(channel.slice(presenceLog.length))?.missedPresence();
    }
    const s = this.#subscriptions.get(channel);
    if (s?.received(m, now) === 'begin again') this.#askAnew(s, now);
  }

  /** The subscription whose request this message answers, once. */
  #askedBy(m: ServerMessage): Subscription | undefined {
    const id = Number(m.id);
    const s = this.#asking.get(id);
    this.#asking.delete(id);
    return s?.isAsking(id) ? s : undefined;
  }

  #ticketOf(m: ServerMessage): number | undefined {
    if (typeof m.id !== 'number') return undefined;
    const ticket = this.#outbox.answered(m.id);
    if (ticket === undefined) return this.#requests.answered(m.id);
    this.#flush(); // there is room for another publish now
    return ticket;
  }

  #ask(s: Subscription, now: number): void {
    const id = this.#newId();
    const text = s.request(id, now);
    const error = tooLong(text, this.#link.messageBytes);
    if (error !== undefined) return s.fail(error, now);
    this.#asking.set(id, s);
    this.#send(text);
  }

  #askAnew(s: Subscription, now: number): void {
    this.#sendUnsubscribe(s.channel);
    this.#ask(s, now);
  }

  #sendUnsubscribe(channel: string): void {
    this.#send(JSON.stringify({ type: 'unsubscribe', id: this.#newId(), channel }));
  }

  #send(text: string): void {
    this.#out.push({ type: 'send', text });
  }

  #newId(): number {
    return ++this.#lastId;
  }

  #failAll(failures: Failure[]): void {
    for (const { ticket, error } of failures) this.#out.push({ type: 'failure', ticket, error });
  }
}

function closedError(): HocketError {
  return localError('closed', 'the connection is closed');
}
