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

// fragmented is a message in fragments of n bytes.
func fragmented(op byte, payload string, n int) []rawFrame {
	var all []rawFrame
	for first := true; first || payload != ""; first = false {
		piece := payload[:min(n, len(payload))]
		payload = payload[len(piece):]
		f := rawFrame{op: op, payload: piece, more: payload != ""}
		if !first {
			f.op = 0
		}
		all = append(all, f)
	}
	return all
}

func TestConformance9Limits(t *testing.T) {
	const k, m = 1 << 10, 1 << 20
	text := strings.Repeat("BAsd7&jh23€", 2*m) // cut below, between characters
	cut := func(n int) string { return strings.ToValidUTF8(text[:n], "") }
	var cases []exchange
	add := func(name string, chop int, op byte, payload string, fragment int) {
		kind := wire.Opcode(op).String()
		cases = append(cases, exchange{name: name, send: fragmented(op, payload, fragment), chop: chop, want: []string{kind + " " + brief(payload)}})
	}
	for _, n := range []int{64 * k, 256 * k, 1 * m} {
		add(fmt.Sprintf("9.1 text of %d KiB", n/k), 0, 1, cut(n), n)
		add(fmt.Sprintf("9.2 binary of %d KiB", n/k), 0, 2, cut(n), n)
	}
	// The largest cost a second each under the race detector: text for one echo, binary for
	// the other.
	add("9.1.6 text of 16 MiB", 0, 1, cut(16*m), 16*m)
	cases[len(cases)-1].skip = func(s subject) bool { return s.how != whole }
	add("9.2.6 binary of 16 MiB", 0, 2, cut(16*m), 16*m)
	cases[len(cases)-1].skip = func(s subject) bool { return s.how != stream }
	add("9.3.1 text of 4 MiB in fragments of 64", 0, 1, cut(4*m), 64)
	cases[len(cases)-1].skip = func(s subject) bool { return s.how != whole }
	add("9.3 text of 1 MiB in fragments of 64 KiB", 0, 1, cut(m), 64*k)
	add("9.4 binary of 4 MiB in fragments of 1 KiB", 0, 2, cut(4*m), k)
	add("9.5 text of 128 KiB in chops of 64", 64, 1, cut(128*k), m)
	add("9.6 binary of 256 KiB in chops of 2 KiB", 2*k, 2, cut(256*k), m)
	for _, n := range []int{0, 16, 256, 4 * k} {
		for _, op := range []byte{1, 2} {
			e := exchange{name: fmt.Sprintf("9.7 and 9.8 hundred of %d, opcode %d", n, op)}
			for range 100 {
				e.send = append(e.send, rawFrame{op: op, payload: cut(n)})
				e.want = append(e.want, wire.Opcode(op).String()+" "+brief(cut(n)))
			}
			cases = append(cases, e)
		}
	}
	all(t, cases)
}

func TestConformance10AutoFragment(t *testing.T) {
	p := strings.Repeat("*", 65536)
	all(t, []exchange{{name: "10.1.1 64 KiB in fragments of 1300", send: fragmented(1, p, 1300), want: []string{"text " + brief(p)}}})
}

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

// compressedEcho sends messages of n bytes, compressed unless plain, in fragments, and
// expects them back; takeover in what the tester sends and in what it receives.
func compressedEcho(t *testing.T, p *tester, n, messages, fragment int, sends, receives bool) {
	t.Helper()
	in, out := newPacker(sends), new(unpacker)
	var frames []rawFrame
	var want []string
	for i := range messages {
		payload := prose(uint64(i%3), n)
		want = append(want, payload)
		if i%5 == 4 { // RFC 7692 §6: messages that are not compressed may come between
			frames = append(frames, fragmented(1, payload, fragment)...)
			continue
		}
		packed := fragmented(1, in.pack(payload), fragment)
		packed[0].rsv = 4
		frames = append(frames, packed[0], pingFrame("between"))
		frames = append(frames, packed[1:]...)
	}
	p.send(0, append(frames, closeFrame(code(1000, "")))...)
	sent, received, compressed := 0, 0, false
	var message []byte
	for i := 0; i < len(want); {
		f, err := p.receive()
		if err != nil || f.op == 8 {
			t.Fatalf("message %d: %v, close %q", i, err, f.payload)
		}
		if f.op > 8 {
			if f.rsv != 0 {
				t.Fatal("RFC 7692 §6.1: RSV1 on a control frame")
			}
			continue
		}
		if f.op != 0 {
			compressed, message = f.rsv == 4, message[:0]
		} else if f.rsv != 0 {
			t.Fatal("RFC 7692 §6.1: RSV1 on a continuation")
		}
		message = append(message, f.payload...)
		received += len(f.payload)
		if f.more {
			continue
		}
		got := string(message)
		if compressed {
			got = out.unpack(t, got, receives)
		}
		if got != want[i] {
			t.Fatalf("message %d came back as %s, want %s", i, brief(got), brief(want[i]))
		}
		sent += len(want[i])
		i++
	}
	if n >= DefaultCompressionThreshold && received > sent*3/4 {
		t.Errorf("%d bytes came back as %d: nothing is compressed", sent, received)
	}
	if got := p.listen(); got.code != 1000 {
		t.Errorf("closed with %d", got.code)
	}
}

// 12: messages of all sizes, in one frame and in fragments.
func TestConformance12Compression(t *testing.T) {
	for _, s := range subjects {
		s := s.compressing(Compression{Mode: CompressionOn})
		t.Run(s.String(), func(t *testing.T) {
			for _, n := range []int{0, 16, 256, 1024, 8192, 131072} {
				for _, fragment := range []int{1 << 20, 128} {
					t.Run(fmt.Sprintf("12 messages of %d in fragments of %d", n, fragment), func(t *testing.T) {
						p, said := start(t, s, noTakeover)
						if !strings.HasPrefix(said, noTakeover) {
							t.Fatalf("the subject said %q", said)
						}
						compressedEcho(t, p, n, 6, fragment, false, false)
					})
				}
			}
		})
	}
}

const noTakeover = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// 13: all parameter sets. A server is made each offer and gives the answer listed; a client
// offers what its mode says and is given each answer.
func TestConformance13Parameters(t *testing.T) {
	const pmd = "permessage-deflate"
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
	for _, s := range servers {
		for _, tt := range offers {
			if s.hasLoop() && tt.o == takeover {
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
				compressedEcho(t, p, 3000, 20, 1<<20, tt.sends, tt.receives)
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
	for _, s := range clients {
		for _, tt := range answers {
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
				compressedEcho(t, p, 3000, 20, 1<<20, tt.sends, tt.receives)
			})
		}
	}
}
