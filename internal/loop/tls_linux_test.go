package loop

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"hocket.dev/internal/testproc"
)

// attachTLS gives o the server's side of a connection under TLS and returns the client's.
func (b *bench) attachTLS(t *testing.T, o *owner, config *tls.Config) *tls.Conn {
	t.Helper()
	server, client := tlsPairWith(t, config)
	b.take(t, o, server)
	return client
}

func (b *bench) take(t *testing.T, o *owner, server *tls.Conn) {
	t.Helper()
	o.closed = make(chan error, 1)
	if err := b.Attach(&o.Conn, server, o); err != nil {
		t.Fatal(err)
	}
	b.do(func() {})
}

func TestIdleTLSHasNoGoroutine(t *testing.T) {
	b := newBench(t, drivers[0])
	owners := make([]owner, 100)
	b.attachTLS(t, &owners[0], &tls.Config{})
	before := runtime.NumGoroutine()
	for i := range owners[1:] {
		b.attachTLS(t, &owners[1+i], &tls.Config{})
	}
	testproc.Until(t, "as many goroutines as with one connection", func() bool { return runtime.NumGoroutine() <= before })
}

// What the tls.Conn has read on its own, before the loop had it, no event reports.
func TestRecordsReadBeforeAttach(t *testing.T) {
	b := newBench(t, drivers[0])
	server, client := tlsPairWith(t, &tls.Config{})
	writeAtOnce(t, client, "one", "two", "three")
	first := make([]byte, 100)
	if n, err := server.Read(first); string(first[:n]) != "one" {
		t.Fatalf("%q, %v", first[:n], err)
	}
	o, got := newPausable(t)
	b.take(t, o, server)
	for _, want := range []string{"two", "three"} {
		if s := <-got; s != want {
			t.Errorf("read %q, want %q", s, want)
		}
	}
}

// A handler that pauses leaves records in the tls.Conn, and Resume goes on with them.
func TestRecordsReadBeforePause(t *testing.T) {
	b := newBench(t, drivers[0])
	o, got := newPausable(t)
	read := o.read
	o.read = func(p []byte) {
		o.Pause()
		o.state &^= paused // newPausable would complain
		read(p)
		o.state |= paused
	}
	client := b.attachTLS(t, o, &tls.Config{})
	pieces := []string{"one", "two", "three", "four"}
	writeAtOnce(t, client, pieces...)
	for _, want := range pieces {
		if s := <-got; s != want {
			t.Errorf("read %q, want %q", s, want)
		}
		b.do(func() {})
		select {
		case s := <-got:
			t.Errorf("%q was read while paused", s)
		default:
		}
		b.wantCalm(t)
		b.do(func() { o.Pause(); o.Resume(); o.Pause(); o.Resume() })
	}
	client.Close()
	if err := <-o.closed; err != io.EOF {
		t.Error(err)
	}
}

// While a peer does not read, what is encrypted for it stays small, the loop serves others, and in the end it gets everything.
func TestStalledTLSPeer(t *testing.T) {
	b := newBench(t, drivers[0])
	text := []byte(strings.Repeat("0123456789abcdef", 1<<20))
	o := &owner{}
	rest := text
	o.flush = func() {
		for !o.state.has(full) && len(rest) > 0 {
			n, err := o.Write(rest)
			if err != nil {
				t.Error(err)
				return
			}
			rest = rest[n:]
		}
	}
	client, other := b.attachTLS(t, o, &tls.Config{}), b.attachEcho(t)
	b.do(o.Wake)
	b.do(func() {
		if sealed := len((*o.link).(*tunnel).sealed); !o.state.has(full) || sealed == 0 || sealed > sealBytes+1<<10 {
			t.Errorf("full: %v, with %d encrypted bytes", o.state.has(full), sealed)
		}
	})
	ping(t, other)
	b.wantCalm(t)
	got := make([]byte, len(text))
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, text) {
		t.Errorf("the text has not arrived: %v", err)
	}
	b.do(func() {
		if (*o.link).(*tunnel).sealed != nil {
			t.Error("an idle connection holds a buffer")
		}
	})
}

// What CloseWrite and Close follow goes out first, and then the farewell of TLS.
func TestFarewellComesLast(t *testing.T) {
	for name, end := range map[string]func(*owner){"CloseWrite": func(o *owner) { o.CloseWrite() }, "Close": func(o *owner) { o.Close(nil) }} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, drivers[0])
			o := &owner{}
			client := b.attachTLS(t, o, &tls.Config{})
			total := 0
			b.do(func() {
				for !o.state.has(full) {
					n, _ := o.Write(b.Scratch())
					total += n
				}
				end(o)
			})
			// crypto/tls answers io.EOF to an end without a farewell, too, so that is looked for below it.
			n, err := io.Copy(io.Discard, client)
			if int(n) != total || err != nil {
				t.Errorf("%d bytes, %v; want %d", n, err, total)
			}
			if under := client.NetConn().(*gathering); under.last != farewellBytes {
				t.Errorf("the last record has %d bytes", under.last)
			}
			client.Close()
			<-o.closed
		})
	}
}

// farewellBytes is what an alert takes: header, level, description, type, tag.
const farewellBytes = 5 + 2 + 1 + 16

// A foreign tls.Conn, and one whose handshake is still to come, is served by goroutines.
func TestOtherTLSIsServed(t *testing.T) {
	b := newBench(t, drivers[0])
	config := &tls.Config{Certificates: []tls.Certificate{selfSigned()}}
	for _, below := range []func(net.Conn) net.Conn{
		func(nc net.Conn) net.Conn { return nc },
		func(nc net.Conn) net.Conn { return NewCarrier(nc) },
	} {
		near, far := tcpPair(t)
		e := newEcho()
		b.take(t, &e.owner, tls.Server(below(near), config))
		b.do(func() {
			if _, ok := (*e.link).(*stream); !ok {
				t.Errorf("the link is %T", *e.link)
			}
		})
		client := tls.Client(far, &tls.Config{InsecureSkipVerify: true})
		ping(t, client)
		client.Close()
		<-e.closed
	}
}
