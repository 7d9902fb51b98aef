package client

import (
	"context"
	"encoding/json"
)

// An Event is a payload that a back end has sent to this session, or to all sessions of its user, on no channel. Events are in no
// log: what is sent while the client is away does not come.
type Event struct {
	Payload []byte // a JSON value, or any bytes if Binary
	Binary  bool
	Missed  int // how many events right before it came and were dropped, because Options.EventBuffer was full
}

// Decode stores the payload in what v points to, as json.Unmarshal does.
func (e Event) Decode(v any) error { return json.Unmarshal(e.Payload, v) }

// NextEvent returns the next event, in the order in which they came. It blocks until there is one, or ctx ends. Its other error
// is an *Error: why the client has ended; events that came before can still be read. One goroutine at a time calls it.
func (c *Client) NextEvent(ctx context.Context) (Event, error) {
	return await(ctx, c.eventNews, func() (Event, bool, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.events) == 0 {
			return Event{}, false, c.err
		}
		e := c.events[0]
		c.events[0] = Event{}
		c.events = c.events[1:]
		e.Missed, c.missedEvents = c.missedEvents, 0
		return e, true, nil
	})
}

// The rest is called with the client's lock held.

// event keeps an event for NextEvent. When the buffer is full the oldest one gives way.
func (c *Client) event(in *incoming) {
	e := Event{Payload: in.Payload}
	if b, binary, err := in.bytes(); err == nil {
		e.Payload, e.Binary = b, binary
	}
	if len(c.events) >= c.opts.EventBuffer {
		c.events[0] = Event{}
		c.events = c.events[1:]
		c.missedEvents++
	}
	c.events = append(c.events, e)
	c.wakeEvents()
}

func (c *Client) wakeEvents() {
	select {
	case c.eventNews <- struct{}{}:
	default:
	}
}
