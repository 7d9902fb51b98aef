import { expect, test } from 'vitest';
import { Presence } from '../src/presence.ts';

interface Page {
  members: { session: string; user?: string; info?: unknown }[];
  next?: string;
  epoch?: string;
  offset?: number;
}

/** A presence whose pages the test hands over one by one, and the log of its events. */
function presence() {
  const asked: { payload: Record<string, unknown>; answer: (page: Page) => Promise<void>; fail: () => Promise<void> }[] = [];
  const p = new Presence(
    (payload) =>
      new Promise((resolve, reject) => {
        const settle = async () => {
          for (let i = 0; i < 5; i++) await Promise.resolve();
        };
        asked.push({ payload, answer: (page) => (resolve(page), settle()), fail: () => (reject(new Error('lost')), settle()) });
      }),
  );
  const log: string[] = [];
  p.on('join', (m) => log.push(`+${m.session}`));
  p.on('leave', (m) => log.push(`-${m.session}`));
  p.on('update', (m) => log.push(`~${m.session}`));
  p.on('sync', (all) => log.push(`=${all.length}`));
  return { p, asked, log };
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
