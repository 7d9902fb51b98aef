// Package listen accepts connections on event loops and finds out there what they are.
//
// A [Listener] stands between a TCP listener and an http.Server. On Linux the loops accept, look at the head of the first
// request without reading it (so nothing has to be put back), and ask [Config].Upgrade about requests for a WebSocket: one that
// is taken costs no goroutine, no buffer and nothing of net/http. Every other connection comes out of [Listener.Accept],
// untouched, as a *net.TCPConn for net/http, where a later request on it may still be a handshake. A client that has
// connected and not yet sent a whole head costs a small struct, for a bounded time, and their number is bounded.
//
// With [Config].TLS the loops wait for the first message of TLS instead, goroutines of which there are so many and no more do the
// handshake, and Accept hands out *tls.Conn that a loop can take over once net/http has given them up.
//
// Where there is no epoll, every connection comes out of Accept.
package listen
