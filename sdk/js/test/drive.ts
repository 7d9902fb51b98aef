// Drives one Session by hand: what goes in, what must come out.
import { expect } from 'vitest';
import { type Input, type Output, Session, type SessionSettings } from '../src/index.ts';
import { simSettings } from './sim.ts';
import type { ChannelEvent } from '../src/subscription.ts';
import type { ChannelOptions } from '../src/types.ts';

/** A session whose line is the test itself. Random numbers are one half unless told otherwise. */
export class Drive {
  now = 0;
  readonly session: Session;
  /** Everything that came out since the last {@link take}. */
  outputs: Output[] = [];
  #ticket = 0;

  constructor(settings: Partial<SessionSettings> = {}, random: () => number = () => 0.5) {
    this.session = new Session({ ...simSettings, ...settings }, random);
  }

  /** A session that is connected and has nothing else to say. */
  static connected(settings: Partial<SessionSettings> = {}, reply: Record<string, unknown> = {}): Drive {
    const d = new Drive(settings);
    d.input({ type: 'start' });
    d.welcome(reply);
    d.take();
    return d;
  }

  input(input: Input): void {
    this.outputs.push(...this.session.next(input, this.now));
  }

  /** Opens the socket that was asked for and answers `connect`. */
  welcome(reply: Record<string, unknown> = {}): void {
    this.input({ type: 'opened' });
    this.reply('connect', { session: 's1', user: '', ...reply });
  }

  server(message: Record<string, unknown>): void {
    this.input({ type: 'received', text: JSON.stringify(message) });
  }

  /** Answers the last message of this type. */
  reply(type: string, payload: unknown): void {
    const m = this.last(type);
    this.server({ type: 'reply', id: m.id, ...(m.channel && { channel: m.channel }), payload });
  }

  refuse(type: string, code: number, name: string, retry_after_ms = 0): void {
    this.server({ type: 'error', id: this.last(type).id, error: { code, name, message: name, retry_after_ms } });
  }

  close(code: number): void {
    this.input({ type: 'closed', code, reason: '' });
  }

  subscribe(channel: string, options: ChannelOptions = {}): void {
    this.input({ type: 'subscribe', channel, options });
  }

  publish(payload: unknown, fields: Record<string, unknown> = {}): number {
    const ticket = ++this.#ticket;
    this.input({ type: 'publish', ticket, fields: { channel: 'a', payload, ...fields } });
    return ticket;
  }

  request(type: 'call' | 'history' | 'presence', payload: unknown = 1): number {
    const ticket = ++this.#ticket;
    this.input({ type: 'request', ticket, request: type === 'call' ? { type, method: 'echo', payload } : { type, channel: 'a', payload: {} } });
    return ticket;
  }

  /** Lets time pass, with a tick whenever the session wants one. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (let at = this.session.wakeAt; at !== undefined && at <= end; at = this.session.wakeAt) {
      this.now = Math.max(at, this.now);
      this.input({ type: 'tick' });
    }
    this.now = end;
  }

  /** Lets time pass until the next attempt to connect begins. */
  waitForAttempt(): void {
    const attempts = () => this.of('open').length + this.of('get token').length + this.of('get ticket').length;
    const before = attempts();
    for (let at = this.session.wakeAt; at !== undefined && attempts() === before; at = this.session.wakeAt) {
      this.now = Math.max(at, this.now);
      this.input({ type: 'tick' });
    }
  }

  /** What came out since the last time. */
  take(): Output[] {
    const out = this.outputs;
    this.outputs = [];
    return out;
  }

  /** The messages sent since the last take. */
  get sent(): any[] {
    return this.outputs.flatMap((o) => (o.type === 'send' ? [JSON.parse(o.text)] : []));
  }

  sentOf(type: string): any[] {
    return this.sent.filter((m) => m.type === type);
  }

  last(type: string): any {
    const m = this.sentOf(type).at(-1);
    expect(m, `a ${type} must have been sent`).toBeDefined();
    return m;
  }

  of<T extends Output['type']>(type: T): Extract<Output, { type: T }>[] {
    return this.outputs.filter((o) => o.type === type) as Extract<Output, { type: T }>[];
  }

  /** What happened on channels since the last take. */
  happened<T extends ChannelEvent['type']>(type: T): Extract<ChannelEvent, { type: T }>[] {
    return this.of('channel').map((o) => o.event).filter((e) => e.type === type) as Extract<ChannelEvent, { type: T }>[];
  }

  message(offset: number, payload: unknown = offset, more: Record<string, unknown> = {}): void {
    this.server({ type: 'message', channel: 'a', offset, time: 1, payload, ...more });
  }

  /** The offsets of the messages handed to the application since the last take. */
  get offsets(): number[] {
    return this.happened('message').map((e) => e.message.offset);
  }

  /** Loses the line and gets the next one. */
  reconnect(): void {
    this.close(1006);
    this.waitForAttempt();
    this.take();
    this.welcome();
  }
}
