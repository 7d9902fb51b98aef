import { CloseCode, ErrorCode, retryableCodes } from './errors.gen.ts';
import type { Position } from './protocol.ts';

/**
 * The codes of errors the SDK itself makes. They lie below 1000, so they never meet a server's (1100 to 9999) or an
 * application's (from 10000).
 */
export const LocalErrorCode = {
  /** `close()` was called, or the connection ended for good. */
  closed: 1,
  /** The line went down before the answer came: whether the call was carried out is unknown. */
  connection_lost: 2,
  /** More publishes wait than `maxQueued` allows. */
  queue_full: 3,
  /** An async iterator was read too slowly and its buffer is full. */
  iterator_overflow: 4,
  /** `unsubscribe()` was called while a subscription was being made. */
  unsubscribed: 5,
  /** The callback for a token or ticket failed, or there is none and another is needed. */
  no_token: 6,
  /** The channel is encrypted end to end, and there is no key for it. */
  no_key: 7,
  /** A payload could not be decrypted: it was changed, moved, made with another key, or never encrypted. */
  unreadable: 8,
} as const;

/** Every error of the SDK, whether the server answered with it or the SDK found it. */
export class HocketError extends Error {
  /** The stable number, as in `ErrorCode`, `CloseCode` and `LocalErrorCode`. */
  readonly code: number;
  /** The stable name, such as `permission_denied`. */
  override readonly name: string;
  /** How long the server asks to wait before trying again, in milliseconds; 0 when it gave no advice. */
  readonly retryAfterMs: number;

  constructor(code: number, name: string, message: string, retryAfterMs = 0) {
    super(message);
    this.code = code;
    this.name = name;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed later. */
  get retryable(): boolean {
    return retryableCodes.has(this.code) || this.code === LocalErrorCode.connection_lost;
  }

  /** Reads an error as it stands in a message of the server. What is not one becomes `internal`. */
  static from(value: unknown): HocketError {
    const e = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
    const code = typeof e['code'] === 'number' ? e['code'] : ErrorCode.internal;
    const name = typeof e['name'] === 'string' ? e['name'] : 'internal';
    const message = typeof e['message'] === 'string' ? e['message'] : name.replaceAll('_', ' ');
    const after = typeof e['retry_after_ms'] === 'number' ? e['retry_after_ms'] : 0;
    if (code === ErrorCode.conflict && typeof e['offset'] === 'number') {
      return new ConflictError(message, { epoch: String(e['epoch']), offset: e['offset'] });
    }
    return new HocketError(code, name, message, after);
  }
}

/** A publish with `expect` met another entry than it expected. Nothing was published. */
export class ConflictError extends HocketError implements Position {
  readonly epoch: string;
  /** The newest entry of the key, or of the channel; 0 when there is none. What to `expect` the next time. */
  readonly offset: number;

  constructor(message: string, at: Position) {
    super(ErrorCode.conflict, 'conflict', message);
    this.epoch = at.epoch;
    this.offset = at.offset;
  }
}

/**
 * A publish has failed although it may have been applied: the server lost its log while it published, or an attempt before
 * the last one was not answered. Code and name are those of the last error. To repeat such a publish without doubling it
 * give it an `idempotencyKey`.
 */
export class UnknownOutcomeError extends HocketError {
  constructor(why: HocketError) {
    super(why.code, why.name, `${why.message} (it may have been published)`, why.retryAfterMs);
  }
}

const unsure = new Set<number>([ErrorCode.unavailable, ErrorCode.timeout, ErrorCode.internal]);

/**
 * Gives the error to answer a publish with. `unanswered` says that an attempt at it was sent and has no answer. A conflict
 * is sure all the same, since duplicates are found before conditions.
 */
export function outcome(error: HocketError, unanswered: boolean): HocketError {
  if (error.code === ErrorCode.conflict || !(unanswered || unsure.has(error.code))) return error;
  return new UnknownOutcomeError(error);
}

/** Makes an error of the SDK's own. */
export function localError(name: keyof typeof LocalErrorCode, message: string): HocketError {
  return new HocketError(LocalErrorCode[name], name, message);
}

/** Makes the error of a request that was not answered in time. It carries the catalogue's own code for that. */
export function timeoutError(what: string, ms: number): HocketError {
  return new HocketError(ErrorCode.timeout, 'timeout', `${what} was not answered within ${ms} ms`);
}

/** The error of a message that is longer than a server takes: it throws such a one away unread, and so without an answer. */
export function tooLong(text: string, limit: number | undefined): HocketError | undefined {
  if (limit === undefined || 3 * text.length <= limit) return undefined; // a character has 3 bytes at most, or is two in JavaScript
  const { length } = new TextEncoder().encode(text);
  if (length <= limit) return undefined;
  return new HocketError(ErrorCode.too_large, 'too_large', `a message may have at most ${limit} bytes, not ${length}`);
}

/** Refuses numbers that JSON does not have: it makes null of them, which counts as left out, and the condition with it. */
export function needNumbers(options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== 'number' || Number.isFinite(value)) continue;
    throw new HocketError(ErrorCode.invalid_range, 'invalid_range', `${name} must be a finite number, not ${value}`);
  }
}

const closeNames = new Map<number, string>(Object.entries(CloseCode).map(([name, code]) => [code, name]));

/** Makes the error that says why a connection was closed. */
export function closeError(code: number, reason: string): HocketError {
  const name = closeNames.get(code) ?? 'connection_closed';
  return new HocketError(code, name, reason || `the connection was closed with ${code}`);
}
