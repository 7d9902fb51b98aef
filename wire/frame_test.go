package wire

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// §5.2: the shortest form of each length, and every field at its place.
func TestHeaderBytes(t *testing.T) {
	tests := []struct {
		h    Header
		want string
	}{
		{Header{Fin: true, Op: Text}, "\x81\x00"},
		{Header{Op: Continuation, Length: 125}, "\x00\x7d"},
		{Header{Fin: true, Op: Binary, Length: 126}, "\x82\x7e\x00\x7e"},
		{Header{Fin: true, Op: Binary, Length: 65535}, "\x82\x7e\xff\xff"},
		{Header{Fin: true, Op: Binary, Length: 65536}, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
		{Header{Fin: true, Op: Binary, Length: math.MaxInt64}, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"},
		{Header{Fin: true, Rsv: 0x40, Op: Text, Masked: true, Key: [4]byte{1, 2, 3, 4}}, "\xc1\x80\x01\x02\x03\x04"},
	}
	for _, tt := range tests {
		got := AppendHeader([]byte("x"), tt.h)
		if string(got) != "x"+tt.want {
			t.Errorf("%+v: % x, want % x", tt.h, got[1:], tt.want)
		}
		h, n, err := ParseHeader(append(got[1:], "rest"...))
		if h != tt.h || n != len(tt.want) || err != nil {
			t.Errorf("% x: %+v, %d, %v", tt.want, h, n, err)
		}
		for i := range tt.want {
			if _, n, err := ParseHeader([]byte(tt.want[:i])); n != 0 || err != nil {
				t.Errorf("% x: %d, %v, want to be asked for more", tt.want[:i], n, err)
			}
		}
	}
}

// What is encoded, in any fragmentation and between any control frames, is what is
// decoded, in both directions and however it is cut.
// §6.2: what is received is what was sent, however it is cut.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		role := rapid.SampledFrom([]Role{Server, Client}).Draw(t, "role")
		want, in := newRecorder(role, nil), []byte(nil)
		for range rapid.IntRange(1, 5).Draw(t, "messages") {
			op := rapid.SampledFrom([]Opcode{Text, Binary}).Draw(t, "op")
			msg := []byte(rapid.StringN(0, 200, -1).Draw(t, "message"))
			first := true
			for rest := msg; ; {
				n := rapid.IntRange(0, len(rest)).Draw(t, "fragment")
				last := n == len(rest)
				h := Header{Fin: last, Op: op}
				if !first {
					h.Op = Continuation
				}
				in = append(in, frame(role, h, string(rest[:n]))...)
				rest, first = rest[n:], false
				if last {
					break
				}
				if rapid.Bool().Draw(t, "ping") {
					in = append(in, frame(role, Header{Fin: true, Op: Ping}, "beat")...)
					want.note(Event{Kind: KindPing, Payload: []byte("beat")}, nil)
				}
			}
			want.note(Event{Kind: KindData, Op: op, First: true, Last: true, Payload: msg}, nil)
		}
		got := newRecorder(role, nil)
		for len(in) > 0 {
			n := rapid.IntRange(1, len(in)).Draw(t, "cut")
			got.feed(in[:n])
			in = in[n:]
		}
		if got.err != nil || got.String() != want.String() {
			t.Fatalf("got %s (%v), want %s", got, got.err, want)
		}
	})
}

func TestAppendMaskedFrame(t *testing.T) {
	payload := []byte("Hello")
	got := AppendMaskedFrame([]byte("x"), Text, testKey, payload)
	if want := "x\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"; string(got) != want {
		t.Errorf("% x, want % x (§5.7)", got, want)
	}
	if string(payload) != "Hello" {
		t.Errorf("the caller's payload was changed to %q", payload)
	}
}

// §5.5.1 and §5.5: code, reason, and the 125 bytes they have.
func TestAppendClose(t *testing.T) {
	tests := []struct {
		name   string
		code   CloseCode
		reason string
		want   string
	}{
		{"code and reason", CloseGoingAway, "bye", "\x88\x05\x03\xe9bye"},
		{"no status", CloseNoStatus, "ignored", "\x88\x00"},
		{"a code that must not be sent", CloseAbnormal, "", "\x88\x00"},
		{"123 bytes", CloseNormal, strings.Repeat("a", 123), "\x88\x7d\x03\xe8" + strings.Repeat("a", 123)},
		{"124 bytes", CloseNormal, strings.Repeat("a", 124), "\x88\x7d\x03\xe8" + strings.Repeat("a", 123)},
		{"cut before a character", CloseNormal, strings.Repeat("a", 122) + "€", "\x88\x7c\x03\xe8" + strings.Repeat("a", 122)},
		{"a character just fits", CloseNormal, strings.Repeat("a", 120) + "€€", "\x88\x7d\x03\xe8" + strings.Repeat("a", 120) + "€"},
		{"invalid UTF-8", CloseNormal, "a\xff", "\x88\x06\x03\xe8a\uFFFD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := AppendClose(nil, tt.code, tt.reason)
			if string(got) != tt.want {
				t.Errorf("% x, want % x", got, tt.want)
			}
			if r := decodeAll(Client, nil, got); r.err != nil {
				t.Errorf("our own decoder refuses it: %v", r.err)
			}
		})
	}
}

func TestCutReasonStaysValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "reason"))
		if out := cutReason(in); len(out) > maxReason || !utf8.ValidString(out) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

// §5.3, against its definition: transformed[i] = original[i] XOR key[i MOD 4].
func TestMask(t *testing.T) {
	key := [4]byte{1, 20, 133, 255}
	for n := range 100 {
		for pos := range 4 {
			b, want := make([]byte, n), make([]byte, n)
			for i := range b {
				b[i] = byte(i * 7)
				want[i] = b[i] ^ key[(pos+i)%4]
			}
			next := Mask(b, key, pos)
			if !bytes.Equal(b, want) || next != (pos+n)%4 {
				t.Fatalf("%d bytes at %d: % x, next %d; want % x", n, pos, b, next, want)
			}
		}
	}
}

func TestAssembler(t *testing.T) {
	var a Assembler
	single := []byte("whole")
	msg, done := a.Add(Event{Kind: KindData, Op: Text, First: true, Last: true, Payload: single})
	if !done || &msg[0] != &single[0] {
		t.Errorf("a message in one piece: %q, %v; want it passed through", msg, done)
	}
	for _, ev := range []Event{
		{Kind: KindData, Op: Text, First: true, Payload: []byte("in ")},
		{Kind: KindPing, Payload: []byte("beat")},
		{Kind: KindData, Op: Text, Payload: []byte("three ")},
		{Kind: KindNone},
	} {
		if msg, done := a.Add(ev); done || msg != nil {
			t.Errorf("%+v completes %q", ev, msg)
		}
	}
	msg, done = a.Add(Event{Kind: KindData, Op: Text, Last: true, Payload: []byte("pieces")})
	if !done || string(msg) != "in three pieces" || a.buf != nil {
		t.Errorf("%q, %v, kept %d bytes", msg, done, cap(a.buf))
	}
}

func BenchmarkMask(b *testing.B) {
	for _, size := range []int{16, 128, 1 << 10, 64 << 10} {
		b.Run(byteSize(size), func(b *testing.B) {
			p := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				Mask(p, testKey, 1)
			}
		})
	}
}

func BenchmarkNext(b *testing.B) {
	for _, size := range []int{16, 128, 1 << 10, 64 << 10} {
		b.Run(byteSize(size), func(b *testing.B) {
			// Next unmasks in place; a key of zeros keeps the input the same for each turn.
			in := AppendHeader(nil, Header{Fin: true, Op: Text, Masked: true, Length: int64(size)})
			in = append(in, bytes.Repeat([]byte("a"), size)...)
			d := NewDecoder(Server, &Limits{MessageBytes: 1 << 20})
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, n, err := d.Next(in); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// byteSize names a benchmark.
func byteSize(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}
