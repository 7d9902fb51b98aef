import { Emitter } from './emitter.ts';
import type { LiveMap } from './map.ts';

/** The events of a {@link LiveText}. */
export interface TextEvents {
  /** More of the text. */
  piece: string;
  /** The text is another one now: `value` does not begin with what it was. */
  reset: string;
  /** Nothing more will come: the writer has ended it, or the key is gone. */
  end: undefined;
}

/**
 * A text that grows, under one key of a {@link LiveMap}. Who comes late gets the whole of it as the first piece; so does
 * who comes back after a cut, as far as it is new. Made by {@link LiveMap.text}.
 */
export class LiveText extends Emitter<TextEvents> implements AsyncIterable<string> {
  readonly key: string;
  readonly #map: LiveMap;
  #value: string;
  #ended: boolean;

  /** @internal */
  constructor(map: LiveMap, key: string) {
    super();
    this.key = key;
    this.#map = map;
    this.#value = asText(map.get(key));
    this.#ended = hasEnded(map, key);
    map.on('change', (change) => {
      if (change.key === key) this.#changed(change.value);
    });
  }

  /** The text so far; "" before the first piece. */
  get value(): string {
    return this.#value;
  }

  /** Whether it is whole. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * What there is so far, then each piece as it comes; pieces that come while the reader is busy are given as one. Ends
   * with the text; also when it is replaced by another one.
   */
  async *[Symbol.asyncIterator](): AsyncIterator<string> {
    let unread = this.#value;
    let over = this.#ended;
    let wake = () => {};
    const finish = () => {
      over = true;
      wake();
    };
    const more = (piece: string) => {
      if (!over) unread += piece;
      wake();
    };
    const ends = [this.on('piece', more), this.on('reset', finish), this.on('end', finish)];
    try {
      for (;;) {
        const piece = unread;
        unread = '';
        if (piece !== '') yield piece;
        else if (over) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      for (const end of ends) end();
    }
  }

  #changed(value: unknown): void {
    const before = this.#value;
    const now = asText(value);
    const gone = value === undefined;
    this.#ended = gone || hasEnded(this.#map, this.key);
    if (!gone) {
      this.#value = now;
      if (!now.startsWith(before)) this.emit('reset', now);
      else if (now !== before) this.emit('piece', now.slice(before.length));
    }
    if (this.#ended) this.emit('end', undefined);
  }
}

function asText(value: unknown): string {
  if (value instanceof Uint8Array) return new TextDecoder().decode(value, { stream: true }); // half a character waits for the rest
  return typeof value === 'string' ? value : '';
}

/** The writer marks its last entry with the tag `end`. */
function hasEnded(map: LiveMap, key: string): boolean {
  return map.entry(key)?.tags?.['end'] !== undefined;
}
