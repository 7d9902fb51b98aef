package sim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"
)

// workerVariable tells a process of this test binary which seeds to play: "first step count".
const workerVariable = "HOCKET_SIM_WORKER"

const (
	seedTimeout = 2 * time.Minute // of real time: a seed takes some 30 ms
	heapBytes   = 96 << 20        // the collector runs between seeds, beyond that
)

// TestWorker plays seeds and tells of each on standard output. It has a process of its own with one P, in which the
// collector runs between seeds only, so that a seed always goes the same way. By itself it does nothing.
func TestWorker(t *testing.T) {
	var first, step, count uint64
	if _, err := fmt.Sscan(os.Getenv(workerVariable), &first, &step, &count); err != nil {
		return
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30) // of a seed that never ends
	out := json.NewEncoder(os.Stdout)
	var memory runtime.MemStats
	for seed := first; count > 0; seed, count = seed+step, count-1 {
		if err := out.Encode(report{Seed: seed, Begun: true}); err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			r := Run(t, seed)
			if err := out.Encode(report{Seed: seed, Result: r}); err != nil {
				t.Fatal(err)
			}
		})
		if runtime.ReadMemStats(&memory); memory.HeapAlloc > heapBytes {
			runtime.GC()
		}
	}
}

// A report is a line of a worker's output.
type report struct {
	Seed  uint64
	Begun bool
	Result
}

// playMany plays seeds in several processes and writes what was broken to w.
func playMany(first, seeds uint64, procs int, w io.Writer) (total Counts, err error) {
	n := uint64(max(1, min(procs, int(min(seeds, 1024)))))
	var mu sync.Mutex
	var working sync.WaitGroup
	for i := range n {
		working.Go(func() {
			share := (seeds - i + n - 1) / n
			failed := work(first+i, n, share, func(r report) {
				mu.Lock()
				defer mu.Unlock()
				total.add(&r.Counts)
				if r.Excerpt != "" {
					fmt.Fprintf(w, "seed %d: %d violations; make sim SEEDS=1 FIRST=%d\n%s", r.Seed, r.Violations, r.Seed, r.Excerpt)
				}
			})
			mu.Lock()
			defer mu.Unlock()
			if failed != nil {
				err = failed
			}
		})
	}
	working.Wait()
	return total, err
}

func (c *Counts) add(d *Counts) {
	c.Seeds += d.Seeds
	c.Sessions += d.Sessions
	c.Messages += d.Messages
	c.Publishes += d.Publishes
	c.Violations += d.Violations
}

// work has processes play seeds, a new one behind each seed that ended its process.
func work(first, step, count uint64, each func(report)) error {
	for count > 0 {
		played, open, said, err := workOnce(first, step, count, each)
		first, count = first+played*step, count-played
		if err == nil {
			if played == 0 {
				return fmt.Errorf("sim: a worker did nothing: %s", said)
			}
			continue
		}
		if !open {
			return fmt.Errorf("sim: a worker failed between seeds: %w\n%s", err, said)
		}
		r := report{Seed: first, Result: Result{Excerpt: fmt.Sprintf("the process ended: %v\n%s\n", err, said)}}
		r.Seeds, r.Violations = 1, 1
		each(r)
		first, count = first+step, count-1
	}
	return nil
}

// workOnce starts a process. open says that a seed was begun and not ended.
func workOnce(first, step, count uint64, each func(report)) (played uint64, open bool, said string, err error) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestWorker$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", fmt.Sprintf("%s=%d %d %d", workerVariable, first, step, count))
	var failure tail
	cmd.Stderr = &failure
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, false, "", err
	}
	if err := cmd.Start(); err != nil {
		return 0, false, "", err
	}
	late := time.AfterFunc(seedTimeout, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	in := bufio.NewScanner(stdout)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var r report
		if json.Unmarshal(in.Bytes(), &r) != nil {
			_, _ = failure.Write(append(in.Bytes(), '\n')) // the test's own words
			continue
		}
		late.Reset(seedTimeout)
		if open = r.Begun; !open {
			played++
			each(r)
		}
	}
	err = errors.Join(in.Err(), cmd.Wait())
	return played, open, failure.String(), err
}

// A tail keeps the beginning of what a process says before it ends.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.b) < 4<<10 {
		t.b = append(t.b, b...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
