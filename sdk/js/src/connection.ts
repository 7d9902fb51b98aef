import { defaultBackoff } from './backoff.ts';
import { Channel, type ChannelHost } from './channel.ts';
import { Emitter } from './emitter.ts';
import { HocketError, localError } from './errors.ts';
import { type Connected, socketURL } from './protocol.ts';
import type { Request } from './requests.ts';
import { type Input, type Output, Session, type SessionSettings } from './session.ts';
import { systemClock } from './clock.ts';
import type {
  ChannelOptions, Clock, ConnectionState, ConnectOptions, RawEvent, Sealer, SocketConstructor, SocketLike, StateEvent, TokenSource,
} from './types.ts';

const subprotocol = 'hocket.v1.json';

/** The events of a {@link Connection}. */
export interface ConnectionEvents {
  /** The connection has changed its state. */
  state: StateEvent;
  /** The server has admitted this session, again or for the first time. */
  connected: Connected;
  /** A round trip was measured, in milliseconds. */
  latency: number;
  /** A payload for this session or user, on no channel. */
  event: unknown;
  /** What failed outside any request: a token, an answer without id. */
  error: HocketError;
  /** A text that crossed the socket. */
  raw: RawEvent;
}

interface Waiter {
  resolve(value: unknown): void;
  reject(error: HocketError): void;
}

/**
 * Connects to a Hocket server, and stays connected until `close()`. `url` is the server's address (`ws:`, `wss:`,
 * `http:`, `https:`, or a path on the page's own server); without a path it is `/v1/ws`. It returns at once: channels,
 * publishes and calls may be made right away and wait for the line.
 */
export function connect(url: string, options: ConnectOptions = {}): Connection {
  return new Connection(url, options);
}

/** One session with a server over however many sockets it takes. Made by {@link connect}. */
export class Connection extends Emitter<ConnectionEvents> {
  readonly #clock: Clock;
  readonly #session: Session;
  readonly #WebSocket: SocketConstructor;
  readonly #tokenSource: TokenSource | undefined;
  readonly #ticketSource: TokenSource | undefined;
  readonly #sealer: Sealer | undefined;
  readonly #channels = new Map<string, Channel>();
  readonly #hosts = new Map<string, ChannelHost>();
  readonly #waiters = new Map<number, Waiter>(); // by ticket
  readonly #inputs: Input[] = [];
  #running = false;
  #lastTicket = 0;
  #socket: SocketLike | undefined;
  #timer: (() => void) | undefined;
  #state: ConnectionState = 'connecting';
  #connected: Connected | undefined;
  #latency: number | undefined;
  #info: unknown; // what we tell about ourselves in presence
  readonly #online = () => this.#run({ type: 'online' });

  constructor(url: string, options: ConnectOptions) {
    super();
    const WebSocket = options.WebSocket ?? (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
    if (WebSocket === undefined) throw new TypeError('there is no global WebSocket: pass one as options.WebSocket');
    this.#WebSocket = WebSocket;
    this.#clock = options.clock ?? systemClock;
    this.#tokenSource = typeof options.token === 'function' ? options.token : undefined;
    this.#ticketSource = typeof options.ticket === 'function' ? options.ticket : undefined;
    this.#sealer = options.e2e;
    this.#info = options.info;
    this.#session = new Session(settings(url, options), options.random ?? Math.random);
    globalThis.addEventListener?.('online', this.#online);
    this.#run({ type: 'start' });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The last measured round trip in milliseconds; undefined before the first. */
  get latency(): number | undefined {
    return this.#latency;
  }

  /**
   * The public name of this session, as it stands in `from` and in presence; "" before the first. A server that knows
   * the client keeps it over reconnects.
   */
  get session(): string {
    return this.#connected?.session ?? '';
  }

  /** Who the server says we are; "" when anonymous. */
  get user(): string {
    return this.#connected?.user ?? '';
  }

  /** What the server can and has on, such as `history` or `tokens`; the protocol lists the names. Empty before it has admitted this session. */
  get features(): readonly string[] {
    return this.#connected?.features ?? [];
  }

  /**
   * The channel of that name. It is the same object every time; options may be given as long as it has not been
   * subscribed.
   */
  channel(name: string, options?: ChannelOptions): Channel {
    const known = this.#channels.get(name);
    if (known !== undefined) {
      if (options !== undefined) known.configure(options);
      return known;
    }
    const channel = new Channel(name, options ?? {}, {
      sealer: this.#sealer?.covers(name) ? this.#sealer : undefined,
      subscribe: (wanted, keyed) => this.#run({ type: 'subscribe', channel: name, options: wanted, keyed }),
      unsubscribe: () => this.#run({ type: 'unsubscribe', channel: name }),
      publish: (fields) => this.#ask((ticket) => ({ type: 'publish', ticket, fields: { channel: name, ...fields } })),
      request: (request) => this.#request({ channel: name, ...request }),
      self: () => ({ session: this.session, user: this.user, info: this.#info }),
      after: (ms, fn) => this.#clock.after(ms, fn),
      register: (host) => this.#hosts.set(name, host),
    });
    this.#channels.set(name, channel);
    return channel;
  }

  /**
   * Calls a method of the server or of the back end behind it. Rejects with the method's error, with `timeout`, or with
   * `connection_lost` when the line goes before the answer comes.
   */
  call(method: string, payload?: unknown): Promise<unknown> {
    return this.#request({ type: 'call', method, ...(payload !== undefined && { payload }) });
  }

  /**
   * Changes what others see of this session in presence, now and after every reconnect. Where the server does not take it,
   * because it is too large or comes with the proof of identity, an `error` says so, and others go on to see what they saw.
   */
  setInfo(info: unknown): void {
    this.#tellInfo(info);
    this.#run({ type: 'info', info });
  }

  #tellInfo(info: unknown): void {
    this.#info = info;
    for (const channel of this.#channels.values()) channel.presence.told(info);
  }

  /** Ends the connection for good. Whatever still waits is rejected with `closed`. */
  close(): void {
    this.#run({ type: 'stop' });
  }

  #request(request: Request): Promise<unknown> {
    return this.#ask((ticket) => ({ type: 'request', ticket, request }));
  }

  #ask(input: (ticket: number) => Input): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ticket = ++this.#lastTicket;
      this.#waiters.set(ticket, { resolve, reject });
      try {
        this.#run(input(ticket));
      } catch (error) {
        this.#waiters.delete(ticket); // a payload that cannot be JSON
        reject(error);
      }
    });
  }

  /** Takes one step. What listeners ask for meanwhile is done after it, so that outputs keep their order. */
  #run(input: Input): void {
    if (this.#running) {
      this.#inputs.push(input);
      return;
    }
    this.#running = true;
    try {
      for (let i: Input | undefined = input; i !== undefined; i = this.#inputs.shift()) {
        for (const output of this.#session.next(i, this.#clock.now())) this.#do(output);
      }
    } finally {
      this.#running = false;
    }
    this.#arm();
  }

  #arm(): void {
    this.#timer?.();
    this.#timer = undefined;
    const at = this.#session.wakeAt;
    if (at === undefined) return;
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#run({ type: 'tick' }));
  }

  #do(output: Output): void {
    switch (output.type) {
      case 'open':
        return this.#open(output.url);
      case 'drop':
        return this.#drop(output.code);
      case 'send':
        this.#socket?.send(output.text);
        return this.emit('raw', { direction: 'out', text: output.text });
      case 'get token':
        return this.#get('token', this.#tokenSource, (token) => this.#run({ type: 'token', token }));
      case 'get ticket':
        return this.#get('ticket', this.#ticketSource, (text) => this.#run({ type: 'ticket', text }));
      case 'state':
        return this.#stateChanged(output);
      case 'connected':
        this.#connected = output.connected;
        return this.emit('connected', output.connected);
      case 'latency':
        this.#latency = output.ms;
        return this.emit('latency', output.ms);
      case 'error':
        return this.emit('error', output.error);
      case 'info':
        return this.#tellInfo(output.info);
      case 'event':
        return this.emit('event', output.payload);
      case 'channel':
        return this.#hosts.get(output.channel)?.(output.event);
      case 'answer':
        this.#waiters.get(output.ticket)?.resolve(output.payload);
        this.#waiters.delete(output.ticket);
        return;
      case 'failure':
        this.#waiters.get(output.ticket)?.reject(output.error);
        this.#waiters.delete(output.ticket);
    }
  }

  #stateChanged(event: StateEvent): void {
    this.#state = event.state;
    if (event.state === 'closed') globalThis.removeEventListener?.('online', this.#online);
    const { state, previous, retryInMs, error } = event;
    this.emit('state', { state, previous, ...(retryInMs !== undefined && { retryInMs }), ...(error && { error }) });
  }

  #open(url: string): void {
    let socket: SocketLike;
    try {
      socket = new this.#WebSocket(url, [subprotocol]);
    } catch (error) {
      this.#run({ type: 'closed', code: 1006, reason: String(error).replaceAll(url, url.replace(/\?.*/, '')) }); // no ticket
      return;
    }
    this.#socket = socket;
    socket.onopen = () => this.#run({ type: 'opened' });
    socket.onmessage = (event: { data: unknown }) => {
      if (typeof event.data !== 'string') return; // JSON travels in text messages
      this.emit('raw', { direction: 'in', text: event.data });
      this.#run({ type: 'received', text: event.data });
    };
    socket.onerror = () => {}; // a close event always follows and says more
    socket.onclose = (event: { code: number; reason: string }) => {
      this.#socket = undefined;
      this.#run({ type: 'closed', code: event.code, reason: event.reason });
    };
  }

  /** Lets go of the socket. A dead line answers no close, so nothing waits for one. */
  #drop(code: number): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #get(what: string, source: TokenSource | undefined, got: (text: string) => void): void {
    if (source === undefined) return;
    new Promise<string>((resolve) => resolve(source())).then(
      got,
      (error: unknown) => {
        const known = error instanceof HocketError ? error : localError('no_token', `the ${what} callback failed: ${String(error)}`);
        this.#run({ type: 'no token', error: known });
      },
    );
  }
}

function settings(url: string, o: ConnectOptions): SessionSettings {
  return {
    url: socketURL(url, (globalThis as { location?: { href: string } }).location?.href),
    client: randomName(),
    user: o.user,
    info: o.info,
    token: typeof o.token === 'string' ? o.token : undefined,
    hasTokenSource: typeof o.token === 'function',
    ticket: typeof o.ticket === 'string' ? o.ticket : undefined,
    hasTicketSource: typeof o.ticket === 'function',
    backoff: { ...defaultBackoff, ...o.backoff },
    connectTimeoutMs: o.connectTimeoutMs ?? 10_000,
    requestTimeoutMs: o.requestTimeoutMs ?? 10_000,
    pingEveryMs: o.pingEveryMs ?? 10_000,
    pongTimeoutMs: o.pongTimeoutMs ?? 5_000,
    maxQueued: o.maxQueued ?? 1_000,
  };
}

/** 96 random bits: the log tells clients apart by this name, so it must be nobody else's. */
function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
