package loop

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAlarms(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		var rung []string
		owners := map[string]*owner{}
		for _, name := range []string{"one", "three", "cleared", "closed", "moved"} {
			o := &owner{}
			o.alarm = func() { rung = append(rung, name) }
			owners[name] = o
			b.attach(t, o)
		}
		b.do(func() {
			owners["one"].SetAlarm(1)
			owners["three"].SetAlarm(3)
			owners["cleared"].SetAlarm(2)
			owners["closed"].SetAlarm(2)
			owners["moved"].SetAlarm(1)
		})
		b.do(func() {
			owners["cleared"].SetAlarm(0)
			owners["closed"].Close(nil)
			owners["moved"].SetAlarm(4)
		})
		for second, want := range [][]string{{"one"}, nil, {"three"}, {"moved"}, nil, nil} {
			rung = nil
			b.advance(sweepEvery - time.Millisecond)
			b.do(func() {})
			if len(rung) != 0 {
				t.Errorf("before second %d rang %v", second+1, rung)
			}
			b.advance(time.Millisecond)
			b.do(func() {})
			if !slices.Equal(rung, want) {
				t.Errorf("after second %d rang %v, want %v", second+1, rung, want)
			}
		}
		b.do(func() {
			if b.table.armed != 0 || b.sweep.timer != nil {
				t.Errorf("%d alarms are left, the timer is %v", b.table.armed, b.sweep.timer)
			}
		})
	})
}

func TestAlarmIsNeverEarly(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		first, o := &owner{}, &owner{}
		rung := false
		o.alarm = func() { rung = true }
		b.attach(t, first)
		b.attach(t, o)
		b.do(func() { first.SetAlarm(10) })
		b.advance(900 * time.Millisecond)
		b.do(func() { o.SetAlarm(1) }) // the next sweep comes in 100 ms
		for range 9 {
			b.advance(100 * time.Millisecond)
			b.do(func() {})
			if rung {
				t.Fatal("an alarm of one second rang in less")
			}
		}
		b.advance(time.Second)
		b.do(func() {})
		if !rung {
			t.Error("an alarm of one second has not rung after two")
		}
	})
}

// TestLongSweepKeepsToItsBudget lets each alarm use the whole budget.
func TestLongSweepKeepsToItsBudget(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		perTurn := map[uint64]int{}
		rung := 0
		owners := make([]owner, 5)
		for i := range owners {
			owners[i].alarm = func() {
				b.advance(b.cfg.TurnBudget)
				perTurn[b.Stats().Turns]++
				rung++
			}
			b.attach(t, &owners[i])
		}
		b.do(func() {
			for i := range owners {
				owners[i].SetAlarm(1)
			}
		})
		b.advance(sweepEvery)
		for range owners {
			b.do(func() {})
		}
		if rung != len(owners) || len(perTurn) != rung {
			t.Errorf("%d alarms rang in %d turns, want %d, each in its own", rung, len(perTurn), len(owners))
		}
	})
}

func TestAlarmSetDuringASweepIsNotCountedByIt(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		rung := [3]int{}
		owners := make([]owner, len(rung))
		for i := range owners {
			owners[i].alarm = func() {
				rung[i]++
				for j := range owners {
					owners[j].SetAlarm(1) // also those that the sweep has yet to reach
				}
			}
			b.attach(t, &owners[i])
		}
		b.do(func() { owners[1].SetAlarm(1) })
		b.advance(sweepEvery)
		b.do(func() {})
		if rung != [3]int{0, 1, 0} {
			t.Errorf("rang %v, want only the one in the middle", rung)
		}
	})
}

func TestAlarmSetBeforeRegistration(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o := &owner{closed: make(chan error, 1)}
		rung := 0
		o.alarm = func() { rung++ }
		server, _ := b.pair(t)
		b.do(func() {
			if err := b.Attach(&o.Conn, server, o); err != nil {
				t.Error(err)
			}
			o.SetAlarm(1)
			o.Pause()
			o.Resume()
			o.Wake()
		})
		b.advance(sweepEvery)
		b.do(func() {})
		if rung != 1 {
			t.Errorf("the alarm rang %d times, want once", rung)
		}
	})
}

func TestTimers(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		var fired []string
		var stopped, late *Timer
		after := func(name string, d time.Duration) *Timer {
			return b.After(d, func() { fired = append(fired, name) })
		}
		b.do(func() {
			late = after("c", 30*time.Millisecond)
			after("a", 10*time.Millisecond)
			stopped = after("x", 15*time.Millisecond)
			after("b", 20*time.Millisecond)
			if !stopped.Stop() || stopped.Stop() {
				t.Error("Stop of a waiting timer is true once")
			}
		})
		for range 4 {
			b.advance(10 * time.Millisecond)
			b.do(func() {})
		}
		if !slices.Equal(fired, []string{"a", "b", "c"}) {
			t.Errorf("fired %v", fired)
		}
		b.do(func() {
			if late.Stop() {
				t.Error("Stop of a timer that has fired is true")
			}
		})
	})
}

func TestTimersKeepToTheirBudget(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		perTurn := map[uint64]int{}
		fired := 0
		b.do(func() {
			for range 5 {
				b.After(time.Second, func() {
					b.advance(b.cfg.TurnBudget)
					perTurn[b.Stats().Turns]++
					fired++
				})
			}
		})
		b.advance(time.Second)
		for range 5 {
			b.do(func() {})
		}
		if fired != 5 || len(perTurn) != fired {
			t.Errorf("%d timers fired in %d turns, want 5, each in its own", fired, len(perTurn))
		}
	})
}

func TestTimerWakesAnIdleLoop(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			g, err := New(Config{Loops: 1, Portable: d.with.Portable})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			l, fired := g.Loop(0), make(chan time.Duration, 1)
			start := time.Now()
			l.Post(func() { l.After(5*time.Millisecond, func() { fired <- time.Since(start) }) })
			if took := <-fired; took < 5*time.Millisecond {
				t.Errorf("fired after %v", took)
			}
		})
	}
}

func TestPortableDriverInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := New(Config{Loops: 1, Portable: true})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		l, start := g.Loop(0), time.Now()
		var alarms, timers []time.Duration // the loop's until it has ended
		o := &owner{closed: make(chan error, 1)}
		o.alarm = func() {
			if alarms = append(alarms, time.Since(start)); len(alarms) < 3 {
				o.SetAlarm(25)
			}
		}
		server, client := net.Pipe()
		defer client.Close()
		l.Post(func() {
			if err := l.Attach(&o.Conn, server, o); err != nil {
				t.Error(err)
			}
			o.SetAlarm(25)
			l.After(time.Hour, func() { timers = append(timers, time.Since(start)) })
		})
		time.Sleep(time.Hour + time.Millisecond)
		g.Close()
		if want := []time.Duration{25 * time.Second, 50 * time.Second, 75 * time.Second}; !slices.Equal(alarms, want) {
			t.Errorf("alarms after %v, want %v", alarms, want)
		}
		if want := []time.Duration{time.Hour}; !slices.Equal(timers, want) {
			t.Errorf("timers after %v, want %v", timers, want)
		}
	})
}

func TestAcceptedBytesDoNotHoldAClosedConnectionForEver(t *testing.T) {
	for name, shut := range map[string]struct {
		close func(g *Group, o *owner)
		after time.Duration
	}{
		"connection": {func(_ *Group, o *owner) { o.Close(nil) }, lingerFor},
		"group":      {func(g *Group, _ *owner) { go g.Close() }, lingerAtShutdown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, err := New(Config{Loops: 1, Portable: true})
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				l, start := g.Loop(0), time.Now()
				o := &owner{closed: make(chan error, 1)}
				server, client := net.Pipe()
				if err := l.Attach(&o.Conn, server, o); err != nil {
					t.Fatal(err)
				}
				l.Post(func() {
					o.Write([]byte("to a reader that does not read"))
					shut.close(g, o)
				})
				<-o.closed
				if took := time.Since(start); took != 0 {
					t.Errorf("Closed after %v, want at once", took)
				}
				time.Sleep(shut.after + time.Millisecond)
				client.SetReadDeadline(time.Now().Add(time.Millisecond))
				wantEOF(t, client)
			})
		})
	}
}
