import { HocketError, LocalErrorCode, outcome } from './errors.ts';
import type { Failure } from './requests.ts';

/** One publish on its way into the log. */
interface Item {
  ticket: number;
  /** The message without its type and id. It is made once, so that every attempt says exactly the same. */
  body: string;
  /** The request under which it was sent over the present line. */
  id: number | undefined;
  /** An attempt at it was sent over a line that was lost. */
  unanswered: boolean;
}

/**
 * How many publishes may be open at the server at once; the others wait here, where they cost it nothing. A server takes
 * 64 open requests of a session by default: half of them leaves room for everything else.
 */
const maxOpen = 32;

/**
 * The publishes that have no answer yet, in the order they were made. A lost line makes all of them unsent; they then
 * go out again in the same order and with the same `seq`, by which the server tells what it has already.
 */
export class Outbox {
  readonly #limit: number;
  readonly #items = new Map<number, Item>(); // by ticket, in order
  readonly #byId = new Map<number, Item>();
  #seq = 0;

  /** `limit` bounds how many publishes may wait. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#items.size;
  }

  /** Takes a publish in. `fields` lacks `seq`; it gets one unless it carries an idempotency key. */
  add(ticket: number, fields: Record<string, unknown>): void {
    if (this.#items.size >= this.#limit) {
      throw new HocketError(LocalErrorCode.queue_full, 'queue_full', `${this.#limit} publishes wait already`);
    }
    const numbered = fields['idempotency_key'] === undefined ? { ...fields, seq: this.#seq + 1 } : fields;
    const body = JSON.stringify(numbered).slice(1);
    this.#seq++;
    this.#items.set(ticket, { ticket, body, id: undefined, unanswered: false });
  }

  /** Gives the next message to send, or undefined when none may be sent now. */
  next(newId: () => number): string | undefined {
    if (this.#byId.size >= maxOpen) return undefined;
    for (const item of this.#items.values()) {
      if (item.id !== undefined) continue;
      item.id = newId();
      this.#byId.set(item.id, item);
      return `{"type":"publish","id":${item.id},${item.body}`;
    }
    return undefined;
  }

  /** Takes out the publish sent with this id, and gives its ticket; undefined when there is none. */
  answered(id: number): number | undefined {
    const item = this.#byId.get(id);
    if (item === undefined) return undefined;
    this.#byId.delete(id);
    this.#items.delete(item.ticket);
    return item.ticket;
  }

  /** What to answer with when the server has answered the request with this id by an error: of a publish it may be unsure. */
  refusal(id: unknown, error: HocketError): HocketError {
    const item = this.#byId.get(id as number);
    return item === undefined ? error : outcome(error, item.unanswered);
  }

  /** Forgets what was sent: the line is gone. */
  lost(): void {
    for (const item of this.#byId.values()) {
      item.id = undefined;
      item.unanswered = true;
    }
    this.#byId.clear();
  }

  /** Takes out the longest publish under way: the one a server that closed with 1009 will never take. */
  dropLongest(): number | undefined {
    let longest: Item | undefined;
    for (const item of this.#byId.values()) {
      if (longest === undefined || item.body.length > longest.body.length) longest = item;
    }
    if (longest?.id === undefined) return undefined;
    return this.answered(longest.id);
  }

  /** Empties the outbox and gives what was in it, each with its error. */
  clear(error: HocketError): Failure[] {
    const failures = [...this.#items.values()].map((item) => ({
      ticket: item.ticket,
      error: outcome(error, item.unanswered || item.id !== undefined),
    }));
    this.#items.clear();
    this.#byId.clear();
    return failures;
  }
}
