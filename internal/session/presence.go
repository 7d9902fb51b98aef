package session

import (
	"context"
	"log/slog"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
)

// Presence is a log that the server writes: key is the session, the payload its info.

// gatherFor is how long arrivals and departures wait for each other to be told in one message.
const gatherFor = 200 * time.Millisecond

// leaveRetry is how long a leave that the broker did not take waits before it is tried again, and leaveTries how often.
const (
	leaveRetry = time.Second
	leaveTries = 60
)

// present makes the presence entry of the session.
func (s *Session) present(op broker.Op) broker.Entry {
	e := broker.Entry{
		Key: s.name, Op: op, Format: broker.JSON,
		From: &broker.Member{Session: s.name, User: s.who.user}, NoEcho: true,
	}
	if op == broker.Set {
		e.Payload = s.who.info
		if e.Payload == nil {
			e.Payload = []byte("null")
		}
	}
	return e
}

// enter makes the session a member, where it wants to be one, and counts the members.
func (s *Session) enter(sub *subscription) {
	if sub.asked.args.Presence == dialect.PresenceWatch {
		s.count(sub)
		return
	}
	sub.member = true
	s.append(dialect.PresencePrefix+sub.channel, s.present(broker.Set), presenceKeep, func(r broker.Receipt, err error) {
		switch {
		case s.find(sub.channel) != sub: // unsubscribed meanwhile: the leave has been written
		case err != nil:
			sub.member = !refused(err) // else the join may have been written
			s.unfollowed(sub, asError(err, sub.channel))
		default:
			sub.asked.reply.PresenceEpoch, sub.asked.reply.PresenceOffset = r.Epoch, r.Offset
			s.count(sub)
		}
	})
}

// announce tells the others on every channel where the session is a member that its info has changed. An announcement
// that the broker does not take is not repeated: it changes what is shown of a member, never who is one.
func (s *Session) announce() {
	for _, sub := range s.subs {
		if !sub.member {
			continue
		}
		e := s.present(broker.Set)
		e.Headers = map[string]string{dialect.UpdateHeader: "1"}
		s.append(dialect.PresencePrefix+sub.channel, e, presenceKeep, func(broker.Receipt, error) {})
	}
}

// count asks for the number of members, and for the log's position where no join has told it.
func (s *Session) count(sub *subscription) {
	state, ok := s.shard.node.cfg.Broker.(broker.State)
	if !ok {
		s.unfollowed(sub, asError(hub.ErrNoState, sub.channel))
		return
	}
	var page broker.Page
	var n int
	var err error
	log, reply := dialect.PresencePrefix+sub.channel, &sub.asked.reply
	joined := reply.PresenceEpoch != ""
	ok = s.task(func(ctx context.Context) {
		if !joined {
			page, err = state.State(ctx, log, broker.StateQuery{Limit: 1})
		}
		if err == nil {
			n, err = state.Keys(ctx, log)
		}
	}, func() {
		switch {
		case s.find(sub.channel) != sub:
		case err != nil:
			s.unfollowed(sub, asError(err, sub.channel))
		default:
			if !joined {
				reply.PresenceEpoch, reply.PresenceOffset = page.Epoch, page.Head
			}
			reply.Count, reply.HasCount = n, true
			s.follow(sub)
		}
	})
	if !ok {
		s.unfollowed(sub, asError(hub.ErrBusy, sub.channel))
	}
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
		Channel: dialect.PresencePrefix + sub.channel, Loop: s.shard.index, Owner: f,
		Encoding: framed{encoding: s.codec.Encoding(), framing: s.framing},
		Start:    hub.Start{Kind: hub.Position, Position: at},
		History:  presenceKeep, Gather: gatherFor,
	}, &f.Cursor, func(_ hub.Placed, err error) {
		if err != nil && sub.members == f {
			f.Ended(nil, err)
		}
	})
}

// leave writes that the session is gone from a channel.
func (s *Session) leave(channel string) {
	s.shard.leave(dialect.PresencePrefix+channel, s.present(broker.Delete), 1)
}

// leave tries until the broker has taken the entry: a leave that is lost leaves a ghost behind.
func (sh *Shard) leave(log string, e broker.Entry, try int) {
	sh.node.cfg.Broker.Publish(log, e, retention(presenceKeep), func(_ broker.Receipt, err error) {
		if err == nil || err == broker.ErrClosed {
			return
		}
		sh.loop.Post(func() {
			if try == leaveTries {
				sh.node.cfg.Log.Error("a member could not be removed", slog.String("log", log), slog.Any("error", err))
				return
			}
			sh.loop.After(leaveRetry, func() { sh.leave(log, e, try+1) })
		})
	})
}
