package hocket_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/websocket"
)

// Pages of the node's own address and of listed origins may connect, others may not.
func TestOrigins(t *testing.T) {
	srv, err := hocket.New(hocket.Config{
		Anonymous: true, Log: slog.New(slog.DiscardHandler), Drain: time.Millisecond,
		Origins: []string{"https://app.example.com", "https://*.example.org", "http://localhost:*", "http://[::1]:*"},
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
		"https://a.example.org":            true,
		"https://a.b.example.org":          false,
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

// A list that makes no sense is refused with the entry that is wrong.
func TestOriginsThatMakeNoSense(t *testing.T) {
	for _, cfg := range []hocket.Config{
		{Origins: []string{"https://ok.example", "https://a.*.example"}}, {TrustedProxies: []string{"10.0.0.0/8", "a.*.example"}},
	} {
		if _, err := hocket.New(cfg); err == nil || !strings.Contains(err.Error(), `a.*.example" `) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// What pages may read, and what a browser asks before, follows the same list (CORS).
func TestCORS(t *testing.T) {
	srv, err := hocket.New(hocket.Config{
		Log: slog.New(slog.DiscardHandler), Drain: time.Millisecond, Origins: []string{"https://app.example", "*", "null"},
		TrustedProxies: []string{"192.0.2.0/24", "2001:db8::1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close(context.Background()) })
	ask := func(method string, change func(*http.Request)) (int, http.Header) {
		r := httptest.NewRequest(method, "http://own.example/v1/info", nil)
		change(r)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		if w.Header().Get("Vary") != "Origin" {
			t.Errorf("%s %v: Vary is %q", method, r.Header, w.Header().Get("Vary"))
		}
		return w.Code, w.Header()
	}
	for _, test := range []struct {
		origin, cookie       string
		allowed, credentials string
	}{
		{"https://app.example", "", "https://app.example", "true"},
		{"https://app.example", "a=b", "https://app.example", "true"},
		{"https://any.example", "", "https://any.example", ""}, // "*" counts no cookies
		{"https://any.example", "a=b", "https://any.example", ""},
		{"null", "", "null", ""},
		{"", "a=b", "", ""},
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			status, h := ask(method, func(r *http.Request) {
				if r.Header.Set("Cookie", test.cookie); test.origin != "" {
					r.Header.Set("Origin", test.origin)
				}
				if method == "OPTIONS" {
					r.Header.Set("Access-Control-Request-Method", "GET")
				}
			})
			if got := h.Get("Access-Control-Allow-Origin"); status/100 != 2 || got != test.allowed || h.Get("Access-Control-Allow-Credentials") != test.credentials {
				t.Errorf("%s from %q: %d %v", method, test.origin, status, h)
			}
			if got := h.Get("Access-Control-Allow-Methods"); (got == "GET") != (method == "OPTIONS") {
				t.Errorf("%s may be asked with %q", method, got)
			}
		}
	}
	if status, h := ask("POST", func(*http.Request) {}); status != http.StatusMethodNotAllowed || h.Get("Allow") != "GET, OPTIONS" {
		t.Errorf("POST: %d %v", status, h)
	}
	if status, _ := ask("GET", func(r *http.Request) { r.Header["Origin"] = []string{"https://app.example", "https://app.example"} }); status != 403 {
		t.Errorf("two origins: %d", status)
	}
}

// The server's own origin has the scheme that a client has asked with, where that is known.
func TestOwnOriginBehindAProxy(t *testing.T) {
	open := func(proxies ...string) *hocket.Server {
		srv, err := hocket.New(hocket.Config{Log: slog.New(slog.DiscardHandler), Drain: time.Millisecond, TrustedProxies: proxies})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { srv.Close(context.Background()) })
		return srv
	}
	none, some := open(), open("192.0.2.0/24", "2001:db8::1")
	for _, test := range []struct {
		srv                 *hocket.Server
		from, proto, origin string
		status              int
	}{
		{none, "192.0.2.1:1", "", "https://own.example", 200}, // who knows
		{none, "192.0.2.1:1", "", "http://own.example", 200},
		{none, "192.0.2.1:1", "https", "http://own.example", 200}, // anybody could say so
		{some, "192.0.2.1:1", "https", "https://own.example", 200},
		{some, "192.0.2.1:1", "https", "http://own.example", 403},
		{some, "[::ffff:192.0.2.1]:1", "https", "http://own.example", 403},
		{some, "[2001:db8::1]:1", "HTTPS, https", "http://own.example", 403},
		{some, "192.0.2.1:1", "https, http", "https://own.example", 403},
		{some, "192.0.2.1:1", "http", "http://own.example", 200},
		{some, "192.0.2.1:1", "", "http://own.example", 200},
		{some, "192.0.3.1:1", "https", "https://own.example", 403}, // it is no proxy of ours, and speaks no TLS
		{some, "192.0.3.1:1", "https", "http://own.example", 200},
		{some, "nonsense", "", "http://own.example", 200},
	} {
		r := httptest.NewRequest("GET", "http://own.example/v1/info", nil)
		r.RemoteAddr = test.from
		r.Header.Set("Origin", test.origin)
		if test.proto != "" {
			r.Header.Set("X-Forwarded-Proto", test.proto)
		}
		w := httptest.NewRecorder()
		test.srv.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s from %s by %q: %d, want %d", test.origin, test.from, test.proto, w.Code, test.status)
		}
	}
}
