package session

import (
	"context"
	"errors"
	"runtime/debug"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
	"hocket.dev/internal/rule"
)

// query runs a read that answers the request id. A session has one under way at a time, and none while its outbox is
// full: a page is large, and all that were asked for at once would be made at once.
func (s *Session) query(id dialect.ID, channel string, work func(ctx context.Context), done func()) {
	s.begin(id)
	s.open.reads = append(s.open.reads, func() { s.read(id, channel, work, done) })
	s.nextRead()
}

// nextRead begins the read that has waited longest, when there is one and it may.
func (s *Session) nextRead() {
	o := s.open
	if o == nil || o.reading || s.Full() || s.closing || len(o.reads) == 0 {
		return
	}
	next := o.reads[0]
	o.reads = o.reads[1:]
	o.reading = true
	next()
}

func (s *Session) read(id dialect.ID, channel string, work func(ctx context.Context), done func()) {
	timeout := s.shard.node.cfg.Limits.CallTimeout
	ok := s.task(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		work(ctx)
	}, func() {
		s.open.reading = false
		s.end(id)
		done()
		s.nextRead()
	})
	if !ok {
		s.open.reading = false
		s.end(id)
		s.fail(id, channel, asError(hub.ErrBusy, channel))
		s.nextRead()
	}
}

// history answers with a page of the log.
func (s *Session) history(c *dialect.Command) {
	if !s.may(rule.CanHistory, c.Channel, s.shard.node.cfg.Rules.For(c.Channel)) {
		s.fail(c.ID, c.Channel, denied(rule.CanHistory, c.Channel))
		return
	}
	node, id, channel, args := s.shard.node, c.ID, c.Channel, c.History
	var page broker.Page
	var err *dialect.Error
	s.query(id, channel, func(ctx context.Context) {
		page, err = node.History(ctx, channel, args)
	}, func() {
		if err != nil {
			s.fail(id, channel, err)
			return
		}
		s.say(id, &dialect.HistoryPage{Channel: channel, Page: page})
	})
}

// state answers with a page of the latest entry of each key.
func (s *Session) state(c *dialect.Command) {
	if !s.may(rule.CanHistory, c.Channel, s.shard.node.cfg.Rules.For(c.Channel)) {
		s.fail(c.ID, c.Channel, denied(rule.CanHistory, c.Channel))
		return
	}
	node, id, channel, args := s.shard.node, c.ID, c.Channel, c.State
	var page *dialect.StatePage
	var err *dialect.Error
	s.query(id, channel, func(ctx context.Context) {
		page, err = node.State(ctx, channel, args)
	}, func() {
		if err != nil {
			s.fail(id, channel, err)
			return
		}
		s.say(id, page)
	})
}

// presence answers with a page of members.
func (s *Session) presence(c *dialect.Command) {
	if !s.may(rule.CanPresence, c.Channel, s.shard.node.cfg.Rules.For(c.Channel)) {
		s.fail(c.ID, c.Channel, denied(rule.CanPresence, c.Channel))
		return
	}
	node, id, channel, args := s.shard.node, c.ID, c.Channel, c.Presence
	var page *dialect.PresencePage
	var err *dialect.Error
	s.query(id, channel, func(ctx context.Context) {
		page, err = node.Members(ctx, channel, args)
	}, func() {
		if err != nil {
			s.fail(id, channel, err)
			return
		}
		s.say(id, page)
	})
}

// calling is a call under way.
type calling struct {
	id      dialect.ID
	cancel  context.CancelFunc
	stop    func() // the timer
	payload []byte
	err     error
	panic   any
	stack   []byte // of the panic
}

// call runs a method as a task.
func (s *Session) call(c *dialect.Command) {
	cfg := &s.shard.node.cfg
	if !s.access().MayCall(c.Method) {
		s.fail(c.ID, "", dialect.Errorf(dialect.PermissionDenied, "calling %q is not allowed", c.Method))
		return
	}
	method := cfg.Method(c.Method)
	if method == nil {
		s.fail(c.ID, "", dialect.Errorf(dialect.NotFound, "there is no method %q", c.Method))
		return
	}
	if s.refused(c, nil) {
		return
	}
	in := Call{Method: c.Method, Session: s.name, User: s.who.user, Payload: append([]byte(nil), c.Payload...)}
	if c.Payload == nil {
		in.Payload = nil
	}
	s.shard.Counters.Calls.Add(1)
	s.begin(c.ID)
	s.settled = true
	ctx, cancel := context.WithCancel(context.Background())
	call := &calling{id: c.ID, cancel: cancel}
	call.stop = s.shard.loop.After(cfg.Limits.CallTimeout, func() { s.callTimeout(call) })
	if s.open.calls == nil {
		s.open.calls = make(map[*calling]struct{})
	}
	s.open.calls[call] = struct{}{}
	ok := cfg.Task(func(node context.Context) {
		stop := context.AfterFunc(node, cancel)
		defer stop()
		defer func() {
			if call.panic = recover(); call.panic != nil {
				call.stack = debug.Stack()
			}
			s.shard.loop.Post(func() { s.returned(call) })
		}()
		call.payload, call.err = method(ctx, in)
	})
	if !ok {
		s.forget(call)
		s.fail(c.ID, "", asError(hub.ErrBusy, ""))
	}
}

// end frees what a call holds beside its goroutine.
func (c *calling) end() {
	c.cancel()
	c.stop()
}

// forget ends a call's hold on the session. It answers false when that has been done.
func (s *Session) forget(call *calling) bool {
	if s.open == nil {
		return false
	}
	_, open := s.open.calls[call]
	if open {
		call.end()
		delete(s.open.calls, call)
		s.end(call.id)
	}
	return open
}

func (s *Session) callTimeout(call *calling) {
	if s.forget(call) {
		s.fail(call.id, "", dialect.Errorf(dialect.Timeout, "the method did not answer within %v", s.shard.node.cfg.Limits.CallTimeout))
	}
}

// returned answers a call with what the method said.
func (s *Session) returned(call *calling) {
	if call.panic != nil {
		s.shard.node.cfg.Log.Error("a method panicked", "session", s.name, "panic", call.panic, "stack", string(call.stack))
	}
	if s.closed || !s.forget(call) {
		return
	}
	var told *dialect.Error
	switch {
	case call.panic != nil:
		s.fail(call.id, "", dialect.Internal.Err())
		s.close(dialect.CloseInternal, "")
	case errors.As(call.err, &told):
		s.fail(call.id, "", told)
	case call.err != nil:
		s.shard.node.cfg.Log.Error("a method failed", "session", s.name, "error", call.err)
		s.fail(call.id, "", dialect.Internal.Err())
	case call.id.Kind != dialect.IDNone:
		payload := call.payload
		if payload == nil {
			payload = []byte("null")
		}
		s.say(call.id, &dialect.Result{Payload: payload})
	}
}
