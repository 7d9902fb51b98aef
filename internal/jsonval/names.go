package jsonval

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/bits"
	"sync"
	"unicode/utf8"
)

const (
	fewNames  = 12 // fit into the slots of names itself
	fewBits   = 4  // of an index into those
	manySlots = 128
)

// Proto is a name by which JavaScript may change what an object inherits. It is taken for that of no field, nor for what a program
// may name a field after, such as the key of an entry.
const Proto = "__proto__"

// NotTaken goes on from what Proto was to be.
const NotTaken = Proto + ", by which JavaScript may change what an object inherits, is not taken"

// names are the names of an object's fields so far. Of each there is a word: a number that is not 0, the same for the same
// name however it is written. It lies in the first free slot from its own place on, 0 being a free one. A quarter of the
// slots is always free. Ordinary objects need no more than what lies on the stack.
type names struct {
	few   [1 << fewBits]uint64
	many  []uint64 // when the names are no longer few: a power of two
	count int
}

// tables are of manySlots, and free.
var tables = sync.Pool{New: func() any { return new([manySlots]uint64) }}

// The factors are odd and secret, so that nobody can choose names that meet in one place or in one word.
var (
	seed    = maphash.MakeSeed()
	factor1 = maphash.Bytes(seed, []byte{1}) | 1
	factor2 = maphash.Bytes(seed, []byte{2}) | 1
)

// skipName checks the field's name whose opening quotation mark is to be b[i], takes it, and returns the index after its
// closing one.
func (n *names) skipName(b []byte, i int) (int, *Error) {
	if i+9 > len(b) || b[i] != '"' {
		return n.skipOddName(b, i)
	}
	w, end := binary.LittleEndian.Uint64(b[i+1:]), i+1
	if odd := oddBytes(w); odd != 0 {
		length := bits.TrailingZeros64(odd) / 8
		end += length
		w = w&(odd&-odd>>7-1) | uint64(length+1)<<56 // as shortWord does
	} else {
		end = skipPlain(b, i+9)
		if end > i+17 || string(b[i+1:end]) == Proto {
			return n.skipOddName(b, i)
		}
		w = middleWord(b[i+1 : end])
	}
	if end >= len(b) || b[end] != '"' {
		return n.skipOddName(b, i)
	}
	if n.count >= fewNames {
		return n.take(b, i, end+1, w)
	}
	slot := w * factor1 >> (64 - fewBits)
	for n.few[slot] != 0 {
		if n.few[slot] == w {
			return i, twice(i, b[i+1:end])
		}
		slot = (slot + 1) % (1 << fewBits)
	}
	n.few[slot] = w
	n.count++
	return end + 1, nil
}

// skipOddName is skipName for a name that is long, has escapes or more than ASCII, or stands at the end of the text.
func (n *names) skipOddName(b []byte, i int) (int, *Error) {
	if i >= len(b) || b[i] != '"' {
		return i, unexpected(b, i, "a field's name in quotation marks")
	}
	end, err := skipString(b, i)
	if err != nil {
		return end, err
	}
	if end-i-2 > MaxName {
		return i, refused(i, fmt.Sprintf("a name of more than %d bytes", MaxName))
	}
	return n.take(b, i, end, word(b[i+1:end-1]))
}

// take takes the name that stands in b[i:end], in quotation marks, and answers end.
func (n *names) take(b []byte, i, end int, w uint64) (int, *Error) {
	switch {
	case w == protoWord:
		return i, refused(i, "the name "+NotTaken)
	case n.has(w):
		return i, twice(i, b[i+1:end-1])
	case n.count > MaxFields:
		return i, refused(i, fmt.Sprintf("an object of more than %d fields", MaxFields))
	}
	return end, nil
}

// has says whether w is there, and adds it.
func (n *names) has(w uint64) bool {
	slots := n.many
	if slots == nil {
		slots = n.few[:]
	}
	if n.count >= len(slots)/4*3 {
		slots = n.grow(slots)
	}
	i := find(slots, w)
	if slots[i] == w {
		return true
	}
	slots[i] = w
	n.count++
	return false
}

// grow moves the words into more slots.
func (n *names) grow(from []uint64) []uint64 {
	if n.many == nil {
		n.many = tables.Get().(*[manySlots]uint64)[:]
	} else {
		n.many = make([]uint64, 4*len(from))
	}
	for _, w := range from {
		if w != 0 {
			n.many[find(n.many, w)] = w
		}
	}
	return n.many
}

// find returns the index of w, or of the slot that it is to have.
func find(slots []uint64, w uint64) int {
	last := len(slots) - 1
	i := int(w * factor1 >> (64 - bits.Len(uint(last))))
	for slots[i] != 0 && slots[i] != w {
		i = (i + 1) & last
	}
	return i
}

// free gives back what the names hold beside themselves.
func (n *names) free() {
	if n.many != nil {
		n.freeMany()
	}
}

func (n *names) freeMany() {
	if len(n.many) == manySlots {
		clear(n.many)
		tables.Put((*[manySlots]uint64)(n.many))
	}
	n.many = nil
}

// word makes the word of a name of at most MaxName bytes. Of up to 7 bytes it is the name itself and its length, else a hash:
// that two names of an object share one has a chance of 1 in 2^64, which no writer can raise.
func word(name []byte) uint64 {
	if bytes.IndexByte(name, '\\') >= 0 {
		var space [MaxName]byte
		name = appendUnescaped(space[:0], name)
	}
	switch {
	case len(name) < 8:
		return shortWord(name)
	case len(name) <= 16:
		return middleWord(name)
	}
	return max(1, maphash.Bytes(seed, name))
}

func shortWord(name []byte) (w uint64) {
	for i, c := range name {
		w |= uint64(c) << (8 * i)
	}
	return w | uint64(len(name)+1)<<56
}

func middleWord(name []byte) uint64 {
	first, last := binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[len(name)-8:])
	high, low := bits.Mul64(first^factor1, last^factor2)
	return max(1, high^low+uint64(len(name))*factor2)
}

var protoWord = word([]byte(Proto))

func twice(i int, name []byte) *Error {
	return refused(i, fmt.Sprintf("the name %s stands twice in one object", excerpt(name)))
}

// excerpt shows a name as it is written, at most 64 bytes of it.
func excerpt(name []byte) string {
	const most = 64
	if len(name) <= most {
		return `"` + string(name) + `"`
	}
	n := most
	for !utf8.RuneStart(name[n]) {
		n--
	}
	return `"` + string(name[:n]) + `…`
}
