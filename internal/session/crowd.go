package session

import (
	"strconv"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// A channel with very many members is a crowd: each of its changes, told to each of its members, would be more than any
// network carries. There a change is told by the number of members alone. The entry itself says so, so that everybody
// learns the same of it, on every node and whenever he reads it. What the number is, is what the writing node knows: it
// asks the broker with each subscription to presence, and counts in between.

// noticed takes in how many members a channel has.
func (r *roster) noticed(channel string, members int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(channel, members)
}

// note keeps the number of a crowd. It becomes one beyond Limits.NamedMembers, and none any more a fifth below, so that
// it does not change with every member. r.mu is held.
func (r *roster) note(channel string, members int) {
	limit := r.node.cfg.Limits.NamedMembers
	_, crowd := r.crowds[channel]
	switch {
	case members > limit, crowd && members > limit-limit/5:
		r.crowds[channel] = members
	case crowd:
		delete(r.crowds, channel)
	}
}

// change is by how much an entry changes the number of members.
func change(e *broker.Entry) int {
	switch {
	case e.Op == broker.Delete:
		return -1
	case e.Headers[dialect.UpdateHeader] == "" && e.Headers[dialect.SilentHeader] == "":
		return 1
	}
	return 0
}

// label says in an entry that it is one of a crowd.
func (r *roster) label(channel string, e *broker.Entry) {
	r.mu.Lock()
	members, crowd := r.crowds[channel]
	r.mu.Unlock()
	if !crowd {
		return
	}
	if e.Headers == nil {
		e.Headers = make(map[string]string, 1)
	}
	e.Headers[dialect.CrowdHeader] = strconv.Itoa(max(members+change(e), 0))
}

// counted takes in that an entry has been written.
func (r *roster) counted(channel string, e *broker.Entry) {
	by := change(e)
	if by == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if members, crowd := r.crowds[channel]; crowd {
		r.note(channel, members+by)
	}
}
