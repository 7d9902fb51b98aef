package sim

import (
	"context"
	"slices"
	"strings"

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
			n += applied
			if applied > 1 {
				w.fault(p.channel, p.who, w.now(), "%s was applied %d times", p.text, applied)
			}
		}
		if p.acked {
			w.checkAck(p)
		} else if n > 0 && p.refused > 0 && p.refused == len(p.sessions) {
			w.fault(p.channel, p.who, w.now(), "%s was refused, and is in the log", p.text)
		}
	}
	w.checkOrder()
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
		if p.conditional && f.before() != p.expect {
			w.fault(p.channel, p.who, p.ackedAt, "%s was to follow on %d, and stands at %d behind %d", p.text, p.expect, p.Offset, f.before())
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
	case p.seq == 0 || i >= e.appendedBy(p.ackedAt)-w.profile.kept(p.channel):
		w.fault(p.channel, p.who, p.ackedAt, "%s was acknowledged at %d, and is at %d", p.text, p.Offset, e.entries[i].Offset)
	}
}

// checkOrder checks that what a session sent once stands in the order in which it was sent.
func (w *world) checkOrder() {
	order := make(map[string]int, len(w.sent)) // by text, of those that were sent once, by hand
	for i, p := range w.sent {
		if len(p.sessions) == 1 && strings.HasPrefix(p.who, "a") {
			order[p.text] = i
		}
	}
	for _, c := range w.truth.logs {
		for n, e := range c.epochs {
			if n > 0 {
				break // what a replica has kept may be followed by what is sent again
			}
			last := make(map[string]int)
			for _, f := range e.entries {
				i, once := order[textOf(f)]
				if !once || f.From == nil {
					continue
				}
				if i < last[f.From.Session] {
					w.fault(c.name, w.sent[i].who, f.at, "%s stands at %d, after what was sent later", w.sent[i].text, f.Offset)
				}
				last[f.From.Session] = i
			}
		}
	}
}

// checkReading checks a page of history.
func (w *world) checkReading(r *reading) {
	e := w.truth.find(r.channel, r.page.Epoch)
	fault := func(format string, args ...any) { w.fault(r.channel, r.who, r.answeredAt, "history: "+format, args...) }
	if e == nil {
		fault("of an epoch that never was: %q", r.page.Epoch)
		return
	}
	msgs := r.page.Messages
	if len(msgs) > r.limit {
		fault("%d messages, where %d were asked for", len(msgs), r.limit)
	}
	low, high := e.appendedBy(r.askedAt), e.appendedBy(r.answeredAt)
	head := e.after(r.page.Offset)
	if head < low || head > high || head > 0 && r.page.Offset != e.entries[head-1].Offset {
		if r.page.Epoch == w.truth.current(r.channel).name || head > high {
			fault("the head is %d, of which %d to %d entries were there", r.page.Offset, low, high)
		}
	}
	oldest := max(0, head-w.profile.kept(r.channel)) // index of what is kept
	from, to := oldest, head
	switch {
	case r.hasAfter:
		from = max(oldest, e.after(r.after))
		to = min(head, from+r.limit)
	case r.before > 0:
		to = max(oldest, min(head, e.after(r.before-1)))
		fallthrough
	default:
		from = max(from, to-r.limit)
	}
	from = min(from, to)
	if len(msgs) != to-from {
		fault("after %d before %d limit %d: %d messages, not %d", r.after, r.before, r.limit, len(msgs), to-from)
		return
	}
	for i, f := range e.entries[from:to] {
		m := msgs[i]
		it := m.item(0)
		if it.offset != f.Offset || it.payload != string(f.Payload) {
			fault("%v, where the log has %d %.40s", &it, f.Offset, f.Payload)
			return
		}
	}
	if more := r.hasAfter && to < head || !r.hasAfter && from > oldest; more != r.page.More {
		fault("more is %v, after %d before %d limit %d with %d to %d of %d from %d", r.page.More, r.after, r.before, r.limit, from, to, head, oldest)
	}
}

// checkStates checks that keyed channels have come to the same everywhere.
func (w *world) checkStates(actors []*actor) {
	e := w.truth.current(keyed)
	if e == nil {
		return
	}
	want := e.fold(len(e.entries))
	page, err := w.engine.memory.State(context.Background(), keyed, broker.StateQuery{})
	if err != nil {
		w.fault(keyed, "engine", w.now(), "no state: %v", err)
		return
	}
	have := make(map[string]value)
	for _, entry := range page.Entries {
		apply(have, entry.Key, opName(entry.Op), string(entry.Payload), entry.Offset)
	}
	if diff := different(have, want); diff != "" {
		w.fault(keyed, "engine", w.now(), "the broker's state: %s", diff)
	}
	for _, a := range actors {
		p := a.places[keyed]
		if p.live && p.mirror != nil {
			if diff := different(p.mirror, want); diff != "" {
				w.fault(keyed, a.name, w.now(), "its state: %s", diff)
			}
		}
	}
}

// checkLogs checks that the broker has what its record says.
func (w *world) checkLogs() {
	for _, name := range w.truth.channels() {
		e := w.truth.current(name)
		if strings.HasPrefix(name, "$") && !strings.HasPrefix(name, presence) {
			continue // nobody here knows what is kept of it
		}
		page, err := w.engine.memory.Read(context.Background(), name, broker.Query{Limit: 2000})
		if err != nil {
			w.fault(name, "engine", w.now(), "no log: %v", err)
			continue
		}
		want := e.entries[max(0, len(e.entries)-w.profile.kept(name)):]
		if len(page.Entries) != len(want) {
			w.fault(name, "engine", w.now(), "the log has %d entries, not %d", len(page.Entries), len(want))
			continue
		}
		for i, f := range want {
			if page.Entries[i] != f.Entry {
				w.fault(name, "engine", w.now(), "the log has %d, not %d", page.Entries[i].Offset, f.Offset)
				break
			}
		}
	}
}

// checkPresence checks that everybody agrees on who is there, and that each came and went once.
func (w *world) checkPresence(actors []*actor) {
	want := []string{}
	for _, a := range actors {
		if p := a.places[crowd]; p.live && p.run.member {
			want = append(want, a.session)
		}
	}
	e := w.truth.current(presence + crowd)
	if e == nil {
		return
	}
	w.checkComings(e)
	w.agree("node", sorted(e.fold(len(e.entries))), want)
	for _, a := range actors {
		p := a.places[crowd]
		if p.live && p.roster != nil && p.roster.known {
			names := p.roster.names()
			if !p.run.member { // of what happens under its own name it is not told
				names = slices.DeleteFunc(names, func(name string) bool { return name == a.session })
			}
			w.agree(a.name, names, want)
		}
	}
}

// agree checks that somebody knows exactly who is present.
func (w *world) agree(who string, have, want []string) {
	for _, name := range have {
		if !slices.Contains(want, name) {
			w.fault(name, who, w.now(), "it is still counted as present")
		}
	}
	for _, name := range want {
		if !slices.Contains(have, name) {
			w.fault(name, who, w.now(), "it is present and not counted")
		}
	}
}

// checkComings checks that nobody comes twice, or leaves without having come.
func (w *world) checkComings(e *epoch) {
	here := make(map[string]bool)
	for _, f := range e.entries {
		comes, update := f.Op == broker.Set, f.Headers["update"] != "" && f.Headers["silent"] == ""
		comesBack := f.Headers["silent"] != ""
		switch {
		case comes && !update && !comesBack && here[f.Key]:
			w.fault(f.Key, "node", f.at, "it came at %d, and was there", f.Offset)
		case update && !here[f.Key]:
			w.fault(f.Key, "node", f.at, "it changed at %d, and was not there", f.Offset)
		}
		here[f.Key] = comes
	}
}
