import { describe, expect, test } from 'vitest';
import type { ChannelOptions } from '../src/types.ts';
import { Drive } from './drive.ts';

/** A session subscribed to `a`; the reply says that the log e1 stands at 40. */
function subscribed(options: ChannelOptions = {}): Drive {
  const d = Drive.connected();
  d.subscribe('a', options);
  d.reply('subscribe', { epoch: 'e1', offset: 40, recovered: true });
  d.take();
  return d;
}

/** What the last subscribe asked for. */
function asked(d: Drive): unknown {
  return d.last('subscribe').payload.from;
}

test.each([
  [{}, 'live'],
  [{ from: 'state' }, 'state'],
  [{ from: { last: 50 } }, { last: 50 }],
  [{ from: { sinceMs: 1_000 } }, { since_ms: 1_000 }],
  [{ from: { sinceMs: 1_000, last: 2 } as never }, { since_ms: 1_000, last: 2 }], // for the server to refuse
  [{ from: { epoch: 'e', offset: 3 } }, { epoch: 'e', offset: 3 }],
] satisfies [ChannelOptions, unknown][])('%j asks from %j', (options, want) => {
  const d = Drive.connected();
  d.subscribe('a', options);
  expect(asked(d)).toEqual(want);
});

test('messages come once and in order; those up to the offset of the reply are catching up', () => {
  const d = subscribed({ from: { last: 2 } });
  for (const offset of [39, 40, 40, 39, 55]) d.message(offset);
  expect(d.happened('message').map((e) => [e.message.offset, e.message.live])).toEqual([[39, false], [40, false], [55, true]]);
});

test('a lost line goes on after the last message', () => {
  const d = subscribed();
  d.message(43);
  d.reconnect();
  expect(asked(d)).toEqual({ epoch: 'e1', offset: 43 });
  d.reply('subscribe', { epoch: 'e1', offset: 47, recovered: true });
  expect(d.happened('subscribed')).toMatchObject([{ subscribed: { recovered: true, resumed: true, again: true } }]);
  for (const offset of [43, 45, 47]) d.message(offset);
  expect(d.offsets).toEqual([45, 47]);
  expect(d.happened('reset')).toHaveLength(0);
});

test('a position moves like a message; the reply to a publish does not', () => {
  const d = subscribed();
  d.message(43);
  d.publish('mine');
  d.reply('publish', { epoch: 'e1', offset: 50 });
  d.server({ type: 'position', channel: 'a', offset: 45 });
  d.server({ type: 'position', channel: 'a', offset: 44 });
  d.reconnect();
  expect(asked(d)).toEqual({ epoch: 'e1', offset: 45 });
});

test('a gap is told and does not move the position', () => {
  const d = subscribed();
  d.message(43);
  d.server({ type: 'gap', channel: 'a', payload: { from: 44, to: 57, reason: 'slow_consumer' } });
  expect(d.happened('gap').map((e) => e.gap)).toEqual([{ from: 44, to: 57, reason: 'slow_consumer' }]);
  d.reconnect();
  expect(asked(d)).toEqual({ epoch: 'e1', offset: 43 });
});

describe('before the first message', () => {
  test('a live subscription goes on from where it was confirmed', () => {
    const d = subscribed();
    d.reconnect();
    expect(asked(d)).toEqual({ epoch: 'e1', offset: 40 });
  });

  test('one with history begins again: nobody knows what was under way', () => {
    const d = subscribed({ from: { last: 2 } });
    d.reconnect();
    expect(asked(d)).toEqual({ last: 2 });
  });

  test('and when more was published meanwhile than that, there is a gap', () => {
    const d = subscribed({ from: { last: 2 } });
    d.reconnect();
    d.reply('subscribe', { epoch: 'e1', offset: 60, recovered: true });
    d.message(50);
    expect(d.happened('gap')).toHaveLength(0);
    d.message(60);
    expect(d.happened('gap').map((e) => e.gap)).toEqual([{ from: 40, to: 60, reason: 'subscribed_again' }]);
  });
});

describe('another epoch', () => {
  test('is told with both names, and everything the new log has is handed over', () => {
    const d = subscribed();
    d.message(43);
    d.reconnect();
    d.reply('subscribe', { epoch: 'e2', offset: 7, recovered: false });
    expect(d.happened('reset').map((e) => e.reset)).toEqual([{ oldEpoch: 'e1', epoch: 'e2', offset: 7 }]);
    expect(d.happened('subscribed')).toMatchObject([{ subscribed: { epoch: 'e2', recovered: false, resumed: false, again: true } }]);
    for (const offset of [3, 7, 9]) d.message(offset);
    expect(d.happened('message').map((e) => [e.message.epoch, e.message.offset])).toEqual([['e2', 3], ['e2', 7], ['e2', 9]]);
    d.reconnect();
    expect(asked(d)).toEqual({ epoch: 'e2', offset: 9 });
  });

  test('cut before anything came is read from its beginning, without a second alarm', () => {
    const d = subscribed();
    d.message(43);
    d.reconnect();
    d.reply('subscribe', { epoch: 'e2', offset: 7, recovered: false });
    d.reconnect();
    expect(asked(d)).toEqual({ epoch: 'e2', offset: 0 });
    d.reply('subscribe', { epoch: 'e2', offset: 7, recovered: true });
    expect(d.happened('reset')).toHaveLength(0);
  });

  test('is told even to a subscription that had no message yet', () => {
    const d = subscribed({ from: { last: 2 } });
    d.reconnect();
    d.reply('subscribe', { epoch: 'e2', offset: 7, recovered: true });
    expect(d.happened('reset')).toHaveLength(1);
  });

  test('brings the whole state anew, in the subscription that asked to go on', () => {
    const d = subscribed({ from: 'state' });
    d.message(43, 1, { key: 'k' });
    d.reconnect();
    expect(asked(d)).toEqual({ epoch: 'e1', offset: 43, state: true });
    d.reply('subscribe', { epoch: 'e2', offset: 7, recovered: false });
    expect(d.happened('reset')).toHaveLength(1);
    expect(d.happened('subscribed')).toMatchObject([{ subscribed: { resumed: false } }]);
    d.message(5, 1, { key: 'k' });
    expect(d.happened('whole')).toHaveLength(0);
    d.message(7, 1, { key: 'l' });
    expect(d.offsets).toEqual([5, 7]);
    expect(d.happened('whole')).toHaveLength(1);
  });
});

describe('a state', () => {
  test('is whole when its head has come', () => {
    const d = subscribed({ from: 'state' });
    d.message(12, 'x', { key: 'k' });
    expect(d.happened('whole')).toHaveLength(0);
    d.message(40, 'x', { key: 'l' });
    expect(d.happened('whole')).toHaveLength(1);
    d.message(41, 'x', { key: 'l' });
    d.pass(10_000);
    expect(d.happened('whole')).toHaveLength(1);
  });

  test.each([
    ['a position', (d: Drive) => d.server({ type: 'position', channel: 'a', offset: 40 })],
    ['a live message', (d: Drive) => d.message(41, 'x', { key: 'k' })],
    ['two seconds of silence', (d: Drive) => d.pass(2_000)],
  ])('that ends with a delete is whole with %s', (_, happens) => {
    const d = subscribed({ from: 'state' });
    d.message(12, 'x', { key: 'k' });
    d.pass(1_999);
    expect(d.happened('whole')).toHaveLength(0);
    happens(d);
    expect(d.happened('whole')).toHaveLength(1);
  });

  test('that was cut goes on by position, and is whole with the head it had at first', () => {
    const d = subscribed({ from: 'state' });
    d.message(12, 'x', { key: 'k' });
    d.reconnect();
    expect(asked(d)).toEqual({ epoch: 'e1', offset: 12, state: true });
    d.reply('subscribe', { epoch: 'e1', offset: 40, recovered: true });
    expect(d.happened('subscribed')).toMatchObject([{ subscribed: { resumed: true } }]);
    d.message(40, 'x', { key: 'l' });
    expect(d.happened('whole')).toHaveLength(1);
  });

  test('that was cut is read anew when the log goes on with more of what never came', () => {
    const d = subscribed({ from: 'state' });
    d.message(12, 'x', { key: 'k' });
    d.reconnect();
    d.reply('subscribe', { epoch: 'e1', offset: 40, recovered: true });
    d.message(20, 'new', { key: 'm' });
    d.message(25, ' more', { key: 'm', op: 'append' });
    expect(d.offsets).toEqual([20, 25]);
    d.message(30, ' more', { key: 'l', op: 'append' });
    expect(d.offsets).toEqual([20, 25]);
    expect(d.sent.slice(-2)).toMatchObject([{ type: 'unsubscribe' }, { type: 'subscribe', payload: { from: 'state' } }]);
  });

  test('that is read anew is told as a reset', () => {
    const d = subscribed({ from: 'state' });
    d.message(12, 'x', { key: 'k' });
    d.reconnect();
    d.reply('subscribe', { epoch: 'e1', offset: 40, recovered: true });
    d.message(30, ' more', { key: 'l', op: 'append' });
    expect(d.happened('reset')).toHaveLength(0);
    d.reply('subscribe', { epoch: 'e1', offset: 41, recovered: true });
    expect(d.happened('reset')).toMatchObject([{ reset: { oldEpoch: 'e1', epoch: 'e1', offset: 41 } }]);
    d.message(41, 'all', { key: 'l' });
    expect(d.happened('whole')).toHaveLength(1);
  });

  test('that was whole takes appends after a cut', () => {
    const d = subscribed({ from: 'state' });
    d.message(40, 'x', { key: 'k' });
    d.reconnect();
    d.reply('subscribe', { epoch: 'e1', offset: 45, recovered: true });
    d.message(45, ' more', { key: 'k', op: 'append' });
    expect(d.offsets.slice(-1)).toEqual([45]);
  });

  test('with a gap is asked for again from before the gap', () => {
    const d = subscribed({ from: 'state' });
    d.message(40, 'x', { key: 'k' });
    d.server({ type: 'gap', channel: 'a', payload: { from: 41, to: 57, reason: 'slow_consumer' } });
    expect(d.happened('gap')).toHaveLength(1);
    expect(d.sent.slice(-2)).toMatchObject([{ type: 'unsubscribe' }, { type: 'subscribe', payload: { from: { epoch: 'e1', offset: 40, state: true } } }]);
    d.message(58, 'x', { key: 'k' });
    expect(d.offsets).toEqual([40]);
  });

  test('with a gap in what has no key goes on', () => {
    const d = subscribed({ from: 'state' });
    d.message(40, 'x', { key: 'k' });
    const { length } = d.sent;
    d.server({ type: 'gap', channel: 'a', payload: { from: 41, to: 44, reason: 'without_key' } });
    d.message(45, 'y', { key: 'k' });
    expect(d.happened('gap')).toHaveLength(1);
    expect(d.sent).toHaveLength(length);
    expect(d.offsets).toEqual([40, 45]);
  });

  test('of which there is none is whole at once', () => {
    const d = Drive.connected();
    d.subscribe('a', { from: 'state' });
    d.reply('subscribe', { epoch: 'e1', offset: 0, recovered: true });
    expect(d.happened('whole')).toHaveLength(1);
  });
});

test('how far it has come is told, also of what was for others', () => {
  const d = subscribed();
  d.message(43);
  d.server({ type: 'position', channel: 'a', offset: 45 });
  d.server({ type: 'position', channel: 'a', offset: 44 });
  expect(d.happened('position').map((e) => e.position)).toEqual([{ epoch: 'e1', offset: 43 }, { epoch: 'e1', offset: 45 }]);
});

test('a filter is sent with every subscribe', () => {
  const d = subscribed({ filter: { lang: 'en', kind: ['a', 'b'] } });
  d.reconnect();
  expect(d.last('subscribe').payload.filter).toEqual({ lang: 'en', kind: ['a', 'b'] });
});

describe('presence', () => {
  const there = { count: 2, epoch: 'p1', offset: 9 };

  function member(): Drive {
    const d = Drive.connected();
    d.subscribe('a', { presence: true });
    d.reply('subscribe', { epoch: 'e1', offset: 40, recovered: true, presence: there });
    return d;
  }

  test('resumes after what was told last', () => {
    const d = member();
    expect(d.happened('subscribed').map((e) => e.presence)).toEqual([{ count: 2, resumed: false }]);
    d.server({ type: 'join', channel: 'a', epoch: 'p1', offset: 12, members: [{ session: 's2', user: '' }] });
    d.reconnect();
    expect(d.last('subscribe').payload.presence).toEqual({ epoch: 'p1', offset: 12 });
    d.reply('subscribe', { epoch: 'e1', offset: 40, recovered: true, presence: { count: 3, epoch: 'p1', offset: 15 } });
    expect(d.happened('subscribed').map((e) => e.presence)).toEqual([{ count: 3, resumed: true }]);
    d.reconnect();
    expect(d.last('subscribe').payload.presence).toEqual({ epoch: 'p1', offset: 12 });
  });

  test.each([
    ['has begun anew', { ...there, epoch: 'p2' }],
    ['keeps no position', { count: 2 }],
  ])('is not resumed where the server %s', (_, presence) => {
    const d = member();
    d.reconnect();
    d.reply('subscribe', { epoch: 'e1', offset: 40, recovered: true, presence });
    expect(d.happened('subscribed').map((e) => e.presence)).toEqual([{ count: 2, resumed: false }]);
  });

  test('a gap in its log, or a mere count, makes the list doubtful', () => {
    const d = member();
    d.server({ type: 'presence', channel: 'a', epoch: 'p1', offset: 20, payload: { count: 5_000 } });
    d.server({ type: 'gap', channel: '$presence:a', payload: { from: 3, to: 7, reason: 'slow_consumer' } });
    expect(d.happened('presence changed').map((e) => e.count)).toEqual([5_000, undefined]);
    expect(d.happened('gap')).toHaveLength(0);
    d.reconnect();
    expect(d.last('subscribe').payload.presence).toBe(true);
  });
});

test('a log that forgot is told as a reset within the epoch', () => {
  const d = subscribed();
  d.message(43);
  d.reconnect();
  d.reply('subscribe', { epoch: 'e1', offset: 99, recovered: false });
  expect(d.happened('reset').map((e) => e.reset)).toEqual([{ oldEpoch: 'e1', epoch: 'e1', offset: 99 }]);
});

test('what need not be recovered begins anew, silently', () => {
  const d = subscribed({ recover: false });
  d.message(43);
  d.reconnect();
  expect(asked(d)).toBe('live');
  d.reply('subscribe', { epoch: 'e2', offset: 7, recovered: true });
  expect(d.happened('reset')).toHaveLength(0);
});

test('presence is asked for as wished', () => {
  const d = Drive.connected();
  d.subscribe('a', { presence: 'watch' });
  expect(d.last('subscribe').payload.presence).toBe('watch');
});

describe('a subscription the server ends', () => {
  test('is made again when that may help, and goes on where it stood', () => {
    const d = subscribed();
    d.message(43);
    d.server({ type: 'unsubscribed', channel: 'a', payload: { code: 1503, name: 'busy' } });
    expect(d.happened('unsubscribed')).toMatchObject([{ retrying: true, error: { name: 'busy' } }]);
    d.pass(1_000);
    expect(asked(d)).toEqual({ epoch: 'e1', offset: 43 });
  });

  test('stays ended when it may not', () => {
    const d = subscribed();
    d.server({ type: 'unsubscribed', channel: 'a', payload: { code: 1403, name: 'permission_denied' } });
    expect(d.happened('unsubscribed')).toMatchObject([{ retrying: false, error: { name: 'permission_denied' } }]);
    d.take();
    d.reconnect();
    expect(d.sentOf('subscribe')).toHaveLength(0);
  });
});

test('a refused subscribe waits as long as the server asks', () => {
  const d = Drive.connected();
  d.subscribe('a');
  d.refuse('subscribe', 1503, 'busy', 3_000);
  d.take();
  d.pass(2_999);
  expect(d.sentOf('subscribe')).toHaveLength(0);
  d.pass(1);
  expect(d.sentOf('subscribe')).toHaveLength(1);
});

test('a subscribe that is not answered is undone and tried again', () => {
  const d = Drive.connected({ pingEveryMs: 1_000_000, pongTimeoutMs: 1_000_000 });
  d.subscribe('a');
  const late = d.last('subscribe').id;
  d.pass(10_000);
  expect(d.sent.at(-1)).toMatchObject({ type: 'unsubscribe', channel: 'a' });
  d.server({ type: 'reply', id: late, channel: 'a', payload: { epoch: 'e1', offset: 1, recovered: true } });
  expect(d.happened('subscribed')).toHaveLength(0);
  d.pass(1_000);
  expect(d.sentOf('subscribe')).toHaveLength(2);
});

test('unsubscribe forgets the position and drops what still comes', () => {
  const d = subscribed();
  d.message(43);
  d.input({ type: 'unsubscribe', channel: 'a' });
  expect(d.last('unsubscribe').channel).toBe('a');
  d.take();
  d.message(44);
  expect(d.offsets).toEqual([]);
  d.subscribe('a');
  expect(asked(d)).toBe('live');
});

test('a subscribe that is longer than the server takes is refused at once, and not asked again', () => {
  const d = Drive.connected({}, { limits: { message_bytes: 1_000 } });
  d.subscribe('a', { filter: { lang: Array(16).fill('x'.repeat(100)) } });
  expect(d.happened('unsubscribed')).toMatchObject([{ error: { code: 1109, name: 'too_large' }, retrying: false }]);
  d.subscribe('b', { filter: { lang: 'en' } });
  d.reply('subscribe', { epoch: 'e', offset: 0, recovered: true });
  d.reconnect();
  expect(d.sentOf('subscribe')).toMatchObject([{ channel: 'b' }]);
});

test('one on the first line, whose server has not said how long it may be, is refused in time', () => {
  const d = new Drive();
  d.subscribe('a', { filter: { lang: Array(16).fill('x'.repeat(100)) } });
  d.input({ type: 'start' });
  d.welcome({ limits: { message_bytes: 1_000 } });
  d.server({ type: 'error', error: { code: 1109, name: 'too_large', message: 'too large', retry_after_ms: 0 } });
  for (let i = 0; i < 20; i++) {
    d.pass(1_000);
    const ping = d.sentOf('ping').at(-1);
    if (ping) d.server({ type: 'pong', id: ping.id });
  }
  expect(d.happened('unsubscribed').at(-1)).toMatchObject({ error: { name: 'too_large' }, retrying: false });
});
