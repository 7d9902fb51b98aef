package client

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"hocket.dev/dialect"
)

// A request waits for an answer. It belongs to the client's lock.
type request struct {
	id   uint64
	body []byte
	// again says that it may be sent a second time when the connection is lost, since it is known by its seq or key.
	again bool
	// publish says that it is one, and unanswered that an attempt at it was sent over a connection that was lost.
	publish, unanswered bool
	// managed requests are made anew for each connection: those about subscriptions.
	managed bool
	// done is called once, with the reply's payload or the error; nil once it has been, or nobody waits any more.
	done func(payload json.RawMessage, err error)
}

func (r *request) answer(payload json.RawMessage, err error) {
	if done := r.done; done != nil {
		r.done = nil
		if r.publish {
			err = outcome(err, r.unanswered)
		}
		done(payload, err)
	}
}

// add puts a request into the queue. The caller holds the lock.
func (c *Client) add(o outgoing, r *request) error {
	switch {
	case c.err != nil:
		return c.err
	case !r.managed && len(c.queue) >= c.opts.MaxWaiting:
		return ErrQueueFull
	}
	c.lastID++
	o.ID, r.id = c.lastID, c.lastID
	r.body = o.encode()
	c.queue = append(c.queue, r)
	c.pump()
	return nil
}

// pump gives the writer what may be sent now. The caller holds the lock.
func (c *Client) pump() {
	l := c.link
	if l == nil {
		return
	}
	for len(c.queue) > 0 && len(c.open) < maxOpen {
		r := c.queue[0]
		c.queue[0] = nil
		c.queue = c.queue[1:]
		if l.limit > 0 && len(r.body) > l.limit { // the server would throw it away unread, and so without an answer
			r.answer(nil, messageTooLarge(len(r.body), l.limit))
			continue
		}
		c.open[r.id] = r
		l.out = append(l.out, r.body)
	}
	l.wakeUp()
}

func messageTooLarge(size, limit int) *Error {
	return &Error{Code: tooLarge, Name: "too_large", Message: fmt.Sprintf("a message may have at most %d bytes, not %d", limit, size)}
}

// unanswered returns all requests in the order they were made.
func (c *Client) unanswered() []*request {
	all := slices.Clone(c.queue)
	for _, r := range c.open {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *request) int { return int(int64(a.id) - int64(b.id)) })
	return all
}

// attach makes l the connection in use: subscriptions are asked for again, then what was not answered.
func (c *Client) attach(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.link, c.who, c.can, c.limit = l, l.who, l.can, l.limit
	c.infoAnswered(nil)
	waiting := c.queue
	c.queue = nil
	for _, s := range c.subs {
		s.ask()
	}
	c.queue = append(c.queue, waiting...)
	c.tellInfo()
	c.pump()
}

// detach puts what may be sent again back into the queue, and answers the rest.
func (c *Client) detach(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.goAway != nil && l.goAway.URL != "" {
		c.url = l.goAway.URL
	}
	if c.link != l {
		return
	}
	c.link = nil
	c.infoLost()
	all := c.unanswered()
	c.queue = nil
	for _, r := range all {
		_, sent := c.open[r.id]
		switch {
		case r.managed || r.done == nil:
		case sent && !r.again:
			r.answer(nil, ErrConnectionLost)
		default:
			r.unanswered = r.unanswered || sent
			c.queue = append(c.queue, r)
		}
	}
	clear(c.open)
	for _, s := range c.subs {
		s.live, s.asked = false, nil
		s.lost()
	}
}

// handle acts on a message of the server.
func (c *Client) handle(l *link, in *incoming) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch in.Type {
	case "message", "position", "gap", "unsubscribed", "join", "leave", "update", "presence":
		if s := c.subs[strings.TrimPrefix(in.Channel, dialect.PresencePrefix)]; s != nil && (s.live || in.Channel != s.channel) {
			s.handle(in)
		}
	case "reply", "error":
		c.answered(l, in)
	case "event":
		c.event(in)
	case "ping":
		l.out = append(l.out, []byte(`{"type":"pong"}`))
		l.wakeUp()
	case "reconnect":
		l.goAway = new(goAway)
		_ = json.Unmarshal(in.Payload, l.goAway) // without sense it means: at once, to the same address
	}
}

func (c *Client) answered(l *link, in *incoming) {
	if in.ID == nil {
		if in.Error != nil {
			l.said = in.Error.error()
		}
		return
	}
	r := c.open[*in.ID]
	if r == nil {
		return
	}
	delete(c.open, r.id)
	if in.Error != nil {
		r.answer(nil, in.Error.answer())
	} else {
		r.answer(in.Payload, nil)
	}
	c.pump()
}

// forget lets go of a request nobody waits for. What has been sent stays open until it is answered, since the server
// counts it too.
func (c *Client) forget(r *request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.done = nil
	if i := slices.Index(c.queue, r); i >= 0 {
		c.queue = slices.Delete(c.queue, i, i+1)
	}
}

// number gives a publish the next seq, unless it has a name of its own. The caller holds the lock.
func (c *Client) number(o *outgoing) {
	if o.Type == "publish" && o.IdempotencyKey == "" && c.err == nil {
		c.seq++
		o.Seq = c.seq
	}
}

// publish makes a request to publish; done is called with the lock held, which the caller holds too.
func (c *Client) publish(o outgoing, done func(json.RawMessage, error)) error {
	c.number(&o)
	return c.add(o, &request{again: true, publish: true, done: done})
}

// do makes a request and waits for its answer.
func (c *Client) do(ctx context.Context, o outgoing, again bool) (json.RawMessage, error) {
	type answer struct {
		payload json.RawMessage
		err     error
	}
	answered := make(chan answer, 1)
	r := &request{again: again, publish: o.Type == "publish", done: func(p json.RawMessage, err error) { answered <- answer{p, err} }}
	c.mu.Lock()
	c.number(&o)
	err := c.add(o, r)
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case a := <-answered:
		return a.payload, a.err
	case <-ctx.Done():
		c.forget(r)
		return nil, ctx.Err()
	}
}
