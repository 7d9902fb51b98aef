package wire

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestRules holds one case or more for every rule that RFC 6455 gives a receiver. Each
// is decoded at once and byte by byte.
func TestRules(t *testing.T) {
	const ok = CloseCode(0)
	tests := []struct {
		section, rule string
		in            [][]byte
		want          string
		code          CloseCode
	}{
		{"5.1", "a server refuses an unmasked frame", [][]byte{AppendFrame(nil, Text, []byte("a"))}, "", CloseProtocolError},
		{"5.2", "RSV1 without extension", [][]byte{frame(Server, Header{Fin: true, Op: Text, Rsv: 0x40}, "a")}, "", CloseProtocolError},
		{"5.2", "RSV2", [][]byte{frame(Server, Header{Fin: true, Op: Text, Rsv: 0x20}, "a")}, "", CloseProtocolError},
		{"5.2", "RSV3", [][]byte{frame(Server, Header{Fin: true, Op: Ping, Rsv: 0x10}, "a")}, "", CloseProtocolError},
		{"5.2", "reserved data opcode 3", [][]byte{fin(3, "")}, "", CloseProtocolError},
		{"5.2", "reserved data opcode 7", [][]byte{fin(7, "")}, "", CloseProtocolError},
		{"5.2", "reserved control opcode 11", [][]byte{fin(11, "")}, "", CloseProtocolError},
		{"5.2", "reserved control opcode 15", [][]byte{fin(15, "")}, "", CloseProtocolError},
		{"5.2", "what came before the broken frame stands", [][]byte{fin(Text, "a"), fin(3, "")}, `text "a"`, CloseProtocolError},
		{"5.2", "top bit of the 64-bit length", [][]byte{{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}}, "", CloseProtocolError},
		{"5.2", "125 in 16 bits", [][]byte{fin(Text, "a"), {0x82, 0xfe, 0, 125}}, `text "a"`, CloseProtocolError},
		{"5.2", "0 in 16 bits, of a continuation", [][]byte{part(Text, "a"), {0x80, 0xfe, 0, 0}}, "", CloseProtocolError},
		{"5.2", "125 in 64 bits", [][]byte{{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 125}}, "", CloseProtocolError},
		{"5.2", "65535 in 64 bits", [][]byte{{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff}}, "", CloseProtocolError},
		{"5.2", "an empty message", [][]byte{fin(Text, ""), fin(Binary, "")}, `text ""; binary ""`, ok},
		{"5.2", "16-bit length", [][]byte{fin(Binary, strings.Repeat("x", 126))}, `binary "` + strings.Repeat("x", 126) + `"`, ok},
		{"5.2", "the longest 16-bit length", [][]byte{fin(Binary, strings.Repeat("x", 65535))}, `binary "` + strings.Repeat("x", 65535) + `"`, ok},
		{"5.2", "64-bit length", [][]byte{fin(Binary, strings.Repeat("x", 65536))}, `binary "` + strings.Repeat("x", 65536) + `"`, ok},
		{"5.4", "fragments are joined", [][]byte{part(Text, "a"), part(Continuation, "b"), fin(Continuation, "c")}, `text "abc"`, ok},
		{"5.4", "empty fragments", [][]byte{part(Text, ""), part(Continuation, ""), fin(Continuation, "")}, `text ""`, ok},
		{"5.4", "an empty last fragment", [][]byte{part(Binary, "a"), fin(Continuation, "")}, `binary "a"`, ok},
		{"5.4", "control frames between fragments", [][]byte{part(Text, "a"), fin(Ping, "p"), part(Continuation, "b"), fin(Pong, ""), fin(Continuation, "c")}, `ping "p"; pong ""; text "abc"`, ok},
		{"5.4", "close between fragments", [][]byte{part(Text, "a"), fin(Close, "\x03\xe8")}, `close 1000 ""`, ok},
		{"5.4", "continuation without a message", [][]byte{fin(Continuation, "a")}, "", CloseProtocolError},
		{"5.4", "continuation after a finished message", [][]byte{part(Text, "a"), fin(Continuation, "b"), fin(Continuation, "c")}, `text "ab"`, CloseProtocolError},
		{"5.4", "text inside a message", [][]byte{part(Text, "a"), fin(Text, "b")}, "", CloseProtocolError},
		{"5.4", "binary inside a message", [][]byte{part(Text, "a"), part(Binary, "b")}, "", CloseProtocolError},
		{"5.5", "fragmented ping", [][]byte{part(Ping, "a")}, "", CloseProtocolError},
		{"5.5", "fragmented close", [][]byte{part(Close, "")}, "", CloseProtocolError},
		{"5.5", "a control frame of 125 bytes", [][]byte{fin(Ping, strings.Repeat("p", 125))}, `ping "` + strings.Repeat("p", 125) + `"`, ok},
		{"5.5", "a control frame of 126 bytes", [][]byte{fin(Ping, strings.Repeat("p", 126))}, "", CloseProtocolError},
		{"5.5", "a control frame with a 64-bit length", [][]byte{fin(Pong, strings.Repeat("p", 65536))}, "", CloseProtocolError},
		{"5.5.1", "close without a payload", [][]byte{fin(Close, "")}, `close 1005 ""`, ok},
		{"5.5.1", "close with one byte", [][]byte{fin(Close, "\x03")}, "", CloseProtocolError},
		{"5.5.1", "close with code and reason", [][]byte{fin(Close, "\x03\xe9bye")}, `close 1001 "bye"`, ok},
		{"5.5.1", "close reason is UTF-8", [][]byte{fin(Close, "\x03\xe8\xff")}, "", CloseInvalidPayload},
		{"5.5.1", "close reason ends inside a character", [][]byte{fin(Close, "\x03\xe8\xe2\x82")}, "", CloseInvalidPayload},
		{"5.5.2", "ping with and without payload", [][]byte{fin(Ping, ""), fin(Ping, "x")}, `ping ""; ping "x"`, ok},
		{"5.5.3", "unasked pong", [][]byte{fin(Pong, "x")}, `pong "x"`, ok},
		{"5.6", "binary may hold anything", [][]byte{fin(Binary, "\xff\x00\xc0")}, `binary "\xff\x00\xc0"`, ok},
		{"8.1", "text is UTF-8", [][]byte{fin(Text, "κόσμε 𐍈")}, `text "κόσμε 𐍈"`, ok},
		{"8.1", "invalid text", [][]byte{fin(Text, "a\xffb")}, "", CloseInvalidPayload},
		{"8.1", "text ends inside a character", [][]byte{fin(Text, "a\xe2\x82")}, "", CloseInvalidPayload},
		{"8.1", "a character over two fragments", [][]byte{part(Text, "a\xe2"), fin(Ping, ""), fin(Continuation, "\x82\xac")}, `ping ""; text "a€"`, ok},
		{"8.1", "a message that ends inside a character, empty last fragment", [][]byte{part(Text, "\xe2\x82"), fin(Continuation, "")}, "", CloseInvalidPayload},
		{"8.1", "surrogates are not UTF-8", [][]byte{fin(Text, "\xed\xa0\x80")}, "", CloseInvalidPayload},
		{"8.1", "each message begins anew", [][]byte{fin(Text, "é"), fin(Text, "é")}, `text "é"; text "é"`, ok},
	}
	for _, tt := range tests {
		t.Run("§"+tt.section+" "+tt.rule, func(t *testing.T) {
			b := slices.Concat(tt.in...)
			wantOutcome(t, decodeAll(Server, nil, b), tt.want, tt.code)
			wantOutcome(t, decodeBytewise(Server, nil, b), tt.want, tt.code)
		})
	}
}

func wantOutcome(t *testing.T, r *recorder, want string, code CloseCode) {
	t.Helper()
	if got := r.String(); got != want {
		t.Errorf("events: %s, want %s", got, want)
	}
	var broken *Error
	errors.As(r.err, &broken)
	switch {
	case code == 0 && r.err != nil:
		t.Errorf("error %v, want none", r.err)
	case code != 0 && (broken == nil || broken.Code != code):
		t.Errorf("error %v, want close code %d", r.err, code)
	}
}

// §5.1: a client closes when a frame is masked.
func TestClientRefusesMaskedFrames(t *testing.T) {
	wantOutcome(t, decodeAll(Client, nil, fin(Text, "a")), "", CloseProtocolError)
	wantOutcome(t, decodeAll(Client, nil, AppendFrame(nil, Text, []byte("a"))), `text "a"`, 0)
}

// §5.7 shows frames as bytes.
func TestExamplesOfTheRFC(t *testing.T) {
	tests := []struct {
		name string
		role Role
		in   string
		want string
	}{
		{"unmasked text", Client, "\x81\x05Hello", `text "Hello"`},
		{"masked text", Server, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", `text "Hello"`},
		{"fragmented text", Client, "\x01\x03Hel\x80\x02lo", `text "Hello"`},
		{"ping", Client, "\x89\x05Hello", `ping "Hello"`},
		{"masked pong", Server, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", `pong "Hello"`},
		{"256 bytes", Client, "\x82\x7e\x01\x00" + strings.Repeat("a", 256), `binary "` + strings.Repeat("a", 256) + `"`},
		{"64 KiB", Client, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + strings.Repeat("a", 65536), `binary "` + strings.Repeat("a", 65536) + `"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantOutcome(t, decodeAll(tt.role, nil, []byte(tt.in)), tt.want, 0)
		})
	}
}

// §7.4: which codes may stand in a close frame.
func TestCloseCodes(t *testing.T) {
	valid := func(c int) bool {
		switch c {
		case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014:
			return true
		}
		return c >= 3000 && c < 5000
	}
	for c := range math.MaxUint16 + 1 {
		r := decodeAll(Server, nil, fin(Close, string([]byte{byte(c >> 8), byte(c)})))
		if got := r.err == nil; got != valid(c) {
			t.Errorf("close code %d accepted: %v, want %v", c, got, valid(c))
		}
		if got := CloseCode(c).Valid(); got != valid(c) {
			t.Errorf("CloseCode(%d).Valid() = %v", c, got)
		}
	}
}

// §5.5.1: nothing is read behind a close frame, not even a broken frame.
func TestNothingFollowsClose(t *testing.T) {
	d := NewDecoder(Server, nil)
	b := append(fin(Close, "\x03\xe8"), 0xff, 0xff)
	ev, n, err := d.Next(b)
	if ev.Kind != KindClose || err != nil {
		t.Fatalf("got %v, %v", ev, err)
	}
	for range 2 {
		if _, m, err := d.Next(b[n:]); err != ErrClosed || m != 0 {
			t.Errorf("behind the close: consumed %d, error %v, want ErrClosed", m, err)
		}
	}
}

func TestErrorIsFinal(t *testing.T) {
	d := NewDecoder(Server, nil)
	_, _, first := d.Next(fin(3, ""))
	ev, n, again := d.Next(fin(Text, "a"))
	if first == nil || again != first || n != 0 || ev.Kind != KindNone {
		t.Errorf("after %v: event %v, %d bytes, error %v", first, ev, n, again)
	}
}

// A header that is wrong in its first two bytes fails there: the rest may never come.
func TestBrokenHeaderFailsAtOnce(t *testing.T) {
	for _, start := range []string{"\x89\xfe", "\xc1\x80", "\x81\x05", "\x80\x80", "\x09\x80"} {
		d := NewDecoder(Server, nil)
		if _, _, err := d.Next([]byte(start)); err == nil {
			t.Errorf("% x is not refused before the rest of the header", start)
		}
	}
}

// §8.1, and the trap most libraries fall into: invalid text is found in the chunk
// where it stands, not at the end of the frame or message.
func TestInvalidTextFailsWhereItStands(t *testing.T) {
	whole := part(Text, "ok \xe2\x82\xac \xe2\x28 and much more")
	bad := bytes.IndexByte([]byte("ok \xe2\x82\xac \xe2\x28"), 0x28) + 6 // behind the header
	d := NewDecoder(Server, nil)
	if _, n, err := d.Next(whole[:bad]); err != nil || n != bad {
		t.Fatalf("before the bad byte: %d, %v", n, err)
	}
	if _, _, err := d.Next(whole[bad : bad+1]); !errors.Is(err, errText) {
		t.Errorf("at the bad byte: %v, want %v", err, errText)
	}
}

// §10.4: limits hold from the header on, so an oversized payload is never waited for.
func TestMessageSizeLimit(t *testing.T) {
	limits := &Limits{MessageBytes: 10}
	tests := []struct {
		name string
		in   [][]byte
		want string
		code CloseCode
	}{
		{"at the limit", [][]byte{fin(Binary, "0123456789")}, `binary "0123456789"`, 0},
		{"over it, payload not there", [][]byte{fin(Binary, "0123456789a")[:6]}, "", CloseTooBig},
		{"fragments at the limit", [][]byte{part(Binary, "01234"), fin(Continuation, "56789")}, `binary "0123456789"`, 0},
		{"fragments over it, payload not there", [][]byte{part(Binary, "01234"), part(Continuation, "56789a")[:6]}, "", CloseTooBig},
		{"control frames do not count", [][]byte{part(Binary, "01234"), fin(Ping, "0123456789abc"), fin(Continuation, "56789")}, `ping "0123456789abc"; binary "0123456789"`, 0},
		{"each message counts anew", [][]byte{fin(Binary, "0123456789"), fin(Binary, "0123456789")}, `binary "0123456789"; binary "0123456789"`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantOutcome(t, decodeAll(Server, limits, slices.Concat(tt.in...)), tt.want, tt.code)
		})
	}
}

func TestSumOfLengthsDoesNotOverflow(t *testing.T) {
	d := NewDecoder(Client, nil)
	_, _, err := d.Next(AppendHeader(nil, Header{Op: Binary, Length: math.MaxInt64}))
	if err != nil {
		t.Fatalf("first header: %v", err)
	}
	d.left, d.inFrame = 0, false // as if all that had come
	if _, _, err := d.Next(AppendHeader(nil, Header{Op: Continuation, Length: 1})); !errors.Is(err, errMessageSize) {
		t.Errorf("second header: %v, want %v", err, errMessageSize)
	}
}

func TestFragmentLimit(t *testing.T) {
	limits := &Limits{Fragments: 3}
	three := slices.Concat(part(Text, ""), part(Continuation, ""), fin(Ping, ""), fin(Continuation, "a"))
	wantOutcome(t, decodeAll(Server, limits, slices.Concat(three, three)), `ping ""; text "a"; ping ""; text "a"`, 0)
	four := slices.Concat(part(Text, ""), part(Continuation, ""), part(Continuation, ""), part(Continuation, ""))
	wantOutcome(t, decodeAll(Server, limits, four), "", CloseTooBig)
}

// Without a limit, 4 MiB in 65,536 fragments of 64 bytes is a message like any other.
func TestManyFragmentsPass(t *testing.T) {
	piece := strings.Repeat("x", 64)
	in := part(Binary, piece)
	for range 65534 {
		in = append(in, part(Continuation, piece)...)
	}
	in = append(in, fin(Continuation, piece)...)

	d := NewDecoder(Server, nil)
	var whole Assembler
	for len(in) > 0 {
		ev, n, err := d.Next(in)
		if err != nil {
			t.Fatal(err)
		}
		in = in[n:]
		if msg, done := whole.Add(ev); done {
			if len(msg) != 4<<20 || len(in) != 0 {
				t.Fatalf("message of %d bytes, %d left", len(msg), len(in))
			}
			return
		}
	}
	t.Fatal("the message never ended")
}

func TestIdle(t *testing.T) {
	ping, text := fin(Ping, "x"), slices.Concat(part(Text, "a"), fin(Continuation, "b"))
	for _, in := range [][]byte{ping, text} {
		d := NewDecoder(Server, nil)
		for i := range in {
			if got, want := d.Idle(), i == 0; got != want {
				t.Errorf("before byte %d of % x: Idle() = %v", i, in, got)
			}
			if _, _, err := d.Next(slices.Clone(in[i : i+1])); err != nil {
				t.Fatal(err)
			}
		}
		if !d.Idle() {
			t.Errorf("after % x: not idle", in)
		}
	}
}

// A connection keeps its decoder for life, so its size counts a million times.
func TestDecoderIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Decoder{}); size > 64 {
		t.Errorf("a Decoder has %d bytes, want at most 64", size)
	}
}

// An idle connection holds no buffer, even right after a control frame in parts.
func TestNoBufferIsKept(t *testing.T) {
	r := decodeBytewise(Server, nil, fin(Ping, "hello"))
	if r.String() != `ping "hello"` || r.d.control != nil {
		t.Errorf("events %s, buffer %v", r, r.d.control)
	}
}

func TestPiecesAreHandedOutInPlace(t *testing.T) {
	b := fin(Text, "hello")
	d := NewDecoder(Server, nil)
	ev, _, err := d.Next(b)
	if err != nil || string(ev.Payload) != "hello" || &ev.Payload[0] != &b[6] {
		t.Errorf("payload %q, %v: not the caller's bytes", ev.Payload, err)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	long := fin(Text, strings.Repeat("x", 300))
	tests := map[string][][]byte{
		"message":              {fin(Text, "hello")},
		"ping":                 {fin(Ping, "hello")},
		"pong":                 {fin(Pong, "")},
		"several in one read":  {slices.Concat(fin(Text, "a"), fin(Ping, "b"), fin(Binary, "c"))},
		"message in two reads": {long[:100], long[100:]},
		"header in two reads":  {long[:3], long[3:]},
		"ping behind a header": {fin(Ping, "hello")[:6], fin(Ping, "hello")[6:]},
	}
	for name, chunks := range tests {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(Server, &Limits{MessageBytes: 1000, Fragments: 2})
			buf := make([]byte, 0, 1024)
			allocs := testing.AllocsPerRun(100, func() {
				for _, c := range chunks {
					for b := append(buf, c...); len(b) > 0; {
						_, n, err := d.Next(b)
						if err != nil {
							t.Fatal(err)
						}
						b = b[n:]
					}
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations, want none", allocs)
			}
		})
	}
}

func TestFailingDoesNotAllocate(t *testing.T) {
	in := fin(3, "")
	if allocs := testing.AllocsPerRun(100, func() {
		d := NewDecoder(Server, nil)
		_, _, _ = d.Next(in)
	}); allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}
