// Package strictflate is for tests: it judges whether compressed messages keep the window that was promised for them.
package strictflate

import (
	"errors"
	"fmt"
)

// Inflate is DEFLATE (RFC 1951) as plainly as it can be written, with what no library offers: it fails when a reference
// goes further back than the window, in bytes, or before the history. It reads blocks until in ends at the border of one,
// as a message of permessage-deflate does once "\x00\x00\xff\xff" stands behind it (RFC 7692 §7.2.2), and returns what was
// inflated and the furthest distance seen. It keeps nothing of its arguments.
func Inflate(in []byte, window int, history []byte) (out []byte, furthest int, err error) {
	s := &strict{in: in, window: window, out: append([]byte(nil), history...)}
	defer func() {
		if r := recover(); r != nil {
			if broken, ok := r.(error); ok && errors.Is(broken, errStrict) {
				out, furthest, err = nil, 0, broken
				return
			}
			panic(r)
		}
	}()
	for s.more() {
		s.block()
	}
	return s.out[len(history):], s.furthest, nil
}

var errStrict = errors.New("strict inflate")

type strict struct {
	in               []byte
	bit              int // the next bit of in
	out              []byte
	window, furthest int
}

func (s *strict) fail(format string, args ...any) {
	panic(fmt.Errorf("%w: %s", errStrict, fmt.Sprintf(format, args...)))
}

// more reports whether another block follows.
func (s *strict) more() bool { return s.bit+3 <= 8*len(s.in) }

func (s *strict) bits(n int) int {
	v := 0
	for i := range n {
		if s.bit >= 8*len(s.in) {
			s.fail("the input ends inside a block")
		}
		v |= int(s.in[s.bit/8]>>(s.bit%8)&1) << i
		s.bit++
	}
	return v
}

func (s *strict) block() {
	last := s.bits(1) == 1
	switch s.bits(2) {
	case 0:
		s.bit = (s.bit + 7) &^ 7
		n := s.bits(16)
		if s.bits(16) != n^0xffff {
			s.fail("lengths of a stored block differ")
		}
		for range n {
			s.out = append(s.out, byte(s.bits(8)))
		}
	case 1:
		lengths := make([]int, 288)
		for i := range lengths {
			switch {
			case i < 144, i >= 280:
				lengths[i] = 8
			case i < 256:
				lengths[i] = 9
			default:
				lengths[i] = 7
			}
		}
		distances := make([]int, 30)
		for i := range distances {
			distances[i] = 5
		}
		for i := 280; i < 288; i++ {
			lengths[i] = 8
		}
		for i := 256; i < 280; i++ {
			lengths[i] = 7
		}
		s.codes(canonical(lengths), canonical(distances))
	case 2:
		s.codes(s.tables())
	default:
		s.fail("block type 3")
	}
	if last {
		s.bit = (s.bit + 7) &^ 7
	}
}

// code is a canonical Huffman code: how many symbols each length has, and the symbols in
// the order of their values.
type code struct {
	count   [16]int
	symbols []int
}

func canonical(lengths []int) *code {
	c := new(code)
	for n := 1; n <= 15; n++ {
		for symbol, length := range lengths {
			if length == n {
				c.count[n]++
				c.symbols = append(c.symbols, symbol)
			}
		}
	}
	return c
}

func (s *strict) symbol(c *code) int {
	value, first, index := 0, 0, 0
	for n := 1; n <= 15; n++ {
		value |= s.bits(1)
		if value-first < c.count[n] {
			return c.symbols[index+value-first]
		}
		index += c.count[n]
		first = (first + c.count[n]) << 1
		value <<= 1
	}
	s.fail("no such code")
	return 0
}

// tables reads the codes of a dynamic block.
func (s *strict) tables() (literals, distances *code) {
	nl, nd, nc := s.bits(5)+257, s.bits(5)+1, s.bits(4)+4
	order := []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	meta := make([]int, 19)
	for _, i := range order[:nc] {
		meta[i] = s.bits(3)
	}
	c := canonical(meta)
	var all []int
	for len(all) < nl+nd {
		switch symbol := s.symbol(c); symbol {
		case 16:
			if len(all) == 0 {
				s.fail("nothing to repeat")
			}
			prev := all[len(all)-1]
			for range 3 + s.bits(2) {
				all = append(all, prev)
			}
		case 17:
			all = append(all, make([]int, 3+s.bits(3))...)
		case 18:
			all = append(all, make([]int, 11+s.bits(7))...)
		default:
			all = append(all, symbol)
		}
	}
	return canonical(all[:nl]), canonical(all[nl : nl+nd])
}

func (s *strict) codes(literals, distances *code) {
	for {
		symbol := s.symbol(literals)
		switch {
		case symbol < 256:
			s.out = append(s.out, byte(symbol))
			continue
		case symbol == 256:
			return
		}
		length := s.length(symbol - 257)
		d := s.symbol(distances)
		distance := 1 + d
		if d > 3 {
			extra := d/2 - 1
			distance = 1 + (2+d%2)<<extra + s.bits(extra)
		}
		s.furthest = max(s.furthest, distance)
		if distance > s.window || distance > len(s.out) {
			s.fail("a reference %d bytes back, the window has %d and %d are there", distance, s.window, len(s.out))
		}
		for range length {
			s.out = append(s.out, s.out[len(s.out)-distance])
		}
	}
}

func (s *strict) length(n int) int {
	switch {
	case n < 8:
		return 3 + n
	case n == 28:
		return 258
	case n > 28:
		s.fail("length code %d", n)
	}
	extra := n/4 - 1
	return 3 + (4+n%4)<<extra + s.bits(extra)
}
