package session

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
	"hocket.dev/internal/rule"
)

// Presence is a log that the server writes: key is the session, the payload its info.

// presenceGather is how long joins and leaves wait for each other to be told in one message.
const presenceGather = 200 * time.Millisecond

// presenceKeep is how presence logs are kept: a member stays in the state until it leaves, and the log reaches back far
// enough to resume. Nobody asks its state who has left.
var presenceKeep = rule.History{Count: 1000, Deletes: time.Second}

// enter makes the session a member, where it wants to be one, and counts the members.
func (s *Session) enter(sub *subscription) {
	node := s.shard.node
	if _, ok := node.cfg.Broker.(broker.State); !ok {
		s.unfollowed(sub, asError(hub.ErrNoState, sub.channel))
		return
	}
	if sub.asked.args.Presence == dialect.PresenceWatch {
		s.count(sub)
		return
	}
	m := node.roster.take(s.name, sub.channel)
	if m == nil {
		m = &membership{channel: sub.channel, from: &broker.Member{Session: s.name, User: s.who.user}}
	}
	m.shard, m.grace, m.wanted, sub.member = s.shard, graceOf(sub.rule), sub.tells(), m
	before := m.at
	m.done = func(err error) {
		if err != nil {
			s.unfollowed(sub, asError(err, sub.channel))
			return
		}
		if m.at != before { // who comes back before it was missed has written nothing
			sub.asked.reply.PresenceEpoch, sub.asked.reply.PresenceOffset = m.at.Epoch, m.at.Offset
		}
		s.count(sub)
	}
	same := bytes.Equal(m.info, m.wanted)
	if same && m.at.Offset != 0 && node.alone.Load() && lifeOf(m.mark) == node.life() {
		m.resumed = node.cfg.Now().UnixMilli()
		m.settle(nil)
		return
	}
	m.mark = node.mark(s.began)
	m.busy = true
	node.lease.await(s.shard, func(err error) {
		switch {
		case err != nil || m.wish >= toLinger: // who is going has nothing to tell any more
			m.settle(err)
		case m.at.Offset == 0:
			m.join(joinTries)
		default: // a request of the client that is late on another node sees that it is
			m.enter(m.entry(broker.Set, m.at.Offset, headerFor(bytes.Equal(m.info, m.wanted))), joinTries)
		}
	})
}

// mark names a new membership among all: by this life of the node, by its number there, and by when its session began.
func (n *Node) mark(began int64) string {
	return n.life() + "/" + strconv.FormatUint(n.marks.Add(1), 36) + "/" + strconv.FormatInt(began, 10)
}

// lifeOf is the life of a node that a mark names.
func lifeOf(mark string) string {
	life, _, _ := strings.Cut(mark, "/")
	return life
}

// beganOf is when the session of a mark began, Unix milliseconds.
func beganOf(mark string) int64 {
	began, _ := strconv.ParseInt(mark[strings.LastIndexByte(mark, '/')+1:], 10, 64)
	return began
}

// depart ends the membership of a subscription. lost says that the session may come back to it.
func (sub *subscription) depart(lost bool) {
	m := sub.member
	if m == nil {
		return
	}
	sub.member, m.done = nil, nil
	if m.wish = toLeave; lost && m.grace > 0 {
		m.wish = toLinger
	}
	m.turn()
}

// tells is what a member tells about itself, nil for nothing.
func (sub *subscription) tells() []byte {
	if sub.info != nil {
		return sub.info
	}
	return sub.main.session.who.info
}

// announce tells the others on every channel where the session is a member that its info has changed.
func (s *Session) announce() {
	for _, sub := range s.subs {
		if m := sub.member; m != nil {
			if m.wanted = sub.tells(); !m.busy {
				m.wish = max(m.wish, toTell) // one that waits to be written again tells it by that
				m.turn()
			}
		}
	}
}

// count asks for the number of members, and for its place in the log.
func (s *Session) count(sub *subscription) {
	reply := &sub.asked.reply
	joined := reply.PresenceEpoch != ""
	after := broker.Position{Epoch: reply.PresenceEpoch, Offset: reply.PresenceOffset}
	var own broker.Position // of a member; one that has been missed by nobody has written nothing
	if sub.member != nil {
		own = sub.member.at
	}
	if !joined {
		after = own
	}
	s.shard.node.counts.tell(s.shard, sub.channel, after, joined, func(t tally, err error) {
		switch {
		case s.closed || s.find(sub.channel) != sub:
		case err != nil:
			s.unfollowed(sub, asError(err, sub.channel))
		case own.Offset != 0 && (t.at.Epoch != own.Epoch || t.at.Offset < own.Offset): // the log began anew
			sub.depart(false)
			s.enter(sub)
		default:
			reply.PresenceEpoch, reply.PresenceOffset = t.at.Epoch, t.at.Offset // what comes after it is told
			reply.Count, reply.HasCount = t.members, true
			s.follow(sub)
		}
	})
}

// watch places the cursor on the presence log: after the position told in the reply, or the one the client resumes at.
func (s *Session) watch(sub *subscription, a *subscribing) {
	at := broker.Position{Epoch: a.reply.PresenceEpoch, Offset: a.reply.PresenceOffset}
	if a.args.HasPresenceFrom {
		at = a.args.PresenceFrom
	}
	f := &follower{session: s, sub: sub, since: s.shard.node.seconds()}
	sub.members = f
	s.shard.node.cfg.Hub.Subscribe(hub.Request{
		Channel: dialect.PresencePrefix + sub.channel, Rule: sub.rule.Pattern, Loop: s.shard.index, Owner: f,
		Encoding: framed{encoding: s.codec.Encoding(), framing: s.framing},
		Start:    hub.Start{Kind: hub.Position, Position: at},
		History:  presenceKeep, Gather: presenceGather,
	}, &f.Cursor, func(p hub.Placed, err error) {
		switch {
		case sub.members != f:
		case err != nil:
			f.Ended(nil, err)
		case a.args.HasPresenceFrom && !p.Recovered: // who resumes a list has to know that it is out of date
			s.say(dialect.NoID, &dialect.GapNotice{Channel: f.Channel(), From: missedFrom(at, p), To: p.Offset, Reason: "unavailable"})
		}
	})
}

// missedFrom is the first offset that a client that knows the log up to at may have missed, 0 when it knows another log.
func missedFrom(at broker.Position, p hub.Placed) uint64 {
	if at.Epoch == p.Epoch && at.Offset < p.Offset {
		return at.Offset + 1
	}
	return 0
}
