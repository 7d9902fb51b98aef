package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"

	"hocket.dev/internal/loop/listen"
	"hocket.dev/internal/strictflate"
	"hocket.dev/wire"
)

// offer is the header in which a client offers compression.
const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

// compressing has the server compress messages of from bytes and more.
func compressing(from int) func(*settings) {
	return func(set *settings) { set.transport.Compression, set.transport.CompressFrom = true, from }
}

// offering is a handshake with a header more.
func offering(header string) string {
	return strings.Replace(request, "\r\n\r\n", "\r\n"+header+"\r\n", 1)
}

// listenOwn serves the transport by a listener that reads handshakes without net/http.
func (s *server) listenOwn(t *testing.T) string {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listen.New(tcp, listen.Config{Loops: s.loops, Upgrade: s.Upgrade})
	web := &http.Server{Handler: s}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	t.Cleanup(func() {
		web.Close()
		<-served
	})
	return tcp.Addr().String()
}

func TestCompressionIsAgreedUponToTheLetter(t *testing.T) {
	s := start(t, false, compressing(1))
	for way, address := range map[string]string{"net/http": s.listen(t), "own listener": s.listenOwn(t)} {
		for offered, want := range map[string]string{
			"":                   "",
			"permessage-deflate": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
			"permessage-deflate; client_max_window_bits":                                  "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
			"permessage-deflate; client_max_window_bits=10":                               "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=10",
			"permessage-deflate; server_max_window_bits=11":                               "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11",
			"permessage-deflate; server_max_window_bits=8; server_no_context_takeover":    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8",
			"permessage-deflate; server_max_window_bits=16":                               "",
			"permessage-deflate; server_max_window_bits":                                  "",
			"permessage-deflate; quality=9":                                               "",
			"permessage-deflate; quality=9, permessage-deflate; server_max_window_bits=9": "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9",
			"permessage-bzip2": "",
		} {
			header := ""
			if offered != "" {
				header = "Sec-WebSocket-Extensions: " + offered + "\r\n"
			}
			answer := ask(t, address, offering(header))
			if got := answer.Header.Get("Sec-Websocket-Extensions"); answer.StatusCode != 101 || got != want {
				t.Errorf("%s: %q is answered by %d with %q, want %q", way, offered, answer.StatusCode, got, want)
			}
		}
	}
}

func TestOffMeansNotNegotiated(t *testing.T) {
	s := start(t, false, func(*settings) {})
	for way, address := range map[string]string{"net/http": s.listen(t), "own listener": s.listenOwn(t)} {
		p := dialWith(t, address, offering(offer))
		if got := p.answer.Get("Sec-Websocket-Extensions"); got != "" {
			t.Errorf("%s: answered %q", way, got)
		}
		p.write([]byte(packed(`{"type":"ping"}`)))
		p.wantClose(1002, "reserved bit set without an extension (§5.2)")
	}
}

// TestAnEntryIsCompressedOnceForAll counts what the server compresses: once for each window, whoever subscribes on
// whichever loop, and never for those who did not ask for it.
func TestAnEntryIsCompressedOnceForAll(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, compressing(1000))
		address := s.listen(t)
		var all []*peer
		for i := range 24 {
			header := []string{offer, "", strings.Replace(offer, "client", "server", 1)}[i%3]
			header = strings.Replace(header, "server_max_window_bits", "server_max_window_bits=12", 1)
			p := dialWith(t, address, offering(header))
			p.want(wire.Text, "connected")
			p.send(`{"type":"subscribe","id":1,"channel":"book"}`)
			p.want(wire.Text, `"id":1`)
			all = append(all, p)
		}
		book := `"` + strings.Repeat("bid 64000 ask 64001 ", 200) + `"`
		s.publish(t, "book", book)
		var first [3][]byte
		for i, p := range all {
			msg := p.want(wire.Text, `"payload":`+book)
			if p.compressed == (i%3 == 1) {
				t.Errorf("the message of client %d is compressed: %v", i, p.compressed)
			}
			if first[i%3] == nil {
				first[i%3] = p.raw
			} else if !bytes.Equal(first[i%3], p.raw) {
				t.Errorf("client %d gets other bytes", i)
			}
			if plain := first[1]; plain != nil && msg != string(plain) {
				t.Errorf("client %d gets another message", i)
			}
		}
		if n := s.Deflated.Messages.Load(); n != 2 {
			t.Errorf("%d messages were compressed, want one for each of two windows", n)
		}
		if plain, small := s.Deflated.BytesPlain.Load(), s.Deflated.BytesPacked.Load(); plain != 2*uint64(len(first[1])) ||
			small != uint64(len(first[0])+len(first[2])) {
			t.Errorf("counted %d bytes before and %d after", plain, small)
		}
	})
}

func TestNoMessageLeavesTheWindowPromised(t *testing.T) {
	s := start(t, false, compressing(1))
	address := s.listen(t)
	words := comingAgain(40_000)
	for bits := 8; bits <= 15; bits++ {
		p := dialWith(t, address, offering(fmt.Sprintf("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=%d\r\n", bits)))
		p.want(wire.Text, "connected")
		channel := fmt.Sprintf("words:%d", bits)
		p.send(fmt.Sprintf(`{"type":"publish","channel":%q,"payload":%q}`, channel, words))
		p.send(fmt.Sprintf(`{"type":"subscribe","id":1,"channel":%q,"payload":{"from":{"last":1}}}`, channel))
		p.send(fmt.Sprintf(`{"type":"history","id":2,"channel":%q}`, channel))
		p.want(wire.Text, `"id":1`)
		for range 2 { // of the window for this one client, and as a reply
			p.want(wire.Text, words)
			_, furthest, err := strictflate.Inflate(append(p.raw, "\x00\x00\xff\xff"...), 1<<bits, nil)
			if err != nil || !p.compressed || furthest < 1<<bits/8 {
				t.Errorf("%d bits: compressed %v, %d bytes back, %v", bits, p.compressed, furthest, err)
			}
		}
		s.publish(t, channel, `"`+words+`"`) // live, for all
		p.want(wire.Text, words)
		if _, _, err := strictflate.Inflate(append(p.raw, "\x00\x00\xff\xff"...), 1<<bits, nil); err != nil || !p.compressed {
			t.Errorf("%d bits, live: compressed %v, %v", bits, p.compressed, err)
		}
	}
}

// comingAgain is text in which words come again at distances of all sizes.
func comingAgain(size int) string {
	var b strings.Builder
	var words []string
	random := rand.New(rand.NewPCG(1, 2))
	for b.Len() < size {
		back := 1 << random.IntN(13)
		if len(words) < back {
			words = append(words, fmt.Sprintf("%08x%08x", random.Uint32(), random.Uint32()))
		} else {
			words = append(words, words[len(words)-back+random.IntN(back/2+1)])
		}
		b.WriteString(words[len(words)-1])
	}
	return b.String()
}

func TestSmallMessagesStayAsTheyAre(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, compressing(400))
		p := dialWith(t, s.listen(t), offering(offer))
		p.want(wire.Text, "connected")
		p.send(`{"type":"subscribe","id":1,"channel":"a"}`)
		p.want(wire.Text, `"id":1`)
		for i := range 40 { // large and small ones in one log
			size := []int{10, 4000, 0, 200, 1000}[i%5]
			payload := fmt.Sprintf(`"%d:%s"`, i, strings.Repeat("x", size))
			s.publish(t, "a", payload)
			msg := p.want(wire.Text, `"payload":`+payload)
			if p.compressed != (len(msg) >= 400) {
				t.Errorf("compressed %v with %d bytes", p.compressed, len(msg))
			}
		}
		p.send(`{"type":"history","id":2,"channel":"a","payload":{"limit":3}}`)
		p.want(wire.Text, `"id":2`)
		if !p.compressed {
			t.Error("a large reply is not compressed")
		}
	})
}

func TestTheThresholdIsTheFirstSizeThatIsCompressed(t *testing.T) {
	d := newFramings(600, new(Compressed))[15]
	for size, compressed := range map[int]bool{0: false, 599: false, 600: true, 100_000: true} {
		b := d.End(append(d.Begin([]byte("before")), strings.Repeat("m", size)...), len("before"))
		h, _, err := wire.ParseHeader(b[len("before"):])
		if err != nil || (h.Rsv == wire.RSV1) != compressed || string(b[:len("before")]) != "before" {
			t.Errorf("%d bytes have the header %+v, %v", size, h, err)
		}
	}
}

func TestFewWindowsServeAll(t *testing.T) {
	all := newFramings(1, new(Compressed))
	different := map[any]bool{}
	for promised := 8; promised <= 15; promised++ {
		d := all[promised].(*deflated)
		different[d] = true
		if d.bits > promised {
			t.Errorf("where %d bits were promised, %d are used", promised, d.bits)
		}
	}
	if len(different) != len(windows) || all[15].(*deflated).bits != 15 {
		t.Errorf("%d framings", len(different))
	}
}

func TestWhatWouldGrowIsSentAsItIs(t *testing.T) {
	d := newFramings(1, new(Compressed))[15]
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rand.IntN(256))
	}
	plain, b := text{}.End(append(text{}.Begin(nil), noise...), 0), d.End(append(d.Begin(nil), noise...), 0)
	if !bytes.Equal(plain, b) {
		t.Errorf("%d bytes are framed as %d", len(noise), len(b))
	}
}

func TestMixedSubscribersGetTheSame(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, compressing(1))
		address := s.listen(t)
		a, b, c := dialWith(t, address, offering(offer)), dialWith(t, address, request), dialWith(t, address, offering(offer))
		for _, p := range []*peer{a, b} {
			p.want(wire.Text, "connected")
			p.send(`{"type":"subscribe","id":1,"channel":"a","payload":{"presence":"watch"}}`)
			p.want(wire.Text, `"id":1`)
		}
		c.want(wire.Text, "connected")
		c.send(`{"type":"subscribe","id":1,"channel":"a","payload":{"presence":true}}`)
		c.want(wire.Text, `"id":1`)
		for _, p := range []*peer{a, b} { // between two logs there is no order
			p.want(wire.Text, `"type":"join"`)
		}
		for i := range 50 {
			s.publish(t, "a", fmt.Sprintf(`"entry %d %s"`, i, strings.Repeat("and so on ", i)))
		}
		for last := false; !last; {
			_, x, err := a.next()
			_, y, err2 := b.next()
			if err := errors.Join(err, err2); err != nil || x != y {
				t.Fatalf("one gets %q, the other %q, %v", x, y, err)
			}
			if b.compressed {
				t.Error("compressed for a client that did not ask for it")
			}
			last = strings.Contains(x, "entry 49")
		}
	})
}

// TestCompressingAllocatesNothing holds for what is shared, and for replies; compressors and inflaters are reused. Under the
// race detector pools forget on purpose.
func TestCompressingAllocatesNothing(t *testing.T) {
	d := newFramings(512, new(Compressed))[15]
	msg := []byte(strings.Repeat("bid 64000 ask 64001 ", 60))
	var dst []byte
	if n := testing.AllocsPerRun(200, func() { dst = d.End(append(d.Begin(dst[:0]), msg...), 0) }); n >= 1 && !raceEnabled {
		t.Errorf("%v allocations for a message that goes out", n)
	}
	var f inflation
	small := wire.AppendDeflated(nil, msg, 15, 0)
	if n := testing.AllocsPerRun(200, func() { _, _, _ = f.inflate(wire.Text, small, 64<<10) }); n >= 1 && !raceEnabled {
		t.Errorf("%v allocations for a message that comes in", n)
	}
}
