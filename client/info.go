package client

import (
	"context"
	"encoding/json"
	"errors"

	"hocket.dev/dialect"
)

// SetInfo changes what presence tells of this client: others get an update, nobody leaves or joins. Later connections tell it,
// too, and the client's own entry in its lists of members follows. info is sent as JSON; the Client keeps nothing of it.
//
// SetInfo waits until the server has taken the info; while there is no connection it waits for one. What it refuses, by an *Error,
// leaves all as it was before: info_too_large and too_large, or permission_denied where info comes with the proof of identity.
// What JSON cannot encode is refused at once, and so is nil, which would tell the server nothing: an empty value takes back what
// was told. When ctx ends SetInfo does not wait any more, but the info is told all the same.
//
// The last call counts: of several that wait for a connection, or for the answer to one before, the newest info is told alone,
// and what becomes of it is the answer of all.
func (c *Client) SetInfo(ctx context.Context, info any) error {
	b, err := marshal(info)
	switch {
	case err != nil:
		return err
	case string(b) == "null":
		return &Error{Code: invalidPayload, Name: "invalid_payload", Message: "info must not be null: it says nothing, and an empty value does"}
	}
	c.mu.Lock()
	if err = c.err; err == nil && c.limit > 0 && len(b) > c.limit {
		err = messageTooLarge(len(b), c.limit)
	}
	if err != nil {
		defer c.mu.Unlock()
		return err
	}
	if c.nextInfo == nil {
		c.nextInfo = &newInfo{decided: make(chan struct{})}
	}
	next := c.nextInfo
	next.info = b
	c.tellInfo()
	c.mu.Unlock()
	select {
	case <-next.decided:
		return next.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newInfo is info that no server has taken yet. It belongs to the client's lock until it is decided about.
type newInfo struct {
	info    json.RawMessage
	before  *newInfo      // one that was under way when the connection was lost, and is not told again
	decided chan struct{} // closed when err is set
	err     error
}

// decide answers all who wait.
func (n *newInfo) decide(err error) {
	for ; n != nil; n = n.before {
		n.err = err
		close(n.decided)
	}
}

// refusesInfo tells whether the server would admit the client with other info.
func refusesInfo(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch dialect.Code(e.Code) {
	case dialect.InfoTooLarge, dialect.TooLarge, dialect.PermissionDenied:
		return true
	}
	return false
}

// The rest is called with the client's lock held.

// tellInfo tells new info to the session that stands, one after the other.
func (c *Client) tellInfo() {
	if c.link == nil || c.sentInfo != nil || c.nextInfo == nil {
		return
	}
	payload, _ := marshal(map[string]any{"info": c.takeNextInfo()})
	_ = c.add(outgoing{Type: "connect", Payload: payload}, &request{managed: true, done: func(_ json.RawMessage, err error) {
		c.infoAnswered(err)
		c.tellInfo()
	}}) // fails only when all has ended
}

// takeNextInfo returns what the server is to be told now: new info, which is under way from here on, or what was taken before.
func (c *Client) takeNextInfo() json.RawMessage {
	if c.nextInfo == nil {
		return c.info
	}
	c.sentInfo, c.nextInfo = c.nextInfo, nil
	return c.sentInfo.info
}

// infoAnswered says what has become of the info under way, if there is any.
func (c *Client) infoAnswered(err error) {
	sent := c.sentInfo
	if sent == nil {
		return
	}
	c.sentInfo = nil
	if err == nil {
		c.info = sent.info
		for _, s := range c.subs {
			if s.members != nil {
				s.members.ownInfo()
			}
		}
	}
	sent.decide(err)
}

// infoLost says that the connection is gone before the answer: what was under way is told by the next one, unless there is newer.
func (c *Client) infoLost() {
	sent := c.sentInfo
	c.sentInfo = nil
	switch {
	case sent == nil:
	case c.nextInfo == nil:
		c.nextInfo = sent
	default:
		c.nextInfo.before = sent
	}
}

// endInfo answers all who wait, because the client has ended.
func (c *Client) endInfo(err error) {
	c.sentInfo.decide(err)
	c.nextInfo.decide(err)
	c.sentInfo, c.nextInfo = nil, nil
}
