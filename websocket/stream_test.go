package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"hocket.dev/wire"
)

// both runs a test without and with compression of both kinds.
func both(t *testing.T, f func(t *testing.T, server, client *Conn)) {
	for _, mode := range []CompressionMode{CompressionOff, CompressionOn, CompressionTakeover} {
		t.Run(fmt.Sprintf("compression %d", mode), func(t *testing.T) {
			server, client := compressedPair(t, Compression{Mode: mode, Threshold: 64})
			f(t, server, client)
		})
	}
}

// A stream is a message like any other to who reads whole ones, and the other way round.
func TestStreams(t *testing.T) {
	both(t, func(t *testing.T, server, client *Conn) {
		for _, n := range []int{0, 1, 63, 64, 4096, 4097, 20_000} {
			for _, piece := range []int{1000, 7000, 1_000_000} {
				msg := prose(uint64(n), n)
				wrote := run(func() error {
					w, err := client.NextWriter(t.Context(), Text)
					for rest := msg; err == nil && rest != ""; rest = rest[min(piece, len(rest)):] {
						_, err = io.WriteString(w, rest[:min(piece, len(rest))])
					}
					return errors.Join(err, w.Close())
				})
				if piece == 7000 {
					server.want(t, Text, msg)
				} else {
					typ, r, err := server.NextReader(t.Context())
					if err != nil || typ != Text {
						t.Fatal(typ, err)
					}
					if err := iotest.TestReader(r, []byte(msg)); err != nil {
						t.Fatalf("%d bytes in pieces of %d: %v", n, piece, err)
					}
				}
				if err := wrote(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// Flush lets the other side read what has been written, while the message goes on; and
// control frames pass between its frames.
func TestFlushAndPingAmidAStream(t *testing.T) {
	both(t, func(t *testing.T, server, client *Conn) {
		flushed, read := make(chan struct{}), make(chan struct{})
		wrote := run(func() error {
			w, err := client.NextWriter(t.Context(), Text)
			if err != nil {
				return err
			}
			for _, s := range []string{"first half ", "second half"} {
				if _, err := io.WriteString(w, s+strings.Repeat("…", 100)); err != nil {
					return err
				}
				if err := w.Flush(); err != nil {
					return err
				}
				flushed <- struct{}{}
				<-read
			}
			return w.Close()
		})
		ponged := run(func() error { _, _, err := client.Read(t.Context()); return err })
		var r io.Reader
		gotReader := run(func() (err error) { _, r, err = server.NextReader(t.Context()); return err })
		<-flushed
		if err := gotReader(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, len("first half ")+300)
		if _, err := io.ReadFull(r, buf); err != nil || !strings.HasPrefix(string(buf), "first half ") {
			t.Fatalf("%q, %v", buf, err)
		}
		rest := run(func() string { b, _ := io.ReadAll(r); return string(b) })
		if err := client.Ping(t.Context()); err != nil {
			t.Errorf("a ping amid the message: %v", err)
		}
		read <- struct{}{}
		<-flushed
		read <- struct{}{}
		if err := wrote(); err != nil {
			t.Error(err)
		}
		if got := rest(); got != "second half"+strings.Repeat("…", 100) {
			t.Errorf("the rest is %q", got)
		}
		_ = client.CloseNow()
		_ = ponged()
	})
}

// Messages of others wait until a stream has ended. §5.4: messages are not interleaved.
func TestWritersWaitForAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pair(t)
		w, err := client.NextWriter(t.Context(), Text)
		if err != nil {
			t.Fatal(err)
		}
		other := run(func() error { return client.Write(t.Context(), Text, []byte("second")) })
		ctx, cancel := context.WithCancel(t.Context())
		third := run(func() error { _, err := client.NextWriter(ctx, Text); return err })
		synctest.Wait()
		cancel()
		if err := third(); !errors.Is(err, context.Canceled) {
			t.Errorf("a writer that gave up: %v", err)
		}
		closed := run(func() error { _, _ = io.WriteString(w, "first"); return w.Close() })
		server.want(t, Text, "first")
		server.want(t, Text, "second")
		if err := errors.Join(closed(), other()); err != nil {
			t.Error(err)
		}
		if _, err := w.Write([]byte("late")); err == nil {
			t.Error("a write behind Close says nothing")
		}
		if w.Close() == nil || w.Flush() == nil {
			t.Error("a second Close, or a Flush behind it, says nothing")
		}
	})
}

// What is left of a message is dropped by the next read, also where later ones refer to it.
func TestReadersSkipWhatIsLeft(t *testing.T) {
	both(t, func(t *testing.T, server, client *Conn) {
		const n = 50_000
		wrote := run(func() error {
			for i := range 4 {
				w, err := client.NextWriter(t.Context(), Text)
				if err != nil {
					return err
				}
				if _, err := io.WriteString(w, prose(uint64(i/2), n)); err != nil {
					return err
				}
				if err := w.Close(); err != nil {
					return err
				}
			}
			return client.Write(t.Context(), Text, []byte(prose(1, n)))
		})
		_, first, err := server.NextReader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(first, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		_, second, err := server.NextReader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.Read(make([]byte, 10)); !errors.Is(err, errPassed) {
			t.Errorf("the first reader, passed over: %v", err)
		}
		if got, err := io.ReadAll(second); string(got) != prose(0, n) || err != nil {
			t.Errorf("second: %s, %v", brief(string(got)), err)
		}
		if _, err := second.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("behind the end: %v", err)
		}
		if _, _, err = server.NextReader(t.Context()); err != nil { // and none of it is read
			t.Fatal(err)
		}
		server.want(t, Text, prose(1, n))
		server.want(t, Text, prose(1, n))
		if err := wrote(); err != nil {
			t.Error(err)
		}
	})
}

// NextReader goes on with what a Read, given up by its context, has gathered.
func TestNextReaderAfterAReadThatGaveUp(t *testing.T) {
	c, peer := raw(t)
	ctx, cancel := context.WithCancel(t.Context())
	read := run(func() error { _, _, err := c.Read(ctx); return err })
	whole := masked(wire.Text, "hello")
	sendBytes(t, peer, whole[:8]...)
	cancel()
	if err := read(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	got := run(func() string {
		_, r, err := c.NextReader(t.Context())
		if err != nil {
			return err.Error()
		}
		b, _ := io.ReadAll(r)
		return string(b)
	})
	sendBytes(t, peer, whole[8:]...)
	if s := got(); s != "hello" {
		t.Errorf("%q", s)
	}
}

// When its context ends amid a message, the connection goes on with the next one; only a
// message that later ones may refer to takes the connection with it.
func TestReaderEndsWithItsContext(t *testing.T) {
	both(t, func(t *testing.T, server, client *Conn) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		halfway := make(chan struct{})
		wrote := run(func() error {
			w, err := client.NextWriter(t.Context(), Text)
			if err != nil {
				return err
			}
			_, _ = io.WriteString(w, prose(1, 10_000))
			if err := w.Flush(); err != nil {
				return err
			}
			<-halfway
			_, _ = io.WriteString(w, prose(2, 10_000))
			if err := w.Close(); err != nil {
				return err
			}
			return client.Write(t.Context(), Text, []byte("next"))
		})
		_, r, err := server.NextReader(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 9000)); err != nil {
			t.Fatal(err)
		}
		rest := run(func() error { _, err := io.ReadAll(r); return err })
		cancel()
		if err := rest(); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want the context's end", err)
		}
		takeover := server.deflate != nil && server.deflate.received != nil
		close(halfway)
		_, msg, err := server.Read(t.Context())
		if takeover {
			// The inflater may have been interrupted, or not have needed more by then.
			if err == nil && string(msg) != "next" {
				t.Errorf("the next message is %q", msg)
			}
			_, _ = server.CloseNow(), wrote()
			return
		}
		if string(msg) != "next" || err != nil {
			t.Errorf("the next message: %q, %v", msg, err)
		}
		if err := wrote(); err != nil {
			t.Error(err)
		}
	})
}

// A stream's context that ends amid it ends the connection; one that ends before anything
// was sent does not.
func TestWriterEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pair(t)
		ctx, cancel := context.WithCancel(t.Context())
		w, err := client.NextWriter(ctx, Text)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := w.Close(); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want the context's end", err)
		}
		said := run(func() error { return client.Write(t.Context(), Text, []byte("on")) })
		server.want(t, Text, "on")
		if err := said(); err != nil {
			t.Fatal(err)
		}

		ctx, cancel = context.WithCancel(t.Context())
		w, _ = client.NextWriter(ctx, Text)
		stuck := run(func() error { _, err := w.Write(make([]byte, 10_000)); return err })
		synctest.Wait()
		cancel()
		if err := stuck(); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want the context's end", err)
		}
		wantClosed(t, client.Write(t.Context(), Text, nil), CloseAbnormal, "")
	})
}

// Close amid a stream that is being read leaves nobody with bytes of something else.
func TestCloseAmidAStream(t *testing.T) {
	c, peer := raw(t)
	first := masked(wire.Text, strings.Repeat("a", 100))
	got := run(func() *MessageReader { _, r, _ := c.NextReader(t.Context()); return r })
	sendBytes(t, peer, first...)
	r := got()
	closed := run(func() error { return c.Close(CloseNormal, "") })
	wantBytes(t, peer, "\x88\x02\x03\xe8")
	sendBytes(t, peer, masked(wire.Text, strings.Repeat("b", 100))...)
	sendBytes(t, peer, masked(wire.Close, "\x03\xe8")...)
	if err := closed(); err != nil {
		t.Error(err)
	}
	if n, err := r.Read(make([]byte, 200)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("%d bytes, %v: want neither another message's nor an end", n, err)
	}
}

// Text is checked as it is written, wherever a character is cut.
func TestStreamedTextMustBeUTF8(t *testing.T) {
	good := "Käse € 𐍈 z"
	for a := range len(good) {
		for b := a; b < len(good); b++ {
			w := &MessageWriter{text: true}
			if !w.check([]byte(good[:a])) || !w.check([]byte(good[a:b])) || !w.check([]byte(good[b:])) || w.cut != 0 {
				t.Fatalf("%q cut at %d and %d was refused", good, a, b)
			}
		}
	}
	for _, bad := range [][]string{{"\xff"}, {"\xe2", "a"}, {"\xe2\x82", "\x28"}, {"a\xc3", "\xc3"}, {"\xf0\x9f", "\x98", "a"}, {"ok", "a\x80"}} {
		w := &MessageWriter{text: true}
		refused := false
		for _, s := range bad {
			refused = refused || !w.check([]byte(s))
		}
		if !refused {
			t.Errorf("%q passed", bad)
		}
	}
	server, client := pair(t)
	w, err := client.NextWriter(t.Context(), Text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("a\xff")); !errors.Is(err, ErrNotUTF8) {
		t.Errorf("%v, want ErrNotUTF8", err)
	}
	_, _ = w.Write([]byte("goes on"))
	closed := run(w.Close)
	server.want(t, Text, "goes on")
	if err := closed(); err != nil {
		t.Error(err)
	}
	if w, err = client.NextWriter(t.Context(), Text); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("ends inside \xe2\x82"))
	if err := w.Close(); !errors.Is(err, ErrNotUTF8) || client.reason() == nil {
		t.Errorf("%v, want ErrNotUTF8 and the end", err)
	}
	if _, err := client.NextWriter(t.Context(), 9); err == nil {
		t.Error("a ping could be written as a stream")
	}
}

func TestMessages(t *testing.T) {
	for reason, peaceful := range map[CloseCode]bool{CloseNormal: true, CloseGoingAway: true, CloseNoStatus: true, ClosePolicy: false} {
		server, client := pair(t)
		sent := run(func() error {
			for _, s := range []string{"a", "b", "c"} {
				if err := client.Write(t.Context(), Text, []byte(s)); err != nil {
					return err
				}
			}
			return client.Close(reason, "")
		})
		var got string
		var last error
		for m, err := range server.Messages(t.Context()) {
			got, last = got+string(m.Data), err
			if got == "a" {
				break // and on again
			}
		}
		for m, err := range server.Messages(t.Context()) {
			got, last = got+string(m.Data), err
		}
		if got != "abc" || (last == nil) != peaceful {
			t.Errorf("closed with %d: %q, %v", reason, got, last)
		}
		if err := sent(); err != nil {
			t.Error(err)
		}
	}
}
