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
	kind, payload := limit.Calls, 0
	switch c.Verb {
	case dialect.Subscribe:
		kind = limit.Subscribes
	case dialect.Publish:
		kind, payload = limit.Publishes, len(c.Payload)
	}
	e := excess{kind: kind}
	if e.of, e.wait = s.spend(kind, 1); e.wait == 0 && r != nil && r.Rated() != nil {
		if e = s.takeOf(r.Rated(), kind, payload); e.wait > 0 {
			s.refund(kind, 1)
		}
	}
	if e.wait > 0 {
		s.ration(c.ID, named(c), e)
	}
	return e.wait > 0
}

// takeOf takes a command of a kind from what a rule allows, or nothing and says how long that has to wait.
func (s *Session) takeOf(r *rule.Rated, kind limit.Kind, payload int) (e excess) {
	now, own, all := s.shard.now, s.metered().of(r), &s.shard.node.quotas.rules[r.Index]
	wants := [...]struct {
		kind limit.Kind
		n    int64
	}{{kind, 1}, {limit.Bytes, int64(payload)}}
	e.of = OfRule
	for _, w := range wants {
		if wait := max(own[w.kind].Wait(&r.Session[w.kind], now, w.n), all.Wait(r.Total, w.kind, now, w.n)); wait > e.wait {
			e.kind, e.wait = w.kind, wait
		}
	}
	if e.wait > 0 && (r.AtLimit != rule.Slow || e.wait > slowest) {
		return e
	}
	for _, w := range wants {
		own[w.kind].Owe(&r.Session[w.kind], now, w.n)
		all.Owe(r.Total, w.kind, now, w.n)
	}
	if e.wait > 0 {
		s.slow(e.wait)
	}
	return excess{}
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
	}[e.of], max(e.wait.Round(time.Millisecond), time.Millisecond))
	err.RetryAfter = e.wait
	s.fail(id, channel, err)
	if s.metered().buckets[limit.Refusals].Take(&q.session[limit.Refusals], s.shard.now, max(e.count, 1)) > 0 {
		s.strike()
	}
}
