// Package native is the codec of Hocket's own protocol, version 1, in JSON: spec/protocol.md.
//
// [New] makes the dialect; its codec reads a client's message into a [dialect.Command] and writes replies, notices
// and entries. The message is scanned once and its fields are read where they stand. A payload is never decoded: it is
// checked to be one JSON value and passed on byte for byte, and only such a value is ever written inside another
// message, so no payload and no name can change the envelope around it.
//
//	codec, commands, err := native.New().Open(dialect.Handshake{Query: r.URL.Query()})
//	…
//	commands = codec.Decode(commands[:0], msg)
//	out = codec.AppendReply(out[:0], commands[0].ID, &dialect.Published{Epoch: "k3", Offset: 42})
//
// What is wrong with a message is part of its command, in a sentence that names the field, what stood there (cut to
// 64 bytes) and what would be right. What the package leaves out: permissions, the syntax of channel names, limits of
// size and rate, which internal/session decides; and the protobuf and MessagePack formats, which are refused.
//
// A codec holds no state, so one may serve any number of connections and goroutines.
package native
