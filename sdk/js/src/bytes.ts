// Payloads that are not JSON: bytes, which travel as base64.

/** How many bytes are made text at once: more arguments than that are too many for a call. */
const step = 0x8000;

/** The bytes of a payload to publish; undefined for one that goes as JSON. */
export function bytesOf(payload: unknown): Uint8Array | undefined {
  if (payload instanceof ArrayBuffer) return new Uint8Array(payload);
  if (ArrayBuffer.isView(payload)) return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
  return undefined;
}

export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += step) text += String.fromCharCode(...bytes.subarray(i, i + step));
  return btoa(text);
}

/** The payload of a message of the server: what stands there, or the bytes it means. */
export function readPayload(m: { payload?: unknown; encoding?: string }): unknown {
  if (m.encoding !== 'base64' || typeof m.payload !== 'string') return m.payload;
  const text = atob(m.payload);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** One array of two. */
export function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
