package broker

import (
	"context"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever happens, the totals are the sums of what the channels hold, and what the channels hold is what they count. When
// all has expired nothing is left.
func TestTotalsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		b := NewMemory(MemoryConfig{Now: c.now, Seed: 1, MaxBytes: rapid.SampledFrom([]int64{0, 5000}).Draw(t, "max")})
		b.standIn(&recorder{})
		if rapid.Bool().Draw(t, "followed") {
			b.Follow([]string{"x"})
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			channel := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "channel")
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				b.Remove(context.Background(), channel, drawRemoval(t))
			case 1, 2:
				c.pass(b, time.Duration(rapid.IntRange(0, 90_000).Draw(t, "ms"))*time.Millisecond)
			default:
				b.Publish(channel, drawAny(t), drawRetention(t), nil)
			}
			checkTotals(t, b)
		}
		b.Unfollow([]string{"x"})
		for _, name := range []string{"x", "y"} {
			b.Publish(name, Entry{}, Retention{Age: time.Second}, nil)
		}
		c.pass(b, time.Minute)
		c.pass(b, time.Hour)
		checkTotals(t, b)
		if left := []int64{b.count.Load(), b.logged.Load(), b.held.Load(), int64(len(b.agenda.queue.list))}; left[0]+left[1]+left[2]+left[3] != 0 {
			t.Fatalf("channels, bytes in logs, other bytes and plans left at the end: %v", left)
		}
	})
}

func drawRemoval(t *rapid.T) (r Removal) {
	switch rapid.IntRange(0, 3).Draw(t, "removal") {
	case 0:
		r.UpTo = rapid.Uint64Range(0, 50).Draw(t, "up to")
	case 1:
		r.Key = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
		r.UpTo = rapid.Uint64Range(0, 50).Draw(t, "up to")
	default:
		r.Offset = rapid.Uint64Range(0, 50).Draw(t, "offset")
	}
	return r
}

// drawAny draws an entry that may be one that no log can hold.
func drawAny(t *rapid.T) Entry {
	e := Entry{
		Key:     rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key"),
		Payload: []byte(rapid.SampledFrom([]string{`"x"`, `"a longer one"`, `1`, ``}).Draw(t, "payload")),
		Op:      rapid.SampledFrom([]Op{Set, Set, Append, Delete, 7}).Draw(t, "op"),
		Score:   rapid.SampledFrom([]float64{0, 0, -1, 2, math.Inf(1), math.NaN()}).Draw(t, "score"),
		TTL:     rapid.SampledFrom([]time.Duration{0, 0, 1, time.Second, time.Minute, math.MaxInt64, -time.Hour, math.MinInt64}).Draw(t, "ttl"),
	}
	e.IdempotencyKey = rapid.SampledFrom([]string{"", "", "k1", "k2", "k3"}).Draw(t, "name")
	if rapid.Bool().Draw(t, "numbered") {
		e.Client, e.Seq = "c", rapid.Uint64Range(1, 9).Draw(t, "seq")
	}
	if e.HasExpect = rapid.IntRange(0, 3).Draw(t, "expecting") == 0; e.HasExpect {
		e.Expect = rapid.Uint64Range(0, 5).Draw(t, "expect")
	}
	return e
}

func drawRetention(t *rapid.T) Retention {
	return Retention{
		Count:   rapid.IntRange(0, 9).Draw(t, "count"),
		Age:     time.Duration(rapid.IntRange(0, 2).Draw(t, "age")) * time.Second,
		Deletes: time.Duration(rapid.IntRange(0, 1).Draw(t, "deletes")) * time.Second,
	}
}

func checkTotals(t *rapid.T, b *Memory) {
	var logged, held int64
	for i := range b.shards {
		for _, c := range b.shards[i].list {
			for j := range c.log.n {
				logged += c.log.at(j).Size()
			}
			values, deleted := checkState(t, &c.state)
			held, logged = held+values, logged+deleted
			for _, records := range []map[string]*record{c.memory.keys, c.memory.clients} {
				for name := range records {
					held += recordFixed + int64(len(name))
				}
			}
			if n := c.memory.byTime.Len(); n != c.memory.len() {
				t.Fatalf("%d records in the list, %d in the maps", n, c.memory.len())
			}
		}
	}
	if b.logged.Load() != logged || b.held.Load() != held {
		t.Fatalf("totals are %d and %d, want %d and %d", b.logged.Load(), b.held.Load(), logged, held)
	}
}

// checkState checks that the parts of a state agree, and counts its bytes.
func checkState(t *rapid.T, s *state) (values, deleted int64) {
	count, mortal, gone := 0, 0, 0
	for key, c := range s.cells {
		if c.last.Key != key {
			t.Fatalf("the cell of %q is one of %q", key, c.last.Key)
		}
		if c.deleted() {
			gone++
			deleted += c.size()
			continue
		}
		count++
		values += c.size()
		if c.ends.due != 0 {
			mortal++
		}
	}
	if count != s.values || gone != s.deleted || mortal != len(s.ends.list) || values != s.bytes || deleted != s.delBytes {
		t.Fatalf("%d values in %d bytes, %d with a TTL, and %d deleted keys in %d bytes make a state of %+v", count, values, mortal, gone, deleted, s)
	}
	for _, m := range []*marks{&s.order, &s.deletes} {
		live, last := 0, uint64(0)
		for _, x := range m.list {
			if x.offset <= last {
				t.Fatalf("offset %d follows %d", x.offset, last)
			}
			if last = x.offset; x.live() {
				live++
			}
		}
		if live != len(m.list)-m.stale || m == &s.order && live != s.values || m == &s.deletes && live != s.deleted {
			t.Fatalf("%d live marks of %d, %d stale; %d values, %d deleted", live, len(m.list), m.stale, s.values, s.deleted)
		}
	}
	if s.scores.kept {
		var was *cell
		for c := range s.scores.after(nil) {
			if count--; was != nil && !was.rank().before(c.rank()) {
				t.Fatalf("%+v comes before %+v", was.rank(), c.rank())
			}
			was = c
		}
		if count != 0 {
			t.Fatalf("%d values too few in the order of scores", count)
		}
	}
	return values, deleted
}
