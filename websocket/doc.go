// Package websocket is WebSocket (RFC 6455) for Go programs: [Accept] on a server,
// [Dial] on a client, and a [Conn] on which whole messages are read and written with
// contexts. It can be used alone; the protocol itself is package wire.
//
//	func serve(w http.ResponseWriter, r *http.Request) {
//		c, err := websocket.Accept(w, r, nil)
//		if err != nil {
//			return // Accept has answered the request
//		}
//		defer c.CloseNow()
//		for {
//			typ, msg, err := c.Read(r.Context())
//			if err != nil {
//				return
//			}
//			if err := c.Write(r.Context(), typ, msg); err != nil {
//				return
//			}
//		}
//	}
//
// A Conn starts no goroutine: frames are read by whoever calls [Conn.Read]. So a
// program must keep reading, also when it expects no messages: pings are answered,
// pongs delivered and the peer's close noticed only there. One goroutine reads at a
// time; any number may write, ping and close.
//
// A program that holds hundreds of thousands of connections uses a [Server] instead: its
// sockets live on event loops and need no goroutine and no buffer while they are idle, a
// [Handler] is called with each message, and nothing blocks.
//
// Received messages may have at most [DefaultReadLimit] bytes until
// [Conn.SetReadLimit] says otherwise. Text is checked to be UTF-8 in both directions.
//
// Left out are extensions (compression), HTTP/2, HTTP proxies, and reading or writing
// a message as a stream.
package websocket
