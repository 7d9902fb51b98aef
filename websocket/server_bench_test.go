package websocket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hocket.dev/wire"
)

// BenchmarkServedEcho measures a whole echo of 128 bytes over TCP, client included, on a
// loop and on a goroutine, with one request in flight and with sixteen.
func BenchmarkServedEcho(b *testing.B) {
	drivers := []struct {
		name  string
		start func(b *testing.B) http.Handler
	}{
		{"loop", func(b *testing.B) http.Handler {
			s, err := NewServer(&program{message: echoing().message}, &ServerOptions{Loops: 1})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			return s
		}},
		{"goroutine", func(b *testing.B) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c, err := Accept(w, r, nil); err == nil {
					echo(context.Background(), c)
				}
			})
		}},
	}
	for _, flight := range []int{1, 16} {
		for _, d := range drivers {
			b.Run(fmt.Sprintf("%s/%d in flight", d.name, flight), func(b *testing.B) {
				web := httptest.NewServer(d.start(b))
				defer web.Close()
				c, _, err := Dial(b.Context(), "ws"+strings.TrimPrefix(web.URL, "http"), nil)
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = c.CloseNow() }()
				batch(b, c.nc, flight)
			})
		}
	}
}

// batch sends and awaits n messages at a time. What is reported is for one message.
func batch(b *testing.B, nc net.Conn, n int) {
	request := bytes.Repeat(masked(wire.Binary, strings.Repeat("x", 128)), n)
	answer := make([]byte, n*(2+2+128))
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += n {
		if _, err := nc.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(nc, answer); err != nil {
			b.Fatal(err)
		}
	}
}
