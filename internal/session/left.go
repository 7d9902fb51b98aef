package session

import (
	"maps"
	"slices"
	"time"
)

// The roster holds the estates of sessions whose connections were lost, for those of the same names to take over.

// leave holds an estate until its time is over. It answers false when too many are held.
func (r *roster) leave(es *estate, d time.Duration) bool {
	name := es.owner.Session
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.left[name][es.channel]; other != nil {
		other.absorb(es)
		return true
	}
	if r.leftCount >= r.node.cfg.Limits.LostMembers {
		return false
	}
	if r.left[name] == nil {
		r.left[name] = make(map[string]*estate)
	}
	r.left[name][es.channel] = es
	r.leftCount++
	r.await(es, d)
	return true
}

// unleave holds an estate no more. r.mu is held.
func (r *roster) unleave(es *estate) {
	name := es.owner.Session
	estates := r.left[name]
	if estates[es.channel] != es {
		return
	}
	r.leftCount--
	if delete(estates, es.channel); len(estates) == 0 {
		delete(r.left, name)
	}
}

// takeLeft answers the estates that a session of this name has left, none twice, and holds them no more.
func (r *roster) takeLeft(name string) []*estate {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*estate
	estates := r.left[name]
	for _, channel := range slices.Sorted(maps.Keys(estates)) {
		all = append(all, estates[channel])
		r.giveUp(estates[channel])
	}
	delete(r.left, name)
	r.leftCount -= len(all)
	return all
}

// inherit takes over what a session of the same name has left. What this one has written since counts.
func (s *Session) inherit() {
	if s.closing || s.closed {
		return
	}
	for _, es := range s.shard.node.roster.takeLeft(s.name) {
		if own := s.estates[es.channel]; own != nil {
			own.absorb(es)
			es = own
		} else {
			s.have(es)
		}
		es.turn()
	}
}
