package wire

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	stdflate "compress/flate"
)

// inflateInPieces inflates a message that comes cut into pieces of the given sizes, again and
// again; what a stream no longer holds, an inflater inflates.
func inflateInPieces(in []byte, m Inflation, cuts ...int) ([]byte, error) {
	s := m.Begin()
	for rest, i := in, 0; len(rest) > 0; i++ {
		n := len(rest)
		if len(cuts) > 0 {
			n = min(n, cuts[i%len(cuts)])
		}
		if err := s.Add(rest[:n]); err != nil {
			s.Abort()
			return nil, err
		}
		rest = rest[n:]
	}
	msg, whole, err := s.End()
	if err == nil && !whole {
		return NewInflater().Append(nil, in, m)
	}
	return msg, err
}

// deflated are messages as different compressors make them: stored, with the fixed codes, with
// codes of their own, from several blocks.
func deflated(payload []byte) map[string][]byte {
	all := map[string][]byte{}
	for name, level := range map[string]int{"stored": 0, "fastest": 1, "smallest": 9, "Huffman alone": stdflate.HuffmanOnly} {
		var b bytes.Buffer
		w, _ := stdflate.NewWriter(&b, level)
		_, _ = w.Write(payload[:len(payload)/2])
		_ = w.Flush()
		_, _ = w.Write(payload[len(payload)/2:])
		_ = w.Flush()
		all[name] = bytes.TrimSuffix(b.Bytes(), []byte(syncMarker))
	}
	all["small window"] = AppendDeflated(nil, payload, 9, 0)
	return all
}

// Where a message is cut makes no difference (RFC 7692 §7.2.2), however it was compressed, and
// however much of it a stream forgets.
func TestInflateStream(t *testing.T) {
	for _, payload := range [][]byte{{}, []byte("Hello"), book(1, 3000), noise(1, 3000), bytes.Repeat([]byte("a"), 200_000), book(2, 200_000), noise(2, 100_000)} {
		for name, in := range deflated(payload) {
			for _, cuts := range [][]int{nil, {1}, {7, 1, 300}, {4096}} {
				got, err := inflateInPieces(in, Inflation{Op: Binary}, cuts...)
				if err != nil || !bytes.Equal(got, payload) {
					t.Errorf("%d bytes, %s, cut at %v: %d bytes, %v", len(payload), name, cuts, len(got), err)
				}
			}
		}
	}
}

// RFC 7692 §7.2.3.4, §7.2.3.5: blocks marked as the last one, with and without what belongs
// behind them; and earlier messages, of the window only (§7.2.3.2).
func TestInflateStreamExamples(t *testing.T) {
	for in, want := range map[string]string{
		"\xf2\x48\xcd\xc9\xc9\x07\x00":                             "Hello",
		"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00":             "Hello",
		"\xf3\x48\xcd\xc9\xc9\x07\x00\x00":                         "Hello",
		"\xf3\x48\xcd\xc9\xc9\x07\x00":                             "Hello",
		"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00":     "Hello",
		"\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00": "HelloHello",
		"\x00": "",
	} {
		for _, cuts := range [][]int{nil, {1}} {
			if got, err := inflateInPieces([]byte(in), Inflation{Op: Text}, cuts...); err != nil || string(got) != want {
				t.Errorf("% x: %q, %v", in, got, err)
			}
		}
	}
	sent, received := NewWindow(10), NewWindow(10)
	for i := range 5 {
		want := book(1, 900+i)
		in := Deflation{WindowBits: 10, Window: sent}.Append(nil, want)
		if i > 0 && len(in) > 100 {
			t.Errorf("message %d has %d bytes: it does not refer to the one before", i, len(in))
		}
		if got, err := inflateInPieces(in, Inflation{Op: Text, Window: received}, 3); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("message %d: %d bytes, %v", i, len(got), err)
		}
	}
	in := Deflation{WindowBits: 10, Window: sent}.Append(nil, book(1, 900))
	if _, err := inflateInPieces(in, Inflation{Op: Text}, 3); !errors.Is(err, errDeflate) {
		t.Errorf("without the window: %v", err)
	}
}

// §8.1: of a compressed text, too, the first byte that cannot belong to it is found when its
// bits are there, in whatever block it stands; so are broken data (RFC 7692 §7.2.2) and a
// message over its limit (§8).
func TestInflateStreamFindsItWhereItStands(t *testing.T) {
	for name, in := range deflated([]byte(strings.Repeat("κόσμε", 100) + "\xff" + strings.Repeat("x", 1000))) {
		if name == "small window" {
			in = AppendDeflated(nil, []byte(strings.Repeat("κόσμε", 100)+"\xff"+strings.Repeat("x", 1000)), 9, 0)
		}
		s := Inflation{Op: Text}.Begin()
		at := -1
		for i := range in {
			if err := s.Add(in[i : i+1]); err != nil {
				if at = i; err != errText {
					t.Errorf("%s: %v", name, err)
				}
				break
			}
		}
		held := len(s.out)
		s.Abort()
		if at < 0 || held > 10*100+2*258+8 {
			t.Errorf("%s: found in byte %d of %d, when %d bytes were inflated", name, at, len(in), held)
		}
	}
	for name, tt := range map[string]struct {
		in   string
		m    Inflation
		want error
	}{
		"block type 3":            {"\x07", Inflation{}, errDeflate},
		"too many codes":          {"\xfd\xff\xff", Inflation{}, errDeflate},
		"a reference to nothing":  {"\xf2\x00\x11\x00", Inflation{}, errDeflate},
		"a length without sense":  {"\x00\x05\x00\x05\x00", Inflation{}, errDeflate},
		"a bomb":                  {string(AppendDeflated(nil, make([]byte, 1<<20), 15, 0)[:100]), Inflation{MaxBytes: 10_000}, errInflated},
		"one byte over the limit": {string(AppendDeflated(nil, []byte("hello"), 15, 0)), Inflation{MaxBytes: 4}, errInflated},
	} {
		s := tt.m.Begin()
		if err := s.Add([]byte(tt.in)); err != tt.want {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Add([]byte("more")); err != tt.want {
			t.Errorf("%s, and more: %v", name, err)
		}
		if cap(s.out) > streamKeeps || tt.m.MaxBytes > 0 && cap(s.out) > int(tt.m.MaxBytes) {
			t.Errorf("%s: room for %d bytes", name, cap(s.out))
		}
		s.Abort()
	}
}

// FuzzInflateStream holds that a message that comes in pieces means what it means as a whole to
// an [Inflater], and that no more of it is held than a stream says.
func FuzzInflateStream(f *testing.F) {
	for _, payload := range [][]byte{[]byte("Hello"), book(1, 500), make([]byte, 5000), noise(1, 300), []byte("a\xe2\x82")} {
		for _, out := range deflated(payload) {
			f.Add(out, []byte{3, 1}, true)
			f.Add(out[:len(out)/2], []byte{}, false)
		}
	}
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), []byte{1}, true)
	f.Add([]byte("\xf2\x00\x11\x00\x00"), []byte{2}, false)
	inflater, earlier := NewInflater(), book(3, 2000)
	f.Fuzz(func(t *testing.T, in, cuts []byte, text bool) {
		const limit = 100_000
		of := func() Inflation {
			m := Inflation{Op: Binary, MaxBytes: limit, Window: NewWindow(15)}
			if m.Window.Add(earlier); text {
				m.Op = Text
			}
			return m
		}
		m := of()
		want, wantErr := inflater.Append(nil, in, m)
		m2 := of()
		s := m2.Begin()
		var err error
		for rest, i := in, 0; len(rest) > 0 && err == nil; i++ {
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, 1+int(cuts[i%len(cuts)]))
			}
			err = s.Add(rest[:n])
			rest = rest[n:]
			if cap(s.out) > streamKeeps {
				t.Fatalf("room for %d bytes", cap(s.out))
			}
		}
		if err != nil {
			s.Abort()
			if wantErr == nil && !corrupt(in, earlier) {
				t.Fatalf("%v, where an inflater has %d bytes", err, len(want))
			}
			return
		}
		got, whole, err := s.End()
		switch {
		case err != nil && wantErr == nil && corrupt(in, earlier):
		case (err == nil) != (wantErr == nil):
			t.Fatalf("%v, where an inflater says %v", err, wantErr)
		case whole != (err == nil && len(want) <= streamKeeps) && !(len(want) > streamKeeps-300):
			t.Fatalf("whole: %v, of %d bytes", whole, len(want))
		case whole && !bytes.Equal(got, want):
			t.Fatalf("%d bytes, where an inflater has %d", len(got), len(want))
		case whole && !slices.Equal(m2.Window.b, m.Window.b):
			t.Fatal("another window")
		}
	})
}

// corrupt reports whether the standard library's inflater refuses a message, too: the one that an Inflater stands on lets
// some codes pass that stand for nothing (RFC 1951 §3.2.7).
func corrupt(in, earlier []byte) bool {
	rest := bytes.NewReader(slices.Concat(in, []byte(endOfMessage)))
	for rest.Len() > 0 {
		out, err := io.ReadAll(stdflate.NewReaderDict(rest, earlier))
		var wrong stdflate.CorruptInputError
		if err != nil {
			return errors.As(err, &wrong)
		}
		earlier = slices.Concat(earlier, out)
	}
	return false
}

func BenchmarkInflateStream(b *testing.B) {
	for _, n := range []int{100, 1 << 10, 16 << 10} {
		b.Run(byteSize(n), func(b *testing.B) {
			in := AppendDeflated(nil, book(1, n), 15, 0)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				s := Inflation{Op: Text, MaxBytes: 1 << 20}.Begin()
				_ = s.Add(in)
				_, _, _ = s.End()
			}
		})
	}
}
