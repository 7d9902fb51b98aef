package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"hocket.dev/broker"
)

// A memberReading is a page of members that a client asked for, or their number alone.
type memberReading struct {
	who                 string
	limit               int
	behind              uint64 // the place of the last one of the page before
	alone               bool   // their number alone
	self                string // of that, the session that has asked to be one of them, "" for none
	askedAt, answeredAt time.Duration
	page                struct {
		position
		Count   int
		Members []member
		Next    string
	}
}

// tell changes what the session tells of itself.
func (a *actor) tell(info int) {
	a.request(map[string]any{"type": "connect", "payload": map[string]any{"info": info}}, func(in *incoming) {
		if in.Error == nil {
			a.info = fmt.Sprint(info)
		}
	})
}

// members reads a page of members, and perhaps those after it.
func (a *actor) members(r *memberReading, next string, most int) {
	a.askMembers(r, next, func(in *incoming) {
		n := len(r.page.Members)
		if in.Error != nil || r.page.Next == "" || n == 0 || most == 1 {
			return
		}
		after := &memberReading{who: r.who, limit: r.limit}
		if f := a.w.truth.newestOf(presence+crowd, r.page.position, r.page.Members[n-1].Session); f != nil {
			after.behind = f.Offset
			a.w.acting.Go(func() { a.members(after, r.page.Next, most-1) })
		}
	})
}

// askMembers asks for a page; answered is called with the lock held.
func (a *actor) askMembers(r *memberReading, next string, answered func(*incoming)) {
	args := map[string]any{"limit": r.limit}
	if next != "" {
		args["next"] = next
	}
	r.askedAt = a.w.now()
	a.request(map[string]any{"type": "presence", "channel": crowd, "payload": args}, func(in *incoming) {
		r.answeredAt = a.w.now()
		if in.Error == nil {
			_ = json.Unmarshal(in.Payload, &r.page)
			a.w.set(func() { a.w.members = append(a.w.members, r) })
		} else if !a.w.excuses(in.Error) {
			a.w.fault(crowd, a.name, r.answeredAt, "presence was answered with %d %s", in.Error.Code, in.Error.Name)
		}
		answered(in)
	})
}

// newestOf is the newest entry of a key at a position.
func (t *truth) newestOf(channel string, at position, key string) (newest *fact) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.find(channel, at.Epoch); e != nil {
		for _, f := range e.entries[:e.after(at.Offset)] {
			if f.Key == key {
				newest = f
			}
		}
	}
	return newest
}

// checkMembers checks a page of members: it is of one moment, and its number is, or of one soon after.
func (w *world) checkMembers(r *memberReading) {
	e := w.truth.find(presence+crowd, r.page.Epoch)
	fault := func(format string, args ...any) { w.fault(crowd, r.who, r.answeredAt, "presence: "+format, args...) }
	if e == nil {
		if r.page.Epoch != "" || len(r.page.Members) > 0 {
			fault("of an epoch that never was: %q", r.page.Epoch)
		}
		return
	}
	head, newest := e.after(r.page.Offset), e.appendedBy(r.answeredAt)
	current := e == w.truth.current(presence+crowd)
	if head > newest || !r.alone && current && head < e.appendedBy(r.askedAt) {
		fault("the head is %d, which is no moment between", r.page.Offset)
		return
	}
	least, most := 1<<62, 0 // they are counted a little later
	for n := head; n <= newest; n++ {
		count := len(e.values(n))
		least, most = min(least, count), max(most, count)
	}
	if n := r.page.Count; current && (n < least || n > most) { // else the log may have begun anew before
		fault("%d are counted, where there are %d to %d", n, least, most)
	}
	if r.alone {
		if f := e.joinAfter(head, newest, r); f != nil && current {
			fault("the number is of %d, before it became a member itself at %d", r.page.Offset, f.Offset)
		}
		return
	}
	due := slices.DeleteFunc(e.values(head), func(f *fact) bool { return f.Offset <= r.behind })
	slices.SortFunc(due, func(a, b *fact) int { return int(int64(a.Offset) - int64(b.Offset)) })
	for i, f := range due[:min(len(due), r.limit)] {
		if i >= len(r.page.Members) {
			fault("%s is left out of the page behind %d at %d", f.Key, r.behind, r.page.Offset)
			return
		}
		m := r.page.Members[i]
		if m.Session != f.Key || m.User != f.From.User || tells(string(m.Info)) != f.value {
			fault("%+v is listed behind %d at %d, where %s of %q, who tells %s, is due", m, r.behind, r.page.Offset, f.Key, f.From.User, f.value)
			return
		}
	}
	if n := len(r.page.Members); n > min(len(due), r.limit) || (r.page.Next != "") != (len(due) > n) {
		fault("%d of %d behind %d are in the page, and next is %q", n, len(due), r.behind, r.page.Next)
	}
}

// joinAfter is where in a part of a log the session came that was told a number of members: that is of no moment before, since it is
// not told of its own join. It is nil for nowhere, or where it may have come twice.
func (e *epoch) joinAfter(head, newest int, r *memberReading) (join *fact) {
	if slices.ContainsFunc(e.values(head), func(f *fact) bool { return f.Key == r.self }) {
		return nil
	}
	for _, f := range e.entries[:newest] {
		switch {
		case f.Key != r.self:
		case f.Op == broker.Delete && f.at >= r.askedAt:
			return nil
		case f.Op == broker.Set && f.Offset > r.page.Offset:
			join = f
		}
	}
	return join
}

// tells is what a member tells of itself in the log, where a message has that or nothing.
func tells(info string) string {
	if info == "" {
		return "null"
	}
	return info
}

// checkInfos checks that in the end everybody knows what everybody tells of itself.
func (w *world) checkInfos(actors []*actor, e *epoch) {
	state := e.fold(len(e.entries))
	for _, a := range actors {
		p := a.places[crowd]
		if p.live && p.run.member && state[a.session].text != a.info {
			w.fault(a.session, a.name, w.now(), "it tells %s of itself, and the log says %s", a.info, state[a.session].text)
		}
		if !p.live || p.roster == nil || !p.roster.known {
			continue
		}
		for _, name := range p.roster.names() {
			if info := tells(p.roster.members[name]); name != a.session && info != state[name].text {
				w.fault(name, a.name, w.now(), "it is told that it tells %s of itself, and the log says %s", info, state[name].text)
			}
		}
	}
}

const (
	crowdGrace = 10 * time.Second // of a rule that says nothing else
	graceLag   = 2 * time.Second  // until who is due has left, where the log takes it
)

// followedBy says that between the beginning of a session and a moment the client has had another one that may have become a
// member in its place.
func (w *world) followedBy(l *lifetime, at time.Duration) bool {
	return slices.ContainsFunc(w.lives, func(other *lifetime) bool {
		return other.who == l.who && other.asked && other.began > l.began && other.began < at
	})
}

// stayedTooLong says that a member whose client went for good was one for longer than it had to be at a moment: where the line
// broke that is until nobody may come back any more, and where the server knows that the client has closed not at all.
func (w *world) stayedTooLong(l *lifetime, at time.Duration) bool {
	due := l.going + graceLag
	switch {
	case l.cut && l.stays:
		due += crowdGrace
	case l.cut:
	case !l.answered: // its word may not have come
		return false
	}
	return at > due && !w.followedBy(l, at)
}

// checkLeaves checks that who may still come back has not left, where nothing of the engine's can have had a part in it.
func (w *world) checkLeaves(e *epoch) {
	p := &w.profile
	if p.losses+p.restarts+p.outages+p.faults.publish+p.faults.answer > 0 {
		return
	}
	for _, f := range e.entries {
		l := w.attending(f.Key, f.at)
		if f.Op == broker.Delete && l != nil && w.stayedTooLong(l, f.at) {
			w.fault(f.Key, "node", f.at, "it left at %d, %v after its client had", f.Offset, f.at-l.going)
		}
		if f.Op != broker.Delete || l == nil || !l.stays || f.at >= l.heard+crowdGrace {
			continue
		}
		if !slices.ContainsFunc(w.lives, func(other *lifetime) bool { return other.who == l.who && other.meantToGo(f.at) }) {
			w.fault(f.Key, "node", f.at, "it left at %d, %v after it was last heard of", f.Offset, f.at-l.heard)
		}
	}
}

// attending is the newest lifetime of a session that was a member by a moment; nil for none that is known.
func (w *world) attending(session string, at time.Duration) (l *lifetime) {
	for _, other := range w.lives {
		if other.joined > 0 && other.joined <= at && slices.Contains(other.names, session) && (l == nil || other.began > l.began) {
			l = other
		}
	}
	return l
}

// meantToGo says that by a moment the client had closed this session, or left the channel, not long ago.
func (l *lifetime) meantToGo(at time.Duration) bool {
	lately := func(t time.Duration) bool { return t > at-crowdGrace && t <= at }
	return l.closed(at) && lately(l.going) || slices.ContainsFunc(l.left, lately)
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
	want = append(want, w.checkAttendants(e)...)
	w.checkComings(e)
	w.checkLeaves(e)
	w.checkInfos(actors, e)
	for _, r := range w.members {
		w.checkMembers(r)
	}
	for _, t := range w.watches {
		w.checkWatch(t, slices.ContainsFunc(actors, func(a *actor) bool { return a.places[crowd].watch == t }))
	}
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
		case f.Op == broker.Delete && !here[f.Key]:
			w.fault(f.Key, "node", f.at, "it left at %d, and was not there", f.Offset)
		case update && !here[f.Key]:
			w.fault(f.Key, "node", f.at, "it changed at %d, and was not there", f.Offset)
		}
		here[f.Key] = comes
	}
}

// checkLease checks that the node, which lives, has a lease in the end, by which others would know it.
func (w *world) checkLease() {
	if e := w.truth.current("$nodes"); e != nil {
		for key, f := range e.latest {
			if strings.HasPrefix(key, "lease:") && f.holds() && f.lives > w.now() {
				return
			}
		}
	}
	w.fault("", "node", w.now(), "it lives, and has no lease")
}
