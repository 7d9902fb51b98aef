package soak

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"

	"hocket.dev/internal/testproc"
)

// A Footprint is what the process holds.
type Footprint struct {
	Descriptors, Goroutines int
	Heap, RSS               int64 // bytes: live objects; all memory of the process that is in RAM

	// What RSS has beside live objects, in bytes: room between them that the allocator can use but not give back, stacks,
	// and the runtime's own tables, which do not shrink: a descriptor's place in the poller, what a thread or a span needs.
	Gaps, Stacks, Tables int64
}

// Measure collects garbage, gives memory back to the system and looks.
func Measure(t testing.TB) Footprint {
	t.Helper()
	runtime.GC() // twice, so that pools are empty
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Footprint{
		descriptors(t), runtime.NumGoroutine(), int64(m.HeapAlloc), rss(t),
		int64(m.HeapInuse - m.HeapAlloc), int64(m.StackInuse), int64(m.MSpanSys + m.MCacheSys + m.GCSys + m.BuckHashSys + m.OtherSys),
	}
}

// String is one line for a log.
func (f Footprint) String() string {
	mib := func(n int64) float64 { return float64(n) / (1 << 20) }
	return fmt.Sprintf("%d descriptors, %d goroutines, heap %.2f MiB, RSS %.2f MiB (gaps %.2f, stacks %.2f, tables %.2f)",
		f.Descriptors, f.Goroutines, mib(f.Heap), mib(f.RSS), mib(f.Gaps), mib(f.Stacks), mib(f.Tables))
}

// WantBack waits until the process has no more descriptors and goroutines than before, and then holds its memory to a few MiB
// more than before: what the allocator has not put together, and what pools and tables have grown to.
func (f Footprint) WantBack(t testing.TB, moreHeap, moreRSS int64) {
	t.Helper()
	testproc.Until(t, fmt.Sprintf("%d descriptors again", f.Descriptors), func() bool { return descriptors(t) <= f.Descriptors })
	testproc.Until(t, fmt.Sprintf("%d goroutines again", f.Goroutines), func() bool { return runtime.NumGoroutine() <= f.Goroutines })
	after := Measure(t)
	t.Logf("before: %v", f)
	t.Logf("after:  %v", after)
	if after.Heap > f.Heap+moreHeap {
		t.Errorf("the heap has grown by %d KiB, more than %d", (after.Heap-f.Heap)>>10, moreHeap>>10)
	}
	if after.RSS > f.RSS+moreRSS {
		t.Errorf("RSS has grown by %d KiB, more than %d", (after.RSS-f.RSS)>>10, moreRSS>>10)
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all) - 1 // the directory's own
}

func rss(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(string(bytes.Fields(b)[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
