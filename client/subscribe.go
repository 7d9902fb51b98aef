package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Subscription brings the messages of one channel. One goroutine at a time calls Next.
type Subscription struct {
	c       *Client
	channel string
	opts    SubscribeOptions
	state   bool          // it began with State
	ready   chan struct{} // closed with the first answer, or the end
	news    chan struct{} // holds one when there is something to read
	members *Presence     // nil when none was asked for
	keys    *Map          // takes the messages instead of Next; nil when there is none

	// guarded by Client.mu
	buffer []Message
	paused bool     // left, because the buffer was full
	live   bool     // subscribed on the connection in use
	at     Position // of the last message, or where the subscription began without one
	placed bool     // at holds an offset to go on from; else the start is still that of opts
	began  Position // of the channel when the start was first agreed on; without an epoch before that
	read   Position // of the last message that Next has returned
	again  int      // subscribe requests in a row that failed for now
	asked  *request // the one under way
	anew   bool     // the state is asked for anew, though some of it has been given out
	part   *transfer
	err    error // why it has ended
}

// Subscribe follows a channel and returns when the server has agreed. While there is no connection it waits for one. A
// Client subscribes once to a channel; to follow it twice is the program's matter. The error is an *Error, or ctx's.
func (c *Client) Subscribe(ctx context.Context, channel string, opts *SubscribeOptions) (*Subscription, error) {
	s := newSubscription(c, channel, opts)
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func newSubscription(c *Client, channel string, opts *SubscribeOptions) *Subscription {
	s := &Subscription{c: c, channel: channel, ready: make(chan struct{}), news: make(chan struct{}, 1)}
	if opts != nil {
		s.opts = *opts
	}
	setDefault(&s.opts.Buffer, 1000)
	setDefault(&s.opts.MaxMembers, 1000)
	s.state = s.opts.From.from == State().from
	if p, ok := s.opts.From.from.(Position); ok {
		s.at, s.placed = p, true
	}
	if s.opts.Presence != NoPresence {
		s.members = newPresence(s)
	}
	return s
}

// start subscribes and waits until the server has agreed.
func (s *Subscription) start(ctx context.Context) error {
	c := s.c
	c.mu.Lock()
	switch {
	case c.err != nil:
		defer c.mu.Unlock()
		return c.err
	case c.subs[s.channel] != nil:
		defer c.mu.Unlock()
		return &Error{Code: alreadySubscribed, Name: "already_subscribed",
			Message: fmt.Sprintf("this client is subscribed to %q already", s.channel)}
	}
	c.subs[s.channel] = s
	s.ask()
	c.mu.Unlock()
	select {
	case <-s.ready:
	case <-ctx.Done():
		s.Close()
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.err
}

// Channel returns the channel's name.
func (s *Subscription) Channel() string { return s.channel }

// Presence tells who is on the channel; nil when SubscribeOptions did not ask for it.
func (s *Subscription) Presence() *Presence { return s.members }

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

// The rest is called with the client's lock held.

// ask subscribes on the connection in use, from where the subscription stands.
func (s *Subscription) ask() {
	if s.paused || s.c.link == nil {
		return
	}
	asked := make(map[string]any)
	switch {
	case s.placed && s.state:
		asked["from"] = map[string]any{"epoch": s.at.Epoch, "offset": s.at.Offset, "state": true}
	case s.placed:
		asked["from"] = s.at
	case s.opts.From.from != nil:
		asked["from"] = s.opts.From.from
	}
	if s.opts.Filter != nil {
		asked["filter"] = s.opts.Filter
	}
	if s.members != nil {
		asked["presence"] = s.members.ask()
	}
	var payload json.RawMessage
	if len(asked) > 0 {
		payload, _ = marshal(asked)
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
		Recovered bool          `json:"recovered"`
		E2E       bool          `json:"e2e"`
		Presence  presenceReply `json:"presence"`
	}
	if json.Unmarshal(reply, &where) != nil {
		return
	}
	if where.E2E && !s.c.vault.covers(s.channel) {
		s.leave()
		s.refused(ErrNoKey)
		return
	}
	s.live, s.again = true, 0
	resumed := s.placed && where.Recovered && s.at.Epoch == where.Epoch
	another := s.state && s.at.Epoch != "" && s.at.Epoch != where.Epoch // than the one of which a state was to come
	if !where.Recovered || s.placed && !resumed || s.anew || another {
		s.anew = false
		s.at, s.placed = Position{Epoch: where.Epoch}, !s.state // what is kept, or the whole state, follows
		s.put(Message{Kind: Reset, Channel: s.channel, Position: where.Position})
	}
	s.at.Epoch = where.Epoch
	switch {
	case s.placed:
	case s.opts.From.from == nil:
		s.at, s.placed = where.Position, true
	case !s.state:
		s.startAgain(where.Position)
	}
	if s.members != nil {
		s.members.subscribed(where.Presence)
	}
	if s.state {
		s.transfer(resumed, where.Offset)
	}
	s.begin()
}

// startAgain notes where a start was agreed on that is asked for anew as long as nothing has come. What was published in
// between, and is no part of it any more, would be missing without a word: the newest 5 are others by then.
func (s *Subscription) startAgain(now Position) {
	if s.began.Epoch != "" && s.began != now {
		s.put(Message{Kind: Reset, Channel: s.channel, Position: now})
	}
	s.began = now
}

// lost says that the connection is gone.
func (s *Subscription) lost() {
	s.part.stop()
	if s.keys != nil {
		s.keys.lost()
	}
}

// askAgain leaves the channel and subscribes anew.
func (s *Subscription) askAgain() {
	s.lost()
	s.leave()
	s.ask()
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
		s.message(in)
	case "position":
		s.at.Offset, s.placed = max(s.at.Offset, in.Offset), true
		s.came()
	case "join", "leave", "update", "presence":
		if s.members != nil {
			s.members.handle(in)
		}
	case "gap":
		if in.Channel != s.channel { // of the presence log
			if s.members != nil {
				s.members.missed()
			}
			return
		}
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
		if s.state {
			if gap.Reason != withoutKey { // a missed entry may have set or deleted any key: go on from before the gap
				s.askAgain()
			}
			return
		}
		s.at.Offset, s.placed = max(s.at.Offset, gap.To), true
	case "unsubscribed":
		s.live = false
		s.lost()
		var why wireError
		_ = json.Unmarshal(in.Payload, &why)
		if why.Message == "" {
			why.Message = "the server ended the subscription"
		}
		s.refused(why.error())
	}
}

// message takes an entry.
func (s *Subscription) message(in *incoming) {
	m, err := in.message(s.at.Epoch)
	if err != nil {
		m.Kind, m.GapFrom, m.GapTo, m.Reason = Gap, in.Offset, in.Offset, "malformed"
	}
	if s.placed && in.Offset <= s.at.Offset {
		return // had it
	}
	if s.lacksBase(&m) {
		s.at.Offset, s.placed, s.anew = 0, false, true
		s.askAgain()
		return
	}
	if t := s.part; t != nil && !t.told {
		if in.Offset > t.head {
			s.synced() // nothing of the state comes after it
		} else {
			t.quiet.Reset(quietAfter)
		}
	}
	s.put(m)
	s.at.Offset, s.placed = in.Offset, true
	s.came()
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
	s.part.stop()
	if s.members != nil {
		s.members.end()
	}
	if s.keys != nil {
		s.keys.end()
	}
	s.begin()
	s.notify()
}
