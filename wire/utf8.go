package wire

import "encoding/binary"

// utf8State is where a text stands between two bytes: how many continuation bytes
// are missing, and whether the next one has a narrower range than 80..BF. One byte
// of state is what lets a text be checked as it arrives, and fail at the first
// byte that cannot belong to it (§8.1; the table is RFC 3629 §4).
type utf8State uint8

const (
	utf8Whole   utf8State = iota // between characters
	utf8Need1                    // one byte 80..BF
	utf8Need2                    // two bytes 80..BF
	utf8Need3                    // three bytes 80..BF
	utf8AfterE0                  // A0..BF, then one: shorter forms are not allowed
	utf8AfterED                  // 80..9F, then one: no surrogates
	utf8AfterF0                  // 90..BF, then two: shorter forms are not allowed
	utf8AfterF4                  // 80..8F, then two: nothing above U+10FFFF
	utf8Invalid                  // no way back
)

// utf8Next says, for each state inside a character, which bytes may follow and
// where they lead.
var utf8Next = [utf8Invalid]struct {
	low, high byte
	to        utf8State
}{
	utf8Need1:   {0x80, 0xbf, utf8Whole},
	utf8Need2:   {0x80, 0xbf, utf8Need1},
	utf8Need3:   {0x80, 0xbf, utf8Need2},
	utf8AfterE0: {0xa0, 0xbf, utf8Need1},
	utf8AfterED: {0x80, 0x9f, utf8Need1},
	utf8AfterF0: {0x90, 0xbf, utf8Need2},
	utf8AfterF4: {0x80, 0x8f, utf8Need2},
}

// highBits are the bits that no ASCII byte has, eight bytes wide.
const highBits = 0x8080808080808080

// over returns the state after the bytes of p.
func (s utf8State) over(p []byte) utf8State {
	for len(p) > 0 {
		if s == utf8Whole {
			for len(p) >= 8 && binary.LittleEndian.Uint64(p)&highBits == 0 {
				p = p[8:]
			}
			for len(p) > 0 && p[0] < 0x80 {
				p = p[1:]
			}
			if len(p) == 0 {
				return utf8Whole
			}
			s = utf8Lead(p[0])
		} else {
			next := &utf8Next[s]
			if p[0] < next.low || p[0] > next.high {
				return utf8Invalid
			}
			s = next.to
		}
		if s == utf8Invalid {
			return utf8Invalid
		}
		p = p[1:]
	}
	return s
}

// utf8Lead returns the state after c, the first byte of a character beyond ASCII.
func utf8Lead(c byte) utf8State {
	switch {
	case c < 0xc2: // a continuation byte, or a form longer than needed
		return utf8Invalid
	case c < 0xe0:
		return utf8Need1
	case c == 0xe0:
		return utf8AfterE0
	case c == 0xed:
		return utf8AfterED
	case c < 0xf0:
		return utf8Need2
	case c == 0xf0:
		return utf8AfterF0
	case c < 0xf4:
		return utf8Need3
	case c == 0xf4:
		return utf8AfterF4
	}
	return utf8Invalid
}
