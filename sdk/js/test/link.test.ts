import { describe, expect, test } from 'vitest';
import { Backoff } from '../src/backoff.ts';
import { HocketError } from '../src/index.ts';
import { socketURL } from '../src/protocol.ts';
import { Drive } from './drive.ts';
import { seeded } from './sim.ts';

const permanent = [4200, 4201, 4202, 4299];
const passing = [1000, 1001, 1006, 1011, 4000, 4001, 4002, 4003, 4099, 4300];

test('connect is the first message, and says who we are', () => {
  const d = new Drive({ client: 'abc', user: 'ada', info: { color: 'red' } });
  d.input({ type: 'start' });
  expect(d.of('open').map((o) => o.url)).toEqual(['ws://test/v1/ws']);
  d.input({ type: 'opened' });
  expect(d.sent).toEqual([{ type: 'connect', id: 1, payload: { client: 'abc', user: 'ada', info: { color: 'red' } } }]);
});

test('new info is told in place, and again after every reconnect', () => {
  const d = Drive.connected({ info: { name: 'a' } });
  d.input({ type: 'info', info: { name: 'b' } });
  expect(d.last('connect').payload.info).toEqual({ name: 'b' });
  d.reply('connect', { session: 's1', user: '' });
  expect(d.of('state')).toHaveLength(0);
  d.reconnect();
  expect(d.sentOf('connect').map((m) => m.payload.info)).toEqual([{ name: 'b' }]);
});

test('info that changes while connect is under way is told after it', () => {
  const d = new Drive({ info: 'old' });
  d.input({ type: 'start' });
  d.input({ type: 'opened' });
  d.input({ type: 'info', info: 'new' });
  d.reply('connect', { session: 's1', user: '' });
  expect(d.sentOf('connect').map((m) => m.payload.info)).toEqual(['old', 'new']);
});

test('info that the server does not take is taken back', () => {
  const d = Drive.connected({ info: 'a' });
  d.input({ type: 'info', info: 'much' });
  d.refuse('connect', 1113, 'info_too_large');
  expect(d.of('error')).toMatchObject([{ error: { name: 'info_too_large' } }]);
  expect(d.of('info')).toEqual([{ type: 'info', info: 'a' }]);
  d.reconnect();
  expect(d.sentOf('connect').map((m) => m.payload.info)).toEqual(['a']);
});

test('info that may not be changed, since it was proved, is taken back', () => {
  const d = Drive.connected({});
  d.input({ type: 'info', info: 'another' });
  d.refuse('connect', 1403, 'permission_denied');
  expect(d.of('info')).toEqual([{ type: 'info', info: undefined }]);
  d.reconnect();
  expect(d.sentOf('connect').map((m) => m.payload.info)).toEqual([undefined]);
});

test('info that is too long for a message is not sent', () => {
  const d = Drive.connected({ info: 'a' }, { limits: { message_bytes: 100 } });
  d.input({ type: 'info', info: 'i'.repeat(100) });
  expect(d.sent).toEqual([]);
  expect(d.of('error')).toMatchObject([{ error: { name: 'too_large' } }]);
  expect(d.of('info')).toEqual([{ type: 'info', info: 'a' }]);
  d.close(1006);
  d.input({ type: 'info', info: 'i'.repeat(100) });
  d.waitForAttempt();
  d.input({ type: 'opened' });
  expect(d.sentOf('connect').map((m) => m.payload.info)).toEqual(['a']);
});

test('new info that is refused after a lost line gives way to the one before', () => {
  const d = Drive.connected({ info: 'a' });
  d.input({ type: 'info', info: 'much' });
  d.close(1006);
  d.waitForAttempt();
  d.take();
  d.input({ type: 'opened' });
  d.refuse('connect', 1113, 'info_too_large');
  expect(d.sentOf('connect').map((m) => m.payload.info)).toEqual(['much', 'a']);
  d.reply('connect', { session: 's1', user: '' });
  expect(d.of('state').map((o) => o.state)).toEqual(['connected']);
});

test('the first connect may be too long, which ends it: it would be again', () => {
  const d = new Drive({ info: 'i'.repeat(1_000) });
  d.input({ type: 'start' });
  d.input({ type: 'opened' });
  d.server({ type: 'error', error: { code: 1109, name: 'too_large', message: 'too large', retry_after_ms: 0 } });
  d.now += 1_000;
  d.input({ type: 'tick' });
  expect(d.of('state').at(-1)).toMatchObject({ state: 'closed', error: { name: 'too_large' } });
});

test('subscribes follow connect without waiting, publishes wait for its answer', () => {
  const d = new Drive();
  d.input({ type: 'start' });
  d.subscribe('a');
  d.publish('hi');
  d.input({ type: 'opened' });
  expect(d.sent.map((m) => m.type)).toEqual(['connect', 'subscribe']);
  d.reply('connect', { session: 's1', user: '' });
  expect(d.sent.map((m) => m.type)).toEqual(['connect', 'subscribe', 'publish', 'ping']);
});

test('delays are drawn from the whole of a range that doubles up to its bound', () => {
  const top = new Backoff({ baseMs: 100, maxMs: 1_000, stableMs: 0 }, () => 0.999999);
  expect([0, 1, 2, 3, 4, 5].map(() => top.next())).toEqual([99, 199, 399, 799, 999, 999]);
  const random = seeded(1);
  const many = Array.from({ length: 2_000 }, () => new Backoff({ baseMs: 1_000, maxMs: 9_000, stableMs: 0 }, random).next());
  expect(Math.min(...many)).toBeLessThan(20);
  expect(Math.max(...many)).toBeGreaterThan(980);
  expect(many.filter((ms) => ms < 500).length / many.length).toBeCloseTo(0.5, 1);
});

test.each(passing)('after %i it comes back by itself', (code) => {
  const d = Drive.connected();
  d.close(code);
  expect(d.of('state').at(-1)?.state).toBe('waiting');
  d.waitForAttempt();
  expect(d.of('open')).toHaveLength(1);
});

test.each(permanent)('after %i it stays away, and what waits is told', (code) => {
  const d = Drive.connected();
  const ticket = d.publish('x');
  d.close(code);
  d.pass(1_000_000);
  expect(d.of('state').at(-1)?.state).toBe('closed');
  expect(d.of('open')).toHaveLength(0);
  expect(d.of('failure')).toMatchObject([{ ticket, error: { code } }]);
});

test('delays grow while connections do not last, and start over after one that did', () => {
  const d = Drive.connected({}, {});
  const delays: number[] = [];
  for (let i = 0; i < 4; i++) {
    d.take();
    d.close(1006);
    delays.push(d.of('state').at(-1)?.retryInMs ?? -1);
    d.waitForAttempt();
    d.take();
    d.input({ type: 'opened' });
    d.reply('connect', { session: 's', user: '' });
  }
  expect(delays).toEqual([250, 500, 1_000, 2_000]);
  d.reply('ping', undefined);
  d.server({ type: 'pong', id: d.last('ping').id });
  d.now += 10_000;
  d.take();
  d.close(1006);
  expect(d.of('state').at(-1)?.retryInMs).toBe(250);
});

test('who sent too much waits longer', () => {
  const d = Drive.connected();
  d.close(4003);
  expect(d.of('state').at(-1)?.retryInMs).toBe(4_000);
});

describe('tokens', () => {
  const source = { hasTokenSource: true };

  test('are asked for first and sent with connect', () => {
    const d = new Drive(source);
    d.input({ type: 'start' });
    expect(d.take().map((o) => o.type)).toEqual(['get token']);
    d.input({ type: 'token', token: 't1' });
    d.input({ type: 'opened' });
    expect(d.last('connect').payload.token).toBe('t1');
  });

  test.each([4100, 4101, 4199])('after %i a new one is asked for, and the old one is never sent again', (code) => {
    const d = new Drive(source);
    d.input({ type: 'start' });
    d.input({ type: 'token', token: 't1' });
    d.welcome();
    d.take();
    d.close(code);
    d.waitForAttempt();
    expect(d.of('get token')).toHaveLength(1);
    expect(d.of('open')).toHaveLength(0);
    d.input({ type: 'token', token: 't2' });
    d.input({ type: 'opened' });
    expect(d.last('connect').payload.token).toBe('t2');
  });

  test('after 4000 the same one is used again', () => {
    const d = new Drive(source);
    d.input({ type: 'start' });
    d.input({ type: 'token', token: 't1' });
    d.welcome();
    d.take();
    d.reconnect();
    expect(d.last('connect').payload.token).toBe('t1');
  });

  test('a fixed one cannot be replaced, so 4100 ends the connection', () => {
    const d = Drive.connected({ token: 'fixed' });
    d.close(4100);
    expect(d.of('state').at(-1)).toMatchObject({ state: 'closed', error: { name: 'token_expired' } });
  });

  test('are refreshed in place before they expire', () => {
    const d = new Drive({ ...source, pongTimeoutMs: 1_000_000 });
    d.input({ type: 'start' });
    d.input({ type: 'token', token: 't1' });
    d.input({ type: 'opened' });
    d.reply('connect', { session: 's1', user: '', expires_at: 60_000 });
    d.take();
    d.now = 30_000;
    d.input({ type: 'tick' });
    expect(d.of('get token')).toHaveLength(1);
    d.input({ type: 'token', token: 't2' });
    expect(d.last('connect').payload.token).toBe('t2');
    d.reply('connect', { session: 's1', user: '', expires_at: 120_000 });
    expect(d.of('state')).toHaveLength(0);
  });

  test('a callback that fails is asked again later', () => {
    const d = new Drive(source);
    d.input({ type: 'start' });
    d.input({ type: 'no token', error: new HocketError(6, 'no_token', 'no') });
    expect(d.of('error')).toHaveLength(1);
    d.take();
    d.waitForAttempt();
    expect(d.of('get token')).toHaveLength(1);
  });

  test('a refused connect does not lose what was to be published', () => {
    const d = new Drive(source);
    d.input({ type: 'start' });
    d.input({ type: 'token', token: 'old' });
    const ticket = d.publish('kept');
    d.input({ type: 'opened' });
    d.refuse('connect', 1401, 'unauthenticated');
    expect(d.sentOf('publish')).toHaveLength(0);
    d.close(4100);
    d.waitForAttempt();
    d.input({ type: 'token', token: 'new' });
    d.welcome();
    d.reply('publish', { epoch: 'e', offset: 1 });
    expect(d.of('answer').map((o) => o.ticket)).toEqual([ticket]);
    expect(d.of('failure')).toHaveLength(0);
  });
});

describe('tickets', () => {
  const source = { hasTicketSource: true };
  const opened = (d: Drive) => d.of('open').map((o) => o.url);

  function begun(ticket: string): Drive {
    const d = new Drive(source);
    d.input({ type: 'start' });
    d.input({ type: 'ticket', text: ticket });
    return d;
  }

  test('one is asked for before the socket opens, and stands in its URL', () => {
    const d = new Drive({ ...source, url: 'wss://test/v1/ws?room=1' });
    d.input({ type: 'start' });
    expect(d.take().map((o) => o.type)).toEqual(['get ticket']);
    d.input({ type: 'ticket', text: 'a+b&c' });
    expect(opened(d)).toEqual(['wss://test/v1/ws?room=1&ticket=a%2Bb%26c']);
    d.input({ type: 'opened' });
    expect(JSON.stringify(d.last('connect'))).not.toContain('a+b');
  });

  test.each([1006, 4000, 4100, 4101])('every attempt has its own: after %i', (code) => {
    const d = begun('one');
    d.welcome();
    d.take();
    d.close(code);
    d.waitForAttempt();
    expect(d.of('get ticket')).toHaveLength(1);
    expect(opened(d)).toEqual([]);
    d.input({ type: 'ticket', text: 'two' });
    expect(opened(d)).toEqual(['ws://test/v1/ws?ticket=two']);
  });

  test('after a refused one another is asked for, once', () => {
    const d = begun('late');
    d.input({ type: 'opened' });
    d.take();
    d.close(4200);
    d.waitForAttempt();
    expect(d.of('get ticket')).toHaveLength(1);
    d.input({ type: 'ticket', text: 'late too' });
    d.close(4200);
    expect(d.of('state').at(-1)).toMatchObject({ state: 'closed', error: { name: 'unauthenticated' } });
  });

  test('a session in between allows one refusal more', () => {
    const d = begun('late');
    d.close(4200);
    d.waitForAttempt();
    d.input({ type: 'ticket', text: 'good' });
    d.welcome();
    d.close(4200);
    expect(d.of('state').at(-1)).toMatchObject({ state: 'waiting' });
  });

  test('one that comes too late opens nothing', () => {
    const d = new Drive(source);
    d.input({ type: 'start' });
    d.pass(60_000);
    expect(d.of('state').at(-1)).toMatchObject({ state: 'waiting', error: { name: 'timeout' } });
    d.input({ type: 'ticket', text: 'too late' });
    expect(opened(d)).toEqual([]);
  });

  test('a fixed one serves until it is used, and then the connection ends with the line', () => {
    const d = new Drive({ ticket: 'only' });
    d.input({ type: 'start' });
    d.close(1006);
    d.waitForAttempt();
    expect(opened(d)).toEqual(['ws://test/v1/ws?ticket=only', 'ws://test/v1/ws?ticket=only']);
    d.welcome();
    d.close(1006);
    expect(d.of('state').at(-1)).toMatchObject({ state: 'closed', error: { name: 'no_token' } });
  });
});

test('a refusal without a close is judged by its own code', () => {
  const d = new Drive();
  d.input({ type: 'start' });
  d.input({ type: 'opened' });
  d.refuse('connect', 1402, 'user_mismatch');
  d.pass(2_000);
  expect(d.of('drop')).toHaveLength(1);
  expect(d.of('state').at(-1)).toMatchObject({ state: 'closed', error: { name: 'user_mismatch' } });
});

test('the name in the reply to connect is the one that lasts', () => {
  const d = new Drive();
  d.input({ type: 'start' });
  d.server({ type: 'connected', payload: { session: 'passing', user: '' } });
  d.welcome({ session: 'lasting' });
  d.server({ type: 'connected', payload: { session: 'passing', user: '' } });
  expect(d.of('connected').map((o) => o.connected.session)).toEqual(['lasting']);
});

test('pings measure the latency', () => {
  const d = Drive.connected();
  d.pass(0);
  const first = new Drive();
  first.input({ type: 'start' });
  first.welcome();
  first.now += 12;
  first.server({ type: 'pong', id: first.last('ping').id });
  expect(first.of('latency').map((o) => o.ms)).toEqual([12]);
});

test('a line that stays silent after a ping is dropped', () => {
  const d = Drive.connected();
  d.pass(4_999);
  expect(d.of('drop')).toHaveLength(0);
  d.pass(1);
  expect(d.of('drop')).toMatchObject([{ code: 4000 }]); // no goodbye: the server keeps what this session holds for a while
  expect(d.of('state').at(-1)).toMatchObject({ state: 'waiting', error: { name: 'timeout' } });
});

test('pings that follow faster than the patience do not prolong it', () => {
  const d = Drive.connected({ pingEveryMs: 1_000, pongTimeoutMs: 4_000 });
  d.pass(3_999);
  expect(d.of('drop')).toHaveLength(0);
  d.pass(1);
  expect(d.of('drop')).toHaveLength(1);
});

test('any message shows that the line is alive', () => {
  const d = Drive.connected();
  d.pass(4_000);
  d.server({ type: 'event', payload: 1 });
  d.pass(5_000);
  expect(d.of('drop')).toHaveLength(0);
});

test('a heartbeat of the server is answered', () => {
  const d = Drive.connected();
  d.server({ type: 'ping' });
  expect(d.sent).toEqual([{ type: 'pong' }]);
});

test('a server that does not answer connect is given up', () => {
  const d = new Drive();
  d.input({ type: 'start' });
  d.input({ type: 'opened' });
  d.pass(10_000);
  expect(d.of('drop')).toHaveLength(1);
  expect(d.of('state').at(-1)?.state).toBe('waiting');
});

describe('reconnect', () => {
  test('the line is used until after_ms, then left for the address given', () => {
    const d = Drive.connected();
    d.pass(0);
    d.server({ type: 'reconnect', payload: { after_ms: 1_200, url: 'ws://other/v1/ws' } });
    d.publish('meanwhile');
    expect(d.sentOf('publish')).toHaveLength(1);
    d.pass(1_199);
    expect(d.of('open')).toHaveLength(0);
    d.pass(1);
    expect(d.of('open').map((o) => o.url)).toEqual(['ws://other/v1/ws']);
  });

  test('a server that closes earlier is still given its time', () => {
    const d = Drive.connected();
    d.server({ type: 'reconnect', payload: { after_ms: 3_000 } });
    d.now += 1_000;
    d.close(4000);
    expect(d.of('state').at(-1)?.retryInMs).toBe(2_000);
  });

  test('nobody is led from an encrypted line to an open one', () => {
    const d = Drive.connected({ url: 'wss://test/v1/ws' });
    d.server({ type: 'reconnect', payload: { after_ms: 0, url: 'ws://other/v1/ws' } });
    d.pass(0);
    expect(d.of('open').map((o) => o.url)).toEqual(['wss://test/v1/ws']);
  });

  test('an address that does not answer is forgotten', () => {
    const d = Drive.connected();
    d.server({ type: 'reconnect', payload: { after_ms: 0, url: 'ws://other/v1/ws' } });
    d.pass(0);
    d.take();
    d.close(1006);
    d.waitForAttempt();
    expect(d.of('open').map((o) => o.url)[0]).toBe('ws://test/v1/ws');
  });
});

test('the network coming back ends the waiting', () => {
  const d = Drive.connected();
  d.close(1006);
  d.input({ type: 'online' });
  expect(d.of('open')).toHaveLength(1);
});

test('close ends everything, once', () => {
  const d = Drive.connected();
  const tickets = [d.publish('x'), d.request('call')];
  d.input({ type: 'stop' });
  d.input({ type: 'stop' });
  expect(d.of('drop')).toMatchObject([{ code: 1000 }]);
  expect(d.of('state')).toMatchObject([{ state: 'closed', previous: 'connected' }]);
  expect(d.of('failure').map((o) => [o.ticket, o.error.name])).toEqual(tickets.map((t) => [t, 'closed']));
  d.take();
  const late = d.publish('late');
  expect(d.of('failure')).toMatchObject([{ ticket: late, error: { name: 'closed' } }]);
  expect(d.session.wakeAt).toBeUndefined();
});

test.each([
  ['http://h:8000', undefined, 'ws://h:8000/v1/ws'],
  ['https://h', undefined, 'wss://h/v1/ws'],
  ['wss://h/real/time?x=1', undefined, 'wss://h/real/time?x=1'],
  ['/', 'http://page:8000/a/b', 'ws://page:8000/v1/ws'],
  ['/v1/ws', 'https://page/a', 'wss://page/v1/ws'],
])('the address %s on %s is %s', (url, base, want) => expect(socketURL(url, base)).toBe(want));

test('other addresses are refused', () => expect(() => socketURL('ftp://h')).toThrow(TypeError));
