package wire

// Window is the memory that context takeover needs (RFC 7692 §7.1.1): the last bytes of
// the messages of one direction, as they were before compression. It is all that a
// connection keeps between two messages; compressors and inflaters are shared. Only a
// connection that agreed upon context takeover has one, for each direction that uses it.
// It takes memory as it fills, up to its size.
type Window struct {
	b    []byte
	size int
}

// NewWindow returns an empty window of 1<<bits bytes, 8 to 15 as in
// [Deflate.ReceiveBits].
func NewWindow(bits int) *Window { return &Window{size: 1 << bits} }

// Add remembers p, a message that went out compressed without the window's help, as
// [AppendDeflated] makes it; what a [Deflation] or [Inflation] has the window for is added
// by itself.
func (w *Window) Add(p []byte) { w.add(p) }

// add remembers p, and forgets what is more than the window's size behind its end.
func (w *Window) add(p []byte) {
	if len(p) >= w.size {
		p = p[len(p)-w.size:]
		w.b = w.b[:0]
	} else if over := len(w.b) + len(p) - w.size; over > 0 {
		w.b = w.b[:copy(w.b, w.b[over:])]
	}
	if need := len(w.b) + len(p); need > cap(w.b) {
		grown := make([]byte, len(w.b), min(w.size, max(need, 2*cap(w.b))))
		copy(grown, w.b)
		w.b = grown
	}
	w.b = append(w.b, p...)
}

// last returns the last n bytes, or as many as there are.
func (w *Window) last(n int) []byte {
	if w == nil || n <= 0 {
		return nil
	}
	return w.b[max(len(w.b)-n, 0):]
}
