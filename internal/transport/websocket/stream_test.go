package websocket

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	ws "hocket.dev/websocket"
	_ "hocket.dev/websocket/http2"
)

// A session over HTTP/2 (RFC 8441) is like any other, and its request's handler returns
// with it.
func TestHTTP2(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, func(*settings) {})
		returned := make(chan struct{}, 2)
		web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.ServeHTTP(w, r)
			returned <- struct{}{}
		}))
		web.EnableHTTP2 = true
		web.StartTLS()
		t.Cleanup(web.Close)
		opts := &ws.DialOptions{HTTPClient: web.Client(), HTTP2: true, Subprotocols: []string{"hocket.v1.json"}}
		c, _, err := ws.Dial(t.Context(), web.URL, opts)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		if c.Subprotocol() != "hocket.v1.json" {
			t.Errorf("subprotocol %q", c.Subprotocol())
		}
		if err := c.Write(t.Context(), ws.Text, []byte(`{"type":"subscribe","id":1,"channel":"news"}`)); err != nil {
			t.Fatal(err)
		}
		wantMessage(t, c, `"id":1`)
		s.publish(t, "news", `"over HTTP/2"`)
		wantMessage(t, c, "over HTTP/2")
		if err := c.Close(ws.CloseNormal, ""); err != nil {
			t.Error(err)
		}
		<-returned

		opts.Header = http.Header{"Origin": {"https://evil.example"}}
		_, response, err := ws.Dial(t.Context(), web.URL, opts)
		var refused *ws.HandshakeError
		if !errors.As(err, &refused) || response.StatusCode != http.StatusForbidden || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v", err)
		}
		<-returned
	})
}

// wantMessage reads until a message contains part.
func wantMessage(t *testing.T, c *ws.Conn, part string) {
	t.Helper()
	for {
		_, msg, err := c.Read(t.Context())
		if err != nil {
			t.Fatalf("%v, want a message with %q", err, part)
		}
		if strings.Contains(string(msg), part) {
			return
		}
	}
}
