package session

import "hocket.dev/dialect"

// untakenBytes is from how much on what a client has not taken is counted: with less than that a session is reckoned anyway.
const untakenBytes = 16 << 10

// untaken are the sessions of a loop whose clients have not taken much of what they are sent, the one that has been so for longest
// first, and what all that holds. Each may hold a page of history and more: who asks for one, on as many connections as there may
// be, and takes none of it, would else have all memory. Beyond the bound the first one is closed.
type untaken struct {
	first, last *outgoing
	bytes       int64
}

// note counts what the session's client has not taken, and closes whoever has taken too little for too long.
func (u *untaken) note(s *Session) {
	o := s.out
	held := int64(o.held())
	if o.listed == nil {
		if held < untakenBytes || s.closing {
			return
		}
		u.add(o, s)
	}
	u.bytes += held - o.counted
	o.counted = held
	limits, shards := &s.shard.node.cfg.Limits, int64(len(s.shard.node.shards))
	for limits.UntakenBytes > 0 && u.first != nil && u.bytes > limits.UntakenBytes/shards {
		slow := u.first.listed
		u.remove(u.first)
		slow.closing = true
		slow.line.Drop(dialect.CloseSlowConsumer)
	}
}

// add puts an outbox behind those that have been there for longer.
func (u *untaken) add(o *outgoing, s *Session) {
	o.listed, o.counted = s, 0
	if o.older = u.last; u.last == nil {
		u.first = o
	} else {
		u.last.newer = o
	}
	u.last = o
}

// remove forgets an outbox, if it is there.
func (u *untaken) remove(o *outgoing) {
	if o.listed == nil {
		return
	}
	if o.older == nil {
		u.first = o.newer
	} else {
		o.older.newer = o.newer
	}
	if o.newer == nil {
		u.last = o.older
	} else {
		o.newer.older = o.older
	}
	u.bytes -= o.counted
	o.listed, o.older, o.newer = nil, nil, nil
}
