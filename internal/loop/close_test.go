package loop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

func TestCloseInsideReadIsFinal(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		reason := errors.New("enough")
		o := &owner{}
		o.read = func([]byte) {
			o.Wake()
			o.SetAlarm(1)
			o.Close(reason)
			o.Close(io.ErrUnexpectedEOF)
			o.Wake()
			o.Pause()
			o.Resume()
			o.SetAlarm(1)
			o.CloseWrite()
			if n, err := o.Write([]byte("x")); n != 0 || err != net.ErrClosed {
				t.Errorf("Write after Close: %d, %v", n, err)
			}
			o.read = func([]byte) { t.Error("Read after Close") }
			if len(o.closed) != 0 {
				t.Error("Closed was called from inside Close")
			}
		}
		o.flush = func() { t.Error("Flush after Close") }
		o.alarm = func() { t.Error("Alarm after Close") }
		client := b.attach(t, o)
		mustWrite(t, client, "x")
		if err := <-o.closed; err != reason {
			t.Errorf("closed with %v, want the first reason", err)
		}
		wantEOF(t, client)
		b.advance(3 * sweepEvery)
		b.do(func() {})
		if n := b.Stats().Conns; n != 0 {
			t.Errorf("Stats count %d connections, want 0", n)
		}
	})
}

func TestCloseDeliversWhatWasWritten(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		client := b.attach(t, o)
		text := bytes.Repeat([]byte("z"), 10_000)
		b.do(func() {
			if n, err := o.Write(text); n != len(text) || err != nil {
				t.Errorf("Write: %d, %v", n, err)
			}
			o.Close(nil)
		})
		got, err := io.ReadAll(client)
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("read %d bytes, %v; want %d", len(got), err, len(text))
		}
	})
}

func TestFullConnectionIsClosedAndDrains(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		o.flush = func() { t.Error("Flush after Close") }
		client, other := b.attach(t, o), b.attachEcho(t)
		total := 0
		b.do(func() {
			for !o.state.has(full) {
				n, _ := o.Write(b.Scratch())
				total += n
			}
			o.Close(nil)
		})
		if n, err := io.Copy(io.Discard, client); int(n) != total || err != nil {
			t.Errorf("read %d bytes, %v; want %d", n, err, total)
		}
		ping(t, other)
	})
}

// TestClosedStreamReadsOn has the peer send while what was written for it still waits to be read.
func TestClosedStreamReadsOn(t *testing.T) {
	for _, d := range drivers {
		if d.tcp {
			continue // there the bytes wait in the kernel
		}
		t.Run(d.name, func(t *testing.T) {
			b := newBench(t, d)
			o := &owner{}
			o.read = func(p []byte) {
				o.Write([]byte("last"))
				o.Close(nil)
				if string(p) != "x" {
					t.Errorf("the buffer holds %q after Close, before Read has returned", p)
				}
			}
			client := b.attach(t, o)
			mustWrite(t, client, "x")
			mustWrite(t, client, "y")
			mustWrite(t, client, "z")
			wantRead(t, client, "last")
			wantEOF(t, client)
		})
	}
}

func TestConnectionClosedByAnotherIsNotRead(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		var owners [2]owner
		reads := 0
		for i := range owners {
			owners[i].read = func([]byte) {
				reads++
				owners[1-i].Close(nil)
			}
		}
		clients := [2]net.Conn{b.attach(t, &owners[0]), b.attach(t, &owners[1])}
		b.do(func() {
			for _, c := range clients {
				mustWrite(t, c, "x") // both are ready when this turn ends
			}
		})
		select {
		case <-owners[0].closed:
		case <-owners[1].closed:
		}
		b.do(func() {
			if reads != 1 {
				t.Errorf("%d reads, want only the first", reads)
			}
		})
	})
}

func TestPeerReset(t *testing.T) {
	eachTCPDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		client := b.attach(t, o)
		reset(t, client)
		if err := <-o.closed; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("closed with %v, want %v", err, syscall.ECONNRESET)
		}
	})
}

func TestWriteToBrokenConnectionCloses(t *testing.T) {
	eachTCPDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		client := b.attach(t, o)
		b.do(func() {
			reset(t, client)
			o.flush = func() {
				if _, err := o.Write([]byte("x")); err == nil {
					o.Wake() // the portable driver learns it later
				}
			}
			o.Wake()
		})
		// Where one goroutine reads and another writes, the system tells one of them the error and the other, perhaps
		// first, that the connection has ended.
		err := <-o.closed
		if err == nil || err == io.EOF && !b.cfg.Portable {
			t.Errorf("closed with %v, want the error of the socket", err)
		}
	})
}

func reset(t *testing.T, client net.Conn) {
	t.Helper()
	if under, ok := client.(*tls.Conn); ok {
		client = under.NetConn() // without TLS's farewell
	}
	if err := client.(interface{ SetLinger(int) error }).SetLinger(0); err != nil {
		t.Error(err)
	}
	client.Close()
}

func TestHalfCloseDeliversBytesFirst(t *testing.T) {
	eachTCPDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		o.read = func(p []byte) {
			if _, err := o.Write(p); err != nil {
				t.Errorf("Write: %v", err)
			}
		}
		client := b.attach(t, o)
		b.do(func() { // both arrive before the loop looks
			mustWrite(t, client, "tail")
			client.(interface{ CloseWrite() error }).CloseWrite()
		})
		wantRead(t, client, "tail")
		wantEOF(t, client)
		if err := <-o.closed; err != io.EOF {
			t.Errorf("closed with %v, want %v", err, io.EOF)
		}
	})
}

func TestCloseWriteEndsOneSide(t *testing.T) {
	eachTCPDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		got := make(chan string, 1)
		o.read = func(p []byte) { got <- string(p) }
		client := b.attach(t, o)
		b.do(func() {
			o.Write([]byte("bye"))
			o.CloseWrite()
		})
		wantRead(t, client, "bye")
		wantEOF(t, client)
		mustWrite(t, client, "bye too")
		if s := <-got; s != "bye too" {
			t.Errorf("read %q after CloseWrite", s)
		}
		b.do(func() {
			if n, err := o.Write([]byte("more")); n != 0 || err == nil {
				t.Errorf("Write after CloseWrite: %d, %v", n, err)
			}
		})
		if err := <-o.closed; err == nil || err == io.EOF {
			t.Errorf("closed with %v, want the error of Write", err)
		}
	})
}
