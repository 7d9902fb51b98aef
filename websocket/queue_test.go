package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/wire"
)

// room for two messages of 86 bytes, each with its frame: the second is taken at 100.
const twoMessages = 101

var hundred = strings.Repeat("x", 100-wire.MaxHeaderBytes)

// queuedPair returns a pair whose server side has a queue.
func queuedPair(t *testing.T, policy PendingPolicy) (server, client *Conn) {
	t.Helper()
	server, client = pair(t)
	server.limitPending(Pending{MaxPendingBytes: twoMessages, Policy: policy})
	return server, client
}

// eachPolicy fills a queue: two messages are taken, one goes beyond the bound by its own size.
func eachPolicy(t *testing.T, policy PendingPolicy, test func(t *testing.T, server, client *Conn)) {
	synctest.Test(t, func(t *testing.T) {
		server, client := queuedPair(t, policy)
		for range 2 {
			server.say(t, Text, hundred)
		}
		synctest.Wait()
		if n := server.Buffered(); n != 200 {
			t.Fatalf("%d bytes are pending, want 200", n)
		}
		test(t, server, client)
	})
}

func TestConnPendingWait(t *testing.T) {
	eachPolicy(t, PendingWait, func(t *testing.T, server, client *Conn) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := server.Write(ctx, Text, []byte("third")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the context's end", err)
		}
		wrote := run(func() error { return server.Write(t.Context(), Text, []byte("fourth")) })
		synctest.Wait()
		if n := server.Buffered(); n != 200 {
			t.Errorf("%d bytes are pending beyond the bound", n)
		}
		for _, want := range []string{hundred, hundred, "fourth"} {
			client.want(t, Text, want)
		}
		if err := wrote(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := server.Buffered(); n != 0 {
			t.Errorf("%d bytes are pending when all is sent", n)
		}
	})
}

func TestConnPendingDrop(t *testing.T) {
	eachPolicy(t, PendingDrop, func(t *testing.T, server, client *Conn) {
		if err := server.Write(t.Context(), Text, []byte("third")); !errors.Is(err, ErrPendingFull) {
			t.Errorf("%v, want %v", err, ErrPendingFull)
		}
		client.want(t, Text, hundred)
		client.want(t, Text, hundred)
		server.say(t, Text, "fourth")
		client.want(t, Text, "fourth")
	})
}

// The close frame is for a peer that begins to read in time; the connection ends in any case.
func TestConnPendingClose(t *testing.T) {
	eachPolicy(t, PendingClose, func(t *testing.T, server, client *Conn) {
		if err := server.Write(t.Context(), Text, []byte("third")); !errors.Is(err, ErrPendingFull) {
			t.Errorf("%v, want %v", err, ErrPendingFull)
		}
		if err := server.Write(t.Context(), Text, []byte("fourth")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want the end", err)
		}
		client.want(t, Text, hundred)
		client.want(t, Text, hundred)
		_, _, err := client.Read(t.Context())
		wantClosed(t, err, ClosePolicy, "the peer does not read what it is sent")
	})
	eachPolicy(t, PendingClose, func(t *testing.T, server, _ *Conn) {
		_ = server.Write(t.Context(), Text, []byte("third"))
		begun := time.Now()
		if _, _, err := server.Read(t.Context()); !errors.Is(err, ErrPendingFull) || time.Since(begun) > lingerTimeout {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// §5.4: the close frame comes between two frames of a message that is written as a stream, behind
// which everything else waits.
func TestConnPendingCloseAmidAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := queuedPair(t, PendingClose)
		w, err := server.NextWriter(t.Context(), Text)
		if err != nil {
			t.Fatal(err)
		}
		flushed := run(func() error { _, _ = w.Write([]byte("begun")); return w.Flush() })
		if ev, err := client.next(t.Context()); err != nil || string(ev.Payload) != "begun" || ev.Last {
			t.Fatalf("%q, %v", ev.Payload, err)
		}
		if err := flushed(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			server.say(t, Text, hundred)
		}
		if err := server.Write(t.Context(), Text, []byte("third")); !errors.Is(err, ErrPendingFull) {
			t.Errorf("%v, want %v", err, ErrPendingFull)
		}
		_, _, err = client.Read(t.Context())
		wantClosed(t, err, ClosePolicy, "the peer does not read what it is sent")
		if err := w.Close(); err == nil {
			t.Error("the message could be ended behind the close frame")
		}
	})
}

// Messages of all kinds go out in the order of the calls.
func TestPendingOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pair(t)
		server.limitPending(Pending{MaxPendingBytes: 1 << 20})
		prepared, err := NewPreparedMessage(Text, []byte("prepared"))
		if err != nil {
			t.Fatal(err)
		}
		got := run(func() (all []string) {
			for range 104 {
				_, msg, err := client.Read(t.Context())
				if err != nil {
					t.Error(err)
				}
				all = append(all, string(msg))
			}
			return all
		})
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprint(i))
			server.say(t, Text, fmt.Sprint(i))
		}
		if err := server.WritePrepared(t.Context(), prepared); err != nil {
			t.Error(err)
		}
		w, err := server.NextWriter(t.Context(), Text)
		if err != nil {
			t.Fatal(err)
		}
		server.say(t, Text, "behind the stream")
		_, _ = w.Write([]byte("stream"))
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		server.say(t, Text, "last")
		want = append(want, "prepared", "stream", "behind the stream", "last")
		if all := got(); strings.Join(all, " ") != strings.Join(want, " ") {
			t.Errorf("received %v", all)
		}
	})
}

// The caller may use its bytes again at once.
func TestPendingCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := queuedPair(t, PendingWait)
		p := []byte("before")
		if err := server.Write(t.Context(), Text, p); err != nil {
			t.Error(err)
		}
		copy(p, "after!")
		client.want(t, Text, "before")
	})
}

// Close sends its frame behind what is pending, and takes nothing behind it.
func TestCloseBehindPending(t *testing.T) {
	eachPolicy(t, PendingWait, func(t *testing.T, server, client *Conn) {
		closed := run(func() error { return server.Close(CloseNormal, "done") })
		waiting := run(func() error { return server.Write(t.Context(), Text, []byte("late")) })
		if err := waiting(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want the end", err)
		}
		client.want(t, Text, hundred)
		client.want(t, Text, hundred)
		_, _, err := client.Read(t.Context())
		wantClosed(t, err, CloseNormal, "done")
		if err := closed(); err != nil {
			t.Error(err)
		}
	})
}

// A message that is under way in frames does not keep the close frame from the peer, nor does
// one that it takes slowly. What is pending behind it is given up, and Close says so.
func TestClosePassesWhatCannotBeSent(t *testing.T) {
	t.Run("open writer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server, client := queuedPair(t, PendingWait)
			w, err := server.NextWriter(t.Context(), Text)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = w.Write([]byte("begun"))
			flushed := run(w.Flush)
			read := run(func() error { _, _, err := client.Read(t.Context()); return err })
			if err := flushed(); err != nil {
				t.Fatal(err)
			}
			server.say(t, Text, "behind it")
			begun := time.Now()
			err = server.Close(CloseNormal, "done")
			if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != closeTimeout {
				t.Errorf("%v after %v", err, took)
			}
			wantClosed(t, read(), CloseNormal, "done")
			wantClosed(t, w.Close(), CloseNormal, "") // the answer
		})
	})
	t.Run("slow peer", func(t *testing.T) {
		eachPolicy(t, PendingWait, func(t *testing.T, server, client *Conn) {
			closed := run(func() error { return server.Close(CloseNormal, "done") })
			after(t, closeTimeout+lingerTimeout/2)
			client.want(t, Text, hundred)
			_, _, err := client.Read(t.Context())
			wantClosed(t, err, CloseNormal, "done")
			if err := closed(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want to hear of what was dropped", err)
			}
		})
	})
	t.Run("no reader", func(t *testing.T) {
		eachPolicy(t, PendingWait, func(t *testing.T, server, _ *Conn) {
			begun := time.Now()
			err := server.Close(CloseNormal, "done")
			if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != closeTimeout+lingerTimeout {
				t.Errorf("%v after %v", err, took)
			}
		})
	})
}

// A peer that closes wants no more messages: behind the one that is on its way comes the
// answer, and who waits for room is told.
func TestPeerClosesWhilePending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, peer := raw(t)
		server.limitPending(Pending{MaxPendingBytes: twoMessages})
		for range 2 {
			server.say(t, Text, hundred)
		}
		waiting := run(func() error { return server.Write(t.Context(), Text, []byte("third")) })
		read := run(func() error { _, _, err := server.Read(t.Context()); return err })
		synctest.Wait()
		sendBytes(t, peer, masked(wire.Close, "\x03\xe9")...)
		if err := waiting(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want the end", err)
		}
		wantBytes(t, peer, string(wire.AppendFrame(nil, wire.Text, []byte(hundred)))+"\x88\x02\x03\xe9")
		wantClosed(t, read(), CloseGoingAway, "")
	})
}

// What cannot be sent is the error of the next call, and nothing stays behind.
func TestPendingWhenTheConnectionIsLost(t *testing.T) {
	eachPolicy(t, PendingWait, func(t *testing.T, server, client *Conn) {
		waiting := run(func() error { return server.Write(t.Context(), Text, []byte("third")) })
		_ = client.CloseNow()
		wantClosed(t, waiting(), CloseAbnormal, "")
		synctest.Wait()
		if n := server.Buffered(); n != 0 {
			t.Errorf("%d bytes are pending", n)
		}
	})
}

// No goroutine is there while nothing waits.
func TestPendingIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := queuedPair(t, PendingWait)
		before := runtime.NumGoroutine()
		for range 3 {
			server.say(t, Text, "one")
			client.want(t, Text, "one")
		}
		synctest.Wait()
		if server.queue.running || server.queue.waiting != nil {
			t.Error("the queue is not idle")
		}
		if now := runtime.NumGoroutine(); now > before {
			t.Errorf("%d goroutines, %d before", now, before)
		}
	})
}

// Messages that refer to each other are compressed in the order in which they go out.
func TestPendingWithTakeover(t *testing.T) {
	opts := AcceptOptions{Compression: Compression{Mode: CompressionTakeover, Threshold: 1}, Pending: Pending{MaxPendingBytes: 1 << 20}}
	url := serve(t, &opts, echo)
	c := dial(t, url, &DialOptions{Compression: opts.Compression, Pending: opts.Pending})
	wrote := run(func() error {
		for i := range 200 {
			if err := c.Write(t.Context(), Text, fmt.Appendf(nil, "message %d, much like the one before", i)); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range 200 {
		c.want(t, Text, fmt.Sprintf("message %d, much like the one before", i))
	}
	if err := wrote(); err != nil {
		t.Error(err)
	}
	if err := c.Close(CloseNormal, ""); err != nil {
		t.Error(err)
	}
}
