package hub

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"hocket.dev/broker"
)

func TestFollowersOfOneEncodingShareTheBytes(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.place("a"), w.place("a", onLoop(1)), w.place("a", tagged("other"))
	w.publish("a", "x")
	w.settle()
	x, y, z := a.Take(&a.scratch, 100), b.Take(&b.scratch, 100), c.Take(&c.scratch, 100)
	if unsafe.SliceData(x.Bytes) != unsafe.SliceData(y.Bytes) || !x.Shared || !y.Shared {
		t.Error("two followers have bytes of their own")
	}
	if bytes.Equal(x.Bytes, z.Bytes) {
		t.Error("an encoding of its own has the bytes of another")
	}
}

func TestATakeIsAsLongAsAskedButHoldsAFrame(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.many("a", 10) // lines of 8 bytes, then 8 and 9
	for _, old := range []bool{false, true} {
		if old {
			w.pass(10 * time.Second)
		}
		w.settle()
		if n := len(c.Take(&c.scratch, 1).Bytes); n != 8 {
			t.Errorf("old %v: %d bytes for a maximum of 1", old, n)
		}
		if n := len(c.Take(&c.scratch, 24).Bytes); n != 24 {
			t.Errorf("old %v: %d bytes for a maximum of 24", old, n)
		}
	}
}

func TestFramesOfManySizesStayInOrder(t *testing.T) {
	w := newWorld(t)
	w.hub.cacheBytes = 1 << 30
	c, all := w.place("a"), []uint64{}
	for i := range 300 {
		size := []int{1, 700, 0, 40_000, 3, 16_000, 0, 5_000}[i%8]
		all = append(all, w.publish("a", strings.Repeat("x", size)))
	}
	c.wantOffsets(all)
}

func TestALargeFrameStaysBetweenSmallOnes(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	for range 10 {
		all := w.many("a", 1)
		all = append(all, w.publish("a", strings.Repeat("x", 20_000)))
		c.wantOffsets(append(all, w.many("a", 1)...))
		w.pass(10 * time.Second)
	}
}

// packing is an encoding that needs much more room than its frames have in the end.
type packing struct{}

func (packing) AppendEntry(dst []byte, channel, epoch string, e *broker.Entry) []byte {
	if cap(dst)-len(dst) < 100_000 {
		dst = append(make([]byte, 0, len(dst)+100_000), dst...)
	}
	return lines{"m"}.AppendEntry(dst, channel, epoch, &broker.Entry{Offset: e.Offset, Payload: e.Payload[:5]})
}

func TestAFrameTakesNoMoreThanItHasInTheEnd(t *testing.T) {
	w := newWorld(t)
	c := w.place("a", func(r *Request) { r.Encoding = packing{} })
	want := ""
	for i := range 300 {
		w.publish("a", fmt.Sprintf("%05d%s", i, strings.Repeat("x", 20_000)))
		want += fmt.Sprintf("%d %05d\n", i+1, i)
	}
	w.settle()
	chunks := map[*chunk]bool{}
	for _, f := range w.hub.find("a").sets[0].frames {
		chunks[f.chunk] = true
	}
	held := 0
	for c := range chunks {
		held += len(c.buf)
	}
	if n := int(w.hub.Stats().FrameBytes); n > 300*20 || held > n+chunkBytes {
		t.Errorf("%d bytes of frames, for which %d are held", n, held)
	}
	c.want(want)
}

func TestSentFramesAreNeverWrittenAgain(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.publish("a", "first")
	w.settle()
	held := c.Take(&c.scratch, 100).Bytes
	want := string(held)
	for range 2000 {
		w.publish("a", "another")
	}
	w.pass(10 * time.Second)
	w.many("a", 10)
	if string(held) != want {
		t.Errorf("held bytes are %q now", held)
	}
	if cap(held) != len(held) {
		t.Error("who appends to the bytes writes over the next frame")
	}
}

func TestSentKnowsWhatWasTakenHoweverTheFramesChange(t *testing.T) {
	w := newWorld(t)
	w.hub.cacheBytes = 100
	c := w.place("a")
	w.many("a", 3)
	w.settle()
	sl := c.Take(&c.scratch, 100)
	w.many("a", 50)
	w.place("a") // has the loop look at the log, in which the frames of sl are no more
	if n, rest := c.Sent(&sl, 12); n != 2 || string(rest) != string(sl.Bytes[12:16]) {
		t.Errorf("sent %d entries, rest %q", n, rest)
	}
	if c.Offset() != 2 {
		t.Errorf("at %d", c.Offset())
	}
	if got := offsets(c.read()); len(got) != 51 || got[0] != 3 {
		t.Errorf("goes on with %v", got)
	}
}

func TestQuietChannelsHoldNoFrames(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.many("a", 3)
	w.settle()
	if w.hub.Stats().FrameBytes == 0 {
		t.Fatal("no frames were made")
	}
	w.pass(2001 * time.Millisecond)
	if n := w.hub.Stats().FrameBytes; n != 0 {
		t.Errorf("%d bytes of frames two seconds later", n)
	}
	if v := c.view.view; v.frames != nil {
		t.Errorf("the loop holds on to %d frames", len(v.frames))
	}
	if log := w.hub.find("a"); log.sets[0].last != nil {
		t.Error("the log holds on to a chunk")
	}
	c.wantOffsets([]uint64{1, 2, 3})
	c.wantOffsets(w.many("a", 3))
}

func TestFramesOfABusyChannelGrowOld(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	for i := range 60 { // far less than the bound in bytes
		w.publish("a", strings.Repeat("x", 200))
		w.publish("a", strings.Repeat("x", 200))
		w.pass(500 * time.Millisecond)
		if n := len(w.hub.find("a").sets[0].frames); n > 12 {
			t.Fatalf("%d frames after %d s of four entries each", n, i/2)
		}
	}
	if got := len(offsets(c.read())); got != 120 {
		t.Errorf("got %d entries", got)
	}
}

func TestOldFramesDoNotHoldOnToTheirChunks(t *testing.T) {
	w := newWorld(t)
	w.place("a")
	w.many("a", 10)
	s := w.hub.find("a").sets[0]
	kept := &s.frames[8]
	s.trim(w.hub.find("a"), s.base+8)
	if len(s.frames) != 2 || &s.frames[0] == kept {
		t.Error("the array of the old frames is still in use")
	}
}

func TestFramesAreBoundedByTheNodesBudget(t *testing.T) {
	w := newWorld(t, with(func(c *Config) { c.BudgetBytes = 40_000 }))
	a, b := w.place("a"), w.place("b")
	for range 30 {
		w.publish("a", strings.Repeat("x", 1000))
		w.publish("b", strings.Repeat("x", 1000))
	}
	if n := w.hub.Stats().FrameBytes; n > 10_000+2000 {
		t.Errorf("%d bytes of frames, more than a quarter of the budget", n)
	}
	for _, c := range []*client{a, b} {
		if got := c.read(); len(offsets(got)) == 0 || strings.Count(got, "gap") > 1 {
			t.Errorf("got %.60q", got)
		}
		c.Close()
	}
	if n := w.hub.Stats().FrameBytes; n != 0 {
		t.Errorf("%d bytes of frames without a follower", n)
	}
}

func TestDeliveryAllocatesNothing(t *testing.T) {
	const followers = 1000
	w := newWorld(t)
	var clients []*client
	for range followers {
		clients = append(clients, w.place("a"))
	}
	round := func() {
		w.publish("a", "payload")
		w.loops[0].run()
		for _, c := range clients {
			sl := c.Take(&c.scratch, 1<<16)
			if n, rest := c.Sent(&sl, len(sl.Bytes)); n != 1 || rest != nil {
				t.Fatalf("sent %d entries", n)
			}
			c.Take(&c.scratch, 1<<16)
		}
	}
	for range 2000 {
		round()
	}
	perPublish := testing.AllocsPerRun(500, round)
	if perPublish > 10+followers/walkStep { // by the publish and the steps of the walk; 0 per delivery
		t.Errorf("%.1f allocations for %d deliveries", perPublish, followers)
	}
}

// TestTheRoomForMakingFramesIsUsedAgain allows that a pool forgets some, as it does under the race detector.
func TestTheRoomForMakingFramesIsUsedAgain(t *testing.T) {
	w := newWorld(t)
	w.place("a", func(r *Request) { r.Encoding = packing{} })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const frames = 300
	for range frames {
		w.publish("a", "small")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > frames/2*100_000 {
		t.Errorf("%d bytes were allocated for %d frames", n, frames)
	}
}

// TestOneTakeMakesLittle bounds what one follower that is far behind costs its loop at once, however small it becomes.
func TestOneTakeMakesLittle(t *testing.T) {
	w := newWorld(t)
	for range 30 {
		w.publish("a", strings.Repeat("x", 20_000))
	}
	c := w.place("a", last(30), func(r *Request) { r.Encoding = packing{} })
	w.settle()
	if sl := c.Take(&c.scratch, 64<<10); len(sl.cuts) != 4 {
		t.Errorf("frames of %d entries with 20,000 bytes each were made for one Take of 64 KiB", len(sl.cuts))
	}
	if got := offsets(c.read()); len(got) != 30 {
		t.Errorf("got %d entries", len(got))
	}
}

func TestReadingFarBehindAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	w.many("a", 100)
	scratch := Scratch{}
	c := w.place("a", last(100))
	allocs := testing.AllocsPerRun(100, func() {
		next, offset := c.next, c.offset
		for range 50 {
			sl := c.Take(&scratch, 1)
			c.Sent(&sl, len(sl.Bytes))
		}
		c.next, c.offset = next, offset
	})
	if allocs != 0 {
		t.Errorf("%.1f allocations for 50 deliveries", allocs)
	}
}
