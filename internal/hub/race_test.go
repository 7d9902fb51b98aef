package hub

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/broker/brokertest"
	"hocket.dev/internal/rule"
)

// running is a loop on a goroutine of its own.
type running struct {
	wake chan struct{} // with room for one
	mu   sync.Mutex
	fns  []func()
}

func (r *running) Post(fn func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fns = append(r.fns, fn)
	select {
	case r.wake <- struct{}{}:
	default: // it has been woken already
	}
	return true
}

func (r *running) After(d time.Duration, fn func()) (stop func()) {
	t := time.AfterFunc(d, func() { r.Post(fn) })
	return func() { t.Stop() }
}

func (r *running) run(done <-chan struct{}) {
	for {
		select {
		case <-r.wake:
			r.mu.Lock()
			fns := r.fns
			r.fns = nil
			r.mu.Unlock()
			for _, fn := range fns {
				fn()
			}
		case <-done:
			return
		}
	}
}

// turned waits until what was posted to loops has run.
func turned(loops []*running) {
	for _, l := range loops {
		done := make(chan struct{})
		l.Post(func() { close(done) })
		<-done
	}
}

// eager is an owner that reads at once whatever is due, on its loop, and checks the order of what it gets.
type eager struct {
	Cursor
	t       *testing.T
	scratch *Scratch
	after   uint64 // offset of the last entry
	got     atomic.Int64
	ended   atomic.Bool
}

func (e *eager) Send(*Cursor, *Slice) bool { return false }

func (e *eager) Due(*Cursor) {
	for {
		sl := e.Take(e.scratch, 4096)
		if sl.GapTo != 0 {
			e.t.Errorf("gap %d-%d", sl.GapFrom, sl.GapTo)
			continue
		}
		if len(sl.Bytes) == 0 {
			return
		}
		for _, offset := range offsets(trimmed(sl.Bytes)) {
			if offset != e.after+1 {
				e.t.Errorf("entry %d after %d", offset, e.after)
			}
			e.after = offset
			e.got.Add(1)
		}
		e.Sent(&sl, len(sl.Bytes))
	}
}

func trimmed(b []byte) string {
	c := client{}
	c.out.Write(b)
	return c.text()
}

func (e *eager) Overflow(*Cursor)     {}
func (e *eager) Ended(*Cursor, error) { e.ended.Store(true) }
func (e *eager) Name() string         { return "" }

func TestManyGoroutinesAtOnce(t *testing.T) {
	const publishers, each, followers, channels = 4, 300, 40, 3
	memory := broker.NewMemory(broker.MemoryConfig{})
	lossy := brokertest.LoseLast(memory)
	done := make(chan struct{})
	var background sync.WaitGroup
	cfg := Config{Broker: lossy, WindowEntries: 10_000, Linger: time.Nanosecond}
	loops := []*running{{wake: make(chan struct{}, 1)}, {wake: make(chan struct{}, 1)}}
	for _, l := range loops {
		cfg.Loops = append(cfg.Loops, l)
		background.Go(func() { l.run(done) })
	}
	var tasks sync.WaitGroup
	cfg.Task = func(fn func(context.Context)) bool {
		tasks.Go(func() { fn(context.Background()) })
		return true
	}
	hub := New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	background.Go(func() { _ = lossy.Run(ctx, hub) })
	<-memory.Ready()

	keep := rule.History{Count: 10_000}
	follow := func(i int) *eager {
		e := &eager{t: t, scratch: &Scratch{}}
		placed := make(chan error, 1)
		loops[i%2].Post(func() {
			hub.Subscribe(Request{
				Channel: fmt.Sprint("c", i%channels), Loop: i % 2, Owner: e, Encoding: lines{strconv.Itoa(i % 3)},
				Start: Start{Kind: Last, Last: keep.Count}, History: keep,
			}, &e.Cursor, func(_ Placed, err error) { placed <- err })
		})
		if err := <-placed; err != nil {
			t.Errorf("not placed: %v", err)
		}
		return e
	}
	all := make([]*eager, followers)
	for i := range all {
		all[i] = follow(i)
	}
	var busy sync.WaitGroup
	for p := range publishers {
		busy.Go(func() {
			for i := range each {
				if i%50 == 10 {
					lossy.Lose(fmt.Sprint("c", i%channels), 1)
				}
				lossy.Publish(fmt.Sprint("c", i%channels), broker.Entry{Payload: []byte(strconv.Itoa(p))},
					broker.Retention{Count: keep.Count}, nil)
			}
		})
	}
	busy.Go(func() { // who comes and goes
		for i := range 100 {
			e := follow(i)
			closed := make(chan struct{})
			loops[i%2].Post(func() { e.Close(); close(closed) })
			<-closed
		}
	})
	busy.Go(func() {
		for i := range 50 {
			hub.Tick(start.Add(time.Duration(i) * time.Second))
			hub.Gap("c1")
		}
	})
	busy.Wait()
	for i := range 3 { // what was lost last is found
		tasks.Wait()
		hub.Tick(start.Add(time.Duration(100*(i+1)) * time.Second))
	}
	tasks.Wait()
	turned(loops)
	for i, e := range all {
		if got := e.got.Load(); got != publishers*each/channels {
			t.Errorf("follower %d got %d entries, want %d", i, got, publishers*each/channels)
		}
	}
	hub.Close()
	turned(loops)
	for i, e := range all {
		if !e.ended.Load() {
			t.Errorf("follower %d has not ended", i)
		}
	}
	if st := hub.Stats(); st.Cursors != 0 || st.Channels != 0 || st.WindowBytes != 0 || st.FrameBytes != 0 {
		t.Errorf("the hub holds %+v", st)
	}
	tasks.Wait()
	cancel()
	close(done)
	background.Wait()
}
