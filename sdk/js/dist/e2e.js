// Hocket SDK 0.1.0. Apache-2.0. Code generated from sdk/js/src by npm run build; DO NOT EDIT.
import { HocketError, LocalErrorCode } from "./hocket.js";
// src/envelope.ts
var formatJSON = 0;
var formatBytes = 1;
/** Encrypts with an IV of 12 bytes that is used once. */
async function sealWith(key, kid, iv, place, payload) {
	const body = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
	const text = new Uint8Array(1 + body.length);
	text[0] = typeof payload === "string" ? formatJSON : formatBytes;
	text.set(body, 1);
	const data = await crypto.subtle.encrypt(algorithm(iv, place, kid), key, text);
	return {
		e2e: 1,
		kid,
		iv: toBase64URL(iv),
		data: toBase64URL(new Uint8Array(data))
	};
}
/** Decrypts. */
async function openWith(key, place, envelope) {
	let text;
	try {
		const iv = fromBase64URL(envelope.iv);
		if (iv.length !== 12) throw new TypeError("an iv has 12 bytes");
		text = new Uint8Array(await crypto.subtle.decrypt(algorithm(iv, place, envelope.kid), key, fromBase64URL(envelope.data)));
		if (text[0] === formatBytes) return text.slice(1);
		if (text[0] === formatJSON) return JSON.parse(new TextDecoder("utf-8", {
			fatal: true,
			ignoreBOM: true
		}).decode(text.subarray(1)));
	} catch {}
	throw unreadable(place, "it was changed, moved, or made with another key");
}
function algorithm(iv, place, kid) {
	return {
		name: "AES-GCM",
		iv,
		additionalData: binding(place, kid)
	};
}
/** What a payload is bound to: each part with its length before it, so that no two places are the same. */
function binding({ channel, key, op }, kid) {
	const parts = [
		"hocket-e2e-1",
		channel,
		key,
		op,
		kid
	].map((part) => new TextEncoder().encode(part));
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
async function importKey(key) {
	const ready = key instanceof Uint8Array ? await importBytes(key) : key;
	const { name, length } = ready.algorithm;
	if (name !== "AES-GCM" || length !== 256) throw noKey(`a key is one of 256 bits for AES-GCM, not of ${length} for ${name}`);
	return ready;
}
function importBytes(key) {
	if (key.length !== 32) throw noKey(`a key has 32 bytes, not ${key.length}`);
	return crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
}
/** Whether a payload is encrypted, as far as one can see. */
function isEnvelope(value) {
	const e = value;
	return typeof e === "object" && e !== null && e.e2e === 1 && typeof e.iv === "string" && typeof e.data === "string" && typeof e.kid === "string" && e.kid !== "";
}
/** 96 random bits. */
function randomIV() {
	return crypto.getRandomValues(/* @__PURE__ */ new Uint8Array(12));
}
function toBase64URL(bytes) {
	let text = "";
	for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
	return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
function fromBase64URL(text) {
	if (/[^\w-]/.test(text)) throw new TypeError("no base64url");
	return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}
/** There is no key, or none of any use. */
function noKey(message) {
	return new HocketError(LocalErrorCode.no_key, "no_key", message);
}
/** A payload is not what was encrypted for this place. */
function unreadable(place, why) {
	return new HocketError(LocalErrorCode.unreadable, "unreadable", `a payload of ${place.channel} cannot be read: ${why}`);
}
// src/e2e.ts
var maxKeys = 1e3;
var keyTimeoutMs = 1e4;
/**
* Encrypts what is published and decrypts what comes, by AES-256-GCM with keys the server does not have:
* `connect(url, { e2e: endToEnd({ key: … }) })`. It needs WebCrypto, which browsers have on https and on localhost.
*/
function endToEnd(options) {
	return new EndToEnd(options);
}
var EndToEnd = class {
	#options;
	#keys = /* @__PURE__ */ new Map();
	constructor(options) {
		this.#options = options;
	}
	covers(channel) {
		return this.#options.covers?.(channel) ?? true;
	}
	async seal(place, payload) {
		const current = await this.#ask(place.channel);
		return sealWith(await this.#key(place.channel, current.kid, current), current.kid, randomIV(), place, payload);
	}
	async open(place, payload) {
		if (!isEnvelope(payload)) throw unreadable(place, "it is not encrypted");
		return openWith(await this.#key(place.channel, payload.kid), place, payload);
	}
	/** The key of that name, which is always the same. Messages that come together ask for it once. */
	#key(channel, kid, given) {
		const name = `${channel}\n${kid}`;
		const known = this.#keys.get(name);
		const key = known ?? (given ? importKey(given.key) : this.#ask(channel, kid).then((got) => importKey(got.key)));
		this.#keys.delete(name);
		this.#keys.set(name, key);
		if (this.#keys.size > maxKeys) this.#keys.delete(this.#keys.keys().next().value);
		if (known === void 0) key.catch(() => this.#keys.get(name) === key && this.#keys.delete(name));
		return key;
	}
	async #ask(channel, kid) {
		const got = await inTime(async () => this.#options.key(channel, kid), channel);
		if (got === void 0) throw noKey(`there is no key ${kid === void 0 ? "to encrypt" : JSON.stringify(kid)} for ${channel}`);
		const length = new TextEncoder().encode(got.kid).length;
		if (length < 1 || length > 64) throw noKey(`the name of a key has 1 to 64 bytes, not ${length}`);
		if (kid !== void 0 && got.kid !== kid) throw noKey(`the key ${JSON.stringify(kid)} was asked for, not ${JSON.stringify(got.kid)}`);
		return got;
	}
};
/** Waits for an answer of the application's, and not for ever. */
async function inTime(answer, channel) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(noKey(`no key for ${channel} came within ${keyTimeoutMs} ms`)), keyTimeoutMs);
	});
	try {
		return await Promise.race([answer(), late]);
	} catch (error) {
		throw error instanceof HocketError ? error : noKey(`the key callback failed: ${String(error)}`);
	} finally {
		clearTimeout(timer);
	}
}
export { endToEnd };
