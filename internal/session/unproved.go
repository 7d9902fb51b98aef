package session

import (
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/limit"
)

// unprovedMessages is how many messages of the largest size a session may send before it has proved who it is.
const unprovedMessages = 4

// unproven is a session that has not proved who it is.
type unproven struct {
	place limit.Place[Session] // in Shard.unproved
	stop  func()               // the timer
	bytes int64                // received
}

// awaitProof gives the session its time to prove who it is. Who comes when there are too many closes the oldest, so that those who
// only hold a place do not keep others out.
func (s *Session) awaitProof() {
	sh, limits := s.shard, &s.shard.node.cfg.Limits
	u := &unproven{stop: sh.loop.After(limits.ProofTimeout, s.proofTimeout)}
	s.share.unproven = u
	sh.unproved.Add(&u.place, s)
	if most := max(limits.Unproved/len(sh.node.shards), 1); sh.unproved.Len() > most {
		oldest := sh.unproved.Oldest()
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
		s.shard.unproved.Remove(&u.place)
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
