package sim

import (
	"encoding/json"
	"time"
)

// published takes the answer to an attempt at a publish. The lock is held.
func (a *actor) published(p *publication, in *incoming, askedAt time.Duration) {
	to := answer{askedAt: askedAt, answeredAt: a.w.now()}
	if in.Error != nil {
		a.w.refused(p, to, in.Error)
		a.unseen(p)
		if in.Error.passing() {
			return // again sends it once more
		}
		a.settled(p)
		return
	}
	a.settled(p)
	a.unseen(p)
	var reply struct {
		position
		Duplicate bool
	}
	_ = json.Unmarshal(in.Payload, &reply)
	p.applied(to, reply.position, reply.Duplicate)
}

// refused takes down that an attempt at a publish was answered with an error.
func (w *world) refused(p *publication, to answer, why *failure) {
	if why.passing() && !w.excuses(why) {
		w.fault(p.channel, p.who, to.answeredAt, "%s was refused with %d %s for no reason", p.text, why.Code, why.Name)
	}
	switch why.Code {
	case codeConflict:
		to.position = why.position
		p.denials = append(p.denials, to)
		p.refused++
	case codeBusy:
		p.refused++
	case codeUnavailable:
		p.failed++
	default:
		w.fault(p.channel, p.who, w.now(), "%s was answered with %d %s", p.text, why.Code, why.Name)
	}
}

// applied takes down that an attempt was acknowledged.
func (p *publication) applied(to answer, at position, duplicate bool) {
	to.position, to.duplicate = at, duplicate
	p.acks = append(p.acks, to)
	if !p.acked {
		p.acked, p.ackedAt, p.position = true, to.answeredAt, at
	}
}

// checkAnswers checks what was said about the attempts at a publish.
func (w *world) checkAnswers(p *publication) {
	for _, d := range p.denials {
		w.checkDenial(p, d)
	}
	for _, a := range p.acks {
		e := w.truth.find(p.channel, a.Epoch)
		if e == nil || p.seq > 0 && a != p.acks[0] { // of a sequence number long ago the offset may be a later one's
			continue
		}
		f := e.at(a.Offset)
		switch {
		case f == nil || textOf(f) != p.text:
			if a != p.acks[0] { // that one is checked by itself
				w.fault(p.channel, p.who, a.answeredAt, "%s was sent again and acknowledged at %d, where it is not", p.text, a.Offset)
			}
		case a.duplicate && len(p.sessions) == 1:
			w.fault(p.channel, p.who, a.answeredAt, "%s was sent once, and is said to be there already", p.text)
		case !a.duplicate && f.at < a.askedAt:
			w.fault(p.channel, p.who, a.answeredAt, "%s was there already at %d, which nobody said", p.text, a.Offset)
		}
	}
}

// checkDenial checks that what a condition was compared with was there at some moment between, and is not what was expected.
func (w *world) checkDenial(p *publication, d answer) {
	if w.misfits(p, d) {
		return
	}
	if !p.conditional || d.Offset == p.expect {
		w.fault(p.channel, p.who, d.answeredAt, "%s was to follow on %d, %v, and was refused since there is %d", p.text, p.expect, p.conditional, d.Offset)
		return
	}
	e := w.truth.find(p.channel, d.Epoch)
	if e == nil {
		if d.Epoch != "" || d.Offset != 0 {
			w.fault(p.channel, p.who, d.answeredAt, "%s was refused because of %d in epoch %q, which never was", p.text, d.Offset, d.Epoch)
		}
		return
	}
	from, to := e.appendedBy(d.askedAt-1), e.appendedBy(d.answeredAt) // what happened at that very moment may have been later
	for n := from; n <= to; n++ {
		if e.newest(p.key, n) == d.Offset {
			return
		}
	}
	w.fault(p.channel, p.who, d.answeredAt, "%s was refused because of %d, which was not the newest then", p.text, d.Offset)
}

// newest is what a condition about a key, or about the log where that is "", is compared with after n entries.
func (e *epoch) newest(key string, n int) uint64 {
	for n--; n >= 0; n-- {
		f := e.entries[n]
		switch {
		case key == "":
			return f.Offset
		case f.Key == key && f.holds():
			return f.Offset
		case f.Key == key:
			return 0
		}
	}
	return 0
}
