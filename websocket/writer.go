package websocket

import (
	"context"
	"fmt"
	"unicode/utf8"

	"hocket.dev/wire"
)

// streamBytes is how much a MessageWriter gathers before it sends a frame.
const streamBytes = 4096

// NextWriter begins a message that is written as a stream, so that a large one need not be
// held whole. It waits for its turn; from then until Close no other message can be sent on
// the connection, but pings, pongs and close frames can. ctx bounds the whole message: when
// it ends once a part of it has been sent, the connection is over. With [Pending] it comes
// behind what Write has taken before, and what Write takes meanwhile comes behind it.
func (c *Conn) NextWriter(ctx context.Context, typ MessageType) (*MessageWriter, error) {
	if err := checkMessage(typ, nil); err != nil {
		return nil, err
	}
	if err := c.sendAll(ctx, false); err != nil {
		return nil, err
	}
	if err := c.acquireMessage(ctx); err != nil {
		return nil, err
	}
	defer c.releaseWriting()
	if c.closeSent {
		return nil, errClosed
	}
	c.stream = make(chan struct{})
	return &MessageWriter{c: c, ctx: ctx, op: wire.Opcode(typ), text: typ == Text}, nil
}

// MessageWriter sends one message piece by piece, from [Conn.NextWriter]. One goroutine
// uses it, and must Close it.
type MessageWriter struct {
	c       *Conn
	ctx     context.Context // of NextWriter: a Writer's calls have none of their own
	op      wire.Opcode     // of the next frame
	text    bool
	begun   bool   // a frame has been sent
	buf     []byte // of what was written, not yet sent or compressed
	cut     int    // bytes at the end of what was written that begin a character
	rune    [utf8.UTFMax]byte
	deflate *wire.DeflateStream // nil unless the message is compressed
	packed  []byte              // compressed, not yet sent
	err     error               // why it is over
}

// Write adds p to the message. p is not kept and not changed. Text that is not UTF-8 is
// refused with [ErrNotUTF8] and nothing of p is sent, so that the message can go on
// otherwise; a character may be cut by the end of p. Other errors are final, and those of
// [Conn.Write].
func (w *MessageWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.text && !w.check(p) {
		return 0, fmt.Errorf("websocket: write: %w", ErrNotUTF8)
	}
	if len(w.buf)+len(p) <= streamBytes {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if !w.begun && w.deflate == nil && w.c.deflate.wants(len(w.buf)+len(p)) {
		w.deflate = w.c.deflate.send.Begin()
	}
	if err := w.push(w.buf); err != nil {
		return 0, err
	}
	w.buf = w.buf[:0]
	if err := w.push(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush sends what has been written, so that the receiver can have it before the message
// ends.
func (w *MessageWriter) Flush() error {
	if w.err != nil {
		return w.err
	}
	if !w.begun && w.deflate == nil && w.c.deflate.wants(len(w.buf)) {
		w.deflate = w.c.deflate.send.Begin()
	}
	if err := w.push(w.buf); err != nil {
		return err
	}
	w.buf = w.buf[:0]
	if w.deflate == nil {
		return nil
	}
	w.packed = w.deflate.Flush(w.packed)
	return w.sendPacked(0)
}

// Close sends the rest of the message and ends it. When text ends inside a character the
// message cannot be ended: then the connection is over, and the error is [ErrNotUTF8].
// Calls after the first return an error and do nothing.
func (w *MessageWriter) Close() error {
	if w.err != nil {
		return w.err
	}
	if w.cut > 0 {
		err := w.c.end(fmt.Errorf("websocket: write: the message ends inside a character: %w", ErrNotUTF8))
		w.finish(err)
		return err
	}
	err := w.closeMessage()
	w.finish(errDone)
	return err
}

// errDone is what a MessageWriter returns when it has been closed.
var errDone = fmt.Errorf("websocket: write: the message has ended: %w", errClosed)

// closeMessage sends the last frame, which is the only one of a small message.
func (w *MessageWriter) closeMessage() error {
	if !w.begun && w.deflate == nil && w.c.deflate.wants(len(w.buf)) {
		w.deflate = w.c.deflate.send.Begin()
	}
	if w.deflate == nil {
		return w.frame(w.buf, true)
	}
	w.packed = w.deflate.End(w.deflate.Append(w.packed, w.buf))
	return w.frame(w.packed, true)
}

// push sends p, or compresses it and sends what is ready.
func (w *MessageWriter) push(p []byte) error {
	switch {
	case len(p) == 0:
		return nil
	case w.deflate == nil:
		return w.frame(p, false)
	}
	w.packed = w.deflate.Append(w.packed, p)
	return w.sendPacked(streamBytes)
}

// sendPacked sends what has been compressed, unless it is less than enough.
func (w *MessageWriter) sendPacked(enough int) error {
	if len(w.packed) <= enough {
		return nil
	}
	err := w.frame(w.packed, false)
	w.packed = w.packed[:0]
	return err
}

// frame sends one frame of the message, in its turn between control frames.
func (w *MessageWriter) frame(p []byte, last bool) error {
	c := w.c
	if err := c.acquire(w.ctx, c.writing, "write"); err != nil {
		if w.begun && c.reason() == nil {
			_ = c.end(&CloseError{Code: wire.CloseAbnormal, Err: err}) // half a message can never be ended
		}
		w.finish(err)
		return err
	}
	if c.closeSent {
		c.releaseWriting()
		w.finish(errClosed)
		return errClosed
	}
	f := frame{op: w.op, last: last, compressed: w.deflate != nil && !w.begun}
	w.op, w.begun = wire.Continuation, true
	err := c.write(w.ctx, f, p)
	c.releaseWriting()
	if err != nil {
		w.finish(err)
	}
	return err
}

// finish gives up the message's turn.
func (w *MessageWriter) finish(err error) {
	if w.err != nil {
		return
	}
	w.err = err
	if w.deflate != nil {
		w.deflate.Abort()
	}
	w.buf, w.packed = nil, nil
	c := w.c
	// Nobody else sets or clears stream while it is this message's, and nobody reads it
	// but in their turn, which they can have only by way of the channel.
	c.writing <- struct{}{}
	close(c.stream)
	c.stream = nil
	c.releaseWriting()
}

// check reports whether p goes on with a text in UTF-8, and remembers a character that it
// cuts.
func (w *MessageWriter) check(p []byte) bool {
	first := w.rune[:w.cut]
	for w.cut > 0 && len(p) > 0 && !utf8.FullRune(first) {
		first, p = append(first, p[0]), p[1:]
	}
	switch {
	case len(first) > 0 && !utf8.FullRune(first):
		return w.remember(first)
	case !utf8.Valid(first):
		return false
	}
	end := len(p)
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if utf8.RuneStart(p[len(p)-i]) {
			if !utf8.FullRune(p[len(p)-i:]) {
				end = len(p) - i
			}
			break
		}
	}
	if !utf8.Valid(p[:end]) {
		return false
	}
	return w.remember(p[end:])
}

// remember keeps the beginning of a character. It does not tell hopeless ones: the rest
// will.
func (w *MessageWriter) remember(begun []byte) bool {
	w.cut = copy(w.rune[:], begun)
	return true
}
