import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../src/errors.gen.ts';
import { HocketError } from '../src/errors.ts';
import { Presence } from '../src/presence.ts';
import type { Member } from '../src/types.ts';

interface Page {
  count?: number;
  members: { session: string; user?: string; info?: unknown }[];
  next?: string;
  epoch?: string;
  offset?: number;
}

/** A presence whose pages the test hands over one by one, and the log of its events. */
function presence(session = '', us: () => Member | undefined = () => undefined) {
  const asked: { payload: Record<string, unknown>; answer: (page: Page) => Promise<void>; fail: (error?: Error) => Promise<void> }[] = [];
  const later: { ms: number; fn: () => void }[] = [];
  const p = new Presence(
    (payload) =>
      new Promise((resolve, reject) => {
        const settle = async () => {
          for (let i = 0; i < 5; i++) await Promise.resolve();
        };
        asked.push({ payload, answer: (page) => (resolve(page), settle()), fail: (error = new Error('lost')) => (reject(error), settle()) });
      }),
    () => session,
    (ms, fn) => {
      const alarm = { ms, fn };
      later.push(alarm);
      return () => void (later.includes(alarm) && later.splice(later.indexOf(alarm), 1));
    },
    us,
  );
  const log: string[] = [];
  p.on('join', (m) => log.push(`+${m.session}`));
  p.on('leave', (m) => log.push(`-${m.session}`));
  p.on('update', (m) => log.push(`~${m.session}`));
  p.on('sync', (all) => log.push(`=${all.length}`));
  return { p, asked, log, later };
}

const at = (offset: number) => ({ epoch: 'e1', offset });

function member(session: string, info?: unknown) {
  return { session, user: `u-${session}`, info };
}

test('the list is read page by page', async () => {
  const { p, asked, log } = presence();
  p.synchronize();
  await asked[0]?.answer({ members: [member('a'), member('b')], next: 'b', ...at(5) });
  expect(asked[1]?.payload).toEqual({ limit: 100, next: 'b' });
  await asked[1]?.answer({ members: [member('c')], ...at(5) });
  expect(log).toEqual(['+a', '+b', '+c', '=3']);
  expect(p.members[0]).toEqual({ session: 'a', user: 'u-a', info: undefined });
  expect(p.count).toBe(3);
});

test('a page that fails for a moment is asked for again', async () => {
  const { p, asked, log, later } = presence();
  p.synchronize();
  await asked[0]?.fail(new HocketError(ErrorCode.unavailable, 'unavailable', 'try again', 1_000));
  expect(asked).toHaveLength(1);
  expect(later.map(({ ms }) => ms)).toEqual([1_000]);
  later[0]?.fn();
  await asked[1]?.answer({ members: [member('a')], ...at(5) });
  expect(log).toEqual(['+a', '=1']);
});

test('what is left, or cannot succeed, is not asked for again', async () => {
  const { p, asked, later } = presence();
  p.synchronize();
  await asked[0]?.fail(new HocketError(ErrorCode.permission_denied, 'permission_denied', 'no'));
  p.synchronize();
  await asked[1]?.fail();
  expect(later).toHaveLength(0);
  p.synchronize();
  await asked[2]?.fail(new HocketError(ErrorCode.busy, 'busy', 'later', 5));
  expect(later).toHaveLength(1);
  p.clear();
  expect(later).toHaveLength(0);
});

test('joins, leaves and updates keep it right', async () => {
  const { p, asked, log } = presence();
  p.synchronize();
  await asked[0]?.answer({ members: [member('a')], ...at(5) });
  p.changed('join', [member('b'), member('c')], at(7));
  p.changed('update', [member('b', { color: 'red' })], at(8));
  p.changed('leave', [member('a'), member('stranger')], at(9));
  expect(log).toEqual(['+a', '=1', '+b', '+c', '~b', '-a']);
  expect(p.get('b')?.info).toEqual({ color: 'red' });
});

test('a leave that is later than the page that lists the member wins', async () => {
  const { p, asked } = presence();
  p.synchronize();
  p.changed('leave', [member('a')], at(6));
  await asked[0]?.answer({ members: [member('a'), member('b')], ...at(5) });
  expect(p.members.map((m) => m.session)).toEqual(['b']);
});

test('a leave that is earlier than the page does not', async () => {
  const { p, asked } = presence();
  p.synchronize();
  p.changed('leave', [member('a')], at(4));
  await asked[0]?.answer({ members: [member('a')], ...at(5) });
  expect(p.members.map((m) => m.session)).toEqual(['a']);
});

test('a join that is later than a page that lacks the member wins', async () => {
  const { p, asked, log } = presence();
  p.synchronize();
  p.changed('join', [member('new')], at(6));
  await asked[0]?.answer({ members: [], ...at(5) });
  expect(log).toEqual(['+new', '=1']);
});

test('who left while the line was down is gone after the next list', async () => {
  const { p, asked, log } = presence();
  p.synchronize();
  await asked[0]?.answer({ members: [member('a'), member('b')], ...at(5) });
  p.synchronize();
  await asked[1]?.answer({ members: [member('b'), member('c')], ...at(9) });
  expect(log).toEqual(['+a', '+b', '=2', '+c', '-a', '=2']);
});

test('an older reading that is still under way changes nothing', async () => {
  const { p, asked, log } = presence();
  p.synchronize();
  p.synchronize();
  await asked[1]?.answer({ members: [member('b')], ...at(9) });
  await asked[0]?.answer({ members: [member('a')], ...at(5) });
  expect(log).toEqual(['+b', '=1']);
});

test('without a list joins and leaves still tell', async () => {
  const { p, asked, log } = presence();
  p.synchronize();
  await asked[0]?.fail();
  p.changed('join', [member('a')], at(6));
  expect(log).toEqual(['+a']);
});

test('after a reconnect that resumes nothing is read', async () => {
  const { p, asked, log } = presence();
  p.subscribed({ count: 1, resumed: false });
  await asked[0]?.answer({ members: [member('a')], ...at(5) });
  p.subscribed({ count: 2, resumed: true });
  p.changed('join', [member('b')], at(8));
  expect(asked).toHaveLength(1);
  expect(log).toEqual(['+a', '=1', '=1', '+b']);
});

test('a list that was not complete is read again, whether it resumes or not', async () => {
  const { p, asked } = presence();
  p.subscribed({ count: 1, resumed: false });
  p.subscribed({ count: 1, resumed: true });
  expect(asked).toHaveLength(2);
});

test('a list that was known is read again where it could not be to its end', async () => {
  const { p, asked } = presence();
  p.subscribed({ count: 1, resumed: false });
  await asked[0]?.answer({ members: [member('a')], count: 1, ...at(5) });
  p.subscribed({ count: 0, resumed: false }); // of another log, and the line breaks
  expect(p.complete).toBe(false);
  p.subscribed({ count: 0, resumed: true });
  await asked[2]?.answer({ members: [], count: 0, epoch: 'e2', offset: 1 });
  expect([p.complete, p.members]).toEqual([true, []]);
});

test('of a crowd the first are listed and all are counted', async () => {
  const { p, asked, log } = presence();
  const counts: number[] = [];
  p.on('count', (n) => counts.push(n));
  p.subscribed({ count: 90_000, resumed: false }, 3);
  expect(p.count).toBe(90_000);
  expect(asked[0]?.payload).toEqual({ limit: 3 });
  await asked[0]?.answer({ members: ['a', 'b', 'c'].map((s) => member(s)), next: 'c', count: 90_000, ...at(5) });
  p.changed('join', [member('d'), member('e')], at(7));
  p.changed('leave', [member('b'), member('x')], at(8));
  p.changed('leave', [member('y')], at(8));
  p.changedUnseen(80_000);
  expect(log).toEqual(['+a', '+b', '+c', '=3', '-b']);
  expect([p.complete, p.members.length, p.count]).toEqual([false, 2, 80_000]);
  expect(counts).toEqual([90_000, 90_002, 90_000, 89_999, 80_000]);
  expect(asked).toHaveLength(1);
});

test('a list that was complete is read again after a crowd, in which the server names nobody', async () => {
  const { p, asked } = presence();
  p.subscribed({ count: 1, resumed: false });
  await asked[0]?.answer({ members: [member('a')], ...at(5) });
  expect([p.complete, p.count]).toEqual([true, 1]);
  p.changedUnseen(1_500);
  p.changedUnseen(1_400);
  p.changed('update', [member('a', 1)], at(2_000));
  expect([p.complete, p.count, asked.length]).toEqual([false, 1_400, 1]);
  p.changed('leave', [member('a', 1)], at(2_001));
  await asked[1]?.answer({ members: [member('b')], count: 1, ...at(2_001) });
  expect([p.complete, p.count, asked.length]).toEqual([true, 1, 2]);
});

test('those who have gone leave room for those who have come', async () => {
  const { p, asked } = presence();
  p.subscribed({ count: 2, resumed: false }, 2);
  await asked[0]?.answer({ members: [member('x'), member('y')], count: 2, ...at(5) });
  p.subscribed({ count: 2, resumed: false }, 2);
  p.changed('leave', [member('a')], at(8)); // and has come back, as the page knows
  await asked[1]?.answer({ members: [member('a'), member('b')], count: 2, ...at(9) });
  expect([p.complete, p.members.map((m) => m.session)]).toEqual([true, ['a', 'b']]);
});

test('who has come while the list was read is on it, where there is room in the end', async () => {
  const { p, asked } = presence();
  p.subscribed({ count: 2, resumed: false }, 2);
  await asked[0]?.answer({ members: [member('x'), member('y')], count: 2, ...at(5) });
  p.subscribed({ count: 1, resumed: false }, 2);
  p.changed('join', [member('early')], at(8)); // and has left, as will be told
  p.changed('join', [member('late')], at(10));
  await asked[1]?.answer({ members: [member('a')], count: 1, next: 'a', ...at(9) });
  p.changed('leave', [member('a')], at(11));
  await asked[2]?.answer({ members: [member('b')], count: 2, ...at(11) });
  expect([p.complete, p.members.map((m) => m.session)]).toEqual([true, ['b', 'late']]);
  p.synchronize();
  p.changed('join', [member('one too many')], at(12));
  await asked[3]?.answer({ members: [member('b'), member('late')], count: 2, ...at(11) });
  expect([p.complete, p.members.map((m) => m.session)]).toEqual([false, ['b', 'late']]);
});

test('a list of which some was missed is read again', async () => {
  const { p, asked } = presence();
  p.subscribed({ count: 1, resumed: false });
  await asked[0]?.answer({ members: [member('a')], ...at(5) });
  p.changedUnseen(undefined);
  expect([p.complete, asked.length]).toEqual([false, 2]);
});

test('our own session is known, and what it tells about itself', async () => {
  const { p, asked, log } = presence('b');
  p.subscribed({ count: 2, resumed: false });
  expect(p.self).toBeUndefined();
  await asked[0]?.answer({ members: [member('a'), member('b', 1)], ...at(5) });
  expect(p.self).toEqual({ session: 'b', user: 'u-b', info: 1 });
  p.told({ away: true });
  expect(p.self?.info).toEqual({ away: true });
  expect(log).toEqual(['+a', '+b', '=2', '~b']);
});

test('a member that a page has not is on the list as soon as it is one', async () => {
  let us: Member | undefined;
  const { p, asked, log } = presence('b', () => us);
  const counts: number[] = [];
  p.on('count', (n) => counts.push(n));
  p.subscribed({ count: 1, resumed: false });
  await asked[0]?.answer({ members: [member('a')], count: 1, ...at(5) }); // read while the channel was left
  us = member('b', 1);
  p.subscribed({ count: 2, resumed: true });
  expect([p.complete, p.self, counts]).toEqual([true, us, [1, 2]]);
  p.changedUnseen(undefined);
  await asked[1]?.answer({ members: [], count: 0, epoch: 'e2', offset: 0 });
  expect([p.complete, p.self, counts]).toEqual([true, us, [1, 2, 1]]);
  expect(log).toEqual(['+a', '=1', '+b', '=2', '-a', '=1']);
});

test.each([
  [3, true, ['a', 'b', 'c']],
  [2, false, ['a', 'b']], // counted, not listed
])('it is so where there is room: of %i, complete: %s', async (max, complete, listed) => {
  const { p, asked } = presence('c', () => member('c'));
  p.subscribed({ count: 3, resumed: false }, max);
  await asked[0]?.answer({ members: [member('a'), member('b')], count: 2, ...at(5) });
  expect([p.complete, p.members.map((m) => m.session)]).toEqual([complete, listed]);
});

describe('users', () => {
  const of = (session: string, user: string, info?: unknown) => ({ session, user, info });

  test('come with their first session and go with their last', () => {
    const { p } = presence();
    const log: string[] = [];
    p.users.on('join', (u) => log.push(`+${u.user}`));
    p.users.on('leave', (u) => log.push(`-${u.user}`));
    p.users.on('update', (u) => log.push(`~${u.user} ${u.sessions.length} ${String(u.info)}`));
    p.changed('join', [of('a1', 'ada', 'phone'), of('b1', 'bo')], at(1));
    p.changed('join', [of('a2', 'ada', 'laptop')], at(2));
    p.changed('update', [of('a2', 'ada', 'away')], at(3));
    p.changed('leave', [of('a2', 'ada')], at(4));
    p.changed('leave', [of('a1', 'ada'), of('b1', 'bo')], at(5));
    expect(log).toEqual(['+ada', '+bo', '~ada 2 laptop', '~ada 2 away', '~ada 1 phone', '-ada', '-bo']);
  });

  test('are there for who asks late, and the anonymous are many', () => {
    const { p } = presence();
    p.changed('join', [of('a1', 'ada', 1), of('a2', 'ada', 2), of('x', ''), of('y', '')], at(1));
    expect([...p.users].map((u) => [u.user, u.sessions.length])).toEqual([['ada', 2], ['', 1], ['', 1]]);
    expect(p.users.count).toBe(3);
    expect(p.users.get('ada')).toMatchObject({ user: 'ada', info: 2, sessions: [{ session: 'a1' }, { session: 'a2' }] });
    expect(p.users.get('bo')).toBeUndefined();
  });
});
