//go:build linux

package generator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"hocket.dev/internal/load"
)

// Target is the server to load.
type Target struct {
	Addr    string  // IPv4 address and port
	PID     int     // its process, whose CPU and memory are read
	Dialect Dialect // what it speaks; nil is [Bare]
	Deflate bool    // negotiate permessage-deflate
	Stats   bool    // it answers /stats
	Idle    string  // address and port of another one like it, for Flood
	// Publisher is the program that runs [Publish], for Storm: bench/publisher.
	Publisher string
}

// Work is one kind of work: [Handshakes], [Echo], [Fanout], [Storm], [Stalled], [Flood] or [Idle].
type Work interface {
	run(l *loop) (Result, error)
}

// Result is what a run has done, without what came before it was measured, and what it
// took. Fields that the kind of work has no use for are 0.
type Result struct {
	Done                     int           // handshakes, echoes or deliveries
	Elapsed                  time.Duration // while they were done
	CPU                      time.Duration // of the server, user and system
	RSS                      float64       // bytes of memory of the server per connection
	Wire                     int64         // bytes of frames delivered
	Payload                  int64         // bytes of payload in them
	Allocs                   float64       // allocations of the server per delivery, NaN when it does not tell
	Late                     int           // publishes that went out more than a period late
	P50                      time.Duration // from publish, or request, to receipt
	P99                      time.Duration
	Calm                     time.Duration // P99 before the storm, without those that are stalled, or while another server is flooded
	Answer                   time.Duration // P99 from publish to answer in a storm
	CalmAnswer               time.Duration // and before it
	Publishes, CalmPublishes int           // that these are of
	Reads                    float64       // of the broker, in a storm
	Kernel                   float64       // bytes of memory of the kernel for each stalled connection
	Flooded                  int           // messages that a flood has sent
}

// Run makes one run. It blocks until it is over, or ctx ends; then the error is ctx's.
func Run(ctx context.Context, target Target, work Work) (Result, error) {
	if target.Dialect == nil {
		target.Dialect = Bare
	}
	l, err := newLoop(ctx, target)
	if err != nil {
		return Result{}, err
	}
	defer l.close()
	return work.run(l)
}

// A meter measures what the server uses from its start on.
type meter struct {
	loop    *loop
	began   time.Time
	cpu     time.Duration
	mallocs float64
}

// measure begins to measure.
func (l *loop) measure() (*meter, error) {
	m := &meter{loop: l}
	var err error
	if m.mallocs, err = l.mallocs(); err != nil {
		return nil, err
	}
	m.cpu, err = readCPU(l.target.PID)
	m.began = time.Now()
	return m, err
}

// result is what was used for so much.
func (m *meter) result(done int) (Result, error) {
	elapsed := time.Since(m.began)
	cpu, err := readCPU(m.loop.target.PID)
	if err != nil {
		return Result{}, err
	}
	mallocs, err := m.loop.mallocs()
	return Result{Done: done, Elapsed: elapsed, CPU: cpu - m.cpu, Allocs: (mallocs - m.mallocs) / float64(done)}, err
}

// mallocs asks the server how often it has allocated; NaN when it does not tell. The
// question itself is worth some hundred.
func (l *loop) mallocs() (float64, error) {
	if !l.target.Stats {
		return nan, nil
	}
	status, body, err := l.get("/stats")
	if err != nil {
		return 0, err
	}
	var stats struct{ Mallocs float64 }
	if err := json.Unmarshal(body, &stats); err != nil || stats.Mallocs == 0 {
		return 0, fmt.Errorf("/stats answers %s: %q", status, body)
	}
	return stats.Mallocs, nil
}

// get asks the server for a page, on a connection of its own.
func (l *loop) get(path string) (status string, body []byte, err error) {
	request, err := http.NewRequestWithContext(l.ctx, http.MethodGet, "http://"+l.target.Addr+path, nil)
	if err != nil {
		return "", nil, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.Status, body, err
}

// rss reads the memory of the server.
func (l *loop) rss() (float64, error) {
	p, err := load.ReadProcess(l.target.PID)
	return float64(p.RSS), err
}

// pass runs the loop for a time.
func (l *loop) pass(d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := l.turn(end); err != nil {
			return err
		}
	}
	return l.err
}

// handshaking is how many handshakes are under way at a time.
const handshaking = 32

// openMany opens n connections; ready counts those that are.
func (l *loop) openMany(n int, ready *int, dial func(i int) error) error {
	started, before := 0, *ready
	return l.until(func() bool {
		for started < n && started-(*ready-before) < handshaking && l.err == nil {
			if err := dial(started); err != nil {
				l.fail(err)
			}
			started++
		}
		return *ready-before == n
	})
}
