package hocket_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/websocket"
)

// serveBoth starts a node behind the server's own listener and behind net/http alone, and returns both addresses.
func serveBoth(t *testing.T, cfg hocket.Config) []string {
	t.Helper()
	cfg.Anonymous, cfg.Log, cfg.Drain = true, slog.New(slog.DiscardHandler), time.Millisecond
	srv, err := hocket.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close(context.Background()) })
	var addresses []string
	for _, own := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, "ws://"+l.Addr().String()+"/v1/ws")
		if own {
			l = srv.Listener(l, nil)
		}
		web := &http.Server{Handler: srv}
		served := make(chan error, 1)
		go func() { served <- web.Serve(l) }()
		t.Cleanup(func() {
			web.Close()
			<-served
		})
	}
	return addresses
}

func TestCompressionIsASetting(t *testing.T) {
	compress := &websocket.DialOptions{Compression: websocket.Compression{Mode: websocket.CompressionOn, Threshold: 1}}
	for _, on := range []bool{false, true} {
		for _, url := range serveBoth(t, hocket.Config{Compression: on, CompressionMinBytes: 1}) {
			c, response, err := websocket.Dial(t.Context(), url, compress)
			if err != nil {
				t.Fatal(err)
			}
			if agreed := response.Header.Get("Sec-Websocket-Extensions"); strings.Contains(agreed, "permessage-deflate") != on {
				t.Errorf("compression %v: answered %q", on, agreed)
			}
			if err := c.Write(t.Context(), websocket.Text, []byte(`{"type":"ping","id":"`+strings.Repeat("x", 60)+`"}`)); err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"connected", strings.Repeat("x", 60)} {
				if _, msg, err := c.Read(t.Context()); err != nil || !strings.Contains(string(msg), part) {
					t.Errorf("compression %v: read %s, %v", on, msg, err)
				}
			}
			c.CloseNow()
		}
	}
}

func TestACompressionThresholdThatMakesNoSenseIsRefused(t *testing.T) {
	_, err := hocket.New(hocket.Config{CompressionMinBytes: -1})
	if want := "hocket: CompressionMinBytes must not be negative, not -1"; err == nil || err.Error() != want {
		t.Errorf("have %v, want %s", err, want)
	}
}
