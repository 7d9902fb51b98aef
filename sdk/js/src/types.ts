import type { BackoffSettings } from './backoff.ts';
import type { HocketError } from './errors.ts';
import type { Position } from './protocol.ts';

/** Where a new subscription begins. Once a message has come, a lost connection goes on from that message. */
export type From =
  | 'live'
  /** The latest entry of every key, then live. */
  | 'state'
  /** The newest entries. */
  | { last: number }
  /** What was published in the last so many milliseconds, 366 days at most. */
  | { sinceMs: number }
  /** Everything after a position the application has kept itself. */
  | Position;

/** What an entry does to its key. */
export type Op = 'set' | 'append' | 'delete';

/** How a channel is subscribed. */
export interface ChannelOptions {
  /** Default `live`. */
  from?: From;
  /** `true`: be a member and hear of members. `watch`: only hear of them. Default: neither. */
  presence?: boolean | 'watch';
  /**
   * `false` for what is worthless a moment later: after a lost connection the subscription begins anew with `from`
   * instead of fetching what was missed. Default `true`.
   */
  recover?: boolean;
  /**
   * Only entries that carry each of these tags with one of its values; at most 16 tags with 16 values each. Others are
   * passed over, and nothing counts as missing.
   */
  filter?: Readonly<Record<string, string | readonly string[]>>;
  /** How many members {@link Presence} lists; it counts all of them. Default 1,000. */
  maxMembers?: number;
}

/** One entry of a channel's log. */
export interface Message {
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
  /** Milliseconds since 1970, by the server's clock. */
  readonly time: number;
  /** What was published: a value of JSON, or a Uint8Array where that was not JSON. */
  readonly payload: unknown;
  readonly key: string | undefined;
  readonly op: Op;
  readonly tags: Readonly<Record<string, string>> | undefined;
  /** By which a state can be sorted; 0 when none was given. */
  readonly score: number;
  /** Who published it; undefined when the back end did. */
  readonly from: { readonly user: string; readonly session: string } | undefined;
  /** False while the subscription catches up with what was published before it (again) stood. */
  readonly live: boolean;
}

/** How a publish is made. */
export interface PublishOptions {
  key?: string;
  /** Default `set`. */
  op?: Op;
  /** `false`: this session does not get the entry itself. Default `true`. */
  echo?: boolean;
  /** A name of the application's own for this publish, at most 64 bytes: the server applies it once. */
  idempotencyKey?: string;
  /**
   * Publish only if the newest entry of the key (without key: of the channel) has this offset; 0: if there is none.
   * Otherwise it fails with a {@link ConflictError}, which knows the offset there is.
   */
  expect?: number;
  /** How long the entry, and with it the key's value, is kept: 1 ms to 366 days. */
  ttlMs?: number;
  /** Sorts the key among the others, see {@link StateOptions} and {@link LiveMap.top}. */
  score?: number;
  /** The key is deleted when this client is gone: for cursors, and for who is typing. */
  ephemeral?: boolean;
  /** At most 16, which subscribers can filter by. */
  tags?: Readonly<Record<string, string>>;
}

/** The answer to a publish: the entry is in the log, there. */
export interface Published extends Position {
  /** The server had this publish already, from an attempt whose answer was lost. */
  readonly duplicate: boolean;
}

/** Which part of a channel's history to read. With neither `after` nor `before`: the newest. */
export interface HistoryOptions {
  after?: number;
  before?: number;
  limit?: number;
}

/** A part of a channel's history, oldest first. */
export interface History extends Position {
  readonly messages: Message[];
  readonly more: boolean;
}

/** Which part of a channel's state to read. */
export interface StateOptions {
  /** `offset` (the default): as written, oldest first. `score`: highest first, of equal ones the one written first. */
  order?: 'offset' | 'score';
  limit?: number;
  /** The `next` of the page before. */
  next?: string;
}

/** A page of a keyed channel's state: the latest entry of each key, appends made part of it. */
export interface State extends Position {
  readonly messages: Message[];
  /** How many keys there are in all. */
  readonly count: number;
  /** Asks for the page after this one; undefined in the last. */
  readonly next: string | undefined;
}

/** Someone on a channel. */
export interface Member {
  /** The public name of the member's session. */
  readonly session: string;
  /** Empty for an anonymous user. */
  readonly user: string;
  readonly info: unknown;
}

/** A user on a channel, over however many sessions. */
export interface PresentUser {
  readonly user: string;
  /** What the session that came last tells about itself. */
  readonly info: unknown;
  /** The user's sessions, in the order in which they became known. */
  readonly sessions: readonly Member[];
}

/** A subscription stands. */
export interface SubscribedEvent extends Position {
  /** Nothing between the last message and this subscription is missing. */
  readonly recovered: boolean;
  /** It goes on after the last message; otherwise it begins with the channel's `from`, or with what the log still has. */
  readonly resumed: boolean;
  /** It is not the first time: the connection had been lost, or the server had ended the subscription. */
  readonly again: boolean;
}

/** The subscription could not go on where it stood: something may be missing, or the log began anew. */
export interface ResetEvent {
  readonly oldEpoch: string;
  /** Equal to `oldEpoch` when the log is the same one but no longer holds what was missed. */
  readonly epoch: string;
  /** The offset of the channel's newest entry when it was subscribed again. */
  readonly offset: number;
}

/** Entries that were not and will not be sent, both ends included. */
export interface GapEvent {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

/** The state of a channel: `waiting` means wanted, but not possible at the moment. */
export type ChannelState = 'unsubscribed' | 'waiting' | 'subscribing' | 'subscribed';

/** The state of a connection: `waiting` for its next attempt, `closed` for good. */
export type ConnectionState = 'connecting' | 'connected' | 'waiting' | 'closed';

/** A change of the connection's state. */
export interface StateEvent {
  readonly state: ConnectionState;
  readonly previous: ConnectionState;
  /** With `waiting`: how long until the next attempt, in milliseconds. */
  readonly retryInMs?: number;
  /** With `waiting` and `closed`: why. */
  readonly error?: HocketError;
}

/** One text as it crossed the socket. */
export interface RawEvent {
  readonly direction: 'in' | 'out';
  readonly text: string;
}

/** Gives a token, freshly made or from the back end. */
export type TokenSource = () => string | Promise<string>;

/** What the SDK needs of a WebSocket; the browser's and the `ws` package's both fit. */
export interface SocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** Makes a socket. */
export type SocketConstructor = new (url: string, protocols: string[]) => SocketLike;

/** The time source. Replaced in tests. */
export interface Clock {
  /** Milliseconds since 1970, never going backwards. */
  now(): number;
  /** Calls `fn` after `ms`; returns what cancels it. */
  after(ms: number, fn: () => void): () => void;
}

/** How a connection is made. Everything may be left out. */
export interface ConnectOptions {
  /** A token, or what gets one. Only with a function can an expired token be replaced. */
  token?: string | TokenSource;
  /** The user's name, where the server lets clients name themselves. */
  user?: string;
  /** What others see of this session in presence. */
  info?: unknown;
  /** Default: the global `WebSocket`. */
  WebSocket?: SocketConstructor;
  backoff?: Partial<BackoffSettings>;
  /** How long a connection may take to stand. Default 10,000. */
  connectTimeoutMs?: number;
  /** How long a request waits for its answer, time without connection included. Default 10,000. */
  requestTimeoutMs?: number;
  /** How often the line is tried; this measures the latency, too. Default 10,000. */
  pingEveryMs?: number;
  /** A line that stays silent this long after a ping is dead. Default 5,000. */
  pongTimeoutMs?: number;
  /** How many publishes may wait for their answer or for a connection. Default 1,000. */
  maxQueued?: number;
  /** Default `Math.random`. Spreads reconnects; the client's id is always made of secure random numbers. */
  random?: () => number;
  clock?: Clock;
}
