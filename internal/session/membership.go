package session

import (
	"bytes"
	"context"
	"errors"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
)

const (
	// leaveRetry is how long what the broker did not take of a membership waits before it is tried again.
	leaveRetry = time.Second
	// joinTries is how often a session tries to become a member while others write its key.
	joinTries = 8
)

// membership is a session's place among the members of a channel: the newest entry of its key in the presence log. Every
// write says which entry it follows on, so that nobody is made to leave who has come back elsewhere. A membership
// belongs to one loop at a time, has one write under way at a time, and outlives its session while something is owed.
type membership struct {
	shard   *Shard
	channel string
	grace   time.Duration
	from    *broker.Member
	mark    string          // in its entries: which node and session wrote them
	info    []byte          // as its newest entry tells it, nil for none
	wanted  []byte          // the info that is to be told
	at      broker.Position // of its newest entry; Offset 0 when there is none
	resumed int64           // when its session came back to it without a word, Unix milliseconds; 0 for never
	unsure  bool            // the outcome of a write is not known: there may be a newer entry
	busy    bool            // a write is under way
	wish    wish            // what comes next
	done    func(error)     // of the join under way; nil when nobody waits for it

	wait slot // in the roster
}

// wish is what is to be done with a membership as soon as nothing is under way.
type wish uint8

const (
	toStay   wish = iota
	toTell        // the info, when it has changed
	toRenew       // write its entry again, for another life of the node
	toLinger      // wait for the session to come back
	toLeave
)

// turn does what is wished, unless something is under way.
func (m *membership) turn() {
	if m.busy {
		return
	}
	switch m.wish {
	case toTell, toRenew:
		m.again()
	case toLinger:
		if m.at.Offset == 0 || m.unsure || !m.shard.node.roster.keep(m) {
			m.wish = toLeave
			m.leave()
		}
	case toLeave:
		m.leave()
	}
}

// settle ends a write, answers who waits for it, and goes on.
func (m *membership) settle(err error) {
	m.busy = false
	if done := m.done; done != nil {
		m.done = nil
		done(err)
	}
	if m.wish == toStay && err == nil && !bytes.Equal(m.info, m.wanted) {
		m.wish = toTell
	}
	m.turn()
}

// entry makes an entry of the presence log that follows on the one at an offset.
func (m *membership) entry(op broker.Op, after uint64, header string) broker.Entry {
	e := broker.Entry{
		Key: m.from.Session, Op: op, Format: broker.JSON, From: m.from, NoEcho: true,
		Expect: after, HasExpect: true,
	}
	if op == broker.Set {
		if e.Payload = m.wanted; e.Payload == nil {
			e.Payload = []byte("null")
		}
		e.Headers = map[string]string{dialect.NodeHeader: m.mark}
		if header != "" {
			e.Headers[header] = "1"
		}
	}
	m.shard.node.roster.label(m.channel, &e)
	return e
}

// join makes the session a member. Where its key has an entry, of the session that the client had before, it goes on
// from that: silently when it tells the same.
func (m *membership) join(tries int) { m.enter(m.entry(broker.Set, 0, ""), tries) }

func (m *membership) enter(e broker.Entry, tries int) {
	m.write(e, func(err error, there *broker.ConflictError) {
		switch {
		case there == nil:
			m.settle(err)
		case m.wish >= toLinger: // who is going does not take a place that another session may have
			m.settle(err)
		case tries == 0:
			m.settle(broker.ErrBusy)
		case there.Offset == 0:
			m.join(tries - 1)
		default:
			m.look(there.Offset, func(e *broker.Entry, err error) {
				switch {
				case err != nil:
					m.settle(err)
				case e == nil:
					m.join(tries - 1)
				case beganOf(e.Headers[dialect.NodeHeader]) > beganOf(m.mark):
					m.settle(nil) // the client has come back elsewhere, faster than this request was answered
				default:
					m.enter(m.entry(broker.Set, e.Offset, headerFor(sameInfo(e.Payload, m.wanted))), tries-1)
				}
			})
		}
	})
}

// again writes the entry of a member again: with other info, or for another life of the node, once the others know of that.
func (m *membership) again() {
	wish := m.wish
	m.wish = toStay
	if wish == toTell && !m.unsure && (bytes.Equal(m.info, m.wanted) || m.at.Offset == 0) {
		m.info = m.wanted // where a newer session has the place, it tells for itself
		m.settle(nil)
		return
	}
	m.busy = true
	m.shard.node.lease.await(m.shard, func(err error) {
		switch {
		case err != nil:
			m.later(wish)
		case m.wish >= toLinger: // who is going has nothing to tell any more
			m.settle(nil)
		case wish == toRenew && m.at.Offset == 0 && !m.unsure:
			m.join(joinTries)
		default:
			m.rewrite(wish)
		}
	})
}

// rewrite is again for a member that has an entry, or may have.
func (m *membership) rewrite(wish wish) {
	m.write(m.entry(broker.Set, m.at.Offset, headerFor(bytes.Equal(m.info, m.wanted))), func(err error, there *broker.ConflictError) {
		switch {
		case err == nil:
			m.settle(nil)
		case there == nil:
			m.later(wish)
		case there.Offset == 0 || !m.unsure: // a newer session has the place, or had it; or other nodes have written this one off
			m.at, m.unsure = broker.Position{}, false
			m.wish = max(m.wish, wish)
			m.settle(nil)
		default:
			m.look(there.Offset, func(e *broker.Entry, err error) {
				switch {
				case err == nil && e != nil && e.Headers[dialect.NodeHeader] == m.mark:
					m.at.Offset, m.info, m.unsure = e.Offset, e.Payload, false
				case err == nil && e != nil:
					m.at, m.unsure = broker.Position{}, false
				default:
					m.later(wish)
					return
				}
				m.wish = max(m.wish, wish)
				m.settle(nil)
			})
		}
	})
}

// later has m try again after a while what the broker did not take.
func (m *membership) later(wish wish) {
	m.busy = false
	if m.wish >= toLinger {
		m.turn()
		return
	}
	m.wish = max(m.wish, wish)
	m.shard.node.roster.retry(m)
}

func headerFor(same bool) string {
	if same {
		return dialect.SilentHeader
	}
	return dialect.UpdateHeader
}

// write publishes a Set and notes what has come of it. there is what has kept it from being written, if that was another
// entry.
func (m *membership) write(e broker.Entry, then func(err error, there *broker.ConflictError)) {
	m.busy = true
	info := m.wanted
	m.append(e, func(r broker.Receipt, err error) {
		var there *broker.ConflictError
		switch {
		case err == nil:
			m.at, m.info, m.unsure = r.Position, info, false
			m.shard.node.roster.counted(m.channel, &e)
		case !errors.As(err, &there):
			m.unsure = m.unsure || !refused(err)
		}
		then(err, there)
	})
}

func (m *membership) append(e broker.Entry, then func(broker.Receipt, error)) {
	m.shard.append(dialect.PresencePrefix+m.channel, e, presenceKeep, then)
}

// sameInfo compares what an entry tells with an info that is nil for none.
func sameInfo(payload, info []byte) bool {
	return bytes.Equal(payload, info) || info == nil && string(payload) == "null"
}

// look reads the entry that the key has at an offset; it is nil when that has changed.
func (m *membership) look(offset uint64, then func(*broker.Entry, error)) {
	m.shard.look(dialect.PresencePrefix+m.channel, m.from.Session, offset, then)
}

// look reads the entry that a key of a log has at an offset, and calls then on the loop: with nil when that has changed.
func (sh *Shard) look(log, key string, offset uint64, then func(*broker.Entry, error)) {
	state, ok := sh.node.cfg.Broker.(broker.State)
	if !ok {
		then(nil, hub.ErrNoState)
		return
	}
	ok = sh.node.cfg.Task(func(ctx context.Context) {
		page, err := state.State(ctx, log, broker.StateQuery{After: offset - 1, Limit: 1})
		sh.loop.Post(func() {
			if err == nil && len(page.Entries) == 1 && page.Entries[0].Offset == offset && page.Entries[0].Key == key {
				then(page.Entries[0], nil)
				return
			}
			then(nil, err)
		})
	})
	if !ok {
		then(nil, hub.ErrBusy)
	}
}

// leave deletes the entry of the membership, and only that. It goes on until it is sure that the entry is not there:
// else a ghost would stay behind.
func (m *membership) leave() {
	expect := m.at.Offset
	if expect == 0 {
		if !m.unsure {
			m.wish = toStay
			return
		}
		expect = broker.MaxOffset // which no entry has: this only asks what is there
	}
	m.busy = true
	e := m.entry(broker.Delete, expect, "")
	m.append(e, func(_ broker.Receipt, err error) {
		var there *broker.ConflictError
		switch {
		case err == nil:
			m.shard.node.roster.counted(m.channel, &e)
			m.left()
		case err == broker.ErrClosed:
			m.left()
		case !errors.As(err, &there): // when it was applied after all, the next try finds nothing
			m.leaveLater()
		case there.Offset == 0 || !m.unsure:
			m.left()
		default:
			m.look(there.Offset, m.leaveFound)
		}
	})
}

// leaveFound goes on with what was found where a write of unknown outcome may have gone.
func (m *membership) leaveFound(e *broker.Entry, err error) {
	switch {
	case err != nil, e == nil:
		m.leaveLater()
	case e.Headers[dialect.NodeHeader] != m.mark:
		m.left()
	default:
		m.at.Offset, m.unsure = e.Offset, false
		m.leave()
	}
}

func (m *membership) left() {
	m.busy, m.unsure, m.at, m.wish = false, false, broker.Position{}, toStay
}

func (m *membership) leaveLater() {
	m.busy = false
	m.shard.node.roster.retry(m)
}
