package differential

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"

	"hocket.dev/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The bits of the flags of FuzzDifferential.
const (
	flagsMode = 0x03
	flagsRaw  = 0x04 // the bytes are what the client sends, not a script
)

// FuzzDifferential holds that three servers make the same of what a client sends, but for the differences on the list.
// damage are pairs of a position and the bits that are turned over there.
func FuzzDifferential(f *testing.F) {
	for _, s := range seeds {
		f.Add(s.flags, []byte(s.script), []byte(s.damage))
	}
	f.Fuzz(func(t *testing.T, flags byte, b, damage []byte) {
		if len(b) > 4096 {
			return
		}
		m := [...]mode{plain, eachForItself, withContext, plain}[flags&flagsMode]
		in := bytes.Clone(b)
		if flags&flagsRaw == 0 {
			in = frames(b, m)
		}
		for i := 0; i+1 < len(damage) && len(in) > 0; i += 2 {
			in[int(damage[i])%len(in)] ^= damage[i+1]
		}
		compare(t, in, m)
	})
}

// compare gives in to all servers.
func compare(t *testing.T, in []byte, m mode) {
	t.Helper()
	mine := judge(t, ours, in, m)
	for _, p := range []*peer{gorilla, coder} {
		if p == gorilla && m.takeover {
			continue // it has none
		}
		theirs := judge(t, p, in, m)
		// Who judges a frame before it is whole must not differ once it is.
		c := &trial{in, m, mine, theirs}
		if (theirs.end == cut) != (mine.end == cut) {
			c.in = complete(in)
			c.ours, c.theirs = judge(t, ours, c.in, m), judge(t, p, c.in, m)
		}
		if !same(c.ours, c.theirs) && explain(p, c) == nil {
			t.Errorf("% x (%q)\n%-7s %v\n%-7s %v", in, m.offer, ours.name, c.ours, p.name, c.theirs)
		}
	}
}

// complete returns in with zeros behind it that make its last frame whole, or so long that it is over the limit.
func complete(in []byte) []byte {
	in = bytes.Clone(in)
	for at := 0; at < len(in); {
		h, n, err := wire.ParseHeader(in[at:])
		switch missing := h.Length - int64(len(in)-at-n); {
		case isRule(err, ruleLongForm): // whose mask may not be there
			return append(in, make([]byte, 2*maxMessage)...)
		case err != nil:
			return in
		case n == 0 && len(in) == at+1:
			in = append(in, 0x80) // masked, and empty
		case n == 0:
			in = append(in, 0)
		case missing > 0:
			return append(in, make([]byte, min(missing, 2*maxMessage))...)
		default:
			at += n + int(h.Length)
		}
	}
	return in
}

func judge(t *testing.T, p *peer, in []byte, m mode) *verdict {
	t.Helper()
	v, err := p.judge(in, m)
	if err != nil {
		t.Fatalf("% x (%q): %v", in, m.offer, err)
	}
	return v
}

// seeds begin the fuzzer's work; they alone are what an ordinary test run compares.
var seeds = []struct {
	flags          byte
	script, damage string
}{
	{0, "\x00\x05\x01\x80\x03\x04ping", ""},
	{0, "\x08\x05\x03\x05\x02\x05\x05\x02\x03\xe8", ""},
	{0, "\x07\x20\x03\x07\xff\x02", ""},
	{0, "\x40\x18\x40\x07\x40\x05", ""},
	{0, "\x80\x01\xff", ""},
	{0, "\x05\x00", ""},
	{0, "\x05\x01", ""},
	{0, "\x05\x08\x03\xe8reason", ""},
	{0, "\x05\x08\x03\xe8\xff\xff", ""},
	{0, "\x05\x02\x03\xf6", ""},
	{0, "\x05\x02\x03\xed", ""},
	{0, "\x02\x01", ""},
	{0, "\x08\x01\x08\x01", ""},
	{0, "\x0b\x01", ""},
	{0, "\x03\xf7", ""},
	{0, "\x10\x05\x08", ""},
	{0, "\x10\x05\x01", ""},
	{0, "\x10\x05\x02", ""},
	{0, "\x10\x05\x04", ""},
	{0, "\x10\x05\x10", ""},
	{0, "\x10\x05\x20\x00\x05", ""},
	{0, "\x10\x05\x18", ""},
	{4, "\x30\xff", ""},
	{0, "\x10\x05\x80\x03", ""},
	{0, "\x10\x05\x80\x0b", ""},
	{0, "\x01\xfb\x01\xfc\x01\xfd", ""},
	{4, "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00abcd", ""},
	{4, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffabcd", ""},
	{1, "\x20\x40\x00\x20\x40\x40\x20\x40\x80\x00\x10", ""},
	{1, "\x27\x40\x00\x03\x20\x40\x01\x00\x10", ""},
	{1, "\x20\x40\x02\x20\x40\x05\x00\x10", ""},
	{1, "\x20\x40\x03\x05\x00\x10", ""},
	{1, "\x20\x40\x04\x05\x00\x10", ""},
	{1, "\x13\x01\x04\x00\x10", ""},
	{1, "\x08\x01\x12\x01\x04\x00\x10", ""},
	{1, "\x21\xfc\x00\x21\xfd\x00", ""},
	{1, "\x21\xff\x00", ""},
	{1, "\x20\xff\x80", ""},
	{2, "\x20\x40\x00\x20\x40\x00\x20\x40\x00\x00\x10", ""},
	{2, "\x60\x18\x00\x60\x19\x00\xa1\x40\x07\x00", ""},
	{0, "\x00\x05\x01\x80\x03\x04ping", "\x00\x40"},
	{0x42, "i\xc6\xff\x05", "i\xc6"},
}
