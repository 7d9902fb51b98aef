package sim

import (
	"slices"
	"time"

	"hocket.dev/broker"
	"hocket.dev/wire"
)

// A lifetime is a session, as its client has seen it.
type lifetime struct {
	who      string
	names    []string // that it had, one after another
	stays    bool     // its client has an id, and comes back under the same name
	began    time.Duration
	named    time.Duration  // when the server had told it its lasting name, 0 for not yet
	heard    time.Duration  // when the server last had it, surely
	going    time.Duration  // when the client began to leave: what the server sends from then on says nothing; 0 for not yet
	clean    bool           // by closing, with a code that says that it means to go
	code     wire.CloseCode // with which it has closed, 0 for not at all
	answered bool           // and the server has answered that
	cut      bool           // by a line that breaks, which both sides notice
	over     bool
	changed  bool            // it has told something else of itself since all is calm, or not
	turned   bool            // it has left a channel since, or not
	asked    bool            // it has asked to be a member
	joined   time.Duration   // when it was told that it is a member, first; 0 for never
	left     []time.Duration // when it had reason not to be a member any more, other than its end
}

// parted notes that the session may have left a channel.
func (l *lifetime) parted(channel string, now time.Duration) {
	if channel == crowd {
		l.left = append(l.left, now)
	}
}

// hears notes that the server has let go of something for the session.
func (l *lifetime) hears(at time.Duration) {
	if l.going > 0 {
		at = min(at, l.going)
	}
	l.heard = max(l.heard, at)
}

// closed says that by a moment the client had closed the session.
func (l *lifetime) closed(by time.Duration) bool { return l.clean && l.going <= by }

// alive says which of the lifetimes of a session there was at a moment, the newest; nil for none that is known.
func (w *world) alive(session string, at time.Duration) (l *lifetime) {
	for _, other := range w.lives {
		if other.began <= at && slices.Contains(other.names, session) && (l == nil || other.began > l.began) {
			l = other
		}
	}
	return l
}

// checkEphemeral checks that ephemeral keys end with their sessions, once, and not before.
func (w *world) checkEphemeral(channel string) {
	k := kinds[channel]
	for _, e := range w.truth.logs[channel].allEpochs() {
		for _, f := range e.entries {
			if f.Op == broker.Delete && len(f.Payload) == 0 && f.From != nil && !f.copied {
				w.checkEnd(channel, f, k.grace)
			}
		}
	}
	e := w.truth.current(channel)
	if k.ephemeral == 0 || e == nil {
		return
	}
	for _, f := range e.values(len(e.entries)) {
		if !w.covered(f) || w.truth.twice(channel, textOf(f)) {
			continue // or it was on its way when the log was lost that it had come into, and came into the next one too
		}
		if l := w.alive(f.From.Session, w.now()); l == nil || l.over {
			w.fault(channel, "node", w.now(), "%s of %s at %d is ephemeral, and still there", f.Key, f.From.Session, f.Offset)
		}
	}
}

// checkEnd checks a Delete that the server wrote because a session had ended.
func (w *world) checkEnd(channel string, f *fact, grace time.Duration) {
	name := f.From.Session
	if f.idle || f.last.From == nil {
		w.fault(channel, "node", f.at, "%d ends %s of %s, which is not there or the back end's", f.Offset, f.Key, name)
		return
	}
	owner, newest := w.alive(f.last.From.Session, f.last.at), w.alive(name, f.at)
	if writer, by := w.writers[textOf(f.last)]; by { // a client may have begun another life while what it wrote was under way
		owner = writer
	}
	switch {
	case owner == nil, newest == nil: // of the SDK, or not known
	case owner.who != newest.who:
		w.fault(channel, "node", f.at, "%d ends %s of %s, which is %s's", f.Offset, f.Key, name, owner.who)
	case w.closedSince(owner, f.at): // maybe before it was told its name
	case f.last.From.Session != name: // a client that has sent its write again, under another name
	case owner != newest && (owner.closed(f.at) || w.alive(name, newest.began-1) != owner): // somebody in between may have meant to go
	case newest.heard > f.at && owner == newest:
		w.fault(channel, "node", f.at, "%d ends %s of %s, which lives", f.Offset, f.Key, name)
	case owner == newest && owner.stays && !owner.closed(f.at) && w.profile.restarts == 0 && f.at < owner.heard+grace:
		w.fault(channel, "node", f.at, "%d ends %s of %s, whose client may still come back", f.Offset, f.Key, name)
	case owner != newest && newest.heard > f.at && newest.named > 0 && newest.named < owner.heard+grace && w.profile.restarts == 0:
		w.fault(channel, "node", f.at, "%d ends %s of %s, whose client has come back", f.Offset, f.Key, name)
	}
}

// closedSince tells whether the client of a lifetime has closed another one since.
func (w *world) closedSince(l *lifetime, at time.Duration) bool {
	return slices.ContainsFunc(w.lives, func(other *lifetime) bool {
		return other.who == l.who && other.closed(at) && other.began > l.began
	})
}

// twice tells whether a text stands in several logs of a channel, one after another.
func (t *truth) twice(channel, text string) bool {
	found := 0
	for _, e := range t.logs[channel].allEpochs() {
		if slices.ContainsFunc(e.entries, func(f *fact) bool { return textOf(f) == text }) {
			found++
		}
	}
	return found > 1
}
