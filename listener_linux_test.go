package hocket_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/websocket"
)

// The server's own listener answers handshakes without net/http, which still serves everything else, refuses what it
// refused before, and is asked by nobody when admit says no.
func TestListener(t *testing.T) {
	srv, err := hocket.New(hocket.Config{Anonymous: true, Log: slog.New(slog.DiscardHandler), Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := srv.Listener(tcp, func(r *http.Request) bool { return r.URL.Query().Get("from") != "outside" })
	var requests atomic.Int32
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		srv.ServeHTTP(w, r)
	})}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		srv.Close(context.Background())
		web.Close()
		<-served
	})
	addr := tcp.Addr().String()

	for _, tt := range []struct {
		query, origin string
		status        int // 0: accepted
		requests      int32
	}{
		{"", "", 0, 0},
		{"", "http://" + addr, 0, 0},
		{"", "http://elsewhere.example", 403, 1},
		{"?from=outside", "", 0, 1},
	} {
		before := requests.Load()
		header := http.Header{}
		if tt.origin != "" {
			header.Set("Origin", tt.origin)
		}
		c, response, err := websocket.Dial(t.Context(), "ws://"+addr+"/v1/ws"+tt.query, &websocket.DialOptions{Header: header})
		if err == nil {
			c.Write(t.Context(), websocket.Text, []byte(`{"type":"connect","id":1,"payload":{}}`))
			_, answer, err := c.Read(t.Context())
			if err != nil || !strings.Contains(string(answer), "connected") {
				t.Errorf("%+v: answer %s, %v", tt, answer, err)
			}
			c.CloseNow()
		} else if response == nil || response.StatusCode != tt.status {
			t.Errorf("%+v: %v, %v", tt, response, err)
		}
		if n := requests.Load() - before; n != tt.requests {
			t.Errorf("%+v: %d requests came to net/http", tt, n)
		}
	}
	info, err := http.Get("http://" + addr + "/v1/info")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(info.Body)
	info.Body.Close()
	if info.StatusCode != 200 || !strings.Contains(string(body), "hocket") {
		t.Errorf("%d %s", info.StatusCode, body)
	}
	http.DefaultClient.CloseIdleConnections()
}
