package connect

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// stuck is a link whose Write ends when it is told to.
type stuck struct {
	ending  chan struct{}
	aborted func()
}

func (s *stuck) Read([]byte) (int, error) { return 0, io.EOF }
func (s *stuck) Write([]byte) (int, error) {
	<-s.ending
	return 0, errOver
}
func (s *stuck) end()   {}
func (s *stuck) abort() { s.aborted() }

// What Close ends says net.ErrClosed, also when it ends before Close has returned.
func TestCloseIsWhatEnds(t *testing.T) {
	for _, direct := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ends := &slow{both: make(chan struct{})}
			c := newConn(ends, nil, nil)
			if direct {
				c.ReadDirectly()
			}
			failed := make(chan error, 2)
			go func() {
				_, err := c.Read(make([]byte, 1))
				failed <- err
			}()
			go func() {
				_, err := c.Write([]byte("x"))
				failed <- err
			}()
			synctest.Wait()
			_ = c.Close()
			for range 2 {
				if err := <-failed; err != net.ErrClosed {
					t.Errorf("%v, want %v", err, net.ErrClosed)
				}
			}
		})
	}
}

// slow is a link whose abort returns when everything that it has ended has.
type slow struct{ both chan struct{} }

func (s *slow) Read([]byte) (int, error) {
	<-s.both
	return 0, errOver
}
func (s *slow) Write(p []byte) (int, error) { return s.Read(p) }
func (s *slow) end()                        { s.abort() }
func (s *slow) abort() {
	close(s.both)
	synctest.Wait()
}

// The deadline of a write that has ended must not reset the stream under the next write.
func TestDeadlineOfAnEarlierWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var aborts atomic.Int32
		l := &stuck{make(chan struct{}), func() { aborts.Add(1) }}
		c := newConn(l, nil, nil)
		_ = c.SetWriteDeadline(time.Now().Add(time.Hour)) // the next write's
		wrote := make(chan struct{})
		go func() {
			_, _ = c.Write([]byte("healthy"))
			close(wrote)
		}()
		synctest.Wait()
		c.interruptWrite() // the earlier write's: it had passed before the deadline was moved
		if aborts.Load() != 0 {
			t.Error("a healthy write was aborted")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if aborts.Load() != 1 {
			t.Errorf("%d aborts by the write's own deadline, want 1", aborts.Load())
		}
		close(l.ending)
		<-wrote
		_ = c.Close()
	})
}

// Nothing that a handler waits for gets past an abort that has begun: leave, Close and enter
// need the lock.
func TestAbortUnderTheLock(t *testing.T) {
	l := &stuck{ending: make(chan struct{})}
	c := newConn(l, nil, nil)
	aborts := 0
	l.aborted = func() {
		aborts++
		if c.mu.TryLock() {
			c.mu.Unlock()
			t.Error("the write may return while it is aborted")
		}
	}
	c.enter() // a write is under way
	_ = c.SetWriteDeadline(time.Now())
	if aborts != 1 {
		t.Errorf("%d aborts by the deadline, want 1", aborts)
	}
	c.leave()
	_ = c.SetWriteDeadline(time.Now())
	_ = c.Close()
	_ = c.SetWriteDeadline(time.Now())
	if aborts != 1 {
		t.Errorf("%d aborts although nothing was under way", aborts-1)
	}
}

// A stream that Close has reset is not reset again by a deadline.
func TestDeadlineBehindClose(t *testing.T) {
	aborts := 0
	c := newConn(&stuck{make(chan struct{}), func() { aborts++ }}, nil, nil)
	c.enter() // a write is under way
	_ = c.Close()
	_ = c.SetWriteDeadline(time.Now())
	if aborts != 1 {
		t.Errorf("%d aborts, want 1", aborts)
	}
}

// returned is the http.ResponseWriter of a handler that has returned: net/http's panics.
type returned struct{ http.ResponseWriter }

func (returned) SetWriteDeadline(time.Time) error { panic("the handler has returned") }

// Where a handler has returned in spite of all, an abort is no panic, and reading ends.
func TestAbortBehindTheHandler(t *testing.T) {
	body, _ := io.Pipe()
	s := &served{control: http.NewResponseController(returned{}), body: body}
	s.forget = context.AfterFunc(t.Context(), func() {})
	s.abort()
	if _, err := s.Read(make([]byte, 1)); err != io.ErrClosedPipe {
		t.Errorf("%v, want the end", err)
	}
}

// held is a response whose Close waits for the network, as net/http's does behind a writer.
type held struct {
	io.Reader
	network, closed chan struct{}
}

func (h *held) Close() error {
	<-h.network
	close(h.closed)
	return nil
}

// A client that gives up does not wait for the network, which may have gone.
func TestCloseWaitsForNoNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{network: make(chan struct{}), closed: make(chan struct{})}
		c := Open(NewBody(), h, func() {}, nil, nil)
		wrote := make(chan struct{})
		go func() {
			_, _ = c.Write([]byte("hello"))
			close(wrote)
		}()
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			_ = c.Close()
			_ = c.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			<-wrote
		default:
			t.Error("Close waits for the network")
		}
		close(h.network)
		<-h.closed
	})
}
