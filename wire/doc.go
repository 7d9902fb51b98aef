// Package wire is the WebSocket protocol (RFC 6455, RFC 7692) without input or output:
// bytes go in, events come out, for the server's and for the client's side of a
// connection. It starts no goroutine, reads no clock, takes no lock, and keeps
// no buffer for a connection that is idle. So one implementation serves an
// event loop, a goroutine per connection, a test and a simulation.
//
// What is here:
//
//   - [Decoder] turns received bytes into events and enforces every rule of §5:
//     masking, reserved bits and opcodes, fragmentation, control frames, UTF-8,
//     close codes, and the [Limits] of the caller.
//   - [Assembler] joins the pieces of a message for who wants whole messages.
//   - [AppendFrame], [AppendMaskedFrame], [AppendClose] and [AppendHeader] write
//     frames.
//   - [ParseUpgrade] and [Response] decide and answer the opening handshake on a
//     server, [Request] makes it and checks the answer on a client; over HTTP/2
//     [ParseConnect] and the methods for Connect do (RFC 8441).
//   - [AcceptDeflate] and Request.Deflate negotiate permessage-deflate, other
//     extensions are declined; [AppendDeflated] compresses a message once for many
//     receivers, an [Inflater] undoes compression within a limit.
//
// What is left out: sockets, timeouts, answering pings, the order of the closing
// handshake, who may connect. That belongs to the caller.
//
// A receiver in a few lines; read is whatever fills a buffer:
//
//	d := wire.NewDecoder(wire.Server, &wire.Limits{MessageBytes: 1 << 20})
//	var whole wire.Assembler
//	for {
//		b := read()
//		for len(b) > 0 {
//			ev, n, err := d.Next(b)
//			if err != nil {
//				return err // *wire.Error: its Code is what to close with
//			}
//			b = b[n:]
//			switch ev.Kind {
//			case wire.KindData:
//				if msg, done := whole.Add(ev); done {
//					handle(ev.Op, msg) // msg may lie inside b: copy what is kept
//				}
//			case wire.KindPing:
//				write(wire.AppendFrame(nil, wire.Pong, ev.Payload))
//			case wire.KindClose:
//				write(wire.AppendClose(nil, ev.Code, "")) // §5.5.1: echo the code
//				return nil
//			}
//		}
//	}
//
// With permessage-deflate the decoder is told by [Decoder.AllowDeflate], and a whole
// message with Compressed set goes through an inflater, of which a loop needs one for
// all its connections:
//
//	if msg, done := whole.Add(ev); done && ev.Compressed {
//		out, err = inflater.Append(out[:0], msg, wire.Inflation{Op: ev.Op, MaxBytes: 1 << 20})
//		// an error is a *wire.Error, as those of Next
//	}
//
// Where the peer may take over contexts ([Deflate.ReceivesTakeover]) the connection also
// needs a [Window], which holds up to 1<<bits bytes. By answering
// client_no_context_takeover a server spares itself that: then an idle connection holds
// nothing for compression. What is sent needs no context unless the program wants it.
//
// Nothing here may be used from two goroutines at once, except what takes no
// receiver and [Limits], which are only read.
package wire
