package websocket

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"hocket.dev/internal/strictflate"
	"hocket.dev/wire"
)

// RFC 7692 §7.2.1, §7.2.3.2: what a socket sends refers to earlier messages of its connection, and
// stays right whatever lies between: messages of one's own, prepared ones that are compressed
// once for all and by themselves, and those that are not compressed, which the receiver does
// not remember.
func TestTakeoverOnLoops(t *testing.T) {
	const rounds = 6
	books := make([]*PreparedMessage, rounds)
	for i := range books {
		var err error
		if books[i], err = NewPreparedMessage(Text, []byte(corpora[3].message(i, kib).payload)); err != nil {
			t.Fatal(err)
		}
	}
	small, err := NewPreparedMessage(Text, []byte("not compressed: "+prose(2, 100)))
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 1000) // becomes no smaller the first time
	rand.NewChaCha8([32]byte{}).Read(noise)
	// Any message has the server say all of it, twice, so that the second time nearly everything has been said before.
	h := &program{message: func(s *Socket, _ MessageType, p []byte) {
		for i, book := range books {
			for _, err := range []error{
				s.WritePrepared(book), s.WritePrepared(small), s.Write(Text, book.payload), s.Write(Binary, fmt.Appendf(nil, "%d %s", i, p)),
				s.WritePrepared(book), s.WritePrepared(book), s.Write(Binary, noise),
			} {
				if err != nil {
					t.Error(err)
				}
			}
		}
	}}
	opts := ServerOptions{AcceptOptions: AcceptOptions{Compression: Compression{Mode: CompressionTakeover, Threshold: 200}}}
	eachWay(t, h, opts, func(t *testing.T, url string) {
		var clients []*Conn
		for i := range 3 { // their windows differ, and one takes nothing over
			mode := []CompressionMode{CompressionTakeover, CompressionTakeover, CompressionOn}[i]
			clients = append(clients, dial(t, url, &DialOptions{Compression: Compression{Mode: mode, Threshold: 1, WindowBits: []int{0, 9, 0}[i]}}))
		}
		for range 2 {
			said := prose(3, 300)
			for _, c := range clients {
				c.say(t, Binary, said)
			}
			for _, c := range clients {
				for i, book := range books {
					text := string(book.payload)
					c.want(t, Text, text)
					c.want(t, Text, string(small.payload))
					c.want(t, Text, text)
					c.want(t, Binary, fmt.Sprintf("%d %s", i, said))
					c.want(t, Text, text)
					c.want(t, Text, text)
					c.want(t, Binary, string(noise))
				}
			}
		}
	})
}

// RFC 7692 §7.1.2.1, §7.2.3.2: behind prepared messages, too, no reference goes further back than
// the window agreed upon, and the receiver that kept it finds all of them.
func TestTakeoverOnLoopsKeepsTheWindow(t *testing.T) {
	m, err := NewPreparedMessage(Text, []byte(prose(7, 3000)))
	if err != nil {
		t.Fatal(err)
	}
	h := &program{message: func(s *Socket, typ MessageType, p []byte) {
		_, _ = s.WritePrepared(m), s.Write(typ, p)
	}}
	s := subject{how: onLoop}.compressing(Compression{Mode: CompressionTakeover, WindowBits: 10})
	s.url = newServer(t, h, ServerOptions{AcceptOptions: AcceptOptions{Compression: s.compression}}).listen(t)
	p, _ := start(t, s, pmd)
	var before []byte
	furthest, shortest := 0, 3000
	for i := range 8 {
		want := m.payload[2000+10*i:]
		p.send(0, textFrame(string(want)))
		for _, want := range [][]byte{m.payload, want} {
			got := p.message()
			plain, reach, err := strictflate.Inflate([]byte(got.payload+"\x00\x00\xff\xff"), 1<<10, before)
			if err != nil || string(plain) != string(want) {
				t.Fatalf("message %d: %v; %s", i, err, brief(string(plain)))
			}
			before = append(before, plain...)
			furthest, shortest = max(furthest, reach), min(shortest, len(got.payload))
		}
	}
	if furthest <= 1<<9 || shortest > 100 {
		t.Errorf("nothing refers further back than %d bytes, and what stands in the window takes %d: the prepared message is not remembered", furthest, shortest)
	}
	p.wantGoodbye()
}

// What an idle socket holds: nothing without context takeover, two windows with it, and no
// buffer of a message that came in parts or that the network did not take at once.
func TestMemoryOfTakeoverOnLoops(t *testing.T) {
	for _, mode := range []CompressionMode{CompressionOn, CompressionTakeover} {
		synctest.Test(t, func(t *testing.T) {
			o := Compression{Mode: mode, Threshold: 1}
			agreed := agreement(t, o)
			s := newServer(t, &program{message: echoing().message}, ServerOptions{Portable: true, AcceptOptions: AcceptOptions{Compression: o}})
			nc := s.attachAgreed(t, wire.Response{Deflate: agreed})
			c := newConn(nc, wire.Client, "", nil)
			c.compress(agreed, o)
			text := prose(1, 10_000)
			for range 2 {
				wrote := run(func() error {
					w, err := c.NextWriter(t.Context(), Text)
					if err != nil {
						return err
					}
					_, _ = w.Write([]byte(text[:5000]))
					_ = w.Flush()
					_, _ = w.Write([]byte(text[5000:]))
					return w.Close() // with what went before
				})
				c.want(t, Text, text)
				if err := wrote(); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			s.do(t, func() {
				so := s.all()[0]
				switch {
				case mode == CompressionOn && so.transit != nil:
					t.Error("an idle socket without context takeover holds a transit")
				case mode == CompressionTakeover && (so.takeover().sent == nil || so.takeover().received == nil):
					t.Error("nothing is remembered")
				case mode == CompressionTakeover && (cap(so.transit.msg) > 0 || cap(so.transit.out) > 0):
					t.Errorf("buffers of %d and %d bytes are left behind", cap(so.transit.msg), cap(so.transit.out))
				}
			})
			_ = c.CloseNow()
			synctest.Wait()
			s.do(t, func() {
				for _, spare := range s.shards[0].idle {
					if spare.takeover != nil {
						t.Error("a socket that has ended leaves its windows to the next one")
					}
				}
			})
			_ = s.Close()
		})
	}
}

// With context takeover, too, an echo of one message and one to many allocate nothing.
func TestTakeoverOnLoopsAllocatesNothing(t *testing.T) {
	if raceEnabled {
		return // it makes pools forget; scripts/test runs this without it
	}
	o := Compression{Mode: CompressionTakeover, Threshold: 1}
	text := strings.Repeat("order book ", 100)
	m, err := NewPreparedMessage(Text, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h := &program{message: func(s *Socket, typ MessageType, p []byte) { _, _ = s.Write(typ, p), s.WritePrepared(m) }}
	s := newServer(t, h, ServerOptions{AcceptOptions: AcceptOptions{Compression: o}})
	c := dial(t, s.listen(t), &DialOptions{Compression: o})
	payload := wire.AppendDeflated(nil, []byte(text), 9, 0)
	in := wire.AppendMaskedFrame(nil, wire.Text, [4]byte{}, payload)
	in[0] |= 0x40
	for range 20 { // the windows fill
		c.say(t, Text, text)
		c.want(t, Text, text)
		c.want(t, Text, text)
	}
	head := make([]byte, 4)
	receive := func() {
		if _, err := io.ReadFull(c.nc, head[:2]); err != nil {
			t.Fatal(err)
		}
		length := int(head[1])
		if length == 126 {
			if _, err := io.ReadFull(c.nc, head[2:]); err != nil {
				t.Fatal(err)
			}
			length = int(head[2])<<8 | int(head[3])
		}
		if _, err := io.ReadFull(c.nc, c.buf[:length]); err != nil {
			t.Fatal(err)
		}
	}
	allocs := allocations(200, func() {
		if _, err := c.nc.Write(in); err != nil {
			t.Fatal(err)
		}
		receive()
		receive()
	})
	if allocs >= 1 {
		t.Errorf("%v allocations for each message echoed and sent", allocs)
	}
}
