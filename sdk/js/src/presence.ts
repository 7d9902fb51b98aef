import { Emitter } from './emitter.ts';
import type { Position, WireMember } from './protocol.ts';
import type { Member } from './types.ts';

/** The events of {@link Presence}. */
export interface PresenceEvents {
  join: Member;
  leave: Member;
  /** A member's info has changed. */
  update: Member;
  /** The list is complete, at first and after every reconnect. */
  sync: readonly Member[];
}

interface PresencePage extends Partial<Position> {
  members?: WireMember[];
  next?: string;
}

/** What is known of a session while pages are being read. */
interface Change {
  position: Position | undefined;
  here: boolean;
}

const pageSize = 100;

/**
 * Who is on a channel. The list is read in pages after every subscribe and kept up to date by joins and leaves; where
 * both speak of one member, the later position in the presence log is right.
 */
export class Presence extends Emitter<PresenceEvents> {
  readonly #ask: (payload: Record<string, unknown>) => Promise<unknown>;
  readonly #members = new Map<string, Member>(); // by session
  #changes: Map<string, Change> | undefined; // while reading pages
  #reading = 0; // the number of the present reading: an older one gives up

  /** @internal */
  constructor(ask: (payload: Record<string, unknown>) => Promise<unknown>) {
    super();
    this.#ask = ask;
  }

  /** Everyone who is here, in the order in which they became known. */
  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  get count(): number {
    return this.#members.size;
  }

  /** The member with this session name. */
  get(session: string): Member | undefined {
    return this.#members.get(session);
  }

  /** @internal Reads the whole list. The one known so far stays until then. */
  synchronize(): void {
    const reading = ++this.#reading;
    this.#changes = new Map();
    this.#readPages(reading).catch(() => {
      if (reading === this.#reading) this.#changes = undefined; // joins and leaves still tell; the next reconnect asks anew
    });
  }

  /** @internal Takes what the server says about members. */
  changed(kind: 'join' | 'leave' | 'update', members: WireMember[], position: Position | undefined): void {
    for (const m of members) {
      this.#changes?.set(m.session, { position, here: kind !== 'leave' });
      if (kind === 'leave') this.#remove(m.session);
      else this.#put(toMember(m));
    }
  }

  /** @internal Forgets everyone, silently: nobody has left, we have. */
  clear(): void {
    this.#reading++;
    this.#changes = undefined;
    this.#members.clear();
  }

  async #readPages(reading: number): Promise<void> {
    const listed = new Set<string>();
    let first: Position | undefined;
    let next: string | undefined;
    do {
      const page = (await this.#ask({ limit: pageSize, ...(next && { next }) })) as PresencePage;
      if (reading !== this.#reading) return;
      const at = position(page);
      first ??= at;
      for (const m of page.members ?? []) {
        listed.add(m.session);
        if (!this.#knowsBetter(m.session, at)) this.#put(toMember(m));
      }
      next = page.next;
    } while (next);
    this.#dropUnlisted(listed, first);
    this.#changes = undefined;
    this.emit('sync', this.members);
  }

  /** Whether a join or leave has told of this session something later than a page read at `at`. */
  #knowsBetter(session: string, at: Position | undefined): boolean {
    const change = this.#changes?.get(session);
    if (change === undefined) return false;
    if (change.position === undefined || at === undefined || change.position.epoch !== at.epoch) return true;
    return change.position.offset > at.offset;
  }

  #dropUnlisted(listed: Set<string>, first: Position | undefined): void {
    for (const session of [...this.#members.keys()]) {
      if (!listed.has(session) && !this.#knowsBetter(session, first)) this.#remove(session);
    }
  }

  #put(member: Member): void {
    const known = this.#members.get(member.session);
    if (known === undefined) {
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
}

function position(page: PresencePage): Position | undefined {
  return page.epoch !== undefined && page.offset !== undefined ? { epoch: page.epoch, offset: page.offset } : undefined;
}

function toMember(m: WireMember): Member {
  return { session: m.session, user: m.user ?? '', info: m.info };
}
