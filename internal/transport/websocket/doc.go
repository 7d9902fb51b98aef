// Package websocket is the WebSocket transport: where the bytes of a WebSocket meet a session.
//
// [Transport] is an http.Handler. It answers the handshake, takes the connection over from net/http and gives it to an
// event loop; from then on an idle client is a descriptor and a few small structs, without goroutine or buffer.
package websocket
