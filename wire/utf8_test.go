package wire

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Every sequence of up to two bytes, and longer ones at every border of RFC 3629 §4,
// judged by the standard library.
func TestUTF8AgreesWithTheStandardLibrary(t *testing.T) {
	check := func(p ...byte) {
		if got, want := utf8Whole.over(p) == utf8Whole, utf8.Valid(p); got != want {
			t.Fatalf("% x valid: %v, want %v", p, got, want)
		}
	}
	borders := []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xff}
	for a := range 256 {
		check(byte(a))
		for b := range 256 {
			check(byte(a), byte(b))
		}
		for _, b := range borders {
			for _, c := range borders {
				check(byte(a), b, c)
				for _, d := range borders {
					check(byte(a), b, c, d)
				}
			}
		}
	}
}

// Invalid means: whatever follows, it can never become valid. And not before.
func TestUTF8FailsAtTheFirstHopelessByte(t *testing.T) {
	endings := []string{"", "\x80", "\xa0", "\x90", "\x80\x80", "\xa0\x80", "\x90\x80", "\x80\x80\x80", "\xa0\x80\x80", "\x90\x80\x80"}
	for a := range 256 {
		for b := range 256 {
			for _, p := range [][]byte{{byte(a)}, {byte(a), byte(b)}} {
				hope := slices.ContainsFunc(endings, func(e string) bool { return utf8.Valid(append(slices.Clone(p), e...)) })
				if got := utf8Whole.over(p) != utf8Invalid; got != hope {
					t.Fatalf("% x can still become valid: %v, want %v", p, got, hope)
				}
			}
		}
	}
}

// The eight bytes at a time must not step over a bad one, wherever it stands.
func TestUTF8FindsABadByteAnywhere(t *testing.T) {
	for n := range 40 {
		for i := range n {
			p := []byte(strings.Repeat("a", n))
			p[i] = 0x80
			if utf8Whole.over(p) != utf8Invalid {
				t.Fatalf("bad byte %d of %d not found", i, n)
			}
		}
	}
}

func BenchmarkUTF8(b *testing.B) {
	for name, text := range map[string]string{
		"ascii": strings.Repeat("a plain sentence ", 256),
		"mixed": strings.Repeat("Käse für 3 € ", 256),
		"han":   strings.Repeat("実時間", 512),
	} {
		b.Run(name, func(b *testing.B) {
			p := []byte(text)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if utf8Whole.over(p) != utf8Whole {
					b.Fatal("invalid")
				}
			}
		})
	}
}
