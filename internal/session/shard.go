package session

import (
	crand "crypto/rand"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
	"hocket.dev/internal/limit"
	"hocket.dev/internal/rule"
)

const (
	// positionEvery is how often a client is told of entries it was passed over, at most.
	positionEvery = time.Second
	// gatherBytes is how much is sent at once, and gatherParts from how many channels.
	gatherBytes = 64 << 10
	gatherParts = 16
	// spareOutboxes of at most spareBytes each are kept.
	spareOutboxes = 64
	spareBytes    = 4 << 10
)

// Counters are what a shard has counted. They may be read from any goroutine.
type Counters struct {
	Sessions    atomic.Int64
	MessagesIn  atomic.Uint64 // from clients
	MessagesOut atomic.Uint64 // replies and notices
	Deliveries  atomic.Uint64 // entries sent to subscribers
	BytesIn     atomic.Uint64
	BytesOut    atomic.Uint64
	Publishes   atomic.Uint64
	Duplicates  atomic.Uint64
	Calls       atomic.Uint64
	Errors      atomic.Uint64

	LatencyMS Histogram // of LatencyBounds: from the publication of an entry to its write, one of sampleEvery writes
	Lag       Histogram // of LagBounds: entries that were due, at the same writes
}

// Shard is what the sessions of one loop share. But for Counters it belongs to the loop.
type Shard struct {
	Counters Counters

	node     *Node
	index    int
	loop     Loop
	sessions map[string]*Session
	expiries expiries             // sessions that end at a time
	owing    []*follower          // followers whose clients are to be told their position
	spare    []*outgoing          // empty ones, to be used again
	writes   uint64               // of entries
	now      time.Duration        // Node.elapsed, by Session.Tick
	unproved limit.ByAge[Session] // that have not proved who they are
	untaken  untaken

	buf     []byte // gathers what goes out in one write
	parts   []part // of what was pulled last
	scratch [gatherParts]hub.Scratch
	decoded []dialect.Command
	rated   []*rule.Rated // of Session.ratedFor
	dice    *rand.Rand
}

// newDice makes a loop's own source of times, seeded by crypto/rand, so that a simulation can repeat them.
func newDice() *rand.Rand {
	var seed [32]byte
	crand.Read(seed[:])
	return rand.New(rand.NewChaCha8(seed)) // #nosec G404 -- seeded by crypto/rand, for delays
}

// Draw gives a time from 0 to bound, which is not included: to spread what would else happen to many at once.
func (sh *Shard) Draw(bound time.Duration) time.Duration {
	return time.Duration(sh.dice.Int64N(int64(bound)))
}

// giveBack takes what has been sent for the next session that has something to say.
func (sh *Shard) giveBack(o *outgoing) {
	sh.untaken.remove(o)
	if cap(o.buf) <= spareBytes && len(sh.spare) < spareOutboxes {
		*o = outgoing{buf: o.buf[:0]}
		sh.spare = append(sh.spare, o)
	}
}

// owe remembers that f's client is to be told how far its cursor has come.
func (sh *Shard) owe(f *follower) {
	f.owes = true
	if f.listed {
		return
	}
	f.listed = true
	sh.owing = append(sh.owing, f)
	if len(sh.owing) == 1 {
		sh.loop.After(positionEvery, sh.tellPositions)
	}
}

func (sh *Shard) tellPositions() {
	owing := sh.owing
	sh.owing = nil
	for _, f := range owing {
		f.listed = false
		if f.Placed() {
			f.tellPosition(f.Offset())
		}
	}
}

// tellPosition tells the client how far the cursor has come, where that is owed.
func (f *follower) tellPosition(offset uint64) {
	if f.owes {
		f.owes = false
		f.session.say(dialect.NoID, &dialect.PositionNotice{Channel: f.Channel(), Offset: offset})
	}
}

// of calls do for the session of a name, or for all sessions of a user, whichever is not "", and counts them.
func (sh *Shard) of(session, user string, do func(*Session)) (count int) {
	if session != "" || user == "" { // nobody in particular is not everybody without a name
		if s := sh.sessions[session]; s != nil && s.admitted {
			do(s)
			count++
		}
		return count
	}
	for _, s := range sh.sessions {
		if s.admitted && s.who.user == user {
			do(s)
			count++
		}
	}
	return count
}

func (sh *Shard) send(session, user string, payload []byte, format broker.Format) (count int) {
	event := &dialect.Event{Payload: payload, Format: format}
	return sh.of(session, user, func(s *Session) { s.say(dialect.NoID, event) })
}

func (sh *Shard) disconnect(session, user string, again bool) (count int) {
	return sh.of(session, user, func(s *Session) {
		if again {
			s.Drain(sh.Draw(sh.node.cfg.Drain + 1))
		} else {
			s.close(dialect.CloseForbidden, "disconnected")
		}
	})
}

// drain asks the clients of the shard to come back at different times, and closes them.
func (sh *Shard) drain() {
	for _, s := range sh.sessions {
		s.Drain(sh.Draw(sh.node.cfg.Drain + 1))
	}
}
