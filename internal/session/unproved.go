package session

import (
	"time"

	"hocket.dev/dialect"
)

// unprovedMessages is how many messages of the largest size a session may send before it has proved who it is.
const unprovedMessages = 4

// unproved are the sessions of a loop that have not proved who they are, oldest first. Who comes when there are too many closes
// the oldest, so that those who only hold a place do not keep others out.
type unproved struct {
	first, last *unproven
	count       int
}

// unproven is a session that has not proved who it is.
type unproven struct {
	session      *Session
	stop         func() // the timer
	bytes        int64  // received
	older, newer *unproven
}

// awaitProof gives the session its time to prove who it is.
func (s *Session) awaitProof() {
	sh, limits := s.shard, &s.shard.node.cfg.Limits
	u := &unproven{session: s, stop: sh.loop.After(limits.ProofTimeout, s.proofTimeout)}
	s.share.unproven = u
	sh.unproved.add(u)
	if most := max(limits.Unproved/len(sh.node.shards), 1); sh.unproved.count > most {
		oldest := sh.unproved.first.session
		oldest.proofCame()
		err := dialect.Errorf(dialect.Busy, "too many clients have not proved who they are: come back later")
		err.RetryAfter = time.Second
		oldest.expel(dialect.CloseRateLimited, err)
	}
}

// proofCame ends the wait for a proof, if there is one.
func (s *Session) proofCame() {
	if u := s.share.unproven; u != nil {
		u.stop()
		s.shard.unproved.remove(u)
		s.share.unproven = nil
	}
}

// MessageBytes is how long a message of the client may be.
func (s *Session) MessageBytes() int64 {
	limits := &s.shard.node.cfg.Limits
	if s.share.unproven != nil {
		return min(limits.UnprovedBytes, limits.MessageBytes)
	}
	return limits.MessageBytes
}

// patient tells whether a message of so many bytes is still waited for a proof with.
func (s *Session) patient(bytes int) bool {
	u := s.share.unproven
	if u == nil {
		return true
	}
	if u.bytes += int64(bytes); u.bytes <= unprovedMessages*s.MessageBytes() {
		return true
	}
	s.expel(dialect.CloseUnauthenticated, dialect.Errorf(dialect.Unauthenticated,
		"%d bytes have come and no proof of identity: send connect with one first", u.bytes))
	return false
}

func (q *unproved) add(u *unproven) {
	if u.older = q.last; q.last == nil {
		q.first = u
	} else {
		q.last.newer = u
	}
	q.last = u
	q.count++
}

func (q *unproved) remove(u *unproven) {
	if u.older == nil {
		q.first = u.newer
	} else {
		u.older.newer = u.newer
	}
	if u.newer == nil {
		q.last = u.older
	} else {
		u.newer.older = u.older
	}
	q.count--
}
