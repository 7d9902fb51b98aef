package broker

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func put(t testing.TB, b *Memory, key string, ttl time.Duration) {
	t.Helper()
	if err := b.Put(t.Context(), key, []byte(key), ttl); err != nil {
		t.Fatal(err)
	}
}

func TestValuesAreForgottenInTime(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now})
	defer run(t, b, &recorder{})()
	for i := range 3 * expireAtOnce {
		put(t, b, fmt.Sprint(i), time.Duration(1+i%3)*time.Second)
	}
	for left := 3; left > 0; left-- {
		if n := len(b.once.byKey); n != left*expireAtOnce {
			t.Errorf("%d values are held", n)
		}
		c.ms.Add(999)
		if _, err := b.Take(t.Context(), fmt.Sprint(3-left)); err != nil {
			t.Errorf("just before its end: %v", err)
		}
		c.ms.Add(1)
		if _, err := b.Take(t.Context(), fmt.Sprint(3+3-left)); !errors.Is(err, ErrNotFound) {
			t.Errorf("at its end: %v", err)
		}
		for b.once.expire(c.ms.Load()) {
		}
	}
	if b.once.byKey != nil || len(b.once.ends.list) != 0 || b.once.bytes != 0 {
		t.Errorf("%d bytes are held for nothing", b.once.bytes)
	}
}

func TestRunForgetsValues(t *testing.T) {
	runInBubble(t, MemoryConfig{}, &recorder{}, func(b *Memory) {
		for i := range 2*expireAtOnce + 1 {
			put(t, b, fmt.Sprint(i), time.Minute)
		}
		put(t, b, "last", time.Hour)
		<-time.After(time.Minute + sweepEvery)
		synctest.Wait()
		b.once.mu.Lock()
		defer b.once.mu.Unlock()
		if len(b.once.byKey) != 1 {
			t.Errorf("%d values are held", len(b.once.byKey))
		}
	})
}

func TestValuesHaveBounds(t *testing.T) {
	for _, cfg := range []MemoryConfig{{MaxOnce: 10}, {MaxOnceBytes: 10 * (onceShare + 2 + 2)}} {
		c := newClock()
		cfg.Now = c.now
		b := NewMemory(cfg)
		stop := run(t, b, &recorder{})
		for i := range 10 {
			put(t, b, fmt.Sprint(10+i), time.Minute)
		}
		if err := b.Put(t.Context(), "20", []byte("20"), time.Hour); !errors.Is(err, ErrBusy) {
			t.Errorf("beyond the bound: %v", err)
		}
		put(t, b, "12", 2*time.Minute) // in the place of another
		if err := b.Put(t.Context(), "12", make([]byte, 1<<20), time.Hour); cfg.MaxOnceBytes > 0 && !errors.Is(err, ErrBusy) {
			t.Errorf("too large: %v", err)
		} else if v, err := b.Take(t.Context(), "12"); err != nil || cfg.MaxOnceBytes > 0 && string(v) != "12" {
			t.Errorf("what could not be replaced is %q, %v", v, err)
		}
		put(t, b, "20", time.Minute)
		c.ms.Add(time.Minute.Milliseconds())
		put(t, b, "21", time.Minute) // the others have reached their end
		if len(b.once.byKey) != 10 {
			t.Errorf("%d values are held", len(b.once.byKey))
		}
		stop()
	}
}

func TestOnceLikeTheModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		type value struct {
			text string
			end  int64
		}
		model, now := map[string]value{}, int64(1000)
		o, cfg := &onceValues{}, &MemoryConfig{MaxOnce: 4, MaxOnceBytes: 1 << 20}
		live := func(except string) (n int) {
			for key, v := range model {
				if v.end > now && key != except {
					n++
				}
			}
			return n
		}
		for i := range rapid.IntRange(1, 60).Draw(r, "steps") {
			key := rapid.StringMatching("[a-f]").Draw(r, "key")
			switch rapid.IntRange(0, 3).Draw(r, "act") {
			case 0, 1:
				ttl := rapid.Int64Range(1, 9).Draw(r, "ttl")
				err := o.put(now, &onceValue{key: key, value: []byte(fmt.Sprint(i))}, now+ttl, cfg)
				if busy := live(key) >= cfg.MaxOnce; busy != (err == ErrBusy) {
					r.Fatalf("put %s: %v", key, err)
				} else if !busy {
					model[key] = value{fmt.Sprint(i), now + ttl}
				}
			case 2:
				v, err := o.take(now, key)
				want, ok := model[key]
				if ok = ok && want.end > now; ok != (err == nil) || ok && string(v) != want.text {
					r.Fatalf("take %s is %q, %v; want %+v, %v", key, v, err, want, ok)
				}
				delete(model, key)
			case 3:
				now += rapid.Int64Range(0, 3).Draw(r, "pass")
				o.expire(now)
			}
			var bytes int64
			for i, v := range o.ends.list {
				if bytes += v.size(); int(v.end.place) != i || o.byKey[v.key] != v {
					r.Fatalf("%s is not where it says", v.key)
				}
			}
			if bytes != o.bytes || len(o.byKey) != len(o.ends.list) {
				r.Fatalf("%d bytes in %d values of %d; they say %d", bytes, len(o.ends.list), len(o.byKey), o.bytes)
			}
		}
	})
}
