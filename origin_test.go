package hocket_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/websocket"
)

// Pages of the node's own address and of listed origins may connect, others may not.
func TestOrigins(t *testing.T) {
	srv, err := hocket.New(hocket.Config{
		Anonymous: true, Log: slog.New(slog.DiscardHandler), Drain: time.Millisecond,
		Origins: []string{"https://app.example.com", "http://localhost:*", "http://[::1]:*"},
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close(context.Background())
		web.Close()
	})
	for origin, admitted := range map[string]bool{
		web.URL:                            true,
		"https://app.example.com":          true,
		"HTTPS://APP.EXAMPLE.COM":          true,
		"http://localhost:5173":            true,
		"http://localhost":                 true,
		"http://[::1]:9":                   true,
		"https://localhost:5173":           false,
		"http://localhost.example:5173":    false,
		"http://localhost:1@other.example": false,
		"https://app.example.com:8443":     false,
		"https://other.example":            false,
		"http://app.example.com":           false,
		"null":                             false,
	} {
		conn, _, err := websocket.Dial(t.Context(), web.URL+"/v1/ws", &websocket.DialOptions{Header: http.Header{"Origin": {origin}}})
		if (err == nil) != admitted {
			t.Errorf("%s: %v", origin, err)
		}
		if err == nil {
			conn.CloseNow()
		}
	}
}
