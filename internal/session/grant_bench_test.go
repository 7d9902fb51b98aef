package session

import (
	"testing"

	"hocket.dev/internal/rule"
)

// BenchmarkGrantedPublish has a session publish to a channel that nobody follows: where everybody may do everything, where
// that is looked up in what the session may do, and where the capability has limits.
func BenchmarkGrantedPublish(b *testing.B) {
	message := []byte(`{"type":"publish","channel":"chat:lobby","payload":{"text":"hello"}}`)
	own := may(b, "ada", "chat:*=subscribe,publish inbox:{user}=* news:>=subscribe board:*=publish:cursor:{user}")
	limited := often(b, "ada", lists{"chat:*": {"subscribe", "publish", "publishes 900000000/s", "bytes 512GiB/s"}})
	for _, bench := range []struct {
		name  string
		grant *Grant
	}{{"open", own}, {"granted", own}, {"limited", limited}} {
		b.Run(bench.name, func(b *testing.B) {
			w := closedDoors(b, grants{"t": bench.grant}, rule.Rule{Pattern: "chat:*", History: rule.History{Count: 1}})
			w.node.cfg.Anonymous = bench.name == "open"
			c := w.proven("t")
			b.ReportAllocs()
			for b.Loop() {
				c.Session.Receive(message)
			}
		})
	}
}
