package soak

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// Silence opens n connections on which only the beginning of a request comes, "" for nothing, checks that new clients are
// served meanwhile, and returns how soon the server ended one of the n, and how late.
func Silence(t testing.TB, target Target, n int, beginning string) (soonest, latest time.Duration) {
	t.Helper()
	s := &storm{t: t, target: target}
	type quiet struct {
		c     *net.TCPConn
		since time.Time
	}
	all := make([]quiet, n)
	for i := range all {
		c, err := s.dial(int64(i))
		if err == nil {
			_, err = io.WriteString(c, beginning)
		}
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
		all[i] = quiet{c, time.Now()}
	}
	for range 20 {
		s.ask(true)
	}
	soonest = patience
	for _, q := range all {
		if _, err := io.Copy(io.Discard, q.c); err != nil && !errors.Is(err, syscall.ECONNRESET) { // net/http may say why
			t.Fatalf("the server did not end it: %v", err)
		}
		took := time.Since(q.since)
		soonest, latest = min(soonest, took), max(latest, took)
	}
	t.Logf("%d connections with %q ended by the server after %v to %v; new clients waited %v at most",
		n, beginning, soonest.Round(time.Millisecond), latest.Round(time.Millisecond), s.slowest.Round(time.Millisecond))
	return soonest, latest
}
