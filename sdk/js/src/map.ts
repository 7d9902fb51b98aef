import type { Channel } from './channel.ts';
import { Emitter } from './emitter.ts';
import type { Message, Published } from './types.ts';

/** One change of a {@link LiveMap}. */
export interface MapChange {
  readonly key: string;
  /** The new value; undefined after a delete. */
  readonly value: unknown;
  readonly previous: unknown;
  readonly op: Message['op'];
}

/** The events of a {@link LiveMap}. */
export interface MapEvents {
  change: MapChange;
  /** The map was emptied because the state is being read anew; changes follow. */
  clear: undefined;
}

/**
 * A keyed channel as a map: each key with the latest value anyone has published for it. Writing publishes; the map
 * changes when the entry comes back from the log, so that every client goes through the same states in the same order.
 */
export class LiveMap extends Emitter<MapEvents> implements Iterable<[string, unknown]> {
  readonly #channel: Channel;
  readonly #values = new Map<string, unknown>();

  /** @internal */
  constructor(channel: Channel) {
    super();
    this.#channel = channel;
    channel.on('message', (m) => this.#apply(m));
    channel.on('subscribed', ({ resumed }) => {
      if (!resumed) this.#clear();
    });
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): unknown {
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  [Symbol.iterator](): IterableIterator<[string, unknown]> {
    return this.#values.entries();
  }

  /** Publishes a value for the key. */
  set(key: string, value: unknown): Promise<Published> {
    return this.#channel.publish(value, { key });
  }

  /** Publishes more of the key's value, a string that grows at its end. On another value the server says `conflict`. */
  append(key: string, more: string): Promise<Published> {
    return this.#channel.publish(more, { key, op: 'append' });
  }

  /** Publishes that the key is gone. */
  delete(key: string): Promise<Published> {
    return this.#channel.publish(null, { key, op: 'delete' });
  }

  #apply(m: Message): void {
    if (m.key === undefined) return; // a stream's entry says nothing about the map
    const previous = this.#values.get(m.key);
    const value = m.op === 'delete' ? undefined : m.op === 'append' ? grow(previous, m.payload) : m.payload;
    if (m.op === 'delete') this.#values.delete(m.key);
    else this.#values.set(m.key, value);
    this.emit('change', { key: m.key, value, previous, op: m.op });
  }

  #clear(): void {
    if (this.#values.size === 0) return;
    this.#values.clear();
    this.emit('clear', undefined);
  }
}

/** What `append` makes of a value: the server lets only strings grow. */
function grow(value: unknown, more: unknown): unknown {
  return typeof value === 'string' && typeof more === 'string' ? value + more : more;
}
