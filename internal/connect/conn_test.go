package connect

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream is a response and what ends it, as an HTTP client has them.
func stream() (c *Conn, body *Body, response *io.PipeWriter, canceled chan struct{}) {
	r, w := io.Pipe()
	body, canceled = NewBody(), make(chan struct{}, 9)
	return Open(body, r, func() { canceled <- struct{}{} }, nil, nil), body, w, canceled
}

func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, response, _ := stream()
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		begun := time.Now()
		b := make([]byte, 3)
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want the deadline again", err)
		}
		_ = c.SetReadDeadline(time.Time{})
		go func() { _, _ = response.Write([]byte("hello")) }()
		for _, want := range []string{"hel", "lo"} { // the read that was given up has lost nothing
			if n, err := c.Read(b); string(b[:n]) != want || err != nil {
				t.Errorf("read %q, %v, want %q", b[:n], err, want)
			}
		}
		_ = response.Close()
		for range 2 {
			if _, err := c.Read(b); err != io.EOF {
				t.Errorf("%v, want the end", err)
			}
		}
		_ = c.Close()
		if _, err := c.Read(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v behind Close", err)
		}
		time.Sleep(lingerFor)
	})
}

// A deadline that is moved away before it passes, or after, is none.
func TestMovedDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passed := 0
		d := newDeadline(func() { passed++ })
		d.move(time.Now().Add(time.Second))
		d.move(time.Now().Add(time.Hour))
		time.Sleep(time.Minute)
		if d.hasPassed() || passed != 0 {
			t.Error("it passed although it was moved")
		}
		d.move(time.Now())
		if !d.hasPassed() || passed != 1 {
			t.Error("it has not passed at once")
		}
		d.move(time.Time{})
		if d.hasPassed() {
			t.Error("it has passed although there is none")
		}
	})
}

// Write returns when the HTTP client asks for more, and not before.
func TestWriteWaitsForTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, body, _, canceled := stream()
		wrote := make(chan error, 1)
		go func() {
			_, err := c.Write([]byte("hello"))
			wrote <- err
		}()
		b := make([]byte, 3)
		for _, want := range []string{"hel", "lo"} {
			if n, err := body.Read(b); string(b[:n]) != want || err != nil {
				t.Errorf("sent %q, %v, want %q", b[:n], err, want)
			}
			synctest.Wait()
			if len(wrote) > 0 {
				t.Error("written before it was sent")
			}
		}
		ended := make(chan error, 1)
		go func() {
			_, err := body.Read(b)
			ended <- err
		}()
		if err := <-wrote; err != nil {
			t.Error(err)
		}
		_ = c.Close()
		if err := <-ended; err != io.EOF {
			t.Errorf("%v, want END_STREAM", err)
		}
		if len(canceled) > 0 {
			t.Error("reset at once")
		}
		time.Sleep(lingerFor)
		synctest.Wait()
		if len(canceled) == 0 { // RFC 8441 §5: a server that does not end its side is reset
			t.Error("never reset")
		}
	})
}

// A write whose deadline passes ends the stream, and p is no longer looked at.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, body, _, canceled := stream()
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		b := make([]byte, 9)
		taken := make(chan struct{})
		go func() {
			_, _ = body.Read(b)
			close(taken)
		}()
		if _, err := c.Write([]byte("hello")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want the deadline", err)
		}
		<-taken
		<-canceled
		if n, err := body.Read(b); n != 0 || err == nil {
			t.Errorf("%q was sent behind the deadline", b[:n])
		}
		_ = c.SetWriteDeadline(time.Now())
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want the deadline", err)
		}
		_ = c.Close()
		time.Sleep(lingerFor)
	})
}

// What the HTTP client has taken when the stream ends counts as written; the rest does not.
func TestStreamEndsUnderAWrite(t *testing.T) {
	for size, want := range map[int]error{5: nil, 2: errOver} {
		synctest.Test(t, func(t *testing.T) {
			c, body, _, _ := stream()
			wrote := make(chan error, 1)
			go func() {
				_, err := c.Write([]byte("hello"))
				wrote <- err
			}()
			_, _ = body.Read(make([]byte, size))
			_ = body.Close()
			if err := <-wrote; err != want {
				t.Errorf("%v, want %v", err, want)
			}
			if _, err := c.Write([]byte("x")); err != errOver {
				t.Errorf("%v, want %v", err, errOver)
			}
			_ = c.Close()
			time.Sleep(lingerFor)
		})
	}
}

// Close ends a write that is under way, by a reset, and Wait waits for it.
func TestCloseUnderAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _, canceled := stream()
		wrote := make(chan error, 1)
		go func() {
			_, err := c.Write([]byte("hello"))
			wrote <- err
		}()
		synctest.Wait()
		_ = c.Close()
		c.Wait()
		<-canceled
		if err := <-wrote; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want the end", err)
		}
	})
}
