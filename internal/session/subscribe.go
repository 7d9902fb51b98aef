package session

import (
	"context"
	"slices"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
	"hocket.dev/internal/rule"
)

// subscription is a channel that a session follows.
type subscription struct {
	channel string
	rule    *rule.Rule
	filter  int32 // bytes of it
	main    follower
	members *follower    // on the presence log, nil for none
	asked   *subscribing // nil once the subscribe request has been answered
	info    []byte       // what the back end has it tell about itself here; nil for what it tells everywhere
	member  *membership  // nil for none
}

// subscribing is a subscribe request that has not been answered.
type subscribing struct {
	id      dialect.ID
	args    dialect.SubscribeArgs
	reply   dialect.Subscribed
	waiting []*dialect.Command // that came for this channel meanwhile
}

func (s *Session) find(channel string) *subscription {
	for _, sub := range s.subs {
		if sub.channel == channel {
			return sub
		}
	}
	return nil
}

func (s *Session) subscribe(c *dialect.Command, sub *subscription) {
	limits := &s.shard.node.cfg.Limits
	r := s.shard.node.cfg.Rules.For(c.Channel)
	barrier := s.mayNotFollow(c.Channel, r, c.Subscribe.Presence != dialect.PresenceOff)
	switch {
	case sub != nil:
		s.fail(c.ID, c.Channel, dialect.Errorf(dialect.AlreadySubscribed, "this session is subscribed to %s already", c.Channel))
		return
	case len(s.subs) >= limits.Subscriptions:
		s.fail(c.ID, c.Channel, dialect.Errorf(dialect.LimitReached, "a session may have at most %d subscriptions", limits.Subscriptions))
		return
	case barrier != nil:
		s.fail(c.ID, c.Channel, barrier)
		return
	case c.Subscribe.Presence != dialect.PresenceOff && !r.Presence:
		s.fail(c.ID, c.Channel, dialect.Errorf(dialect.PermissionDenied, "presence of %s is not to be had: its rule keeps none", c.Channel))
		return
	}
	f := newFilter(c.Subscribe.Filter)
	if f != "" && s.filterBytes()+len(f) > maxFilterBytes {
		s.fail(c.ID, c.Channel, dialect.Errorf(dialect.LimitReached, "the filters of a session may have at most %d bytes together", maxFilterBytes))
		return
	}
	if s.refused(c, r) {
		return
	}
	sub = &subscription{channel: c.Channel, rule: r, filter: int32(len(f)), asked: &subscribing{id: c.ID, args: *c.Subscribe}}
	sub.main.session, sub.main.sub = s, sub
	s.subs = append(s.subs, sub)
	s.begin(c.ID)
	if r.Ask.Has(rule.CanSubscribe) {
		s.askToFollow(sub)
		return
	}
	s.come(sub)
}

// come lets the session into a channel that it may follow.
func (s *Session) come(sub *subscription) {
	if sub.asked.args.Presence == dialect.PresenceOff {
		s.follow(sub)
		return
	}
	s.enter(sub)
}

// follow places the main cursor. It is the last step that can fail: what has gone before is in sub.reply.
func (s *Session) follow(sub *subscription) {
	args := &sub.asked.args
	sub.main.since = s.shard.node.seconds()
	start := hub.Start{Last: args.Last, Since: s.shard.node.cfg.Now().Add(-args.Since).UnixMilli()}
	switch args.Start {
	case dialect.StartLast:
		start.Kind = hub.Last
	case dialect.StartSince:
		start.Kind = hub.Since
	case dialect.StartState:
		start.Kind = hub.State
	case dialect.StartPosition:
		start.Kind = hub.Position
		start.Position = broker.Position{Epoch: args.Epoch, Offset: args.Offset}
		start.WantsState = args.WantsState
	}
	limits := &s.shard.node.cfg.Limits
	s.shard.node.cfg.Hub.Subscribe(hub.Request{
		Channel: sub.channel, Rule: sub.rule.Pattern, Loop: s.shard.index, Owner: &sub.main,
		Encoding: framed{s.codec.Encoding(), s.framing, newFilter(args.Filter)}, Start: start,
		Overflow: sub.rule.Overflow, History: sub.rule.History, Sample: sub.rule.Sample,
		LagBytes: limits.LagBytes, LagAge: limits.LagAge,
	}, &sub.main.Cursor, func(p hub.Placed, err error) { s.followed(sub, p, err) })
}

// followed answers the subscribe request.
func (s *Session) followed(sub *subscription, p hub.Placed, err error) {
	if err != nil {
		s.unfollowed(sub, asError(err, sub.channel))
		return
	}
	a := sub.asked
	if barrier := s.mayNotFollow(sub.channel, sub.rule, a.args.Presence != dialect.PresenceOff); barrier != nil { // since it asked
		s.unfollowed(sub, barrier)
		return
	}
	sub.asked = nil
	sub.channel = sub.main.Channel() // one string for all followers on this node
	s.end(a.id)
	if a.id.Kind != dialect.IDNone {
		r := &a.reply
		r.Channel, r.Epoch, r.Offset, r.Recovered = sub.channel, p.Epoch, p.Offset, p.Recovered
		r.E2E = sub.rule.E2E
		s.say(a.id, r)
	}
	if a.args.Presence != dialect.PresenceOff {
		s.watch(sub, a)
	}
	s.goOn(a)
}

// unfollowed answers a subscribe request that failed.
func (s *Session) unfollowed(sub *subscription, err *dialect.Error) {
	a := sub.asked
	s.end(a.id)
	s.drop(sub)
	s.fail(a.id, sub.channel, err)
	s.goOn(a)
}

// goOn carries out the commands that waited for an answer.
func (s *Session) goOn(a *subscribing) { s.doLater(a.waiting) }

// doLater carries out commands that have waited.
func (s *Session) doLater(waiting []*dialect.Command) {
	for _, c := range waiting {
		s.letGo(c)
		s.end(c.ID)
		if s.closing || s.closed {
			return
		}
		s.Tick()
		s.do(c)
	}
}

// Ended implements hub.Owner.
func (f *follower) Ended(_ *hub.Cursor, err error) {
	s, sub := f.session, f.sub
	if s.closed || !slices.Contains(s.subs, sub) {
		return
	}
	s.drop(sub)
	if err != hub.ErrClosed {
		s.say(dialect.NoID, &dialect.Unsubscribed{Channel: sub.channel, Err: asError(err, sub.channel)})
	}
}

func (s *Session) unsubscribe(c *dialect.Command, sub *subscription) {
	if sub == nil {
		s.fail(c.ID, c.Channel, dialect.Errorf(dialect.NotSubscribed, "this session is not subscribed to %s", c.Channel))
		return
	}
	s.drop(sub)
	if c.ID.Kind != dialect.IDNone {
		s.say(c.ID, &dialect.Done{Channel: c.Channel})
	}
}

// drop ends a subscription.
func (s *Session) drop(sub *subscription) {
	s.release(sub)
	if i := slices.Index(s.subs, sub); i >= 0 {
		s.subs = slices.Delete(s.subs, i, i+1)
	}
}

// release frees what a subscription holds outside the session.
func (s *Session) release(sub *subscription) {
	sub.main.Close()
	if sub.members != nil {
		sub.members.Close()
		sub.members = nil
	}
	sub.depart(false)
}

// task runs work elsewhere and done on the loop afterwards, unless the session has ended. It answers false when too
// many tasks are under way.
func (s *Session) task(work func(ctx context.Context), done func()) bool {
	return s.shard.node.cfg.Task(func(ctx context.Context) {
		work(ctx)
		s.shard.loop.Post(func() {
			if !s.closed {
				done()
			}
		})
	})
}
