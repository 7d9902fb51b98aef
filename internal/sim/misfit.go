package sim

import (
	"fmt"

	"hocket.dev/broker"
)

// pickKey draws a key to publish to: where keys end with their sessions that may be one that nobody else writes, as a cursor is.
func (a *actor) pickKey(k *kind) string {
	if a.dice.chance(k.ephemeral) {
		return a.name
	}
	return fmt.Sprintf("k%d", a.dice.n(k.names))
}

// shown is the value of a key as it is told.
func (f *fact) shown() string {
	if f.Format == broker.Binary {
		return f.value
	}
	return `"` + f.value + `"`
}

// misfits says that an append was refused since there was a value of another kind: text to bytes, or bytes to text.
func (w *world) misfits(p *publication, d answer) bool {
	if p.op != "append" || d.Offset != 0 {
		return false
	}
	for _, e := range w.truth.logs[p.channel].allEpochs() {
		for n := e.appendedBy(d.askedAt - 1); n <= e.appendedBy(d.answeredAt); n++ {
			if f := e.at(e.newest(p.key, n)); f != nil && (f.Format == broker.Binary) != p.binary {
				return true
			}
		}
	}
	return false
}
