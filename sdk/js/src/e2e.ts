// End-to-end encryption, an entry of its own: who does not use it does not load it.
import { importKey, isEnvelope, noKey, openWith, randomIV, sealWith, unreadable } from './envelope.ts';
import { HocketError, type Place, type Sealer } from './index.ts';

/** A key and its name. */
export interface E2EKey {
  /** 1 to 64 bytes, which everybody can read. A new key has a new name. */
  kid: string;
  /** AES-256-GCM: a `CryptoKey`, or its 32 bytes. */
  key: CryptoKey | Uint8Array;
}

/** How {@link endToEnd} gets its keys. */
export interface EndToEndOptions {
  /**
   * Which channels are encrypted; default: all. On these nothing is published in clear text, and what comes in clear
   * text, or was made for another channel or key, is not taken for a payload. It answers the same at all times.
   */
  covers?: (channel: string) => boolean;
  /**
   * Gives the key with the name `kid`, or without one the key to encrypt with now; undefined when there is none. It is
   * asked when a key is not known yet, and at every publish. An answer that takes 10 seconds comes too late.
   */
  key: (channel: string, kid?: string) => E2EKey | undefined | Promise<E2EKey | undefined>;
}

const maxKeys = 1_000; // that are kept
const keyTimeoutMs = 10_000;

/**
 * Encrypts what is published and decrypts what comes, by AES-256-GCM with keys the server does not have:
 * `connect(url, { e2e: endToEnd({ key: … }) })`. It needs WebCrypto, which browsers have on https and on localhost.
 */
export function endToEnd(options: EndToEndOptions): Sealer {
  return new EndToEnd(options);
}

class EndToEnd implements Sealer {
  readonly #options: EndToEndOptions;
  readonly #keys = new Map<string, Promise<CryptoKey>>(); // by channel and kid, the one used last at the end

  constructor(options: EndToEndOptions) {
    this.#options = options;
  }

  covers(channel: string): boolean {
    return this.#options.covers?.(channel) ?? true;
  }

  async seal(place: Place, payload: string | Uint8Array): Promise<unknown> {
    const current = await this.#ask(place.channel);
    return sealWith(await this.#key(place.channel, current.kid, current), current.kid, randomIV(), place, payload);
  }

  async open(place: Place, payload: unknown): Promise<unknown> {
    if (!isEnvelope(payload)) throw unreadable(place, 'it is not encrypted');
    return openWith(await this.#key(place.channel, payload.kid), place, payload);
  }

  /** The key of that name, which is always the same. Messages that come together ask for it once. */
  #key(channel: string, kid: string, given?: E2EKey): Promise<CryptoKey> {
    const name = `${channel}\n${kid}`;
    const known = this.#keys.get(name);
    const key = known ?? (given ? importKey(given.key) : this.#ask(channel, kid).then((got) => importKey(got.key)));
    this.#keys.delete(name);
    this.#keys.set(name, key);
    if (this.#keys.size > maxKeys) this.#keys.delete(this.#keys.keys().next().value as string);
    if (known === undefined) key.catch(() => this.#keys.get(name) === key && this.#keys.delete(name));
    return key;
  }

  async #ask(channel: string, kid?: string): Promise<E2EKey> {
    const got = await inTime(async () => this.#options.key(channel, kid), channel);
    if (got === undefined) throw noKey(`there is no key ${kid === undefined ? 'to encrypt' : JSON.stringify(kid)} for ${channel}`);
    const length = new TextEncoder().encode(got.kid).length;
    if (length < 1 || length > 64) throw noKey(`the name of a key has 1 to 64 bytes, not ${length}`);
    if (kid !== undefined && got.kid !== kid) throw noKey(`the key ${JSON.stringify(kid)} was asked for, not ${JSON.stringify(got.kid)}`);
    return got;
  }
}

/** Waits for an answer of the application's, and not for ever. */
async function inTime<T>(answer: () => Promise<T>, channel: string): Promise<T> {
  let timer: unknown;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(noKey(`no key for ${channel} came within ${keyTimeoutMs} ms`)), keyTimeoutMs);
  });
  try {
    return await Promise.race([answer(), late]);
  } catch (error) {
    throw error instanceof HocketError ? error : noKey(`the key callback failed: ${String(error)}`);
  } finally {
    clearTimeout(timer as number);
  }
}
