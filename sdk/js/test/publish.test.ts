import { expect, test } from 'vitest';
import { ConflictError, UnknownOutcomeError } from '../src/errors.ts';
import { Drive } from './drive.ts';

test('publishes count up, and an answer settles the one it names', () => {
  const d = Drive.connected();
  const [one, two] = [d.publish('1'), d.publish('2', { key: 'k', echo: false })];
  expect(d.sent).toMatchObject([
    { type: 'publish', channel: 'a', payload: '1', seq: 1 },
    { type: 'publish', channel: 'a', payload: '2', seq: 2, key: 'k', echo: false },
  ]);
  const [first, second] = d.sent;
  d.server({ type: 'reply', id: second.id, payload: { epoch: 'e', offset: 8 } });
  d.server({ type: 'reply', id: first.id, payload: { epoch: 'e', offset: 7 } });
  expect(d.of('answer').map((o) => o.ticket)).toEqual([two, one]);
});

test('what has no answer is sent again, in order, with the same seq and words', () => {
  const d = Drive.connected();
  for (const text of ['1', '2', '3']) d.publish(text);
  d.server({ type: 'reply', id: d.sent[1].id, payload: { epoch: 'e', offset: 7 } });
  d.close(1006);
  d.publish('4');
  d.waitForAttempt();
  d.take();
  d.welcome();
  expect(d.sentOf('publish').map((m) => [m.payload, m.seq])).toEqual([['1', 1], ['3', 3], ['4', 4]]);
});

test('what was refused is not sent again, and trying again takes a new seq', () => {
  const d = Drive.connected();
  const ticket = d.publish('1');
  d.refuse('publish', 1429, 'rate_limited', 300);
  expect(d.of('failure')).toMatchObject([{ ticket, error: { code: 1429, name: 'rate_limited', retryAfterMs: 300, retryable: true } }]);
  d.reconnect();
  expect(d.sentOf('publish')).toHaveLength(0);
  d.publish('1');
  expect(d.last('publish').seq).toBe(2);
});

test.each([
  ['busy', 0, { code: 1503, name: 'busy' }, false],
  ['busy again', 1, { code: 1503, name: 'busy' }, true],
  ['denied again', 1, { code: 1403, name: 'permission_denied' }, true],
  ['unavailable', 0, { code: 1504, name: 'unavailable' }, true],
  ['conflict again', 1, { code: 1409, name: 'conflict', epoch: 'e', offset: 7 }, false],
])('an error that is no sure refusal says that the outcome is unknown: %s', (_, lost, error, unknown) => {
  const d = Drive.connected();
  d.publish('1');
  for (let n = 0; n < lost; n++) d.reconnect();
  d.server({ type: 'error', id: d.last('publish').id, error });
  const [failure] = d.of('failure');
  expect(failure?.error).toMatchObject({ code: error.code, name: error.name });
  expect(failure?.error instanceof UnknownOutcomeError).toBe(unknown);
  expect(failure?.error instanceof ConflictError).toBe(error.code === 1409);
});

test('the end says of what was sent that the outcome is unknown, and not of what was not', () => {
  const d = Drive.connected();
  d.publish('1');
  d.close(1006);
  d.publish('2');
  d.input({ type: 'stop' });
  expect(d.of('failure').map((o) => o.error instanceof UnknownOutcomeError)).toEqual([true, false]);
});

test('the queue has a bound', () => {
  const d = new Drive({ maxQueued: 3 });
  d.input({ type: 'start' });
  const tickets = [1, 2, 3, 4].map((n) => d.publish(n));
  expect(d.of('failure')).toMatchObject([{ ticket: tickets[3], error: { name: 'queue_full' } }]);
  d.welcome();
  expect(d.sentOf('publish').map((m) => m.payload)).toEqual([1, 2, 3]);
});

test('a publish never times out: it might arrive after all', () => {
  const d = Drive.connected({ pingEveryMs: 1_000_000, pongTimeoutMs: 1_000_000 });
  d.publish('patience');
  d.pass(500_000);
  expect(d.of('failure')).toHaveLength(0);
});

test('a long queue goes out in portions, and still in order', () => {
  const d = new Drive();
  d.input({ type: 'start' });
  for (let n = 0; n < 200; n++) d.publish(n);
  d.welcome();
  expect(d.sentOf('publish')).toHaveLength(32);
  for (let n = 0; n < 200; n++) d.server({ type: 'reply', id: d.sentOf('publish')[n].id, payload: { epoch: 'e', offset: n + 1 } });
  expect(d.sentOf('publish').map((m) => m.payload)).toEqual(Array.from({ length: 200 }, (_, n) => n));
});

test('a publish with a name of its own carries that instead of seq', () => {
  const d = Drive.connected();
  d.publish('x', { idempotency_key: 'order-7' });
  expect(d.last('publish')).toMatchObject({ idempotency_key: 'order-7' });
  expect(d.last('publish').seq).toBeUndefined();
});

test('the payload is read when publish is called', () => {
  const d = new Drive();
  d.input({ type: 'start' });
  const payload = { n: 1 };
  d.publish(payload);
  payload.n = 2;
  d.welcome();
  expect(d.last('publish').payload).toEqual({ n: 1 });
});

test('a message no server takes does not close every line anew', () => {
  const d = Drive.connected();
  d.publish('short');
  const long = d.publish('long'.repeat(100));
  d.close(1009);
  expect(d.of('failure')).toMatchObject([{ ticket: long, error: { name: 'too_large' } }]);
  d.waitForAttempt();
  d.take();
  d.welcome();
  expect(d.sentOf('publish').map((m) => m.payload)).toEqual(['short']);
});

test('requests time out, whether the line stands or not', () => {
  const d = Drive.connected({ pingEveryMs: 1_000_000, pongTimeoutMs: 1_000_000 });
  const sent = d.request('call');
  d.pass(10_000);
  expect(d.of('failure')).toMatchObject([{ ticket: sent, error: { code: 1408, name: 'timeout' } }]);
  d.take();
  d.close(1006);
  const held = d.request('history');
  d.now += 10_000;
  d.input({ type: 'tick' });
  expect(d.of('failure')).toMatchObject([{ ticket: held, error: { name: 'timeout' } }]);
});

test('a late answer to a request that timed out harms nobody', () => {
  const d = Drive.connected({ pingEveryMs: 1_000_000, pongTimeoutMs: 1_000_000 });
  d.request('call');
  const id = d.last('call').id;
  d.pass(10_000);
  d.take();
  d.server({ type: 'reply', id, payload: 1 });
  expect(d.take()).toEqual([]);
});

test('a lost line fails calls, whose outcome is unknown, and asks reads again', () => {
  const d = Drive.connected();
  const call = d.request('call');
  const read = d.request('history');
  d.close(1006);
  expect(d.of('failure')).toMatchObject([{ ticket: call, error: { name: 'connection_lost' } }]);
  d.pass(1_000);
  d.take();
  d.welcome();
  d.reply('history', { messages: [] });
  expect(d.of('answer').map((o) => o.ticket)).toEqual([read]);
});

test('an error that belongs to no request is an event', () => {
  const d = Drive.connected();
  d.server({ type: 'error', error: { code: 1100, name: 'invalid_json', message: 'no' } });
  expect(d.of('error')).toMatchObject([{ error: { code: 1100, message: 'no' } }]);
});

test('what is no message of the protocol is passed over', () => {
  const d = Drive.connected();
  for (const text of ['', '{', '[]', 'null', '{"type":5}', '{"type":"news"}']) d.input({ type: 'received', text });
  expect(d.take()).toEqual([]);
});

test('what is longer than the server takes is answered at once, and what comes after it goes on', () => {
  const d = Drive.connected({}, { limits: { message_bytes: 1_000 } });
  const [long, wide, short] = [d.publish('x'.repeat(1_000)), d.publish('\u20ac'.repeat(400)), d.publish('\u20ac'.repeat(200))];
  const call = d.request('call', 'x'.repeat(1_000));
  expect(d.of('failure')).toMatchObject([
    { ticket: long, error: { code: 1109, name: 'too_large' } },
    { ticket: wide, error: { name: 'too_large' } },
    { ticket: call, error: { name: 'too_large' } },
  ]);
  expect(d.of('failure')[1]?.error.message).toBe('a message may have at most 1000 bytes, not 1260');
  expect(d.sent).toHaveLength(1);
  d.reply('publish', { epoch: 'e', offset: 7 });
  expect(d.of('answer')).toMatchObject([{ ticket: short }]);
});
