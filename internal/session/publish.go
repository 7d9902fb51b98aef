package session

import (
	"maps"
	"slices"
	"sync/atomic"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

func (s *Session) publish(c *dialect.Command) {
	a := &c.Publish
	r := s.shard.node.cfg.Rules.For(c.Channel)
	switch {
	case r.Publish != rule.Clients:
		s.fail(c.ID, c.Channel, dialect.Errorf(dialect.PermissionDenied, "publish to %s is not allowed", c.Channel))
		return
	case a.Seq > 0 && s.who.client == "":
		s.fail(c.ID, c.Channel, dialect.Errorf(dialect.InvalidMessage, "seq needs a client id, given in connect"))
		return
	}
	s.settled = true
	if es := s.estates[c.Channel]; es != nil && len(es.held) > 0 {
		s.holdBack(es, c, nil)
		return
	}
	es, own, err := s.own(c.Channel, a)
	switch {
	case err != nil:
		s.fail(c.ID, c.Channel, err)
	case own != nil && !es.lists(own.key):
		s.holdBack(es, c, own)
		es.write()
	default:
		s.put(c, r, es, own)
	}
}

// put appends what c publishes. own is nil where it is no ephemeral key of the estate.
func (s *Session) put(c *dialect.Command, r *rule.Rule, es *estate, own *owned) {
	e := s.entry(c)
	if own != nil {
		own.open++
		if e.Headers == nil {
			e.Headers = es.headers
		} else {
			maps.Copy(e.Headers, es.headers)
		}
	}
	s.begin(c.ID)
	id, channel := c.ID, c.Channel
	s.shard.append(channel, e, r.History, func(r broker.Receipt, err error) {
		if own != nil {
			es.published(own, &e, r, err)
		}
		if !s.closed {
			s.published(id, channel, r, err)
		}
	})
}

// entry makes the entry that c asks for.
func (s *Session) entry(c *dialect.Command) broker.Entry {
	a := &c.Publish
	e := broker.Entry{
		Key: a.Key, Op: a.Op, Format: c.Format, Payload: slices.Clone(c.Payload),
		From: &broker.Member{Session: s.name, User: s.who.user}, NoEcho: a.NoEcho,
		Expect: a.Expect, HasExpect: a.HasExpect, TTL: a.TTL, Score: a.Score, Headers: tags(a.Tags),
	}
	if a.Seq > 0 {
		e.Client, e.Seq = s.scope(s.who.client), a.Seq
	}
	if a.IdempotencyKey != "" {
		e.IdempotencyKey = s.scope(a.IdempotencyKey)
	}
	return e
}

func (s *Session) published(id dialect.ID, channel string, r broker.Receipt, err error) {
	s.end(id)
	if err != nil {
		s.fail(id, channel, asError(err, channel))
		return
	}
	s.shard.Counters.Publishes.Add(1)
	if r.Duplicate {
		s.shard.Counters.Duplicates.Add(1)
	}
	if id.Kind != dialect.IDNone {
		s.say(id, &dialect.Published{Epoch: r.Epoch, Offset: r.Offset, Duplicate: r.Duplicate})
	}
}

// scope makes a name unique to the user: what one user has published under it does not answer for another. Anonymous
// clients share no user, so for them it is unique to the client, or else to the session.
func (s *Session) scope(name string) string {
	switch {
	case s.who.user != "":
		return "u:" + s.who.user + "\x00" + name
	case s.who.client != "":
		return "c:" + s.who.client + "\x00" + name
	}
	return "s:" + s.name + "\x00" + name
}

func tags(from map[string]string) map[string]string {
	if len(from) == 0 {
		return nil
	}
	headers := make(map[string]string, len(from))
	for k, v := range from {
		headers[dialect.TagHeader+k] = v
	}
	return headers
}

// append publishes and calls done on the loop: before it returns when the broker answers at once.
func (sh *Shard) append(channel string, e broker.Entry, keep rule.History, done func(broker.Receipt, error)) {
	const (
		calling  = iota
		returned // Publish has returned first: the answer comes through the loop
		answered // the broker has answered first, on this goroutine or another: Publish's caller takes it
	)
	var state atomic.Int32
	var receipt broker.Receipt
	var failure error
	sh.node.cfg.Broker.Publish(channel, e, retention(keep), func(r broker.Receipt, err error) {
		receipt, failure = r, err
		if !state.CompareAndSwap(calling, answered) {
			sh.loop.Post(func() { done(receipt, failure) })
		}
	})
	if !state.CompareAndSwap(calling, returned) {
		done(receipt, failure)
	}
}
