/** How long to wait between attempts. All times are in milliseconds. */
export interface BackoffSettings {
  /** The bound of the first delay. Default 500. */
  baseMs: number;
  /** The bound no delay passes. Default 20,000. */
  maxMs: number;
  /** A connection that lasted this long makes the next delay start from `baseMs` again. Default 10,000. */
  stableMs: number;
}

export const defaultBackoff: BackoffSettings = { baseMs: 500, maxMs: 20_000, stableMs: 10_000 };

/**
 * Exponential backoff with full jitter: the n-th delay is drawn evenly from [0, min(max, base × 2ⁿ)). Spreading over
 * the whole range, not around its end, keeps clients that lost their server together from coming back together.
 */
export class Backoff {
  readonly #settings: BackoffSettings;
  readonly #random: () => number;
  #attempt = 0;

  /** `random` answers a number from 0 up to 1. */
  constructor(settings: BackoffSettings, random: () => number) {
    this.#settings = settings;
    this.#random = random;
  }

  /** Draws the next delay in milliseconds; the bound doubles with every call. */
  next(): number {
    const bound = Math.min(this.#settings.maxMs, this.#settings.baseMs * 2 ** this.#attempt);
    if (bound < this.#settings.maxMs) this.#attempt++;
    return Math.floor(this.#random() * bound);
  }

  /** Grows the next delays at once, for a server that says it was asked too often. */
  atLeast(attempt: number): void {
    this.#attempt = Math.max(this.#attempt, attempt);
  }

  reset(): void {
    this.#attempt = 0;
  }
}
