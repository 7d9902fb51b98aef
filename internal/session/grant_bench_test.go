package session

import (
	"testing"

	"hocket.dev/internal/rule"
)

// BenchmarkGrantedPublish has a session publish to a channel that nobody follows: where everybody may do everything, and where
// that is looked up in what the session may do.
func BenchmarkGrantedPublish(b *testing.B) {
	message := []byte(`{"type":"publish","channel":"chat:lobby","payload":{"text":"hello"}}`)
	own := may(b, "ada", "chat:*=subscribe,publish inbox:{user}=* news:>=subscribe board:*=publish:cursor:{user}")
	for _, open := range []bool{true, false} {
		name := "granted"
		if open {
			name = "open"
		}
		b.Run(name, func(b *testing.B) {
			w := closedDoors(b, grants{"t": own}, rule.Rule{Pattern: "chat:*", History: rule.History{Count: 1}})
			w.node.cfg.Anonymous = open
			c := w.proven("t")
			b.ReportAllocs()
			for b.Loop() {
				c.Session.Receive(message)
			}
		})
	}
}
