package websocket

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/wire"
)

// §6.1: what is written arrives.
func TestEcho(t *testing.T) {
	c := dial(t, serve(t, &AcceptOptions{}, echo), nil)
	for _, msg := range []string{"", "hello", strings.Repeat("é", 300), strings.Repeat("x", 4096), strings.Repeat("y", frameBytes), strings.Repeat("z", 500_000)} {
		c.say(t, Text, msg)
		c.want(t, Text, msg)
		c.say(t, Binary, msg+"\xff")
		c.want(t, Binary, msg+"\xff")
	}
	if err := c.Close(CloseNormal, "done"); err != nil {
		t.Error(err)
	}
}

// The server's side against bytes written by hand (RFC 6455 §5.7).
func TestRawBytes(t *testing.T) {
	c, peer := raw(t)
	got := run(func() error {
		_, msg, err := c.Read(t.Context())
		if string(msg) != "Hello" {
			t.Errorf("read %q", msg)
		}
		return err
	})
	sendBytes(t, peer, []byte("\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d")...) // "Hel", not final
	sendBytes(t, peer, []byte("\x89\x84\x00\x00\x00\x00beat")...)         // a ping between
	wantBytes(t, peer, "\x8a\x04beat")                                    // its pong, although nobody writes
	sendBytes(t, peer, []byte("\x80\x82\x00\x00\x00\x00l")...)            // "l", cut
	sendBytes(t, peer, 'o')                                               // "o"
	if err := got(); err != nil {
		t.Fatal(err)
	}

	wrote := run(func() error { return c.Write(t.Context(), Text, []byte("Hello")) })
	wantBytes(t, peer, "\x81\x05Hello")
	if err := wrote(); err != nil {
		t.Fatal(err)
	}

	closed := run(func() error { _, _, err := c.Read(t.Context()); return err })
	sendBytes(t, peer, []byte("\x88\x85\x00\x00\x00\x00\x03\xe9bye")...)
	wantBytes(t, peer, "\x88\x02\x03\xe9") // §5.5.1: the code is echoed
	wantClosed(t, closed(), CloseGoingAway, "bye")
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("behind the close: %v, want the connection closed", err)
	}
}

func TestMessagesBelongToTheCaller(t *testing.T) {
	c := dial(t, serve(t, nil, echo), nil)
	c.say(t, Text, "first")
	_, first, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.say(t, Text, "other")
	c.want(t, Text, "other")
	if string(first) != "first" {
		t.Errorf("the first message became %q", first)
	}
}

func TestWriteLeavesTheMessageAlone(t *testing.T) {
	c := dial(t, serve(t, nil, echo), nil)
	p := []byte(strings.Repeat("x", 3*frameBytes))
	if err := c.Write(t.Context(), Binary, p); err != nil {
		t.Fatal(err)
	}
	if strings.Trim(string(p), "x") != "" {
		t.Error("the caller's bytes were masked in place")
	}
	c.want(t, Binary, string(p))
}

// A broken rule is answered with its code before the connection ends, and also over a
// real socket with bytes still unread.
func TestBrokenRules(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		code CloseCode
	}{
		{"unmasked", []byte("\x81\x01a"), CloseProtocolError},
		{"reserved bit", []byte("\xc1\x80\x00\x00\x00\x00"), CloseProtocolError},
		{"text that is not UTF-8", masked(wire.Text, "a\xff"), CloseInvalidPayload},
		{"close reason that is not UTF-8", masked(wire.Close, "\x03\xe8\xff"), CloseInvalidPayload},
		{"message over the limit", append(masked(wire.Binary, strings.Repeat("x", 1001)), make([]byte, 100_000)...), CloseTooBig},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			readErr := make(chan error, 1)
			url := serve(t, nil, func(ctx context.Context, c *Conn) {
				c.SetReadLimit(1000)
				_, _, err := c.Read(ctx)
				readErr <- err
			})
			c := dial(t, url, nil)
			if _, err := c.nc.Write(tt.in); err != nil {
				t.Fatal(err)
			}
			_, _, err := c.Read(t.Context())
			var closed *CloseError
			if !errors.As(err, &closed) || closed.Code != tt.code || closed.Reason == "" {
				t.Errorf("the client saw %v, want %d with a reason", err, tt.code)
			}
			err = <-readErr
			var rule *wire.Error
			if !errors.As(err, &rule) || rule.Code != tt.code {
				t.Errorf("the server's Read returned %v, want a *wire.Error with %d", err, tt.code)
			}
			if errors.Is(err, ErrTooBig) != (tt.code == CloseTooBig) {
				t.Errorf("%v is ErrTooBig: %v", err, errors.Is(err, ErrTooBig))
			}
		})
	}
}

func TestDefaultReadLimit(t *testing.T) {
	c := dial(t, serve(t, nil, echo), nil)
	c.SetReadLimit(0)
	c.say(t, Binary, strings.Repeat("x", DefaultReadLimit))
	c.want(t, Binary, strings.Repeat("x", DefaultReadLimit))
	// One byte more is refused by the server; the write itself may see that or not.
	_ = c.Write(t.Context(), Binary, make([]byte, DefaultReadLimit+1))
	_, _, err := c.Read(t.Context())
	var closed *CloseError
	if !errors.As(err, &closed) || closed.Code != CloseTooBig {
		t.Errorf("%v, want close code %d", err, CloseTooBig)
	}
}

// §5.6: text is UTF-8, in both directions.
func TestTextMustBeUTF8(t *testing.T) {
	c := dial(t, serve(t, nil, echo), nil)
	if err := c.Write(t.Context(), Text, []byte("a\xff")); !errors.Is(err, ErrNotUTF8) {
		t.Errorf("%v, want ErrNotUTF8", err)
	}
	if err := c.Write(t.Context(), 9, nil); err == nil {
		t.Error("a ping could be written as a message")
	}
	c.say(t, Text, "and the connection goes on")
	c.want(t, Text, "and the connection goes on")
}

// §5.5.2: a ping is over when its own pong is there.
func TestPing(t *testing.T) {
	c := dial(t, serve(t, nil, echo), nil)
	read := run(func() error { _, _, err := c.Read(t.Context()); return err })
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if err := c.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_ = c.CloseNow()
	if err := read(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read ended with %v, want net.ErrClosed", err)
	}
	if err := c.Ping(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Ping after the end: %v, want net.ErrClosed", err)
	}
	if len(c.pings) != 0 {
		t.Errorf("%d pings are still remembered", len(c.pings))
	}
}

// §5.5.3 allows pongs nobody asked for: twice the same, of any length.
func TestStrayPongs(t *testing.T) {
	c, peer := raw(t)
	id, answered := c.newPing()
	payload := string(binary.BigEndian.AppendUint64(nil, id))
	read := run(func() error { c.want(t, Text, "alive"); return nil })
	for _, p := range []string{"", "unasked.", payload, payload} {
		sendBytes(t, peer, masked(wire.Pong, p)...)
	}
	sendBytes(t, peer, masked(wire.Text, "alive")...)
	_ = read()
	<-answered
}

// The deadline of a pong must not hit what is written later.
func TestWriteLongAfterAPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := raw(t)
		read := run(func() error { c.want(t, Text, "done"); return nil })
		sendBytes(t, peer, masked(wire.Ping, "x")...)
		wantBytes(t, peer, "\x8a\x01x")
		sendBytes(t, peer, masked(wire.Text, "done")...)
		_ = read()
		later, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		<-later.Done()
		wrote := run(func() error { return c.Write(t.Context(), Text, []byte("later")) })
		wantBytes(t, peer, "\x81\x05later")
		if err := wrote(); err != nil {
			t.Error(err)
		}
	})
}

// A reader never waits for a writer: the ping that comes while a write is stuck is
// answered by that writer when it is done, and of several only the newest.
func TestPingDuringAStuckWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := raw(t)
		wrote := run(func() error { return c.Write(t.Context(), Text, []byte("hello")) })
		read := run(func() error { c.want(t, Text, "through"); return nil })
		synctest.Wait() // the write is stuck: nobody reads at the other end
		sendBytes(t, peer, masked(wire.Ping, "one")...)
		sendBytes(t, peer, masked(wire.Ping, "two")...)
		sendBytes(t, peer, masked(wire.Text, "through")...)
		_ = read()
		wantBytes(t, peer, "\x81\x05hello"+"\x8a\x03two")
		if err := wrote(); err != nil {
			t.Error(err)
		}
	})
}

func TestWritersDoNotMix(t *testing.T) {
	const writers, each = 8, 20
	c := dial(t, serve(t, nil, echo), nil)
	for w := range writers {
		go func() {
			for i := range each {
				msg := strings.Repeat(strconv.Itoa(w), 1+i*1000)
				if c.Write(t.Context(), Text, []byte(msg)) != nil {
					return
				}
			}
		}()
	}
	next := make([]int, writers)
	for range writers * each {
		_, msg, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w := int(msg[0] - '0')
		if strings.Trim(string(msg), string(msg[:1])) != "" || len(msg) != 1+next[w]*1000 {
			t.Fatalf("message %d of writer %d has %d bytes, or is mixed", next[w], w, len(msg))
		}
		next[w]++
	}
}

func TestReadGoesOnAfterItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := raw(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		read := run(func() error { _, _, err := c.Read(ctx); return err })
		frame := masked(wire.Text, "hello")
		sendBytes(t, peer, frame[:7]...) // cut inside the payload
		if err := read(); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, want the context's end", err)
		}
		if _, _, err := c.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with an ended context: %v", err)
		}
		again := run(func() error { c.want(t, Text, "hello"); return nil })
		sendBytes(t, peer, frame[7:]...)
		_ = again()
	})
}

func TestWriteEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pair(t)
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		stuck := run(func() error { return server.Write(ctx, Text, []byte("nobody reads")) })
		synctest.Wait()

		// A second writer that gives up while waiting for its turn harms nothing.
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := server.Write(short, Text, []byte("waiting")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the waiting writer: %v", err)
		}
		if err := server.reason(); err != nil {
			t.Errorf("the connection ended with the waiting writer: %v", err)
		}

		cancel(cause)
		if err := stuck(); !errors.Is(err, cause) {
			t.Errorf("the stuck writer: %v, want %v", err, cause)
		}
		_, _, err := client.Read(t.Context())
		wantClosed(t, err, CloseAbnormal, "")
		_, _, err = server.Read(t.Context())
		wantClosed(t, err, CloseAbnormal, "")
	})
}

// §7.1.4, §7.1.5: an end without a close frame is 1006, which is only reported.
func TestLostConnection(t *testing.T) {
	c, peer := raw(t)
	_ = peer.Close()
	_, _, err := c.Read(t.Context())
	wantClosed(t, err, CloseAbnormal, "")
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v does not say why", err)
	}
	if again := c.Write(t.Context(), Text, nil); again != err {
		t.Errorf("a later call: %v, want the same %v", again, err)
	}
}
