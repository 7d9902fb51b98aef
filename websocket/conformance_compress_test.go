package websocket

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"hocket.dev/wire"
)

// prose is text that resembles itself, as what is worth compressing does.
func prose(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	words := strings.Fields("the hocket is a melody shared between voices: während one singt, the other schweigt … 楽譜 {\"price\":64000.5,\"size\":0.25}")
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(' ')
	}
	return strings.ToValidUTF8(b.String()[:n], "")
}

// packer compresses as a tester does, with the standard library; keep takes the context
// over.
type packer struct {
	w    *flate.Writer
	out  bytes.Buffer
	keep bool
}

func newPacker(keep bool) *packer {
	p := &packer{keep: keep}
	p.w, _ = flate.NewWriter(&p.out, flate.DefaultCompression)
	return p
}

func (p *packer) pack(s string) string {
	p.out.Reset()
	if !p.keep {
		p.w.Reset(&p.out)
	}
	_, _ = io.WriteString(p.w, s)
	_ = p.w.Flush()
	return strings.TrimSuffix(p.out.String(), "\x00\x00\xff\xff")
}

// unpacker inflates what a subject sent, with the standard library.
type unpacker struct{ history []byte }

func (u *unpacker) unpack(t *testing.T, s string, keep bool) string {
	t.Helper()
	if !keep {
		u.history = nil
	}
	out, err := io.ReadAll(flate.NewReaderDict(strings.NewReader(s+"\x00\x00\xff\xff\x01\x00\x00\xff\xff"), u.history))
	if err != nil {
		t.Fatalf("RFC 7692 §7.2.2: %v", err)
	}
	u.history = append(u.history, out...)
	u.history = u.history[max(0, len(u.history)-32768):]
	return string(out)
}

// A corpus is what the messages of a case are cut from, one behind the other.
type corpus struct {
	name string
	op   byte
	data string
}

// corpora are of the kinds the suite uses: prose, a picture, a document that is compressed
// itself, JSON and HTML. The last two are sent as text, and are ASCII.
var corpora = func() []corpus {
	r := rand.New(rand.NewPCG(12, 13))
	picture, document := make([]byte, 256*kib), make([]byte, 256*kib)
	for i := range picture {
		picture[i] = byte(i%512/4 + i/2048 + r.IntN(5))
	}
	for i := range document {
		document[i] = byte(r.Uint32())
		if i%4096 < 300 {
			document[i] = "<< /Type /Page /Parent 3 0 R >> "[i%32]
		}
	}
	var json, html strings.Builder
	for json.Len() < 256*kib {
		fmt.Fprintf(&json, `{"id":%d,"name":"item %x","price":%d.%02d,"tags":["a","b"]},`, json.Len(), r.Uint32(), r.IntN(1000), r.IntN(100))
		fmt.Fprintf(&html, "<tr class=row><td>%d</td><td><a href=\"/item/%x\">more</a></td></tr>\n", html.Len(), r.Uint32())
	}
	return []corpus{
		{"prose", 2, prose(1, 256*kib)}, {"picture", 2, string(picture)}, {"document", 2, string(document)},
		{"JSON", 1, json.String()}, {"HTML", 1, html.String()},
	}
}()

// message is the i-th of n bytes.
func (c corpus) message(i, n int) rawFrame {
	from := i * n % (len(c.data) - n)
	return rawFrame{op: c.op, payload: c.data[from : from+n]}
}

// traffic is what goes over a connection with compression.
type traffic struct {
	corpus
	size, messages, fragment int  // fragment 0 is one frame
	sends, receives          bool // whether the tester, and the subject, may take the context over
}

// run has the subject echo the messages, each when the last has come back. Every fifth
// goes uncompressed, as it may (RFC 7692 §6).
func (w traffic) run(p *tester) {
	p.t.Helper()
	in, out := newPacker(w.sends), new(unpacker)
	plain, packed := 0, 0
	for i := range w.messages {
		msg := w.message(i, w.size)
		sent := fragmented(msg.op, msg.payload, w.fragment)
		if i%5 != 4 {
			sent = fragmented(msg.op, in.pack(msg.payload), w.fragment)
			sent[0].rsv = 4
		}
		if len(sent) > 1 {
			sent = append(these(sent[0], pingFrame("between")), sent[1:]...)
		}
		p.send(0, sent...)
		got := p.message()
		packed += len(got.payload)
		if got.rsv == 4 {
			got.payload = out.unpack(p.t, got.payload, w.receives)
		}
		plain += len(got.payload)
		if got.op != msg.op || got.payload != msg.payload {
			p.t.Fatalf("message %d came back as %v %s, want %v %s", i, wire.Opcode(got.op), brief(got.payload), wire.Opcode(msg.op), brief(msg.payload))
		}
	}
	if w.size >= DefaultCompressionThreshold && w.name == "JSON" && packed > plain*3/4 {
		p.t.Errorf("%d bytes came back as %d: nothing is compressed", plain, packed)
	}
	p.wantGoodbye()
}

// sizes are the suite's: of the messages, and of the fragments in which they are sent.
var sizes = [][2]int{
	{16, 0}, {64, 0}, {256, 0}, {kib, 0}, {4 * kib, 0}, {8 * kib, 0}, {16 * kib, 0}, {32 * kib, 0}, {64 * kib, 0}, {128 * kib, 0},
	{8 * kib, 256}, {16 * kib, 256}, {32 * kib, 256}, {64 * kib, 256},
	{128 * kib, 256}, {128 * kib, kib}, {128 * kib, 4 * kib}, {128 * kib, 32 * kib},
}

// compressedMessages is 12: every size of every corpus, or of one.
func compressedMessages(t *testing.T, s subject, sizes [][2]int, messages func(c corpus, size int) int) {
	s = s.compressing(Compression{Mode: CompressionOn}).begin(t)
	for _, c := range corpora {
		for _, size := range sizes {
			n := messages(c, size[0])
			if n == 0 {
				continue
			}
			t.Run(fmt.Sprintf("12 %s, messages of %d in fragments of %d", c.name, size[0], size[1]), func(t *testing.T) {
				p, said := start(t, s, noTakeover)
				if !strings.HasPrefix(said, noTakeover) {
					t.Fatalf("the subject said %q", said)
				}
				traffic{corpus: c, size: size[0], fragment: size[1], messages: n}.run(p)
			})
		}
	}
}

// RFC 7692 §6: messages of all kinds and sizes, some of them not compressed.
func TestConformance12Compression(t *testing.T) {
	for i, s := range subjects {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			n := i
			compressedMessages(t, s, sizes, func(c corpus, size int) int {
				n++
				switch {
				case !turn(n, len(subjects)):
					return 0
				case c.name == "JSON" && size < 32*kib:
					return 6
				case c.name == "JSON", size == kib, size == 16*kib:
					return 1
				}
				return 0
			})
		})
	}
}

const (
	pmd        = "permessage-deflate"
	noTakeover = pmd + "; server_no_context_takeover; client_no_context_takeover"
)

// A parameterSet is one of 13: what the suite offers to servers, and how it answers
// clients: it takes the first offer that fits.
type parameterSet struct {
	offer      string
	noTakeover bool // asked of the client
	bits       int  // asked of the client, 0 for none
}

// parameterSets are the suite's. Whether the small window is one of 8 or of 9 bits depends
// on its version; its offers mention what may be asked of it.
var parameterSets = func() []parameterSet {
	const open = "; client_no_context_takeover; client_max_window_bits"
	all := []parameterSet{{offer: pmd + open}, {offer: pmd + open + "; server_no_context_takeover", noTakeover: true}}
	for _, bits := range []int{8, 9, 15} {
		window := fmt.Sprintf("; server_max_window_bits=%d", bits)
		all = append(all,
			parameterSet{offer: pmd + open + window, bits: bits},
			parameterSet{offer: pmd + open + "; server_no_context_takeover" + window, noTakeover: true, bits: bits},
			parameterSet{offer: pmd + open + "; server_no_context_takeover" + window + ", " + pmd + open + "; server_no_context_takeover, " + pmd + open, noTakeover: true, bits: bits},
		)
	}
	return all
}()

// answer is the suite's answer to a client's offers, "" when it finds them lacking.
func (a parameterSet) answer(offers string) string {
	for offer := range strings.SplitSeq(offers, ",") {
		has := func(name string) bool { return strings.Contains(offer, name) }
		if a.noTakeover && !has("client_no_context_takeover") || a.bits > 0 && !has("client_max_window_bits") {
			continue
		}
		answer := pmd
		if has("server_no_context_takeover") {
			answer += "; server_no_context_takeover"
		}
		if a.noTakeover {
			answer += "; client_no_context_takeover"
		}
		if a.bits > 0 {
			answer += fmt.Sprintf("; client_max_window_bits=%d", a.bits)
		}
		return answer
	}
	return ""
}

// parameters is 13: a parameter set with a subject. Compression must come about.
func (a parameterSet) run(t *testing.T, s subject, sizes [][2]int, messages func(size int) int) {
	for _, size := range sizes {
		t.Run(fmt.Sprintf("messages of %d in fragments of %d", size[0], size[1]), func(t *testing.T) {
			var p *tester
			var agreed string
			if s.role == wire.Server {
				p, agreed = startServer(t, s, a.offer)
			} else {
				var offer string
				p, offer = startClient(t, s, func(offer string) string {
					agreed = a.answer(offer)
					return agreed
				})
				if agreed == "" {
					t.Fatalf("the suite finds nothing to accept in %q", offer)
				}
			}
			if !strings.HasPrefix(agreed, pmd) {
				t.Fatalf("agreed upon %q", agreed)
			}
			server, client := !strings.Contains(agreed, "server_no_context_takeover"), !strings.Contains(agreed, "client_no_context_takeover")
			w := traffic{corpus: corpora[3], size: size[0], fragment: size[1], messages: messages(size[0]), sends: client, receives: server}
			if s.role == wire.Client {
				w.sends, w.receives = server, client
			}
			w.run(p)
		})
	}
}

// eachParameterSet runs every parameter set with every subject and both modes.
func eachParameterSet(t *testing.T, sizes [][2]int, messages func(size int) int) {
	for i, s := range subjects {
		for m, mode := range []CompressionMode{CompressionOn, CompressionTakeover} {
			t.Run(fmt.Sprintf("%v, mode %d", s, mode), func(t *testing.T) {
				t.Parallel()
				s := s.compressing(Compression{Mode: mode}).begin(t)
				for n, a := range parameterSets {
					if !turn(n+2*i+m, 3) {
						continue
					}
					t.Run(strings.ReplaceAll(a.offer, pmd, "13"), func(t *testing.T) { a.run(t, s, sizes, messages) })
				}
			})
		}
	}
}

// RFC 7692 §5: whatever is offered or answered, both sides understand each other.
func TestConformance13ParameterSets(t *testing.T) {
	eachParameterSet(t, [][2]int{{64, 0}, {kib, 256}, {8 * kib, 0}}, func(size int) int { return min(6, 1+8*kib/size) })
}

// Beyond the suite's: a server is made each offer and gives the answer listed; a client
// offers what its mode says and is given each answer. RFC 7692 §7.1.1.1, §7.1.1.2, §7.1.2.
func TestConformance13Parameters(t *testing.T) {
	on, takeover := Compression{Mode: CompressionOn}, Compression{Mode: CompressionTakeover}
	offers := []struct {
		o             Compression
		offer, answer string
		sends         bool // the tester may take its context over
		receives      bool // the subject may
	}{
		{Compression{}, pmd, "", false, false},
		{on, "", "", false, false},
		{on, pmd, noTakeover, false, false},
		{on, pmd + "; client_max_window_bits", noTakeover, false, false},
		{on, pmd + "; server_max_window_bits=9", noTakeover + "; server_max_window_bits=9", false, false},
		{on, pmd + "; server_max_window_bits=8, " + pmd, noTakeover + "; server_max_window_bits=8", false, false},
		{on, pmd + "; server_max_window_bits=15; client_max_window_bits=15", noTakeover + "; server_max_window_bits=15; client_max_window_bits=15", false, false},
		{on, pmd + "; server_max_window_bits=16, " + pmd + "; x=1", "", false, false},
		{on, pmd + "; server_max_window_bits=7, " + pmd + "; client_no_context_takeover", noTakeover, false, false},
		{takeover, pmd, pmd, true, true},
		{takeover, pmd + "; server_no_context_takeover", pmd + "; server_no_context_takeover", true, false},
		{takeover, pmd + "; client_no_context_takeover", pmd + "; client_no_context_takeover", false, true},
		{takeover, noTakeover, noTakeover, false, false},
		{takeover, pmd + "; server_max_window_bits=9", pmd + "; server_max_window_bits=9", true, true},
		{takeover, pmd + "; server_no_context_takeover; client_max_window_bits=15; server_max_window_bits=10", pmd + "; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12", false, false},
	}
	for i, s := range servers {
		for n, tt := range offers {
			if !turn(n+i, len(servers)) {
				continue
			}
			s := s.compressing(tt.o)
			t.Run(fmt.Sprintf("13 %v offered %s", s, tt.offer), func(t *testing.T) {
				p, answer := start(t, s, tt.offer)
				if answer != tt.answer {
					t.Fatalf("answered %q, want %q", answer, tt.answer)
				}
				if answer == "" {
					p.send(0, textFrame("plain"), rawFrame{op: 1, rsv: 4, payload: "\xf2\x48\xcd\xc9\xc9\x07\x00"})
					if got := p.listen(); got.code != 1002 {
						t.Errorf("RSV1 without agreement: closed with %d", got.code)
					}
					return
				}
				traffic{corpus: corpora[3], size: 3000, messages: 10, sends: tt.sends, receives: tt.receives}.run(p)
			})
		}
	}
	answers := []struct {
		o               Compression
		answer          string
		sends, receives bool
	}{
		{on, "", false, false},
		{on, noTakeover, false, false},
		{on, pmd + "; server_no_context_takeover", false, false}, // it has announced not to take over
		{on, noTakeover + "; client_max_window_bits=8", false, false},
		{on, noTakeover + "; server_max_window_bits=9; client_max_window_bits=9", false, false},
		{takeover, pmd, true, true},
		{takeover, pmd + "; server_no_context_takeover", false, true},
		{takeover, pmd + "; client_no_context_takeover", true, false},
		{takeover, noTakeover + "; client_max_window_bits=10", false, false},
		{takeover, pmd + "; client_max_window_bits=10", true, true},
	}
	for i, s := range clients {
		for n, tt := range answers {
			if !turn(n+i, len(clients)) {
				continue
			}
			s := s.compressing(tt.o)
			t.Run(fmt.Sprintf("13 %v answered %s", s, tt.answer), func(t *testing.T) {
				p, _ := start(t, s, tt.answer)
				if tt.answer == "" {
					p.send(0, textFrame("plain"), rawFrame{op: 1, rsv: 4, payload: "\xf2\x48\xcd\xc9\xc9\x07\x00"})
					if got := p.listen(); got.code != 1002 {
						t.Errorf("RSV1 without agreement: closed with %d", got.code)
					}
					return
				}
				traffic{corpus: corpora[3], size: 3000, messages: 10, sends: tt.sends, receives: tt.receives}.run(p)
			})
		}
	}
}

// RFC 6455 §8.1, RFC 7692 §6.2: bad text is found where it stands, while the rest of the message,
// frame or even block has not come and never will; compressed in whatever way, cut anywhere.
func TestConformance6FailsFastCompressed(t *testing.T) {
	alone := func(s string) string { return string(wire.AppendDeflated(nil, []byte(s), 15, 9)) }
	for _, s := range subjects {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			s := s.compressing(Compression{Mode: CompressionOn}).begin(t)
			bad := kosme + "\xf4\x90"
			for _, tt := range []struct {
				name string
				send []rawFrame
				chop int
				cut  int  // bytes at the end that never come
				amid bool // a block
			}{
				{name: "in the first fragment, flushed", send: these(rawFrame{op: 1, rsv: 4, more: true, payload: newPacker(false).pack(bad) + "\x00\x00\xff\xff"})},
				{name: "in the second fragment, flushed", send: these(rawFrame{op: 1, rsv: 4, more: true, payload: newPacker(false).pack(bad)[:4]}, goOn(newPacker(false).pack(bad)[4:]+"\x00\x00\xff\xff"))},
				{name: "in the middle of a block", send: these(rawFrame{op: 1, rsv: 4, more: true, payload: alone(bad + prose(1, 3000))[:200]}), amid: true},
				{name: "in a frame whose rest never comes", send: these(rawFrame{op: 1, rsv: 4, payload: alone(bad + prose(1, 3000))}), cut: 300, amid: true},
				{name: "byte by byte", send: these(rawFrame{op: 1, rsv: 4, payload: alone(bad + prose(1, 3000))}), cut: 300, chop: 1, amid: true},
				{name: "behind what is forgotten", send: these(rawFrame{op: 1, rsv: 4, more: true, payload: newPacker(false).pack(strings.Repeat(prose(1, 50_000), 8)+bad) + "\x00\x00\xff\xff"})},
			} {
				if tt.amid && s.how == stream {
					continue // it finds it at the end of the block, or of 32 KiB: docs/conformance.md says why
				}
				t.Run(tt.name, func(t *testing.T) {
					p, _ := start(t, s, noTakeover)
					var b []byte
					for _, f := range tt.send {
						b = append(b, p.encode(f)...)
					}
					b = b[:len(b)-tt.cut]
					for n := tt.chop; len(b) > 0; b = b[n:] {
						if n == 0 {
							n = len(b)
						}
						sendBytes(t, p.nc, b[:n]...)
					}
					for {
						f, err := p.receive()
						if err != nil {
							t.Fatal(err)
						}
						if f.op == 8 {
							if !strings.HasPrefix(f.payload, code(1007, "")) {
								t.Errorf("closed with %q", f.payload)
							}
							return
						}
					}
				})
			}
		})
	}
}
