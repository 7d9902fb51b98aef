package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/wire"
)

// nowhere is a connection that takes everything and gives nothing.
type nowhere struct{ net.Conn }

func (nowhere) Write(p []byte) (int, error)      { return len(p), nil }
func (nowhere) SetWriteDeadline(time.Time) error { return nil }
func (nowhere) Close() error                     { return nil }

// after returns once d has passed.
func after(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}

// A peer from which nothing comes is pinged, and given up when it does not answer.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := raw(t)
		start := time.Now()
		c.keepAlive(KeepAlive{PingEvery: 20 * time.Second, PongTimeout: 7 * time.Second})
		read := run(func() error { _, _, err := c.Read(t.Context()); return err })
		for range 3 {
			wantBytes(t, peer, "\x89\x00")
			sendBytes(t, peer, masked(wire.Pong, "")...)
		}
		// At 60 s the third was answered, which the tick at 67 s sees; the next ping is due
		// 20 s later.
		wantBytes(t, peer, "\x89\x00")
		pinged := time.Since(start)
		err := read()
		wantClosed(t, err, CloseAbnormal, "")
		if !errors.Is(err, ErrPongTimeout) {
			t.Errorf("%v, want ErrPongTimeout", err)
		}
		if took := time.Since(start) - pinged; took != 7*time.Second {
			t.Errorf("given up %v after the ping", took)
		}
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection was left open: %v", err)
		}
	})
}

// Who sends is alive, and needs no pings.
func TestKeepAliveIsQuietWhileSomethingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := raw(t)
		c.keepAlive(KeepAlive{PingEvery: 10 * time.Second})
		read := run(func() error {
			for range 20 {
				if _, _, err := c.Read(t.Context()); err != nil {
					return err
				}
			}
			return nil
		})
		silent := run(func() byte {
			var b [1]byte
			_, _ = peer.Read(b[:])
			return b[0]
		})
		for range 20 {
			sendBytes(t, peer, masked(wire.Text, "x")...)
			after(t, 9*time.Second)
		}
		if err := read(); err != nil {
			t.Error(err)
		}
		_ = c.CloseNow()
		if b := silent(); b != 0 {
			t.Errorf("a frame % x was sent to a peer that sends", b)
		}
	})
}

// While nobody reads, what the peer sends cannot be noticed, and is not missed.
func TestKeepAliveWaitsForAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := raw(t)
		c.keepAlive(KeepAlive{PingEvery: 10 * time.Second, PongTimeout: time.Second})
		wantBytes(t, peer, "\x89\x00")
		answered := run(func() error { _, err := peer.Write(masked(wire.Pong, "")); return err })
		after(t, time.Hour)
		read := run(func() error { _, _, err := c.Read(t.Context()); return err })
		if err := answered(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := c.reason(); err != nil {
			t.Errorf("given up: %v", err)
		}
		_ = c.CloseNow()
		_ = read()
	})
}

// A peer that takes a message slowly is not given up for the ping that waits behind it.
func TestKeepAliveLetsALongWriteEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := raw(t)
		c.keepAlive(KeepAlive{PingEvery: time.Second})
		read := run(func() error { _, _, err := c.Read(t.Context()); return err })
		wrote := run(func() error { return c.Write(t.Context(), Text, []byte("slow")) })
		after(t, time.Minute)
		wantBytes(t, peer, "\x81\x04slow")
		if err := wrote(); err != nil {
			t.Error(err)
		}
		wantBytes(t, peer, "\x89\x00")
		_ = c.CloseNow()
		_ = read()
	})
}

// So is one that takes a large pending message slowly, but not one that takes nothing more of
// it: that write has no context of its own.
func TestKeepAliveEndsAStuckPendingWrite(t *testing.T) {
	for _, prepared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, peer := raw(t)
			c.limitPending(Pending{MaxPendingBytes: 1 << 20})
			c.keepAlive(KeepAlive{PingEvery: 20 * time.Second, PongTimeout: 7 * time.Second})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			read := run(func() error { _, _, err := c.Read(ctx); return err })
			payload := make([]byte, 20*pieceBytes)
			if prepared {
				m, err := NewPreparedMessage(Binary, payload)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.WritePrepared(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			} else if err := c.Write(t.Context(), Binary, payload); err != nil {
				t.Fatal(err)
			}
			piece := make([]byte, pieceBytes)
			for range 15 {
				after(t, 6*time.Second)
				if _, err := io.ReadFull(peer, piece); err != nil {
					t.Fatal(err)
				}
			}
			last := time.Now()
			err := read()
			wantClosed(t, err, CloseAbnormal, "")
			if took := time.Since(last); !errors.Is(err, ErrPongTimeout) || took < 7*time.Second || took > 14*time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
}

// A stuck pending write is no sign of a peer that is gone when something comes from it, or
// nobody reads what may have come.
func TestKeepAliveLetsAStuckPendingWriteBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := raw(t)
		c.limitPending(Pending{MaxPendingBytes: 1 << 20})
		c.keepAlive(KeepAlive{PingEvery: 10 * time.Second})
		c.say(t, Text, "slow")
		after(t, time.Hour)
		if err := c.reason(); err != nil {
			t.Fatalf("given up while nobody reads: %v", err)
		}
		read := run(func() error {
			for range 20 {
				if _, _, err := c.Read(t.Context()); err != nil {
					return err
				}
			}
			return nil
		})
		for range 20 {
			sendBytes(t, peer, masked(wire.Text, "x")...)
			after(t, 19*time.Second) // two ticks apart, of which one hears nothing
		}
		if err := read(); err != nil {
			t.Error(err)
		}
		wantBytes(t, peer, "\x81\x04slow")
	})
}

// The writes of a MessageWriter end with its context, also where others are pending.
func TestKeepAliveLeavesAStreamToItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := raw(t)
		c.limitPending(Pending{MaxPendingBytes: 1 << 20})
		c.keepAlive(KeepAlive{PingEvery: time.Second})
		read := run(func() error { _, _, err := c.Read(t.Context()); return err })
		w, err := c.NextWriter(t.Context(), Text)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte("slow"))
		wrote := run(w.Close)
		after(t, time.Minute)
		wantBytes(t, peer, "\x81\x04slow")
		if err := wrote(); err != nil {
			t.Error(err)
		}
		_ = c.CloseNow()
		_ = read()
	})
}

// The options reach the connection, on both sides.
func TestKeepAliveOptions(t *testing.T) {
	alive := KeepAlive{PingEvery: time.Hour}
	url := serve(t, &AcceptOptions{KeepAlive: alive}, func(ctx context.Context, c *Conn) {
		if c.alive == nil || c.alive.PongTimeout != time.Hour {
			t.Errorf("the server's: %+v", c.alive)
		}
		echo(ctx, c)
	})
	c := dial(t, url, &DialOptions{KeepAlive: alive})
	c.say(t, Text, "x")
	c.want(t, Text, "x")
	if c.alive == nil || c.alive.PingEvery != time.Hour {
		t.Errorf("the client's: %+v", c.alive)
	}
	_ = c.CloseNow()
	if c.alive.timer.Stop() {
		t.Error("the timer outlives its connection")
	}
}
