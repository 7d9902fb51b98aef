// Package wire is the WebSocket protocol (RFC 6455) without input or output:
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
//   - [ParseUpgrade] and [AppendResponse] decide and answer the opening
//     handshake on a server, [AppendRequest] and [CheckResponse] on a client.
//
// What is left out: sockets, timeouts, answering pings, the order of the closing
// handshake, who may connect. That belongs to the caller. Extensions are not
// negotiated.
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
// Nothing here may be used from two goroutines at once, except what takes no
// receiver and [Limits], which are only read.
package wire
