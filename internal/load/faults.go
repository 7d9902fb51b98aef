package load

import (
	"fmt"
	"strings"
)

// maxSentences bounds [Faults].First.
const maxSentences = 10

// Faults is what went wrong with deliveries, each counted once per subscriber.
type Faults struct {
	Missing    uint64 `json:"missing"`     // never came
	Duplicate  uint64 `json:"duplicate"`   // came again
	Reordered  uint64 `json:"reordered"`   // came after a later one
	Corrupt    uint64 `json:"corrupt"`     // came with other bytes than were published
	GapNotices uint64 `json:"gap_notices"` // the server said that it left entries out
	Errors     uint64 `json:"errors"`      // error messages, and messages that make no sense
	Closed     uint64 `json:"closed"`      // connections that ended during the run
	Unanswered uint64 `json:"unanswered"`  // publishes without a reply
	// First describes the first few of them, in order.
	First []string `json:"first,omitempty"`
}

// note keeps a sentence about a fault while there is room.
func (f *Faults) note(format string, args ...any) {
	if len(f.First) < maxSentences {
		f.First = append(f.First, fmt.Sprintf(format, args...))
	}
}

// counts lists the counters by name.
func (f *Faults) counts() []struct {
	name string
	n    uint64
} {
	return []struct {
		name string
		n    uint64
	}{
		{"missing", f.Missing}, {"duplicate", f.Duplicate}, {"reordered", f.Reordered}, {"corrupt", f.Corrupt},
		{"gap notices", f.GapNotices}, {"errors", f.Errors}, {"closed", f.Closed}, {"unanswered", f.Unanswered},
	}
}

// String lists the counters that are not 0, "none" when all are.
func (f *Faults) String() string {
	var parts []string
	for _, c := range f.counts() {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.name))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// None reports that nothing went wrong.
func (f *Faults) None() bool {
	for _, c := range f.counts() {
		if c.n > 0 {
			return false
		}
	}
	return true
}
