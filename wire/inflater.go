package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"
)

// endOfMessage is what a sender leaves away from the end of a message and a receiver puts
// back (RFC 7692 §7.2.2), and behind it an empty last block, so that the inflater ends
// cleanly exactly when the message's own blocks did.
const endOfMessage = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

// Inflation is what an [Inflater] must know of a message.
type Inflation struct {
	Op       Opcode  // Text is checked to be UTF-8 (§8.1)
	MaxBytes int64   // limit of the inflated size, in bytes; 0 for none
	Window   *Window // the connection's, where the sender may refer to earlier messages; else nil
}

// Inflater undoes the compression of messages (RFC 7692 §6.2, §7.2.2), which the
// [Decoder] hands out as they came. It holds about 80 KiB and nothing of a connection:
// one serves all connections of a loop, or a pool of them all goroutines, one message at a
// time each. What a connection must remember, if anything, is its [Window].
//
// A message is inflated whole by [Inflater.Append], or as it comes by [Inflater.Open] and
// Read. Both stop where the limit is reached: of a message made to explode no more than
// that is ever inflated.
//
// One sort of broken data passes: where a block has no code for distances and refers back
// all the same, the library below goes by the code of an earlier block, which may be of an
// earlier message. An [InflateStream] refuses that.
type Inflater struct {
	flate  io.ReadCloser
	in     *bufio.Reader // of src: what follows a last block must be found where it stands
	src    messageSource
	whole  bytes.Reader // the source of Append
	window Window       // of the current message, where the connection has none
	now    Inflation
	size   int64 // inflated so far
	text   utf8State
	err    error // of the current message, io.EOF at its end
}

// NewInflater returns an inflater, ready for any number of messages.
func NewInflater() *Inflater {
	f := &Inflater{window: Window{size: 1 << maxWindowBits}, err: io.EOF}
	f.in = bufio.NewReader(&f.src)
	f.flate = flate.NewReader(f.in)
	return f
}

// Append appends to dst what the whole message compressed was, and returns the extended
// slice. It is grown by no more than m.MaxBytes. An error is an [*Error]: 1009 for a
// message over the limit, 1007 for broken data or text that is not UTF-8.
func (f *Inflater) Append(dst, compressed []byte, m Inflation) ([]byte, error) {
	f.whole.Reset(compressed)
	defer f.whole.Reset(nil)
	f.Open(&f.whole, m)
	start := len(dst)
	for {
		if len(dst) == cap(dst) {
			dst = f.grow(dst, start, len(compressed))
		}
		room := dst[len(dst):cap(dst)]
		if len(room) == 0 {
			var one [1]byte // at the limit: nothing may come, but the message's end
			room = one[:]
		}
		n, err := f.Read(room)
		if err != nil && err != io.EOF {
			return dst[:start], err
		}
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
	}
}

// grow returns dst with more room, unless its message has reached the limit.
func (f *Inflater) grow(dst []byte, start, compressed int) []byte {
	const least = 512
	size := max(2*cap(dst), start+3*compressed, start+least) // text shrinks to a third or less
	if most := f.now.MaxBytes; most > 0 && int64(size-start) > most {
		size = start + int(most)
	}
	if size <= cap(dst) {
		return dst
	}
	grown := make([]byte, len(dst), size)
	copy(grown, dst)
	return grown
}

// Open begins a message, whose compressed bytes are all that src has. What a message
// before has left unread is forgotten: where the connection goes on after that, it must
// not have a Window.
func (f *Inflater) Open(src io.Reader, m Inflation) {
	f.src = messageSource{r: src}
	f.in.Reset(&f.src)
	f.now, f.size, f.text, f.err = m, 0, utf8Whole, nil
	if f.now.Window == nil {
		f.window.b = f.window.b[:0]
		f.now.Window = &f.window
	}
	f.restart()
}

// Read inflates the next bytes of the message that Open began. At its end it returns
// io.EOF, with the last bytes or behind them. Other errors are final: those of
// [Inflater.Append], and what src returned.
func (f *Inflater) Read(p []byte) (n int, err error) {
	if f.err != nil || len(p) == 0 {
		return 0, f.err
	}
	for n == 0 && f.err == nil {
		n, err = f.flate.Read(p)
		if broken := f.take(p[:n]); broken != nil {
			return 0, f.finish(broken)
		}
		if err != nil {
			f.ended(err)
		}
	}
	return n, f.err
}

// take holds p, the next piece of the message, to its limit and to UTF-8.
func (f *Inflater) take(p []byte) error {
	f.size += int64(len(p))
	if f.now.MaxBytes > 0 && f.size > f.now.MaxBytes {
		return errInflated
	}
	if f.now.Op == Text {
		if f.text = f.text.over(p); f.text == utf8Invalid {
			return errText
		}
	}
	f.now.Window.add(p)
	return nil
}

// ended judges why the flate reader ended: at the message's end, at a block marked as the
// last one though others follow (RFC 7692 §7.2.3.4 and §7.2.3.5), or for an error.
func (f *Inflater) ended(err error) {
	switch {
	case f.src.err != nil:
		f.finish(f.src.err)
		return
	case err != io.EOF:
		f.finish(errDeflate)
		return
	}
	rest, err := f.in.Peek(len(endOfMessage) + 1)
	switch {
	case f.src.err != nil:
		f.finish(f.src.err)
	case err == io.EOF && (len(rest) == 0 || string(rest) == endOfMessage):
		// The second is a sender that ends with a last block and leaves away the empty one
		// that §7.2.3.4 wants behind it: there is no other way to understand it.
		if f.now.Op == Text && f.text != utf8Whole {
			f.finish(errText)
		} else {
			f.finish(io.EOF)
		}
	default:
		f.restart()
	}
}

// restart begins with a new block, which may refer to what is in the window.
func (f *Inflater) restart() {
	// It fails for no reader; the type is what flate promises of it.
	_ = f.flate.(flate.Resetter).Reset(f.in, f.now.Window.b)
}

// finish ends the message and forgets whom it came from.
func (f *Inflater) finish(err error) error {
	f.err, f.now, f.src.r = err, Inflation{}, nil
	return err
}

// messageSource is a message as it comes, and the end its sender left away.
type messageSource struct {
	r    io.Reader
	done bool  // r has ended
	tail int   // bytes of endOfMessage that were read
	err  error // why r failed
}

func (s *messageSource) Read(p []byte) (n int, err error) {
	for !s.done && s.err == nil && n == 0 {
		n, err = s.r.Read(p)
		if s.done = errors.Is(err, io.EOF); !s.done {
			s.err = err
		}
	}
	switch {
	case n > 0:
		return n, nil
	case s.err != nil:
		return 0, s.err
	case s.tail == len(endOfMessage):
		return 0, io.EOF
	}
	n = copy(p, endOfMessage[s.tail:])
	s.tail += n
	return n, nil
}
