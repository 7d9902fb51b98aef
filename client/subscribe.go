package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Start is where a subscription begins. Its zero value is Live.
type Start struct{ from any }

// Live starts with the next entry.
func Live() Start { return Start{} }

// Last starts with the newest n entries.
func Last(n int) Start { return Start{map[string]int{"last": n}} }

// Since starts with the entries of the time d until now, in whole milliseconds, 366 days at most.
func Since(d time.Duration) Start { return Start{map[string]int64{"since_ms": d.Milliseconds()}} }

// After starts after a position: the way to go on where another Client stood.
func After(p Position) Start { return Start{p} }

// State starts with the latest entry of every key, by offset; live entries follow.
func State() Start { return Start{"state"} }

// SubscribeOptions change what Subscribe does. nil and the zero value are the same.
type SubscribeOptions struct {
	From Start
	// Buffer is how many messages wait for Next; 0 means 1,000. When it is full the client leaves the channel, so that a
	// slow reader holds up nothing else, and comes back to the same position once half of it has been read. So nothing is
	// missing as long as the channel's history reaches back that far, and what is missing is told.
	Buffer int
}

// A Subscription brings the messages of one channel. One goroutine at a time calls Next.
type Subscription struct {
	c       *Client
	channel string
	from    Start
	limit   int
	ready   chan struct{} // closed with the first answer, or the end
	news    chan struct{} // holds one when there is something to read

	// guarded by Client.mu
	buffer []Message
	paused bool     // left, because the buffer was full
	live   bool     // subscribed on the connection in use
	at     Position // of the last message, or where the subscription began without one
	placed bool     // at holds an offset to go on from; else the start is still from
	began  Position // of the channel when the start was first agreed on; without an epoch before that
	again  int      // subscribe requests in a row that failed for now
	asked  *request // the one under way
	err    error    // why it has ended
}

// Subscribe follows a channel and returns when the server has agreed. While there is no connection it waits for one. A
// Client subscribes once to a channel; to follow it twice is the program's matter. The error is an *Error, or ctx's.
func (c *Client) Subscribe(ctx context.Context, channel string, opts *SubscribeOptions) (*Subscription, error) {
	s := &Subscription{
		c: c, channel: channel, limit: 1000, ready: make(chan struct{}), news: make(chan struct{}, 1),
	}
	if opts != nil {
		s.from = opts.From
		if opts.Buffer > 0 {
			s.limit = opts.Buffer
		}
		if p, ok := opts.From.from.(Position); ok {
			s.at, s.placed = p, true
		}
	}
	c.mu.Lock()
	switch {
	case c.err != nil:
		defer c.mu.Unlock()
		return nil, c.err
	case c.subs[channel] != nil:
		defer c.mu.Unlock()
		return nil, &Error{Code: alreadySubscribed, Name: "already_subscribed",
			Message: fmt.Sprintf("this client is subscribed to %q already", channel)}
	}
	c.subs[channel] = s
	s.ask()
	c.mu.Unlock()
	select {
	case <-s.ready:
	case <-ctx.Done():
		s.Close()
		return nil, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	return s, nil
}

// Channel returns the channel's name.
func (s *Subscription) Channel() string { return s.channel }

// Close leaves the channel. Messages that have come already can still be read; then Next returns ErrClosed. It does not
// block and always returns nil.
func (s *Subscription) Close() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.err == nil {
		s.leave()
		delete(s.c.subs, s.channel)
		s.end(ErrClosed)
	}
	return nil
}

// Next returns the next message, in the order of the log. It blocks until there is one, or ctx ends. Its other error is
// an *Error: why the subscription has ended, for good.
func (s *Subscription) Next(ctx context.Context) (Message, error) {
	for {
		if m, ok, err := s.take(); ok || err != nil {
			return m, err
		}
		select {
		case <-s.news:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

// take removes the oldest message.
func (s *Subscription) take() (m Message, ok bool, err error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if len(s.buffer) == 0 {
		return m, false, s.err
	}
	m = s.buffer[0]
	s.buffer[0] = Message{}
	s.buffer = s.buffer[1:]
	if s.paused && s.err == nil && len(s.buffer) <= s.limit/2 {
		s.paused = false
		s.ask()
	}
	return m, true, nil
}

// The rest is called with the client's lock held.

// ask subscribes on the connection in use, from where the subscription stands.
func (s *Subscription) ask() {
	if s.paused || s.c.link == nil {
		return
	}
	from := s.from.from
	if s.placed {
		from = s.at
	}
	var payload json.RawMessage
	if from != nil {
		payload, _ = marshal(map[string]any{"from": from})
	}
	r := &request{managed: true}
	r.done = func(reply json.RawMessage, err error) { s.answered(r, reply, err) }
	s.asked = r
	_ = s.c.add(outgoing{Type: "subscribe", Channel: s.channel, Payload: payload}, r) // fails only when all has ended
}

// leave tells the server that the channel is not followed any more.
func (s *Subscription) leave() {
	s.live = false
	if s.c.link != nil {
		_ = s.c.add(outgoing{Type: "unsubscribe", Channel: s.channel}, &request{managed: true})
	}
}

// answered takes the answer to a subscribe request.
func (s *Subscription) answered(r *request, reply json.RawMessage, err error) {
	if s.err != nil || s.asked != r {
		return
	}
	s.asked = nil
	var failed *Error
	if errors.As(err, &failed) {
		s.refused(failed)
		return
	}
	var where struct {
		Position
		Recovered bool `json:"recovered"`
	}
	if json.Unmarshal(reply, &where) != nil {
		return
	}
	s.live, s.again = true, 0
	s.at.Epoch = where.Epoch
	switch {
	case !where.Recovered:
		s.at.Offset = 0 // what is kept follows
		s.put(Message{Kind: Restarted, Channel: s.channel, Position: where.Position})
	case s.from.from == nil && !s.placed:
		s.at, s.placed = where.Position, true
	case !s.placed:
		s.startAgain(where.Position)
	}
	s.begin()
}

// startAgain notes where a start was agreed on that is asked for anew as long as nothing has come. What was published in
// between, and is no part of it any more, would be missing without a word: the newest 5 are others by then.
func (s *Subscription) startAgain(now Position) {
	if s.began.Epoch != "" && s.began != now {
		s.put(Message{Kind: Restarted, Channel: s.channel, Position: now})
	}
	s.began = now
}

// refused acts on an error: what may succeed later is asked for again, else the subscription ends.
func (s *Subscription) refused(err *Error) {
	if !err.retryable() {
		delete(s.c.subs, s.channel)
		s.end(err)
		return
	}
	delay := err.RetryAfter + s.c.draw(s.c.opts.MinDelay<<min(s.again, 5))
	s.again++
	link := s.c.link
	time.AfterFunc(delay, func() {
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		if s.err == nil && s.c.link == link && s.asked == nil && !s.live {
			s.ask()
		}
	})
}

// handle takes a message about the channel.
func (s *Subscription) handle(in *incoming) {
	switch in.Type {
	case "message":
		s.placed = true
		m, err := in.message(s.at.Epoch)
		if err != nil {
			m.Kind, m.GapFrom, m.GapTo, m.Reason = Gap, in.Offset, in.Offset, "malformed"
		}
		s.put(m)
		s.at.Offset = in.Offset
	case "position":
		s.at.Offset, s.placed = in.Offset, true
	case "gap":
		m := Message{Kind: Gap, Channel: s.channel}
		var gap struct {
			From, To uint64
			Reason   string
		}
		if json.Unmarshal(in.Payload, &gap) != nil {
			return
		}
		m.GapFrom, m.GapTo, m.Reason, m.Position = gap.From, gap.To, gap.Reason, Position{s.at.Epoch, gap.To}
		s.put(m)
		s.at.Offset, s.placed = max(s.at.Offset, gap.To), true
	case "unsubscribed":
		s.live = false
		var why wireError
		_ = json.Unmarshal(in.Payload, &why)
		if why.Message == "" {
			why.Message = "the server ended the subscription"
		}
		s.refused(why.error())
	}
}

// put adds a message for Next. When the buffer is full the channel is left until there is room.
func (s *Subscription) put(m Message) {
	s.buffer = append(s.buffer, m)
	s.notify()
	if len(s.buffer) >= s.limit && !s.paused {
		s.paused = true
		s.leave()
	}
}

// begin lets Subscribe return.
func (s *Subscription) begin() {
	select {
	case <-s.ready:
	default:
		close(s.ready)
	}
}

// end ends the subscription for good.
func (s *Subscription) end(err error) {
	s.err, s.live = err, false
	s.begin()
	s.notify()
}

func (s *Subscription) notify() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}
