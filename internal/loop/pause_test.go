package loop

import (
	"io"
	"net"
	"testing"
)

// A pausable owner sends what it reads to got, and fails the test when it is read while paused.
func newPausable(t *testing.T) (o *owner, got chan string) {
	o, got = &owner{}, make(chan string, 16)
	o.read = func(p []byte) {
		if o.state.has(paused) {
			t.Errorf("read %q while paused", p)
		}
		got <- string(p)
	}
	return o, got
}

func TestPausedConnectionIsNotRead(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o, got := newPausable(t)
		client, other := b.attach(t, o), b.attachEcho(t)
		b.do(o.Pause)
		mustWrite(t, client, "one")
		ping(t, other)
		b.wantCalm(t)
		b.do(o.Resume)
		if s := <-got; s != "one" {
			t.Errorf("read %q after Resume", s)
		}
		b.do(func() { o.Pause(); o.Resume() })
		mustWrite(t, client, "two")
		if s := <-got; s != "two" {
			t.Errorf("read %q", s)
		}
	})
}

func TestPausedConnectionNoticesTheEnd(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o, _ := newPausable(t)
		client := b.attach(t, o)
		b.do(o.Pause)
		client.Close()
		if err := <-o.closed; err != io.EOF {
			t.Errorf("closed with %v, want %v", err, io.EOF)
		}
	})
}

func TestPausedConnectionNoticesAReset(t *testing.T) {
	eachTCPDriver(t, func(t *testing.T, b *bench) {
		o, _ := newPausable(t)
		client := b.attach(t, o)
		b.do(o.Pause)
		reset(t, client)
		if err := <-o.closed; err == nil || err == io.EOF {
			t.Errorf("closed with %v, want the error of the socket", err)
		}
	})
}

func TestPausedConnectionKeepsTheBytesBeforeTheEnd(t *testing.T) {
	eachTCPDriver(t, func(t *testing.T, b *bench) {
		o, got := newPausable(t)
		client, other := b.attach(t, o), b.attachEcho(t)
		b.do(o.Pause)
		mustWrite(t, client, "last words")
		client.Close()
		ping(t, other)
		b.wantCalm(t)
		select {
		case err := <-o.closed:
			t.Fatalf("closed with %v before the bytes were read", err)
		default:
		}
		b.do(o.Resume)
		if s := <-got; s != "last words" {
			t.Errorf("read %q after Resume", s)
		}
		if err := <-o.closed; err != io.EOF {
			t.Errorf("closed with %v, want %v", err, io.EOF)
		}
	})
}

func TestPausedAgainNoticesTheEnd(t *testing.T) {
	eachTCPDriver(t, func(t *testing.T, b *bench) {
		o, got := newPausable(t)
		read := o.read
		o.read = func(p []byte) {
			read(p)
			o.Pause()
		}
		client, other := b.attach(t, o), b.attachEcho(t)
		b.do(o.Pause)
		mustWrite(t, client, "last words")
		client.Close()
		ping(t, other)
		b.wantCalm(t)
		b.do(o.Resume)
		if s := <-got; s != "last words" {
			t.Errorf("read %q after Resume", s)
		}
		if err := <-o.closed; err != io.EOF {
			t.Errorf("closed with %v, want %v", err, io.EOF)
		}
	})
}

// A lastRead returns its bytes together with the end, as an io.Reader may.
type lastRead struct{ net.Conn }

func (c lastRead) Read(b []byte) (int, error) { return copy(b, "all at once"), io.EOF }

func TestBytesAndEndInOneRead(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		o, got := newPausable(t)
		other := b.attachEcho(t)
		server, _ := b.pair(t)
		o.closed = make(chan error, 1)
		b.do(func() {
			if err := b.Attach(&o.Conn, lastRead{server}, o); err != nil {
				t.Error(err)
			}
			o.Pause()
		})
		ping(t, other)
		b.do(o.Resume)
		if s := <-got; s != "all at once" {
			t.Errorf("read %q after Resume", s)
		}
		if err := <-o.closed; err != io.EOF {
			t.Errorf("closed with %v, want %v", err, io.EOF)
		}
	})
}
