import { type HocketError, localError, timeoutError } from './errors.ts';

/** What a request of the application asks for. Publishes and subscriptions have their own ways. */
export interface Request {
  type: 'call' | 'history' | 'state' | 'presence';
  channel?: string;
  method?: string;
  payload?: unknown;
}

interface Open {
  ticket: number;
  what: string;
  body: string;
  deadline: number;
  /** A read may be asked again after a lost line; a call may have been carried out. */
  repeatable: boolean;
  id: number | undefined;
}

/** A ticket whose request ends with an error. */
export interface Failure {
  ticket: number;
  error: HocketError;
}

/** The open requests of a session: held while there is no line, each with its deadline. Pure in time. */
export class Requests {
  readonly #timeoutMs: number;
  readonly #open = new Map<number, Open>(); // by ticket, oldest (and so the first to time out) first
  readonly #byId = new Map<number, Open>();

  /** `timeoutMs` is how long a request may wait for its answer. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  add(ticket: number, request: Request, now: number): void {
    const { type, ...rest } = request;
    this.#open.set(ticket, {
      ticket,
      what: request.method ?? `${type} of ${request.channel ?? ''}`,
      body: `"type":${JSON.stringify(type)},${JSON.stringify(rest).slice(1)}`,
      deadline: now + this.#timeoutMs,
      repeatable: type !== 'call',
      id: undefined,
    });
  }

  /** Gives the next message to send, or undefined when all have been sent. */
  next(newId: () => number): string | undefined {
    for (const request of this.#open.values()) {
      if (request.id !== undefined) continue;
      request.id = newId();
      this.#byId.set(request.id, request);
      return `{"id":${request.id},${request.body}`;
    }
    return undefined;
  }

  /** Takes out the request sent with this id, and gives its ticket; undefined when there is none. */
  answered(id: number): number | undefined {
    const request = this.#byId.get(id);
    if (request === undefined) return undefined;
    this.#byId.delete(id);
    this.#open.delete(request.ticket);
    return request.ticket;
  }

  /** When the next request times out. */
  get deadline(): number | undefined {
    for (const request of this.#open.values()) return request.deadline;
    return undefined;
  }

  /** Takes out what has timed out. */
  expire(now: number): Failure[] {
    return this.#fail(
      (r) => r.deadline <= now,
      (r) => timeoutError(r.what, this.#timeoutMs),
    );
  }

  /** The line is gone: reads wait for the next one, calls under way fail. */
  lost(): Failure[] {
    const failed = this.#fail(
      (r) => r.id !== undefined && !r.repeatable,
      (r) => localError('connection_lost', `the connection was lost before ${r.what} was answered`),
    );
    for (const request of this.#byId.values()) request.id = undefined;
    this.#byId.clear();
    return failed;
  }

  /** Empties everything. */
  clear(error: HocketError): Failure[] {
    return this.#fail(() => true, () => error);
  }

  #fail(which: (r: Open) => boolean, error: (r: Open) => HocketError): Failure[] {
    const failures: Failure[] = [];
    for (const request of [...this.#open.values()]) {
      if (!which(request)) continue;
      this.#open.delete(request.ticket);
      if (request.id !== undefined) this.#byId.delete(request.id);
      failures.push({ ticket: request.ticket, error: error(request) });
    }
    return failures;
  }
}
