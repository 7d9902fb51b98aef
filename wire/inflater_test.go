package wire

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	stdflate "compress/flate"
)

// inflate inflates a whole message both ways, and asserts that they agree.
func inflate(t *testing.T, compressed []byte, m Inflation) ([]byte, error) {
	t.Helper()
	f := NewInflater()
	whole, err := f.Append(nil, compressed, m)
	for name, src := range map[string]io.Reader{
		"at once": bytes.NewReader(compressed), "by bytes": iotest.OneByteReader(bytes.NewReader(compressed)),
		"with its end": iotest.DataErrReader(bytes.NewReader(compressed)),
	} {
		f.Open(src, m)
		got, streamErr := io.ReadAll(f)
		if err == nil && !bytes.Equal(got, whole) || !errors.Is(streamErr, err) {
			t.Errorf("read %s: %d bytes, %v; whole: %d bytes, %v", name, len(got), streamErr, len(whole), err)
		}
	}
	return whole, err
}

// RFC 7692 §7.2.3 shows messages as bytes.
func TestInflateExamplesOfTheRFC(t *testing.T) {
	const hello = "Hello"
	tests := []struct{ section, name, in, want string }{
		{"7.2.3.1", "one block", "\xf2\x48\xcd\xc9\xc9\x07\x00", hello},
		{"7.2.3.3", "a block without compression", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", hello},
		{"7.2.3.4", "a last block", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", hello},
		{"7.2.3.4", "a last block, without the empty one behind", "\xf3\x48\xcd\xc9\xc9\x07\x00", hello},
		{"7.2.3.5", "two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", hello},
		{"7.2.3.5", "two last blocks", "\xf3\x48\xcd\xc9\xc9\x07\x00" + "\xf3\x48\xcd\xc9\xc9\x07\x00" + "\x00", hello + hello},
		{"7.2.3.6", "an empty message", "\x00", ""},
	}
	for _, tt := range tests {
		t.Run("§"+tt.section+" "+tt.name, func(t *testing.T) {
			got, err := inflate(t, []byte(tt.in), Inflation{Op: Text, MaxBytes: 10})
			if string(got) != tt.want || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// RFC 7692 §7.2.3.2: the second message refers to the first, and needs its window.
func TestInflateWithContextTakeover(t *testing.T) {
	first, second := []byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), []byte("\xf2\x00\x11\x00\x00")
	f, window := NewInflater(), NewWindow(15)
	for _, in := range [][]byte{first, second, second} {
		if got, err := f.Append(nil, in, Inflation{Op: Text, Window: window}); string(got) != "Hello" || err != nil {
			t.Errorf("% x: %q, %v", in, got, err)
		}
	}
	// Another connection's message must not find it: the inflater is shared.
	for _, m := range []Inflation{{}, {Window: NewWindow(15)}} {
		if _, err := f.Append(nil, first, Inflation{}); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Append(nil, second, m); !errors.Is(err, errDeflate) {
			t.Errorf("read %q (%v) of another connection", got, err)
		}
	}
}

// A reference behind a last block reaches before it, within one message.
func TestLastBlockKeepsTheWindow(t *testing.T) {
	in := "\xf3\x48\xcd\xc9\xc9\x07\x00" + "\xf2\x00\x11\x00\x00"
	if got, err := inflate(t, []byte(in), Inflation{}); string(got) != "HelloHello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestInflateSamples(t *testing.T) {
	for name, payload := range samples() {
		for _, bits := range []int{9, 15} {
			out := AppendDeflated(nil, payload, bits, 0)
			for _, limit := range []int64{0, int64(len(payload))} {
				if got, err := NewInflater().Append([]byte("x"), out, Inflation{Op: Binary, MaxBytes: limit}); err != nil || string(got) != "x"+string(payload) {
					t.Errorf("%s, %d bits, limit %d: %v", name, bits, limit, err)
				}
			}
		}
	}
}

// Broken data fails the message with 1007, wherever it is cut.
// RFC 7692 §7.2.2: what cannot be inflated is an error.
func TestInflateGarbage(t *testing.T) {
	whole := AppendDeflated(nil, book(1, 1000), 15, 0)
	tests := map[string][]byte{
		"no bytes at all": {}, "block type 3": []byte("\x07"), "noise": append([]byte{0x05}, noise(1, 100)...),
		"a reference before the message": []byte("\xf2\x00\x11\x00\x00"),
		"bytes behind":                   append(bytes.Clone(whole), "\xff\xff\xff"...),
	}
	for n := 1; n < len(whole)-1; n += 7 {
		tests["cut at "+string(rune('0'+n/7))] = whole[:n]
	}
	for name, in := range tests {
		if got, err := inflate(t, in, Inflation{Op: Binary, MaxBytes: 5000}); !errors.Is(err, errDeflate) || len(got) != 0 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// The limit holds to the byte, and a bomb is stopped at it.
// RFC 7692 §8: no more than the limit is ever held.
func TestInflateLimit(t *testing.T) {
	bomb := AppendDeflated(nil, make([]byte, 16<<20), 15, 0)
	for _, limit := range []int64{1, 2, 511, 512, 513, 1000, 32768, 100_000} {
		exact := AppendDeflated(nil, make([]byte, limit), 15, 0)
		got, err := inflate(t, exact, Inflation{Op: Binary, MaxBytes: limit})
		if int64(len(got)) != limit || err != nil {
			t.Errorf("exactly %d bytes: %d, %v", limit, len(got), err)
		}
		if int64(cap(got)) > limit {
			t.Errorf("%d bytes of room for %d", cap(got), limit)
		}
		over := AppendDeflated(nil, make([]byte, limit+1), 15, 0)
		for name, in := range map[string][]byte{"one byte more": over, "a bomb": bomb} {
			got, err := inflate(t, in, Inflation{Op: Binary, MaxBytes: limit})
			if !errors.Is(err, errInflated) || errInflated.Code != CloseTooBig || len(got) != 0 {
				t.Errorf("%s than %d: %d bytes, %v", name, limit, len(got), err)
			}
		}
		f := NewInflater()
		f.Open(bytes.NewReader(bomb), Inflation{MaxBytes: limit})
		n, err := io.Copy(io.Discard, f)
		if n > limit || err != errInflated {
			t.Errorf("a stream gave %d bytes, limit %d, %v", n, limit, err)
		}
	}
	f := NewInflater()
	if _, err := f.Append(nil, bomb, Inflation{MaxBytes: 1000}); err == nil {
		t.Fatal("no error")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _ = f.Append(nil, bomb, Inflation{MaxBytes: 1000})
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 10_000 {
		t.Errorf("a bomb allocates %d bytes, the limit is 1000", allocated)
	}
}

// §8.1: text is checked as it comes out, across pieces of any size, and fails where the
// bad byte stands, not at the end.
func TestInflateChecksText(t *testing.T) {
	tests := []struct {
		text string
		ok   bool
	}{
		{"Käse €", true},
		{strings.Repeat("€", 40_000), true},
		{"a\xff", false},
		{"ends inside \xe2\x82", false},
		{strings.Repeat("a", 32767) + "\xe2\x82\xac", true},
		{strings.Repeat("a", 70_000) + "\xc0", false},
	}
	for _, tt := range tests {
		in := AppendDeflated(nil, []byte(tt.text), 15, 0)
		if _, err := inflate(t, in, Inflation{Op: Text}); (err == nil) != tt.ok || err != nil && !errors.Is(err, errText) {
			t.Errorf("%.20q: %v", tt.text, err)
		}
		if _, err := inflate(t, in, Inflation{Op: Binary}); err != nil {
			t.Errorf("%.20q as binary: %v", tt.text, err)
		}
	}
	// The rest of the message is never there.
	s := Deflation{}.Begin()
	in := s.Flush(s.Append(nil, []byte("ok \xe2\x28\xa1 ")))
	s.Abort()
	f := NewInflater()
	f.Open(io.MultiReader(bytes.NewReader(append(in, "\x00\x00\xff\xff"...)), iotest.ErrReader(errors.New("waited"))), Inflation{Op: Text})
	if _, err := io.ReadAll(f); !errors.Is(err, errText) {
		t.Errorf("%v, want %v before the message's end", err, errText)
	}
}

// What the source says is passed on as it is.
func TestInflatePassesErrorsOn(t *testing.T) {
	lost := errors.New("lost")
	whole := AppendDeflated(nil, book(1, 1000), 15, 0)
	f := NewInflater()
	for _, n := range []int{0, 1, 100, len(whole)} {
		f.Open(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(lost)), Inflation{})
		_, err := io.ReadAll(f)
		if _, again := f.Read(make([]byte, 1)); err != lost || again != lost {
			t.Errorf("after %d bytes: %v, then %v", n, err, again)
		}
	}
	// And a message before has no part in it.
	if _, err := f.Append(nil, whole, Inflation{}); err != nil {
		t.Error(err)
	}
	if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("behind a message: %d, %v", n, err)
	}
}

func TestAppendInflatedDoesNotAllocate(t *testing.T) {
	in, f, buf := AppendDeflated(nil, book(1, 1000), 15, 0), NewInflater(), make([]byte, 0, 2000)
	if allocs := testing.AllocsPerRun(100, func() { _, _ = f.Append(buf, in, Inflation{Op: Text}) }); allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

// FuzzInflate holds that nothing makes the inflater panic, that no more than the limit is
// ever allocated for a message, and that it agrees with the standard library on the rest.
func FuzzInflate(f *testing.F) {
	for _, payload := range [][]byte{[]byte("Hello"), book(1, 500), make([]byte, 5000), noise(1, 300), []byte("a\xe2\x82")} {
		out := AppendDeflated(nil, payload, 15, 0)
		f.Add(out, true)
		f.Add(out[:len(out)/2], false)
	}
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), true)
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00"), true)
	f.Add([]byte("\xf2\x00\x11\x00\x00"), false)
	f.Add([]byte{}, false)
	f.Add([]byte("\x04\xc0\x81\x00\x00\x00\x00\x00\x10\xff\xd5\x00\x19"+strings.Repeat("\x00", 35)+"@\x00"), false) // see staleCode
	inflater := NewInflater()
	f.Fuzz(func(t *testing.T, in []byte, text bool) {
		const limit = 4000
		m := Inflation{Op: Binary, MaxBytes: limit}
		if text {
			m.Op = Text
		}
		got, err := inflater.Append(nil, in, m)
		if len(got) > limit || cap(got) > limit {
			t.Fatalf("%d bytes in room for %d, the limit is %d", len(got), cap(got), limit)
		}
		inflater.Open(iotest.OneByteReader(bytes.NewReader(in)), m)
		streamed, streamErr := io.ReadAll(inflater)
		if (!errors.Is(streamErr, err) || err == nil && !bytes.Equal(got, streamed)) && !staleCode(in) {
			t.Fatalf("whole: %d bytes, %v; streamed: %d bytes, %v", len(got), err, len(streamed), streamErr)
		}
		var broken *Error
		if err != nil && !errors.As(err, &broken) {
			t.Fatalf("%v is no *Error", err)
		}
		// The library reads one series of blocks up to a last one.
		rest := bytes.NewReader([]byte(string(in) + endOfMessage))
		want, wantErr := io.ReadAll(io.LimitReader(stdflate.NewReader(rest), limit+1))
		switch {
		case rest.Len() != 0 && len(want) <= limit && wantErr == nil: // it stopped at a last block: more may follow
		case len(want) > limit:
			if err != errInflated && err != errText {
				t.Fatalf("over the limit: %v", err)
			}
		case wantErr != nil:
			if err == nil && !staleCode(in) {
				t.Fatalf("the standard library says %v", wantErr)
			}
		case text && (utf8Whole.over(want) != utf8Whole):
			if err != errText {
				t.Fatalf("not UTF-8: %v", err)
			}
		case err != nil || !bytes.Equal(got, want):
			t.Fatalf("%d bytes, %v; the standard library has %d", len(got), err, len(want))
		}
	})
}

// staleCode reports whether a block refers back though its code for distances is empty. The library that an Inflater stands on
// reads it by the code of an earlier block, of an earlier message even.
func staleCode(in []byte) bool {
	_, _, err := strictInflate([]byte(string(in)+endOfMessage), 1<<maxWindowBits, nil)
	return err != nil && strings.HasSuffix(err.Error(), "no such code")
}

func BenchmarkInflate(b *testing.B) {
	for _, n := range []int{100, 1 << 10, 16 << 10} {
		b.Run(byteSize(n), func(b *testing.B) {
			in, f := AppendDeflated(nil, book(1, n), 15, 0), NewInflater()
			var out []byte
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				out, _ = f.Append(out[:0], in, Inflation{Op: Text, MaxBytes: 1 << 20})
			}
		})
	}
}
