import { concat } from './bytes.ts';
import type { Channel } from './channel.ts';
import { Emitter } from './emitter.ts';
import { ConflictError, type HocketError } from './errors.ts';
import { LiveText } from './text.ts';
import type { Position } from './protocol.ts';
import type { Message, Published, PublishOptions } from './types.ts';

/** A key of a {@link LiveMap} with what is known of it. */
export interface MapEntry<V = unknown> {
  readonly key: string;
  readonly value: V;
  /** Of the newest entry of the key: what to `expect`. */
  readonly offset: number;
  /** When that was published: milliseconds since 1970, by the server's clock. */
  readonly time: number;
  readonly score: number;
  readonly tags: Message['tags'];
  readonly from: Message['from'];
}

/** One change of a {@link LiveMap}. */
export interface MapChange<V = unknown> {
  readonly key: string;
  /** The new value; undefined when the key is gone. */
  readonly value: V | undefined;
  readonly previous: V | undefined;
  readonly op: Message['op'];
  /** False while the state is being read: the change may be an old one. */
  readonly live: boolean;
}

/** The events of a {@link LiveMap}. */
export interface MapEvents<V = unknown> {
  change: MapChange<V>;
  /** The map is whole, at first and after every reconnect. */
  sync: undefined;
}

/** How a {@link LiveMap} publishes. */
export type MapOptions = Omit<PublishOptions, 'key' | 'op' | 'echo'>;

/** How {@link LiveMap.write} publishes. */
export type WriteOptions = Omit<MapOptions, 'expect' | 'idempotencyKey'>;

/** How {@link LiveMap.update} publishes. */
export interface UpdateOptions extends WriteOptions {
  /** How often it may be tried when others are faster. Default 20. */
  tries?: number;
}

/** One who waits until the map has come somewhere. */
interface Waiter {
  until: () => boolean;
  resolve: () => void;
  reject: (error: HocketError) => void;
}

/**
 * A keyed channel as a map: each key with the latest value anyone has published for it. Writing publishes; the map
 * changes when the entry comes back from the log, so that every client goes through the same states in the same order.
 *
 * After a lost line it goes on where it stood. What it knows stays meanwhile, also where the whole state has to be read
 * again: only keys that are not in it are then taken out.
 */
export class LiveMap<V = unknown> extends Emitter<MapEvents<V>> implements Iterable<[string, V]> {
  readonly #channel: Channel;
  readonly #entries = new Map<string, MapEntry<V>>();
  readonly #stale = new Set<string>(); // keys that are yet to come in the state being read
  readonly #waiters = new Set<Waiter>();
  #synced = false;
  #ended: HocketError | undefined; // why the channel is not followed any more
  #at: Position = { epoch: '', offset: 0 };

  /** @internal */
  constructor(channel: Channel) {
    super();
    this.#channel = channel;
    channel.on('message', (m) => this.#apply(m));
    channel.on('unreadable', ({ message }) => this.#lose(message));
    channel.on('position', (at) => {
      this.#at = at;
      this.#wake();
    });
    channel.on('subscribed', ({ resumed }) => {
      if (!resumed) for (const key of this.#entries.keys()) this.#stale.add(key);
    });
    channel.on('sync', () => this.#whole());
    channel.on('unsubscribed', ({ error, retrying }) => {
      if (!retrying) this.#giveUp(error);
    });
    channel.on('state', (state) => {
      if (state !== 'subscribed') this.#synced = false;
      if (state !== 'unsubscribed') this.#ended = undefined;
    });
  }

  /** Whether it is whole and up to date, as far as one can know. */
  get synced(): boolean {
    return this.#synced;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)?.value;
  }

  /** The key with all that is known of it. */
  entry(key: string): MapEntry<V> | undefined {
    return this.#entries.get(key);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  *[Symbol.iterator](): IterableIterator<[string, V]> {
    for (const [key, { value }] of this.#entries) yield [key, value];
  }

  /** The `n` keys with the highest scores, highest first; of equal ones the one written first. Without `n`: all. */
  top(n?: number): MapEntry<V>[] {
    return [...this.#entries.values()].sort((a, b) => b.score - a.score || a.offset - b.offset).slice(0, n);
  }

  /** Publishes a value for the key. */
  set(key: string, value: V, options: MapOptions = {}): Promise<Published> {
    return this.#channel.publish(value, { ...options, key });
  }

  /**
   * Publishes more of the key's value, a string or bytes that grow at their end. On another value the server says `conflict`.
   * {@link text} follows such a value, {@link write} makes one from a stream.
   */
  append(key: string, more: string | Uint8Array, options: MapOptions = {}): Promise<Published> {
    return this.#channel.publish(more, { ...options, key, op: 'append' });
  }

  /** Publishes that the key is gone. */
  delete(key: string, options: MapOptions = {}): Promise<Published> {
    return this.#channel.publish(null, { ...options, key, op: 'delete' });
  }

  /**
   * Changes a value that others may be changing, too: `await map.update('likes', (n = 0) => n + 1)`. `change` gets the
   * value known (undefined: none) and gives the new one, or undefined to leave it. When somebody was faster it is asked
   * again with what that one wrote. Resolves with the value that now stands, once the map shows it. It rejects with a
   * {@link ConflictError} after `tries`.
   */
  async update(key: string, change: (value: V | undefined) => V | undefined, options: UpdateOptions = {}): Promise<V | undefined> {
    const { tries = 20, ...publish } = options;
    for (let left = tries; ; left--) {
      await this.#until(() => this.#synced);
      const known = this.#entries.get(key);
      const value = change(known?.value);
      if (value === undefined) return known?.value;
      const expect = known?.offset ?? 0;
      try {
        const at = await this.#channel.publish(value, { ...publish, key, expect });
        await this.#until(() => this.#has(at));
        return value;
      } catch (error) {
        if (!(error instanceof ConflictError) || left <= 1) throw error;
        await this.#until(() => (this.#entries.get(key)?.offset ?? 0) !== expect || (error.offset > 0 && this.#has(error)));
      }
    }
  }

  /**
   * A value that grows by {@link append}, such as the answer of a language model: `for await (const piece of
   * map.text('answer'))` gives what there is so far at once, and then each piece as it comes, until it is ended.
   */
  text(key: string): LiveText {
    return new LiveText(this as LiveMap, key);
  }

  /**
   * Publishes a stream of text under the key, piece by piece, and ends it. Pieces that come while others are under way
   * travel together, so a fast stream makes few messages. Resolves with the whole text once all of it is in the log.
   */
  async write(key: string, pieces: AsyncIterable<string> | Iterable<string>, options: WriteOptions = {}): Promise<string> {
    if (this.#channel.encrypted) return this.append(key, '', options).then(() => ''); // which says why not, before a value is gone
    let text = '';
    let waiting = '';
    let underWay: Promise<unknown> | undefined;
    let failed: { error: unknown } | undefined;
    const send = () => {
      const piece = wholeCharacters(waiting);
      if (piece === '') return;
      waiting = waiting.slice(piece.length);
      underWay = this.append(key, piece, options).then(
        () => {
          underWay = undefined;
          if (waiting !== '') send();
        },
        (error: unknown) => {
          failed = { error };
        },
      );
    };
    await this.set(key, '' as V, options);
    for await (const piece of pieces) {
      if (failed !== undefined) break;
      text += piece;
      waiting += piece;
      if (underWay === undefined && waiting !== '') send();
    }
    while (underWay !== undefined && failed === undefined) await underWay;
    if (failed !== undefined) throw failed.error;
    await this.append(key, '', { ...options, tags: { ...options.tags, end: '1' } });
    return text;
  }

  #apply(m: Message): void {
    if (m.key === undefined) return; // a stream's entry says nothing about the map
    const { key, op } = m;
    const previous = this.#entries.get(key);
    this.#stale.delete(key);
    if (op === 'delete') return this.#remove(key, m.live);
    const value = (op === 'append' ? grow(previous?.value, m.payload) : m.payload) as V;
    const { offset, time, tags, from } = m;
    const score = op === 'append' && m.score === 0 ? (previous?.score ?? 0) : m.score;
    this.#entries.set(key, { key, value, offset, time, score, tags, from });
    this.emit('change', { key, value, previous: previous?.value, op, live: m.live });
  }

  /** The key has a value by now that cannot be read: the one that is known is not its value any more. */
  #lose(m: Message): void {
    if (m.key === undefined) return;
    this.#stale.delete(m.key);
    this.#remove(m.key, m.live);
  }

  #remove(key: string, live: boolean): void {
    const previous = this.#entries.get(key);
    if (!this.#entries.delete(key)) return;
    this.emit('change', { key, value: undefined, previous: previous?.value, op: 'delete', live });
  }

  /** All of the state has come: what was known and is not in it is gone. */
  #whole(): void {
    for (const key of [...this.#stale]) this.#remove(key, false);
    this.#stale.clear();
    this.#synced = true;
    this.emit('sync', undefined);
    this.#wake();
  }

  /**
   * Whether the map has seen the log up to this position, or the log is another one by now. On the way through what has
   * changed it has not: a key comes where it was last written.
   */
  #has(at: Position): boolean {
    return this.#synced && (this.#at.epoch !== at.epoch || this.#at.offset >= at.offset);
  }

  #until(until: () => boolean): Promise<void> {
    if (until()) return Promise.resolve();
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => this.#waiters.add({ until, resolve, reject }));
  }

  #wake(): void {
    for (const w of this.#waiters) {
      if (!w.until()) continue;
      this.#waiters.delete(w);
      w.resolve();
    }
  }

  #giveUp(error: HocketError): void {
    this.#ended = error;
    for (const w of this.#waiters) w.reject(error);
    this.#waiters.clear();
  }
}

/** A text without the first half of a surrogate pair at its end, whose other half is yet to come: JSON cannot say half. */
function wholeCharacters(text: string): string {
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}

/** What `append` makes of a value: the server lets only strings and bytes grow. */
function grow(value: unknown, more: unknown): unknown {
  if (value instanceof Uint8Array && more instanceof Uint8Array) return concat(value, more);
  return typeof value === 'string' && typeof more === 'string' ? value + more : more;
}
