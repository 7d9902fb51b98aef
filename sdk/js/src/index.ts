/**
 * The Hocket SDK for browsers and Node: channels that survive lost connections without losing or doubling a message.
 * `connect()` is where everything begins.
 */
export { Channel, type ChannelEvents } from './channel.ts';
export { connect, Connection, type ConnectionEvents } from './connection.ts';
export { CloseCode, ErrorCode } from './errors.gen.ts';
export { ConflictError, HocketError, LocalErrorCode, UnknownOutcomeError } from './errors.ts';
export { LiveMap, type MapChange, type MapEntry, type MapEvents, type MapOptions, type UpdateOptions, type WriteOptions } from './map.ts';
export { LiveText, type TextEvents } from './text.ts';
export { Presence, type PresenceEvents, Users, type UsersEvents } from './presence.ts';
export type { BackoffSettings } from './backoff.ts';
export type { Connected, Position } from './protocol.ts';
export type {
  ChannelOptions, ChannelState, Clock, ConnectionState, ConnectOptions, From, GapEvent, History, HistoryOptions, Member, Message, Op,
  Place, PresentUser, Published, PublishOptions, RawEvent, ResetEvent, Sealer, SocketConstructor, SocketLike, State, StateEvent, StateOptions,
  SubscribedEvent, TokenSource, UnreadableEvent,
} from './types.ts';
// The pure core, for simulations.
export { type Input, type Output, Session, type SessionSettings } from './session.ts';
