package loop

import (
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestPostKeepsTheOrderOfEachPoster(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		const posters, each = 8, 2000
		var got [posters][]int
		var wg sync.WaitGroup
		for p := range posters {
			wg.Go(func() {
				for i := range each {
					if !b.Post(func() { got[p] = append(got[p], i) }) {
						t.Error("Post returned false")
					}
				}
			})
		}
		wg.Wait()
		b.do(func() {})
		for p := range got {
			if len(got[p]) != each || !slices.IsSorted(got[p]) {
				t.Errorf("poster %d: %d functions, sorted %v", p, len(got[p]), slices.IsSorted(got[p]))
			}
		}
		if n := b.Stats().Posted; n < posters*each {
			t.Errorf("Stats count %d posted functions, want at least %d", n, posters*each)
		}
	})
}

func TestPostFromTheLoopDoesNotWakeIt(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		var order []string
		wakes := counter{poller: b.poll}
		posted, done := make(chan struct{}), make(chan struct{})
		b.Post(func() {
			<-posted // the Post from outside has woken whom it wanted
			b.poll = &wakes
			b.Post(func() { order = append(order, "second"); close(done) })
			order = append(order, "first")
			b.poll = wakes.poller
		})
		close(posted)
		<-done
		if !slices.Equal(order, []string{"first", "second"}) {
			t.Errorf("ran %v", order)
		}
		if wakes.n != 0 {
			t.Error("a Post from the loop woke it")
		}
	})
}

func TestPostedWorkDoesNotStarveReading(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		read := false
		o.read = func([]byte) { read = true }
		client := b.attach(t, o)
		quit := make(chan struct{})
		var busy func()
		busy = func() { // as long as nothing is read, the queue is never empty
			b.advance(b.cfg.TurnBudget / 4)
			if !read {
				b.Post(busy)
			} else if quit != nil {
				close(quit)
				quit = nil
			}
		}
		done := quit
		for range 100 {
			b.Post(busy)
		}
		mustWrite(t, client, "x")
		<-done
	})
}

func TestStepEndsWithItsBudget(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		perTurn := map[uint64]int{}
		b.do(func() {
			for range 100 {
				b.Post(func() {
					b.advance(b.cfg.TurnBudget / 4)
					perTurn[b.Stats().Turns]++
				})
			}
		})
		ran := 0
		b.do(func() {})
		for turn, n := range perTurn {
			if ran += n; n > 4 {
				t.Errorf("turn %d ran %d functions of a quarter of the budget", turn, n)
			}
		}
		if ran != 100 {
			t.Errorf("%d functions ran, want 100", ran)
		}
	})
}

func TestFlushesEndWithTheirBudgetAndGoOn(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		const conns = 9
		owners := make([]owner, conns)
		var order []int
		perTurn := map[uint64]int{}
		for i := range owners {
			owners[i].flush = func() {
				b.advance(b.cfg.TurnBudget / 2)
				perTurn[b.Stats().Turns]++
				if order = append(order, i); len(order) <= conns {
					owners[i].Wake()
				}
			}
			b.attach(t, &owners[i])
		}
		b.do(func() {
			for i := range owners {
				owners[i].Wake()
			}
		})
		for range conns {
			b.do(func() {})
		}
		if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8}; !slices.Equal(order, want) {
			t.Errorf("flushed %v, want %v", order, want)
		}
		for turn, n := range perTurn {
			if n > 4 { // two steps
				t.Errorf("turn %d flushed %d connections of half the budget", turn, n)
			}
		}
	})
}

func TestPanicInPostedWorkIsReported(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			var values []any
			d.with.OnPanic = func(v any, stack []byte) {
				values = append(values, v)
				if !strings.Contains(string(stack), "_test.go") {
					t.Errorf("the stack does not show where: %s", stack)
				}
			}
			b := newBench(t, d)
			o := &owner{}
			client := b.attach(t, o)
			b.do(func() { panic("posted") })
			b.do(func() { b.After(0, func() { panic("timer") }) })
			b.do(func() {})
			b.do(func() { close(o.closed); o.Close(nil) }) // Closed sends to it
			b.do(func() {})
			wantEOF(t, client)
			if len(values) != 3 || values[0] != "posted" || values[1] != "timer" {
				t.Errorf("panics %v, want one of a posted function, a timer and Closed", values)
			}
		})
	}
}

func TestNextTakesTheLoopWithFewestConnections(t *testing.T) {
	g, err := New(Config{Loops: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	seen := map[*Loop]int{}
	for range 9 {
		seen[g.Next()]++
	}
	for i := range g.Len() {
		if l := g.Loop(i); seen[l] != 3 || l.Index() != i {
			t.Errorf("loop %d with index %d was next %d times, want 3", i, l.Index(), seen[l])
		}
	}
	for _, i := range []int{0, 2} {
		b := &bench{driver: drivers[0], Loop: g.Loop(i)}
		b.attach(t, &owner{})
	}
	for range 3 {
		if l := g.Next(); l.Index() != 1 {
			t.Errorf("next is loop %d, want the one without a connection", l.Index())
		}
	}
}

func TestGroupCloseEndsEverything(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			ignore := goleak.IgnoreCurrent()
			b := newBench(t, d)
			open, late := &owner{}, &owner{closed: make(chan error, 1)}
			client := b.attach(t, open)
			server, _ := b.pair(t)
			b.do(func() {
				b.After(time.Hour, func() { t.Error("a timer fired") })
				open.Write([]byte("farewell"))
			})
			got := make(chan string, 1) // read beside the test: Close does not wait for long
			go func() {
				all, err := io.ReadAll(client)
				if err != nil {
					t.Error(err)
				}
				got <- string(all)
			}()
			b.Post(func() { go b.group.Close() })
			accepted, ran := 0, 0
			for b.Post(func() { ran++ }) {
				accepted++
			}
			if err := b.Attach(&late.Conn, server, late); err != ErrGroupClosed {
				t.Errorf("Attach after Close: %v", err)
			}
			if s := <-got; s != "farewell" {
				t.Errorf("read %q, want the farewell and the end", s)
			}
			b.group.Close()
			if ran != accepted {
				t.Errorf("%d of %d posted functions ran", ran, accepted)
			}
			if err := <-open.closed; err != ErrGroupClosed {
				t.Errorf("closed with %v, want %v", err, ErrGroupClosed)
			}
			goleak.VerifyNone(t, ignore)
		})
	}
}

func TestGroupCloseRunsWhatABudgetHasLeft(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		ran := false
		posted := make(chan struct{})
		b.Post(func() { <-posted })
		b.Post(func() {
			b.stopping = true
			b.advance(b.cfg.TurnBudget)
		})
		b.Post(func() { ran = true })
		close(posted)
		b.group.Close()
		if !ran {
			t.Error("a posted function was forgotten")
		}
	})
}

func TestStatsCountTime(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		for _, ms := range []int64{3, 7, 5} {
			b.do(func() { b.clock.Add(ms * 1e6) })
		}
		if s := b.Stats(); s.Busy != 15*time.Millisecond || s.Longest != 7*time.Millisecond {
			t.Errorf("busy for %v, longest turn %v; want 15ms and 7ms", s.Busy, s.Longest)
		}
	})
}

func TestAttachRacesWithGroupClose(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			b := newBench(t, d)
			o := &owner{closed: make(chan error, 1)}
			server, client := b.pair(t)
			var attached error
			b.Post(func() { // the registration comes when the loop is stopping already
				b.stopping = true
				attached = b.Attach(&o.Conn, server, o)
			})
			b.group.Close()
			if attached != nil {
				t.Fatal(attached)
			}
			if err := <-o.closed; err != ErrGroupClosed {
				t.Errorf("closed with %v, want %v", err, ErrGroupClosed)
			}
			wantEOF(t, client)
		})
	}
}

// A counter counts the wake-ups of a poller.
type counter struct {
	poller
	n int
}

func (c *counter) wake() {
	c.n++
	c.poller.wake()
}
