package websocket

import (
	"fmt"
	"strings"
	"testing"

	"hocket.dev/internal/strictflate"
)

// wantWindow has the subject echo messages that are longer than the window, each twice, and
// asserts that what comes back keeps it. history is whether the context is taken over.
func wantWindow(p *tester, bits int, history bool) {
	p.t.Helper()
	var before []byte
	furthest := 0
	for i := range 6 {
		msg := corpora[3].message(i/2, 70_000)
		p.send(0, msg)
		got := p.message()
		if got.rsv != 4 {
			p.t.Fatalf("message %d is not compressed", i)
		}
		if !history {
			before = nil
		}
		plain, reach, err := strictflate.Inflate([]byte(got.payload+"\x00\x00\xff\xff"), 1<<bits, before)
		if err != nil || string(plain) != msg.payload {
			p.t.Fatalf("message %d, window of %d bits: %v; %s", i, bits, err, brief(string(plain)))
		}
		before = append(before, plain...)
		furthest = max(furthest, reach)
	}
	if furthest <= 1<<(bits-1) {
		p.t.Errorf("no reference goes further than %d bytes: the window of %d bits is not used", furthest, bits)
	}
	p.wantGoodbye()
}

// RFC 7692 §7.1.2.1, §7.1.2.2: a server answers the window it was given, or the client's
// smaller one, asks the same of a client that can be asked, and keeps it.
func TestWindowBitsOfServers(t *testing.T) {
	const clientBits = "; client_max_window_bits"
	window := func(server, client int) string {
		s := fmt.Sprintf("; server_max_window_bits=%d", server)
		if client > 0 {
			s += fmt.Sprintf("%s=%d", clientBits, client)
		}
		return s
	}
	for n, tt := range []struct {
		bits          int
		offer, answer string // behind the name
		keeps         int    // the window of what it sends
	}{
		{10, "", window(10, 0), 10},
		{10, clientBits, window(10, 10), 10},
		{10, window(9, 15), window(9, 10), 9},
		{10, window(12, 9), window(10, 9), 10},
		{9, clientBits, window(9, 9), 9},
		{15, clientBits, window(15, 15), 15},
	} {
		for i, s := range servers {
			for m, mode := range []CompressionMode{CompressionOn, CompressionTakeover} {
				if !turn(n+2*i+m, 5) {
					continue
				}
				t.Run(fmt.Sprintf("%v, mode %d, %d bits, offered %q", s, mode, tt.bits, tt.offer), func(t *testing.T) {
					want := noTakeover + tt.answer
					if mode == CompressionTakeover {
						want = pmd + tt.answer
					}
					p, answer := start(t, s.compressing(Compression{Mode: mode, WindowBits: tt.bits}), pmd+tt.offer)
					if answer != want {
						t.Fatalf("answered %q, want %q", answer, want)
					}
					wantWindow(p, tt.keeps, mode == CompressionTakeover)
				})
			}
		}
	}
}

// RFC 7692 §7.1.2.1, §7.1.2.2: a client offers the window it was given, and keeps it, or the
// smaller one that the server answers.
func TestWindowBitsOfClients(t *testing.T) {
	for _, s := range clients {
		for _, tt := range []struct {
			mode        CompressionMode
			bits        int
			offer       string
			answer      string
			keeps       int
			takesItOver bool
		}{
			{CompressionOn, 10, noTakeover + "; server_max_window_bits=10; client_max_window_bits=10", noTakeover + "; server_max_window_bits=10", 10, false},
			{CompressionOn, 10, noTakeover + "; server_max_window_bits=10; client_max_window_bits=10", noTakeover + "; server_max_window_bits=9; client_max_window_bits=9", 9, false},
			{
				CompressionTakeover, 11, pmd + "; server_max_window_bits=11; client_max_window_bits=11, " +
					pmd + "; client_no_context_takeover; server_max_window_bits=11; client_max_window_bits=11",
				pmd + "; server_max_window_bits=11", 11, true,
			},
			{
				CompressionTakeover, 15, pmd + "; server_max_window_bits=15; client_max_window_bits=15, " +
					pmd + "; client_no_context_takeover; server_max_window_bits=15; client_max_window_bits=15",
				pmd + "; server_max_window_bits=15; client_max_window_bits=10", 10, true,
			},
		} {
			t.Run(fmt.Sprintf("%v, mode %d, answered %s", s, tt.mode, tt.answer), func(t *testing.T) {
				p, offer := startClient(t, s.compressing(Compression{Mode: tt.mode, WindowBits: tt.bits}), func(string) string { return tt.answer })
				if offer != tt.offer {
					t.Fatalf("offered %q, want %q", offer, tt.offer)
				}
				wantWindow(p, tt.keeps, tt.takesItOver)
			})
		}
	}
}

// RFC 7692 §7.1.2: what is no window is refused by Dial, as by NewServer, and Accept takes the
// nearest that is one.
func TestWindowBitsAreChecked(t *testing.T) {
	for _, bits := range []int{-1, 1, 8, 16} {
		_, _, err := Dial(t.Context(), "ws://x", &DialOptions{Compression: Compression{Mode: CompressionOn, WindowBits: bits}})
		if err == nil || !strings.Contains(err.Error(), "want 9 to 15") {
			t.Errorf("a window of %d bits: %v", bits, err)
		}
	}
	for bits, want := range map[int]int{-1: 9, 8: 9, 9: 9, 15: 15, 16: 15, 0: 15} {
		server, client := compressedPair(t, Compression{Mode: CompressionOn, WindowBits: bits})
		if got := server.deflate.send.WindowBits; got != want {
			t.Errorf("with %d a server sends with a window of %d bits, want %d", bits, got, want)
		}
		if got := client.deflate.send.WindowBits; got != want {
			t.Errorf("with %d a client sends with a window of %d bits, want %d", bits, got, want)
		}
	}
}
