package sim

import (
	"context"
	"maps"
	"slices"
	"strings"

	"hocket.dev/broker"
)

// checkReading checks a page of history.
func (w *world) checkReading(r *reading) {
	e := w.truth.find(r.channel, r.page.Epoch)
	fault := func(format string, args ...any) { w.fault(r.channel, r.who, r.answeredAt, "history: "+format, args...) }
	if e == nil {
		fault("of an epoch that never was: %q", r.page.Epoch)
		return
	}
	if n := len(r.page.Messages); n > r.limit {
		fault("%d messages, where %d were asked for", n, r.limit)
	}
	low, high := e.appendedBy(r.askedAt), e.appendedBy(r.answeredAt)
	head := e.after(r.page.Offset)
	if head < low || head > high || head > 0 && r.page.Offset != e.entries[head-1].Offset {
		if r.page.Epoch == w.truth.current(r.channel).name || head > high {
			fault("the head is %d, of which %d to %d entries were there", r.page.Offset, low, high)
		}
	}
	k := kinds[r.channel]
	p := pageCheck{r: r, kept: e.oldest(head, w.profile.kept(r.channel), &k, r.answeredAt), loose: k.thins() || k.bytes+int64(k.age) > 0}
	facts, msgs := e.entries[:head], r.page.Messages
	p.base = 0
	switch {
	case r.hasAfter:
		p.base = min(head, e.after(r.after))
		facts = facts[p.base:]
	case r.before > 0:
		facts = facts[:min(head, e.after(r.before-1))]
	}
	if what := p.walk(facts, msgs); what != "" {
		fault("after %d before %d limit %d, of %d from %d: %s", r.after, r.before, r.limit, head, p.kept, what)
	}
}

// A pageCheck holds a page of history against the log.
type pageCheck struct {
	r     *reading
	base  int  // index of the first fact
	kept  int  // index of the oldest entry that has to be kept
	loose bool // more may be, since others have ended or were removed
}

// may says that an entry may be in the page, must that it has to.
func (p *pageCheck) may(i int, f *fact) bool {
	return !f.hidden(p.r.askedAt) && f.old > p.r.askedAt && (p.loose || p.base+i >= p.kept)
}

func (p *pageCheck) must(i int, f *fact) bool { return !f.hidden(p.r.answeredAt) && p.base+i >= p.kept }

// walk goes through facts and messages, from where the page was asked for, and says what is wrong.
func (p *pageCheck) walk(facts []*fact, msgs []incoming) string {
	most, least, m := 0, 0, 0 // that were left when the page was full
	for n := range facts {
		i, next := n, m
		if !p.r.hasAfter {
			i, next = len(facts)-1-n, len(msgs)-1-m
		}
		f := facts[i]
		switch {
		case m == len(msgs):
			if p.may(i, f) {
				most++
			}
			if p.must(i, f) {
				least++
			}
		case msgs[next].Offset == f.Offset:
			if it := msgs[next].item(0); !p.may(i, f) || it.differs(f) {
				return it.String() + " should not be there, or differs"
			}
			m++
		case p.must(i, f):
			return (&item{offset: f.Offset, payload: string(f.Payload)}).String() + " is left out"
		}
	}
	switch {
	case m < len(msgs):
		it := msgs[m].item(0)
		return it.String() + " is not in the log, or not there"
	case len(msgs) < p.r.limit && least > 0:
		return "there are more, and room for them"
	case p.r.page.More && most == 0, !p.r.page.More && least > 0:
		return "what it says of more is not so"
	}
	return ""
}

// thins says that entries of a channel go one by one.
func (k kind) thins() bool { return k.fleeting > 0 || k.removed }

// checkStates checks that keyed channels have come to the same everywhere.
func (w *world) checkStates(actors []*actor) {
	for _, channel := range w.profile.channels {
		if e := w.truth.current(channel); kinds[channel].state && e != nil {
			w.checkState(actors, channel, e.fold(len(e.entries)))
		}
	}
}

func (w *world) checkState(actors []*actor, channel string, want map[string]value) {
	page, err := w.engine.memory.State(context.Background(), channel, broker.StateQuery{})
	if err != nil {
		w.fault(channel, "engine", w.now(), "no state: %v", err)
		return
	}
	have := make(map[string]value)
	for _, entry := range page.Entries {
		apply(have, entry.Key, opName(entry.Op), string(entry.Payload), entry.Offset)
	}
	if diff := different(have, want); diff != "" {
		w.fault(channel, "engine", w.now(), "the broker's state: %s", diff)
	}
	for _, a := range actors {
		p := a.places[channel]
		if p.live && p.mirror != nil {
			if diff := different(w.known(a.name, channel, p.mirror), w.known(a.name, channel, want)); diff != "" {
				w.fault(channel, a.name, w.now(), "its state: %s", diff)
			}
		}
	}
}

// known are the values of a state without those of keys to which a client has written something without echo, and had no answer: it is
// not told its own, which may have come into the log by a line that it had given up.
func (w *world) known(who, channel string, state map[string]value) map[string]value {
	state = maps.Clone(state)
	for _, p := range w.sent {
		if p.who == who && p.channel == channel && !p.echo && !p.acked {
			delete(state, p.key)
		}
	}
	return state
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
		now := w.now()
		have := page.Entries
		want := slices.DeleteFunc(slices.Clone(e.kept), func(f *fact) bool { return f.hidden(now) || f.dropped <= now })
		if kinds[name].fleeting > 0 { // what has ended has left room for others
			have = have[max(0, len(have)-len(want)):]
		}
		if len(have) != len(want) {
			w.fault(name, "engine", now, "the log has %d entries, not %d", len(have), len(want))
			continue
		}
		for i, f := range want {
			if have[i] != f.Entry {
				w.fault(name, "engine", now, "the log has %d, not %d", have[i].Offset, f.Offset)
				break
			}
		}
	}
}
