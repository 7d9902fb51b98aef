package session

import (
	"log/slog"
	"testing"
)

// BenchmarkPublish publishes to a channel that nobody follows: what is ephemeral costs little more, and the rest nothing.
func BenchmarkPublish(b *testing.B) {
	for _, bench := range []struct{ name, fields string }{
		{"stream", ``}, {"key", `,"key":"k"`}, {"ephemeral", `,"key":"k","ephemeral":true`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			w := newWorld(b, func(c *Config) { c.Log = slog.New(slog.DiscardHandler) })
			c := w.connect()
			msg := []byte(`{"type":"publish","channel":"chat:lobby","payload":{"text":"hello"}` + bench.fields + `}`)
			b.ReportAllocs()
			for b.Loop() {
				c.Session.Receive(msg)
			}
		})
	}
}
