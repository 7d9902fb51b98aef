package hub

type cursorState uint8

const (
	cursorClosed  cursorState = iota // also the zero Cursor
	cursorWaiting                    // asked for, not placed
	cursorPlaced
)

// Cursor is a follower's place in a log. It belongs to one loop and serves for one subscription. The zero Cursor is
// closed.
type Cursor struct {
	group *group
	owner Owner
	view  *loopView
	next  uint64 // index of the entry due next
	// offset is that of the last entry passed: sent, skipped or told as missed.
	offset uint64
	behind *backlog // entries older than the window that come first, nil for none

	place   int32 // in group.cursors
	state   cursorState
	due     bool // the owner knows that there is something to send
	ended   bool // its rule has ended the session
	catches bool // what was there before it came, which is no lag
}

// Offset is the offset of the last entry the cursor has passed.
func (c *Cursor) Offset() uint64 { return c.offset }

// Channel names the channel the cursor is placed in; it is "" for a cursor that is not.
func (c *Cursor) Channel() string {
	if c.group == nil {
		return ""
	}
	return c.group.log.name
}

// Placed says whether the cursor is placed in a log.
func (c *Cursor) Placed() bool { return c.state == cursorPlaced }

// Behind counts the entries that its loop knows of and the cursor has not passed. What is older than the window does not
// count.
func (c *Cursor) Behind() uint64 {
	if c.state != cursorPlaced || c.next > c.group.end {
		return 0
	}
	return c.group.end - c.next
}

// Close takes c out of its log. Closing a closed cursor does nothing.
func (c *Cursor) Close() {
	if c.state == cursorPlaced {
		c.behind.drop(c.group.log.hub)
		c.group.drop(c)
	}
	*c = Cursor{}
}

// lags says that there may be something to send.
func (c *Cursor) lags() bool {
	if c.behind != nil {
		return !c.behind.reading
	}
	return c.next < c.group.end
}

// lagsTooFar says that c is beyond the bounds of its terms.
func (c *Cursor) lagsTooFar() bool {
	within := c.next >= c.view.lag.floor
	c.catches = c.catches && !within
	return !within && !c.catches
}

// wake tells the owner when something is due.
func (c *Cursor) wake() {
	if c.state == cursorPlaced && !c.due && c.lags() {
		c.due = true
		c.owner.Due(c)
	}
}
