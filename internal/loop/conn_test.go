package loop

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"unsafe"
)

func TestConnIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 48 {
		t.Errorf("a Conn takes %d bytes, more than 48", size)
	}
}

func TestEcho(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		e := newEcho()
		client := b.attach(t, &e.owner)
		sent := make([]byte, 1<<20)
		rand.NewChaCha8([32]byte{1}).Read(sent)
		go client.Write(sent)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, sent) {
			t.Error("the echo differs from what was sent")
		}
		client.Close()
		if err := <-e.closed; err != io.EOF {
			t.Errorf("closed with %v, want %v", err, io.EOF)
		}
	})
}

func TestReadBufferMayBeModified(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		o.read = func(p []byte) {
			for i := range p {
				p[i] ^= 0x20
			}
			o.Write(p)
			clear(p)
		}
		client := b.attach(t, o)
		mustWrite(t, client, "hocket")
		wantRead(t, client, "HOCKET")
	})
}

func TestFullConnectionIsFlushedWhenItDrains(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		flushes := 0
		drained := make(chan struct{})
		o.flush = func() {
			if flushes++; flushes == 1 {
				if n, err := o.Write([]byte("end")); n != 3 || err != nil {
					t.Errorf("Write in Flush took %d, %v", n, err)
				}
				close(drained)
			}
		}
		client := b.attach(t, o)
		piece := bytes.Repeat([]byte("0123456789abcdef"), 4096)
		total := 0
		b.do(func() {
			for {
				n, err := o.Write(piece)
				total += n
				if err != nil {
					t.Errorf("Write: %v", err)
				}
				if n < len(piece) {
					break
				}
			}
			if n, err := o.Write(piece); n != 0 || err != nil {
				t.Errorf("Write to a full connection took %d, %v", n, err)
			}
			o.Wake()
		})
		got := make([]byte, total)
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if want := piece[i%len(piece)]; got[i] != want {
				t.Fatalf("byte %d of %d is %q, want %q", i, total, got[i], want)
			}
		}
		<-drained
		wantRead(t, client, "end")
		b.do(func() {
			if flushes != 1 {
				t.Errorf("%d flushes, want 1", flushes)
			}
		})
	})
}

func TestFullConnectionTakesNothingBeforeFlush(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		if b.seals {
			return // while the test holds the loop up, nothing makes room: see TestStalledTLSPeer
		}
		o := &owner{}
		client := b.attach(t, o)
		b.do(func() {
			total := 0
			for !o.state.has(full) {
				n, _ := o.Write(b.Scratch())
				total += n
			}
			if _, err := io.CopyN(io.Discard, client, int64(total)); err != nil {
				t.Error(err)
			}
			if n, err := o.Write([]byte("out of order")); n != 0 || err != nil {
				t.Errorf("Write before Flush took %d, %v", n, err)
			}
		})
	})
}

func TestWakeFlushesOncePerTurn(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		flushes, posted := 0, false
		o.flush = func() {
			flushes++
			if !posted {
				t.Error("Flush came before the end of the turn")
			}
			if flushes == 1 {
				o.Wake() // means the next turn
			}
		}
		b.attach(t, o)
		var turns, between uint64
		b.do(func() {
			o.Wake()
			o.Wake()
			turns = b.Stats().Turns
			b.Post(func() { between = b.Stats().Turns })
			posted = true
		})
		b.do(func() {})
		if flushes != 2 {
			t.Errorf("%d flushes, want 1 for two Wakes and 1 for the Wake in Flush", flushes)
		}
		if between != turns+1 {
			t.Errorf("what was posted by posted work ran %d turns later, want 1", between-turns)
		}
	})
}

func TestPanicCostsOneConnection(t *testing.T) {
	fail := func() { panic(io.ErrNoProgress) }
	for name, provoke := range map[string]func(b *bench, o *owner, client net.Conn){
		"read": func(_ *bench, o *owner, client net.Conn) {
			o.read = func([]byte) { fail() }
			client.Write([]byte("x"))
		},
		"flush": func(_ *bench, o *owner, _ net.Conn) {
			o.flush = fail
			o.Wake()
		},
		"alarm": func(b *bench, o *owner, _ net.Conn) {
			o.alarm = fail
			o.SetAlarm(1)
			b.advance(sweepEvery)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, b *bench) {
				o := &owner{}
				client, other := b.attach(t, o), b.attachEcho(t)
				b.do(func() { provoke(b, o, client) })
				err := <-o.closed
				var p *PanicError
				if !errors.As(err, &p) || !errors.Is(err, io.ErrNoProgress) || !bytes.Contains(p.Stack, []byte("conn_test.go")) {
					t.Errorf("closed with %v, want a PanicError with value and stack", err)
				}
				ping(t, other)
			})
		})
	}
}

func TestAttachTwiceIsRefused(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o := &owner{}
		b.attach(t, o)
		server, client := b.pair(t)
		if err := b.Attach(&o.Conn, server, o); err == nil {
			t.Error("a Conn in use was attached again")
		}
		wantEOF(t, client)
	})
}
