package session

import (
	"testing"
	"time"

	"hocket.dev/internal/hub"
)

// TestOneOfManyWritesIsMeasured shows what is measured: live entries, by their age and by how many were due.
func TestOneOfManyWritesIsMeasured(t *testing.T) {
	now := time.UnixMilli(1_795_000_000_000)
	sh := &Shard{node: &Node{cfg: Config{Now: func() time.Time { return now }}}}
	f := &follower{since: uint32(now.Unix()) - 10}
	write := func(age time.Duration, entries int) {
		for range sampleEvery {
			sh.measure(f, &hub.Slice{Time: now.Add(-age).UnixMilli()}, entries)
			sh.measure(f, &hub.Slice{Time: now.UnixMilli()}, 0) // no entry, no measure
		}
	}
	write(0, 1)
	write(-time.Second, 2) // the broker's clock is ahead
	write(3*time.Millisecond, 1)
	write(9*time.Second, 30000)
	write(11*time.Second, 1) // from before it asked
	write(time.Hour, 1)

	var latency, lag [len(Bounds{}) + 1]uint64
	var ms, entries uint64
	sh.Counters.LatencyMS.AddTo(&latency, &ms)
	sh.Counters.Lag.AddTo(&lag, &entries)
	if want := [len(Bounds{}) + 1]uint64{0: 2, 2: 1, 11: 1}; latency != want || ms != 9003 {
		t.Errorf("latency is %v with sum %d, want %v", latency, ms, want)
	}
	if want := [len(Bounds{}) + 1]uint64{0: 2, 1: 1, 12: 1}; lag != want || entries != 30004 {
		t.Errorf("lag is %v with sum %d, want %v", lag, entries, want)
	}
}
