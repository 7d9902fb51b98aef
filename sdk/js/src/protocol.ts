import { CloseAction } from './errors.gen.ts';

// The messages of the Hocket protocol, as they stand in JSON. Names here are the wire's; the public ones are in
// types.ts.

/** A place in one history of a channel. */
export interface Position {
  epoch: string;
  offset: number;
}

/** A member as presence messages carry it. */
export interface WireMember {
  session: string;
  user?: string;
  info?: unknown;
}

/** The payload of `connected`. */
export interface Connected {
  session: string;
  user: string;
  node?: string;
  ping_ms?: number;
  expires_at?: number;
  features?: string[];
  limits?: { message_bytes?: number };
}

/** The payload of a subscribe's reply. */
export interface SubscribeReply extends Position {
  recovered: boolean;
  presence?: { count: number } & Partial<Position>;
}

/** One message of the server. Every field but `type` depends on the type. */
export interface ServerMessage {
  type: string;
  id?: number | string;
  channel?: string;
  offset?: number;
  epoch?: string;
  time?: number;
  key?: string;
  op?: string;
  tags?: Record<string, string>;
  score?: number;
  from?: { user?: string; session: string };
  members?: WireMember[];
  payload?: unknown;
  encoding?: string;
  error?: unknown;
}

/** Reads one message; undefined for what is none. */
export function parseMessage(text: string): ServerMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  return typeof (value as ServerMessage).type === 'string' ? (value as ServerMessage) : undefined;
}

/** What a close code asks of the client. */
export type Verdict = 'reconnect' | 'token' | 'stop';

/**
 * Judges a close code. Everything outside 4100–4299 means to come back: also 1000 and 1001, with which servers and
 * proxies end idle or moving connections; who is not wanted is told so with 42xx.
 */
export function verdict(code: number): Verdict {
  const listed = CloseAction[code];
  if (listed !== undefined) return listed;
  if (code >= 4100 && code <= 4199) return 'token';
  if (code >= 4200 && code <= 4299) return 'stop';
  return 'reconnect';
}

const pathOfSocket = '/v1/ws';

/**
 * Makes a WebSocket address of what the caller wrote: http becomes ws, no path becomes `/v1/ws`, and an address
 * without a host is taken relative to `base` (the page's own address).
 */
export function socketURL(url: string, base?: string): string {
  const u = new URL(url, base);
  if (u.protocol === 'http:') u.protocol = 'ws:';
  if (u.protocol === 'https:') u.protocol = 'wss:';
  if (u.protocol !== 'ws:' && u.protocol !== 'wss:') throw new TypeError(`${url} is no ws, wss, http or https address`);
  if (u.pathname === '/' || u.pathname === '') u.pathname = pathOfSocket;
  u.hash = '';
  return u.href;
}
