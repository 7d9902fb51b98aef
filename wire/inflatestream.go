package wire

import "sync"

// streamHistory is how far back a reference can lead (RFC 1951 §2), streamKeeps how many bytes
// of a message an [InflateStream] holds before it forgets the first ones.
const (
	streamHistory = 32 << 10
	streamKeeps   = 64 << 10
)

// InflateStream inflates one message as it comes, byte by byte if need be, and finds what is
// wrong with it as soon as the bits for that are there: text that is not UTF-8 (§8.1), a
// message over the limit, broken data. An [Inflater] needs the rest of a block for that, or
// holds 80 KiB while it waits. A stream holds 4 KiB, and at most 64 KiB of the message.
type InflateStream struct {
	now   Inflation
	bits  bitReader
	state streamState
	last  bool // the current block says that it is the last one
	text  utf8State
	err   error // of the message
	size  int64 // inflated so far

	// The end of the message, whose bytes from checked on have not been judged.
	out     []byte
	checked int

	stored int // bytes of a stored block that are still to come

	// A block's own codes.
	literals, distances huffman
	lengths             [maxLiterals + maxDistances]uint8
	literalCount        int
	distanceCount       int
	lengthCount         int // of the code for lengths
	read                int // of lengths
}

// streamState is what comes next.
type streamState uint8

const (
	atBlock   streamState = iota // the head of a block
	atStored                     // the length of a stored block
	inStored                     // its bytes
	atCounts                     // how many codes a dynamic block has
	inCode                       // the lengths of the code for lengths
	inLengths                    // the lengths of the other two
	inSymbols                    // a block's symbols
	atEnd                        // of a last block: nothing, or another block
)

var streams = sync.Pool{New: func() any { return new(InflateStream) }}

// Begin begins a message. The stream must be ended by End or Abort.
func (m Inflation) Begin() *InflateStream {
	s := streams.Get().(*InflateStream)
	s.now = m
	return s
}

// Add inflates the next bytes of the message, which are not kept. An error is an [*Error], and
// final: 1009 for a message over the limit, 1007 for broken data or text that is not UTF-8.
func (s *InflateStream) Add(p []byte) error {
	if s.err != nil {
		return s.err
	}
	s.bits.in = p
	err := s.run()
	s.bits.in = nil
	if broken := s.judge(); broken != nil {
		err = broken // it stands before whatever else is wrong
	}
	s.err = err
	return err
}

// End ends the message behind its last bytes, and gives the stream back. With whole the
// message is all there and belongs to the caller, and Window has it; else it is longer than
// what a stream keeps, and an [Inflater] has to inflate it.
func (s *InflateStream) End() (msg []byte, whole bool, err error) {
	defer s.Abort()
	if s.err == nil && !s.ended() { // else its sender left away the block that §7.2.3.4 wants behind a last one
		if err := s.Add([]byte(endOfMessage)); err == nil && !s.ended() {
			s.err = errDeflate
		}
	}
	if s.err == nil && s.now.Op == Text && s.text != utf8Whole {
		s.err = errText
	}
	if s.err != nil || int64(len(s.out)) < s.size {
		return nil, false, s.err
	}
	if s.now.Window != nil {
		s.now.Window.add(s.out)
	}
	return s.out, true, nil
}

// ended reports whether the message can end here: behind a last block.
func (s *InflateStream) ended() bool { return s.state == atEnd && s.bits.n == 0 }

// Abort gives the stream back.
func (s *InflateStream) Abort() {
	*s = InflateStream{}
	streams.Put(s)
}

// judge holds what has come out to UTF-8.
func (s *InflateStream) judge() error {
	if s.now.Op == Text {
		if s.text = s.text.over(s.out[s.checked:]); s.text == utf8Invalid {
			return errText
		}
	}
	s.checked = len(s.out)
	return nil
}

// run goes on as far as there are bytes.
func (s *InflateStream) run() error {
	for {
		more, err := s.step()
		if err != nil || !more {
			return err
		}
	}
}

// step takes one step. Without more, the next bytes of the message are needed.
func (s *InflateStream) step() (more bool, err error) {
	b := &s.bits
	b.load()
	switch s.state {
	case atEnd:
		if b.n == 0 {
			return false, nil
		}
		s.state = atBlock // §7.2.3.5: others may follow
		fallthrough
	case atBlock:
		if b.n < 3 {
			return false, nil
		}
		return true, s.begin(b.take(3))
	case atStored:
		if b.n < 32 {
			return false, nil
		}
		length, inverse := b.take(16), b.take(16)
		if length != inverse^0xffff {
			return false, errDeflate
		}
		s.stored, s.state = int(length), inStored
		return true, nil
	case inStored:
		return s.copyStored()
	case atCounts:
		if b.n < 14 {
			return false, nil
		}
		s.literalCount, s.distanceCount, s.lengthCount = 257+int(b.take(5)), 1+int(b.take(5)), 4+int(b.take(4))
		if s.literalCount > maxLiterals || s.distanceCount > maxDistances {
			return false, errDeflate
		}
		clear(s.lengths[:len(lengthOrder)])
		s.read, s.state = 0, inCode
		return true, nil
	case inCode:
		return s.readCode()
	case inLengths:
		return s.readLengths()
	}
	return s.readSymbols()
}

// begin begins a block with its three bits (RFC 1951 §3.2.3).
func (s *InflateStream) begin(head uint64) error {
	s.last = head&1 != 0
	switch head >> 1 {
	case 0:
		s.bits.align()
		s.state = atStored
	case 1:
		s.literals, s.distances, s.state = fixedLiterals, fixedDistances, inSymbols
	case 2:
		s.state = atCounts
	default:
		return errDeflate
	}
	return nil
}

// endBlock ends a block.
func (s *InflateStream) endBlock() {
	s.state = atBlock
	if s.last {
		s.bits.align()
		s.state = atEnd
	}
}

func (s *InflateStream) copyStored() (more bool, err error) {
	b := &s.bits
	for s.stored > 0 && b.n >= 8 {
		if err := s.put(byte(b.take(8))); err != nil {
			return false, err
		}
		s.stored--
	}
	n := min(s.stored, len(b.in), streamHistory)
	if err := s.room(n); err != nil {
		return false, err
	}
	s.out = append(s.out, b.in[:n]...)
	b.in = b.in[n:]
	if s.stored -= n; s.stored > 0 {
		return len(b.in) > 0, nil
	}
	s.endBlock()
	return true, nil
}

// readCode reads the lengths of the code in which the lengths of the other two are written.
func (s *InflateStream) readCode() (more bool, err error) {
	for ; s.read < s.lengthCount; s.read++ {
		if s.bits.load(); s.bits.n < 3 {
			return false, nil
		}
		s.lengths[lengthOrder[s.read]] = uint8(s.bits.take(3))
	}
	if !s.literals.build(s.lengths[:len(lengthOrder)]) {
		return false, errDeflate
	}
	s.read, s.state = 0, inLengths
	return true, nil
}

// readLengths reads the lengths of the codes for literals and for distances (RFC 1951 §3.2.7).
func (s *InflateStream) readLengths() (more bool, err error) {
	b, all := &s.bits, s.literalCount+s.distanceCount
	for s.read < all {
		b.load()
		symbol, size, err := s.literals.next(b.bits, b.n)
		if size == 0 {
			return false, err
		}
		if symbol < 16 {
			b.take(size)
			s.lengths[s.read] = uint8(symbol)
			s.read++
			continue
		}
		repeat := lengthRepeats[symbol-16]
		if b.n < size+repeat.extra {
			return false, nil
		}
		b.take(size)
		n, length := repeat.least+int(b.take(repeat.extra)), uint8(0)
		if s.read+n > all || symbol == 16 && s.read == 0 {
			return false, errDeflate
		}
		if symbol == 16 {
			length = s.lengths[s.read-1]
		}
		for range n {
			s.lengths[s.read] = length
			s.read++
		}
	}
	if !s.literals.build(s.lengths[:s.literalCount]) || !s.distances.build(s.lengths[s.literalCount:all]) {
		return false, errDeflate
	}
	s.state = inSymbols
	return true, nil
}

// readSymbols reads literals and references. One of which only a part is there is read again
// when there is more.
func (s *InflateStream) readSymbols() (more bool, err error) {
	b := &s.bits
	for {
		b.load()
		symbol, size, err := s.literals.next(b.bits, b.n)
		switch {
		case size == 0:
			return false, err
		case symbol < endOfBlock:
			b.take(size)
			if err := s.put(byte(symbol)); err != nil {
				return false, err
			}
			continue
		case symbol == endOfBlock:
			b.take(size)
			s.endBlock()
			return true, nil
		case symbol-endOfBlock > len(lengthCodes):
			return false, errDeflate
		}
		length := lengthCodes[symbol-endOfBlock-1]
		used := size + length.extra
		if b.n < used {
			return false, nil
		}
		n := length.least + int(b.bits>>size&(1<<length.extra-1))
		if symbol, size, err = s.distances.next(b.bits>>used, b.n-used); size == 0 {
			return false, err
		}
		if symbol >= len(distanceCodes) {
			return false, errDeflate
		}
		distance := distanceCodes[symbol]
		if used += size; b.n < used+distance.extra {
			return false, nil
		}
		back := distance.least + int(b.bits>>used&(1<<distance.extra-1))
		b.take(used + distance.extra)
		if err := s.copyFrom(back, n); err != nil {
			return false, err
		}
	}
}

// put appends one byte to the message.
func (s *InflateStream) put(c byte) error {
	if len(s.out) < cap(s.out) && (s.now.MaxBytes <= 0 || s.size < s.now.MaxBytes) {
		s.size++
	} else if err := s.room(1); err != nil {
		return err
	}
	s.out = append(s.out, c)
	return nil
}

// copyFrom repeats n bytes that stand so far back in the message, or in earlier ones.
func (s *InflateStream) copyFrom(back, n int) error {
	if err := s.room(n); err != nil {
		return err
	}
	if before := back - len(s.out); before > 0 {
		// Nothing of this one has been forgotten then: what is kept is all that can be reached.
		if s.now.Window == nil || before > len(s.now.Window.b) {
			return errDeflate
		}
		from := s.now.Window.last(before)
		from = from[:min(n, len(from))]
		s.out = append(s.out, from...)
		n -= len(from)
	}
	for n > 0 { // what is repeated may be what has just been appended
		from := s.out[len(s.out)-back:]
		from = from[:min(n, len(from))]
		s.out = append(s.out, from...)
		n -= len(from)
	}
	return nil
}

// room sees to it that n bytes, at most streamHistory, can be appended, and counts them.
func (s *InflateStream) room(n int) error {
	if s.size += int64(n); s.now.MaxBytes > 0 && s.size > s.now.MaxBytes {
		return errInflated
	}
	if len(s.out)+n > streamKeeps {
		if err := s.judge(); err != nil {
			return err
		}
		s.out = s.out[:copy(s.out, s.out[len(s.out)-streamHistory:])]
		s.checked = len(s.out)
	}
	if need := len(s.out) + n; need > cap(s.out) {
		size := max(need, 2*cap(s.out), 512)
		if most := s.now.MaxBytes; most > 0 && int64(size) > most {
			size = int(most) // which need is within
		}
		grown := make([]byte, len(s.out), min(size, streamKeeps))
		copy(grown, s.out)
		s.out = grown
	}
	return nil
}
