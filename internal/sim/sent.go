package sim

import (
	"maps"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// checkSent checks that what stands in the logs is what was sent, in every part, and that nobody else has written there.
func (w *world) checkSent() {
	type place struct{ channel, text string }
	sent := make(map[place]*publication, len(w.sent))
	for _, p := range w.sent {
		sent[place{p.channel, p.text}] = p
	}
	for _, c := range w.truth.logs {
		if strings.HasPrefix(c.name, "$") {
			continue
		}
		for _, e := range c.epochs {
			for _, f := range e.entries {
				p := sent[place{c.name, textOf(f)}]
				switch {
				case f.Op == broker.Delete && len(f.Payload) == 0: // the server's, of a value that has ended
				case p == nil:
					w.fault(c.name, "node", f.at, "%d is %s of %s, which nobody has sent", f.Offset, f.Payload, f.Key)
				case p.differs(f) || w.ephemeral[p.text] && f.Headers[dialect.EphemeralHeader] == "":
					w.fault(c.name, p.who, f.at, "%s of %q, %q, tags %v, ttl %v, echo %v, by %q, was sent, and %d is %s of %q, %q, tags %v, ttl %v, echo %v, by %+v", p.op, p.key, p.payload, p.tags, p.ttl, p.echo, p.user, f.Offset, opName(f.Op), f.Key, f.Payload, f.tags(), f.TTL, !f.NoEcho, f.From)
				}
			}
		}
	}
}

// differs says that an entry is not what was to be published, in some part. Scores are compared where it was acknowledged.
func (p *publication) differs(f *fact) bool {
	user := ""
	if f.From != nil {
		user = f.From.User
	}
	return string(f.Payload) != p.payload || (f.Format == broker.Binary) != p.binary || f.Key != p.key || opName(f.Op) != p.op ||
		f.NoEcho == p.echo || f.TTL != p.ttl || user != p.user || (f.From == nil) != (p.who == "office") ||
		!maps.Equal(f.tags(), p.tags)
}
