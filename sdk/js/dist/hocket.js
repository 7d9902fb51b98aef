// Hocket SDK 0.1.0. Apache-2.0. Code generated from sdk/js/src by npm run build; DO NOT EDIT.
// src/bytes.ts
/** How many bytes are made text at once: more arguments than that are too many for a call. */
var step = 32768;
/** The bytes of a payload to publish; undefined for one that goes as JSON. */
function bytesOf(payload) {
	if (payload instanceof ArrayBuffer) return new Uint8Array(payload);
	if (ArrayBuffer.isView(payload)) return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
}
function toBase64(bytes) {
	let text = "";
	for (let i = 0; i < bytes.length; i += step) text += String.fromCharCode(...bytes.subarray(i, i + step));
	return btoa(text);
}
/** The payload of a message of the server: what stands there, or the bytes it means. */
function readPayload(m) {
	if (m.encoding !== "base64" || typeof m.payload !== "string") return m.payload;
	const text = atob(m.payload);
	const bytes = new Uint8Array(text.length);
	for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
	return bytes;
}
/** One array of two. */
function concat(a, b) {
	const both = new Uint8Array(a.length + b.length);
	both.set(a);
	both.set(b, a.length);
	return both;
}
// src/emitter.ts
/** Listeners by event. A listener that throws harms nobody else: its error is reported as uncaught. */
var Emitter = class {
	#listeners = /* @__PURE__ */ new Map();
	/** Calls `fn` at every such event. Returns what ends that. */
	on(event, fn) {
		let listeners = this.#listeners.get(event);
		if (listeners === void 0) this.#listeners.set(event, listeners = /* @__PURE__ */ new Set());
		listeners.add(fn);
		return () => {
			listeners.delete(fn);
		};
	}
	/** Calls the listeners of `event`. */
	emit(event, value) {
		for (const fn of [...this.#listeners.get(event) ?? []]) try {
			fn(value);
		} catch (error) {
			queueMicrotask(() => {
				throw error;
			});
		}
	}
};
// src/errors.gen.ts
/** The codes of the errors a request is answered with, by name. An application's own begin at 10000. */
var ErrorCode = {
	/** The message is not exactly one JSON object. */
	invalid_json: 1100,
	/** A field of the message is missing or has the wrong type. */
	invalid_message: 1101,
	/** The message has a type this server does not know. */
	unknown_type: 1102,
	/** The channel name is missing, too long or malformed. */
	invalid_channel: 1103,
	/** The id is neither a string of at most 64 bytes nor a whole number from 0 to 2^53-1. */
	invalid_id: 1104,
	/** A request with this id is still open. */
	id_in_use: 1105,
	/** The payload is missing or is not what the request needs. */
	invalid_payload: 1106,
	/** The position to start from is malformed: the epoch is a string, the offset a whole number from 0 to 2^53-1. */
	invalid_position: 1107,
	/** The key, idempotency key or client id is too long or malformed. */
	invalid_key: 1108,
	/** The message or its payload is larger than the limit. */
	too_large: 1109,
	/** The request is not a handshake this server can answer. */
	bad_handshake: 1110,
	/** Pages of this origin may not connect. */
	origin_not_allowed: 1111,
	/** A number is outside the range the field allows. */
	invalid_range: 1112,
	/** What a member tells about itself is larger than the limit. */
	info_too_large: 1113,
	/** The payload does not fit the schema of its channel or method. */
	schema_mismatch: 1114,
	/** The channel is encrypted end to end, and the payload is no envelope made with its key. */
	not_encrypted: 1115,
	/** The request has come in clear text, and this server is reached under TLS only. */
	tls_required: 1116,
	/** The session has not proved who it is. */
	unauthenticated: 1401,
	/** A session keeps its user: a later connect cannot name another one. */
	user_mismatch: 1402,
	/** The session may not do this. */
	permission_denied: 1403,
	/** There is no such method, session or user. */
	not_found: 1404,
	/** The session is not subscribed to this channel. */
	not_subscribed: 1405,
	/** The session is subscribed to this channel already. */
	already_subscribed: 1406,
	/** The API key has not the scope that this needs; the message names it. */
	missing_scope: 1407,
	/** The answer did not come in time. */
	timeout: 1408,
	/** The channel or key is not in the state the request expects. */
	conflict: 1409,
	/** The channel's log began anew: subscribe again to go on in the new epoch. */
	epoch_changed: 1410,
	/** The token has expired: get a new one. */
	token_expired: 1411,
	/** The token was revoked: get a new one. */
	revoked: 1412,
	/** Too many requests: wait retry_after_ms. */
	rate_limited: 1429,
	/** The session holds as many of these as it may. */
	limit_reached: 1430,
	/** The user or the address is shut out for a while: wait retry_after_ms. */
	banned: 1431,
	/** The server failed; its log says why. */
	internal: 1500,
	/** This server does not support this yet. */
	not_supported: 1501,
	/** The server has too much to do: wait retry_after_ms. */
	busy: 1503,
	/** What this needs cannot be reached now, such as the channel's log or the back end: try again later. */
	unavailable: 1504,
	/** The server shuts down or takes no new sessions: connect again later. */
	draining: 1505
};
/** The codes a connection is closed with, by name, beside those of RFC 6455. */
var CloseCode = {
	/** The server shuts down: reconnect. */
	draining: 4e3,
	/** The connection did not take its messages fast enough: reconnect and recover. */
	slow_consumer: 4001,
	/** The client did not answer a ping in time: reconnect. */
	ping_timeout: 4002,
	/** The client sent too much: reconnect after a longer delay. */
	rate_limited: 4003,
	/** The session failed on the server: reconnect. */
	internal: 4004,
	/** Who the client is cannot be decided now: reconnect. */
	unavailable: 4005,
	/** The user or the address has as many sessions as it may: reconnect after a longer delay. */
	limit_reached: 4006,
	/** The token has expired: get a new one and reconnect. */
	token_expired: 4100,
	/** The token was revoked: get a new one and reconnect. */
	revoked: 4101,
	/** The client did not prove who it is: do not reconnect. */
	unauthenticated: 4200,
	/** The client may not connect: do not reconnect. */
	forbidden: 4201,
	/** The client is banned: do not reconnect. */
	banned: 4202,
	/** A newer session of the same client id has taken its place: do not reconnect with this id. */
	replaced: 4203
};
/** The errors after which the same request may succeed later. */
var retryableCodes = /* @__PURE__ */ new Set([
	1408,
	1410,
	1429,
	1500,
	1503,
	1504,
	1505
]);
/**
* What a client does after a close: connect again, get a new token and connect again, or stop.
* A code that is not listed follows its range: 4000 to 4099 reconnect, 4100 to 4199 token, 4200 to 4299 stop.
*/
var CloseAction = {
	4e3: "reconnect",
	4001: "reconnect",
	4002: "reconnect",
	4003: "reconnect",
	4004: "reconnect",
	4005: "reconnect",
	4006: "reconnect",
	4100: "token",
	4101: "token",
	4200: "stop",
	4201: "stop",
	4202: "stop",
	4203: "stop"
};
// src/errors.ts
/**
* The codes of errors the SDK itself makes. They lie below 1000, so they never meet a server's (1100 to 9999) or an
* application's (from 10000).
*/
var LocalErrorCode = {
	/** `close()` was called, or the connection ended for good. */
	closed: 1,
	/** The line went down before the answer came: whether the call was carried out is unknown. */
	connection_lost: 2,
	/** More publishes wait than `maxQueued` allows. */
	queue_full: 3,
	/** An async iterator was read too slowly and its buffer is full. */
	iterator_overflow: 4,
	/** `unsubscribe()` was called while a subscription was being made. */
	unsubscribed: 5,
	/** The callback for a token or ticket failed, or there is none and another is needed. */
	no_token: 6,
	/** The channel is encrypted end to end, and there is no key for it. */
	no_key: 7,
	/** A payload could not be decrypted: it was changed, moved, made with another key, or never encrypted. */
	unreadable: 8
};
/** Every error of the SDK, whether the server answered with it or the SDK found it. */
var HocketError = class HocketError extends Error {
	/** The stable number, as in `ErrorCode`, `CloseCode` and `LocalErrorCode`. */
	code;
	/** The stable name, such as `permission_denied`. */
	name;
	/** How long the server asks to wait before trying again, in milliseconds; 0 when it gave no advice. */
	retryAfterMs;
	constructor(code, name, message, retryAfterMs = 0) {
		super(message);
		this.code = code;
		this.name = name;
		this.retryAfterMs = retryAfterMs;
	}
	/** Whether the same request may succeed later. */
	get retryable() {
		return retryableCodes.has(this.code) || this.code === LocalErrorCode.connection_lost;
	}
	/** Reads an error as it stands in a message of the server. What is not one becomes `internal`. */
	static from(value) {
		const e = typeof value === "object" && value !== null ? value : {};
		const code = typeof e["code"] === "number" ? e["code"] : ErrorCode.internal;
		const name = typeof e["name"] === "string" ? e["name"] : "internal";
		const message = typeof e["message"] === "string" ? e["message"] : name.replaceAll("_", " ");
		const after = typeof e["retry_after_ms"] === "number" ? e["retry_after_ms"] : 0;
		if (code === ErrorCode.conflict && typeof e["offset"] === "number") return new ConflictError(message, {
			epoch: String(e["epoch"]),
			offset: e["offset"]
		});
		return new HocketError(code, name, message, after);
	}
};
/** A publish with `expect` met another entry than it expected. Nothing was published. */
var ConflictError = class extends HocketError {
	epoch;
	/** The newest entry of the key, or of the channel; 0 when there is none. What to `expect` the next time. */
	offset;
	constructor(message, at) {
		super(ErrorCode.conflict, "conflict", message);
		this.epoch = at.epoch;
		this.offset = at.offset;
	}
};
/**
* A publish has failed although it may have been applied: the server lost its log while it published, or an attempt before
* the last one was not answered. Code and name are those of the last error. To repeat such a publish without doubling it
* give it an `idempotencyKey`.
*/
var UnknownOutcomeError = class extends HocketError {
	constructor(why) {
		super(why.code, why.name, `${why.message} (it may have been published)`, why.retryAfterMs);
	}
};
var unsure = /* @__PURE__ */ new Set([
	ErrorCode.unavailable,
	ErrorCode.timeout,
	ErrorCode.internal
]);
/**
* Gives the error to answer a publish with. `unanswered` says that an attempt at it was sent and has no answer. A conflict
* is sure all the same, since duplicates are found before conditions.
*/
function outcome(error, unanswered) {
	if (error.code === ErrorCode.conflict || !(unanswered || unsure.has(error.code))) return error;
	return new UnknownOutcomeError(error);
}
/** Makes an error of the SDK's own. */
function localError(name, message) {
	return new HocketError(LocalErrorCode[name], name, message);
}
/** Makes the error of a request that was not answered in time. It carries the catalogue's own code for that. */
function timeoutError(what, ms) {
	return new HocketError(ErrorCode.timeout, "timeout", `${what} was not answered within ${ms} ms`);
}
/** The error of a message that is longer than a server takes: it throws such a one away unread, and so without an answer. */
function tooLong(text, limit) {
	if (limit === void 0 || 3 * text.length <= limit) return void 0;
	const { length } = new TextEncoder().encode(text);
	if (length <= limit) return void 0;
	return new HocketError(ErrorCode.too_large, "too_large", `a message may have at most ${limit} bytes, not ${length}`);
}
/** Refuses numbers that JSON does not have: it makes null of them, which counts as left out, and the condition with it. */
function needNumbers(options) {
	for (const [name, value] of Object.entries(options)) {
		if (typeof value !== "number" || Number.isFinite(value)) continue;
		throw new HocketError(ErrorCode.invalid_range, "invalid_range", `${name} must be a finite number, not ${value}`);
	}
}
var closeNames = new Map(Object.entries(CloseCode).map(([name, code]) => [code, name]));
/** Makes the error that says why a connection was closed. */
function closeError(code, reason) {
	return new HocketError(code, closeNames.get(code) ?? "connection_closed", reason || `the connection was closed with ${code}`);
}
// src/text.ts
/**
* A text that grows, under one key of a {@link LiveMap}. Who comes late gets the whole of it as the first piece; so does
* who comes back after a cut, as far as it is new. Made by {@link LiveMap.text}.
*/
var LiveText = class extends Emitter {
	key;
	#map;
	#value;
	#ended;
	/** @internal */
	constructor(map, key) {
		super();
		this.key = key;
		this.#map = map;
		this.#value = asText(map.get(key));
		this.#ended = hasEnded(map, key);
		map.on("change", (change) => {
			if (change.key === key) this.#changed(change.value);
		});
	}
	/** The text so far; "" before the first piece. */
	get value() {
		return this.#value;
	}
	/** Whether it is whole. */
	get ended() {
		return this.#ended;
	}
	/**
	* What there is so far, then each piece as it comes; pieces that come while the reader is busy are given as one. Ends
	* with the text; also when it is replaced by another one.
	*/
	async *[Symbol.asyncIterator]() {
		let unread = this.#value;
		let over = this.#ended;
		let wake = () => {};
		const finish = () => {
			over = true;
			wake();
		};
		const more = (piece) => {
			if (!over) unread += piece;
			wake();
		};
		const ends = [
			this.on("piece", more),
			this.on("reset", finish),
			this.on("end", finish)
		];
		try {
			for (;;) {
				const piece = unread;
				unread = "";
				if (piece !== "") yield piece;
				else if (over) return;
				else await new Promise((resolve) => wake = resolve);
			}
		} finally {
			for (const end of ends) end();
		}
	}
	#changed(value) {
		const before = this.#value;
		const now = asText(value);
		const gone = value === void 0;
		this.#ended = gone || hasEnded(this.#map, this.key);
		if (!gone) {
			this.#value = now;
			if (!now.startsWith(before)) this.emit("reset", now);
			else if (now !== before) this.emit("piece", now.slice(before.length));
		}
		if (this.#ended) this.emit("end", void 0);
	}
};
function asText(value) {
	if (value instanceof Uint8Array) return new TextDecoder().decode(value, { stream: true });
	return typeof value === "string" ? value : "";
}
/** The writer marks its last entry with the tag `end`. */
function hasEnded(map, key) {
	return map.entry(key)?.tags?.["end"] !== void 0;
}
// src/map.ts
/**
* A keyed channel as a map: each key with the latest value anyone has published for it. Writing publishes; the map
* changes when the entry comes back from the log, so that every client goes through the same states in the same order.
*
* After a lost line it goes on where it stood. What it knows stays meanwhile, also where the whole state has to be read
* again: only keys that are not in it are then taken out.
*/
var LiveMap = class extends Emitter {
	#channel;
	#entries = /* @__PURE__ */ new Map();
	#stale = /* @__PURE__ */ new Set();
	#waiters = /* @__PURE__ */ new Set();
	#synced = false;
	#ended;
	#at = {
		epoch: "",
		offset: 0
	};
	/** @internal */
	constructor(channel) {
		super();
		this.#channel = channel;
		channel.on("message", (m) => this.#apply(m));
		channel.on("unreadable", ({ message }) => this.#lose(message));
		channel.on("position", (at) => {
			this.#at = at;
			this.#wake();
		});
		channel.on("subscribed", ({ resumed }) => {
			if (!resumed) for (const key of this.#entries.keys()) this.#stale.add(key);
		});
		channel.on("sync", () => this.#whole());
		channel.on("unsubscribed", ({ error, retrying }) => {
			if (!retrying) this.#giveUp(error);
		});
		channel.on("state", (state) => {
			if (state !== "subscribed") this.#synced = false;
			if (state !== "unsubscribed") this.#ended = void 0;
		});
	}
	/** Whether it is whole and up to date, as far as one can know. */
	get synced() {
		return this.#synced;
	}
	get size() {
		return this.#entries.size;
	}
	get(key) {
		return this.#entries.get(key)?.value;
	}
	/** The key with all that is known of it. */
	entry(key) {
		return this.#entries.get(key);
	}
	has(key) {
		return this.#entries.has(key);
	}
	keys() {
		return this.#entries.keys();
	}
	*[Symbol.iterator]() {
		for (const [key, { value }] of this.#entries) yield [key, value];
	}
	/** The `n` keys with the highest scores, highest first; of equal ones the one written first. Without `n`: all. */
	top(n) {
		return [...this.#entries.values()].sort((a, b) => b.score - a.score || a.offset - b.offset).slice(0, n);
	}
	/** Publishes a value for the key. */
	set(key, value, options = {}) {
		return this.#channel.publish(value, {
			...options,
			key
		});
	}
	/**
	* Publishes more of the key's value, a string or bytes that grow at their end. On another value the server says `conflict`.
	* {@link text} follows such a value, {@link write} makes one from a stream.
	*/
	append(key, more, options = {}) {
		return this.#channel.publish(more, {
			...options,
			key,
			op: "append"
		});
	}
	/** Publishes that the key is gone. */
	delete(key, options = {}) {
		return this.#channel.publish(null, {
			...options,
			key,
			op: "delete"
		});
	}
	/**
	* Changes a value that others may be changing, too: `await map.update('likes', (n = 0) => n + 1)`. `change` gets the
	* value known (undefined: none) and gives the new one, or undefined to leave it. When somebody was faster it is asked
	* again with what that one wrote. Resolves with the value that now stands, once the map shows it. It rejects with a
	* {@link ConflictError} after `tries`.
	*/
	async update(key, change, options = {}) {
		const { tries = 20, ...publish } = options;
		for (let left = tries;; left--) {
			await this.#until(() => this.#synced);
			const known = this.#entries.get(key);
			const value = change(known?.value);
			if (value === void 0) return known?.value;
			const expect = known?.offset ?? 0;
			try {
				const at = await this.#channel.publish(value, {
					...publish,
					key,
					expect
				});
				await this.#until(() => this.#has(at));
				return value;
			} catch (error) {
				if (!(error instanceof ConflictError) || left <= 1) throw error;
				await this.#until(() => (this.#entries.get(key)?.offset ?? 0) !== expect || error.offset > 0 && this.#has(error));
			}
		}
	}
	/**
	* A value that grows by {@link append}, such as the answer of a language model: `for await (const piece of
	* map.text('answer'))` gives what there is so far at once, and then each piece as it comes, until it is ended.
	*/
	text(key) {
		return new LiveText(this, key);
	}
	/**
	* Publishes a stream of text under the key, piece by piece, and ends it. Pieces that come while others are under way
	* travel together, so a fast stream makes few messages. Resolves with the whole text once all of it is in the log.
	*/
	async write(key, pieces, options = {}) {
		if (this.#channel.encrypted) return this.append(key, "", options).then(() => "");
		let text = "";
		let waiting = "";
		let underWay;
		let failed;
		const send = () => {
			const piece = wholeCharacters(waiting);
			if (piece === "") return;
			waiting = waiting.slice(piece.length);
			underWay = this.append(key, piece, options).then(() => {
				underWay = void 0;
				if (waiting !== "") send();
			}, (error) => {
				failed = { error };
			});
		};
		await this.set(key, "", options);
		for await (const piece of pieces) {
			if (failed !== void 0) break;
			text += piece;
			waiting += piece;
			if (underWay === void 0 && waiting !== "") send();
		}
		while (underWay !== void 0 && failed === void 0) await underWay;
		if (failed !== void 0) throw failed.error;
		await this.append(key, "", {
			...options,
			tags: {
				...options.tags,
				end: "1"
			}
		});
		return text;
	}
	#apply(m) {
		if (m.key === void 0) return;
		const { key, op } = m;
		const previous = this.#entries.get(key);
		this.#stale.delete(key);
		if (op === "delete") return this.#remove(key, m.live);
		const value = op === "append" ? grow(previous?.value, m.payload) : m.payload;
		const { offset, time, tags, from } = m;
		const score = op === "append" && m.score === 0 ? previous?.score ?? 0 : m.score;
		this.#entries.set(key, {
			key,
			value,
			offset,
			time,
			score,
			tags,
			from
		});
		this.emit("change", {
			key,
			value,
			previous: previous?.value,
			op,
			live: m.live
		});
	}
	/** The key has a value by now that cannot be read: the one that is known is not its value any more. */
	#lose(m) {
		if (m.key === void 0) return;
		this.#stale.delete(m.key);
		this.#remove(m.key, m.live);
	}
	#remove(key, live) {
		const previous = this.#entries.get(key);
		if (!this.#entries.delete(key)) return;
		this.emit("change", {
			key,
			value: void 0,
			previous: previous?.value,
			op: "delete",
			live
		});
	}
	/** All of the state has come: what was known and is not in it is gone. */
	#whole() {
		for (const key of [...this.#stale]) this.#remove(key, false);
		this.#stale.clear();
		this.#synced = true;
		this.emit("sync", void 0);
		this.#wake();
	}
	/**
	* Whether the map has seen the log up to this position, or the log is another one by now. On the way through what has
	* changed it has not: a key comes where it was last written.
	*/
	#has(at) {
		return this.#synced && (this.#at.epoch !== at.epoch || this.#at.offset >= at.offset);
	}
	#until(until) {
		if (until()) return Promise.resolve();
		if (this.#ended !== void 0) return Promise.reject(this.#ended);
		return new Promise((resolve, reject) => this.#waiters.add({
			until,
			resolve,
			reject
		}));
	}
	#wake() {
		for (const w of this.#waiters) {
			if (!w.until()) continue;
			this.#waiters.delete(w);
			w.resolve();
		}
	}
	#giveUp(error) {
		this.#ended = error;
		for (const w of this.#waiters) w.reject(error);
		this.#waiters.clear();
	}
};
/** A text without the first half of a surrogate pair at its end, whose other half is yet to come: JSON cannot say half. */
function wholeCharacters(text) {
	return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}
/** What `append` makes of a value: the server lets only strings and bytes grow. */
function grow(value, more) {
	if (value instanceof Uint8Array && more instanceof Uint8Array) return concat(value, more);
	return typeof value === "string" && typeof more === "string" ? value + more : more;
}
// src/backoff.ts
var defaultBackoff = {
	baseMs: 500,
	maxMs: 2e4,
	stableMs: 1e4
};
/**
* Exponential backoff with full jitter: the n-th delay is drawn evenly from [0, min(max, base × 2ⁿ)). Spreading over
* the whole range, not around its end, keeps clients that lost their server together from coming back together.
*/
var Backoff = class {
	#settings;
	#random;
	#attempt = 0;
	/** `random` answers a number from 0 up to 1. */
	constructor(settings, random) {
		this.#settings = settings;
		this.#random = random;
	}
	/** Draws the next delay in milliseconds; the bound doubles with every call. */
	next() {
		const bound = Math.min(this.#settings.maxMs, this.#settings.baseMs * 2 ** this.#attempt);
		if (bound < this.#settings.maxMs) this.#attempt++;
		return Math.floor(this.#random() * bound);
	}
	/** Grows the next delays at once, for a server that says it was asked too often. */
	atLeast(attempt) {
		this.#attempt = Math.max(this.#attempt, attempt);
	}
	reset() {
		this.#attempt = 0;
	}
};
// src/clock.ts
/** The time of the machine, from the start of the page on by the clock that nobody sets. */
var systemClock = {
	now: () => performance.timeOrigin + performance.now(),
	after(ms, fn) {
		const timer = setTimeout(fn, ms);
		return () => clearTimeout(timer);
	}
};
// src/presence.ts
var pageSize = 100;
/**
* Who is on a channel. The list is read in pages at first and kept up to date by joins and leaves; where both speak of one
* member, the later position in the presence log is right. After a short loss of the line it goes on where it stood, and
* nobody has left: the server waits a while for those who come back.
*/
var Presence = class extends Emitter {
	#ask;
	#session;
	#after;
	#us;
	#backoff = new Backoff(defaultBackoff, Math.random);
	#members = /* @__PURE__ */ new Map();
	#changes;
	#reading = 0;
	#calm = () => {};
	#max = 1e3;
	#complete = false;
	#crowd = false;
	#own = "";
	#total = 0;
	#totalAt;
	#told = 0;
	#users;
	/** @internal */
	constructor(ask, session = () => "", after = systemClock.after, us = () => void 0) {
		super();
		this.#ask = ask;
		this.#session = session;
		this.#after = after;
		this.#us = us;
	}
	/** Everyone who is here, in the order in which they became known; at most `maxMembers`. */
	get members() {
		return [...this.#members.values()];
	}
	/** How many members there are, listed or not. */
	get count() {
		if (this.#complete) return this.#members.size;
		return this.#crowd ? this.#total : Math.max(this.#total, this.#members.size);
	}
	/** Whether `members` are all there are: not before the first `sync`, and not where there are more than `maxMembers`. */
	get complete() {
		return this.#complete;
	}
	/** The member with this session name. */
	get(session) {
		return this.#members.get(session);
	}
	/** This session, where it is a member. */
	get self() {
		return this.#members.get(this.#session());
	}
	/** The same list by user: several sessions of one user are one. */
	get users() {
		return this.#users ??= new Users(this);
	}
	/** @internal The channel is subscribed, for the first time or again. */
	subscribed(reply, max = 1e3) {
		this.#max = max;
		const same = this.#own === this.#session();
		this.#own = this.#session();
		if (reply?.resumed && same && this.#complete) {
			this.#listUs();
			this.#tellCount();
			this.emit("sync", this.members);
			return;
		}
		this.#complete = false;
		this.#total = reply?.count ?? this.#total;
		this.#crowd = false;
		this.synchronize();
	}
	/** @internal Reads the whole list. The one known so far stays until then. */
	synchronize() {
		this.#calm();
		const reading = ++this.#reading;
		this.#changes = /* @__PURE__ */ new Map();
		this.#readPages(reading).catch((error) => {
			if (reading !== this.#reading) return;
			this.#changes = void 0;
			this.#readAgain(error);
		});
	}
	/** Begins anew what an error has ended, where that can help. After a lost connection the next one asks. */
	#readAgain(error) {
		if (!(error instanceof HocketError) || error.code === LocalErrorCode.connection_lost) return;
		if (error.code === ErrorCode.epoch_changed) return this.synchronize();
		if (error.retryable) this.#calm = this.#after(Math.max(error.retryAfterMs, this.#backoff.next()), () => this.synchronize());
	}
	/** @internal Takes what the server says about members. */
	changed(kind, members, position) {
		if (kind !== "update" && later(position, this.#totalAt)) this.#total += kind === "join" ? members.length : -members.length;
		if (this.#crowd && kind !== "update") {
			this.#crowd = false;
			this.synchronize();
		}
		for (const m of members) {
			const member = kind === "leave" ? void 0 : toMember(m);
			this.#changes?.set(m.session, {
				position,
				member
			});
			if (member === void 0) this.#remove(m.session);
			else this.#put(member);
		}
		this.#tellCount();
	}
	/** @internal A crowd has grown or shrunk, or some of what was to be told is missing. */
	changedUnseen(count) {
		this.#complete = false;
		if (count === void 0) return this.synchronize();
		this.#crowd = true;
		this.#total = count;
		this.#totalAt = void 0;
		this.#tellCount();
	}
	/** @internal We tell something else about ourselves: nobody tells us. */
	told(info) {
		const self = this.self;
		if (self !== void 0) this.#put({
			...self,
			info
		});
	}
	/** @internal Forgets everyone, silently: nobody has left, we have. */
	clear() {
		this.#calm();
		this.#reading++;
		this.#changes = void 0;
		this.#complete = this.#crowd = false;
		this.#total = this.#told = 0;
		this.#totalAt = void 0;
		this.#members.clear();
		this.#users?.clear();
	}
	async #readPages(reading) {
		const listed = /* @__PURE__ */ new Map();
		let first;
		let next;
		do {
			const page = await this.#ask({
				limit: Math.min(pageSize, this.#max),
				...next && { next }
			});
			if (reading !== this.#reading) return;
			const at = position$1(page);
			first ??= at;
			this.#total = page.count ?? this.#total;
			this.#totalAt = at;
			for (const m of page.members ?? []) {
				const member = toMember(m);
				listed.set(m.session, member);
				if (this.#knowsBetter(m.session, at)) continue;
				this.#changes?.delete(m.session);
				this.#put(member);
			}
			next = page.next;
		} while (next && listed.size < this.#max);
		this.#backoff.reset();
		this.#dropUnlisted(listed, first);
		this.#complete = !next && !this.#crowd && this.#members.size <= this.#max;
		this.#fill(listed, first);
		this.#listUs();
		this.#changes = void 0;
		this.#tellCount();
		this.emit("sync", this.members);
	}
	/** Whether a join or leave has told of this session something later than a page read at `at`. */
	#knowsBetter(session, at) {
		const change = this.#changes?.get(session);
		return change !== void 0 && later(change.position, at);
	}
	#dropUnlisted(listed, first) {
		const us = this.#us()?.session;
		for (const session of [...this.#members.keys()]) if (!listed.has(session) && session !== us && !this.#knowsBetter(session, first)) this.#remove(session);
	}
	/** Lists those for whom there was no room before others were dropped. */
	#fill(listed, first) {
		const changes = this.#changes ?? /* @__PURE__ */ new Map();
		for (const [session, member] of listed) if (!changes.has(session)) this.#add(member);
		for (const [session, { member }] of changes) if (member !== void 0 && this.#knowsBetter(session, first)) this.#add(member);
	}
	/**
	* Puts us on the list, where a page had us not: it was read while we were away, or before we were in a log that has begun
	* anew. Nobody tells us of our own join.
	*/
	#listUs() {
		const us = this.#us();
		if (us !== void 0) this.#add(us);
	}
	#add(member) {
		if (!this.#members.has(member.session)) this.#put(member);
	}
	#put(member) {
		const known = this.#members.get(member.session);
		if (known === void 0) {
			if (this.#members.size >= this.#max) {
				this.#complete = false;
				return;
			}
			this.#members.set(member.session, member);
			this.emit("join", member);
		} else if (known.user !== member.user || JSON.stringify(known.info) !== JSON.stringify(member.info)) {
			this.#members.set(member.session, member);
			this.emit("update", member);
		}
	}
	#remove(session) {
		const member = this.#members.get(session);
		if (member === void 0) return;
		this.#members.delete(session);
		this.emit("leave", member);
	}
	#tellCount() {
		if (this.count === this.#told) return;
		this.#told = this.count;
		this.emit("count", this.#told);
	}
};
/** Who is on a channel, by user. Whoever is anonymous counts as one user per session. Made by {@link Presence.users}. */
var Users = class extends Emitter {
	#users = /* @__PURE__ */ new Map();
	/** @internal */
	constructor(presence) {
		super();
		for (const m of presence.members) this.#put(m);
		presence.on("join", (m) => this.#put(m));
		presence.on("update", (m) => this.#put(m));
		presence.on("leave", (m) => this.#remove(m));
	}
	get count() {
		return this.#users.size;
	}
	get(user) {
		const sessions = this.#users.get(`u${user}`);
		return sessions && merged(sessions);
	}
	*[Symbol.iterator]() {
		for (const sessions of this.#users.values()) yield merged(sessions);
	}
	/** @internal */
	clear() {
		this.#users.clear();
	}
	#put(m) {
		const known = this.#users.get(key(m));
		const sessions = known ?? /* @__PURE__ */ new Map();
		sessions.set(m.session, m);
		if (known === void 0) this.#users.set(key(m), sessions);
		this.emit(known === void 0 ? "join" : "update", merged(sessions));
	}
	#remove(m) {
		const sessions = this.#users.get(key(m));
		if (sessions === void 0) return;
		if (sessions.size > 1) {
			sessions.delete(m.session);
			return this.emit("update", merged(sessions));
		}
		this.#users.delete(key(m));
		this.emit("leave", merged(sessions));
	}
};
function key(m) {
	return m.user === "" ? `s${m.session}` : `u${m.user}`;
}
function merged(sessions) {
	const all = [...sessions.values()];
	const last = all.at(-1);
	return {
		user: last.user,
		info: last.info,
		sessions: all
	};
}
/** Whether `a` comes after `b` in the presence log; also where nobody can tell: what is pushed is news. */
function later(a, b) {
	return a === void 0 || b === void 0 || a.epoch !== b.epoch || a.offset > b.offset;
}
function position$1(page) {
	return page.epoch !== void 0 && page.offset !== void 0 ? {
		epoch: page.epoch,
		offset: page.offset
	} : void 0;
}
function toMember(m) {
	return {
		session: m.session,
		user: m.user ?? "",
		info: m.info
	};
}
// src/sealed.ts
/**
* The payloads of one channel on their way through a {@link Sealer}, which takes its time: what comes and what goes keeps
* its order all the same.
*/
var Sealed = class {
	#channel;
	#sealer;
	#tell;
	#inbox = [];
	#turn = Promise.resolve();
	constructor(channel, sealer, tell) {
		this.#channel = channel;
		this.#sealer = sealer;
		this.#tell = tell;
	}
	/** Takes what happens on the channel and tells it once it can be read, after what came before. */
	take(event) {
		if (this.#inbox.length === 0 && event.type !== "message") return this.#tell(event);
		this.#inbox.push(event.type === "message" ? this.#open(event.message) : Promise.resolve(event));
		if (this.#inbox.length === 1) this.#drain();
	}
	async #drain() {
		for (let next = this.#inbox[0]; next !== void 0; next = this.#inbox[0]) {
			this.#tell(await next);
			this.#inbox.shift();
		}
	}
	async #open(message) {
		const { key = "", op } = message;
		if (op === "delete" && (message.payload === void 0 || message.payload === null)) return {
			type: "message",
			message
		};
		try {
			const payload = await this.#sealer.open({
				channel: this.#channel,
				key,
				op
			}, message.payload);
			return {
				type: "message",
				message: {
					...message,
					payload
				}
			};
		} catch (error) {
			return {
				type: "unreadable",
				message,
				error: asError(error)
			};
		}
	}
	/** Gives the messages of a page that can be read, and tells of the others. */
	async openAll(messages) {
		const readable = [];
		for (const event of await Promise.all(messages.map((m) => this.#open(m)))) if (event.type === "message") readable.push(event.message);
		else this.#tell(event);
		return readable;
	}
	/** Encrypts the payload of a publish and hands it on, after those before it. Resolves with what `send` does. */
	async publish(fields, send) {
		const { payload, ...rest } = fields;
		const place = {
			channel: this.#channel,
			key: rest["key"] ?? "",
			op: rest["op"] ?? "set"
		};
		if (place.op === "append") {
			const why = `nothing can be appended on ${this.#channel}: the server cannot join what is encrypted`;
			throw new HocketError(ErrorCode.not_supported, "not_supported", why);
		}
		const none = place.op === "delete" && (payload === void 0 || payload === null);
		const sealed = none ? void 0 : this.#sealer.seal(place, payload instanceof Uint8Array ? payload.slice() : JSON.stringify(payload ?? null));
		const handedOn = Promise.allSettled([sealed, this.#turn]).then(([result]) => {
			if (result.status === "rejected") throw asError(result.reason);
			return { reply: send(none ? rest : {
				...rest,
				payload: result.value
			}) };
		});
		this.#turn = handedOn.catch(() => {});
		return (await handedOn).reply;
	}
};
function asError(error) {
	return error instanceof HocketError ? error : HocketError.from({ message: String(error) });
}
// src/subscription.ts
/** A state of which nothing has come for so long is whole: what came last to the log was a delete. In milliseconds. */
var quietMs = 2e3;
/**
* One channel as this client follows it: where it stands, and what is to be asked to go on from there. It does no I/O;
* the session sends what {@link request} gives and hands over what comes.
*
* The position is the offset of the last `message` or `position` received, nothing else. Before the first of them the
* subscription goes on from `#base`, a position before everything that is still to come.
*/
var Subscription = class {
	channel;
	#options;
	#emit;
	#backoff;
	#state = "unsubscribed";
	#askedAt = 0;
	#askedFrom;
	#id;
	#retryAt;
	#epoch;
	#head = 0;
	#position;
	#base;
	#unseen;
	#transfer;
	#anew = false;
	#present;
	#presentFrom;
	constructor(channel, options, backoff, random, emit) {
		this.channel = channel;
		this.#options = options;
		this.#emit = emit;
		this.#backoff = new Backoff(backoff, random);
		this.#forget();
	}
	get state() {
		return this.#state;
	}
	/** The position to go on from, once there is one. */
	get position() {
		if (this.#epoch !== void 0 && this.#position !== void 0) return {
			epoch: this.#epoch,
			offset: this.#position
		};
		return this.#base;
	}
	/** When {@link tick} wants to be called: to ask again, or because a question was not answered. */
	deadline(timeoutMs) {
		if (this.#state === "waiting") return this.#retryAt;
		if (this.#state === "subscribed") return this.#transfer?.quietAt;
		return this.#state === "subscribing" ? this.#askedAt + timeoutMs : void 0;
	}
	/** Whether a subscribe is to be sent as soon as a line stands. */
	wants(now) {
		return this.#state === "waiting" && (this.#retryAt === void 0 || this.#retryAt <= now);
	}
	/** The application wants the channel. */
	want() {
		if (this.#state === "unsubscribed") this.#enter("waiting");
	}
	/** Gives the subscribe to send under this id. */
	request(id, now) {
		this.#id = id;
		this.#askedAt = now;
		this.#retryAt = void 0;
		this.#askedFrom = this.position;
		this.#enter("subscribing");
		const { presence, filter } = this.#options;
		this.#presentFrom = presence === true ? this.#present : void 0;
		const payload = { from: (this.#askedFrom !== void 0 && this.#isState ? {
			...this.#askedFrom,
			state: true
		} : this.#askedFrom) ?? this.#beginning() };
		if (presence) payload["presence"] = this.#presentFrom ?? presence;
		if (filter !== void 0) payload["filter"] = filter;
		return JSON.stringify({
			type: "subscribe",
			id,
			channel: this.channel,
			payload
		});
	}
	/** Whether the request with this id is this channel's present subscribe. */
	isAsking(id) {
		return this.#state === "subscribing" && id === this.#id;
	}
	/** The server has confirmed the subscription. */
	confirm(reply, now) {
		const before = this.#epoch;
		const recoverable = this.#options.recover !== false;
		const anotherLog = before !== void 0 && before !== reply.epoch;
		const lost = this.#askedFrom !== void 0 && (!reply.recovered || this.#askedFrom.epoch !== reply.epoch);
		const reset = recoverable && (lost || anotherLog || this.#anew);
		this.#anew = false;
		this.#backoff.reset();
		if (reset) this.#reset({
			oldEpoch: before ?? this.#askedFrom?.epoch ?? "",
			epoch: reply.epoch,
			offset: reply.offset
		});
		this.#stand(reply, before);
		this.#enter("subscribed");
		const { epoch, offset } = reply;
		const resumed = this.#askedFrom !== void 0 && !reset;
		const again = before !== void 0;
		const presence = this.#confirmPresence(reply);
		this.#emit({
			type: "subscribed",
			subscribed: {
				epoch,
				offset,
				recovered: !reset,
				resumed,
				again
			},
			presence
		});
		if (this.#isState) this.#transferring(resumed, offset, now);
	}
	#confirmPresence(reply) {
		const p = reply.presence;
		if (p === void 0) return void 0;
		const resumed = this.#presentFrom !== void 0 && p.epoch === this.#presentFrom.epoch;
		if (!resumed) this.#present = position(p);
		return {
			count: p.count,
			resumed
		};
	}
	/** The server has refused the subscription, or ended it. What may succeed later is tried again. */
	fail(error, now) {
		const retrying = error.retryable;
		if (retrying) this.#retryAt = now + Math.max(error.retryAfterMs, this.#backoff.next());
		this.#enter(retrying ? "waiting" : "unsubscribed");
		this.#emit({
			type: "unsubscribed",
			error,
			retrying
		});
	}
	/** Gives up when the server has not answered in time; then a late answer must be undone with an `unsubscribe`. */
	tick(now, timeoutMs) {
		if (this.#state === "subscribed" && this.#transfer?.quietAt !== void 0 && this.#transfer.quietAt <= now) this.#whole();
		if (this.#state !== "subscribing" || this.#askedAt + timeoutMs > now) return false;
		this.fail(timeoutError(`subscribe to ${this.channel}`, timeoutMs), now);
		return true;
	}
	/** The line is gone; the subscription is made again over the next one. */
	lost() {
		if (this.#state === "unsubscribed") return;
		if (this.#options.recover === false) this.#restart();
		this.#retryAt = void 0;
		this.#enter("waiting");
	}
	/** The application has left the channel, or the connection has ended: what is known of the log is forgotten. */
	leave(error) {
		if (this.#state === "unsubscribed") return;
		this.#forget();
		this.#enter("unsubscribed");
		this.#emit({
			type: "unsubscribed",
			error,
			retrying: false
		});
	}
	/** Some of the presence log was not and will not be sent. */
	missedPresence() {
		this.#present = void 0;
		this.#emit({
			type: "presence changed",
			count: void 0
		});
	}
	/** Takes a push of the server for this channel. */
	received(m, now) {
		if (this.#state !== "subscribed") return "nothing";
		switch (m.type) {
			case "message": return this.#message(m, now);
			case "position":
				if (typeof m.offset === "number") this.#advance(m.offset);
				return "nothing";
			case "gap": return this.#gap(m.payload);
			case "join":
			case "leave":
			case "update":
				this.#presence(m.type, m);
				return "nothing";
			case "presence":
				this.#present = position(m) ?? this.#present;
				this.#emit({
					type: "presence changed",
					count: m.payload?.count
				});
				return "nothing";
			default: return "nothing";
		}
	}
	#message(m, now) {
		const offset = m.offset ?? 0;
		if (this.#position !== void 0 && offset <= this.#position) return "nothing";
		if (this.#lacksBase(m, offset)) {
			this.#restart();
			this.#anew = true;
			return "begin again";
		}
		if (this.#transfer?.quietAt !== void 0) this.#transfer.quietAt = now + quietMs;
		this.#countUnseen(offset);
		const message = toMessage(m, this.#epoch ?? "", offset > this.#head);
		if (message.live) this.#whole();
		this.#emit({
			type: "message",
			message
		});
		this.#advance(offset);
		return "nothing";
	}
	/**
	* Whether this is more of a value that was never received: when the transfer of a state was cut and goes on from the
	* log, what follows may grow a value that stood behind the cut.
	*/
	#lacksBase(m, offset) {
		const t = this.#transfer;
		if (t?.seen === void 0 || m.key === void 0 || offset > t.head) return false;
		if (m.op === "append") return !t.seen.has(m.key);
		t.seen.add(m.key);
		return false;
	}
	#gap(gap) {
		this.#emit({
			type: "gap",
			gap: {
				from: gap.from,
				to: gap.to,
				reason: gap.reason
			}
		});
		return this.#isState && gap.reason !== "without_key" ? "begin again" : "nothing";
	}
	#presence(kind, m) {
		const at = position(m);
		this.#present = at ?? this.#present;
		this.#emit({
			type: "presence",
			kind,
			members: m.members ?? [],
			position: at
		});
	}
	#advance(offset) {
		this.#base = void 0;
		if (this.#position === void 0 || offset > this.#position) {
			this.#position = offset;
			this.#emit({
				type: "position",
				position: {
					epoch: this.#epoch ?? "",
					offset
				}
			});
		}
		if (this.#transfer === void 0 || this.#position < this.#transfer.head) return;
		this.#whole();
		this.#transfer = void 0;
	}
	get #isState() {
		return this.#options.from === "state";
	}
	/** A state, or what has changed in it, is on its way. After a cut in the middle it is whole no sooner than it was. */
	#transferring(resumed, head, now) {
		const unfinished = resumed ? this.#transfer : void 0;
		const seen = unfinished && /* @__PURE__ */ new Set();
		this.#transfer = {
			head: unfinished?.head ?? head,
			quietAt: now + quietMs,
			seen
		};
		if ((this.#position ?? 0) >= head) this.#advance(head);
	}
	/** Tells once that the state is whole. */
	#whole() {
		if (this.#transfer?.quietAt === void 0) return;
		this.#transfer.quietAt = void 0;
		this.#emit({ type: "whole" });
	}
	/** Where to begin when there is no position to go on from. */
	#beginning() {
		const from = this.#options.from ?? "live";
		if (typeof from !== "object" || !("sinceMs" in from)) return from;
		const { sinceMs, ...others } = from;
		return {
			since_ms: sinceMs,
			...others
		};
	}
	/** What was shown so far has no continuation. Everything the log still holds will come, so nothing is dropped. */
	#reset(event) {
		this.#epoch = event.epoch;
		this.#position = void 0;
		this.#base = this.#isState ? void 0 : {
			epoch: event.epoch,
			offset: 0
		};
		this.#emit({
			type: "reset",
			reset: event
		});
	}
	#stand(reply, before) {
		const from = this.#options.from ?? "live";
		const beginning = this.#askedFrom === void 0;
		if (beginning && from === "live") this.#base = {
			epoch: reply.epoch,
			offset: reply.offset
		};
		const grown = before === reply.epoch && reply.offset > this.#head;
		if (beginning && grown && typeof from === "object" && "last" in from && this.#options.recover !== false) this.#unseen = {
			after: this.#head,
			left: from.last
		};
		else this.#unseen = void 0;
		this.#epoch = reply.epoch;
		this.#head = reply.offset;
	}
	/**
	* A `last: n` that was cut before anything came begins with the newest n once more. When exactly n come, more may
	* have been published meanwhile than that; nobody else would say so.
	*/
	#countUnseen(offset) {
		if (this.#unseen === void 0 || offset > this.#head) return;
		this.#unseen.left--;
		if (this.#unseen.left > 0) return;
		const gap = {
			from: this.#unseen.after,
			to: offset,
			reason: "subscribed_again"
		};
		this.#unseen = void 0;
		this.#emit({
			type: "gap",
			gap
		});
	}
	/** Begins with `from` the next time. */
	#restart() {
		this.#position = void 0;
		this.#base = void 0;
	}
	/** Knows nothing but what the application asked for. */
	#forget() {
		const from = this.#options.from;
		this.#position = void 0;
		this.#base = typeof from === "object" && "epoch" in from ? from : void 0;
		this.#epoch = void 0;
		this.#head = 0;
		this.#anew = false;
		this.#transfer = this.#present = void 0;
	}
	#enter(state) {
		if (state !== "subscribing") this.#id = void 0;
		if (this.#state === state) return;
		this.#state = state;
		this.#emit({
			type: "state",
			state
		});
	}
};
/** Makes the public message of one on the wire. */
function toMessage(m, epoch, live) {
	return {
		channel: m.channel ?? "",
		epoch,
		offset: m.offset ?? 0,
		time: m.time ?? 0,
		payload: readPayload(m),
		key: m.key,
		op: m.op ?? "set",
		tags: m.tags,
		score: m.score ?? 0,
		from: m.from && {
			user: m.from.user ?? "",
			session: m.from.session
		},
		live
	};
}
function position(m) {
	return typeof m.epoch === "string" && typeof m.offset === "number" ? {
		epoch: m.epoch,
		offset: m.offset
	} : void 0;
}
// src/channel.ts
/** How many messages an async iterator keeps for a reader that is behind. */
var iteratorBound = 1e4;
/** A channel as this client sees it. Made by `connection.channel(name)`. */
var Channel = class extends Emitter {
	name;
	/** Who is on the channel; kept while it is subscribed with `presence`. */
	presence;
	#link;
	#sealed;
	#options;
	#state = "unsubscribed";
	#subscribing;
	#map;
	#position;
	/** @internal */
	constructor(name, options, link) {
		super();
		this.name = name;
		this.#options = options;
		this.#link = link;
		this.presence = new Presence((payload) => link.request({
			type: "presence",
			payload
		}), () => link.self().session, (ms, fn) => link.after(ms, fn), () => this.#state === "subscribed" && this.#options.presence === true ? link.self() : void 0);
		const tell = (event) => this.#happened(event);
		this.#sealed = link.sealer && new Sealed(name, link.sealer, tell);
		link.register((event) => this.#sealed ? this.#sealed.take(event) : tell(event));
	}
	get state() {
		return this.#state;
	}
	/** Whether payloads are encrypted end to end. */
	get encrypted() {
		return this.#sealed !== void 0;
	}
	/** How far the channel has come here; undefined before the first message. See the event `position`. */
	get position() {
		return this.#position;
	}
	/** @internal Takes options as long as they can still take effect. */
	configure(options) {
		if (this.#state !== "unsubscribed") throw new TypeError(`${this.name} is subscribed already: its options stand`);
		this.#options = {
			...this.#options,
			...options
		};
	}
	/**
	* Follows the channel until {@link unsubscribe}, over every reconnect. Resolves when the server has confirmed it for
	* the first time, however long the line takes; rejects when it is refused for good.
	*/
	subscribe() {
		if (this.#state === "subscribed") return Promise.resolve();
		if (this.#subscribing === void 0) {
			const { promise, resolve, reject } = deferred();
			promise.catch(() => {});
			this.#subscribing = {
				promise,
				resolve,
				reject
			};
			this.#link.subscribe(this.#options, this.#sealed !== void 0);
			return promise;
		}
		return this.#subscribing.promise;
	}
	/** Stops following the channel. */
	unsubscribe() {
		this.#link.unsubscribe();
	}
	/**
	* Publishes. Resolves when the entry is in the log. Without a line it waits, in order with the others; it never times
	* out, because an entry given up might still arrive. It rejects when the server refuses it (a new publish is then a
	* new entry), when too many wait, and when the connection is closed; with a {@link ConflictError} when `expect` does
	* not hold, and with an {@link UnknownOutcomeError} when it may have been published all the same; with `no_key` where the
	* channel is encrypted and there is no key. The payload is read at once: an ArrayBuffer or a view of one, such as a
	* Uint8Array, is published as its bytes, anything else as JSON.
	*/
	async publish(payload, options = {}) {
		needNumbers(options);
		const { key, op, echo, idempotencyKey, expect, ttlMs, score, ephemeral, tags } = options;
		const bytes = bytesOf(payload);
		const fields = {
			...bytes === void 0 || this.#sealed ? { payload: bytes ?? payload } : {
				payload: toBase64(bytes),
				encoding: "base64"
			},
			...key !== void 0 && { key },
			...op !== void 0 && op !== "set" && { op },
			...echo === false && { echo },
			...idempotencyKey !== void 0 && { idempotency_key: idempotencyKey },
			...expect !== void 0 && { expect },
			...ttlMs !== void 0 && { ttl_ms: ttlMs },
			...score !== void 0 && { score },
			...ephemeral && { ephemeral },
			...tags !== void 0 && { tags }
		};
		const send = (f) => this.#link.publish(f);
		const reply = await (this.#sealed ? this.#sealed.publish(fields, send) : send(fields));
		return {
			epoch: reply.epoch ?? "",
			offset: reply.offset ?? 0,
			duplicate: reply.duplicate === true
		};
	}
	/** Reads older messages, oldest first. */
	async history(options = {}) {
		needNumbers(options);
		const reply = await this.#link.request({
			type: "history",
			payload: options
		});
		return {
			epoch: reply.epoch,
			offset: reply.offset,
			messages: await this.#page(reply),
			more: reply.more === true
		};
	}
	/** Reads a page of the channel's state, without following it: the latest entry of each key. */
	async readState(options = {}) {
		needNumbers(options);
		const reply = await this.#link.request({
			type: "state",
			payload: options
		});
		const { epoch, offset, count, next } = reply;
		return {
			epoch,
			offset,
			messages: await this.#page(reply),
			count: count ?? 0,
			next
		};
	}
	async #page(reply) {
		const messages = (reply.messages ?? []).map((m) => toMessage({
			channel: this.name,
			...m
		}, reply.epoch, false));
		return this.#sealed ? this.#sealed.openAll(messages) : messages;
	}
	/** The channel as a live map: each key with its latest value. It subscribes with `from: 'state'`. */
	map() {
		if (this.#map === void 0) {
			if (this.#options.from !== "state") this.configure({ from: "state" });
			this.#map = new LiveMap(this);
		}
		this.subscribe().catch(() => {});
		return this.#map;
	}
	/**
	* The messages from now on; it subscribes when nobody has. It ends with the subscription. A reader that lets 10,000
	* messages wait gets an `iterator_overflow` error.
	*/
	async *[Symbol.asyncIterator]() {
		const waiting = [];
		let ended;
		let wake = () => {};
		const ends = [this.on("message", (m) => {
			if (waiting.length < iteratorBound) waiting.push(m);
			else ended ??= { error: localError("iterator_overflow", `${iteratorBound} messages wait to be read`) };
			wake();
		}), this.on("unsubscribed", ({ retrying }) => {
			if (!retrying) ended ??= {};
			wake();
		})];
		try {
			await this.subscribe();
			while (ended === void 0 || waiting.length > 0) {
				const m = waiting.shift();
				if (m !== void 0) yield m;
				else await new Promise((resolve) => wake = resolve);
			}
			if (ended.error !== void 0) throw ended.error;
		} finally {
			for (const end of ends) end();
		}
	}
	#happened(event) {
		switch (event.type) {
			case "message": return this.emit("message", event.message);
			case "unreadable": return this.emit("unreadable", {
				message: event.message,
				error: event.error
			});
			case "gap": return this.emit("gap", event.gap);
			case "reset": return this.emit("reset", event.reset);
			case "state":
				this.#state = event.state;
				return this.emit("state", event.state);
			case "subscribed":
				if (this.#options.presence) this.presence.subscribed(event.presence, this.#options.maxMembers);
				this.emit("subscribed", event.subscribed);
				this.#subscribing?.resolve();
				this.#subscribing = void 0;
				return;
			case "unsubscribed": return this.#unsubscribed(event.error, event.retrying);
			case "presence": return this.presence.changed(event.kind, event.members, event.position);
			case "presence changed": return this.presence.changedUnseen(event.count);
			case "position":
				this.#position = event.position;
				return this.emit("position", event.position);
			case "whole": return this.emit("sync", void 0);
		}
	}
	#unsubscribed(error, retrying) {
		this.emit("unsubscribed", {
			error,
			retrying
		});
		if (retrying) return;
		this.#position = void 0;
		this.presence.clear();
		this.#subscribing?.reject(error);
		this.#subscribing = void 0;
	}
};
function deferred() {
	let resolve = () => {};
	let reject = () => {};
	return {
		promise: new Promise((res, rej) => {
			resolve = res;
			reject = rej;
		}),
		resolve,
		reject
	};
}
// src/protocol.ts
/** Reads one message; undefined for what is none. */
function parseMessage(text) {
	let value;
	try {
		value = JSON.parse(text);
	} catch {
		return;
	}
	if (typeof value !== "object" || value === null) return void 0;
	return typeof value.type === "string" ? value : void 0;
}
/**
* Judges a close code. Everything outside 4100–4299 means to come back: also 1000 and 1001, with which servers and
* proxies end idle or moving connections; who is not wanted is told so with 42xx.
*/
function verdict(code) {
	const listed = CloseAction[code];
	if (listed !== void 0) return listed;
	if (code >= 4100 && code <= 4199) return "token";
	if (code >= 4200 && code <= 4299) return "stop";
	return "reconnect";
}
var pathOfSocket = "/v1/ws";
/**
* Makes a WebSocket address of what the caller wrote: http becomes ws, no path becomes `/v1/ws`, and an address
* without a host is taken relative to `base` (the page's own address).
*/
function socketURL(url, base) {
	const u = new URL(url, base);
	if (u.protocol === "http:") u.protocol = "ws:";
	if (u.protocol === "https:") u.protocol = "wss:";
	if (u.protocol !== "ws:" && u.protocol !== "wss:") throw new TypeError(`${url} is no ws, wss, http or https address`);
	if (u.pathname === "/" || u.pathname === "") u.pathname = pathOfSocket;
	u.hash = "";
	return u.href;
}
// src/link.ts
/** The close codes of a client: what it holds on the server ends with the first, and waits for it after the second. */
var goodbye = 1e3;
var comingBack = 4e3;
/** What refuses the info of a `connect`: permission_denied where it comes with the proof of identity. */
var aboutInfo = /* @__PURE__ */ new Set([
	ErrorCode.info_too_large,
	ErrorCode.too_large,
	ErrorCode.permission_denied
]);
/** How long a callback for a token or ticket may take, in multiples of connectTimeoutMs: people may have to type a password. */
var tokenPatience = 6;
/** After an `error` to `connect` the server closes with a code that says what to do. It may have this long, in ms. */
var verdictWithinMs = 1e3;
/** Tokens are refreshed this long before they expire, but never more often than refreshEveryMs. */
var refreshAheadMs = 3e4;
var refreshEveryMs = 1e4;
/**
* The life of one connection: token, ticket, socket, `connect`, pings, loss, backoff, and over again. It does no I/O and reads
* no clock: the session tells it what happened and when, and it asks its host to act.
*/
var Link = class {
	#settings;
	#host;
	#backoff;
	#phase = "idle";
	#state = "connecting";
	#deadline;
	#url;
	#token;
	#ticket;
	#ticketRefused = false;
	#info;
	#infoIsNew = false;
	#taken;
	#messageBytes;
	#sent;
	#connectId = -1;
	#refusal;
	#upSince;
	#ping;
	#pingAt;
	#silentBy;
	#refreshAt;
	#moveAt;
	constructor(settings, random, host) {
		this.#settings = settings;
		this.#host = host;
		this.#backoff = new Backoff(settings.backoff, random);
		this.#url = settings.url;
		this.#token = settings.token;
		this.#ticket = settings.ticket;
		this.#info = settings.info;
	}
	get state() {
		return this.#state;
	}
	get connected() {
		return this.#phase === "connected";
	}
	/** Whether the server hears us, though it may not have answered `connect` yet. */
	get open() {
		return this.#phase === "greeting" && this.#refusal === void 0 || this.#phase === "connected";
	}
	/** How many bytes a message to the server may have; undefined while that is not known. */
	get messageBytes() {
		return this.#messageBytes;
	}
	/** When {@link tick} wants to be called. */
	get wakeAt() {
		const times = [this.#deadline];
		if (this.#phase === "connected") times.push(this.#pingAt, this.#silentBy, this.#refreshAt, this.#moveAt);
		const due = times.filter((t) => t !== void 0);
		return due.length === 0 ? void 0 : Math.min(...due);
	}
	/** Begins an attempt. */
	start(now) {
		this.#enter("connecting");
		if (this.#settings.hasTokenSource && this.#token === void 0) {
			this.#wait("token", now + tokenPatience * this.#settings.connectTimeoutMs);
			this.#host.getToken();
			return;
		}
		if (this.#settings.hasTicketSource) {
			this.#wait("ticket", now + tokenPatience * this.#settings.connectTimeoutMs);
			this.#host.getTicket();
			return;
		}
		this.#open(this.#ticket, now);
	}
	/** The host has got a token, to begin with or to refresh the one in use. */
	gotToken(token, now) {
		this.#token = token;
		if (this.#phase === "token") this.start(now);
		else if (this.#phase === "connected") this.#connect();
	}
	/** The host has got a ticket for the attempt under way. One that comes too late is left to expire. */
	gotTicket(ticket, now) {
		if (this.#phase === "ticket") this.#open(ticket, now);
	}
	/** The host could not get a token or ticket. */
	noToken(error, now) {
		this.#host.failed(error);
		if (this.#phase === "token" || this.#phase === "ticket") this.#retry(error, now);
		else if (this.#phase === "connected") this.#refreshAt = now + refreshEveryMs;
	}
	/** What others see of this session has changed. */
	setInfo(info) {
		this.#info = info;
		this.#infoIsNew = true;
		if (this.#phase === "connected") this.#connect();
	}
	/** The socket is open. */
	opened(now) {
		if (this.#phase !== "opening") return;
		this.#phase = "greeting";
		this.#refusal = void 0;
		this.#connect();
		this.#host.greeted(now);
	}
	/** Something came over the line, so it is alive. */
	alive() {
		this.#silentBy = void 0;
	}
	/** Whether the answer with this id belongs to the link. */
	isConnect(id) {
		return id === this.#connectId;
	}
	/** Whether an error that names no request is about `connect`: the first one may be too long, which nobody can know before. */
	mayBeTooLong(error) {
		return this.#phase === "greeting" && this.#connectId !== -1 && error.code === ErrorCode.too_large;
	}
	/** `connect` was answered: the session stands, or its token has been refreshed. */
	welcomed(reply, now) {
		this.#connectId = -1;
		this.#refreshAt = void 0;
		this.#messageBytes = reply.limits?.message_bytes;
		this.#taken = { info: this.#sent };
		if (this.#settings.hasTokenSource && reply.expires_at) this.#refreshAt = Math.max(now + refreshEveryMs, reply.expires_at - refreshAheadMs);
		if (this.#phase !== "greeting") return;
		this.#wait("connected", void 0);
		this.#ticketRefused = false;
		this.#ticket = void 0;
		this.#upSince = now;
		this.#enter("connected");
		this.#host.up(now);
		if (this.#infoIsNew) this.#connect();
		this.#sendPing(now);
	}
	/** `connect` was answered with an error. In a session that stands only the new token or info was refused. */
	refused(error, now) {
		this.#connectId = -1;
		this.#host.failed(error);
		const back = aboutInfo.has(error.code) && (this.#infoIsNew || this.#takeBack());
		if (this.#phase !== "greeting") return;
		if (back) return this.#connect();
		this.#refusal = error;
		this.#deadline = now + verdictWithinMs;
	}
	pong(id, now) {
		if (this.#ping === void 0 || id !== this.#ping.id) return;
		this.#host.latency(now - this.#ping.sentAt);
		this.#ping = void 0;
	}
	/** The server asks to connect anew after a while, perhaps elsewhere. Until then the line stays in use. */
	move(afterMs, url, now) {
		if (this.#phase !== "connected" || this.#spent) return;
		this.#moveAt = now + Math.max(0, afterMs);
		if (url !== void 0 && this.#mayMoveTo(url)) this.#url = url;
	}
	/** The socket has closed, or could not be opened (1006). */
	closed(code, reason, now) {
		if (this.#phase !== "opening" && this.#phase !== "greeting" && this.#phase !== "connected") return;
		const error = closeError(code, reason);
		if (this.#phase === "opening") this.#url = this.#settings.url;
		const what = verdict(code);
		const move = this.#moveAt;
		const again = code === CloseCode.unauthenticated && this.#mayAskAgain();
		if (what === "stop" && !again) return this.#end(error);
		this.#lose(now);
		if (what === "token") return this.#renew(error, now);
		if (code === CloseCode.rate_limited) this.#backoff.atLeast(4);
		if (move !== void 0) return this.#retryAt(Math.max(move, now), error, now);
		this.#retry(error, now);
	}
	/** The network is back, says the browser: a waiting link tries at once. */
	online(now) {
		if (this.#phase === "waiting") this.start(now);
	}
	/** Time has passed. */
	tick(now) {
		if (this.#deadline !== void 0 && this.#deadline <= now) this.#expired(now);
		if (this.#phase !== "connected") return;
		if (due(this.#silentBy, now)) return this.#giveUp(timeoutError("ping", this.#settings.pongTimeoutMs), now);
		if (due(this.#moveAt, now)) {
			this.#host.drop(comingBack);
			this.#lose(now);
			return this.start(now);
		}
		if (due(this.#refreshAt, now)) {
			this.#refreshAt = void 0;
			this.#host.getToken();
		}
		if (due(this.#pingAt, now)) this.#sendPing(now);
	}
	/** The application closes the connection. */
	stop() {
		if (this.#phase === "closed") return;
		if (this.#phase !== "idle" && this.#phase !== "waiting" && this.#phase !== "token" && this.#phase !== "ticket") this.#host.drop(goodbye);
		this.#end(localError("closed", "the connection was closed by close()"));
	}
	#open(ticket, now) {
		this.#wait("opening", now + this.#settings.connectTimeoutMs);
		this.#host.open(ticket === void 0 ? this.#url : withTicket(this.#url, ticket));
	}
	#connect() {
		this.#infoIsNew = false;
		const id = this.#host.newId();
		const text = this.#introduction(id);
		const error = tooLong(text, this.#messageBytes);
		if (error !== void 0 && this.#takeBack()) {
			this.#host.failed(error);
			if (this.#phase === "greeting") this.#connect();
			return;
		}
		this.#connectId = id;
		this.#sent = this.#info;
		this.#host.send(text);
	}
	#introduction(id) {
		const { client, user } = this.#settings;
		return JSON.stringify({
			type: "connect",
			id,
			payload: {
				client,
				user,
				info: this.#info,
				token: this.#token
			}
		});
	}
	/** Goes back to the info that a server took, where there is one and the present one is another. */
	#takeBack() {
		if (this.#taken === void 0 || this.#taken.info === this.#info) return false;
		this.#info = this.#taken.info;
		this.#infoIsNew = false;
		this.#host.infoIs(this.#info);
		return true;
	}
	#sendPing(now) {
		this.#ping = {
			id: this.#host.newId(),
			sentAt: now
		};
		this.#pingAt = now + this.#settings.pingEveryMs;
		this.#silentBy ??= now + this.#settings.pongTimeoutMs;
		this.#host.send(`{"type":"ping","id":${this.#ping.id}}`);
	}
	/** The present phase has taken too long. */
	#expired(now) {
		const { connectTimeoutMs } = this.#settings;
		switch (this.#phase) {
			case "waiting": return this.start(now);
			case "token": return this.#retry(timeoutError("the token callback", tokenPatience * connectTimeoutMs), now);
			case "ticket": return this.#retry(timeoutError("the ticket callback", tokenPatience * connectTimeoutMs), now);
			case "opening":
				this.#url = this.#settings.url;
				return this.#giveUp(timeoutError("connecting", connectTimeoutMs), now);
			case "greeting": return this.#refusal === void 0 ? this.#giveUp(timeoutError("connect", connectTimeoutMs), now) : this.#afterRefusal(this.#refusal, now);
		}
	}
	/** The server refused `connect` and did not close: the error's own code decides. */
	#afterRefusal(error, now) {
		if (error.retryable) return this.#giveUp(error, now);
		this.#host.drop(comingBack);
		if (error.code !== ErrorCode.unauthenticated) return this.#end(error);
		if (this.#settings.hasTicketSource && !this.#mayAskAgain()) return this.#end(error);
		this.#lose(now);
		this.#renew(error, now);
	}
	/** Whether a refused ticket may be followed by another. One may: it may have expired on its way. */
	#mayAskAgain() {
		const may = this.#settings.hasTicketSource && !this.#ticketRefused;
		this.#ticketRefused = true;
		return may;
	}
	/** A new token or ticket is needed before the next attempt. */
	#renew(error, now) {
		if (!this.#settings.hasTokenSource && !this.#settings.hasTicketSource) return this.#end(error);
		this.#token = void 0;
		this.#retry(error, now);
	}
	#giveUp(error, now) {
		this.#host.drop(comingBack);
		this.#lose(now);
		this.#retry(error, now);
	}
	/** Forgets everything that belonged to the line. */
	#lose(now) {
		if (this.#upSince !== void 0 && now - this.#upSince >= this.#settings.backoff.stableMs) this.#backoff.reset();
		this.#upSince = void 0;
		this.#connectId = -1;
		this.#refusal = void 0;
		this.#ping = this.#pingAt = this.#silentBy = this.#refreshAt = this.#moveAt = void 0;
		this.#phase = "idle";
		this.#host.down(now);
	}
	#retry(error, now) {
		this.#retryAt(now + Math.max(error.retryAfterMs, this.#backoff.next()), error, now);
	}
	#retryAt(at, error, now) {
		if (this.#spent) return this.#end(localError("no_token", `the ticket has been used, and no callback gets another (${error.message})`));
		this.#wait("waiting", at);
		this.#enter("waiting", at - now, error);
	}
	#end(error) {
		this.#wait("closed", void 0);
		this.#host.ended(error);
		this.#enter("closed", void 0, error);
	}
	/** Whether the only proof there was has been used. */
	get #spent() {
		const { ticket, hasTokenSource } = this.#settings;
		return ticket !== void 0 && this.#ticket === void 0 && !hasTokenSource && this.#token === void 0;
	}
	#wait(phase, until) {
		this.#phase = phase;
		this.#deadline = until;
	}
	#enter(state, retryInMs, error) {
		const previous = this.#state;
		this.#state = state;
		if (previous !== state || state === "waiting") this.#host.stateChanged(state, previous, retryInMs, error);
	}
	/** A server may send us elsewhere, but not from an encrypted line to an open one. */
	#mayMoveTo(url) {
		let to;
		try {
			to = new URL(url);
		} catch {
			return false;
		}
		return to.protocol === "wss:" || to.protocol === "ws:" && !this.#settings.url.startsWith("wss:");
	}
};
function withTicket(url, ticket) {
	const to = new URL(url);
	to.searchParams.set("ticket", ticket);
	return to.href;
}
function due(at, now) {
	return at !== void 0 && at <= now;
}
// src/outbox.ts
/**
* How many publishes may be open at the server at once; the others wait here, where they cost it nothing. A server takes
* 64 open requests of a session by default: half of them leaves room for everything else.
*/
var maxOpen = 32;
/**
* The publishes that have no answer yet, in the order they were made. A lost line makes all of them unsent; they then
* go out again in the same order and with the same `seq`, by which the server tells what it has already.
*/
var Outbox = class {
	#limit;
	#items = /* @__PURE__ */ new Map();
	#byId = /* @__PURE__ */ new Map();
	#seq = 0;
	/** `limit` bounds how many publishes may wait. */
	constructor(limit) {
		this.#limit = limit;
	}
	get size() {
		return this.#items.size;
	}
	/** Takes a publish in. `fields` lacks `seq`; it gets one unless it carries an idempotency key. */
	add(ticket, fields) {
		if (this.#items.size >= this.#limit) throw new HocketError(LocalErrorCode.queue_full, "queue_full", `${this.#limit} publishes wait already`);
		const numbered = fields["idempotency_key"] === void 0 ? {
			...fields,
			seq: this.#seq + 1
		} : fields;
		const body = JSON.stringify(numbered).slice(1);
		this.#seq++;
		this.#items.set(ticket, {
			ticket,
			body,
			id: void 0,
			unanswered: false
		});
	}
	/** Gives the next message to send, or undefined when none may be sent now. */
	next(newId) {
		if (this.#byId.size >= maxOpen) return void 0;
		for (const item of this.#items.values()) {
			if (item.id !== void 0) continue;
			item.id = newId();
			this.#byId.set(item.id, item);
			return `{"type":"publish","id":${item.id},${item.body}`;
		}
	}
	/** Takes out the publish sent with this id, and gives its ticket; undefined when there is none. */
	answered(id) {
		const item = this.#byId.get(id);
		if (item === void 0) return void 0;
		this.#byId.delete(id);
		this.#items.delete(item.ticket);
		return item.ticket;
	}
	/** What to answer with when the server has answered the request with this id by an error: of a publish it may be unsure. */
	refusal(id, error) {
		const item = this.#byId.get(id);
		return item === void 0 ? error : outcome(error, item.unanswered);
	}
	/** Forgets what was sent: the line is gone. */
	lost() {
		for (const item of this.#byId.values()) {
			item.id = void 0;
			item.unanswered = true;
		}
		this.#byId.clear();
	}
	/** Takes out the longest publish under way: the one a server that closed with 1009 will never take. */
	dropLongest() {
		let longest;
		for (const item of this.#byId.values()) if (longest === void 0 || item.body.length > longest.body.length) longest = item;
		if (longest?.id === void 0) return void 0;
		return this.answered(longest.id);
	}
	/** Empties the outbox and gives what was in it, each with its error. */
	clear(error) {
		const failures = [...this.#items.values()].map((item) => ({
			ticket: item.ticket,
			error: outcome(error, item.unanswered || item.id !== void 0)
		}));
		this.#items.clear();
		this.#byId.clear();
		return failures;
	}
};
// src/requests.ts
/** The open requests of a session: held while there is no line, each with its deadline. Pure in time. */
var Requests = class {
	#timeoutMs;
	#open = /* @__PURE__ */ new Map();
	#byId = /* @__PURE__ */ new Map();
	/** `timeoutMs` is how long a request may wait for its answer. */
	constructor(timeoutMs) {
		this.#timeoutMs = timeoutMs;
	}
	add(ticket, request, now) {
		const { type, ...rest } = request;
		this.#open.set(ticket, {
			ticket,
			what: request.method ?? `${type} of ${request.channel ?? ""}`,
			body: `"type":${JSON.stringify(type)},${JSON.stringify(rest).slice(1)}`,
			deadline: now + this.#timeoutMs,
			repeatable: type !== "call",
			id: void 0
		});
	}
	/** Gives the next message to send, or undefined when all have been sent. */
	next(newId) {
		for (const request of this.#open.values()) {
			if (request.id !== void 0) continue;
			request.id = newId();
			this.#byId.set(request.id, request);
			return `{"id":${request.id},${request.body}`;
		}
	}
	/** Takes out the request sent with this id, and gives its ticket; undefined when there is none. */
	answered(id) {
		const request = this.#byId.get(id);
		if (request === void 0) return void 0;
		this.#byId.delete(id);
		this.#open.delete(request.ticket);
		return request.ticket;
	}
	/** When the next request times out. */
	get deadline() {
		for (const request of this.#open.values()) return request.deadline;
	}
	/** Takes out what has timed out. */
	expire(now) {
		return this.#fail((r) => r.deadline <= now, (r) => timeoutError(r.what, this.#timeoutMs));
	}
	/** The line is gone: reads wait for the next one, calls under way fail. */
	lost() {
		const failed = this.#fail((r) => r.id !== void 0 && !r.repeatable, (r) => localError("connection_lost", `the connection was lost before ${r.what} was answered`));
		for (const request of this.#byId.values()) request.id = void 0;
		this.#byId.clear();
		return failed;
	}
	/** Empties everything. */
	clear(error) {
		return this.#fail(() => true, () => error);
	}
	#fail(which, error) {
		const failures = [];
		for (const request of [...this.#open.values()]) {
			if (!which(request)) continue;
			this.#open.delete(request.ticket);
			if (request.id !== void 0) this.#byId.delete(request.id);
			failures.push({
				ticket: request.ticket,
				error: error(request)
			});
		}
		return failures;
	}
};
// src/session.ts
/** The name of a channel's presence log begins with this. */
var presenceLog = "$presence:";
/**
* A client's whole behaviour without I/O, clock or chance of its own: what happens goes in with the time at which it
* happened, what is to be done comes out. {@link Connection} drives it with a WebSocket and timers; a test or a
* simulation can drive it with anything.
*/
var Session = class {
	#settings;
	#random;
	#link;
	#requests;
	#outbox;
	#subscriptions = /* @__PURE__ */ new Map();
	#keyed = /* @__PURE__ */ new Set();
	#asking = /* @__PURE__ */ new Map();
	#lastId = 0;
	#out = [];
	constructor(settings, random) {
		this.#settings = settings;
		this.#random = random;
		this.#requests = new Requests(settings.requestTimeoutMs);
		this.#outbox = new Outbox(settings.maxQueued);
		const emit = (o) => this.#out.push(o);
		this.#link = new Link(settings, random, {
			open: (url) => emit({
				type: "open",
				url
			}),
			drop: (code) => emit({
				type: "drop",
				code
			}),
			send: (text) => this.#send(text),
			newId: () => this.#newId(),
			getToken: () => emit({ type: "get token" }),
			getTicket: () => emit({ type: "get ticket" }),
			stateChanged: (state, previous, retryInMs, error) => emit({
				type: "state",
				state,
				previous,
				...retryInMs !== void 0 && { retryInMs },
				...error && { error }
			}),
			latency: (ms) => emit({
				type: "latency",
				ms
			}),
			failed: (error) => emit({
				type: "error",
				error
			}),
			infoIs: (info) => emit({
				type: "info",
				info
			}),
			greeted: (now) => this.#subscribeAll(now),
			up: () => this.#flush(),
			down: () => this.#down(),
			ended: (error) => this.#ended(error)
		});
	}
	/** Takes what has happened at `now` (milliseconds, never going backwards), and gives what is to be done. */
	next(input, now) {
		this.#take(input, now);
		const out = this.#out;
		this.#out = [];
		return out;
	}
	/** When the session wants a `tick`, in the time of {@link next}; undefined: not before something else happens. */
	get wakeAt() {
		let first = this.#link.wakeAt;
		const consider = (t) => {
			if (t !== void 0 && (first === void 0 || t < first)) first = t;
		};
		consider(this.#requests.deadline);
		if (this.#link.open) for (const s of this.#subscriptions.values()) consider(s.deadline(this.#settings.requestTimeoutMs));
		return first;
	}
	#take(input, now) {
		switch (input.type) {
			case "start": return this.#link.start(now);
			case "stop": return this.#link.stop();
			case "opened": return this.#link.opened(now);
			case "received": return this.#received(input.text, now);
			case "closed":
				if (input.code === 1009) this.#dropTooLarge();
				return this.#link.closed(input.code, input.reason, now);
			case "token": return this.#link.gotToken(input.token, now);
			case "ticket": return this.#link.gotTicket(input.text, now);
			case "no token": return this.#link.noToken(input.error, now);
			case "info": return this.#link.setInfo(input.info);
			case "online": return this.#link.online(now);
			case "tick": return this.#tick(now);
			case "subscribe":
				if (input.keyed) this.#keyed.add(input.channel);
				return this.#subscribe(input.channel, input.options, now);
			case "unsubscribe": return this.#unsubscribe(input.channel);
			case "publish": return this.#publish(input.ticket, input.fields);
			case "request": return this.#request(input.ticket, input.request, now);
		}
	}
	#tick(now) {
		this.#link.tick(now);
		this.#failAll(this.#requests.expire(now));
		if (!this.#link.open) return;
		for (const s of this.#subscriptions.values()) {
			if (s.tick(now, this.#settings.requestTimeoutMs)) this.#sendUnsubscribe(s.channel);
			if (s.wants(now)) this.#ask(s, now);
		}
	}
	#subscribe(channel, options, now) {
		if (this.#link.state === "closed") {
			const event = {
				type: "unsubscribed",
				error: closedError(),
				retrying: false
			};
			this.#out.push({
				type: "channel",
				channel,
				event
			});
			return;
		}
		let s = this.#subscriptions.get(channel);
		if (s === void 0) {
			const emit = (event) => this.#out.push({
				type: "channel",
				channel,
				event
			});
			s = new Subscription(channel, options, this.#settings.backoff, this.#random, emit);
			this.#subscriptions.set(channel, s);
		}
		s.want();
		if (this.#link.open && s.wants(now)) this.#ask(s, now);
	}
	#unsubscribe(channel) {
		const s = this.#subscriptions.get(channel);
		if (s === void 0) return;
		this.#subscriptions.delete(channel);
		if ((s.state === "subscribing" || s.state === "subscribed") && this.#link.open) this.#sendUnsubscribe(channel);
		s.leave(localError("unsubscribed", `unsubscribe from ${channel} was called`));
	}
	#publish(ticket, fields) {
		try {
			if (this.#link.state === "closed") throw closedError();
			this.#outbox.add(ticket, fields);
		} catch (error) {
			this.#out.push({
				type: "failure",
				ticket,
				error
			});
			return;
		}
		if (this.#link.connected) this.#flush();
	}
	#request(ticket, request, now) {
		if (this.#link.state === "closed") {
			this.#out.push({
				type: "failure",
				ticket,
				error: closedError()
			});
			return;
		}
		this.#requests.add(ticket, request, now);
		if (this.#link.connected) this.#flush();
	}
	/** `connect` is under way; subscriptions need not wait for its answer. Publishes do: a refused one would be lost. */
	#subscribeAll(now) {
		for (const s of this.#subscriptions.values()) if (s.wants(now)) this.#ask(s, now);
	}
	/** Sends what waits: publishes in the order they were made, then requests. */
	#flush() {
		const newId = () => this.#newId();
		for (let m = this.#outbox.next(newId); m !== void 0; m = this.#outbox.next(newId)) this.#sendShort(m);
		for (let m = this.#requests.next(newId); m !== void 0; m = this.#requests.next(newId)) this.#sendShort(m);
	}
	/** Sends the message that has just got its id, or answers for the server where it is too long. */
	#sendShort(text) {
		const error = tooLong(text, this.#link.messageBytes);
		if (error === void 0) return this.#send(text);
		const told = this.#outbox.refusal(this.#lastId, error);
		const ticket = this.#outbox.answered(this.#lastId) ?? this.#requests.answered(this.#lastId);
		if (ticket !== void 0) this.#out.push({
			type: "failure",
			ticket,
			error: told
		});
	}
	#down() {
		this.#asking.clear();
		for (const s of this.#subscriptions.values()) s.lost();
		this.#outbox.lost();
		this.#failAll(this.#requests.lost());
	}
	#ended(error) {
		this.#failAll(this.#outbox.clear(error));
		this.#failAll(this.#requests.clear(error));
		for (const s of this.#subscriptions.values()) s.leave(error);
		this.#subscriptions.clear();
	}
	/** The server closed because of a message it will never take: sent again, it would close every line anew. */
	#dropTooLarge() {
		const ticket = this.#outbox.dropLongest();
		const error = new HocketError(1109, "too_large", "the server closed the connection because of this message");
		if (ticket !== void 0) this.#out.push({
			type: "failure",
			ticket,
			error
		});
	}
	#received(text, now) {
		if (!this.#link.open) return;
		this.#link.alive();
		const m = parseMessage(text);
		if (m === void 0) return;
		switch (m.type) {
			case "reply": return this.#reply(m, now);
			case "error": return this.#error(m, now);
			case "connected": return;
			case "ping": return this.#send("{\"type\":\"pong\"}");
			case "pong": return this.#link.pong(m.id, now);
			case "event":
				this.#out.push({
					type: "event",
					payload: readPayload(m)
				});
				return;
			case "reconnect": return this.#reconnect(m, now);
			case "unsubscribed": return this.#unsubscribed(m, now);
			default: return this.#push(m, now);
		}
	}
	#reply(m, now) {
		if (this.#link.isConnect(m.id)) {
			const connected = m.payload;
			this.#out.push({
				type: "connected",
				connected
			});
			return this.#link.welcomed(connected, now);
		}
		const s = this.#askedBy(m);
		if (s !== void 0) return this.#confirm(s, m.payload, now);
		const ticket = this.#ticketOf(m);
		if (ticket !== void 0) this.#out.push({
			type: "answer",
			ticket,
			payload: m.payload
		});
	}
	#confirm(s, reply, now) {
		if (!reply.e2e || this.#keyed.has(s.channel)) return s.confirm(reply, now);
		this.#sendUnsubscribe(s.channel);
		s.fail(localError("no_key", `${s.channel} is encrypted end to end: give connect() an option e2e that covers it`), now);
	}
	#error(m, now) {
		const error = HocketError.from(m.error);
		if (this.#link.isConnect(m.id) || m.id === void 0 && this.#link.mayBeTooLong(error)) return this.#link.refused(error, now);
		const s = this.#askedBy(m);
		if (s !== void 0) return s.fail(error, now);
		const told = this.#outbox.refusal(m.id, error);
		const ticket = this.#ticketOf(m);
		if (ticket !== void 0) this.#out.push({
			type: "failure",
			ticket,
			error: told
		});
		else this.#out.push({
			type: "error",
			error
		});
	}
	#reconnect(m, now) {
		const p = m.payload ?? {};
		this.#link.move(p.after_ms ?? 0, p.url, now);
	}
	#unsubscribed(m, now) {
		const s = this.#subscriptions.get(m.channel ?? "");
		if (s?.state === "subscribed") s.fail(HocketError.from(m.payload), now);
	}
	#push(m, now) {
		const channel = m.channel ?? "";
		if (m.type === "gap" && channel.startsWith(presenceLog)) return this.#subscriptions.get(channel.slice(10))?.missedPresence();
		const s = this.#subscriptions.get(channel);
		if (s?.received(m, now) === "begin again") this.#askAnew(s, now);
	}
	/** The subscription whose request this message answers, once. */
	#askedBy(m) {
		const id = Number(m.id);
		const s = this.#asking.get(id);
		this.#asking.delete(id);
		return s?.isAsking(id) ? s : void 0;
	}
	#ticketOf(m) {
		if (typeof m.id !== "number") return void 0;
		const ticket = this.#outbox.answered(m.id);
		if (ticket === void 0) return this.#requests.answered(m.id);
		this.#flush();
		return ticket;
	}
	#ask(s, now) {
		const id = this.#newId();
		const text = s.request(id, now);
		const error = tooLong(text, this.#link.messageBytes);
		if (error !== void 0) return s.fail(error, now);
		this.#asking.set(id, s);
		this.#send(text);
	}
	#askAnew(s, now) {
		this.#sendUnsubscribe(s.channel);
		this.#ask(s, now);
	}
	#sendUnsubscribe(channel) {
		this.#send(JSON.stringify({
			type: "unsubscribe",
			id: this.#newId(),
			channel
		}));
	}
	#send(text) {
		this.#out.push({
			type: "send",
			text
		});
	}
	#newId() {
		return ++this.#lastId;
	}
	#failAll(failures) {
		for (const { ticket, error } of failures) this.#out.push({
			type: "failure",
			ticket,
			error
		});
	}
};
function closedError() {
	return localError("closed", "the connection is closed");
}
// src/connection.ts
var subprotocol = "hocket.v1.json";
/**
* Connects to a Hocket server, and stays connected until `close()`. `url` is the server's address (`ws:`, `wss:`,
* `http:`, `https:`, or a path on the page's own server); without a path it is `/v1/ws`. It returns at once: channels,
* publishes and calls may be made right away and wait for the line.
*/
function connect(url, options = {}) {
	return new Connection(url, options);
}
/** One session with a server over however many sockets it takes. Made by {@link connect}. */
var Connection = class extends Emitter {
	#clock;
	#session;
	#WebSocket;
	#tokenSource;
	#ticketSource;
	#sealer;
	#channels = /* @__PURE__ */ new Map();
	#hosts = /* @__PURE__ */ new Map();
	#waiters = /* @__PURE__ */ new Map();
	#inputs = [];
	#running = false;
	#lastTicket = 0;
	#socket;
	#timer;
	#state = "connecting";
	#connected;
	#latency;
	#info;
	#online = () => this.#run({ type: "online" });
	constructor(url, options) {
		super();
		const WebSocket = options.WebSocket ?? globalThis.WebSocket;
		if (WebSocket === void 0) throw new TypeError("there is no global WebSocket: pass one as options.WebSocket");
		this.#WebSocket = WebSocket;
		this.#clock = options.clock ?? systemClock;
		this.#tokenSource = typeof options.token === "function" ? options.token : void 0;
		this.#ticketSource = typeof options.ticket === "function" ? options.ticket : void 0;
		this.#sealer = options.e2e;
		this.#info = options.info;
		this.#session = new Session(settings(url, options), options.random ?? Math.random);
		globalThis.addEventListener?.("online", this.#online);
		this.#run({ type: "start" });
	}
	get state() {
		return this.#state;
	}
	/** The last measured round trip in milliseconds; undefined before the first. */
	get latency() {
		return this.#latency;
	}
	/**
	* The public name of this session, as it stands in `from` and in presence; "" before the first. A server that knows
	* the client keeps it over reconnects.
	*/
	get session() {
		return this.#connected?.session ?? "";
	}
	/** Who the server says we are; "" when anonymous. */
	get user() {
		return this.#connected?.user ?? "";
	}
	/** What the server can and has on, such as `history` or `tokens`; the protocol lists the names. Empty before it has admitted this session. */
	get features() {
		return this.#connected?.features ?? [];
	}
	/**
	* The channel of that name. It is the same object every time; options may be given as long as it has not been
	* subscribed.
	*/
	channel(name, options) {
		const known = this.#channels.get(name);
		if (known !== void 0) {
			if (options !== void 0) known.configure(options);
			return known;
		}
		const channel = new Channel(name, options ?? {}, {
			sealer: this.#sealer?.covers(name) ? this.#sealer : void 0,
			subscribe: (wanted, keyed) => this.#run({
				type: "subscribe",
				channel: name,
				options: wanted,
				keyed
			}),
			unsubscribe: () => this.#run({
				type: "unsubscribe",
				channel: name
			}),
			publish: (fields) => this.#ask((ticket) => ({
				type: "publish",
				ticket,
				fields: {
					channel: name,
					...fields
				}
			})),
			request: (request) => this.#request({
				channel: name,
				...request
			}),
			self: () => ({
				session: this.session,
				user: this.user,
				info: this.#info
			}),
			after: (ms, fn) => this.#clock.after(ms, fn),
			register: (host) => this.#hosts.set(name, host)
		});
		this.#channels.set(name, channel);
		return channel;
	}
	/**
	* Calls a method of the server or of the back end behind it. Rejects with the method's error, with `timeout`, or with
	* `connection_lost` when the line goes before the answer comes.
	*/
	call(method, payload) {
		return this.#request({
			type: "call",
			method,
			...payload !== void 0 && { payload }
		});
	}
	/**
	* Changes what others see of this session in presence, now and after every reconnect. Where the server does not take it,
	* because it is too large or comes with the proof of identity, an `error` says so, and others go on to see what they saw.
	*/
	setInfo(info) {
		this.#tellInfo(info);
		this.#run({
			type: "info",
			info
		});
	}
	#tellInfo(info) {
		this.#info = info;
		for (const channel of this.#channels.values()) channel.presence.told(info);
	}
	/** Ends the connection for good. Whatever still waits is rejected with `closed`. */
	close() {
		this.#run({ type: "stop" });
	}
	#request(request) {
		return this.#ask((ticket) => ({
			type: "request",
			ticket,
			request
		}));
	}
	#ask(input) {
		return new Promise((resolve, reject) => {
			const ticket = ++this.#lastTicket;
			this.#waiters.set(ticket, {
				resolve,
				reject
			});
			try {
				this.#run(input(ticket));
			} catch (error) {
				this.#waiters.delete(ticket);
				reject(error);
			}
		});
	}
	/** Takes one step. What listeners ask for meanwhile is done after it, so that outputs keep their order. */
	#run(input) {
		if (this.#running) {
			this.#inputs.push(input);
			return;
		}
		this.#running = true;
		try {
			for (let i = input; i !== void 0; i = this.#inputs.shift()) for (const output of this.#session.next(i, this.#clock.now())) this.#do(output);
		} finally {
			this.#running = false;
		}
		this.#arm();
	}
	#arm() {
		this.#timer?.();
		this.#timer = void 0;
		const at = this.#session.wakeAt;
		if (at === void 0) return;
		this.#timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#run({ type: "tick" }));
	}
	#do(output) {
		switch (output.type) {
			case "open": return this.#open(output.url);
			case "drop": return this.#drop(output.code);
			case "send":
				this.#socket?.send(output.text);
				return this.emit("raw", {
					direction: "out",
					text: output.text
				});
			case "get token": return this.#get("token", this.#tokenSource, (token) => this.#run({
				type: "token",
				token
			}));
			case "get ticket": return this.#get("ticket", this.#ticketSource, (text) => this.#run({
				type: "ticket",
				text
			}));
			case "state": return this.#stateChanged(output);
			case "connected":
				this.#connected = output.connected;
				return this.emit("connected", output.connected);
			case "latency":
				this.#latency = output.ms;
				return this.emit("latency", output.ms);
			case "error": return this.emit("error", output.error);
			case "info": return this.#tellInfo(output.info);
			case "event": return this.emit("event", output.payload);
			case "channel": return this.#hosts.get(output.channel)?.(output.event);
			case "answer":
				this.#waiters.get(output.ticket)?.resolve(output.payload);
				this.#waiters.delete(output.ticket);
				return;
			case "failure":
				this.#waiters.get(output.ticket)?.reject(output.error);
				this.#waiters.delete(output.ticket);
		}
	}
	#stateChanged(event) {
		this.#state = event.state;
		if (event.state === "closed") globalThis.removeEventListener?.("online", this.#online);
		const { state, previous, retryInMs, error } = event;
		this.emit("state", {
			state,
			previous,
			...retryInMs !== void 0 && { retryInMs },
			...error && { error }
		});
	}
	#open(url) {
		let socket;
		try {
			socket = new this.#WebSocket(url, [subprotocol]);
		} catch (error) {
			this.#run({
				type: "closed",
				code: 1006,
				reason: String(error).replaceAll(url, url.replace(/\?.*/, ""))
			});
			return;
		}
		this.#socket = socket;
		socket.onopen = () => this.#run({ type: "opened" });
		socket.onmessage = (event) => {
			if (typeof event.data !== "string") return;
			this.emit("raw", {
				direction: "in",
				text: event.data
			});
			this.#run({
				type: "received",
				text: event.data
			});
		};
		socket.onerror = () => {};
		socket.onclose = (event) => {
			this.#socket = void 0;
			this.#run({
				type: "closed",
				code: event.code,
				reason: event.reason
			});
		};
	}
	/** Lets go of the socket. A dead line answers no close, so nothing waits for one. */
	#drop(code) {
		const socket = this.#socket;
		if (socket === void 0) return;
		this.#socket = void 0;
		socket.onopen = socket.onmessage = socket.onclose = null;
		socket.close(code);
	}
	#get(what, source, got) {
		if (source === void 0) return;
		new Promise((resolve) => resolve(source())).then(got, (error) => {
			const known = error instanceof HocketError ? error : localError("no_token", `the ${what} callback failed: ${String(error)}`);
			this.#run({
				type: "no token",
				error: known
			});
		});
	}
};
function settings(url, o) {
	return {
		url: socketURL(url, globalThis.location?.href),
		client: randomName(),
		user: o.user,
		info: o.info,
		token: typeof o.token === "string" ? o.token : void 0,
		hasTokenSource: typeof o.token === "function",
		ticket: typeof o.ticket === "string" ? o.ticket : void 0,
		hasTicketSource: typeof o.ticket === "function",
		backoff: {
			...defaultBackoff,
			...o.backoff
		},
		connectTimeoutMs: o.connectTimeoutMs ?? 1e4,
		requestTimeoutMs: o.requestTimeoutMs ?? 1e4,
		pingEveryMs: o.pingEveryMs ?? 1e4,
		pongTimeoutMs: o.pongTimeoutMs ?? 5e3,
		maxQueued: o.maxQueued ?? 1e3
	};
}
/** 96 random bits: the log tells clients apart by this name, so it must be nobody else's. */
function randomName() {
	const bytes = crypto.getRandomValues(/* @__PURE__ */ new Uint8Array(12));
	return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
export { Channel, CloseCode, ConflictError, Connection, ErrorCode, HocketError, LiveMap, LiveText, LocalErrorCode, Presence, Session, UnknownOutcomeError, Users, connect };
