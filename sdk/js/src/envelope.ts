// The envelopes of end-to-end encryption: AES-256-GCM by WebCrypto, held to spec/e2e.json as the Go SDK is.
import { HocketError, LocalErrorCode, type Place } from './index.ts';

/** A payload that is encrypted, as it stands in messages. */
export interface Envelope {
  e2e: 1;
  kid: string;
  iv: string;
  data: string;
}

const formatJSON = 0; // the first byte of what is encrypted
const formatBytes = 1;

/** Encrypts with an IV of 12 bytes that is used once. */
export async function sealWith(key: CryptoKey, kid: string, iv: Uint8Array, place: Place, payload: string | Uint8Array): Promise<Envelope> {
  const body = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  const text = new Uint8Array(1 + body.length);
  text[0] = typeof payload === 'string' ? formatJSON : formatBytes;
  text.set(body, 1);
  const data = await crypto.subtle.encrypt(algorithm(iv, place, kid), key, text);
  return { e2e: 1, kid, iv: toBase64URL(iv), data: toBase64URL(new Uint8Array(data)) };
}

/** Decrypts. */
export async function openWith(key: CryptoKey, place: Place, envelope: Envelope): Promise<unknown> {
  let text: Uint8Array;
  try {
    const iv = fromBase64URL(envelope.iv);
    if (iv.length !== 12) throw new TypeError('an iv has 12 bytes');
    text = new Uint8Array(await crypto.subtle.decrypt(algorithm(iv, place, envelope.kid), key, fromBase64URL(envelope.data)));
    if (text[0] === formatBytes) return text.slice(1);
    if (text[0] === formatJSON) return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text.subarray(1)));
  } catch {
    // Why it is not authentic tells nobody anything.
  }
  throw unreadable(place, 'it was changed, moved, or made with another key');
}

function algorithm(iv: Uint8Array, place: Place, kid: string): AesGcmParams {
  return { name: 'AES-GCM', iv: iv as BufferSource, additionalData: binding(place, kid) as BufferSource };
}

/** What a payload is bound to: each part with its length before it, so that no two places are the same. */
export function binding({ channel, key, op }: Place, kid: string): Uint8Array {
  const parts = ['hocket-e2e-1', channel, key, op, kid].map((part) => new TextEncoder().encode(part));
  const out = new Uint8Array(parts.reduce((n, part) => n + 4 + part.length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length);
    out.set(part, at + 4);
    at += 4 + part.length;
  }
  return out;
}

/** Makes a key ready. */
export async function importKey(key: CryptoKey | Uint8Array): Promise<CryptoKey> {
  const ready = key instanceof Uint8Array ? await importBytes(key) : key;
  const { name, length } = ready.algorithm as AesKeyAlgorithm;
  if (name !== 'AES-GCM' || length !== 256) throw noKey(`a key is one of 256 bits for AES-GCM, not of ${length} for ${name}`);
  return ready;
}

function importBytes(key: Uint8Array): Promise<CryptoKey> {
  if (key.length !== 32) throw noKey(`a key has 32 bytes, not ${key.length}`);
  return crypto.subtle.importKey('raw', key as BufferSource, 'AES-GCM', false, ['encrypt', 'decrypt']);
}

/** Whether a payload is encrypted, as far as one can see. */
export function isEnvelope(value: unknown): value is Envelope {
  const e = value as Partial<Envelope> | null | undefined;
  return typeof e === 'object' && e !== null && e.e2e === 1 && typeof e.iv === 'string' && typeof e.data === 'string' && typeof e.kid === 'string' && e.kid !== '';
}

/** 96 random bits. */
export function randomIV(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(12));
}

function toBase64URL(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function fromBase64URL(text: string): Uint8Array<ArrayBuffer> {
  if (/[^\w-]/.test(text)) throw new TypeError('no base64url');
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
}

/** There is no key, or none of any use. */
export function noKey(message: string): HocketError {
  return new HocketError(LocalErrorCode.no_key, 'no_key', message);
}

/** A payload is not what was encrypted for this place. */
export function unreadable(place: Place, why: string): HocketError {
  return new HocketError(LocalErrorCode.unreadable, 'unreadable', `a payload of ${place.channel} cannot be read: ${why}`);
}
