package session

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// What nodes do about estates that are asked for, and about those of nodes that have died.

// questions is up to where the log of estates has been read.
type questions struct {
	epoch string
	after uint64
	busy  bool
}

// answer looks for estates that are asked for and belong to a session that has come here.
func (l *lease) answer() {
	state := l.node.cfg.Broker.(broker.State)
	if l.questions.busy {
		return
	}
	from := l.questions
	l.questions.busy = l.node.cfg.Task(func(ctx context.Context) {
		asked, to, err := readAsked(ctx, state, from)
		l.shard().loop.Post(func() {
			l.questions.busy = false
			if err != nil {
				return // the next tick reads the same
			}
			l.questions = to
			for _, at := range asked {
				if s := l.node.roster.named(at.name); s != nil {
					s.shard.loop.Post(func() { s.claim(at.channel) })
				}
			}
		})
	})
}

// readAsked reads which estates have been asked for since, and up to where that is.
func readAsked(ctx context.Context, state broker.State, from questions) (asked []seat, to questions, err error) {
	to = from
	for {
		page, err := state.State(ctx, estatesLog, broker.StateQuery{After: to.after})
		switch {
		case err != nil:
			return nil, from, err
		case page.Epoch != to.epoch: // all of it is new
			again := to.after > 0
			asked, to = nil, questions{epoch: page.Epoch}
			if again {
				continue
			}
		}
		for _, e := range page.Entries {
			to.after = e.Offset
			if name, channel, ok := strings.Cut(e.Key, " "); ok && e.Headers[askedHeader] != "" {
				asked = append(asked, seat{name, channel})
			}
		}
		if !page.More {
			return asked, to, nil
		}
	}
}

// claim takes over what the session's client has in a channel by way of another node.
func (s *Session) claim(channel string) {
	if s.closing || s.closed {
		return
	}
	es := s.estate(channel)
	es.asked = true // in the record, which is to say otherwise
	es.turn()
}

// askFor asks for all estates of a life of a node, and makes them this node's. It answers how many those are, or may be. It blocks.
func (n *Node) askFor(ctx context.Context, life string) (asked int, err error) {
	state, ok := n.cfg.Broker.(broker.State)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	for after := uint64(0); ; {
		page, err := state.State(ctx, estatesLog, broker.StateQuery{After: after, Limit: writeOffStep})
		if err != nil {
			return asked, err
		}
		some, err := n.askForPage(ctx, life, page.Entries)
		if asked += some; err != nil || !page.More {
			return asked, err
		}
		after = page.Entries[len(page.Entries)-1].Offset
	}
}

// askForPage asks for those of some estates that are of a life, and waits for all answers of the broker.
func (n *Node) askForPage(ctx context.Context, life string, entries []*broker.Entry) (asked int, err error) {
	answers := make(chan error, len(entries))
	for _, there := range entries {
		mark := there.Headers[dialect.NodeHeader]
		if lifeOf(mark) != life {
			continue
		}
		asked++
		n.cfg.Broker.Publish(estatesLog, broker.Entry{
			Key: there.Key, Payload: there.Payload, From: there.From, Expect: there.Offset, HasExpect: true,
			Headers: map[string]string{dialect.NodeHeader: n.mark(beganOf(mark)), askedHeader: life},
		}, retention(estatesKeep), func(_ broker.Receipt, err error) { answers <- err })
	}
	for range asked {
		select {
		case answer := <-answers:
			if !errors.Is(answer, broker.ErrConflict) { // that is one whose client has come back
				err = errors.Join(err, answer)
			}
		case <-ctx.Done():
			return asked, ctx.Err()
		}
	}
	return asked, err
}

// endAsked ends those estates of another life that this node has asked for and nobody has come for, beginning after an
// offset in the log of estates: a page of them at a time.
func (l *lease) endAsked(life string, after uint64) {
	state := l.node.cfg.Broker.(broker.State)
	again := func() { l.shard().loop.After(leaseRenewal, func() { l.endAsked(life, after) }) }
	ok := l.node.cfg.Task(func(ctx context.Context) {
		page, err := state.State(ctx, estatesLog, broker.StateQuery{After: after, Limit: writeOffStep})
		l.shard().loop.Post(func() {
			if err != nil {
				again()
				return
			}
			l.endPage(life, page.Entries, func() {
				if page.More {
					l.endAsked(life, page.Entries[len(page.Entries)-1].Offset)
					return
				}
				l.node.cfg.Log.Info("the ephemeral keys of a node that has ended are deleted", slog.String("life", life))
			})
		})
	})
	if !ok {
		again()
	}
}

// endPage ends those of some estates that are to end, and calls then.
func (l *lease) endPage(life string, entries []*broker.Entry, then func()) {
	left := 1
	done := func() {
		if left--; left == 0 {
			then()
		}
	}
	for _, e := range entries {
		if es := l.asked(life, e); es != nil {
			left++
			es.done = done
			es.turn()
		}
	}
	done()
}

// asked makes the estate of a record, if it is one that this node has asked for in the name of another life.
func (l *lease) asked(life string, e *broker.Entry) *estate {
	name, channel, ok := strings.Cut(e.Key, " ")
	mark := e.Headers[dialect.NodeHeader]
	if !ok || e.From == nil || e.From.Session != name || e.Headers[askedHeader] != life || lifeOf(mark) != l.node.life() {
		return nil
	}
	es := &estate{
		shard: l.shard(), channel: channel, owner: e.From, keep: l.node.cfg.Rules.For(channel).History,
		stable: true, began: beganOf(mark), keys: make(map[string]*owned), mark: mark, at: e.Offset, wish: toEnd,
	}
	es.adopt(keysOf(e))
	return es
}
