package session

import (
	"strconv"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

const (
	// recountAfter is how long after a change a crowd is counted once more.
	recountAfter = 500 * time.Millisecond
	// recountKey is the key of entries that are about nobody, and tell the number of a crowd alone. No session has this name.
	recountKey = "$count"
)

// A channel with very many members is a crowd: each of its changes, told to each of its members, would be more than any
// network carries. There a change is told by the number of members alone. The entry itself says so, so that everybody
// learns the same of it, on every node and whenever he reads it. What the number is, is what the writing node knows: it
// asks the broker with each subscription to presence, and counts in between. Where several loops or nodes write at once that may
// be a few more or less. So the broker is asked once more when it has become quiet, and what it says is told.
type crowd struct {
	channel string
	members int // as far as is known here
	changes int // written here since it was last counted
	told    int // in the newest of them

	wait slot // in the roster, while there are changes
}

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
	c := r.crowds[channel]
	switch {
	case c == nil && members > limit:
		r.crowds[channel] = &crowd{channel: channel, members: members}
	case c == nil:
	case members > limit-limit/5:
		c.members = members
	default:
		r.giveUp(c)
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
	c, members := r.crowds[channel], 0
	if c != nil {
		members = max(c.members+change(e), 0)
	}
	r.mu.Unlock()
	if c == nil {
		return
	}
	if e.Headers == nil {
		e.Headers = make(map[string]string, 1)
	}
	e.Headers[dialect.CrowdHeader] = strconv.Itoa(members)
}

// counted takes in that an entry has been written.
func (r *roster) counted(channel string, e *broker.Entry) {
	by := change(e)
	if by == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.crowds[channel]
	if c == nil {
		return
	}
	c.told, _ = strconv.Atoi(e.Headers[dialect.CrowdHeader]) // 0 when it was written before there was a crowd
	if c.changes++; c.changes == 1 {
		r.await(c, recountAfter)
	}
	r.note(channel, c.members+by)
}

func (c *crowd) slot() *slot { return &c.wait }

// over has a crowd counted that has changed.
func (c *crowd) over(r *roster) {
	sh := r.node.shards[0]
	sh.loop.Post(func() { c.recount(sh) })
}

// recount tells the number of a crowd that is known to the broker, unless one change has told it already.
func (c *crowd) recount(sh *Shard) {
	r := &sh.node.roster
	r.mu.Lock()
	changes := c.changes
	r.mu.Unlock()
	sh.node.counts.tell(sh, c.channel, broker.Position{Offset: broker.MaxOffset}, true, func(t tally, err error) {
		if c.due(r, changes, t.members, err) {
			c.tell(sh, changes, t.members)
		}
	})
}

// due says whether a number is to be told that was counted after so many changes. While there are more, it is counted later.
func (c *crowd) due(r *roster, changes, members int, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.crowds[c.channel] != c:
	case err != nil, c.changes != changes:
		r.await(c, recountAfter)
	case changes == 1 && c.told == members:
		c.changes = 0
	default:
		return true
	}
	return false
}

// tell writes down how many there are.
func (c *crowd) tell(sh *Shard, changes, members int) {
	e := broker.Entry{
		Key: recountKey, Op: broker.Delete, HasExpect: true,
		Headers: map[string]string{dialect.CrowdHeader: strconv.Itoa(members)},
	}
	sh.append(dialect.PresencePrefix+c.channel, e, presenceKeep, func(_ broker.Receipt, err error) {
		r := &sh.node.roster
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case r.crowds[c.channel] != c:
		case err == nil && c.changes == changes:
			c.changes = 0
		default:
			r.await(c, recountAfter)
		}
	})
}
