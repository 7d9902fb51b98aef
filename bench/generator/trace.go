//go:build linux

package generator

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// trace is what became of each publish of a process that does nothing else. It is handed on in JSON.
type trace struct {
	Rooms     []int // publishes by room
	Publishes []published
	Late      int // publishes that went out more than a round of all rooms late
}

// published is one publish. Times are nanoseconds.
type published struct {
	Sent    int64 // since 1970
	Answer  int64 // after Sent
	Receipt int64 // the same
}

// sent counts a publish and returns its number.
func (t *trace) sent(to *room, now time.Time) (number int) {
	t.Rooms[to.index]++
	t.Publishes = append(t.Publishes, published{Sent: now.UnixNano()})
	return len(t.Publishes) - 1
}

func (t *trace) answered(number int, at time.Time) {
	p := &t.Publishes[number]
	p.Answer = at.UnixNano() - p.Sent
}

func (t *trace) received(number int, at time.Time) {
	p := &t.Publishes[number]
	p.Receipt = at.UnixNano() - p.Sent
}

// part returns how long publishes waited for their answer, and to be received, that were sent in a time, the shortest first.
func (t *trace) part(from, to time.Time) (answers, receipts durations, err error) {
	for _, p := range t.Publishes {
		if p.Sent < from.UnixNano() || p.Sent >= to.UnixNano() {
			continue
		}
		if p.Answer <= 0 || p.Receipt <= 0 {
			return nil, nil, fmt.Errorf("a publish was answered %d ns after it was sent and received %d ns after that: has somebody set the clock?", p.Answer, p.Receipt)
		}
		answers = append(answers, time.Duration(p.Answer))
		receipts = append(receipts, time.Duration(p.Receipt))
	}
	if len(answers) == 0 {
		return nil, nil, errors.New("nothing was published")
	}
	slices.Sort(answers)
	slices.Sort(receipts)
	return answers, receipts, nil
}

// durations are sorted.
type durations []time.Duration

// percentile returns the duration that p percent of them do not exceed.
func (d durations) percentile(p float64) time.Duration {
	return d[min(int(p/100*float64(len(d))), len(d)-1)]
}
