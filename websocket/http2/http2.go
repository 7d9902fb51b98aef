// Package http2 lets net/http's server accept WebSockets over HTTP/2 (RFC 8441). It is
// imported for that alone:
//
//	import _ "hocket.dev/websocket/http2"
//
// In Go 1.26 the server allows extended CONNECT only where the environment says
// GODEBUG=http2xconnect=1 when the process starts: net/http reads the variable in its
// initialization, so neither a //go:debug line nor os.Setenv in a program can say it. This
// package adds the setting to the variable of its own process, and is initialized before
// net/http because its import path comes first and it needs nothing that net/http does
// not (Go specification, "Package initialization"). Where the variable already names
// http2xconnect, it is left alone. Processes that are started inherit it.
//
// Only servers need it. Once on, browsers use it for every WebSocket to a server with which
// they have an HTTP/2 connection, so all of the program's WebSocket handlers must be ones
// that know it, as those of this module do.
//
// What a server should set, in http.Server.HTTP2:
//
//	HTTP2: &http.HTTP2Config{
//		MaxReceiveBufferPerStream: 64 << 10,
//		SendPingTimeout:           25 * time.Second,
//		PingTimeout:               10 * time.Second,
//		WriteByteTimeout:          35 * time.Second,
//	}
//
// MaxReceiveBufferPerStream is as large as MaxReceiveBufferPerConnection, 1 MiB, unless the
// program says otherwise: then WebSockets that the program does not read hold up all others
// of the connection, two of them completely; with 64 KiB it takes 16. The other three are
// what frees a handler that writes to a peer whose network has gone, or who goes on sending
// and takes nothing: no context reaches such a write, because the reset of the stream would
// have to be written behind it.
// MaxConcurrentStreams, 250, is how many WebSockets and requests a connection may have at
// once; browsers let what goes beyond wait for one of them to end.
//
// For the same reason a program that ends calls http.Server.Close, at the latest when the
// time it grants its clients is over, and not only behind what waits for the WebSockets.
// A middleware that goes by the method, such as http.CrossOriginProtection, has to let the
// WebSockets' CONNECT through as it does their GET. So has a mux: what is registered as
// "GET /ws" answers a browser's CONNECT with status 405, and is to be registered as "/ws".
package http2

import (
	"os"
	"strings"
)

// There is no other moment: see the package's page.
func init() {
	value := os.Getenv("GODEBUG")
	if strings.Contains(value, "http2xconnect=") {
		return
	}
	if value != "" {
		value += ","
	}
	_ = os.Setenv("GODEBUG", value+"http2xconnect=1") // fails only for malformed names
}
