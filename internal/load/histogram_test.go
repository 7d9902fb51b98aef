package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogramAgainstSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(math.Exp(random.Float64()*30)) - 1
		h.Add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, p := range []float64{0, 1, 50, 90, 99, 99.9, 100} {
		exact := all[max(int(p/100*float64(len(all))+0.5)-1, 0)]
		got := h.Percentile(p)
		if got < exact || float64(got) > float64(exact)*(1+1.0/subBuckets)+1 {
			t.Errorf("p%v = %d, want %d to within 1/%d above", p, got, exact, subBuckets)
		}
	}
	if h.Max() != all[len(all)-1] || h.Count() != 20_000 {
		t.Errorf("max %d, count %d", h.Max(), h.Count())
	}
}

func TestHistogramEdges(t *testing.T) {
	var h Histogram
	if h.Percentile(50) != 0 || h.Mean() != 0 {
		t.Error("an empty histogram has figures")
	}
	h.Add(-5)
	h.AddN(math.MaxInt64, 3)
	h.AddN(7, 0)
	if h.Percentile(1) != 0 || h.Percentile(99) != math.MaxInt64 || h.Count() != 4 {
		t.Errorf("p1 %d, p99 %d, count %d", h.Percentile(1), h.Percentile(99), h.Count())
	}
	h.Reset()
	if h.Count() != 0 || h.Max() != 0 {
		t.Error("something is left after Reset")
	}
}

// Every bucket begins where the one before ends.
func TestBucketsAreContiguous(t *testing.T) {
	var h Histogram
	for i := range len(h.counts) - 1 {
		top := upper(i)
		if bucket(top) != i || bucket(top+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, but %d is in %d and %d in %d", i, top, top, bucket(top), top+1, bucket(top+1))
		}
	}
}
