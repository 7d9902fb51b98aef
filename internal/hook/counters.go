package hook

import (
	"sync/atomic"
	"time"

	"hocket.dev/internal/session"
)

// Outcome is what came of a question.
type Outcome uint8

// The outcomes.
const (
	Allowed   Outcome = iota
	Denied            // by the back end
	Down              // there was no answer in time, or one with a status of 5xx or 429
	Invalid           // what answered, or what it said, was not as it must be
	Busy              // too many questions were under way
	Cancelled         // the session that asked has ended
)

var outcomes = [...]string{
	Allowed: "allow", Denied: "deny", Down: "down", Invalid: "invalid", Busy: "busy", Cancelled: "cancelled",
}

// String returns the name as it stands in metrics.
func (o Outcome) String() string { return outcomes[o] }

// Counters are what was counted of one kind of question. They may be read from any goroutine.
type Counters struct {
	ByOutcome  [len(outcomes)]atomic.Uint64
	DurationMS session.Histogram // of session.LatencyBounds: of those that were sent
}

// Counters returns those of a kind, nil where nobody is asked.
func (c *Client) Counters(k Kind) *Counters {
	if e := c.endpoints[k]; e != nil {
		return &e.Counters
	}
	return nil
}

// told keeps a failure that happens to everybody from filling the log.
type told struct {
	last    atomic.Int64  // when the log was told, Unix milliseconds
	skipped atomic.Uint64 // failures since
}

// now tells whether to write to the log, and how many failures were not written since the last time.
func (t *told) now(now time.Time) (skipped uint64, ok bool) {
	last := t.last.Load()
	if now.UnixMilli()-last < time.Second.Milliseconds() || !t.last.CompareAndSwap(last, now.UnixMilli()) {
		t.skipped.Add(1)
		return 0, false
	}
	return t.skipped.Swap(0), true
}
