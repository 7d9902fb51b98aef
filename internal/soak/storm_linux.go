package soak

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	workers = 32
	// maxHeld is how many connections wait at once for the server to end them; one more resets the oldest. Both ends are
	// descriptors of this process.
	maxHeld = 3000
	// patience is how long the server may take to end a connection that says nothing (1 to 3 s in the kernel, see
	// loop.Group.Listen, 10 s for the request), and a client to be served in the storm.
	patience = 30 * time.Second
	// prompt is how long an innocent client may wait for its answer, beside the storm on the same cores.
	prompt = 2 * time.Second
	// glance is long enough to read what has come.
	glance = 50 * time.Millisecond
	// everyRound is the time between two questions of the innocent client.
	everyRound = 10 * time.Millisecond
)

// A Target is the server.
type Target struct {
	Addr  string      // of its port, on 127.0.0.1
	Path  string      // where WebSockets are
	TLS   *tls.Config // what clients need where the port speaks TLS, else nil
	HTTP2 bool        // the port speaks HTTP/2 in the clear
	// Ask has one client that stays connected all along, or a new one, get an answer.
	Ask func(ctx context.Context, fresh bool) error
}

// Storm opens n connections, each in the next of the odd ways, and waits until all have ended: those that wait are to be ended
// by the server. Meanwhile it asks.
func Storm(t testing.TB, target Target, n int) {
	t.Helper()
	s := &storm{t: t, target: target, ways: target.ways(), limit: int64(n)}
	stop := s.askAlong()
	began := time.Now()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(s.work)
	}
	wg.Wait()
	took := time.Since(began)
	s.awaitEnds()
	stop()
	t.Logf("%d connections in %v, the rest of them gone after another %v; %d answers meanwhile, the slowest after %v",
		n, took.Round(time.Millisecond), (time.Since(began) - took).Round(time.Millisecond), s.answers, s.slowest.Round(time.Millisecond))
}

// ways returns the odd ways for what the server speaks.
func (target Target) ways() []way {
	switch {
	case target.TLS != nil:
		return tlsWays
	case target.HTTP2:
		return http2Ways
	}
	return plainWays
}

type storm struct {
	t      testing.TB
	target Target
	ways   []way
	limit  int64
	opened atomic.Int64
	failed atomic.Int64

	mu   sync.Mutex
	held []held // guarded by mu, oldest first

	// The asking goroutine's, until it has ended.
	answers int
	slowest time.Duration
}

// A held connection is one that the server has to end.
type held struct {
	c   *net.TCPConn
	way string
}

func (s *storm) work() {
	for {
		i := s.opened.Add(1)
		if i > s.limit || s.failed.Load() > 10 {
			return
		}
		w := &s.ways[i%int64(len(s.ways))]
		c, err := s.dial(i)
		if err == nil {
			err = w.do(c, s.target)
		}
		switch {
		case err != nil:
			s.failed.Add(1)
			s.t.Errorf("connection %d, %s: %v", i, w.name, err)
			if c != nil {
				c.Close()
			}
		case w.held:
			s.hold(held{c, w.name})
		default:
			c.Close()
		}
	}
}

// dial connects from one of eight addresses. Close then resets.
func (s *storm) dial(i int64) (*net.TCPConn, error) {
	from := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%8))}}
	nc, err := from.Dial("tcp", s.target.Addr)
	if err != nil {
		return nil, err
	}
	c := nc.(*net.TCPConn)
	return c, errors.Join(c.SetLinger(0), c.SetDeadline(time.Now().Add(patience)))
}

func (s *storm) hold(h held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) == maxHeld {
		s.held[0].c.Close()
		s.held = s.held[1:]
	}
	s.held = append(s.held, h)
}

// awaitEnds reads every held connection to its end.
func (s *storm) awaitEnds() {
	end := time.Now().Add(patience) // for all of them
	for _, h := range s.held {
		// One that is not ended must not take the time of those behind it, which need only be looked at.
		h.c.SetDeadline(later(end, time.Now().Add(glance)))
		if _, err := io.Copy(io.Discard, h.c); errors.Is(err, os.ErrDeadlineExceeded) || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			if s.failed.Add(1) < 10 {
				s.t.Errorf("%s: the server did not end it: %v", h.way, err)
			}
		}
		h.c.Close()
	}
	s.held = nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// askAlong asks until the returned function is called.
func (s *storm) askAlong() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(everyRound)
		defer tick.Stop()
		for ctx.Err() == nil {
			s.ask(s.answers%16 == 15)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return func() { cancel(); <-ended }
}

func (s *storm) ask(fresh bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	err := s.target.Ask(ctx, fresh)
	took := time.Since(began)
	s.answers++
	s.slowest = max(s.slowest, took)
	if (err != nil || took > prompt) && s.failed.Add(1) < 10 {
		s.t.Errorf("an innocent client (new: %v): %v after %v", fresh, err, took)
	}
}
