// Package websocket is WebSocket (RFC 6455, with the compression of RFC 7692) for Go
// programs: [Accept] on a server, [Dial] on a client, and a [Conn] on which messages are
// read and written with contexts. It can be used alone; the protocol itself is package wire.
//
//	func serve(w http.ResponseWriter, r *http.Request) {
//		c, err := websocket.Accept(w, r, nil)
//		if err != nil {
//			return // Accept has answered the request
//		}
//		defer c.CloseNow()
//		for msg, err := range c.Messages(r.Context()) {
//			if err != nil {
//				return
//			}
//			if err := c.Write(r.Context(), msg.Type, msg.Data); err != nil {
//				return
//			}
//		}
//	}
//
// [Conn.Read] and [Conn.Write] take whole messages, [Conn.NextReader] and
// [Conn.NextWriter] streams of any size. A message for many connections is a
// [PreparedMessage]: checked, compressed and framed once. [Compression] says whether and
// from which size on messages are compressed, [KeepAlive] finds peers that have vanished;
// both are off by default. Dial passes the proxies of the environment. With [Pending]
// Write does not wait for a slow peer, within a bound.
//
// A Conn has no goroutine that reads: frames are read by whoever calls [Conn.Read]. So a
// program must keep reading, also when it expects no messages: pings are answered,
// pongs delivered and the peer's close noticed only there. One goroutine reads at a
// time; any number may write, ping and close. Goroutines of its own a Conn has with
// [Pending], while messages wait, and over HTTP/2, as said below.
//
// A program that holds hundreds of thousands of connections uses a [Server] instead: its
// sockets live on event loops and need no goroutine and no buffer while they are idle, a
// [Handler] is called with each message, and nothing blocks.
//
// Received messages may have at most [DefaultReadLimit] bytes until
// [Conn.SetReadLimit] says otherwise. Text is checked to be UTF-8 in both directions.
//
// Over HTTP/2 (RFC 8441) a connection is a stream, of which many share one network
// connection: [DialOptions].HTTP2 on a client; on a server nothing but the import of
// package hocket.dev/websocket/http2, without which net/http does not allow it. There, and
// where an http.Client without httptrace has dialed, a Read that waits costs a goroutine
// and 4 KiB more.
//
// Left out are HTTP/3 and other extensions than permessage-deflate.
package websocket
