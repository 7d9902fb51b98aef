package session

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/schema"
)

const (
	// maxAsking is how many questions of one session are under way at once: those of others are not to wait for them.
	maxAsking = 4
	// maxDepth is how deep a payload may be nested.
	maxDepth = 127
)

// waits are what requests wait for.
type waits struct {
	asking []*question                   // to the back end, under way
	toAsk  []*question                   // that wait for their turn
	lines  map[string][]*dialect.Command // publishes by channel, behind the one that is asked about
	held   int64                         // bytes of commands that wait
}

// waiting is what open requests wait for, of which there is one at least.
func (s *Session) waiting() *waits {
	if s.open.waits == nil {
		s.open.waits = &waits{}
	}
	return s.open.waits
}

// end ends the questions that are under way.
func (w *waits) end() {
	if w != nil {
		for _, q := range w.asking {
			q.cancel()
		}
	}
}

// question is one to the back end. It belongs to a request that is open.
type question struct {
	put    func(ctx context.Context) *dialect.Error // a task
	done   func(err *dialect.Error)
	cancel context.CancelFunc

	err   *dialect.Error
	panic any
	stack []byte
}

// ask has put run as a task, when its turn has come, and done on the loop afterwards, unless the session has ended. ctx ends
// with the session.
func (s *Session) ask(put func(ctx context.Context) *dialect.Error, done func(err *dialect.Error)) {
	s.settled = true // somebody has been told who it is
	w := s.waiting()
	w.toAsk = append(w.toAsk, &question{put: put, done: done})
	s.nextQuestion()
}

// nextQuestion begins the question that has waited longest, when there is one and it may.
func (s *Session) nextQuestion() {
	if s.open == nil || s.closing {
		return
	}
	w := s.waiting()
	if len(w.toAsk) == 0 || len(w.asking) >= maxAsking {
		return
	}
	q := w.toAsk[0]
	w.toAsk = w.toAsk[1:]
	w.asking = append(w.asking, q)
	cfg, loop := &s.shard.node.cfg, s.shard.loop
	ctx, cancel := context.WithCancel(context.Background())
	q.cancel = cancel
	if !cfg.Task(func(node context.Context) {
		stop := context.AfterFunc(node, cancel)
		defer stop()
		defer func() {
			if q.panic = recover(); q.panic != nil {
				q.stack = debug.Stack()
			}
			loop.Post(func() { s.answered(q) })
		}()
		ctx, cancel := context.WithTimeout(ctx, cfg.Limits.CallTimeout)
		defer cancel()
		q.err = q.put(ctx)
	}) {
		q.err = dialect.Busy.Err()
		q.err.RetryAfter = busyFor
		loop.Post(func() { s.answered(q) }) // not at once: there may be many
	}
}

// answered goes on with what was asked about.
func (s *Session) answered(q *question) {
	q.cancel()
	if q.panic != nil {
		s.shard.node.cfg.Log.Error("an answer to a question panicked", "session", s.name, "panic", q.panic, "stack", string(q.stack))
	}
	if s.closed {
		return
	}
	w := s.waiting()
	w.asking = slices.DeleteFunc(w.asking, func(other *question) bool { return other == q })
	switch {
	case s.closing:
		return
	case q.panic != nil:
		s.close(dialect.CloseInternal, "")
		return
	}
	q.done(q.err)
	s.nextQuestion()
}

// unusable says that the back end has answered what cannot be used.
func (s *Session) unusable(channel string, why error) *dialect.Error {
	s.log(slog.LevelError, "an answer about a channel cannot be used", slog.String("channel", channel), slog.Any("error", why))
	return dialect.Internal.Err()
}

func (s *Session) asks(channel string) Asking {
	return Asking{Session: s.name, User: s.who.user, Address: s.address, Channel: channel}
}

// askToFollow asks about a subscription, and lets the session into the channel.
func (s *Session) askToFollow(sub *subscription) {
	args := &sub.asked.args
	q := SubscribeQuestion{Asking: s.asks(sub.channel), Presence: args.Presence, Filter: args.Filter}
	var a SubscribeAnswer
	s.ask(func(ctx context.Context) (err *dialect.Error) {
		a, err = s.shard.node.cfg.Asker.Subscribe(ctx, q)
		return err
	}, func(err *dialect.Error) {
		if err == nil {
			err = s.given(sub, &a)
		}
		if err == nil {
			err = s.mayNotFollow(sub.channel, sub.rule, args.Presence != dialect.PresenceOff) // since it asked
		}
		if err != nil {
			s.unfollowed(sub, err)
			return
		}
		s.come(sub)
	})
}

// given takes over what an answer gives the session.
func (s *Session) given(sub *subscription, a *SubscribeAnswer) *dialect.Error {
	if a.Info != nil {
		limit := s.shard.node.cfg.Limits.InfoBytes
		if err := jsonval.Check(a.Info, maxDepth); err != nil {
			return s.unusable(sub.channel, fmt.Errorf("info: %w", err))
		} else if len(a.Info) > limit {
			return s.unusable(sub.channel, fmt.Errorf("info has more than %d bytes", limit))
		}
		sub.info = a.Info
	}
	if len(a.Capabilities) == 0 {
		return nil
	}
	who := *s.who
	var err error
	if who.given, err = who.given.Wider(a.Capabilities, who.user); err != nil {
		return s.unusable(sub.channel, err)
	}
	s.who = &who
	return nil
}

// askToPublish asks about an entry, and appends it. Entries of one session to one channel stand in the order it sent them, so
// those that come meanwhile wait.
func (s *Session) askToPublish(c *dialect.Command, r *rule.Rule) {
	kept := s.keep(c)
	if kept == nil {
		return
	}
	w := s.waiting()
	if line, asking := w.lines[c.Channel]; asking {
		w.lines[c.Channel] = append(line, kept)
		return
	}
	if w.lines == nil {
		w.lines = make(map[string][]*dialect.Command)
	}
	w.lines[c.Channel] = nil
	s.askAbout(kept, r)
}

// askAbout asks about the first publish of a line.
func (s *Session) askAbout(c *dialect.Command, r *rule.Rule) {
	q := PublishQuestion{
		Asking: s.asks(c.Channel), Key: c.Publish.Key, Op: c.Publish.Op, Payload: c.Payload, Format: c.Format, Tags: c.Publish.Tags,
	}
	node := s.shard.node
	var a PublishAnswer
	var wrong error // with the answer
	s.ask(func(ctx context.Context) *dialect.Error {
		err := node.checkPayload(r, q.Channel, q.Op, q.Format, q.Payload, schema.Steps(len(q.Payload)))
		if err != nil {
			return err
		}
		if a, err = node.cfg.Asker.Publish(ctx, q); err == nil && a.Payload != nil {
			wrong = node.checkAnswer(&q, &a, r)
		}
		return err
	}, func(err *dialect.Error) {
		s.letGo(c)
		switch {
		case err != nil:
		case wrong != nil:
			err = s.unusable(c.Channel, wrong)
		default:
			a.change(c)
		}
		if err == nil {
			err = s.mayNotPublish(c, r) // since it was asked
		}
		s.end(c.ID)
		if err != nil {
			s.fail(c.ID, c.Channel, err)
		} else {
			s.append(c, r)
		}
		s.nextOf(c.Channel, r)
	})
}

// nextOf asks about the next publish that waits for a channel.
func (s *Session) nextOf(channel string, r *rule.Rule) {
	if s.open == nil || s.closing {
		return
	}
	w := s.waiting()
	line := w.lines[channel]
	if len(line) == 0 {
		delete(w.lines, channel)
		return
	}
	w.lines[channel] = line[1:]
	s.askAbout(line[0], r)
}

// checkAnswer tells what is wrong with the payload that an answer has in place of a client's.
func (n *Node) checkAnswer(q *PublishQuestion, a *PublishAnswer, r *rule.Rule) error {
	if limit := n.cfg.Limits.MessageBytes; int64(len(a.Payload)) > limit {
		return fmt.Errorf("the payload has more than %d bytes", limit)
	}
	if a.Format == broker.JSON {
		if err := jsonval.Check(a.Payload, maxDepth); err != nil {
			return fmt.Errorf("the payload is not JSON: %w", err)
		}
	}
	if err := n.checkPayload(r, q.Channel, q.Op, a.Format, a.Payload, schema.Steps(len(a.Payload))); err != nil {
		return err
	}
	return nil
}

// change makes of a publish what the answer says.
func (a *PublishAnswer) change(c *dialect.Command) {
	if a.Tags != nil {
		c.Publish.Tags = a.Tags
	}
	if a.Payload != nil {
		c.Payload, c.Format = a.Payload, a.Format
	}
}
