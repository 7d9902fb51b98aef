package wire

import "math/bits"

// The alphabets of DEFLATE (RFC 1951 §3.2.5 to §3.2.7), for [InflateStream].
const (
	maxLiterals  = 286
	maxDistances = 30
	endOfBlock   = 256
)

// extraCode is a length or a distance, or the least of several that extra bits tell apart.
type extraCode struct {
	least int
	extra uint
}

// lengthOrder is in which order the lengths of the code for lengths stand, lengthRepeats what
// its symbols from 16 on say.
var (
	lengthOrder   = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	lengthRepeats = [3]extraCode{{3, 2}, {3, 3}, {11, 7}}
)

// lengthCodes are the symbols behind endOfBlock, distanceCodes those of the other alphabet.
var (
	lengthCodes   = makeLengthCodes()
	distanceCodes = makeDistanceCodes()
)

func makeLengthCodes() (all [29]extraCode) {
	for i, next := 0, 3; i < 28; i++ {
		all[i] = extraCode{next, uint(max(i/4-1, 0))}
		next += 1 << all[i].extra
	}
	all[28] = extraCode{258, 0}
	return all
}

func makeDistanceCodes() (all [maxDistances]extraCode) {
	for i, next := 0, 1; i < maxDistances; i++ {
		all[i] = extraCode{next, uint(max(i/2-1, 0))}
		next += 1 << all[i].extra
	}
	return all
}

// The codes of blocks that bring none (RFC 1951 §3.2.6).
var fixedLiterals, fixedDistances = makeFixed()

func makeFixed() (literals, distances huffman) {
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	literals.build(lengths[:])
	for i := range lengths[:32] {
		lengths[i] = 5
	}
	distances.build(lengths[:32])
	return literals, distances
}

const (
	quickBits   = 9
	longestCode = 15
)

// huffman is a code: short symbols are looked up, others found by counting.
type huffman struct {
	quick   [1 << quickBits]uint16 // symbol<<4 | size, by the next bits; 0 for none so short
	count   [longestCode + 1]uint16
	symbols [288]uint16 // by size, then value
}

// build makes the code of the sizes that its symbols have, and reports whether they are those
// of one: complete, or one symbol alone of one bit, or none at all.
func (h *huffman) build(sizes []uint8) bool {
	*h = huffman{}
	longest := 0
	for _, size := range sizes {
		h.count[size]++
		longest = max(longest, int(size))
	}
	h.count[0] = 0
	var code, at [longestCode + 2]uint16
	for size := 1; size <= longestCode; size++ {
		code[size+1] = (code[size] + h.count[size]) << 1
		at[size+1] = at[size] + h.count[size]
		if int(code[size])+int(h.count[size]) > 1<<size {
			return false
		}
	}
	if used := int(code[longest]) + int(h.count[longest]); longest > 0 && used != 1<<longest && (longest > 1 || used != 1) {
		return false
	}
	for symbol, size := range sizes {
		if size == 0 {
			continue
		}
		h.symbols[at[size]] = uint16(symbol)
		at[size]++
		if size <= quickBits {
			first := bits.Reverse16(code[size]) >> (16 - size)
			for i := int(first); i < 1<<quickBits; i += 1 << size {
				h.quick[i] = uint16(symbol)<<4 | uint16(size)
			}
		}
		code[size]++
	}
	return true
}

// next returns the symbol with which b begins, of which n bits are there, and its size in
// bits. A size of 0 is an error, or without one means that more bits are needed.
func (h *huffman) next(b uint64, n uint) (symbol int, size uint, err error) {
	if e := h.quick[b&(1<<quickBits-1)]; e != 0 {
		if size = uint(e & 15); size > n {
			return 0, 0, nil
		}
		return int(e >> 4), size, nil
	}
	var code, first, index int
	for size = 1; size <= longestCode; size++ {
		if size > n {
			return 0, 0, nil
		}
		code |= int(b & 1)
		b >>= 1
		count := int(h.count[size])
		if code-count < first {
			return int(h.symbols[index+code-first]), size, nil
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, 0, errDeflate
}

// bitReader reads bits from the lowest on. in is what has not been loaded.
type bitReader struct {
	in   []byte
	bits uint64
	n    uint
}

// load loads as many bytes as fit.
func (r *bitReader) load() {
	for r.n <= 56 && len(r.in) > 0 {
		r.bits |= uint64(r.in[0]) << r.n
		r.n += 8
		r.in = r.in[1:]
	}
}

// take takes n bits, which are there.
func (r *bitReader) take(n uint) uint64 {
	b := r.bits & (1<<n - 1)
	r.bits >>= n
	r.n -= n
	return b
}

// align drops the bits before the next byte.
func (r *bitReader) align() { r.take(r.n % 8) }
