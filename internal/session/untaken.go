package session

import (
	"hocket.dev/dialect"
	"hocket.dev/internal/limit"
)

// untakenBytes is from how much on what a client has not taken is counted: with less than that a session is reckoned anyway.
const untakenBytes = 16 << 10

// untaken are the sessions of a loop whose clients have not taken much of what they are sent, the one that has been so for longest
// first, and what all that holds. Each may hold a page of history and more: who asks for one, on as many connections as there may
// be, and takes none of it, would else have all memory. Beyond the bound the first one is closed.
type untaken struct {
	slow  limit.ByAge[Session]
	bytes int64
}

// note counts what the session's client has not taken, and closes whoever has taken too little for too long.
func (u *untaken) note(s *Session) {
	o := s.out
	held := int64(o.held())
	if !o.place.Listed() {
		if held < untakenBytes || s.closing {
			return
		}
		u.slow.Add(&o.place, s)
	}
	u.bytes += held - o.counted
	o.counted = held
	limits, shards := &s.shard.node.cfg.Limits, int64(len(s.shard.node.shards))
	for limits.UntakenBytes > 0 && u.slow.Len() > 0 && u.bytes > limits.UntakenBytes/shards {
		slow := u.slow.Oldest()
		u.remove(slow.out)
		slow.closing = true
		slow.line.Drop(dialect.CloseSlowConsumer)
	}
}

// remove forgets an outbox, if it is there.
func (u *untaken) remove(o *outgoing) {
	u.slow.Remove(&o.place)
	u.bytes -= o.counted
	o.counted = 0
}
