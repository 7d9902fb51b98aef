import { ErrorCode } from './errors.gen.ts';
import { HocketError } from './errors.ts';
import type { ChannelEvent } from './subscription.ts';
import type { Message, Op, Place, Sealer } from './types.ts';

/**
 * The payloads of one channel on their way through a {@link Sealer}, which takes its time: what comes and what goes keeps
 * its order all the same.
 */
export class Sealed {
  readonly #channel: string;
  readonly #sealer: Sealer;
  readonly #tell: (event: ChannelEvent) => void;
  readonly #inbox: Promise<ChannelEvent>[] = []; // in the order they came
  #turn: Promise<unknown> = Promise.resolve(); // of the last publish: it has been handed on

  constructor(channel: string, sealer: Sealer, tell: (event: ChannelEvent) => void) {
    this.#channel = channel;
    this.#sealer = sealer;
    this.#tell = tell;
  }

  /** Takes what happens on the channel and tells it once it can be read, after what came before. */
  take(event: ChannelEvent): void {
    if (this.#inbox.length === 0 && event.type !== 'message') return this.#tell(event);
    this.#inbox.push(event.type === 'message' ? this.#open(event.message) : Promise.resolve(event));
    if (this.#inbox.length === 1) void this.#drain();
  }

  async #drain(): Promise<void> {
    for (let next = this.#inbox[0]; next !== undefined; next = this.#inbox[0]) {
      this.#tell(await next);
      this.#inbox.shift();
    }
  }

  async #open(message: Message): Promise<ChannelEvent> {
    const { key = '', op } = message;
    if (op === 'delete' && (message.payload === undefined || message.payload === null)) return { type: 'message', message };
    try {
      const payload = await this.#sealer.open({ channel: this.#channel, key, op }, message.payload);
      return { type: 'message', message: { ...message, payload } };
    } catch (error) {
      return { type: 'unreadable', message, error: asError(error) };
    }
  }

  /** Gives the messages of a page that can be read, and tells of the others. */
  async openAll(messages: Message[]): Promise<Message[]> {
    const readable: Message[] = [];
    for (const event of await Promise.all(messages.map((m) => this.#open(m)))) {
      if (event.type === 'message') readable.push(event.message);
      else this.#tell(event);
    }
    return readable;
  }

  /** Encrypts the payload of a publish and hands it on, after those before it. Resolves with what `send` does. */
  async publish(fields: Record<string, unknown>, send: (fields: Record<string, unknown>) => Promise<unknown>): Promise<unknown> {
    const { payload, ...rest } = fields;
    const place: Place = { channel: this.#channel, key: (rest['key'] as string | undefined) ?? '', op: (rest['op'] as Op | undefined) ?? 'set' };
    if (place.op === 'append') {
      const why = `nothing can be appended on ${this.#channel}: the server cannot join what is encrypted`;
      throw new HocketError(ErrorCode.not_supported, 'not_supported', why);
    }
    const none = place.op === 'delete' && (payload === undefined || payload === null);
    const sealed = none ? undefined : this.#sealer.seal(place, payload instanceof Uint8Array ? payload.slice() : JSON.stringify(payload ?? null));
    const handedOn = Promise.allSettled([sealed, this.#turn]).then(([result]) => {
      if (result.status === 'rejected') throw asError(result.reason);
      return { reply: send(none ? rest : { ...rest, payload: result.value }) }; // not its answer: the next one does not wait for that
    });
    this.#turn = handedOn.catch(() => {});
    return (await handedOn).reply;
  }
}

function asError(error: unknown): HocketError {
  return error instanceof HocketError ? error : HocketError.from({ message: String(error) });
}
