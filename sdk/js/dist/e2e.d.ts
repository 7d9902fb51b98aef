import { type Sealer } from './hocket.js';
/** A key and its name. */
declare interface E2EKey {
    /** 1 to 64 bytes, which everybody can read. A new key has a new name. */
    kid: string;
    /** AES-256-GCM: a `CryptoKey`, or its 32 bytes. */
    key: CryptoKey | Uint8Array;
}
/** How {@link endToEnd} gets its keys. */
declare interface EndToEndOptions {
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
/**
 * Encrypts what is published and decrypts what comes, by AES-256-GCM with keys the server does not have:
 * `connect(url, { e2e: endToEnd({ key: … }) })`. It needs WebCrypto, which browsers have on https and on localhost.
 */
declare function endToEnd(options: EndToEndOptions): Sealer;
export { E2EKey, EndToEndOptions, endToEnd };
