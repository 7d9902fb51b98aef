package client

import (
	"context"
	"encoding/json"
	"fmt"
)

// HistoryOptions say which part of a channel's log to read. nil and the zero value mean the newest entries.
type HistoryOptions struct {
	After  *uint64 // the oldest entries after this offset
	Before *uint64 // the newest entries before this offset; not together with After
	Limit  int     // at most so many; 0 leaves it to the server
}

// History is a part of a channel's log, oldest first.
type History struct {
	Position // the channel's now
	Messages []Message
	More     bool // there is more in the direction asked
}

// History reads a part of a channel's log, without following it. It is asked again when the connection is lost.
func (c *Client) History(ctx context.Context, channel string, opts *HistoryOptions) (History, error) {
	asked := make(map[string]any)
	if opts != nil {
		if opts.After != nil {
			asked["after"] = *opts.After
		}
		if opts.Before != nil {
			asked["before"] = *opts.Before
		}
		if opts.Limit != 0 {
			asked["limit"] = opts.Limit
		}
	}
	page, err := c.readPage(ctx, "history", channel, asked)
	return History{page.Position, page.messages, page.More}, err
}

// ReadStateOptions say which part of a channel's state to read. nil and the zero value mean the first page by offset.
type ReadStateOptions struct {
	ByScore bool   // highest first, of equal ones the one written first; else as written, oldest first
	Limit   int    // at most so many; 0 leaves it to the server
	Next    string // the Next of the page before
}

// StatePage is a page of a channel's state: the latest entry of each key, what was appended being part of it.
type StatePage struct {
	Position // the channel's now
	Messages []Message
	Count    int    // of all keys
	Next     string // asks for the page after this one; "" in the last
}

// ReadState reads a page of a keyed channel's state, without following it. It is asked again when the connection is lost.
func (c *Client) ReadState(ctx context.Context, channel string, opts *ReadStateOptions) (StatePage, error) {
	asked := make(map[string]any)
	if opts != nil {
		if opts.ByScore {
			asked["order"] = "score"
		}
		if opts.Limit != 0 {
			asked["limit"] = opts.Limit
		}
		if opts.Next != "" {
			asked["next"] = opts.Next
		}
	}
	page, err := c.readPage(ctx, "state", channel, asked)
	return StatePage{page.Position, page.messages, page.Count, page.Next}, err
}

// page is the reply to a read.
type page struct {
	Position
	Messages []incoming `json:"messages"`
	More     bool       `json:"more"`
	Count    int        `json:"count"`
	Next     string     `json:"next"`

	messages []Message
}

func (c *Client) readPage(ctx context.Context, verb, channel string, asked map[string]any) (p page, err error) {
	payload, err := marshal(asked)
	if err != nil {
		return p, err
	}
	reply, err := c.do(ctx, outgoing{Type: verb, Channel: channel, Payload: payload}, true)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(reply, &p); err != nil {
		return p, fmt.Errorf("client: %s of %q: the reply makes no sense: %w", verb, channel, err)
	}
	for i := range p.Messages {
		in := &p.Messages[i]
		in.Channel = channel
		m, err := in.message(p.Epoch)
		if err != nil {
			return p, fmt.Errorf("client: %s of %q: the entry at %d makes no sense: %w", verb, channel, in.Offset, err)
		}
		if err := c.unseal(ctx, &m); err != nil {
			return p, err
		}
		p.messages = append(p.messages, m)
	}
	return p, nil
}
