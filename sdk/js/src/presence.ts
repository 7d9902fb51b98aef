import { Backoff, defaultBackoff } from './backoff.ts';
import { systemClock } from './clock.ts';
import { Emitter } from './emitter.ts';
import { ErrorCode } from './errors.gen.ts';
import { HocketError, LocalErrorCode } from './errors.ts';
import type { Position, WireMember } from './protocol.ts';
import type { PresenceReply } from './subscription.ts';
import type { Member, PresentUser } from './types.ts';

/** The events of {@link Presence}. */
export interface PresenceEvents {
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

interface PresencePage extends Partial<Position> {
  count?: number;
  members?: WireMember[];
  next?: string;
}

/** What was told of a session while pages are being read, unless a page that names it is newer. */
interface Change {
  position: Position | undefined;
  member: Member | undefined; // undefined: it has left
}

const pageSize = 100;

/**
 * Who is on a channel. The list is read in pages at first and kept up to date by joins and leaves; where both speak of one
 * member, the later position in the presence log is right. After a short loss of the line it goes on where it stood, and
 * nobody has left: the server waits a while for those who come back.
 */
export class Presence extends Emitter<PresenceEvents> {
  readonly #ask: (payload: Record<string, unknown>) => Promise<unknown>;
  readonly #session: () => string;
  readonly #after: (ms: number, fn: () => void) => () => void;
  readonly #us: () => Member | undefined; // while we are a member
  readonly #backoff = new Backoff(defaultBackoff, Math.random); // of readings that failed
  readonly #members = new Map<string, Member>(); // by session
  #changes: Map<string, Change> | undefined; // while reading pages
  #reading = 0; // the number of the present reading: an older one gives up
  #calm: () => void = () => {}; // gives up the reading that waits
  #max = 1_000;
  #complete = false;
  #crowd = false; // joins and leaves are told by their number
  #own = ''; // our session's name when the list was begun
  #total = 0; // of all members, as of #totalAt and what has come since; right also when the list is not complete
  #totalAt: Position | undefined;
  #told = 0; // the count the application knows
  #users: Users | undefined;

  /** @internal */
  constructor(
    ask: (payload: Record<string, unknown>) => Promise<unknown>,
    session: () => string = () => '',
    after: (ms: number, fn: () => void) => () => void = systemClock.after,
    us: () => Member | undefined = () => undefined,
  ) {
    super();
    this.#ask = ask;
    this.#session = session;
    this.#after = after;
    this.#us = us;
  }

  /** Everyone who is here, in the order in which they became known; at most `maxMembers`. */
  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  /** How many members there are, listed or not. */
  get count(): number {
    if (this.#complete) return this.#members.size;
    return this.#crowd ? this.#total : Math.max(this.#total, this.#members.size); // of a crowd's list some may have left, untold
  }

  /** Whether `members` are all there are: not before the first `sync`, and not where there are more than `maxMembers`. */
  get complete(): boolean {
    return this.#complete;
  }

  /** The member with this session name. */
  get(session: string): Member | undefined {
    return this.#members.get(session);
  }

  /** This session, where it is a member. */
  get self(): Member | undefined {
    return this.#members.get(this.#session());
  }

  /** The same list by user: several sessions of one user are one. */
  get users(): Users {
    return (this.#users ??= new Users(this));
  }

  /** @internal The channel is subscribed, for the first time or again. */
  subscribed(reply: PresenceReply | undefined, max = 1_000): void {
    this.#max = max;
    const same = this.#own === this.#session();
    this.#own = this.#session();
    if (reply?.resumed && same && this.#complete) {
      this.#listUs();
      this.#tellCount();
      this.emit('sync', this.members);
      return;
    }
    this.#complete = false; // until all of it has been read, whichever connection that takes
    this.#total = reply?.count ?? this.#total;
    this.#crowd = false;
    this.synchronize();
  }

  /** @internal Reads the whole list. The one known so far stays until then. */
  synchronize(): void {
    this.#calm();
    const reading = ++this.#reading;
    this.#changes = new Map();
    this.#readPages(reading).catch((error: unknown) => {
      if (reading !== this.#reading) return;
      this.#changes = undefined; // joins and leaves still tell
      this.#readAgain(error);
    });
  }

  /** Begins anew what an error has ended, where that can help. After a lost connection the next one asks. */
  #readAgain(error: unknown): void {
    if (!(error instanceof HocketError) || error.code === LocalErrorCode.connection_lost) return;
    if (error.code === ErrorCode.epoch_changed) return this.synchronize();
    if (error.retryable) this.#calm = this.#after(Math.max(error.retryAfterMs, this.#backoff.next()), () => this.synchronize());
  }

  /** @internal Takes what the server says about members. */
  changed(kind: 'join' | 'leave' | 'update', members: WireMember[], position: Position | undefined): void {
    if (kind !== 'update' && later(position, this.#totalAt)) this.#total += kind === 'join' ? members.length : -members.length;
    if (this.#crowd && kind !== 'update') { // few enough to be named again
      this.#crowd = false;
      this.synchronize();
    }
    for (const m of members) {
      const member = kind === 'leave' ? undefined : toMember(m);
      this.#changes?.set(m.session, { position, member });
      if (member === undefined) this.#remove(m.session);
      else this.#put(member);
    }
    this.#tellCount();
  }

  /** @internal A crowd has grown or shrunk, or some of what was to be told is missing. */
  changedUnseen(count: number | undefined): void {
    this.#complete = false;
    if (count === undefined) return this.synchronize();
    this.#crowd = true;
    this.#total = count;
    this.#totalAt = undefined;
    this.#tellCount();
  }

  /** @internal We tell something else about ourselves: nobody tells us. */
  told(info: unknown): void {
    const self = this.self;
    if (self !== undefined) this.#put({ ...self, info });
  }

  /** @internal Forgets everyone, silently: nobody has left, we have. */
  clear(): void {
    this.#calm();
    this.#reading++;
    this.#changes = undefined;
    this.#complete = this.#crowd = false;
    this.#total = this.#told = 0;
    this.#totalAt = undefined;
    this.#members.clear();
    this.#users?.clear();
  }

  async #readPages(reading: number): Promise<void> {
    const listed = new Map<string, Member>();
    let first: Position | undefined;
    let next: string | undefined;
    do {
      const page = (await this.#ask({ limit: Math.min(pageSize, this.#max), ...(next && { next }) })) as PresencePage;
      if (reading !== this.#reading) return;
      const at = position(page);
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
    this.#changes = undefined;
    this.#tellCount();
    this.emit('sync', this.members);
  }

  /** Whether a join or leave has told of this session something later than a page read at `at`. */
  #knowsBetter(session: string, at: Position | undefined): boolean {
    const change = this.#changes?.get(session);
    return change !== undefined && later(change.position, at);
  }

  #dropUnlisted(listed: Map<string, Member>, first: Position | undefined): void {
    const us = this.#us()?.session;
    for (const session of [...this.#members.keys()]) {
      if (!listed.has(session) && session !== us && !this.#knowsBetter(session, first)) this.#remove(session);
    }
  }

  /** Lists those for whom there was no room before others were dropped. */
  #fill(listed: Map<string, Member>, first: Position | undefined): void {
    const changes = this.#changes ?? new Map<string, Change>();
    for (const [session, member] of listed) if (!changes.has(session)) this.#add(member);
    for (const [session, { member }] of changes) if (member !== undefined && this.#knowsBetter(session, first)) this.#add(member);
  }

  /**
   * Puts us on the list, where a page had us not: it was read while we were away, or before we were in a log that has begun
   * anew. Nobody tells us of our own join.
   */
  #listUs(): void {
    const us = this.#us();
    if (us !== undefined) this.#add(us);
  }

  #add(member: Member): void {
    if (!this.#members.has(member.session)) this.#put(member);
  }

  #put(member: Member): void {
    const known = this.#members.get(member.session);
    if (known === undefined) {
      if (this.#members.size >= this.#max) {
        this.#complete = false; // counted, not listed
        return;
      }
      this.#members.set(member.session, member);
      this.emit('join', member);
    } else if (known.user !== member.user || JSON.stringify(known.info) !== JSON.stringify(member.info)) {
      this.#members.set(member.session, member);
      this.emit('update', member);
    }
  }

  #remove(session: string): void {
    const member = this.#members.get(session);
    if (member === undefined) return;
    this.#members.delete(session);
    this.emit('leave', member);
  }

  #tellCount(): void {
    if (this.count === this.#told) return;
    this.#told = this.count;
    this.emit('count', this.#told);
  }
}

/** The events of {@link Users}. */
export interface UsersEvents {
  /** A user has come, with the first of its sessions. */
  join: PresentUser;
  /** A user is gone, with the last of its sessions. */
  leave: PresentUser;
  /** A user has come or gone with another session, or tells something else about itself. */
  update: PresentUser;
}

/** Who is on a channel, by user. Whoever is anonymous counts as one user per session. Made by {@link Presence.users}. */
export class Users extends Emitter<UsersEvents> implements Iterable<PresentUser> {
  readonly #users = new Map<string, Map<string, Member>>();

  /** @internal */
  constructor(presence: Presence) {
    super();
    for (const m of presence.members) this.#put(m);
    presence.on('join', (m) => this.#put(m));
    presence.on('update', (m) => this.#put(m));
    presence.on('leave', (m) => this.#remove(m));
  }

  get count(): number {
    return this.#users.size;
  }

  get(user: string): PresentUser | undefined {
    const sessions = this.#users.get(`u${user}`);
    return sessions && merged(sessions);
  }

  *[Symbol.iterator](): IterableIterator<PresentUser> {
    for (const sessions of this.#users.values()) yield merged(sessions);
  }

  /** @internal */
  clear(): void {
    this.#users.clear();
  }

  #put(m: Member): void {
    const known = this.#users.get(key(m));
    const sessions = known ?? new Map<string, Member>();
    sessions.set(m.session, m);
    if (known === undefined) this.#users.set(key(m), sessions);
    this.emit(known === undefined ? 'join' : 'update', merged(sessions));
  }

  #remove(m: Member): void {
    const sessions = this.#users.get(key(m));
    if (sessions === undefined) return;
    if (sessions.size > 1) {
      sessions.delete(m.session);
      return this.emit('update', merged(sessions));
    }
    this.#users.delete(key(m));
    this.emit('leave', merged(sessions));
  }
}

function key(m: Member): string {
  return m.user === '' ? `s${m.session}` : `u${m.user}`;
}

function merged(sessions: Map<string, Member>): PresentUser {
  const all = [...sessions.values()];
  const last = all.at(-1) as Member;
  return { user: last.user, info: last.info, sessions: all };
}

/** Whether `a` comes after `b` in the presence log; also where nobody can tell: what is pushed is news. */
function later(a: Position | undefined, b: Position | undefined): boolean {
  return a === undefined || b === undefined || a.epoch !== b.epoch || a.offset > b.offset;
}

function position(page: PresencePage): Position | undefined {
  return page.epoch !== undefined && page.offset !== undefined ? { epoch: page.epoch, offset: page.offset } : undefined;
}

function toMember(m: WireMember): Member {
  return { session: m.session, user: m.user ?? '', info: m.info };
}
