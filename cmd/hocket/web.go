package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"hocket.dev"
)

// webServer is what answers requests, and carries the WebSockets of HTTP/2.
func webServer(h http.Handler, set *settings) *http.Server {
	return &http.Server{
		Handler:           set.visitors.carry(h),
		ConnState:         set.visitors.state,
		ConnContext:       set.visitors.context,
		ReadHeaderTimeout: 10 * time.Second,
		// A body that never ends would keep its connection for ever, also where nobody wants it: net/http reads what is left of
		// it. So would an answer that nobody reads. WebSockets are taken out of both.
		ReadTimeout:    30 * time.Second,
		WriteTimeout:   time.Minute,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 32 << 10,
		HTTP2:          http2Config(&set.hocket),
		ErrorLog:       slog.NewLogLogger(set.hocket.Log.Handler(), slog.LevelWarn),
	}
}

// http2Config is for connections on which many WebSockets share what one network connection has (RFC 8441). How many there may
// be stays at net/http's 250: a browser waits for a free one beyond that instead of opening a second connection, and its own
// limit is about the same.
func http2Config(c *hocket.Config) *http.HTTP2Config {
	return &http.HTTP2Config{
		// A session that does not read what its client sends, because the client does not read its answers, holds this much of
		// the 1 MiB that the whole connection may have under way. By default a stream may have all of it: then one such session
		// holds up all others.
		MaxReceiveBufferPerStream: 64 << 10,
		// A peer that has vanished is found as one over HTTP/1.1 is, at the latest after both times. The pings of its sessions find
		// it too, but what they are writing ends with the connection alone, and a connection without sessions has no such pings.
		SendPingTimeout: c.PingEvery,
		PingTimeout:     c.PongTimeout,
		// One that goes on sending is sent no ping. If it takes nothing, it would hold what its sessions are writing, and their
		// goroutines, for as long as it likes.
		WriteByteTimeout: c.PingEvery + c.PongTimeout,
	}
}

// longTerm has browsers come back under TLS only, for the time that the configuration says.
func (s *settings) longTerm(next http.Handler) http.Handler {
	if s.dev || s.tls.HSTS == 0 { // on a developer's machine it would hold for everything under localhost
		return next
	}
	value := fmt.Sprintf("max-age=%d", int64(s.tls.HSTS.Seconds()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.proxies.Scheme(r) == "https" {
			w.Header().Set("Strict-Transport-Security", value)
		}
		next.ServeHTTP(w, r)
	})
}
