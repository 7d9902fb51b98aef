package websocket

import (
	"sync/atomic"

	"hocket.dev/wire"
)

// maxLookaheads is how many compressed texts, of all connections of the process, are looked into
// while they come. Each takes up to 68 KiB for that, which a peer could otherwise have for a few
// bytes; what is wrong with one more is found when it is whole.
const maxLookaheads = 1024

// lookaheads counts them.
var lookaheads atomic.Int64

// A lookahead inflates a compressed text that comes in parts, so that what is no UTF-8 is found
// where it stands (RFC 6455 §8.1), as in one that is not compressed. Its zero value is ready.
type lookahead struct {
	stream  *wire.InflateStream // nil while there is no such message, or there were too many
	counted atomic.Bool         // among lookaheads
}

// add looks at a piece of a message, which is not the whole of it. m is what its first begins.
func (l *lookahead) add(ev wire.Event, m wire.Inflation) error {
	if ev.First && ev.Op == wire.Text {
		l.drop()
		if lookaheads.Add(1) > maxLookaheads {
			lookaheads.Add(-1)
		} else {
			l.counted.Store(true)
			l.stream = m.Begin()
		}
	}
	if l.stream == nil {
		return nil
	}
	return l.stream.Add(ev.Payload)
}

// end returns the message whose last piece was added, unless the whole of it is still to be
// inflated.
func (l *lookahead) end() (msg []byte, whole bool, err error) {
	if l.stream == nil {
		return nil, false, nil
	}
	msg, whole, err = l.stream.End()
	l.stream = nil
	l.uncount()
	return msg, whole, err
}

// drop gives up the message.
func (l *lookahead) drop() {
	if l.stream != nil {
		l.stream.Abort()
		l.stream = nil
	}
	l.uncount()
}

// uncount is the part of drop that others than the reader may call, when they end the
// connection.
func (l *lookahead) uncount() {
	if l.counted.Swap(false) {
		lookaheads.Add(-1)
	}
}
