package hocket

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wantPercent is the collector's percentage, which a test puts back.
func wantPercent(t *testing.T, what string, want func(percent, live uint64) bool) {
	t.Helper()
	if percent, live := collectorState(); !want(percent, live) {
		t.Errorf("%s: %d%% of %d bytes", what, percent, live)
	}
}

func is(want uint64) func(percent, live uint64) bool {
	return func(percent, _ uint64) bool { return percent == want }
}

func TestHeadroomComesWithManyEndsAndGoes(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	var h headroom
	now, ended := time.Unix(0, 0), uint64(0)
	tick := func(more uint64) {
		now = now.Add(headroomEvery)
		ended += more
		h.tick(now, ended)
	}
	tick(0)
	for range 20 {
		tick(headroomAfter / 6) // many, and never so many in a second
	}
	wantPercent(t, "few ends", is(100))
	tick(headroomAfter / 2)
	tick(headroomAfter / 2)
	if !h.holds() {
		t.Error("many ends bring no room")
	}
	tick(5 * headroomAfter)
	wantPercent(t, "very many ends", func(percent, live uint64) bool {
		room := percent * max(live, leastHeap) / 100
		return room >= 6*headroomAfter*headroomEach*3/4 && room <= 6*headroomAfter*headroomEach
	})
	tick(1000 * headroomAfter)
	wantPercent(t, "more than there is room for", func(percent, live uint64) bool {
		room := percent * max(live, leastHeap) / 100
		return room >= headroomMost*3/4 && room <= headroomMost
	})
	for range headroomFor / headroomEvery {
		tick(0)
	}
	if !h.holds() {
		t.Error("the room is given up early")
	}
	tick(0)
	wantPercent(t, "afterwards", is(100))
	if h.holds() {
		t.Error("the room is held for longer")
	}
	ended -= 100 // an opening that is counted before its session
	tick(0)
	wantPercent(t, "fewer than before", is(100))
}

func TestHeadroomLeavesAloneWhatOthersSet(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	now := time.Unix(0, 0)
	var h headroom
	h.tick(now, 5*headroomAfter)
	debug.SetGCPercent(77)
	h.tick(now.Add(headroomEvery), 5*headroomAfter)
	h.tick(now.Add(2*headroomFor), 5*headroomAfter)
	wantPercent(t, "set meanwhile", is(77))

	debug.SetGCPercent(-1)
	h.tick(now.Add(3*headroomFor), 50*headroomAfter)
	wantPercent(t, "off", func(percent, _ uint64) bool { return percent == collectorOff })
}

func TestHeadroomGoesWithItsNode(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Anonymous: true, Portable: true})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * headroomEvery)
		s.websocket.Handshakes.Add(20 * headroomAfter) // as many have come and gone
		time.Sleep(2 * headroomEvery)
		wantPercent(t, "very many ends", func(percent, _ uint64) bool { return percent > 100 })
		s.Close(context.Background())
	})
	wantPercent(t, "afterwards", is(100))
}

func TestHeadroomOfTwoNodes(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	now := time.Unix(0, 0)
	var a, b headroom
	tick := func(endedOfA, endedOfB uint64) {
		now = now.Add(headroomEvery)
		a.tick(now, endedOfA)
		b.tick(now, endedOfB)
	}
	tick(0, 0)
	tick(3*headroomAfter, 0)
	for range 2 * headroomFor / headroomEvery {
		tick(3*headroomAfter, 11*headroomAfter)
	}
	wantPercent(t, "afterwards", is(100))
	if a.holds() || b.holds() {
		t.Error("the room is held for longer")
	}
}

// deep waits on a stack of some 4 KiB.
func deep(n int, wait func()) (last byte) {
	var b [1 << 10]byte
	b[n] = 1
	if n == 0 {
		wait()
	} else {
		last = deep(n-1, wait)
	}
	return last + b[n]
}

// The collector's percentage is one of stacks, too.
func TestHeadroomIsBoundedBesideManyGoroutines(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	const many = 3000
	end := make(chan struct{})
	var there, all sync.WaitGroup
	there.Add(many)
	for range many {
		all.Go(func() {
			deep(4, func() {
				there.Done()
				<-end
			})
		})
	}
	defer all.Wait()
	defer close(end)
	there.Wait()
	runtime.GC()
	goal := func() uint64 {
		samples := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
		metrics.Read(samples)
		return samples[0].Value.Uint64()
	}
	before, now := goal(), time.Unix(0, 0)
	var h headroom
	h.tick(now, 0)
	h.tick(now.Add(headroomEvery), 1000*headroomAfter)
	if grown := goal() - before; grown > headroomMost+headroomMost/10 {
		t.Errorf("the heap may grow by %d MiB", grown>>20)
	}
	h.end()
}
