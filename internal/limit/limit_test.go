package limit

import (
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const second = int64(time.Second)

func (b *Bucket) wantTake(t *testing.T, now int64, n float64) {
	t.Helper()
	if ok, wait := b.Take(now, n, 10, 5); !ok || wait != 0 {
		t.Fatalf("refused at %v, to be tried again after %v", time.Duration(now), wait)
	}
}

func (b *Bucket) wantRefusal(t *testing.T, now int64, n float64, retryAfter time.Duration) {
	t.Helper()
	if ok, wait := b.Take(now, n, 10, 5); ok || wait != retryAfter {
		t.Fatalf("at %v: %v, retry after %v; want a refusal and %v", time.Duration(now), ok, wait, retryAfter)
	}
}

func TestBurstThenRate(t *testing.T) {
	var b Bucket
	now := second
	for range 5 {
		b.wantTake(t, now, 1)
	}
	b.wantRefusal(t, now, 1, 100*time.Millisecond)
	b.wantRefusal(t, now+second/20, 1, 50*time.Millisecond)
	b.wantTake(t, now+second/10, 1)
	b.wantRefusal(t, now+second/10, 3, 300*time.Millisecond)
	b.wantTake(t, now+10*second, 5)
	b.wantRefusal(t, now+10*second, 1, 100*time.Millisecond)
}

func TestClockSteppingBackGivesNothing(t *testing.T) {
	var b Bucket
	b.wantTake(t, 10*second, 5)
	b.wantRefusal(t, second, 1, 100*time.Millisecond)
	b.wantTake(t, 10*second+second/10, 1)
}

func TestMoreThanABurstGoesThroughAnEmptyBucket(t *testing.T) {
	var b Bucket
	b.wantTake(t, second, 20)
	b.wantRefusal(t, second, 20, 2*time.Second)
	b.wantTake(t, 3*second, 20)
}

func TestNoRateIsNoLimit(t *testing.T) {
	var b Bucket
	for range 1000 {
		if ok, _ := b.Take(0, 1e9, 0, 1); !ok {
			t.Fatal("refused")
		}
	}
}

func TestBucketHas16Bytes(t *testing.T) {
	if n := unsafe.Sizeof(Bucket{}); n != 16 {
		t.Errorf("a bucket has %d bytes; sessions pay for them", n)
	}
}

// Over any span no more than burst + rate × span is let through, and a refused caller who waits as told is served.
func TestRateHoldsOverAnySpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.1, 1e6).Draw(t, "rate")
		burst := rapid.Float64Range(1, 1e4).Draw(t, "burst")
		var b Bucket
		start := rapid.Int64Range(1, 1<<60).Draw(t, "start")
		now, taken := start, 0.0
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += rapid.Int64Range(0, second).Draw(t, "pause")
			n := rapid.Float64Range(0, burst).Draw(t, "n")
			ok, wait := b.Take(now, n, rate, burst)
			if !ok {
				if wait <= 0 {
					t.Fatalf("refused, to be tried again after %v", wait)
				}
				now += int64(wait)
				if ok, again := b.Take(now, n, rate, burst); !ok {
					// The float's last digit may be missing, never more.
					if again > time.Microsecond {
						t.Fatalf("refused after waiting %v as told: %v more", wait, again)
					}
					continue
				}
			}
			taken += n
			if most := burst + rate*float64(now-start)/1e9; taken > most*1.000001+0.001 {
				t.Fatalf("%v taken, at most %v allowed", taken, most)
			}
		}
	})
}
