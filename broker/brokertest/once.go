package brokertest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/testproc"
)

// taking returns the broker's Once, or skips the test.
func taking(t *testing.T, b broker.Broker) broker.Once {
	t.Helper()
	if o, ok := b.(broker.Once); ok {
		if _, err := o.Take(t.Context(), channel()); !errors.Is(err, errors.ErrUnsupported) {
			return o
		}
	}
	t.Skip("the broker keeps nothing to be taken once")
	return nil
}

func mustPut(t *testing.T, o broker.Once, key, value string, ttl time.Duration) {
	t.Helper()
	if err := o.Put(t.Context(), key, []byte(value), ttl); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

// wantTaken takes what is under a key; "" wants nothing to be there.
func wantTaken(t *testing.T, o broker.Once, key, want string) {
	t.Helper()
	got, err := o.Take(t.Context(), key)
	switch {
	case want == "" && !errors.Is(err, broker.ErrNotFound):
		t.Errorf("take %s: %q, %v; want nothing to be there", key, got, err)
	case want != "" && (err != nil || string(got) != want):
		t.Errorf("take %s: %q, %v; want %q", key, got, err, want)
	}
}

func testOnce(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	o := taking(t, n.b)
	a, b := channel(), channel()
	wantTaken(t, o, a, "")
	mustPut(t, o, a, "one\x00\xff", time.Hour)
	mustPut(t, o, b, "two", time.Hour)
	wantTaken(t, o, a, "one\x00\xff")
	wantTaken(t, o, a, "")
	wantTaken(t, o, b[:len(b)-1], "")
	mustPut(t, o, b, "three", time.Hour)
	wantTaken(t, o, b, "three")
	wantTaken(t, o, b, "")
	mustPut(t, o, a, "again", time.Hour)
	wantTaken(t, o, a, "again")
	for _, ttl := range []time.Duration{0, -time.Second, time.Millisecond - 1} {
		if err := o.Put(t.Context(), a, nil, ttl); err == nil {
			t.Errorf("a value is kept for %v", ttl)
		}
	}
}

// testOnceRace: however many take at once, and however many values there are, each goes to one of them.
func testOnceRace(t *testing.T, open func(*testing.T) broker.Broker) {
	const takers, values = 100, 20
	n := start(t, open(t))
	o := taking(t, n.b)
	keys := make([]string, values)
	for i := range keys {
		keys[i] = channel()
		mustPut(t, o, keys[i], fmt.Sprint(i), time.Hour)
	}
	var taken [values]atomic.Int64
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for range takers {
		wg.Go(func() {
			<-begin
			for i, key := range keys {
				switch v, err := o.Take(t.Context(), key); {
				case err == nil && string(v) == fmt.Sprint(i):
					taken[i].Add(1)
				case !errors.Is(err, broker.ErrNotFound):
					t.Errorf("take: %q, %v", v, err)
				}
			}
		})
	}
	close(begin)
	wg.Wait()
	for i := range taken {
		if got := taken[i].Load(); got != 1 {
			t.Errorf("%d of %d have taken value %d", got, takers, i)
		}
	}
}

// testOnceEnd: a value ends by the broker's clock, which is that of entries, and not before its time.
func testOnceEnd(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	o := taking(t, n.b)
	c, ended, stays, replaced := channel(), channel(), channel(), channel()
	mustPut(t, o, stays, "stays", time.Hour)
	mustPut(t, o, replaced, "brief", brief)
	mustPut(t, o, replaced, "stays", time.Hour)
	mustPut(t, o, ended, "ended", brief)
	put := n.now(c)
	testproc.Until(t, "the time of a value to pass", func() bool { return n.now(c) > put+brief.Milliseconds() })
	wantTaken(t, o, ended, "")
	wantTaken(t, o, stays, "stays")
	wantTaken(t, o, replaced, "stays")
}

// now tells the broker's time.
func (n *node) now(channel string) int64 {
	n.Helper()
	n.mustPublish(channel, broker.Entry{}, broker.Retention{Count: 1})
	return n.all(channel)[0].Time
}

func testOnceNotRunning(t *testing.T, open func(*testing.T) broker.Broker) {
	b := open(t)
	if _, ok := b.(broker.Once); !ok {
		t.Skip("the broker keeps nothing to be taken once")
	}
	n := start(t, b)
	o := taking(t, n.b)
	mustPut(t, o, channel(), "v", time.Hour)
	n.stop()
	if err := o.Put(t.Context(), channel(), nil, time.Hour); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("put: %v", err)
	}
	if _, err := o.Take(t.Context(), channel()); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("take: %v", err)
	}
}
