package client

import "time"

// A transfer is a state on its way here: it is whole once the position has come to head.
type transfer struct {
	head  uint64
	told  bool            // Sync has been told
	seen  map[string]bool // keys whose value has come since a cut in the middle; nil when there was none
	quiet *time.Timer     // tells Sync when nothing more comes
}

// withoutKey is the reason of a gap in which a state lacks nothing.
const withoutKey = "without_key"

// quietAfter is when a state of which nothing more has come counts as whole: what came last to the log was a delete.
const quietAfter = 2 * time.Second

// The methods are called with the client's lock held.

// transfer begins to take in a state, or what has changed in it. After a cut in the middle it is whole no sooner than it
// was before.
func (s *Subscription) transfer(resumed bool, head uint64) {
	t := &transfer{head: head}
	if before := s.part; resumed && before != nil {
		t.head, t.seen = before.head, make(map[string]bool)
	} else if !resumed && s.keys != nil {
		s.keys.doubt()
	}
	s.part = t
	if s.at.Offset >= t.head {
		s.placed = true
		s.came()
		return
	}
	t.quiet = time.AfterFunc(quietAfter, func() {
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		if s.part == t && s.live {
			s.synced()
		}
	})
}

// synced tells once that the state is whole.
func (s *Subscription) synced() {
	if s.part == nil || s.part.told {
		return
	}
	s.part.told = true
	s.part.stop()
	s.put(Message{Kind: Sync, Channel: s.channel, Position: s.at})
}

func (t *transfer) stop() {
	if t != nil && t.quiet != nil {
		t.quiet.Stop()
	}
}

// came says that the position has moved.
func (s *Subscription) came() {
	if s.keys != nil {
		s.keys.came(s.at)
	}
	if s.part != nil && s.at.Offset >= s.part.head {
		s.synced()
		s.part = nil
	}
}

// lacksBase tells whether m is more of a value that was never received: when the transfer of a state was cut and goes on
// from the log, what follows may grow a value that stood behind the cut.
func (s *Subscription) lacksBase(m *Message) bool {
	t := s.part
	if t == nil || t.seen == nil || m.Key == "" || m.Position.Offset > t.head {
		return false
	}
	if m.Op == "append" {
		return !t.seen[m.Key]
	}
	t.seen[m.Key] = true
	return false
}
