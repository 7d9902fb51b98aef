/** Listeners by event. A listener that throws harms nobody else: its error is reported as uncaught. */
declare class Emitter<E extends object> {
    #private;
    /** Calls `fn` at every such event. Returns what ends that. */
    on<K extends keyof E>(event: K, fn: (value: E[K]) => void): () => void;
    /** Calls the listeners of `event`. */
    protected emit<K extends keyof E>(event: K, value: E[K]): void;
}

/** A place in one history of a channel. */
declare interface Position {
    epoch: string;
    offset: number;
}
/** A member as presence messages carry it. */
declare interface WireMember {
    session: string;
    user?: string;
    info?: unknown;
}
/** The payload of `connected`. */
declare interface Connected {
    session: string;
    user: string;
    node?: string;
    ping_ms?: number;
    expires_at?: number;
    features?: string[];
    limits?: {
        message_bytes?: number;
    };
}
/** The payload of a subscribe's reply. */
declare interface SubscribeReply extends Position {
    recovered: boolean;
    presence?: {
        count: number;
    } & Partial<Position>;
    /** Payloads are encrypted end to end. */
    e2e?: boolean;
}
/** One message of the server. Every field but `type` depends on the type. */
declare interface ServerMessage {
    type: string;
    id?: number | string;
    channel?: string;
    offset?: number;
    epoch?: string;
    time?: number;
    key?: string;
    op?: string;
    tags?: Record<string, string>;
    score?: number;
    from?: {
        user?: string;
        session: string;
    };
    members?: WireMember[];
    payload?: unknown;
    encoding?: string;
    error?: unknown;
}
/** Reads one message; undefined for what is none. */
declare function parseMessage(text: string): ServerMessage | undefined;
/** What a close code asks of the client. */
declare type Verdict = 'reconnect' | 'token' | 'stop';
/**
 * Judges a close code. Everything outside 4100–4299 means to come back: also 1000 and 1001, with which servers and
 * proxies end idle or moving connections; who is not wanted is told so with 42xx.
 */
declare function verdict(code: number): Verdict;
/**
 * Makes a WebSocket address of what the caller wrote: http becomes ws, no path becomes `/v1/ws`, and an address
 * without a host is taken relative to `base` (the page's own address).
 */
declare function socketURL(url: string, base?: string): string;

/**
 * The codes of errors the SDK itself makes. They lie below 1000, so they never meet a server's (1100 to 9999) or an
 * application's (from 10000).
 */
declare const LocalErrorCode: {
    /** `close()` was called, or the connection ended for good. */
    readonly closed: 1;
    /** The line went down before the answer came: whether the call was carried out is unknown. */
    readonly connection_lost: 2;
    /** More publishes wait than `maxQueued` allows. */
    readonly queue_full: 3;
    /** An async iterator was read too slowly and its buffer is full. */
    readonly iterator_overflow: 4;
    /** `unsubscribe()` was called while a subscription was being made. */
    readonly unsubscribed: 5;
    /** The callback for a token or ticket failed, or there is none and another is needed. */
    readonly no_token: 6;
    /** The channel is encrypted end to end, and there is no key for it. */
    readonly no_key: 7;
    /** A payload could not be decrypted: it was changed, moved, made with another key, or never encrypted. */
    readonly unreadable: 8;
};
/** Every error of the SDK, whether the server answered with it or the SDK found it. */
declare class HocketError extends Error {
    /** The stable number, as in `ErrorCode`, `CloseCode` and `LocalErrorCode`. */
    readonly code: number;
    /** The stable name, such as `permission_denied`. */
    readonly name: string;
    /** How long the server asks to wait before trying again, in milliseconds; 0 when it gave no advice. */
    readonly retryAfterMs: number;
    constructor(code: number, name: string, message: string, retryAfterMs?: number);
    /** Whether the same request may succeed later. */
    get retryable(): boolean;
    /** Reads an error as it stands in a message of the server. What is not one becomes `internal`. */
    static from(value: unknown): HocketError;
}
/** A publish with `expect` met another entry than it expected. Nothing was published. */
declare class ConflictError extends HocketError implements Position {
    readonly epoch: string;
    /** The newest entry of the key, or of the channel; 0 when there is none. What to `expect` the next time. */
    readonly offset: number;
    constructor(message: string, at: Position);
}
/**
 * A publish has failed although it may have been applied: the server lost its log while it published, or an attempt before
 * the last one was not answered. Code and name are those of the last error. To repeat such a publish without doubling it
 * give it an `idempotencyKey`.
 */
declare class UnknownOutcomeError extends HocketError {
    constructor(why: HocketError);
}
/**
 * Gives the error to answer a publish with. `unanswered` says that an attempt at it was sent and has no answer. A conflict
 * is sure all the same, since duplicates are found before conditions.
 */
declare function outcome(error: HocketError, unanswered: boolean): HocketError;
/** Makes an error of the SDK's own. */
declare function localError(name: keyof typeof LocalErrorCode, message: string): HocketError;
/** Makes the error of a request that was not answered in time. It carries the catalogue's own code for that. */
declare function timeoutError(what: string, ms: number): HocketError;
/** The error of a message that is longer than a server takes: it throws such a one away unread, and so without an answer. */
declare function tooLong(text: string, limit: number | undefined): HocketError | undefined;
/** Refuses numbers that JSON does not have: it makes null of them, which counts as left out, and the condition with it. */
declare function needNumbers(options: object): void;
/** Makes the error that says why a connection was closed. */
declare function closeError(code: number, reason: string): HocketError;

/** The events of a {@link LiveText}. */
declare interface TextEvents {
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
declare class LiveText extends Emitter<TextEvents> implements AsyncIterable<string> {
    #private;
    readonly key: string;
    /** The text so far; "" before the first piece. */
    get value(): string;
    /** Whether it is whole. */
    get ended(): boolean;
    /**
     * What there is so far, then each piece as it comes; pieces that come while the reader is busy are given as one. Ends
     * with the text; also when it is replaced by another one.
     */
    [Symbol.asyncIterator](): AsyncIterator<string>;
}

/** How long to wait between attempts. All times are in milliseconds. */
declare interface BackoffSettings {
    /** The bound of the first delay. Default 500. */
    baseMs: number;
    /** The bound no delay passes. Default 20,000. */
    maxMs: number;
    /** A connection that lasted this long makes the next delay start from `baseMs` again. Default 10,000. */
    stableMs: number;
}
declare const defaultBackoff: BackoffSettings;
/**
 * Exponential backoff with full jitter: the n-th delay is drawn evenly from [0, min(max, base × 2ⁿ)). Spreading over
 * the whole range, not around its end, keeps clients that lost their server together from coming back together.
 */
declare class Backoff {
    #private;
    /** `random` answers a number from 0 up to 1. */
    constructor(settings: BackoffSettings, random: () => number);
    /** Draws the next delay in milliseconds; the bound doubles with every call. */
    next(): number;
    /** Grows the next delays at once, for a server that says it was asked too often. */
    atLeast(attempt: number): void;
    reset(): void;
}

/** Where a new subscription begins. Once a message has come, a lost connection goes on from that message. */
declare type From = 'live'
/** The latest entry of every key, then live. */
 | 'state'
/** The newest entries. */
 | {
    last: number;
}
/** What was published in the last so many milliseconds, 366 days at most. */
 | {
    sinceMs: number;
}
/** Everything after a position the application has kept itself. */
 | Position;
/** What an entry does to its key. */
declare type Op = 'set' | 'append' | 'delete';
/** How a channel is subscribed. */
declare interface ChannelOptions {
    /** Default `live`. */
    from?: From;
    /** `true`: be a member and hear of members. `watch`: only hear of them. Default: neither. */
    presence?: boolean | 'watch';
    /**
     * `false` for what is worthless a moment later: after a lost connection the subscription begins anew with `from`
     * instead of fetching what was missed. Default `true`.
     */
    recover?: boolean;
    /**
     * Only entries that carry each of these tags with one of its values; at most 16 tags with 16 values each. Others are
     * passed over, and nothing counts as missing.
     */
    filter?: Readonly<Record<string, string | readonly string[]>>;
    /** How many members {@link Presence} lists; it counts all of them. Default 1,000. */
    maxMembers?: number;
}
/** One entry of a channel's log. */
declare interface Message {
    readonly channel: string;
    readonly epoch: string;
    readonly offset: number;
    /** Milliseconds since 1970, by the server's clock. */
    readonly time: number;
    /** What was published: a value of JSON, or a Uint8Array where that was not JSON. */
    readonly payload: unknown;
    readonly key: string | undefined;
    readonly op: Op;
    readonly tags: Readonly<Record<string, string>> | undefined;
    /** By which a state can be sorted; 0 when none was given. */
    readonly score: number;
    /** Who published it; undefined when the back end did. */
    readonly from: {
        readonly user: string;
        readonly session: string;
    } | undefined;
    /** False while the subscription catches up with what was published before it (again) stood. */
    readonly live: boolean;
}
/** How a publish is made. */
declare interface PublishOptions {
    key?: string;
    /** Default `set`. */
    op?: Op;
    /** `false`: this session does not get the entry itself. Default `true`. */
    echo?: boolean;
    /** A name of the application's own for this publish, at most 64 bytes: the server applies it once. */
    idempotencyKey?: string;
    /**
     * Publish only if the newest entry of the key (without key: of the channel) has this offset; 0: if there is none.
     * Otherwise it fails with a {@link ConflictError}, which knows the offset there is.
     */
    expect?: number;
    /** How long the entry, and with it the key's value, is kept: 1 ms to 366 days. */
    ttlMs?: number;
    /** Sorts the key among the others, see {@link StateOptions} and {@link LiveMap.top}. */
    score?: number;
    /** The key is deleted when this client is gone: for cursors, and for who is typing. */
    ephemeral?: boolean;
    /** At most 16, which subscribers can filter by. */
    tags?: Readonly<Record<string, string>>;
}
/** The answer to a publish: the entry is in the log, there. */
declare interface Published extends Position {
    /** The server had this publish already, from an attempt whose answer was lost. */
    readonly duplicate: boolean;
}
/** Which part of a channel's history to read. With neither `after` nor `before`: the newest. */
declare interface HistoryOptions {
    after?: number;
    before?: number;
    limit?: number;
}
/** A part of a channel's history, oldest first. */
declare interface History extends Position {
    readonly messages: Message[];
    readonly more: boolean;
}
/** Which part of a channel's state to read. */
declare interface StateOptions {
    /** `offset` (the default): as written, oldest first. `score`: highest first, of equal ones the one written first. */
    order?: 'offset' | 'score';
    limit?: number;
    /** The `next` of the page before. */
    next?: string;
}
/** A page of a keyed channel's state: the latest entry of each key, appends made part of it. */
declare interface State extends Position {
    readonly messages: Message[];
    /** How many keys there are in all. */
    readonly count: number;
    /** Asks for the page after this one; undefined in the last. */
    readonly next: string | undefined;
}
/** Someone on a channel. */
declare interface Member {
    /** The public name of the member's session. */
    readonly session: string;
    /** Empty for an anonymous user. */
    readonly user: string;
    readonly info: unknown;
}
/** A user on a channel, over however many sessions. */
declare interface PresentUser {
    readonly user: string;
    /** What the session that came last tells about itself. */
    readonly info: unknown;
    /** The user's sessions, in the order in which they became known. */
    readonly sessions: readonly Member[];
}
/** A subscription stands. */
declare interface SubscribedEvent extends Position {
    /** Nothing between the last message and this subscription is missing. */
    readonly recovered: boolean;
    /** It goes on after the last message; otherwise it begins with the channel's `from`, or with what the log still has. */
    readonly resumed: boolean;
    /** It is not the first time: the connection had been lost, or the server had ended the subscription. */
    readonly again: boolean;
}
/** The subscription could not go on where it stood: something may be missing, or the log began anew. */
declare interface ResetEvent {
    readonly oldEpoch: string;
    /** Equal to `oldEpoch` when the log is the same one but no longer holds what was missed. */
    readonly epoch: string;
    /** The offset of the channel's newest entry when it was subscribed again. */
    readonly offset: number;
}
/** Entries that were not and will not be sent, both ends included. */
declare interface GapEvent {
    readonly from: number;
    readonly to: number;
    readonly reason: string;
}
/** The state of a channel: `waiting` means wanted, but not possible at the moment. */
declare type ChannelState = 'unsubscribed' | 'waiting' | 'subscribing' | 'subscribed';
/** The state of a connection: `waiting` for its next attempt, `closed` for good. */
declare type ConnectionState = 'connecting' | 'connected' | 'waiting' | 'closed';
/** A change of the connection's state. */
declare interface StateEvent {
    readonly state: ConnectionState;
    readonly previous: ConnectionState;
    /** With `waiting`: how long until the next attempt, in milliseconds. */
    readonly retryInMs?: number;
    /** With `waiting` and `closed`: why. */
    readonly error?: HocketError;
}
/** One text as it crossed the socket. */
declare interface RawEvent {
    readonly direction: 'in' | 'out';
    readonly text: string;
}
/** Gives a token or ticket, freshly made or from the back end. */
declare type TokenSource = () => string | Promise<string>;
/** What the SDK needs of a WebSocket; the browser's and the `ws` package's both fit. */
declare interface SocketLike {
    onopen: ((event: never) => void) | null;
    onmessage: ((event: never) => void) | null;
    onclose: ((event: never) => void) | null;
    onerror: ((event: never) => void) | null;
    send(data: string): void;
    close(code?: number, reason?: string): void;
}
/** Makes a socket. */
declare type SocketConstructor = new (url: string, protocols: string[]) => SocketLike;
/** The time source. Replaced in tests. */
declare interface Clock {
    /** Milliseconds since 1970, never going backwards. */
    now(): number;
    /** Calls `fn` after `ms`; returns what cancels it. */
    after(ms: number, fn: () => void): () => void;
}
/** What an encrypted payload is bound to: nobody can move it elsewhere. */
declare interface Place {
    readonly channel: string;
    /** "" in a stream. */
    readonly key: string;
    readonly op: Op;
}
/** What encrypts and decrypts payloads: made by `endToEnd()` of `hocket/e2e`. */
declare interface Sealer {
    /** Whether the payloads of this channel are encrypted. */
    covers(channel: string): boolean;
    /** Encrypts a payload: a text in JSON, or bytes. */
    seal(place: Place, payload: string | Uint8Array): Promise<unknown>;
    /** Decrypts what {@link seal} has made; rejects with a {@link HocketError} when it is none. */
    open(place: Place, payload: unknown): Promise<unknown>;
}
/** A message came whose payload could not be decrypted; what comes after it does. */
declare interface UnreadableEvent {
    /** With the payload as it came. */
    readonly message: Message;
    /** `no_key` or `unreadable`. */
    readonly error: HocketError;
}
/** How a connection is made. Everything may be left out. */
declare interface ConnectOptions {
    /** Encrypts payloads end to end. */
    e2e?: Sealer;
    /** A token, or what gets one. Only with a function can an expired token be replaced. */
    token?: string | TokenSource;
    /**
     * A ticket, or what gets one. A ticket is good for one connection, so a function is asked before each attempt; with a text
     * the connection ends when the line is lost.
     */
    ticket?: string | TokenSource;
    /** The user's name, where the server lets clients name themselves. */
    user?: string;
    /** What others see of this session in presence. */
    info?: unknown;
    /** Default: the global `WebSocket`. */
    WebSocket?: SocketConstructor;
    backoff?: Partial<BackoffSettings>;
    /** How long a connection may take to stand. Default 10,000. */
    connectTimeoutMs?: number;
    /** How long a request waits for its answer, time without connection included. Default 10,000. */
    requestTimeoutMs?: number;
    /** How often the line is tried; this measures the latency, too. Default 10,000. */
    pingEveryMs?: number;
    /** A line that stays silent this long after a ping is dead. Default 5,000. */
    pongTimeoutMs?: number;
    /** How many publishes may wait for their answer or for a connection. Default 1,000. */
    maxQueued?: number;
    /** Default `Math.random`. Spreads reconnects; the client's id is always made of secure random numbers. */
    random?: () => number;
    clock?: Clock;
}

/** A key of a {@link LiveMap} with what is known of it. */
declare interface MapEntry<V = unknown> {
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
declare interface MapChange<V = unknown> {
    readonly key: string;
    /** The new value; undefined when the key is gone. */
    readonly value: V | undefined;
    readonly previous: V | undefined;
    readonly op: Message['op'];
    /** False while the state is being read: the change may be an old one. */
    readonly live: boolean;
}
/** The events of a {@link LiveMap}. */
declare interface MapEvents<V = unknown> {
    change: MapChange<V>;
    /** The map is whole, at first and after every reconnect. */
    sync: undefined;
}
/** How a {@link LiveMap} publishes. */
declare type MapOptions = Omit<PublishOptions, 'key' | 'op' | 'echo'>;
/** How {@link LiveMap.write} publishes. */
declare type WriteOptions = Omit<MapOptions, 'expect' | 'idempotencyKey'>;
/** How {@link LiveMap.update} publishes. */
declare interface UpdateOptions extends WriteOptions {
    /** How often it may be tried when others are faster. Default 20. */
    tries?: number;
}
/**
 * A keyed channel as a map: each key with the latest value anyone has published for it. Writing publishes; the map
 * changes when the entry comes back from the log, so that every client goes through the same states in the same order.
 *
 * After a lost line it goes on where it stood. What it knows stays meanwhile, also where the whole state has to be read
 * again: only keys that are not in it are then taken out.
 */
declare class LiveMap<V = unknown> extends Emitter<MapEvents<V>> implements Iterable<[string, V]> {
    #private;
    /** Whether it is whole and up to date, as far as one can know. */
    get synced(): boolean;
    get size(): number;
    get(key: string): V | undefined;
    /** The key with all that is known of it. */
    entry(key: string): MapEntry<V> | undefined;
    has(key: string): boolean;
    keys(): IterableIterator<string>;
    [Symbol.iterator](): IterableIterator<[string, V]>;
    /** The `n` keys with the highest scores, highest first; of equal ones the one written first. Without `n`: all. */
    top(n?: number): MapEntry<V>[];
    /** Publishes a value for the key. */
    set(key: string, value: V, options?: MapOptions): Promise<Published>;
    /**
     * Publishes more of the key's value, a string or bytes that grow at their end. On another value the server says `conflict`.
     * {@link text} follows such a value, {@link write} makes one from a stream.
     */
    append(key: string, more: string | Uint8Array, options?: MapOptions): Promise<Published>;
    /** Publishes that the key is gone. */
    delete(key: string, options?: MapOptions): Promise<Published>;
    /**
     * Changes a value that others may be changing, too: `await map.update('likes', (n = 0) => n + 1)`. `change` gets the
     * value known (undefined: none) and gives the new one, or undefined to leave it. When somebody was faster it is asked
     * again with what that one wrote. Resolves with the value that now stands, once the map shows it. It rejects with a
     * {@link ConflictError} after `tries`.
     */
    update(key: string, change: (value: V | undefined) => V | undefined, options?: UpdateOptions): Promise<V | undefined>;
    /**
     * A value that grows by {@link append}, such as the answer of a language model: `for await (const piece of
     * map.text('answer'))` gives what there is so far at once, and then each piece as it comes, until it is ended.
     */
    text(key: string): LiveText;
    /**
     * Publishes a stream of text under the key, piece by piece, and ends it. Pieces that come while others are under way
     * travel together, so a fast stream makes few messages. Resolves with the whole text once all of it is in the log.
     */
    write(key: string, pieces: AsyncIterable<string> | Iterable<string>, options?: WriteOptions): Promise<string>;
}

/** The events of {@link Presence}. */
declare interface PresenceEvents {
    join: Member;
    leave: Member;
    /** A member's info has changed. */
    update: Member;
    /**
     * The list is complete, at first and after every reconnect. Where the server tells what happened meanwhile, it comes at
     * once and that follows.
     */
    sync: readonly Member[];
    /** How many members there are has changed. */
    count: number;
}
/**
 * Who is on a channel. The list is read in pages at first and kept up to date by joins and leaves; where both speak of one
 * member, the later position in the presence log is right. After a short loss of the line it goes on where it stood, and
 * nobody has left: the server waits a while for those who come back.
 */
declare class Presence extends Emitter<PresenceEvents> {
    #private;
    /** Everyone who is here, in the order in which they became known; at most `maxMembers`. */
    get members(): readonly Member[];
    /** How many members there are, listed or not. */
    get count(): number;
    /** Whether `members` are all there are: not before the first `sync`, and not where there are more than `maxMembers`. */
    get complete(): boolean;
    /** The member with this session name. */
    get(session: string): Member | undefined;
    /** This session, where it is a member. */
    get self(): Member | undefined;
    /** The same list by user: several sessions of one user are one. */
    get users(): Users;
}
/** The events of {@link Users}. */
declare interface UsersEvents {
    /** A user has come, with the first of its sessions. */
    join: PresentUser;
    /** A user is gone, with the last of its sessions. */
    leave: PresentUser;
    /** A user has come or gone with another session, or tells something else about itself. */
    update: PresentUser;
}
/** Who is on a channel, by user. Whoever is anonymous counts as one user per session. Made by {@link Presence.users}. */
declare class Users extends Emitter<UsersEvents> implements Iterable<PresentUser> {
    #private;
    get count(): number;
    get(user: string): PresentUser | undefined;
    [Symbol.iterator](): IterableIterator<PresentUser>;
}

/** What a request of the application asks for. Publishes and subscriptions have their own ways. */
declare interface Request {
    type: 'call' | 'history' | 'state' | 'presence';
    channel?: string;
    method?: string;
    payload?: unknown;
}
/** A ticket whose request ends with an error. */
declare interface Failure {
    ticket: number;
    error: HocketError;
}
/** The open requests of a session: held while there is no line, each with its deadline. Pure in time. */
declare class Requests {
    #private;
    /** `timeoutMs` is how long a request may wait for its answer. */
    constructor(timeoutMs: number);
    add(ticket: number, request: Request, now: number): void;
    /** Gives the next message to send, or undefined when all have been sent. */
    next(newId: () => number): string | undefined;
    /** Takes out the request sent with this id, and gives its ticket; undefined when there is none. */
    answered(id: number): number | undefined;
    /** When the next request times out. */
    get deadline(): number | undefined;
    /** Takes out what has timed out. */
    expire(now: number): Failure[];
    /** The line is gone: reads wait for the next one, calls under way fail. */
    lost(): Failure[];
    /** Empties everything. */
    clear(error: HocketError): Failure[];
}

/** What happens on a channel. */
declare type ChannelEvent = {
    type: 'message';
    message: Message;
}
/** Its payload could not be decrypted. */
 | {
    type: 'unreadable';
    message: Message;
    error: HocketError;
} | {
    type: 'gap';
    gap: GapEvent;
} | {
    type: 'reset';
    reset: ResetEvent;
} | {
    type: 'subscribed';
    subscribed: SubscribedEvent;
    presence: PresenceReply | undefined;
}
/** The subscription has everything up to here. */
 | {
    type: 'position';
    position: Position;
}
/** All of the state has come that there was when it was asked for. */
 | {
    type: 'whole';
}
/** The subscription has ended; with `retrying` it is made again by itself. */
 | {
    type: 'unsubscribed';
    error: HocketError;
    retrying: boolean;
} | {
    type: 'state';
    state: ChannelState;
} | {
    type: 'presence';
    kind: 'join' | 'leave' | 'update';
    members: WireMember[];
    position: Position | undefined;
}
/** More members came or went than the server names, or some of it was missed. */
 | {
    type: 'presence changed';
    count: number | undefined;
};
/** What the reply to a subscribe says about presence. */
declare interface PresenceReply {
    count: number;
    /** What has happened since the last time follows as joins and leaves: the list known so far stays good. */
    resumed: boolean;
}
/** What the session does after a step. */
declare type Next = 'nothing' | 'begin again';
/**
 * One channel as this client follows it: where it stands, and what is to be asked to go on from there. It does no I/O;
 * the session sends what {@link request} gives and hands over what comes.
 *
 * The position is the offset of the last `message` or `position` received, nothing else. Before the first of them the
 * subscription goes on from `#base`, a position before everything that is still to come.
 */
declare class Subscription {
    #private;
    readonly channel: string;
    constructor(channel: string, options: ChannelOptions, backoff: BackoffSettings, random: () => number, emit: (event: ChannelEvent) => void);
    get state(): ChannelState;
    /** The position to go on from, once there is one. */
    get position(): Position | undefined;
    /** When {@link tick} wants to be called: to ask again, or because a question was not answered. */
    deadline(timeoutMs: number): number | undefined;
    /** Whether a subscribe is to be sent as soon as a line stands. */
    wants(now: number): boolean;
    /** The application wants the channel. */
    want(): void;
    /** Gives the subscribe to send under this id. */
    request(id: number, now: number): string;
    /** Whether the request with this id is this channel's present subscribe. */
    isAsking(id: number): boolean;
    /** The server has confirmed the subscription. */
    confirm(reply: SubscribeReply, now: number): void;
    /** The server has refused the subscription, or ended it. What may succeed later is tried again. */
    fail(error: HocketError, now: number): void;
    /** Gives up when the server has not answered in time; then a late answer must be undone with an `unsubscribe`. */
    tick(now: number, timeoutMs: number): boolean;
    /** The line is gone; the subscription is made again over the next one. */
    lost(): void;
    /** The application has left the channel, or the connection has ended: what is known of the log is forgotten. */
    leave(error: HocketError): void;
    /** Some of the presence log was not and will not be sent. */
    missedPresence(): void;
    /** Takes a push of the server for this channel. */
    received(m: ServerMessage, now: number): Next;
}
/** Makes the public message of one on the wire. */
declare function toMessage(m: ServerMessage, epoch: string, live: boolean): Message;

/** The events of a {@link Channel}. */
declare interface ChannelEvents {
    message: Message;
    /** With end-to-end encryption: a payload could not be decrypted. */
    unreadable: UnreadableEvent;
    /** Entries are missing for good. */
    gap: GapEvent;
    /** The subscription could not go on where it stood. */
    reset: ResetEvent;
    /**
     * Everything up to here has come, or was not for this client: its own with `echo: false`, filtered, sampled or expired
     * entries. Given as `from`, it goes on from here.
     */
    position: Position;
    /** With `from: 'state'`: all the keys there were have come. */
    sync: undefined;
    subscribed: SubscribedEvent;
    /** The subscription has ended; with `retrying` it is made again by itself. */
    unsubscribed: {
        error: HocketError;
        retrying: boolean;
    };
    state: ChannelState;
}
/** Takes what happens on a channel. */
declare type ChannelHost = (event: ChannelEvent) => void;
/** What a channel asks of its connection. */
declare interface ChannelLink {
    /** What encrypts the payloads of this channel. */
    sealer?: Sealer | undefined;
    /** `keyed`: what is encrypted can be decrypted. */
    subscribe(options: ChannelOptions, keyed: boolean): void;
    unsubscribe(): void;
    publish(fields: Record<string, unknown>): Promise<unknown>;
    request(request: Request): Promise<unknown>;
    /** What the present session is as a member. */
    self(): Member;
    /** Calls `fn` after a time, unless the function it returns is called before. */
    after(ms: number, fn: () => void): () => void;
    register(host: ChannelHost): void;
}
/** A channel as this client sees it. Made by `connection.channel(name)`. */
declare class Channel extends Emitter<ChannelEvents> implements AsyncIterable<Message> {
    #private;
    readonly name: string;
    /** Who is on the channel; kept while it is subscribed with `presence`. */
    readonly presence: Presence;
    get state(): ChannelState;
    /** Whether payloads are encrypted end to end. */
    get encrypted(): boolean;
    /** How far the channel has come here; undefined before the first message. See the event `position`. */
    get position(): Position | undefined;
    /**
     * Follows the channel until {@link unsubscribe}, over every reconnect. Resolves when the server has confirmed it for
     * the first time, however long the line takes; rejects when it is refused for good.
     */
    subscribe(): Promise<void>;
    /** Stops following the channel. */
    unsubscribe(): void;
    /**
     * Publishes. Resolves when the entry is in the log. Without a line it waits, in order with the others; it never times
     * out, because an entry given up might still arrive. It rejects when the server refuses it (a new publish is then a
     * new entry), when too many wait, and when the connection is closed; with a {@link ConflictError} when `expect` does
     * not hold, and with an {@link UnknownOutcomeError} when it may have been published all the same; with `no_key` where the
     * channel is encrypted and there is no key. The payload is read at once: an ArrayBuffer or a view of one, such as a
     * Uint8Array, is published as its bytes, anything else as JSON.
     */
    publish(payload: unknown, options?: PublishOptions): Promise<Published>;
    /** Reads older messages, oldest first. */
    history(options?: HistoryOptions): Promise<History>;
    /** Reads a page of the channel's state, without following it: the latest entry of each key. */
    readState(options?: StateOptions): Promise<State>;
    /** The channel as a live map: each key with its latest value. It subscribes with `from: 'state'`. */
    map<V = unknown>(): LiveMap<V>;
    /**
     * The messages from now on; it subscribes when nobody has. It ends with the subscription. A reader that lets 10,000
     * messages wait gets an `iterator_overflow` error.
     */
    [Symbol.asyncIterator](): AsyncIterator<Message>;
}

/** The events of a {@link Connection}. */
declare interface ConnectionEvents {
    /** The connection has changed its state. */
    state: StateEvent;
    /** The server has admitted this session, again or for the first time. */
    connected: Connected;
    /** A round trip was measured, in milliseconds. */
    latency: number;
    /** A payload for this session or user, on no channel. */
    event: unknown;
    /** What failed outside any request: a token, an answer without id. */
    error: HocketError;
    /** A text that crossed the socket. */
    raw: RawEvent;
}
/**
 * Connects to a Hocket server, and stays connected until `close()`. `url` is the server's address (`ws:`, `wss:`,
 * `http:`, `https:`, or a path on the page's own server); without a path it is `/v1/ws`. It returns at once: channels,
 * publishes and calls may be made right away and wait for the line.
 */
declare function connect(url: string, options?: ConnectOptions): Connection;
/** One session with a server over however many sockets it takes. Made by {@link connect}. */
declare class Connection extends Emitter<ConnectionEvents> {
    #private;
    constructor(url: string, options: ConnectOptions);
    get state(): ConnectionState;
    /** The last measured round trip in milliseconds; undefined before the first. */
    get latency(): number | undefined;
    /**
     * The public name of this session, as it stands in `from` and in presence; "" before the first. A server that knows
     * the client keeps it over reconnects.
     */
    get session(): string;
    /** Who the server says we are; "" when anonymous. */
    get user(): string;
    /** What the server can and has on, such as `history` or `tokens`; the protocol lists the names. Empty before it has admitted this session. */
    get features(): readonly string[];
    /**
     * The channel of that name. It is the same object every time; options may be given as long as it has not been
     * subscribed.
     */
    channel(name: string, options?: ChannelOptions): Channel;
    /**
     * Calls a method of the server or of the back end behind it. Rejects with the method's error, with `timeout`, or with
     * `connection_lost` when the line goes before the answer comes.
     */
    call(method: string, payload?: unknown): Promise<unknown>;
    /**
     * Changes what others see of this session in presence, now and after every reconnect. Where the server does not take it,
     * because it is too large or comes with the proof of identity, an `error` says so, and others go on to see what they saw.
     */
    setInfo(info: unknown): void;
    /** Ends the connection for good. Whatever still waits is rejected with `closed`. */
    close(): void;
}

/** The codes of the errors a request is answered with, by name. An application's own begin at 10000. */
declare const ErrorCode: {
    /** The message is not exactly one JSON object. */
    readonly invalid_json: 1100;
    /** A field of the message is missing or has the wrong type. */
    readonly invalid_message: 1101;
    /** The message has a type this server does not know. */
    readonly unknown_type: 1102;
    /** The channel name is missing, too long or malformed. */
    readonly invalid_channel: 1103;
    /** The id is neither a string of at most 64 bytes nor a whole number from 0 to 2^53-1. */
    readonly invalid_id: 1104;
    /** A request with this id is still open. */
    readonly id_in_use: 1105;
    /** The payload is missing or is not what the request needs. */
    readonly invalid_payload: 1106;
    /** The position to start from is malformed: the epoch is a string, the offset a whole number from 0 to 2^53-1. */
    readonly invalid_position: 1107;
    /** The key, idempotency key or client id is too long or malformed. */
    readonly invalid_key: 1108;
    /** The message or its payload is larger than the limit. */
    readonly too_large: 1109;
    /** The request is not a handshake this server can answer. */
    readonly bad_handshake: 1110;
    /** Pages of this origin may not connect. */
    readonly origin_not_allowed: 1111;
    /** A number is outside the range the field allows. */
    readonly invalid_range: 1112;
    /** What a member tells about itself is larger than the limit. */
    readonly info_too_large: 1113;
    /** The payload does not fit the schema of its channel or method. */
    readonly schema_mismatch: 1114;
    /** The channel is encrypted end to end, and the payload is no envelope made with its key. */
    readonly not_encrypted: 1115;
    /** The request has come in clear text, and this server is reached under TLS only. */
    readonly tls_required: 1116;
    /** The session has not proved who it is. */
    readonly unauthenticated: 1401;
    /** A session keeps its user: a later connect cannot name another one. */
    readonly user_mismatch: 1402;
    /** The session may not do this. */
    readonly permission_denied: 1403;
    /** There is no such method, session or user. */
    readonly not_found: 1404;
    /** The session is not subscribed to this channel. */
    readonly not_subscribed: 1405;
    /** The session is subscribed to this channel already. */
    readonly already_subscribed: 1406;
    /** The API key has not the scope that this needs; the message names it. */
    readonly missing_scope: 1407;
    /** The answer did not come in time. */
    readonly timeout: 1408;
    /** The channel or key is not in the state the request expects. */
    readonly conflict: 1409;
    /** The channel's log began anew: subscribe again to go on in the new epoch. */
    readonly epoch_changed: 1410;
    /** The token has expired: get a new one. */
    readonly token_expired: 1411;
    /** The token was revoked: get a new one. */
    readonly revoked: 1412;
    /** Too many requests: wait retry_after_ms. */
    readonly rate_limited: 1429;
    /** The session holds as many of these as it may. */
    readonly limit_reached: 1430;
    /** The user or the address is shut out for a while: wait retry_after_ms. */
    readonly banned: 1431;
    /** The server failed; its log says why. */
    readonly internal: 1500;
    /** This server does not support this yet. */
    readonly not_supported: 1501;
    /** The server has too much to do: wait retry_after_ms. */
    readonly busy: 1503;
    /** What this needs cannot be reached now, such as the channel's log or the back end: try again later. */
    readonly unavailable: 1504;
    /** The server shuts down or takes no new sessions: connect again later. */
    readonly draining: 1505;
};
/** The codes a connection is closed with, by name, beside those of RFC 6455. */
declare const CloseCode: {
    /** The server shuts down: reconnect. */
    readonly draining: 4000;
    /** The connection did not take its messages fast enough: reconnect and recover. */
    readonly slow_consumer: 4001;
    /** The client did not answer a ping in time: reconnect. */
    readonly ping_timeout: 4002;
    /** The client sent too much: reconnect after a longer delay. */
    readonly rate_limited: 4003;
    /** The session failed on the server: reconnect. */
    readonly internal: 4004;
    /** Who the client is cannot be decided now: reconnect. */
    readonly unavailable: 4005;
    /** The user or the address has as many sessions as it may: reconnect after a longer delay. */
    readonly limit_reached: 4006;
    /** The token has expired: get a new one and reconnect. */
    readonly token_expired: 4100;
    /** The token was revoked: get a new one and reconnect. */
    readonly revoked: 4101;
    /** The client did not prove who it is: do not reconnect. */
    readonly unauthenticated: 4200;
    /** The client may not connect: do not reconnect. */
    readonly forbidden: 4201;
    /** The client is banned: do not reconnect. */
    readonly banned: 4202;
    /** A newer session of the same client id has taken its place: do not reconnect with this id. */
    readonly replaced: 4203;
};
/** The errors after which the same request may succeed later. */
declare const retryableCodes: ReadonlySet<number>;
/**
 * What a client does after a close: connect again, get a new token and connect again, or stop.
 * A code that is not listed follows its range: 4000 to 4099 reconnect, 4100 to 4199 token, 4200 to 4299 stop.
 */
declare const CloseAction: Record<number, 'reconnect' | 'token' | 'stop'>;

/** What a link needs to know. Times are in milliseconds. */
declare interface LinkSettings {
    url: string;
    /** Random, and kept as long as this client lives: `seq` counts under it. */
    client: string;
    user?: string | undefined;
    info?: unknown;
    /** A token that cannot be replaced. */
    token?: string | undefined;
    /** Whether the host can get tokens. */
    hasTokenSource: boolean;
    /** A ticket, good for one connection. */
    ticket?: string | undefined;
    /** Whether the host can get tickets: one for each attempt. */
    hasTicketSource: boolean;
    backoff: BackoffSettings;
    connectTimeoutMs: number;
    pingEveryMs: number;
    pongTimeoutMs: number;
}
/** What a link asks of the session around it. */
declare interface LinkHost {
    open(url: string): void;
    /** Drops the socket with this close code; nothing it still says is heard. */
    drop(code: number): void;
    send(text: string): void;
    newId(): number;
    getToken(): void;
    getTicket(): void;
    stateChanged(state: ConnectionState, previous: ConnectionState, retryInMs?: number, error?: HocketError): void;
    latency(ms: number): void;
    failed(error: HocketError): void;
    /** The server has not taken the new info: it is still this. */
    infoIs(info: unknown): void;
    /** `connect` has been sent; what need not wait for its answer may follow. */
    greeted(now: number): void;
    up(now: number): void;
    down(now: number): void;
    ended(error: HocketError): void;
}
/**
 * The life of one connection: token, ticket, socket, `connect`, pings, loss, backoff, and over again. It does no I/O and reads
 * no clock: the session tells it what happened and when, and it asks its host to act.
 */
declare class Link {
    #private;
    constructor(settings: LinkSettings, random: () => number, host: LinkHost);
    get state(): ConnectionState;
    get connected(): boolean;
    /** Whether the server hears us, though it may not have answered `connect` yet. */
    get open(): boolean;
    /** How many bytes a message to the server may have; undefined while that is not known. */
    get messageBytes(): number | undefined;
    /** When {@link tick} wants to be called. */
    get wakeAt(): number | undefined;
    /** Begins an attempt. */
    start(now: number): void;
    /** The host has got a token, to begin with or to refresh the one in use. */
    gotToken(token: string, now: number): void;
    /** The host has got a ticket for the attempt under way. One that comes too late is left to expire. */
    gotTicket(ticket: string, now: number): void;
    /** The host could not get a token or ticket. */
    noToken(error: HocketError, now: number): void;
    /** What others see of this session has changed. */
    setInfo(info: unknown): void;
    /** The socket is open. */
    opened(now: number): void;
    /** Something came over the line, so it is alive. */
    alive(): void;
    /** Whether the answer with this id belongs to the link. */
    isConnect(id: number | string | undefined): boolean;
    /** Whether an error that names no request is about `connect`: the first one may be too long, which nobody can know before. */
    mayBeTooLong(error: HocketError): boolean;
    /** `connect` was answered: the session stands, or its token has been refreshed. */
    welcomed(reply: Connected, now: number): void;
    /** `connect` was answered with an error. In a session that stands only the new token or info was refused. */
    refused(error: HocketError, now: number): void;
    pong(id: number | string | undefined, now: number): void;
    /** The server asks to connect anew after a while, perhaps elsewhere. Until then the line stays in use. */
    move(afterMs: number, url: string | undefined, now: number): void;
    /** The socket has closed, or could not be opened (1006). */
    closed(code: number, reason: string, now: number): void;
    /** The network is back, says the browser: a waiting link tries at once. */
    online(now: number): void;
    /** Time has passed. */
    tick(now: number): void;
    /** The application closes the connection. */
    stop(): void;
}

/** What can happen to a session. The number `ticket` is the caller's own number for something that will be answered. */
declare type Input = {
    type: 'start';
} | {
    type: 'stop';
} | {
    type: 'opened';
} | {
    type: 'received';
    text: string;
} | {
    type: 'closed';
    code: number;
    reason: string;
} | {
    type: 'token';
    token: string;
} | {
    type: 'ticket';
    text: string;
} | {
    type: 'no token';
    error: HocketError;
} | {
    type: 'info';
    info: unknown;
} | {
    type: 'online';
} | {
    type: 'tick';
}
/** `keyed`: what is encrypted end to end can be decrypted. */
 | {
    type: 'subscribe';
    channel: string;
    options: ChannelOptions;
    keyed?: boolean;
} | {
    type: 'unsubscribe';
    channel: string;
} | {
    type: 'publish';
    ticket: number;
    fields: Record<string, unknown>;
} | {
    type: 'request';
    ticket: number;
    request: Request;
};
/** What a session wants done, in this order. */
declare type Output = {
    type: 'open';
    url: string;
}
/** Close the socket with this code and hear nothing more of it. */
 | {
    type: 'drop';
    code: number;
} | {
    type: 'send';
    text: string;
} | {
    type: 'get token';
} | {
    type: 'get ticket';
} | {
    type: 'state';
    state: ConnectionState;
    previous: ConnectionState;
    retryInMs?: number;
    error?: HocketError;
} | {
    type: 'connected';
    connected: Connected;
} | {
    type: 'latency';
    ms: number;
} | {
    type: 'error';
    error: HocketError;
}
/** What others see of this session is this: the server has not taken what came later. */
 | {
    type: 'info';
    info: unknown;
} | {
    type: 'event';
    payload: unknown;
} | {
    type: 'channel';
    channel: string;
    event: ChannelEvent;
} | {
    type: 'answer';
    ticket: number;
    payload: unknown;
} | {
    type: 'failure';
    ticket: number;
    error: HocketError;
};
/** What a session needs to know. Times are in milliseconds. */
declare interface SessionSettings extends Omit<LinkSettings, 'backoff'> {
    backoff: BackoffSettings;
    requestTimeoutMs: number;
    /** How many publishes may wait. */
    maxQueued: number;
}
/**
 * A client's whole behaviour without I/O, clock or chance of its own: what happens goes in with the time at which it
 * happened, what is to be done comes out. {@link Connection} drives it with a WebSocket and timers; a test or a
 * simulation can drive it with anything.
 */
declare class Session {
    #private;
    constructor(settings: SessionSettings, random: () => number);
    /** Takes what has happened at `now` (milliseconds, never going backwards), and gives what is to be done. */
    next(input: Input, now: number): Output[];
    /** When the session wants a `tick`, in the time of {@link next}; undefined: not before something else happens. */
    get wakeAt(): number | undefined;
}

export { BackoffSettings, Channel, ChannelEvents, ChannelOptions, ChannelState, Clock, CloseCode, ConflictError, ConnectOptions, Connected, Connection, ConnectionEvents, ConnectionState, ErrorCode, From, GapEvent, History, HistoryOptions, HocketError, Input, LiveMap, LiveText, LocalErrorCode, MapChange, MapEntry, MapEvents, MapOptions, Member, Message, Op, Output, Place, Position, Presence, PresenceEvents, PresentUser, PublishOptions, Published, RawEvent, ResetEvent, Sealer, Session, SessionSettings, SocketConstructor, SocketLike, State, StateEvent, StateOptions, SubscribedEvent, TextEvents, TokenSource, UnknownOutcomeError, UnreadableEvent, UpdateOptions, Users, UsersEvents, WriteOptions, connect };
