//go:build linux

package generator

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hocket.dev/internal/load"
)

// Stalled publishes to rooms of subscribers that read, then again with as many beside them that have subscribed and do not
// read any more. The latency of those that read is measured in both parts (Result.Calm before, Result.P99 beside the
// others), and what the others cost: memory of the server (Result.RSS) and of the kernel for sockets (Result.Kernel), both
// in bytes for each of them.
type Stalled struct {
	Reading  int // subscribers that read
	Stalled  int // those that do not
	Rooms    int
	Rate     float64 // publishes per second to each room
	Bytes    int     // of payload
	Warmup   time.Duration
	Duration time.Duration // of each part
}

// stalledBuffer is what a socket that is not read holds on its own side: as little as there can be, so that the rest is
// the server's matter.
const stalledBuffer = 4 << 10

func (s Stalled) run(l *loop) (Result, error) {
	r := &fanout{Fanout: Fanout{Subscribers: s.Reading, Rooms: s.Rooms, Rate: s.Rate, Bytes: s.Bytes}, loop: l}
	if err := r.join(); err != nil {
		return Result{}, err
	}
	if err := r.publish(s.Warmup); err != nil {
		return Result{}, err
	}
	calm, _, err := r.part(s.Duration)
	if err != nil {
		return Result{}, err
	}
	before, err := l.memory()
	if err != nil {
		return Result{}, err
	}
	if err := l.stall(s); err != nil {
		return Result{}, err
	}
	p50, result, err := r.part(s.Duration)
	if err != nil {
		return Result{}, err
	}
	after, err := l.memory()
	n := float64(s.Stalled)
	result.Calm, result.P50, result.P99 = calm.Percentile(99), p50.Percentile(50), p50.Percentile(99)
	result.RSS, result.Kernel = (after.rss-before.rss)/n, (after.kernel-before.kernel)/n
	return result, err
}

// part publishes for a time, and measures that.
func (r *fanout) part(d time.Duration) (latency load.Histogram, result Result, err error) {
	r.clear()
	m, err := r.loop.measure()
	if err != nil {
		return latency, result, err
	}
	if err := r.publish(d); err != nil {
		return latency, result, err
	}
	if r.delivered == 0 {
		return latency, result, errors.New("nothing was published")
	}
	result, err = m.result(r.delivered)
	result.Late = r.late
	return r.latency, result, err
}

// clear forgets what has been measured.
func (r *fanout) clear() { r.latency, r.delivered, r.late = load.Histogram{}, 0, 0 }

// stall opens subscribers that do not read.
func (l *loop) stall(s Stalled) error {
	l.receive = stalledBuffer
	defer func() { l.receive = 0 }()
	ready := 0
	return l.openMany(s.Stalled, &ready, func(i int) error {
		return l.subscribe(i%s.Rooms, &ready, stalled{l})
	})
}

// stalled is a connection that is not read from the moment on when it has subscribed.
type stalled struct{ loop *loop }

func (stalled) opened(*conn) error { return nil }

func (s stalled) joined(c *conn) { s.loop.watch(c, unix.EPOLL_CTL_MOD, 0) }

// received takes what had come already.
func (stalled) received(_ *conn, b []byte) (int, error) { return len(b), nil }

// usage is memory in bytes.
type usage struct{ rss, kernel float64 }

// memory reads that of the server, and that of the kernel for all TCP sockets of the machine.
func (l *loop) memory() (u usage, err error) {
	if u.rss, err = l.rss(); err != nil {
		return u, err
	}
	file, err := os.Open("/proc/net/sockstat")
	if err != nil {
		return u, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line, ok := strings.CutPrefix(lines.Text(), "TCP: ")
		if !ok {
			continue
		}
		var inuse, orphan, tw, alloc, pages int
		if _, err := fmt.Sscanf(line, "inuse %d orphan %d tw %d alloc %d mem %d", &inuse, &orphan, &tw, &alloc, &pages); err != nil {
			return u, fmt.Errorf("/proc/net/sockstat: %q: %w", line, err)
		}
		u.kernel = float64(pages * os.Getpagesize())
		return u, nil
	}
	return u, errors.New("/proc/net/sockstat says nothing of TCP")
}
