// Package connect makes a net.Conn of an HTTP/2 stream that an extended CONNECT has opened
// (RFC 8441): on a server with [Accept], on a client with [NewBody] and [Open]. What goes
// over it is none of its business.
//
// The end of a stream is what the end of a TCP connection is (RFC 8441 §5): END_STREAM is
// read as io.EOF and sent by Close, and RST_STREAM breaks reading and writing. A client
// that gives up sends CANCEL. A server in net/http cannot choose: giving up in the middle
// of a write sends INTERNAL_ERROR, and returning from the handler END_STREAM and, where
// the client has not ended its side, NO_ERROR.
//
// Deadlines are kept here, because those of net/http cannot be taken back: a read that
// passes its deadline can be repeated and loses nothing. A write that passes its deadline
// has ended the stream.
package connect
