package sim

import (
	"slices"
	"strings"
	"time"

	"hocket.dev/broker"
)

// checkPublishes checks that what was acknowledged was stored, that nothing was applied twice, and that a session's own stand
// in the order in which it sent them.
func (w *world) checkPublishes() {
	type where struct {
		epoch *epoch
		text  string
	}
	times := make(map[where]int)
	for _, c := range w.truth.logs {
		if strings.HasPrefix(c.name, presence) {
			continue
		}
		for _, e := range c.epochs {
			for _, f := range e.entries {
				times[where{e, textOf(f)}]++
			}
		}
	}
	for _, p := range w.sent {
		n := 0
		for _, e := range w.truth.logs[p.channel].allEpochs() {
			applied := times[where{e, p.text}]
			if len(p.denials) == 0 || e.name == p.denials[0].Epoch { // the SDK may have sent it before, to a log that was lost since
				n += applied
			}
			if applied > 1 {
				w.fault(p.channel, p.who, w.now(), "%s was applied %d times", p.text, applied)
			}
		}
		w.checkAnswers(p)
		if p.acked {
			w.checkAck(p)
		} else if n > 0 && p.refused > 0 && p.refused == len(p.sessions) {
			w.fault(p.channel, p.who, w.now(), "%s was refused, and is in the log", p.text)
		}
	}
	w.checkOrder()
	w.checkOrderOfKits()
}

func (c *chronicle) allEpochs() []*epoch {
	if c == nil {
		return nil
	}
	return c.epochs
}

// textOf is what a payload begins with, which tells what it is; a log holds the whole entry, never a value.
func textOf(f *fact) string {
	text, _, _ := strings.Cut(strings.TrimPrefix(string(f.Payload), `"`), ";")
	return text + ";"
}

func (w *world) checkAck(p *publication) {
	e := w.truth.find(p.channel, p.Epoch)
	if e == nil {
		w.fault(p.channel, p.who, p.ackedAt, "%s was acknowledged in epoch %q, which never was", p.text, p.Epoch)
		return
	}
	f := e.at(p.Offset)
	if f != nil && textOf(f) == p.text {
		if p.conditional && !f.copied && f.before() != p.expect {
			w.fault(p.channel, p.who, p.ackedAt, "%s was to follow on %d, and stands at %d behind %d", p.text, p.expect, p.Offset, f.before())
		}
		want := p.score
		if want == 0 && f.Op == broker.Append && f.last.holds() {
			want = f.last.Score
		}
		if f.Score != want {
			w.fault(p.channel, p.who, p.ackedAt, "%s stands at %d with the score %v, not %v", p.text, p.Offset, f.Score, want)
		}
		if f.at > p.ackedAt {
			w.fault(p.channel, p.who, p.ackedAt, "%s was acknowledged at %d before the log had it", p.text, p.Offset)
		}
		return
	}
	i := slices.IndexFunc(e.entries, func(f *fact) bool { return textOf(f) == p.text })
	switch {
	case i < 0:
		w.fault(p.channel, p.who, p.ackedAt, "%s was acknowledged at %d in epoch %s, and the log never had it", p.text, p.Offset, p.Epoch)
	case p.seq == 0 || e.entries[i].dropped > p.ackedAt && !e.entries[i].hidden(p.ackedAt):
		w.fault(p.channel, p.who, p.ackedAt, "%s was acknowledged at %d, and is at %d", p.text, p.Offset, e.entries[i].Offset)
	}
}

// checkOrder checks that what a session sent stands in the order in which it was sent: no entry stands behind one that was first
// sent after it had last been. What several sessions have sent may be of any of them, and so may stand anywhere.
func (w *world) checkOrder() {
	order := make(map[string]*publication, len(w.sent)) // by text, of those that one session has sent
	for _, p := range w.sent {
		if len(p.tries) > 0 && !slices.ContainsFunc(p.tries, func(t try) bool { return t.life != p.tries[0].life }) {
			order[p.text] = p
		}
	}
	for _, c := range w.truth.logs {
		for _, e := range c.epochs {
			newest := make(map[*lifetime]uint64) // of what was sent first
			for _, f := range e.entries {
				p := order[textOf(f)]
				if p == nil {
					continue
				}
				first, last := p.tries[0], p.tries[len(p.tries)-1]
				if last.id < newest[first.life] {
					w.fault(c.name, p.who, f.at, "%s stands at %d, after what was sent later", p.text, f.Offset)
				}
				newest[first.life] = max(newest[first.life], first.id)
			}
		}
	}
}

// checkOrderOfKits checks so of what the SDK was asked to send, where it has nothing to send again by itself.
func (w *world) checkOrderOfKits() {
	if f := &w.profile.faults; f.publish+f.answer+w.profile.outages > 0 {
		return
	}
	order := make(map[string]*publication, len(w.sent)) // by text
	for _, p := range w.sent {
		if len(p.sessions) == 1 && strings.HasPrefix(p.who, "b") {
			order[p.text] = p
		}
	}
	for _, c := range w.truth.logs {
		if len(c.epochs) == 0 {
			continue
		}
		newest := make(map[string]time.Duration)
		for _, f := range c.epochs[0].entries { // what a replica has kept may be followed by what is sent again
			p := order[textOf(f)]
			if p == nil || f.From == nil {
				continue
			}
			if p.sentAt < newest[f.From.Session] {
				w.fault(c.name, p.who, f.at, "%s stands at %d, after what was sent later", p.text, f.Offset)
			}
			newest[f.From.Session] = p.sentAt
		}
	}
}
