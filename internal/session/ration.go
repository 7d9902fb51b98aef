package session

import (
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/limit"
	"hocket.dev/internal/rule"
)

// pauseRate is that a rule slows the session down.
const pauseRate pause = 1 << 7

// excess is what there is no room for.
type excess struct {
	of    Scope
	kind  limit.Kind
	wait  time.Duration // until there is
	count int64         // of refusals that it is; 0 is one
}

// incoming takes so many messages of so many bytes together. The excess says why that cannot be; its wait is 0 where it can.
func (s *Session) incoming(messages, bytes int64) (e excess) {
	e.count = messages
	if e.of, e.wait = s.spend(limit.Messages, messages); e.wait > 0 {
		e.kind = limit.Messages
	} else if e.of, e.wait = s.spend(limit.Bytes, bytes); e.wait > 0 {
		e.kind = limit.Bytes
		s.refund(limit.Messages, messages)
	}
	return e
}

// rejectAll answers the commands of a message for which there is no room.
func (s *Session) rejectAll(commands []dialect.Command, e excess) {
	for i := range commands {
		if s.closing || s.closed {
			return
		}
		s.ration(commands[i].ID, named(&commands[i]), e)
	}
}

// Ration takes a message that is answered, or thrown away, by the transport itself. It answers false where there is no
// room for it.
func (s *Session) Ration(bytes int) bool { return s.rationed(1, int64(bytes)) }

func (s *Session) rationed(messages, bytes int64) bool {
	if s.closing || s.closed {
		return false
	}
	e := s.incoming(messages, bytes)
	if e.wait > 0 {
		s.ration(dialect.NoID, "", e)
	}
	return e.wait == 0
}

// refused takes what a command is counted as, with the channel's rule, nil for a call. It answers true where there is no
// room, which the client has then been told.
func (s *Session) refused(c *dialect.Command, r *rule.Rule) bool {
	kind, name, payload := limit.Calls, c.Method, 0
	switch c.Verb {
	case dialect.Subscribe:
		kind, name = limit.Subscribes, c.Channel
	case dialect.Publish:
		kind, name, payload = limit.Publishes, c.Channel, len(c.Payload)
	}
	e := excess{kind: kind}
	if e.of, e.wait = s.spend(kind, 1); e.wait == 0 && (r != nil && r.Rated() != nil || s.who.limited()) {
		if e = s.takeOf(s.ratedFor(kind, name, r), kind, payload); e.wait > 0 {
			s.refund(kind, 1)
		}
	}
	if e.wait > 0 {
		s.ration(c.ID, named(c), e)
	}
	return e.wait > 0
}

// limited tells whether capabilities have limits.
func (who *identity) limited() bool {
	return who.grant != nil && who.grant.Capabilities.Limited() || who.given.Limited()
}

// ratedFor are the rates of the session's capabilities that hold for something of a kind, and last those of the rule, nil for a call.
// They are good until the next call on the loop.
func (s *Session) ratedFor(kind limit.Kind, name string, r *rule.Rule) []*rule.Rated {
	all := s.shard.rated[:0]
	if g := s.who.grant; g != nil {
		all = g.Capabilities.AppendRated(all, kind, name)
	}
	all = s.who.given.AppendRated(all, kind, name)
	if r != nil && r.Rated() != nil {
		all = append(all, r.Rated())
	}
	s.shard.rated = all
	return all
}

// takeOf takes a command of a kind from what rates of capabilities and of a rule allow: from all, or from none, and says for whose
// that is and how long it has to wait. Those of a rule are the last: what capabilities refuse is no loss to others in the channel.
func (s *Session) takeOf(all []*rule.Rated, kind limit.Kind, payload int) excess {
	n := int64(payload)
	for i, r := range all {
		if !s.takeFrom(r, kind, n) {
			for _, r := range all[:i] { // of capabilities
				own := s.metered().of(r, s.shard.now)
				own[kind].GiveBack(&r.Session[kind], 1)
				own[limit.Bytes].GiveBack(&r.Session[limit.Bytes], n)
			}
			return s.overdraw(all, kind, n)
		}
	}
	return excess{}
}

// takeFrom takes a command of a kind and n bytes from rates, or nothing where there is no room for both.
func (s *Session) takeFrom(r *rule.Rated, kind limit.Kind, n int64) bool {
	now := s.shard.now
	own := s.metered().of(r, now)
	if own[kind].Take(&r.Session[kind], now, 1) > 0 {
		return false
	}
	if own[limit.Bytes].Take(&r.Session[limit.Bytes], now, n) == 0 {
		if r.Total == nil {
			return true
		}
		if all := &s.shard.node.quotas.rules[r.Index]; all.Take(r.Total, kind, now, 1) == 0 {
			if all.Take(r.Total, limit.Bytes, now, n) == 0 {
				return true
			}
			all.GiveBack(r.Total, kind, 1)
		}
		own[limit.Bytes].GiveBack(&r.Session[limit.Bytes], n)
	}
	own[kind].GiveBack(&r.Session[kind], 1)
	return false
}

// overdraw takes what there is no room for where all that have none slow down, and it is not far; the session is not read then
// until there is room. Else it takes nothing.
func (s *Session) overdraw(all []*rule.Rated, kind limit.Kind, n int64) (e excess) {
	var slow time.Duration
	now, m, rules := s.shard.now, s.metered(), s.shard.node.quotas.rules
	wants := [...]struct {
		kind limit.Kind
		n    int64
	}{{kind, 1}, {limit.Bytes, n}}
	for _, r := range all {
		own := m.of(r, now)
		for _, w := range wants {
			wait := own[w.kind].Wait(&r.Session[w.kind], now, w.n)
			if r.Total != nil {
				wait = max(wait, rules[r.Index].Wait(r.Total, w.kind, now, w.n))
			}
			if r.AtLimit == rule.Slow && wait <= slowest {
				slow = max(slow, wait)
			} else if wait > e.wait {
				e = excess{of: scopeOf(r), kind: w.kind, wait: wait}
			}
		}
	}
	if e.wait > 0 {
		return e
	}
	for _, r := range all {
		own := m.of(r, now)
		for _, w := range wants {
			own[w.kind].Owe(&r.Session[w.kind], now, w.n)
			if r.Total != nil {
				rules[r.Index].Owe(r.Total, w.kind, now, w.n)
			}
		}
	}
	if slow > 0 {
		s.slow(slow)
	}
	return excess{}
}

// scopeOf is whose limits rates are.
func scopeOf(r *rule.Rated) Scope {
	if r.Capability != "" {
		return OfCapability
	}
	return OfRule
}

// slow has the session not read for a time.
func (s *Session) slow(d time.Duration) {
	until := s.shard.now + d
	if s.share.meter.slowTo = max(s.share.meter.slowTo, until); s.paused&pauseRate == 0 {
		s.pause(pauseRate)
		s.shard.loop.After(d, s.speedUp)
	}
}

// speedUp has the session read again when it is time.
func (s *Session) speedUp() {
	if s.closing || s.closed {
		return
	}
	if left := s.share.meter.slowTo - s.shard.node.elapsed(); left > 0 {
		s.shard.loop.After(left, s.speedUp)
		return
	}
	s.resume(pauseRate)
}

// ration tells that there is no room for a request. A session that goes on and on is closed.
func (s *Session) ration(id dialect.ID, channel string, e excess) {
	q := s.shard.node.quotas
	q.refused[e.of][e.kind].Add(1)
	err := dialect.Errorf(dialect.RateLimited, "too many %s %s: wait %v", e.kind, [Scopes]string{
		OfSession: "of this session", OfUser: "of this user", OfAddress: "of this address", OfRule: "in this channel",
		OfCapability: "under a capability of this client",
	}[e.of], max(e.wait.Round(time.Millisecond), time.Millisecond))
	err.RetryAfter = e.wait
	s.fail(id, channel, err)
	if s.metered().buckets[limit.Refusals].Take(&q.session[limit.Refusals], s.shard.now, max(e.count, 1)) > 0 {
		s.strike()
	}
}
