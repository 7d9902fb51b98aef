package limit

import (
	"math/big"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

func TestTheStateOfALimiterIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Bucket{}); size > 16 {
		t.Errorf("a bucket has %d bytes", size)
	}
	if size := unsafe.Sizeof(shared{}); size > 16 {
		t.Errorf("a bucket for any goroutine has %d bytes", size)
	}
}

func TestABurstPassesAndThenTheRate(t *testing.T) {
	l := rate(t, "10/s burst 3").Limit()
	var b Bucket
	now := 5 * time.Second
	for i := range 3 {
		if wait := b.Take(&l, now, 1); wait != 0 {
			t.Fatalf("%d of the burst has to wait %v", i, wait)
		}
	}
	if wait := b.Take(&l, now, 1); wait != 100*time.Millisecond {
		t.Errorf("after the burst it has to wait %v", wait)
	}
	if wait := b.Take(&l, now+100*time.Millisecond-1, 1); wait != 1 {
		t.Errorf("just before there is room it has to wait %v", wait)
	}
	if wait := b.Take(&l, now+100*time.Millisecond, 1); wait != 0 {
		t.Errorf("when it was said that there is room it has to wait %v", wait)
	}
	if b.Full(now+399*time.Millisecond) || !b.Full(now+400*time.Millisecond) {
		t.Error("it is full at another time")
	}
}

func TestMoreThanTheBurstNeedsAFullBucket(t *testing.T) {
	l := rate(t, "1KiB/s burst 2KiB").Limit()
	var b Bucket
	if wait := b.Take(&l, 0, 10<<10); wait != 0 {
		t.Fatalf("10 KiB have to wait %v", wait)
	}
	if wait := b.Take(&l, 0, 1<<10); wait != 9*time.Second {
		t.Errorf("1 KiB after them has to wait %v", wait)
	}
	if wait := b.Take(&l, 9*time.Second, 10<<10); wait != time.Second {
		t.Errorf("10 KiB after them have to wait %v", wait)
	}
}

func TestWhatIsOwedHasToBeWaitedFor(t *testing.T) {
	l := rate(t, "10/s burst 2").Limit()
	var b Bucket
	for i, want := range []time.Duration{0, 0, 100 * time.Millisecond, 200 * time.Millisecond} {
		if wait := b.Wait(&l, 0, 1); wait != want {
			t.Errorf("%d: %v, want %v", i, wait, want)
		}
		b.Owe(&l, 0, 1)
	}
	if wait := b.Wait(&l, 300*time.Millisecond, 1); wait != 0 {
		t.Errorf("later: %v", wait)
	}
}

func TestGivingBackUndoesTaking(t *testing.T) {
	l := rate(t, "7/s burst 3").Limit()
	rapid.Check(t, func(t *rapid.T) {
		b := Bucket{time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "full"))}
		before, now := b, time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "now"))
		n := rapid.Int64Range(1, 5).Draw(t, "n")
		if b.Take(&l, now, n) == 0 {
			b.GiveBack(&l, n)
		}
		if max(b.full, now) != max(before.full, now) {
			t.Fatalf("%v became %v", before, b)
		}
	})
}

// model is a bucket as one would explain it: a number of tokens that grows with time.
type model struct {
	rate   Rate
	tokens *big.Rat
	at     time.Duration
}

func (m *model) pass(now time.Duration) {
	m.tokens.Add(m.tokens, new(big.Rat).Mul(big.NewRat(int64(now-m.at), int64(m.rate.Per)), big.NewRat(m.rate.Count, 1)))
	if burst := big.NewRat(m.rate.burst(), 1); m.tokens.Cmp(burst) > 0 {
		m.tokens = burst
	}
	m.at = now
}

func (m *model) take(now time.Duration, n int64) bool {
	m.pass(now)
	if n > 0 && m.tokens.Cmp(big.NewRat(min(n, m.rate.burst()), 1)) < 0 {
		return false
	}
	m.tokens.Sub(m.tokens, big.NewRat(n, 1))
	return true
}

// Where one takes a whole number of nanoseconds a bucket is the model to the letter; so is its promise when there is room.
func TestABucketIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.SampledFrom([]int64{1, 3, 1000, 250_000, 1e9, 60e9}).Draw(t, "one takes")
		count := rapid.Int64Range(1, int64(MaxPer)/one).Draw(t, "count")
		r := Rate{count, time.Duration(count * one), rapid.Int64Range(1, 50).Draw(t, "burst")}
		if r.Check() != nil {
			t.Skip("out of range")
		}
		l, b := r.Limit(), Bucket{}
		m := model{rate: r, tokens: big.NewRat(r.burst(), 1)}
		now := time.Duration(0)
		for range rapid.IntRange(1, 40).Draw(t, "takes") {
			now += time.Duration(rapid.Int64Range(0, 3*one).Draw(t, "pass"))
			n := rapid.Int64Range(0, 60).Draw(t, "n")
			wait, want := b.Take(&l, now, n), m.take(now, n)
			if (wait == 0) != want {
				t.Fatalf("%v: %d at %v: wait %v; the model lets it pass: %v", r, n, now, wait, want)
			}
			if wait > 0 {
				early, due := b, b
				if early.Take(&l, now+wait-1, n) == 0 || due.Take(&l, now+wait, n) != 0 {
					t.Fatalf("%v: %d at %v has to wait, but not %v", r, n, now, wait)
				}
			}
		}
	})
}

// Whatever the rate, no time sees more than the burst and what the rate brings in it: within a thousandth for rates up to a
// million a second, since one is counted in whole nanoseconds.
func TestNothingPassesBeyondTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{rapid.Int64Range(1, 1e6).Draw(t, "count"), time.Second, rapid.Int64Range(1, 1000).Draw(t, "burst")}
		l, a := r.Limit(), Account{}
		limits := Limits{Publishes: l}
		now, passed := time.Duration(0), int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "takes") {
			now += time.Duration(rapid.Int64Range(0, 20e6).Draw(t, "pass"))
			for range rapid.IntRange(1, 100).Draw(t, "at once") {
				if a.Take(&limits, Publishes, now, 1) == 0 {
					passed++
				}
			}
		}
		most := float64(r.Burst) + 1.001*float64(r.Count)*now.Seconds()
		if float64(passed) > most {
			t.Fatalf("%v: %d in %v", r, passed, now)
		}
	})
}

func TestTakingAllocatesNothing(t *testing.T) {
	limits := (&Rates{Messages: rate(t, "100/s"), Bytes: rate(t, "1MiB/s")}).Limits()
	var b Buckets
	var a Account
	now := time.Duration(0)
	if n := testing.AllocsPerRun(100, func() {
		now += time.Millisecond
		b[Messages].Take(&limits[Messages], now, 1)
		b[Bytes].Take(&limits[Bytes], now, 777)
		a.Take(limits, Messages, now, 1)
		a.Take(limits, Bytes, now, 777)
		a.Owe(limits, Bytes, now, 777)
		a.GiveBack(limits, Bytes, 777)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTake(b *testing.B) {
	limits := (&Rates{Messages: rate(b, "1000000/s"), Bytes: rate(b, "1GiB/s")}).Limits()
	b.Run("bucket", func(b *testing.B) {
		var s Buckets
		for i := range b.N {
			now := time.Duration(i) * 1000
			s[Messages].Take(&limits[Messages], now, 1)
			s[Bytes].Take(&limits[Bytes], now, 100)
		}
	})
	b.Run("account", func(b *testing.B) {
		var a Account
		for i := range b.N {
			now := time.Duration(i) * 1000
			a.Take(limits, Messages, now, 1)
			a.Take(limits, Bytes, now, 100)
		}
	})
}

func TestWhatHasBeenTakenStaysTakenUnderAnotherRate(t *testing.T) {
	for _, test := range []struct {
		from, to string
		taken    int64
		left     int64 // that passes at once
		wait     time.Duration
	}{
		{"5/s burst 20", "5/s burst 20", 20, 0, 200 * time.Millisecond},
		{"5/s burst 20", "100/s burst 500", 20, 480, 10 * time.Millisecond},
		{"100/s burst 500", "5/s burst 20", 30, 0, 2200 * time.Millisecond},
		{"100/s burst 500", "5/s burst 20", 3, 17, 200 * time.Millisecond},
		{"1/24h burst 30", "1/ms burst 31", 30, 1, time.Millisecond},
		{"3/s burst 7", "7/s burst 30", 7, 23, time.Second / 7},
		{"5/s", "off", 5, 1000, 0},
	} {
		from, to, b := rate(t, test.from).Limit(), rate(t, test.to).Limit(), Bucket{}
		b.Take(&from, 0, test.taken)
		b.Change(&from, &to, 0)
		for range test.left {
			if b.Take(&to, 0, 1) != 0 {
				t.Fatalf("%+v: less is left", test)
			}
		}
		if wait := b.Wait(&to, 0, 1); (wait - test.wait).Abs() > 100 {
			t.Errorf("%+v: the next has to wait %v", test, wait)
		}
	}
}

// Whoever changes between limits gets nothing by it: there and back, a bucket is no fuller.
func TestChangingRatesRefillsNothing(t *testing.T) {
	rates := rapid.Custom(func(t *rapid.T) Rate {
		r := Rate{rapid.Int64Range(1, 1e6).Draw(t, "count"), time.Duration(rapid.Int64Range(1, 1e5).Draw(t, "per")) * time.Millisecond, rapid.Int64Range(1, 1e6).Draw(t, "burst")}
		if r.Check() != nil {
			return Rate{1, time.Second, 1}
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		one, other := rates.Draw(t, "one"), rates.Draw(t, "other")
		from, to, b := one.Limit(), other.Limit(), Bucket{}
		now := time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "now"))
		b.Take(&from, now, rapid.Int64Range(0, one.Burst).Draw(t, "taken"))
		now += time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "pass"))
		before := b
		b.Change(&from, &to, now)
		b.Change(&to, &from, now)
		if b.full < before.full && b.full < now+mostOwed-time.Hour {
			t.Fatalf("full in %v, then in %v", before.full-now, b.full-now)
		}
	})
}
