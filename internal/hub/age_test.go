package hub

import (
	"testing"
	"time"
)

// TestASliceTellsItsAge covers shared frames and those that a cursor makes itself, and what is still due behind them.
func TestASliceTellsItsAge(t *testing.T) {
	for _, cache := range []int{1 << 20, 10} {
		w := newWorld(t)
		w.hub.cacheBytes = cache
		c := w.place("a")
		for range 5 {
			w.setClock(w.clock.Add(time.Second))
			w.publish("a", "x")
		}
		w.settle()
		if n := c.Behind(); n != 5 {
			t.Errorf("cache %d: %d entries are due before the first write", cache, n)
		}
		for i := range 5 {
			sl := c.Take(&c.scratch, 1)
			if want := start.Add(time.Duration(i+1) * time.Second).UnixMilli(); sl.Time != want {
				t.Errorf("cache %d: slice %d is of %d, want %d", cache, i, sl.Time, want)
			}
			if n, _ := c.Sent(&sl, len(sl.Bytes)); n != 1 || c.Behind() != uint64(4-i) {
				t.Errorf("cache %d: %d sent, %d due", cache, n, c.Behind())
			}
		}
		c.Close()
		if c.Behind() != 0 {
			t.Error("a closed cursor is behind")
		}
	}
}
