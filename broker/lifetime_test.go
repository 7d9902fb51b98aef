package broker

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A clock is set by hand.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(1_000_000)
	return c
}

func (c *clock) now() time.Time { return time.UnixMilli(c.ms.Load()) }

// pass lets time pass and sweeps every channel.
func (c *clock) pass(b *Memory, d time.Duration) {
	c.ms.Add(d.Milliseconds())
	var at place
	b.sweep(&at)
	if sink := b.sink.Load(); sink != nil {
		for b.endValues(*sink, c.ms.Load()) {
		}
	}
}

// standIn lets b work as if Run was called, but leaves to clock.pass what Run does: so a test can be repeated.
func (b *Memory) standIn(sink Sink) { b.sink.Store(&sink) }

func epoch(t testing.TB, b *Memory, channel string) string {
	t.Helper()
	heads, err := b.Heads(t.Context(), []string{channel})
	if err != nil {
		t.Fatal(err)
	}
	return heads[0].Epoch
}

func TestIdleChannelIsDropped(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now})
	defer run(t, b, &recorder{})()
	r := Retention{Count: 5, Age: time.Minute, DedupWindow: 2 * time.Minute}
	first := must(t, b, "a", Entry{IdempotencyKey: "k"}, r)
	c.pass(b, 2*time.Minute)
	if got := epoch(t, b, "a"); got != first.Epoch {
		t.Fatalf("epoch is %q while the key is remembered, want %q", got, first.Epoch)
	}
	c.pass(b, time.Millisecond)
	if got := epoch(t, b, "a"); got != "" {
		t.Fatalf("still there with epoch %q", got)
	}
	second := must(t, b, "a", Entry{IdempotencyKey: "k"}, r)
	if second.Duplicate || second.Epoch == first.Epoch {
		t.Errorf("its next life has %+v, the one before %+v", second, first)
	}
	page, err := b.Read(t.Context(), "a", Query{HasAfter: true, Epoch: first.Epoch, After: first.Offset})
	if err != nil || page.Complete {
		t.Errorf("the old position is still complete: %+v, %v", page, err)
	}
}

func TestChannelInUseIsNotDropped(t *testing.T) {
	for name, use := range map[string]func(*Memory){
		"log":      func(b *Memory) { b.Publish("a", Entry{}, Retention{Count: 1}, nil) },
		"state":    func(b *Memory) { b.Publish("a", Entry{Key: "k"}, Retention{}, nil) },
		"followed": func(b *Memory) { b.Follow([]string{"a"}) },
		"remembered": func(b *Memory) {
			b.Publish("a", Entry{Client: "c", Seq: 1}, Retention{DedupWindow: 300 * time.Hour}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			b := NewMemory(MemoryConfig{Now: c.now})
			defer run(t, b, &recorder{})()
			use(b)
			before := epoch(t, b, "a")
			c.pass(b, 200*time.Hour)
			if got := epoch(t, b, "a"); got != before || got == "" {
				t.Errorf("epoch %q follows %q", got, before)
			}
		})
	}
}

// A page that loses its line at once comes back to a channel nobody else follows.
func TestUnfollowedChannelStaysForItsWindow(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now})
	defer run(t, b, &recorder{})()
	b.Follow([]string{"a"})
	before := epoch(t, b, "a")
	c.pass(b, time.Hour)
	b.Unfollow([]string{"a"})
	c.pass(b, 2*time.Minute)
	if got := epoch(t, b, "a"); got != before {
		t.Fatalf("epoch %q follows %q", got, before)
	}
	c.pass(b, time.Millisecond)
	if got := epoch(t, b, "a"); got != "" {
		t.Fatalf("still there with epoch %q", got)
	}
}

// In virtual time, which stands still here, so that Run does not sweep too.
func TestSweepComesAlongEveryChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		b := NewMemory(MemoryConfig{Now: c.now})
		defer run(t, b, &recorder{})()
		const channels = 3 * sweepLeast
		for i := range channels {
			must(t, b, fmt.Sprint("c", i), Entry{}, Retention{})
		}
		c.ms.Add(time.Hour.Milliseconds())
		var at place
		for range 4 { // one more than is needed: a channel that changes its place may be passed over
			before := b.count.Load()
			b.sweep(&at)
			if dropped := before - b.count.Load(); dropped > sweepLeast {
				t.Fatalf("one sweep dropped %d channels", dropped)
			}
		}
		for range sweepTurns {
			b.sweep(&at)
		}
		if left := b.count.Load(); left != 0 {
			t.Errorf("%d of %d channels are left", left, channels)
		}
	})
}

func TestRunSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewMemory(MemoryConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx, &recorder{}) }()
		<-b.Ready()
		must(t, b, "a", Entry{}, Retention{Count: 1, Age: 10 * time.Second})
		<-time.After(9500 * time.Millisecond)
		synctest.Wait()
		if b.logged.Load() == 0 {
			t.Error("freed too early")
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if n := b.logged.Load(); n != 0 {
			t.Errorf("%d bytes are held after their age", n)
		}
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if n := b.count.Load(); n != 0 {
			t.Errorf("%d channels are left", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := b.Run(t.Context(), &recorder{}); err == nil {
			t.Error("a broker runs twice")
		}
	})
}

// TestDropRacesWithPublish drops channels as fast as it can while others publish to them: no publish may go to a log
// that is no longer there.
func TestDropRacesWithPublish(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now})
	defer run(t, b, &recorder{})()
	idle := Retention{DedupWindow: time.Millisecond}
	kept := Retention{DedupWindow: time.Millisecond, Count: 1}
	var wg sync.WaitGroup
	for i := range 2 {
		name := fmt.Sprint("c", i)
		wg.Go(func() {
			epochs := map[string]bool{}
			for len(epochs) < 50 {
				// A log that holds an entry is not dropped, so it must be found.
				want, _ := publish(b, name, Entry{}, kept)
				page, err := b.Read(t.Context(), name, Query{})
				if err != nil || len(page.Entries) != 1 || page.Epoch != want.Epoch || page.Head != want.Offset {
					t.Errorf("published at %v, then found %+v, %v", want, page, err)
					return
				}
				publish(b, name, Entry{}, idle) // may be dropped from here on
				epochs[want.Epoch] = true
				runtime.Gosched()
			}
		})
	}
	stop := make(chan struct{})
	var sweeper sync.WaitGroup
	sweeper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.pass(b, 2*time.Millisecond)
			}
		}
	})
	wg.Wait()
	close(stop)
	sweeper.Wait()
}

func TestEpochsDoNotRepeat(t *testing.T) {
	b := NewMemory(MemoryConfig{})
	seen := map[string]bool{}
	for n := range uint64(1 << 17) {
		name := epochName(b.epochStart + n*epochStep)
		if len(name) != 6 || seen[name] {
			t.Fatalf("epoch %d is %q", n, name)
		}
		seen[name] = true
	}
}

func TestValuesOfKeysExpireWithAge(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now})
	defer run(t, b, &recorder{})()
	r := Retention{Age: time.Minute}
	for i := range 100 {
		must(t, b, "a", Entry{Key: fmt.Sprint("k", i), Payload: []byte(`"x"`)}, r)
	}
	c.ms.Add(30_000)
	must(t, b, "a", Entry{Key: "k99", Op: Append, Payload: []byte(`"y"`)}, r)
	c.ms.Add(30_001)
	// An append to a value that has expired begins anew, also where expiry has not come along yet.
	must(t, b, "a", Entry{Key: "k50", Op: Append, Payload: []byte(`"z"`)}, r)
	wantKeys(t, b, "a", "k99", "k50")
	page, _ := b.State(t.Context(), "a", StateQuery{After: 101})
	if got := string(page.Entries[0].Payload); got != `"z"` {
		t.Errorf("value is %s", got)
	}
	c.pass(b, time.Hour)
	wantKeys(t, b, "a")
}

func TestValuesOfKeysStayWithoutAge(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now})
	defer run(t, b, &recorder{})()
	must(t, b, "a", Entry{Key: "k"}, Retention{Count: 1})
	for range 5 {
		must(t, b, "a", Entry{}, Retention{Count: 1})
	}
	c.pass(b, 1000*time.Hour)
	wantKeys(t, b, "a", "k")
	must(t, b, "a", Entry{Key: "k", Op: Delete}, Retention{Count: 1})
	wantKeys(t, b, "a")
}

// wantKeys checks State and, after it, Keys: the former must not rely on anything having been swept.
func wantKeys(t testing.TB, b *Memory, channel string, want ...string) {
	t.Helper()
	page, err := b.State(t.Context(), channel, StateQuery{})
	var got []string
	for _, e := range page.Entries {
		got = append(got, e.Key)
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("keys are %q, %v; want %q", got, err, want)
	}
	if n, err := b.Keys(t.Context(), channel); err != nil || n != len(want) {
		t.Fatalf("%d keys, %v; want %d", n, err, len(want))
	}
}

func TestManyKeysRewrittenAndDeleted(t *testing.T) {
	b := NewMemory(MemoryConfig{})
	defer run(t, b, &recorder{})()
	want := map[string]uint64{}
	for i := range 20_000 {
		key := fmt.Sprint("k", mix(uint64(i))%500)
		e := Entry{Key: key}
		if i%3 == 0 {
			e.Op = Delete
		}
		p := must(t, b, "a", e, Retention{})
		want[key] = p.Offset
		if e.Op == Delete {
			delete(want, key)
		}
		if c := b.find("a"); i > 2000 && len(c.state.order.list) > 2*len(want)+64 {
			t.Fatalf("%d marks for %d keys", len(c.state.order.list), len(want))
		}
	}
	got := 0
	for after, more := uint64(0), true; more; {
		page, _ := b.State(t.Context(), "a", StateQuery{After: after, Limit: 7})
		for _, e := range page.Entries {
			if want[e.Key] != e.Offset {
				t.Fatalf("%s is at %d, want %d", e.Key, e.Offset, want[e.Key])
			}
			after = e.Offset
		}
		got, more = got+len(page.Entries), page.More
	}
	if got != len(want) {
		t.Errorf("%d keys, want %d", got, len(want))
	}
}

// Many records that expire together are not all freed by one publish, but none of them counts any more.
func TestExpiredRecordsDoNotCount(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now})
	defer run(t, b, &recorder{})()
	const records = 10 * expireStep
	r := Retention{DedupKeys: records}
	for i := range records / 2 {
		must(t, b, "a", Entry{IdempotencyKey: fmt.Sprint(i)}, r)
		must(t, b, "a", Entry{Client: fmt.Sprint(i), Seq: 9}, r)
	}
	c.ms.Add(defaultWindow.Milliseconds())
	last := fmt.Sprint(records/2 - 1)
	if p := must(t, b, "a", Entry{IdempotencyKey: last}, r); !p.Duplicate {
		t.Error("forgotten early")
	}
	c.ms.Add(1)
	for _, e := range []Entry{{IdempotencyKey: last}, {Client: last, Seq: 1}, {Client: last + "x", Seq: 1}} {
		if p := must(t, b, "a", e, r); p.Duplicate {
			t.Errorf("%+v is still a duplicate", e)
		}
	}
	c.pass(b, time.Second)
	m := &b.find("a").memory
	if len(m.keys) != 1 || len(m.clients) != 2 {
		t.Errorf("%d keys and %d clients are remembered, want 1 and 2", len(m.keys), len(m.clients))
	}
}
