package session

import (
	"context"
	"testing"

	"hocket.dev/broker"
	"hocket.dev/broker/brokertest"
)

// lateWriter is a broker to which somebody writes a key just before it is removed.
type lateWriter struct{ *brokertest.Lossy }

func (b lateWriter) Remove(ctx context.Context, channel string, r broker.Removal) (int, error) {
	b.Publish(channel, broker.Entry{Key: r.Key, Payload: []byte(`"new"`)}, broker.Retention{Count: 100}, nil)
	return b.Lossy.Remove(ctx, channel, r)
}

// What is written to a key while it is being removed stays: its followers have it, and are told of no end.
func TestARemovedKeyMayBeWrittenAgainAtOnce(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.Broker = lateWriter{cfg.Broker.(*brokertest.Lossy)} })
	c := w.connect()
	c.subscribe("a", "{}")
	c.send(`{"type":"publish","channel":"a","key":"k","payload":"old"}`)
	c.want(`{"type":"message","channel":"a","offset":1,"time":1795000000000,"payload":"old","from":{"user":"","session":"` + c.Session.Name() + `"},"key":"k"}`)
	if n, err := w.node.Remove(t.Context(), "a", broker.Removal{Key: "k"}); n != 1 || err != nil {
		t.Fatalf("%d removed: %v", n, err)
	}
	w.settle()
	c.want(`{"type":"message","channel":"a","offset":2,"time":1795000000000,"key":"k","op":"delete"}`,
		`{"type":"message","channel":"a","offset":3,"time":1795000000000,"payload":"new","key":"k"}`)
	w.wantKeys("a", `k="new"`)
}
