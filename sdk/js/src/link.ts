import { Backoff, type BackoffSettings } from './backoff.ts';
import { closeError, HocketError, localError, timeoutError, tooLong } from './errors.ts';
import { CloseCode, ErrorCode } from './errors.gen.ts';
import { type Connected, verdict } from './protocol.ts';
import type { ConnectionState } from './types.ts';

/** What a link needs to know. Times are in milliseconds. */
export interface LinkSettings {
  url: string;
  /** Random, and kept as long as this client lives: `seq` counts under it. */
  client: string;
  user?: string | undefined;
  info?: unknown;
  /** A token that cannot be replaced. */
  token?: string | undefined;
  /** Whether the host can get tokens. */
  hasTokenSource: boolean;
  /** A ticket, good for one connection. */
  ticket?: string | undefined;
  /** Whether the host can get tickets: one for each attempt. */
  hasTicketSource: boolean;
  backoff: BackoffSettings;
  connectTimeoutMs: number;
  pingEveryMs: number;
  pongTimeoutMs: number;
}

/** What a link asks of the session around it. */
export interface LinkHost {
  open(url: string): void;
  /** Drops the socket with this close code; nothing it still says is heard. */
  drop(code: number): void;
  send(text: string): void;
  newId(): number;
  getToken(): void;
  getTicket(): void;
  stateChanged(state: ConnectionState, previous: ConnectionState, retryInMs?: number, error?: HocketError): void;
  latency(ms: number): void;
  failed(error: HocketError): void;
  /** The server has not taken the new info: it is still this. */
  infoIs(info: unknown): void;
  /** `connect` has been sent; what need not wait for its answer may follow. */
  greeted(now: number): void;
  up(now: number): void;
  down(now: number): void;
  ended(error: HocketError): void;
}

/** The close codes of a client: what it holds on the server ends with the first, and waits for it after the second. */
const goodbye = 1000;
const comingBack = 4000;

/** What refuses the info of a `connect`: permission_denied where it comes with the proof of identity. */
const aboutInfo = new Set<number>([ErrorCode.info_too_large, ErrorCode.too_large, ErrorCode.permission_denied]);

type Phase = 'idle' | 'token' | 'ticket' | 'opening' | 'greeting' | 'connected' | 'waiting' | 'closed';

/** How long a callback for a token or ticket may take, in multiples of connectTimeoutMs: people may have to type a password. */
const tokenPatience = 6;
/** After an `error` to `connect` the server closes with a code that says what to do. It may have this long, in ms. */
const verdictWithinMs = 1_000;
/** Tokens are refreshed this long before they expire, but never more often than refreshEveryMs. */
const refreshAheadMs = 30_000;
const refreshEveryMs = 10_000;

/**
 * The life of one connection: token, ticket, socket, `connect`, pings, loss, backoff, and over again. It does no I/O and reads
 * no clock: the session tells it what happened and when, and it asks its host to act.
 */
export class Link {
  readonly #settings: LinkSettings;
  readonly #host: LinkHost;
  readonly #backoff: Backoff;
  #phase: Phase = 'idle';
  #state: ConnectionState = 'connecting';
  #deadline: number | undefined; // of the present phase; in `waiting` the moment of the next attempt
  #url: string;
  #token: string | undefined;
  #ticket: string | undefined;
  #ticketRefused = false; // the last attempt that the server answered: a second refusal is the end
  #info: unknown;
  #infoIsNew = false; // the server has not been told
  #taken: { info: unknown } | undefined; // what a server took, undefined before the first
  #messageBytes: number | undefined; // how long a message may be
  #sent: unknown; // the info of the last `connect`
  #connectId = -1;
  #refusal: HocketError | undefined; // the error that answered `connect`
  #upSince: number | undefined;
  #ping: { id: number; sentAt: number } | undefined;
  #pingAt: number | undefined;
  #silentBy: number | undefined; // the line is dead when nothing has come by then
  #refreshAt: number | undefined;
  #moveAt: number | undefined; // the server asked us to reconnect then

  constructor(settings: LinkSettings, random: () => number, host: LinkHost) {
    this.#settings = settings;
    this.#host = host;
    this.#backoff = new Backoff(settings.backoff, random);
    this.#url = settings.url;
    this.#token = settings.token;
    this.#ticket = settings.ticket;
    this.#info = settings.info;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get connected(): boolean {
    return this.#phase === 'connected';
  }

  /** Whether the server hears us, though it may not have answered `connect` yet. */
  get open(): boolean {
    return (this.#phase === 'greeting' && this.#refusal === undefined) || this.#phase === 'connected';
  }

  /** How many bytes a message to the server may have; undefined while that is not known. */
  get messageBytes(): number | undefined {
    return this.#messageBytes;
  }

  /** When {@link tick} wants to be called. */
  get wakeAt(): number | undefined {
    const times = [this.#deadline];
    if (this.#phase === 'connected') times.push(this.#pingAt, this.#silentBy, this.#refreshAt, this.#moveAt);
    const due = times.filter((t) => t !== undefined);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /** Begins an attempt. */
  start(now: number): void {
    this.#enter('connecting');
    if (this.#settings.hasTokenSource && this.#token === undefined) {
      this.#wait('token', now + tokenPatience * this.#settings.connectTimeoutMs);
      this.#host.getToken();
      return;
    }
    if (this.#settings.hasTicketSource) {
      this.#wait('ticket', now + tokenPatience * this.#settings.connectTimeoutMs);
      this.#host.getTicket();
      return;
    }
    this.#open(this.#ticket, now);
  }

  /** The host has got a token, to begin with or to refresh the one in use. */
  gotToken(token: string, now: number): void {
    this.#token = token;
    if (this.#phase === 'token') this.start(now);
    else if (this.#phase === 'connected') this.#connect();
  }

  /** The host has got a ticket for the attempt under way. One that comes too late is left to expire. */
  gotTicket(ticket: string, now: number): void {
    if (this.#phase === 'ticket') this.#open(ticket, now);
  }

  /** The host could not get a token or ticket. */
  noToken(error: HocketError, now: number): void {
    this.#host.failed(error);
    if (this.#phase === 'token' || this.#phase === 'ticket') this.#retry(error, now);
    else if (this.#phase === 'connected') this.#refreshAt = now + refreshEveryMs;
  }

  /** What others see of this session has changed. */
  setInfo(info: unknown): void {
    this.#info = info;
    this.#infoIsNew = true;
    if (this.#phase === 'connected') this.#connect();
  }

  /** The socket is open. */
  opened(now: number): void {
    if (this.#phase !== 'opening') return;
    this.#phase = 'greeting';
    this.#refusal = undefined;
    this.#connect();
    this.#host.greeted(now);
  }

  /** Something came over the line, so it is alive. */
  alive(): void {
    this.#silentBy = undefined;
  }

  /** Whether the answer with this id belongs to the link. */
  isConnect(id: number | string | undefined): boolean {
    return id === this.#connectId;
  }

  /** Whether an error that names no request is about `connect`: the first one may be too long, which nobody can know before. */
  mayBeTooLong(error: HocketError): boolean {
    return this.#phase === 'greeting' && this.#connectId !== -1 && error.code === ErrorCode.too_large;
  }

  /** `connect` was answered: the session stands, or its token has been refreshed. */
  welcomed(reply: Connected, now: number): void {
    this.#connectId = -1;
    this.#refreshAt = undefined;
    this.#messageBytes = reply.limits?.message_bytes;
    this.#taken = { info: this.#sent };
    if (this.#settings.hasTokenSource && reply.expires_at) {
      this.#refreshAt = Math.max(now + refreshEveryMs, reply.expires_at - refreshAheadMs);
    }
    if (this.#phase !== 'greeting') return;
    this.#wait('connected', undefined);
    this.#ticketRefused = false;
    this.#ticket = undefined;
    this.#upSince = now;
    this.#enter('connected');
    this.#host.up(now);
    if (this.#infoIsNew) this.#connect(); // it changed while the first connect was under way
    this.#sendPing(now);
  }

  /** `connect` was answered with an error. In a session that stands only the new token or info was refused. */
  refused(error: HocketError, now: number): void {
    this.#connectId = -1;
    this.#host.failed(error);
    const back = aboutInfo.has(error.code) && (this.#infoIsNew || this.#takeBack());
    if (this.#phase !== 'greeting') return;
    if (back) return this.#connect();
    this.#refusal = error;
    this.#deadline = now + verdictWithinMs;
  }

  pong(id: number | string | undefined, now: number): void {
    if (this.#ping === undefined || id !== this.#ping.id) return;
    this.#host.latency(now - this.#ping.sentAt);
    this.#ping = undefined;
  }

  /** The server asks to connect anew after a while, perhaps elsewhere. Until then the line stays in use. */
  move(afterMs: number, url: string | undefined, now: number): void {
    if (this.#phase !== 'connected' || this.#spent) return;
    this.#moveAt = now + Math.max(0, afterMs);
    if (url !== undefined && this.#mayMoveTo(url)) this.#url = url;
  }

  /** The socket has closed, or could not be opened (1006). */
  closed(code: number, reason: string, now: number): void {
    if (this.#phase !== 'opening' && this.#phase !== 'greeting' && this.#phase !== 'connected') return;
    const error = closeError(code, reason);
    if (this.#phase === 'opening') this.#url = this.#settings.url; // the address we were sent to does not answer
    const what = verdict(code);
    const move = this.#moveAt;
    const again = code === CloseCode.unauthenticated && this.#mayAskAgain();
    if (what === 'stop' && !again) return this.#end(error);
    this.#lose(now);
    if (what === 'token') return this.#renew(error, now);
    if (code === CloseCode.rate_limited) this.#backoff.atLeast(4);
    if (move !== undefined) return this.#retryAt(Math.max(move, now), error, now);
    this.#retry(error, now);
  }

  /** The network is back, says the browser: a waiting link tries at once. */
  online(now: number): void {
    if (this.#phase === 'waiting') this.start(now);
  }

  /** Time has passed. */
  tick(now: number): void {
    if (this.#deadline !== undefined && this.#deadline <= now) this.#expired(now);
    if (this.#phase !== 'connected') return;
    if (due(this.#silentBy, now)) {
      return this.#giveUp(timeoutError('ping', this.#settings.pongTimeoutMs), now);
    }
    if (due(this.#moveAt, now)) {
      this.#host.drop(comingBack);
      this.#lose(now);
      return this.start(now);
    }
    if (due(this.#refreshAt, now)) {
      this.#refreshAt = undefined;
      this.#host.getToken();
    }
    if (due(this.#pingAt, now)) this.#sendPing(now);
  }

  /** The application closes the connection. */
  stop(): void {
    if (this.#phase === 'closed') return;
    if (this.#phase !== 'idle' && this.#phase !== 'waiting' && this.#phase !== 'token' && this.#phase !== 'ticket') {
      this.#host.drop(goodbye);
    }
    this.#end(localError('closed', 'the connection was closed by close()'));
  }

  #open(ticket: string | undefined, now: number): void {
    this.#wait('opening', now + this.#settings.connectTimeoutMs);
    this.#host.open(ticket === undefined ? this.#url : withTicket(this.#url, ticket));
  }

  #connect(): void {
    this.#infoIsNew = false;
    const id = this.#host.newId();
    const text = this.#introduction(id);
    const error = tooLong(text, this.#messageBytes);
    if (error !== undefined && this.#takeBack()) {
      this.#host.failed(error);
      if (this.#phase === 'greeting') this.#connect();
      return;
    }
    this.#connectId = id;
    this.#sent = this.#info;
    this.#host.send(text);
  }

  #introduction(id: number): string {
    const { client, user } = this.#settings;
    return JSON.stringify({ type: 'connect', id, payload: { client, user, info: this.#info, token: this.#token } });
  }

  /** Goes back to the info that a server took, where there is one and the present one is another. */
  #takeBack(): boolean {
    if (this.#taken === undefined || this.#taken.info === this.#info) return false;
    this.#info = this.#taken.info;
    this.#infoIsNew = false;
    this.#host.infoIs(this.#info);
    return true;
  }

  #sendPing(now: number): void {
    this.#ping = { id: this.#host.newId(), sentAt: now };
    this.#pingAt = now + this.#settings.pingEveryMs;
    this.#silentBy ??= now + this.#settings.pongTimeoutMs; // a later ping gives a silent line no more time
    this.#host.send(`{"type":"ping","id":${this.#ping.id}}`);
  }

  /** The present phase has taken too long. */
  #expired(now: number): void {
    const { connectTimeoutMs } = this.#settings;
    switch (this.#phase) {
      case 'waiting':
        return this.start(now);
      case 'token':
        return this.#retry(timeoutError('the token callback', tokenPatience * connectTimeoutMs), now);
      case 'ticket':
        return this.#retry(timeoutError('the ticket callback', tokenPatience * connectTimeoutMs), now);
      case 'opening':
        this.#url = this.#settings.url;
        return this.#giveUp(timeoutError('connecting', connectTimeoutMs), now);
      case 'greeting':
        return this.#refusal === undefined
          ? this.#giveUp(timeoutError('connect', connectTimeoutMs), now)
          : this.#afterRefusal(this.#refusal, now);
    }
  }

  /** The server refused `connect` and did not close: the error's own code decides. */
  #afterRefusal(error: HocketError, now: number): void {
    if (error.retryable) return this.#giveUp(error, now);
    this.#host.drop(comingBack);
    if (error.code !== ErrorCode.unauthenticated) return this.#end(error);
    if (this.#settings.hasTicketSource && !this.#mayAskAgain()) return this.#end(error);
    this.#lose(now);
    this.#renew(error, now);
  }

  /** Whether a refused ticket may be followed by another. One may: it may have expired on its way. */
  #mayAskAgain(): boolean {
    const may = this.#settings.hasTicketSource && !this.#ticketRefused;
    this.#ticketRefused = true;
    return may;
  }

  /** A new token or ticket is needed before the next attempt. */
  #renew(error: HocketError, now: number): void {
    if (!this.#settings.hasTokenSource && !this.#settings.hasTicketSource) return this.#end(error);
    this.#token = undefined;
    this.#retry(error, now);
  }

  #giveUp(error: HocketError, now: number): void {
    this.#host.drop(comingBack);
    this.#lose(now);
    this.#retry(error, now);
  }

  /** Forgets everything that belonged to the line. */
  #lose(now: number): void {
    if (this.#upSince !== undefined && now - this.#upSince >= this.#settings.backoff.stableMs) this.#backoff.reset();
    this.#upSince = undefined;
    this.#connectId = -1;
    this.#refusal = undefined;
    this.#ping = this.#pingAt = this.#silentBy = this.#refreshAt = this.#moveAt = undefined;
    this.#phase = 'idle';
    this.#host.down(now);
  }

  #retry(error: HocketError, now: number): void {
    this.#retryAt(now + Math.max(error.retryAfterMs, this.#backoff.next()), error, now);
  }

  #retryAt(at: number, error: HocketError, now: number): void {
    if (this.#spent) return this.#end(localError('no_token', `the ticket has been used, and no callback gets another (${error.message})`));
    this.#wait('waiting', at);
    this.#enter('waiting', at - now, error);
  }

  #end(error: HocketError): void {
    this.#wait('closed', undefined);
    this.#host.ended(error);
    this.#enter('closed', undefined, error);
  }

  /** Whether the only proof there was has been used. */
  get #spent(): boolean {
    const { ticket, hasTokenSource } = this.#settings;
    return ticket !== undefined && this.#ticket === undefined && !hasTokenSource && this.#token === undefined;
  }

  #wait(phase: Phase, until: number | undefined): void {
    this.#phase = phase;
    this.#deadline = until;
  }

  #enter(state: ConnectionState, retryInMs?: number, error?: HocketError): void {
    const previous = this.#state;
    this.#state = state;
    if (previous !== state || state === 'waiting') this.#host.stateChanged(state, previous, retryInMs, error);
  }

  /** A server may send us elsewhere, but not from an encrypted line to an open one. */
  #mayMoveTo(url: string): boolean {
    let to: URL;
    try {
      to = new URL(url);
    } catch {
      return false;
    }
    return to.protocol === 'wss:' || (to.protocol === 'ws:' && !this.#settings.url.startsWith('wss:'));
  }
}

function withTicket(url: string, ticket: string): string {
  const to = new URL(url);
  to.searchParams.set('ticket', ticket);
  return to.href;
}

function due(at: number | undefined, now: number): boolean {
  return at !== undefined && at <= now;
}
