import { Backoff, type BackoffSettings } from './backoff.ts';
import { readPayload } from './bytes.ts';
import { HocketError, timeoutError } from './errors.ts';
import type { Position, ServerMessage, SubscribeReply, WireMember } from './protocol.ts';
import type { ChannelOptions, ChannelState, GapEvent, Message, Op, ResetEvent, SubscribedEvent } from './types.ts';

/** What happens on a channel. */
export type ChannelEvent =
  | { type: 'message'; message: Message }
  /** Its payload could not be decrypted. */
  | { type: 'unreadable'; message: Message; error: HocketError }
  | { type: 'gap'; gap: GapEvent }
  | { type: 'reset'; reset: ResetEvent }
  | { type: 'subscribed'; subscribed: SubscribedEvent; presence: PresenceReply | undefined }
  /** The subscription has everything up to here. */
  | { type: 'position'; position: Position }
  /** All of the state has come that there was when it was asked for. */
  | { type: 'whole' }
  /** The subscription has ended; with `retrying` it is made again by itself. */
  | { type: 'unsubscribed'; error: HocketError; retrying: boolean }
  | { type: 'state'; state: ChannelState }
  | { type: 'presence'; kind: 'join' | 'leave' | 'update'; members: WireMember[]; position: Position | undefined }
  /** More members came or went than the server names, or some of it was missed. */
  | { type: 'presence changed'; count: number | undefined };

/** What the reply to a subscribe says about presence. */
export interface PresenceReply {
  count: number;
  /** What has happened since the last time follows as joins and leaves: the list known so far stays good. */
  resumed: boolean;
}

/** A state on its way here: it is whole once the position has come to `head`. */
interface Transfer {
  head: number;
  /** When it counts as whole although nothing more has come; undefined: it has been told as whole. */
  quietAt: number | undefined;
  /** Keys whose value has come since the last subscribe, when that went on after a cut; else undefined. */
  seen: Set<string> | undefined;
}

/** A state of which nothing has come for so long is whole: what came last to the log was a delete. In milliseconds. */
const quietMs = 2_000;

/** What the session does after a step. */
export type Next = 'nothing' | 'begin again';

/**
 * One channel as this client follows it: where it stands, and what is to be asked to go on from there. It does no I/O;
 * the session sends what {@link request} gives and hands over what comes.
 *
 * The position is the offset of the last `message` or `position` received, nothing else. Before the first of them the
 * subscription goes on from `#base`, a position before everything that is still to come.
 */
export class Subscription {
  readonly channel: string;
  readonly #options: ChannelOptions;
  readonly #emit: (event: ChannelEvent) => void;
  readonly #backoff: Backoff;
  #state: ChannelState = 'unsubscribed';
  #askedAt = 0;
  #askedFrom: Position | undefined;
  #id: number | undefined;
  #retryAt: number | undefined;

  #epoch: string | undefined;
  #head = 0; // of the last subscribe reply: what comes up to it is catching up
  #position: number | undefined;
  #base: Position | undefined;
  #unseen: { after: number; left: number } | undefined; // see #countUnseen
  #transfer: Transfer | undefined; // of a state; undefined when what is known is whole
  #anew = false; // the state is asked for anew, though some of it has been given out
  #present: Position | undefined; // the last one told of the presence log
  #presentFrom: Position | undefined; // what the last subscribe asked to resume presence at

  constructor(
    channel: string,
    options: ChannelOptions,
    backoff: BackoffSettings,
    random: () => number,
    emit: (event: ChannelEvent) => void,
  ) {
    this.channel = channel;
    this.#options = options;
    this.#emit = emit;
    this.#backoff = new Backoff(backoff, random);
    this.#forget();
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** The position to go on from, once there is one. */
  get position(): Position | undefined {
    if (this.#epoch !== undefined && this.#position !== undefined) {
      return { epoch: this.#epoch, offset: this.#position };
    }
    return this.#base;
  }

  /** When {@link tick} wants to be called: to ask again, or because a question was not answered. */
  deadline(timeoutMs: number): number | undefined {
    if (this.#state === 'waiting') return this.#retryAt;
    if (this.#state === 'subscribed') return this.#transfer?.quietAt;
    return this.#state === 'subscribing' ? this.#askedAt + timeoutMs : undefined;
  }

  /** Whether a subscribe is to be sent as soon as a line stands. */
  wants(now: number): boolean {
    return this.#state === 'waiting' && (this.#retryAt === undefined || this.#retryAt <= now);
  }

  /** The application wants the channel. */
  want(): void {
    if (this.#state === 'unsubscribed') this.#enter('waiting');
  }

  /** Gives the subscribe to send under this id. */
  request(id: number, now: number): string {
    this.#id = id;
    this.#askedAt = now;
    this.#retryAt = undefined;
    this.#askedFrom = this.position;
    this.#enter('subscribing');
    const { presence, filter } = this.#options;
    this.#presentFrom = presence === true ? this.#present : undefined;
    const from = this.#askedFrom !== undefined && this.#isState ? { ...this.#askedFrom, state: true } : this.#askedFrom;
    const payload: Record<string, unknown> = { from: from ?? this.#beginning() };
    if (presence) payload['presence'] = this.#presentFrom ?? presence;
    if (filter !== undefined) payload['filter'] = filter;
    return JSON.stringify({ type: 'subscribe', id, channel: this.channel, payload });
  }

  /** Whether the request with this id is this channel's present subscribe. */
  isAsking(id: number): boolean {
    return this.#state === 'subscribing' && id === this.#id;
  }

  /** The server has confirmed the subscription. */
  confirm(reply: SubscribeReply, now: number): void {
    const before = this.#epoch;
    const recoverable = this.#options.recover !== false;
    const anotherLog = before !== undefined && before !== reply.epoch;
    const lost = this.#askedFrom !== undefined && (!reply.recovered || this.#askedFrom.epoch !== reply.epoch);
    const reset = recoverable && (lost || anotherLog || this.#anew);
    this.#anew = false;
    this.#backoff.reset();
    if (reset) this.#reset({ oldEpoch: before ?? this.#askedFrom?.epoch ?? '', epoch: reply.epoch, offset: reply.offset });
    this.#stand(reply, before);
    this.#enter('subscribed');
    const { epoch, offset } = reply;
    const resumed = this.#askedFrom !== undefined && !reset;
    const again = before !== undefined;
    const presence = this.#confirmPresence(reply);
    this.#emit({ type: 'subscribed', subscribed: { epoch, offset, recovered: !reset, resumed, again }, presence });
    if (this.#isState) this.#transferring(resumed, offset, now);
  }

  #confirmPresence(reply: SubscribeReply): PresenceReply | undefined {
    const p = reply.presence;
    if (p === undefined) return undefined;
    const resumed = this.#presentFrom !== undefined && p.epoch === this.#presentFrom.epoch; // else a gap says so
    if (!resumed) this.#present = position(p);
    return { count: p.count, resumed };
  }

  /** The server has refused the subscription, or ended it. What may succeed later is tried again. */
  fail(error: HocketError, now: number): void {
    const retrying = error.retryable;
    if (retrying) this.#retryAt = now + Math.max(error.retryAfterMs, this.#backoff.next());
    this.#enter(retrying ? 'waiting' : 'unsubscribed');
    this.#emit({ type: 'unsubscribed', error, retrying });
  }

  /** Gives up when the server has not answered in time; then a late answer must be undone with an `unsubscribe`. */
  tick(now: number, timeoutMs: number): boolean {
    if (this.#state === 'subscribed' && this.#transfer?.quietAt !== undefined && this.#transfer.quietAt <= now) this.#whole();
    if (this.#state !== 'subscribing' || this.#askedAt + timeoutMs > now) return false;
    this.fail(timeoutError(`subscribe to ${this.channel}`, timeoutMs), now);
    return true;
  }

  /** The line is gone; the subscription is made again over the next one. */
  lost(): void {
    if (this.#state === 'unsubscribed') return;
    if (this.#options.recover === false) this.#restart();
    this.#retryAt = undefined;
    this.#enter('waiting');
  }

  /** The application has left the channel, or the connection has ended: what is known of the log is forgotten. */
  leave(error: HocketError): void {
    if (this.#state === 'unsubscribed') return;
    this.#forget();
    this.#enter('unsubscribed');
    this.#emit({ type: 'unsubscribed', error, retrying: false });
  }

  /** Some of the presence log was not and will not be sent. */
  missedPresence(): void {
    this.#present = undefined;
    this.#emit({ type: 'presence changed', count: undefined });
  }

  /** Takes a push of the server for this channel. */
  received(m: ServerMessage, now: number): Next {
    if (this.#state !== 'subscribed') return 'nothing'; // of a subscription that is being given up
    switch (m.type) {
      case 'message':
        return this.#message(m, now);
      case 'position':
        if (typeof m.offset === 'number') this.#advance(m.offset);
        return 'nothing';
      case 'gap':
        return this.#gap(m.payload as GapEvent);
      case 'join':
      case 'leave':
      case 'update':
        this.#presence(m.type, m);
        return 'nothing';
      case 'presence':
        this.#present = position(m) ?? this.#present;
        this.#emit({ type: 'presence changed', count: (m.payload as { count?: number } | undefined)?.count });
        return 'nothing';
      default:
        return 'nothing';
    }
  }

  #message(m: ServerMessage, now: number): Next {
    const offset = m.offset ?? 0;
    if (this.#position !== undefined && offset <= this.#position) return 'nothing'; // had it
    if (this.#lacksBase(m, offset)) {
      this.#restart();
      this.#anew = true;
      return 'begin again';
    }
    if (this.#transfer?.quietAt !== undefined) this.#transfer.quietAt = now + quietMs;
    this.#countUnseen(offset);
    const message = toMessage(m, this.#epoch ?? '', offset > this.#head);
    if (message.live) this.#whole(); // nothing of the state comes after it
    this.#emit({ type: 'message', message });
    this.#advance(offset);
    return 'nothing';
  }

  /**
   * Whether this is more of a value that was never received: when the transfer of a state was cut and goes on from the
   * log, what follows may grow a value that stood behind the cut.
   */
  #lacksBase(m: ServerMessage, offset: number): boolean {
    const t = this.#transfer;
    if (t?.seen === undefined || m.key === undefined || offset > t.head) return false;
    if (m.op === 'append') return !t.seen.has(m.key);
    t.seen.add(m.key);
    return false;
  }

  #gap(gap: GapEvent): Next {
    this.#emit({ type: 'gap', gap: { from: gap.from, to: gap.to, reason: gap.reason } });
    // A missed entry may have set or deleted any key, unless it had none.
    return this.#isState && gap.reason !== 'without_key' ? 'begin again' : 'nothing';
  }

  #presence(kind: 'join' | 'leave' | 'update', m: ServerMessage): void {
    const at = position(m);
    this.#present = at ?? this.#present;
    this.#emit({ type: 'presence', kind, members: m.members ?? [], position: at });
  }

  #advance(offset: number): void {
    this.#base = undefined;
    if (this.#position === undefined || offset > this.#position) {
      this.#position = offset;
      this.#emit({ type: 'position', position: { epoch: this.#epoch ?? '', offset } });
    }
    if (this.#transfer === undefined || this.#position < this.#transfer.head) return;
    this.#whole();
    this.#transfer = undefined;
  }

  get #isState(): boolean {
    return this.#options.from === 'state';
  }

  /** A state, or what has changed in it, is on its way. After a cut in the middle it is whole no sooner than it was. */
  #transferring(resumed: boolean, head: number, now: number): void {
    const unfinished = resumed ? this.#transfer : undefined;
    const seen = unfinished && new Set<string>();
    this.#transfer = { head: unfinished?.head ?? head, quietAt: now + quietMs, seen };
    if ((this.#position ?? 0) >= head) this.#advance(head);
  }

  /** Tells once that the state is whole. */
  #whole(): void {
    if (this.#transfer?.quietAt === undefined) return;
    this.#transfer.quietAt = undefined;
    this.#emit({ type: 'whole' });
  }

  /** Where to begin when there is no position to go on from. */
  #beginning(): unknown {
    const from = this.#options.from ?? 'live';
    if (typeof from !== 'object' || !('sinceMs' in from)) return from;
    const { sinceMs, ...others } = from; // nothing goes with it, as the server will say
    return { since_ms: sinceMs, ...others };
  }

  /** What was shown so far has no continuation. Everything the log still holds will come, so nothing is dropped. */
  #reset(event: ResetEvent): void {
    this.#epoch = event.epoch;
    this.#position = undefined;
    this.#base = this.#isState ? undefined : { epoch: event.epoch, offset: 0 };
    this.#emit({ type: 'reset', reset: event });
  }

  #stand(reply: SubscribeReply, before: string | undefined): void {
    const from = this.#options.from ?? 'live';
    const beginning = this.#askedFrom === undefined;
    // A live subscription that was confirmed has everything up to the reply's offset behind it.
    if (beginning && from === 'live') this.#base = { epoch: reply.epoch, offset: reply.offset };
    const grown = before === reply.epoch && reply.offset > this.#head;
    if (beginning && grown && typeof from === 'object' && 'last' in from && this.#options.recover !== false) {
      this.#unseen = { after: this.#head, left: from.last };
    } else {
      this.#unseen = undefined;
    }
    this.#epoch = reply.epoch;
    this.#head = reply.offset;
  }

  /**
   * A `last: n` that was cut before anything came begins with the newest n once more. When exactly n come, more may
   * have been published meanwhile than that; nobody else would say so.
   */
  #countUnseen(offset: number): void {
    if (this.#unseen === undefined || offset > this.#head) return;
    this.#unseen.left--;
    if (this.#unseen.left > 0) return;
    const gap = { from: this.#unseen.after, to: offset, reason: 'subscribed_again' };
    this.#unseen = undefined;
    this.#emit({ type: 'gap', gap });
  }

  /** Begins with `from` the next time. */
  #restart(): void {
    this.#position = undefined;
    this.#base = undefined;
  }

  /** Knows nothing but what the application asked for. */
  #forget(): void {
    const from = this.#options.from;
    this.#position = undefined;
    this.#base = typeof from === 'object' && 'epoch' in from ? from : undefined;
    this.#epoch = undefined;
    this.#head = 0;
    this.#anew = false;
    this.#transfer = this.#present = undefined;
  }

  #enter(state: ChannelState): void {
    if (state !== 'subscribing') this.#id = undefined;
    if (this.#state === state) return;
    this.#state = state;
    this.#emit({ type: 'state', state });
  }
}

/** Makes the public message of one on the wire. */
export function toMessage(m: ServerMessage, epoch: string, live: boolean): Message {
  return {
    channel: m.channel ?? '',
    epoch,
    offset: m.offset ?? 0,
    time: m.time ?? 0,
    payload: readPayload(m),
    key: m.key,
    op: (m.op ?? 'set') as Op,
    tags: m.tags,
    score: m.score ?? 0,
    from: m.from && { user: m.from.user ?? '', session: m.from.session },
    live,
  };
}

function position(m: Partial<Position>): Position | undefined {
  return typeof m.epoch === 'string' && typeof m.offset === 'number' ? { epoch: m.epoch, offset: m.offset } : undefined;
}
