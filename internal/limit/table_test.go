package limit

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAddressesAreCountedByWhatOneSubscriberHas(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7":               "192.0.2.7",
		"::ffff:192.0.2.7":        "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::",
		"2001:db8:1:2:ffff::1":    "2001:db8:1:2::",
		"2001:db8:1:3::1":         "2001:db8:1:3::",
		"fe80::1%eth0":            "fe80::",
		"::1":                     "::",
		"::ffff:192.0.2.7%eth0":   "192.0.2.7",
		"64:ff9b::192.0.2.7":      "64:ff9b::",
		"2001:db8:1:2:3:4:5:6%e1": "2001:db8:1:2::",
	} {
		if got := Address(netip.MustParseAddr(address)); got.String() != want {
			t.Errorf("%s is counted as %s, want %s", address, got, want)
		}
	}
}

func limits(t testing.TB, publishes string) *Limits {
	t.Helper()
	return (&Rates{Publishes: rate(t, publishes)}).Limits()
}

func TestSessionsOfOneKeyShareAnAccount(t *testing.T) {
	table, l := NewTable[string](100), limits(t, "1/s burst 2")
	one, n := table.Open("ada", 0)
	other, m := table.Open("ada", 0)
	if n != 1 || m != 2 {
		t.Errorf("they are %d and %d", n, m)
	}
	one.Take(l, Publishes, 0, 1)
	other.Take(l, Publishes, 0, 1)
	if one.Take(l, Publishes, 0, 1) == 0 {
		t.Error("together they have more than one")
	}
	if bo, _ := table.Open("bo", 0); bo.Take(l, Publishes, 0, 2) != 0 {
		t.Error("another pays for them")
	}
}

func TestComingBackBringsNoFullBucket(t *testing.T) {
	table, l := NewTable[string](100), limits(t, "1/s burst 5")
	e, _ := table.Open("ada", 0)
	e.Take(l, Publishes, 0, 5)
	e.Ban(3 * time.Second)
	e.Close(0)
	e, _ = table.Open("ada", time.Second)
	if e.Take(l, Publishes, time.Second, 2) == 0 {
		t.Error("the bucket was forgotten")
	}
	if left := e.Banned(time.Second); left != 2*time.Second {
		t.Errorf("the ban has %v left", left)
	}
	e.Close(time.Second)
	if table.Sweep(4 * time.Second); table.Len() != 1 {
		t.Error("it was forgotten before the bucket is full")
	}
	if table.Sweep(5 * time.Second); table.Len() != 0 {
		t.Error("it was not forgotten when the bucket is full")
	}
}

func TestABanLastsThoughBucketsAreFull(t *testing.T) {
	table := NewTable[string](100)
	e, _ := table.Open("ada", 0)
	e.Ban(time.Minute)
	e.Ban(time.Second) // does not shorten it
	e.Close(0)
	table.Sweep(59 * time.Second)
	table.Look("ada", 59*time.Second, func(a *Account, _ int) {
		if a.Banned(59*time.Second) != time.Second {
			t.Error("the ban was forgotten")
		}
	})
	if table.Sweep(time.Minute); table.Len() != 0 {
		t.Error("the ban was not forgotten when it is over")
	}
}

// Addresses by the thousands, each of which empties its bucket and goes, neither grow the table nor get anything for it.
func TestManyKeysNeitherGrowTheTableNorPass(t *testing.T) {
	const most, keys = 1000, 8_000
	table, l := NewTable[int](most), limits(t, "1/m burst 3")
	honest, _ := table.Open(-1, 0)
	honest.Take(l, Publishes, 0, 1)
	remembered, _ := table.Open(-2, 0)
	remembered.Take(l, Publishes, 0, 2)
	remembered.Close(0)
	for round := range 2 {
		for key := range keys {
			e, _ := table.Open(key, 0)
			for e.Take(l, Publishes, 0, 1) == 0 {
				if round > 0 {
					t.Fatalf("%d comes back to a bucket that is not empty", key)
				}
			}
			e.Close(0)
		}
	}
	if n := table.Len(); n > most+tableParts+1 {
		t.Errorf("there are %d accounts", n)
	}
	if table.Traced() == 0 {
		t.Error("nothing was beyond the bound")
	}
	if honest.Take(l, Publishes, 0, 2) != 0 {
		t.Error("one who was there has lost what it had left")
	}
	e, _ := table.Open(-2, 0)
	if e.Take(l, Publishes, 0, 1) != 0 || e.Take(l, Publishes, 0, 1) == 0 {
		t.Error("one who was remembered has another bucket")
	}
	table.Look(keys+1, 3*time.Minute, func(a *Account, _ int) {
		if a.Take(l, Publishes, 3*time.Minute, 3) != 0 {
			t.Error("a stranger still pays for them when their buckets are full again")
		}
	})
}

// Strangers share their traces, which are many: twenty thousand with one each empty no bucket of a hundred.
func TestStrangersAreSpreadOverTraces(t *testing.T) {
	table, l := NewTable[int](0), limits(t, "1/m burst 100")
	for key := range 20_000 {
		table.Look(key, 0, func(a *Account, _ int) {
			if a.Take(l, Publishes, 0, 1) != 0 {
				t.Fatalf("%d is refused", key)
			}
		})
	}
}

func TestABanLeavesNoTrace(t *testing.T) {
	table := NewTable[int](0)
	for key := range 10_000 {
		table.Look(key, 0, func(a *Account, _ int) {
			if a.Banned(0) > 0 {
				t.Fatalf("%d is banned for another", key)
			}
			a.Ban(time.Hour)
		})
	}
}

// A table, whatever its bound, never lets a key take more than an account that is never forgotten would, and, where the bound is
// not reached, never less.
func TestATableIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]int{0, 20, 1000}).Draw(t, "most")
		table, model := NewTable[int](most), map[int]*Account{}
		l := (&Rates{Publishes: Rate{10, time.Second, 4}}).Limits()
		open := map[int][]*Entry[int]{}
		now := time.Duration(0)
		t.Repeat(map[string]func(*rapid.T){
			"pass": func(t *rapid.T) { now += time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "pass")) },
			"open": func(t *rapid.T) {
				key := rapid.IntRange(0, 60).Draw(t, "key")
				e, n := table.Open(key, now)
				if open[key] = append(open[key], e); n != len(open[key]) {
					t.Fatalf("%d has it open, not %d", n, len(open[key]))
				}
			},
			"take": func(t *rapid.T) {
				key := rapid.IntRange(0, 60).Draw(t, "key")
				if len(open[key]) == 0 {
					return
				}
				if model[key] == nil {
					model[key] = &Account{}
				}
				got := open[key][0].Take(l, Publishes, now, 1)
				trial := model[key]
				want := trial.Take(l, Publishes, now, 1)
				if got == 0 && want > 0 || most == 1000 && got != want {
					t.Fatalf("%d has to wait %v, the model %v", key, got, want)
				}
				if got > 0 && want == 0 {
					trial.GiveBack(l, Publishes, 1)
				}
			},
			"close": func(t *rapid.T) {
				key := rapid.IntRange(0, 60).Draw(t, "key")
				if all := open[key]; len(all) > 0 {
					all[0].Close(now)
					open[key] = all[1:]
				}
			},
			"sweep": func(*rapid.T) { table.Sweep(now) },
		})
	})
}

func TestATableMayBeUsedFromAnyGoroutine(t *testing.T) {
	table, l := NewTable[string](10), limits(t, "1000/s burst 1000")
	var all sync.WaitGroup
	passed := make([]int, 4)
	for g := range passed {
		all.Go(func() {
			for i := range 1000 {
				shared, _ := table.Open("shared", 0)
				if shared.Take(l, Publishes, 0, 1) == 0 {
					passed[g]++
				}
				own, _ := table.Open(fmt.Sprint(g, i), 0)
				own.Take(l, Publishes, 0, 1)
				own.Close(0)
				shared.Close(0)
			}
		})
	}
	keep, _ := table.Open("shared", 0)
	all.Wait()
	keep.Close(0)
	if sum := passed[0] + passed[1] + passed[2] + passed[3]; sum != 1000 {
		t.Errorf("%d passed, not 1000", sum)
	}
}

func BenchmarkOpenAndClose(b *testing.B) {
	table := NewTable[netip.Addr](1 << 16)
	a := netip.MustParseAddr("192.0.2.7")
	for i := range b.N {
		e, _ := table.Open(a, time.Duration(i))
		e.Close(time.Duration(i))
	}
}

func TestWhoHasTakenNothingIsForgottenAtOnce(t *testing.T) {
	table, l := NewTable[string](100), limits(t, "1/s burst 5")
	e, _ := table.Open("ada", 0)
	again, _ := table.Open("ada", 0)
	e.Take(l, Publishes, 0, 1)
	e.Close(time.Second)
	if n := again.Open(); n != 1 || table.Len() != 1 {
		t.Errorf("%d have it open, of %d", n, table.Len())
	}
	if again.Close(time.Second); table.Len() != 0 {
		t.Error("it is remembered for nothing")
	}
}
