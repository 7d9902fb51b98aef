package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// look reads something over HTTP.
func (o *office) look() {
	d := &o.dice
	switch kind := d.n(10); {
	case kind < 4:
		o.history(pick(d, o.w.profile.channels))
	case kind < 7:
		channel := pick(d, slices.DeleteFunc(slices.Clone(o.w.profile.channels), func(c string) bool { return !kinds[c].state }))
		r := &stateReading{who: "office", channel: channel, byScore: d.chance(50), limit: d.between(1, 6)}
		o.state(r, "", d.between(1, 4))
	case kind < 9:
		o.members(&memberReading{who: "office", limit: d.between(1, 4)}, "", d.between(1, 4))
	default:
		patterns := []string{"", "*:*", pick(d, everywhere), pick(d, o.w.profile.channels)[:2] + "*", "nobody:*"}
		o.channels(&listing{pattern: pick(d, patterns), limit: d.between(1, 5)}, d.between(1, 4))
	}
}

// before is just before now: nothing of what the office asks takes time, and what happens at the same moment may come after it.
func (o *office) before() time.Duration { return o.w.now() - 1 }

// read asks for a page; it answers false where there is none.
func (o *office) read(method string, args map[string]any, page any) bool {
	said, status, ok := o.ask(method, args)
	if !ok {
		return false
	}
	var answer struct {
		Result json.RawMessage
		Error  *failure
	}
	_ = json.Unmarshal(said, &answer)
	channel, _ := args["channel"].(string)
	if (status == http.StatusOK) != (answer.Error == nil) {
		o.w.fault(channel, "office", o.w.now(), "%s was answered with the status %d: %s", method, status, said)
	}
	if answer.Error != nil {
		if !o.w.excuses(answer.Error) {
			o.w.fault(channel, "office", o.w.now(), "%s was answered with %d %s", method, answer.Error.Code, answer.Error.Name)
		}
		return false
	}
	return json.Unmarshal(answer.Result, page) == nil
}

// history reads a part of a log.
func (o *office) history(channel string) {
	d := &o.dice
	r := &reading{who: "office", channel: channel, limit: d.between(1, 40), askedAt: o.before()}
	args := map[string]any{"channel": channel, "limit": r.limit}
	_, f := o.w.truth.recent(channel, d)
	switch kind := d.n(3); {
	case f == nil:
	case kind == 0:
		r.after, r.hasAfter = f.Offset, true
		args["after"] = f.Offset
	case kind == 1:
		r.before = f.Offset
		args["before"] = r.before
	}
	if o.read("history", args, &r.page) {
		r.answeredAt = o.w.now()
		o.w.set(func() { o.w.readings = append(o.w.readings, r) })
	}
}

// state reads a page of a state, and perhaps those after it.
func (o *office) state(r *stateReading, next string, most int) {
	args := map[string]any{"channel": r.channel, "limit": r.limit}
	if r.byScore {
		args["order"] = "score"
	}
	if next != "" {
		args["next"] = next
	}
	r.askedAt = o.before()
	if !o.read("state", args, &r.page) {
		return
	}
	r.answeredAt = o.w.now()
	o.w.set(func() { o.w.states = append(o.w.states, r) })
	if n := len(r.page.Messages); r.page.Next != "" && n > 0 && most > 1 {
		after := &stateReading{who: r.who, channel: r.channel, byScore: r.byScore, limit: r.limit}
		after.behind = o.w.truth.lookUp(r.channel, r.page.Epoch, r.page.Messages[n-1].Offset)
		o.state(after, r.page.Next, most-1)
	}
}

// members reads a page of members, and perhaps those after it.
func (o *office) members(r *memberReading, next string, most int) {
	args := map[string]any{"channel": crowd, "limit": r.limit}
	if next != "" {
		args["next"] = next
	}
	r.askedAt = o.before()
	if !o.read("presence", args, &r.page) {
		return
	}
	r.answeredAt = o.w.now()
	o.w.set(func() { o.w.members = append(o.w.members, r) })
	n := len(r.page.Members)
	if r.page.Next == "" || n == 0 || most == 1 {
		return
	}
	if f := o.w.truth.newestOf(presence+crowd, r.page.position, r.page.Members[n-1].Session); f != nil {
		o.members(&memberReading{who: r.who, limit: r.limit, behind: f.Offset}, r.page.Next, most-1)
	}
}

// A listing is a page of the names of channels.
type listing struct {
	pattern             string
	after               string // the last name of the page before
	limit               int
	askedAt, answeredAt time.Duration
	page                struct {
		Channels []string
		Next     string
	}
}

// channels reads a page of names, and perhaps those after it.
func (o *office) channels(l *listing, most int) {
	args := map[string]any{"limit": l.limit}
	if l.pattern != "" {
		args["pattern"] = l.pattern
	}
	for ; most > 0; most-- {
		l.askedAt = o.before()
		if !o.read("channels", args, &l.page) {
			return
		}
		l.answeredAt = o.w.now()
		o.w.set(func() { o.w.listings = append(o.w.listings, *l) })
		n := len(l.page.Channels)
		if l.page.Next == "" || n == 0 {
			return
		}
		args["after"] = l.page.Next
		*l = listing{pattern: l.pattern, limit: l.limit, after: l.page.Channels[n-1]}
	}
}

// checkListing checks a page of names: those that there are, in their order.
func (w *world) checkListing(l *listing) {
	m, left := 0, 0
	for _, name := range w.truth.channels() {
		began := w.truth.logs[name].epochs[0].began
		switch {
		case strings.HasPrefix(name, "$"), name <= l.after, !l.matches(name):
		case m < len(l.page.Channels) && l.page.Channels[m] == name && began <= l.answeredAt:
			m++
		case began > l.askedAt:
		case m < len(l.page.Channels):
			w.fault(name, "office", l.answeredAt, "it is left out of the channels %q that match %q after %q", l.page.Channels, l.pattern, l.after)
			return
		default:
			left++
		}
	}
	if n := len(l.page.Channels); m < n || n > l.limit || left > 0 && (l.page.Next == "" || n < l.limit) {
		w.fault("", "office", l.answeredAt, "%q are the channels that match %q after %q, at most %d, with %d left, and next %q", l.page.Channels, l.pattern, l.after, l.limit, left, l.page.Next)
	}
}

// matches says that the pattern does, which is one of those that the office asks for: all names here have two segments.
func (l *listing) matches(name string) bool {
	kind, any := strings.CutSuffix(l.pattern, "*")
	return l.pattern == "" || l.pattern == "*:*" || l.pattern == name || any && strings.HasPrefix(name, kind)
}
