package session

import "sync"

// left holds the ephemeral keys of sessions whose connections were lost, for those of the same names to take over.
type left struct {
	mu   sync.Mutex
	keys map[string]map[place]*owned // by the session's name
}

// put leaves a key behind. It answers false when too many sessions have, or when a newer write of it has been left.
func (l *left) put(o *owned, sessions int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := o.owner.Session
	keys := l.keys[name]
	if keys == nil {
		if len(l.keys) >= sessions {
			return false
		}
		if l.keys == nil {
			l.keys = make(map[string]map[place]*owned)
		}
		keys = make(map[place]*owned)
		l.keys[name] = keys
	}
	if other := keys[o.place]; other != nil && other.last > o.last {
		return false
	}
	keys[o.place] = o
	return true
}

// drop forgets a key. It answers false when somebody has come for it.
func (l *left) drop(o *owned) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := o.owner.Session
	keys := l.keys[name]
	if keys[o.place] != o {
		return false
	}
	if delete(keys, o.place); len(keys) == 0 {
		delete(l.keys, name)
	}
	return true
}

// take answers the keys that a session of this name has left, none twice, and forgets them.
func (l *left) take(name string) map[place]*owned {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := l.keys[name]
	delete(l.keys, name)
	return keys
}

// inherit takes over what a session of the same name has left. What this one has written since counts.
func (s *Session) inherit() {
	if s.closing || s.closed {
		return
	}
	for at, o := range s.shard.node.left.take(s.name) {
		own := s.owns[at]
		switch {
		case own == nil:
			if s.owns == nil {
				s.owns = make(map[place]*owned)
			}
			// Its timer compares the pointer: what is taken is another one.
			s.owns[at] = &owned{place: at, keep: o.keep, last: o.last, gone: o.gone, unsure: o.unsure, until: o.until}
		case own.last < o.last:
			own.last, own.gone, own.until, own.unsure = o.last, o.gone, o.until, own.unsure || o.unsure
		}
	}
}
