package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"hocket.dev/broker"
)

// A stateReading is a page of a state that a client asked for.
type stateReading struct {
	who, channel        string
	byScore             bool
	limit               int
	behind              *fact // the last of the page before, nil for the first page
	askedAt, answeredAt time.Duration
	page                struct {
		position
		Count    int
		Messages []incoming
		Next     string
	}
}

// state reads a page of a state, and perhaps those after it.
func (a *actor) state(channel string) {
	d := &a.dice
	r := &stateReading{who: a.name, channel: channel, byScore: d.chance(70), limit: d.between(1, 6)}
	a.statePage(r, "", d.between(1, 4))
}

func (a *actor) statePage(r *stateReading, next string, most int) {
	args := map[string]any{"limit": r.limit}
	if r.byScore {
		args["order"] = "score"
	}
	if next != "" {
		args["next"] = next
	}
	r.askedAt = a.w.now()
	a.request(map[string]any{"type": "state", "channel": r.channel, "payload": args}, func(in *incoming) {
		if in.Error != nil {
			if !a.w.excuses(in.Error) {
				a.w.fault(r.channel, a.name, a.w.now(), "state was answered with %d %s", in.Error.Code, in.Error.Name)
			}
			return
		}
		r.answeredAt = a.w.now()
		_ = json.Unmarshal(in.Payload, &r.page)
		a.w.set(func() { a.w.states = append(a.w.states, r) })
		if n := len(r.page.Messages); r.page.Next != "" && n > 0 && most > 1 {
			after := &stateReading{who: r.who, channel: r.channel, byScore: r.byScore, limit: r.limit}
			after.behind = a.w.truth.lookUp(r.channel, r.page.Epoch, r.page.Messages[n-1].Offset)
			a.w.acting.Go(func() { a.statePage(after, r.page.Next, most-1) })
		}
	})
}

// lookUp finds an entry while the world still turns.
func (t *truth) lookUp(channel, epoch string, offset uint64) *fact {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.find(channel, epoch); e != nil {
		return e.at(offset)
	}
	return nil
}

// checkStateReading checks a page of a state.
func (w *world) checkStateReading(r *stateReading) {
	e := w.truth.find(r.channel, r.page.Epoch)
	fault := func(format string, args ...any) { w.fault(r.channel, r.who, r.answeredAt, "state: "+format, args...) }
	if e == nil {
		if r.page.Epoch != "" || len(r.page.Messages) > 0 {
			fault("of an epoch that never was: %q", r.page.Epoch)
		}
		return
	}
	head := e.after(r.page.Offset)
	if head < e.appendedBy(r.askedAt) && r.page.Epoch == w.truth.current(r.channel).name || head > e.appendedBy(r.answeredAt) {
		fault("the head is %d, which is no moment between", r.page.Offset)
	}
	if what := r.walk(e.values(head)); what != "" {
		fault("by score %v, limit %d, behind %v, at %d: %s", r.byScore, r.limit, r.behind != nil, r.page.Offset, what)
	}
	least, most := 1<<62, 0 // the keys are counted a little later
	for n := head; n <= e.appendedBy(r.answeredAt); n++ {
		low, high := 0, 0
		for _, f := range e.values(n) {
			if f.lives > r.askedAt {
				high++
			}
			if f.lives > r.answeredAt {
				low++
			}
		}
		least, most = min(least, low), max(most, high)
	}
	if n := r.page.Count; (n < least || n > most) && e == w.truth.current(r.channel) { // else the log may have begun anew before
		fault("of %d keys, where there are %d to %d", n, least, most)
	}
}

// values are the newest entries of keys that have a value after n entries.
func (e *epoch) values(n int) []*fact {
	newest := make(map[string]*fact)
	for _, f := range e.entries[:n] {
		newest[f.Key] = f
	}
	var facts []*fact
	for _, key := range sorted(newest) {
		if newest[key].holds() {
			facts = append(facts, newest[key])
		}
	}
	return facts
}

// before says in which order two values stand.
func (r *stateReading) before(a, b *fact) int {
	if r.byScore && a.Score != b.Score {
		return cmp.Compare(b.Score, a.Score)
	}
	return cmp.Compare(a.Offset, b.Offset)
}

// walk goes through the values that are due, and the page beside them, and says what is wrong.
func (r *stateReading) walk(values []*fact) string {
	slices.SortFunc(values, r.before)
	m, left := 0, 0
	for _, f := range values {
		switch msgs := r.page.Messages; {
		case r.behind != nil && r.before(f, r.behind) <= 0:
		case m < len(msgs) && msgs[m].Offset == f.Offset:
			if in, it := &msgs[m], msgs[m].item(0); in.Key != f.Key || in.Op != "" || in.Time != f.Time || in.Score != f.Score || it.payload != f.shown() || it.binary != (f.Format == broker.Binary) || f.lives <= r.askedAt {
				return fmt.Sprintf("%s at %d is %.60s, score %v, where %.60q, score %v, is due", in.Key, in.Offset, in.Payload, in.Score, f.value, f.Score)
			}
			m++
		case f.lives <= r.answeredAt: // it may be over
		case m < len(msgs):
			return fmt.Sprintf("%s at %d is left out", f.Key, f.Offset)
		default:
			left++
		}
	}
	switch {
	case m < len(r.page.Messages):
		return fmt.Sprintf("%s at %d should not be there", r.page.Messages[m].Key, r.page.Messages[m].Offset)
	case m > r.limit, m < r.limit && left > 0, r.page.Next == "" && left > 0:
		return fmt.Sprintf("%d in the page, and %d after it, next is %q", m, left, r.page.Next)
	}
	return ""
}
