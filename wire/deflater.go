package wire

import (
	"github.com/klauspost/compress/flate"
)

// DefaultLevel is the compression level that 0 stands for. Of a 1 KiB order book it
// leaves 41.4% in 10 µs; level 1 43.2% in 9 µs, level 6 41.7% in 12 µs, level 9 39.7% in
// 39 µs (BenchmarkAppendDeflated, one core of a 2-core EPYC).
const DefaultLevel = 3

// SharedLevel suits a message that is compressed once and sent to many: of the order book
// of bench/payload it leaves 40.1% where DefaultLevel leaves 42.5, for a few times the work.
const SharedLevel = 7

// Deflation is how a message is compressed. Its zero value is right for every receiver
// that set no window.
type Deflation struct {
	// WindowBits is the window promised to the receiver, from [Deflate.SendBits]: 8 to 15,
	// 0 for 15. No reference goes further back than 1<<WindowBits bytes.
	WindowBits int
	// Level is 1, fastest, to 9, smallest; 0 is DefaultLevel. Messages longer than a window
	// below 15 bits have one level only, near 5.
	Level int
	// Window holds the earlier messages of the same connection, where the message may
	// refer to them; nil for none. Then the result is for that connection alone. It may be
	// smaller than the window promised: of 1 KiB order books one after another, 4 KiB leave
	// 32% in 30 µs each, 32 KiB 31% in 97 µs, no window 41% in 10 µs.
	Window *Window
}

// AppendDeflated appends payload, compressed as a message of its own (RFC 7692 §7.2.1
// without context takeover), to dst and returns the extended slice. The result fits every
// receiver that allows the window, so that a message for many is compressed once; see
// [AppendCompressedFrame]. It can be longer than payload: then the message should go out
// as it is. windowBits and level are those of [Deflation].
//
// The compressor (0.8 to 1.2 MB, from about 128 bytes of payload on) is taken from a pool
// and given back before the call returns. The pool holds as many as have been used at
// once, until the garbage collector frees them.
func AppendDeflated(dst, payload []byte, windowBits, level int) []byte {
	return Deflation{WindowBits: windowBits, Level: level}.Append(dst, payload)
}

// Append is [AppendDeflated] with the values of d. With a Window, payload is added to it,
// so the result must be sent, and in this order.
func (d Deflation) Append(dst, payload []byte) []byte {
	if len(payload) == 0 {
		return append(dst, 0) // RFC 7692 §7.2.3.6
	}
	if history, ok := d.small(len(payload)); ok {
		dst = appendStateless(dst, payload, history)
		if d.Window != nil {
			d.Window.add(payload)
		}
		return dst
	}
	c := d.begin(len(payload))
	c.out.b = dst // compress right behind dst
	c.compress(payload)
	c.flush()
	dst = c.out.b
	c.release()
	if d.Window != nil {
		d.Window.add(payload)
	}
	return dst[:len(dst)-len(syncMarker)]
}

// small reports whether a message of n bytes is better compressed without any state, and
// after which history. Below 128 bytes the library's compressors search for no repetitions
// (they give 105% where this gives 88), and so use no history either.
func (d Deflation) small(n int) (history []byte, ok bool) {
	const most, mostHistory = 128, 4 << 10 // 8 KiB would cost 12 µs a message
	if n >= most {
		return nil, false
	}
	return d.Window.last(min(mostHistory, 1<<d.bits()-n)), true
}

// syncMarker ends what a compressor flushes, and is left away at a message's end
// (RFC 7692 §7.2.1, step 3).
const syncMarker = "\x00\x00\xff\xff"

// appendStateless compresses a small message.
func appendStateless(dst, payload, history []byte) []byte {
	out := smallOutputs.Get().(*memory)
	out.b = dst
	_ = flate.StatelessDeflate(out, payload, false, history) // memory does not fail
	dst = out.b
	out.b = nil
	smallOutputs.Put(out)
	return dst[:len(dst)-len(syncMarker)]
}

// bits returns the window with its default.
func (d Deflation) bits() int {
	if d.WindowBits <= 0 {
		return maxWindowBits
	}
	return max(minWindowBits, min(d.WindowBits, maxWindowBits))
}

// level returns the level with its default.
func (d Deflation) level() int {
	if d.Level <= 0 {
		return DefaultLevel
	}
	return min(d.Level, flate.BestCompression)
}

// DeflateStream compresses one message as it is written, for who does not want to hold it
// whole. It holds a compressor from [Deflation.Begin] until End or Abort.
type DeflateStream struct {
	*compressor
	window *Window
	begun  bool
}

// Begin begins a message.
func (d Deflation) Begin() *DeflateStream {
	const unknown = 1 << 30
	return &DeflateStream{compressor: d.begin(unknown), window: d.Window}
}

// Append compresses p, which is not kept, and appends to dst what is ready to be sent:
// often nothing.
func (s *DeflateStream) Append(dst, p []byte) []byte {
	s.begun = s.begun || len(p) > 0
	s.compress(p)
	if s.window != nil {
		s.window.add(p)
	}
	return s.take(dst)
}

// Flush appends to dst what the receiver needs to have everything appended so far.
func (s *DeflateStream) Flush(dst []byte) []byte {
	if !s.begun {
		return dst
	}
	s.flush()
	// All of it, unlike at the end: inflaters hand out what is before the marker once they
	// have seen it.
	dst = append(dst, s.out.b...)
	s.out.b = s.out.b[:0]
	return dst
}

// End appends the last bytes of the message, at least one. s must not be used any more.
func (s *DeflateStream) End(dst []byte) []byte {
	s.flush()
	dst = append(dst, s.out.b[:len(s.out.b)-len(syncMarker)]...)
	s.Abort()
	return dst
}

// Abort gives up the message. With a Window, the connection must not go on.
func (s *DeflateStream) Abort() {
	if s.compressor != nil {
		s.out.b = nil
		s.release()
		s.compressor = nil
	}
}

// take appends what can be sent without knowing whether the message ends here.
func (s *DeflateStream) take(dst []byte) []byte {
	ready := max(len(s.out.b)-len(syncMarker), 0)
	dst = append(dst, s.out.b[:ready]...)
	s.out.b = append(s.out.b[:0], s.out.b[ready:]...)
	return dst
}
