package hub

import (
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// StartKind says where a cursor begins.
type StartKind uint8

// The places a cursor can begin at.
const (
	Live     StartKind = iota // with the next entry
	Last                      // with the newest Start.Last entries
	Since                     // with the entries since Start.Since
	Position                  // after Start.Position
	State                     // with the latest entry of every key
)

// Start says where a cursor begins.
type Start struct {
	Kind     StartKind
	Last     int
	Since    int64 // Unix milliseconds
	Position broker.Position
	// WantsState goes with Position: where the log does not reach back that far, what has changed in the state since does
	// as well.
	WantsState bool
}

// Owner is the session a cursor belongs to. Its methods are called on the owner's loop.
type Owner interface {
	// Due says that c has something to send. It is called once, until a Take of c has found nothing more.
	Due(c *Cursor)
	// Send offers all that is due to c, as Take would tell it. An owner that has nothing else to send may send it at once,
	// as much as goes, and then calls Sent and More as after a Take; it answers false, and nothing has happened, when it
	// would rather be told by Due. It saves the way through the owner's queue where one message goes to thousands.
	Send(c *Cursor, sl *Slice) bool
	// Overflow says that the rule ends the session, as Slice.Overflow does, because c has been left behind and its owner has
	// not asked for what it is due.
	Overflow(c *Cursor)
	// Ended says that c has been closed from this side, and why.
	Ended(c *Cursor, err error)
	// Name is the session's public name: entries that it published without echo are not sent to it.
	Name() string
}

// Request asks for a cursor.
type Request struct {
	Channel  string
	Loop     int // index into Config.Loops: where the owner lives
	Owner    Owner
	Encoding Encoding
	Start    Start
	Overflow rule.Overflow
	Rule     string // pattern of the channel's rule: overflows are counted by it
	// History is what the channel's rule retains: a new window is filled with it, so that whoever comes back finds it
	// on this node.
	History rule.History
	// Sample is the rule's: of the entries of one key that come within this time the followers get the latest; 0 for all.
	// Entries without a key count as one key. Of appends all are told, joined where they follow on each other. What the
	// window holds is sampled too, what comes from the broker is not. The request that opens a log decides for all who
	// follow it, as with History.
	Sample time.Duration
	// Gather is how long entries wait for each other, at most, to be told in one message, where the Encoding is a
	// Gatherer. What comes after a silence of this time does not wait. 0 tells each by itself. It goes without Sample.
	Gather time.Duration
	// LagBytes and LagAge bound how far the follower may be behind before Overflow decides, besides the window; 0 for none.
	// A follower that is refilled gets everything however far behind it is, so they do not concern it. What has come since
	// the loop last looked at the channel does not count yet: a burst finds nobody behind who was not.
	LagBytes int64
	LagAge   time.Duration
}

// Placed says where a cursor was placed.
type Placed struct {
	Epoch  string
	Offset uint64 // the channel's newest entry when the cursor was placed
	// Recovered is false when entries after the position asked for are gone, or the position is not of this epoch.
	Recovered bool
}

// Subscribe places c, which has not been used before, and calls done on the loop: before it returns, when the window
// holds what is asked for, else later. A cursor that is closed in between is not placed and its done is not called.
// Besides the errors of this package done may get one of the broker's.
func (h *Hub) Subscribe(req Request, c *Cursor, done func(Placed, error)) {
	*c = Cursor{owner: req.Owner, state: cursorWaiting}
	h.subscribe(&placing{hub: h, req: req, cursor: c, done: done})
}

// subscribe places p, or leaves it waiting for its log.
func (h *Hub) subscribe(p *placing) {
	for p.cursor.state == cursorWaiting {
		l := h.find(p.req.Channel)
		if l == nil {
			fresh := false
			l, fresh = h.add(p)
			if l == nil {
				p.fail(ErrClosed)
				return
			}
			if fresh {
				p.sure = true
				l.open(&p.req)
				return
			}
		}
		if p.place(l) {
			return
		}
		h.remove(l) // it is dead; whoever killed it may not have come to that yet
	}
}
