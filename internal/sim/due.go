package sim

import (
	"errors"
	"sync/atomic"
	"time"

	"hocket.dev/internal/rule"
)

// What the server may say in place of what was asked for, and when it may close.

// excuses says that an error is one of those that pass, and that this world gives reason for it.
func (w *world) excuses(f *failure) bool {
	p := &w.profile
	switch f.Code {
	case codeEpochChanged:
		return p.losses > 0
	case codeBusy:
		return p.faults.publish > 0
	case codeUnavailable:
		return p.faults.publish+p.faults.answer+p.faults.read+p.outages+p.losses+p.restarts > 0
	}
	return false
}

// advise checks that who may try again is told when. Where a log has begun anew that is at once.
func (a *actor) advise(in *incoming) {
	if f := in.Error; f != nil && f.passing() && f.After <= 0 && f.Code != codeEpochChanged {
		a.w.fault(in.Channel, a.name, a.w.now(), "told %d %s, and not when to try again", f.Code, f.Name)
	}
}

// farewell checks that the server says why it closes, with a code that is due. The client's lock is not held.
func (a *actor) farewell(s *socket, err error) {
	marred := s.link.isMarred()
	ended := errEnded{}
	switch {
	case errors.As(err, &ended):
	case errors.Is(err, errProtocol):
		a.w.fault("", a.name, a.w.now(), "the server broke the protocol: %v", err)
		return
	default:
		if !marred && !a.w.profile.tight() { // where a client is too slow the code may not get through in time
			a.w.fault("", a.name, a.w.now(), "the server ended the connection without a word: %v", err)
		}
		return
	}
	due := marred && ended.code < 4000 // its own
	switch ended.code {
	case closeDraining:
		due = a.w.profile.restarts > 0
		if !s.away {
			a.w.fault("", a.name, a.w.now(), "closed with %d, and not told when to come back", ended.code)
		}
	case closePingTimeout: // where much is on the way a ping may take its time as well
		due = marred || s.paused.Load() || a.w.profile.tight()
	case closeReplaced:
		due = !a.has(s)
	case closeSlowConsumer:
		due = a.w.profile.tight() && a.strictly()
	}
	if !due {
		a.w.fault("", a.name, a.w.now(), "closed with %d for no reason", ended.code)
	}
}

// strictly says that the client follows a channel of which who is too slow is disconnected, or has asked to, or has left it on this line,
// of which a slow one learns only now. It notes that it was disconnected.
func (a *actor) strictly() (due bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.w.now()
	for channel, p := range a.places {
		if kinds[channel].overflow != rule.OverflowDisconnect {
			continue
		}
		due = due || p.live || p.asking || p.run != nil && p.run.session == a.session && now-p.run.endedAt < patience
		if p.live {
			p.run.tooSlow = now
		}
	}
	return due
}

// The codes with which the server closes.
const (
	closeDraining     = 4000
	closeSlowConsumer = 4001
	closePingTimeout  = 4002
	closeReplaced     = 4203
)

var errProtocol = errors.New("sim: the server broke the protocol")

// pulse is what a client hears of the server's heart: when the newest ping came, and the newest heartbeat, since the beginning; 0
// for none.
type pulse struct{ ping, beat atomic.Int64 }

// checkPulses checks that in the end, when all is quiet, every line is kept alive, by messages too where that was asked for.
func (w *world) checkPulses(actors []*actor) {
	oldest := w.now() - pingEvery - pongTimeout
	for _, a := range actors {
		s := a.socket
		if s == nil || a.life.began > oldest {
			continue
		}
		if ping, beat := time.Duration(s.ping.Load()), time.Duration(s.beat.Load()); ping < oldest || a.beats && beat < oldest {
			w.fault("", a.name, w.now(), "the last ping came at %v, the last heartbeat at %v", ping, beat)
		}
	}
}
