package broker

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// A recorder is a Sink that keeps what it is told.
type recorder struct {
	entries []*Entry
	epochs  []string
	deliver func(channel string, e *Entry) // called besides, if not nil
}

func (r *recorder) Deliver(channel, epoch string, e *Entry) {
	r.entries = append(r.entries, e)
	r.epochs = append(r.epochs, epoch)
	if r.deliver != nil {
		r.deliver(channel, e)
	}
}

func (r *recorder) Gap(string) {}

// run runs b until the test ends.
func run(t testing.TB, b *Memory, sink Sink) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, sink) }()
	<-b.Ready()
	stop = func() {
		cancel()
		if err, open := <-ended; open && err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(func() { cancel() })
	return stop
}

// must publishes and returns the receipt, which a memory broker has at once.
func must(t testing.TB, b *Memory, channel string, e Entry, r Retention) Receipt {
	t.Helper()
	receipt, err := publish(b, channel, e, r)
	if err != nil {
		t.Fatalf("publish to %s: %v", channel, err)
	}
	return receipt
}

func publish(b *Memory, channel string, e Entry, r Retention) (receipt Receipt, err error) {
	err = fmt.Errorf("done was not called")
	b.Publish(channel, e, r, func(x Receipt, y error) { receipt, err = x, y })
	return receipt, err
}

func TestOffsetsAreConsecutiveUnlessScattered(t *testing.T) {
	b := NewMemory(MemoryConfig{})
	defer run(t, b, &recorder{})()
	for want := uint64(1); want <= 10; want++ {
		if got := must(t, b, "a", Entry{}, Retention{}); got.Offset != want {
			t.Fatalf("offset = %d, want %d", got.Offset, want)
		}
	}
}

func TestScatteredOffsetsStartAnywhereAndLeaveHoles(t *testing.T) {
	b := NewMemory(MemoryConfig{Scatter: true, Seed: 1})
	defer run(t, b, &recorder{})()
	firsts := map[uint64]bool{}
	holes := 0
	for i := range 20 {
		channel := fmt.Sprint("c", i)
		last := must(t, b, channel, Entry{}, Retention{}).Offset
		firsts[last] = true
		for range 20 {
			next := must(t, b, channel, Entry{}, Retention{}).Offset
			if next <= last || next > MaxOffset {
				t.Fatalf("offset %d follows %d", next, last)
			}
			if next > last+1 {
				holes++
			}
			last = next
		}
	}
	if len(firsts) < 19 || holes < 200 {
		t.Errorf("%d different first offsets of 20, %d holes after 400 entries", len(firsts), holes)
	}
}

func TestSinkMayPublishToTheSameChannel(t *testing.T) {
	b := NewMemory(MemoryConfig{})
	sink := &recorder{}
	sink.deliver = func(channel string, e *Entry) {
		if e.Offset < 5 {
			b.Publish(channel, Entry{}, Retention{}, nil)
			b.Follow([]string{channel, "other"})
		}
	}
	defer run(t, b, sink)()
	b.Follow([]string{"a"})
	must(t, b, "a", Entry{}, Retention{})
	for i, e := range sink.entries {
		if e.Offset != uint64(i+1) {
			t.Fatalf("entry %d has offset %d", i, e.Offset)
		}
	}
	if len(sink.entries) != 5 {
		t.Errorf("%d entries delivered, want 5", len(sink.entries))
	}
}

func TestEntriesWaitingForASinkAreBounded(t *testing.T) {
	b := NewMemory(MemoryConfig{})
	sink := &recorder{}
	var busy, taken int
	sink.deliver = func(channel string, e *Entry) {
		if e.Offset > 1 {
			return
		}
		for range maxPending + 7 {
			if _, err := publish(b, channel, Entry{}, Retention{}); err == ErrBusy {
				busy++
			} else if err == nil {
				taken++
			}
		}
	}
	defer run(t, b, sink)()
	b.Follow([]string{"a"})
	must(t, b, "a", Entry{}, Retention{})
	if busy != 7 || taken != maxPending || len(sink.entries) != 1+maxPending {
		t.Errorf("%d refused, %d taken, %d delivered; want 7, %d, %d", busy, taken, len(sink.entries), maxPending, 1+maxPending)
	}
}

func TestTimeDoesNotStepBack(t *testing.T) {
	var now atomic.Int64
	now.Store(5000)
	b := NewMemory(MemoryConfig{Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	sink := &recorder{}
	defer run(t, b, sink)()
	b.Follow([]string{"a"})
	for _, ms := range []int64{5000, 4000, 6000} {
		now.Store(ms)
		must(t, b, "a", Entry{}, Retention{Count: 9})
	}
	for i, want := range []int64{5000, 5000, 6000} {
		if got := sink.entries[i].Time; got != want {
			t.Errorf("entry %d has time %d, want %d", i, got, want)
		}
	}
}

func (r *recorder) Removed(string, Removal) {}
