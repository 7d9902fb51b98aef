package session

import (
	"container/heap"
	"time"

	"hocket.dev/dialect"
)

// expiryTick is how late a session may end after its time, about.
const expiryTick = 500 * time.Millisecond

// expiries is a heap of sessions by when their grants expire.
type expiries struct {
	sessions []*Session
	ticking  bool // a timer runs
}

func (x *expiries) Len() int { return len(x.sessions) }

func (x *expiries) Less(i, j int) bool {
	return x.sessions[i].who.grant.Expires.Before(x.sessions[j].who.grant.Expires)
}

func (x *expiries) Swap(i, j int) {
	x.sessions[i], x.sessions[j] = x.sessions[j], x.sessions[i]
	x.sessions[i].place, x.sessions[j].place = int32(i+1), int32(j+1)
}

func (x *expiries) Push(s any) {
	x.sessions = append(x.sessions, s.(*Session))
	s.(*Session).place = int32(len(x.sessions))
}

func (x *expiries) Pop() any {
	last := len(x.sessions) - 1
	s := x.sessions[last]
	x.sessions[last] = nil
	if x.sessions = x.sessions[:last]; last == 0 {
		x.sessions = nil // a wave has passed; its room is not kept
	}
	s.place = 0
	return s
}

// expireAt has the session end at t, when its grant, which is there already, expires; zero is never.
func (s *Session) expireAt(t time.Time) {
	x := &s.shard.expiries
	switch {
	case t.IsZero() && s.place != 0:
		heap.Remove(x, int(s.place)-1)
	case t.IsZero():
	case s.place != 0:
		heap.Fix(x, int(s.place)-1)
	default:
		heap.Push(x, s)
		s.shard.tickExpiries()
	}
}

// tickExpiries looks after what expires as long as there is something that will: one timer for the loop, however many
// sessions.
func (sh *Shard) tickExpiries() {
	if sh.expiries.ticking || len(sh.expiries.sessions) == 0 {
		return
	}
	sh.expiries.ticking = true
	sh.loop.After(expiryTick, func() {
		sh.expiries.ticking = false
		for now := sh.node.cfg.Now(); len(sh.expiries.sessions) > 0 && !sh.expiries.sessions[0].who.grant.Expires.After(now); {
			heap.Pop(&sh.expiries).(*Session).expired()
		}
		sh.tickExpiries()
	})
}

// expired ends a session whose time is over.
func (s *Session) expired() { s.close(dialect.CloseTokenExpired, "") }
