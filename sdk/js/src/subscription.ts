import { Backoff, type BackoffSettings } from './backoff.ts';
import { HocketError, timeoutError } from './errors.ts';
import type { Position, ServerMessage, SubscribeReply, WireMember } from './protocol.ts';
import type { ChannelOptions, ChannelState, GapEvent, Message, Op, ResetEvent, SubscribedEvent } from './types.ts';

/** What happens on a channel. */
export type ChannelEvent =
  | { type: 'message'; message: Message }
  | { type: 'gap'; gap: GapEvent }
  | { type: 'reset'; reset: ResetEvent }
  | { type: 'subscribed'; subscribed: SubscribedEvent }
  /** The subscription has ended; with `retrying` it is made again by itself. */
  | { type: 'unsubscribed'; error: HocketError; retrying: boolean }
  | { type: 'state'; state: ChannelState }
  | { type: 'presence'; kind: 'join' | 'leave' | 'update'; members: WireMember[]; position: Position | undefined };

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
    const payload: Record<string, unknown> = { from: this.#askedFrom ?? this.#beginning() };
    if (this.#options.presence) payload['presence'] = this.#options.presence;
    return JSON.stringify({ type: 'subscribe', id, channel: this.channel, payload });
  }

  /** Whether the request with this id is this channel's present subscribe. */
  isAsking(id: number): boolean {
    return this.#state === 'subscribing' && id === this.#id;
  }

  /** The server has confirmed the subscription. */
  confirm(reply: SubscribeReply): Next {
    const before = this.#epoch;
    const recoverable = this.#options.recover !== false;
    const anotherLog = before !== undefined && before !== reply.epoch;
    const lost = this.#askedFrom !== undefined && (!reply.recovered || this.#askedFrom.epoch !== reply.epoch);
    const reset = recoverable && (lost || anotherLog);
    this.#backoff.reset();
    if (reset) this.#reset({ oldEpoch: before ?? this.#askedFrom?.epoch ?? '', epoch: reply.epoch, offset: reply.offset });
    if (reset && this.#options.from === 'state') {
      this.#restart();
      return 'begin again'; // from an incomplete log one cannot tell which keys have gone
    }
    this.#stand(reply, before);
    this.#enter('subscribed');
    const { epoch, offset } = reply;
    const resumed = this.#askedFrom !== undefined && !reset;
    const again = before !== undefined;
    this.#emit({ type: 'subscribed', subscribed: { epoch, offset, recovered: !reset, resumed, again } });
    return 'nothing';
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

  /** Takes a push of the server for this channel. */
  received(m: ServerMessage): Next {
    if (this.#state !== 'subscribed') return 'nothing'; // of a subscription that is being given up
    switch (m.type) {
      case 'message':
        return this.#message(m);
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
      default:
        return 'nothing';
    }
  }

  #message(m: ServerMessage): Next {
    const offset = m.offset ?? 0;
    if (this.#position !== undefined && offset <= this.#position) return 'nothing'; // had it
    this.#countUnseen(offset);
    this.#advance(offset);
    this.#emit({ type: 'message', message: toMessage(m, this.#epoch ?? '', offset > this.#head) });
    return 'nothing';
  }

  #gap(gap: GapEvent): Next {
    this.#emit({ type: 'gap', gap: { from: gap.from, to: gap.to, reason: gap.reason } });
    if (this.#options.from !== 'state') return 'nothing';
    this.#restart();
    return 'begin again'; // a missed entry may have set or deleted any key
  }

  #presence(kind: 'join' | 'leave' | 'update', m: ServerMessage): void {
    const known = typeof m.epoch === 'string' && typeof m.offset === 'number';
    const position = known ? { epoch: m.epoch as string, offset: m.offset as number } : undefined;
    this.#emit({ type: 'presence', kind, members: m.members ?? [], position });
  }

  #advance(offset: number): void {
    if (this.#position === undefined || offset > this.#position) this.#position = offset;
    this.#base = undefined;
  }

  /** Where to begin when there is no position to go on from. */
  #beginning(): unknown {
    const from = this.#options.from ?? 'live';
    return typeof from === 'object' && 'sinceMs' in from ? { since_ms: from.sinceMs } : from;
  }

  /** What was shown so far has no continuation. Everything the log still holds will come, so nothing is dropped. */
  #reset(event: ResetEvent): void {
    this.#epoch = event.epoch;
    this.#position = undefined;
    this.#base = { epoch: event.epoch, offset: 0 };
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
    payload: m.payload,
    key: m.key,
    op: (m.op ?? 'set') as Op,
    tags: m.tags,
    from: m.from && { user: m.from.user ?? '', session: m.from.session },
    live,
  };
}
