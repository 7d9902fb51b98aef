package session

import (
	"context"
	"sync"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
)

const (
	// countFor is how long the number of a channel's members is told that has been read once. It goes with its place in the
	// presence log, from which on the client is told all that changes, so it is no less right than a new one.
	countFor = 250 * time.Millisecond
	// countTries is how often the number is read again, because members came or went meanwhile.
	countTries = 3
)

// tally is how many members a channel has at a place in its presence log.
type tally struct {
	at      broker.Position
	members int
}

// counts are the tallies that sessions ask for: where many do so at once, as in a wave of reconnects, the broker is asked
// once for all of them.
type counts struct {
	node *Node

	mu       sync.Mutex
	channels map[string]*counting
}

// counting is what is known of a channel, guarded by the lock of counts.
type counting struct {
	known   tally
	asked   int64 // when it was asked for, Unix milliseconds; 0 while nothing is known
	reading bool
	waiting []counter // for the read under way
	next    []counter // for the one after it: what they ask for may be too new for this one
}

// counter is one who wants to know.
type counter struct {
	shard *Shard
	then  func(tally, error)
}

// tell calls then on the loop of sh with the number of members at or after a place in the presence log; one with Offset 0 is
// any. just says that the log has only now come there, so that a read that is under way may not have seen it.
func (c *counts) tell(sh *Shard, channel string, after broker.Position, just bool, then func(tally, error)) {
	c.mu.Lock()
	ch := c.channels[channel]
	if ch == nil {
		ch = &counting{}
		if c.channels == nil {
			c.channels = make(map[string]*counting)
		}
		c.channels[channel] = ch
	}
	known, who := ch.known, counter{sh, then}
	switch {
	case ch.fresh(c.node) && (after.Offset == 0 || known.at.Epoch == after.Epoch && known.at.Offset >= after.Offset):
		c.mu.Unlock()
		then(known, nil)
		return
	case !ch.reading:
		ch.reading, ch.waiting = true, []counter{who}
		c.mu.Unlock()
		c.read(sh, channel, ch)
		return
	case just:
		ch.next = append(ch.next, who)
	default:
		ch.waiting = append(ch.waiting, who)
	}
	c.mu.Unlock()
}

func (ch *counting) fresh(n *Node) bool {
	return ch.asked != 0 && n.cfg.Now().UnixMilli() < ch.asked+countFor.Milliseconds()
}

// read asks the broker.
func (c *counts) read(sh *Shard, channel string, ch *counting) {
	state, asked := c.node.cfg.Broker.(broker.State), c.node.cfg.Now().UnixMilli()
	ok := c.node.cfg.Task(func(ctx context.Context) {
		t, err := readTally(ctx, state, dialect.PresencePrefix+channel)
		sh.loop.Post(func() { c.have(sh, channel, ch, t, asked, err) })
	})
	if !ok {
		c.have(sh, channel, ch, tally{}, 0, hub.ErrBusy)
	}
}

// readTally counts, and looks before and after at which place of the log that is.
func readTally(ctx context.Context, state broker.State, log string) (t tally, err error) {
	for try := 0; ; try++ {
		page, err := state.State(ctx, log, broker.StateQuery{Limit: 1})
		if err != nil {
			return t, err
		}
		at := broker.Position{Epoch: page.Epoch, Offset: page.Head}
		if try > 0 && (at == t.at || try == countTries) {
			return t, nil
		}
		t.at = at
		if t.members, err = state.Keys(ctx, log); err != nil {
			return t, err
		}
	}
}

// have answers those who have waited. It runs on the loop of sh.
func (c *counts) have(sh *Shard, channel string, ch *counting, t tally, asked int64, err error) {
	if err == nil {
		c.node.roster.noticed(channel, t.members)
	}
	c.mu.Lock()
	if err == nil {
		ch.known, ch.asked = t, asked
	}
	waiting := ch.waiting
	ch.waiting, ch.next = ch.next, nil
	var next *Shard
	if ch.reading = len(ch.waiting) > 0; ch.reading {
		next = ch.waiting[0].shard
	}
	c.mu.Unlock()
	if next != nil {
		c.read(next, channel, ch)
	} else {
		sh.loop.After(countFor, func() { c.forget(channel, ch) })
	}
	for _, w := range waiting {
		if w.shard == sh {
			w.then(t, err)
		} else {
			w.shard.loop.Post(func() { w.then(t, err) })
		}
	}
}

// forget drops what is too old to be told.
func (c *counts) forget(channel string, ch *counting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ch.reading && !ch.fresh(c.node) && c.channels[channel] == ch {
		delete(c.channels, channel)
	}
}
