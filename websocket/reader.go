package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"

	"hocket.dev/wire"
)

// errPassed is what the reader of a message returns when the connection has gone on.
var errPassed = errors.New("websocket: read: the message has been passed over by a later read, or by Close")

// NextReader returns the next message as a stream, as soon as its first bytes are there,
// so that a large one need not be held whole. The limit of [Conn.SetReadLimit] holds for
// it, too. It blocks and fails as [Conn.Read] does. What is left of a message is dropped by
// the next call of Read or NextReader.
//
// ctx also bounds the stream. When it ends amid a message the connection goes on, with the
// next message.
func (c *Conn) NextReader(ctx context.Context) (MessageType, *MessageReader, error) {
	if err := c.acquire(ctx, c.reading, "read"); err != nil {
		return 0, nil, err
	}
	defer func() { <-c.reading }()
	if err := c.skip(ctx); err != nil {
		return 0, nil, err
	}
	ev, err := c.next(ctx)
	if err != nil {
		return 0, nil, err
	}
	r := &MessageReader{c: c, ctx: ctx, piece: ev.Payload, last: ev.Last}
	c.ahead.drop()
	if begun := c.whole.Take(); begun != nil { // by a Read that its context ended
		r.piece = append(begun, ev.Payload...)
	}
	if ev.Compressed {
		r.inflater = inflaters.Get().(*wire.Inflater)
		r.inflater.Open(pieces{r}, c.inflation(ev.Op))
	}
	c.open = r
	return MessageType(ev.Op), r, nil
}

// MessageReader is a message that is read as it comes, from [Conn.NextReader]. Like a Conn
// it is read by one goroutine at a time.
type MessageReader struct {
	c   *Conn
	ctx context.Context // of NextReader: a Reader's call has none of its own

	// The reader's.
	piece    []byte         // of the current frame, in the connection's buffer
	last     bool           // nothing follows piece
	inflater *wire.Inflater // nil unless the message is compressed
}

// Read implements io.Reader. At the message's end it returns io.EOF; its other errors are
// those of [Conn.Read].
func (r *MessageReader) Read(p []byte) (int, error) {
	c := r.c
	if err := c.acquire(r.ctx, c.reading, "read"); err != nil {
		return 0, err
	}
	defer func() { <-c.reading }()
	if c.open != r {
		if r.last && len(r.piece) == 0 {
			return 0, io.EOF
		}
		return 0, errPassed
	}
	return r.read(p)
}

// read is Read in the reader's turn.
func (r *MessageReader) read(p []byte) (n int, err error) {
	if r.inflater != nil {
		n, err = r.inflater.Read(p)
	} else {
		n, err = pieces{r}.Read(p)
	}
	var broken *wire.Error
	switch {
	case err == io.EOF:
		r.leave()
	case errors.As(err, &broken) && r.c.reason() == nil:
		err = r.c.fail(err) // the inflater found it; what the decoder finds has been told
	}
	return n, err
}

// abandon ends the message before its end has been read. r may be nil.
func (r *MessageReader) abandon() {
	if r != nil {
		r.leave()
		r.last = false // so that Read tells it from the end
	}
}

// leave ends the message: nothing of it is read any more.
func (r *MessageReader) leave() {
	if r.inflater != nil {
		inflaters.Put(r.inflater)
		r.inflater = nil
	}
	r.piece = nil
	r.c.open = nil
}

// skip drops what is left of the message that NextReader began.
func (c *Conn) skip(ctx context.Context) error {
	r := c.open
	if r == nil {
		return nil
	}
	if r.inflater != nil && c.deflate.received != nil {
		return c.skipInflating(ctx, r)
	}
	for !r.last {
		ev, err := c.next(ctx)
		if err != nil {
			return err
		}
		r.last = ev.Last
	}
	r.abandon()
	return nil
}

// skipInflating drops the rest of a message to which later ones may refer.
func (c *Conn) skipInflating(ctx context.Context, r *MessageReader) error {
	r.ctx = ctx
	_, err := io.Copy(io.Discard, readerFunc(r.read))
	r.last = false
	if err != nil {
		if c.reason() != nil {
			return err
		}
		// The inflater cannot go on where it was interrupted, and without it nothing that
		// follows can be understood.
		return c.end(fmt.Errorf("websocket: read: a compressed message was given up in its middle: %w", err))
	}
	return nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// pieces reads a message as its frames hold it.
type pieces struct{ r *MessageReader }

func (s pieces) Read(p []byte) (int, error) {
	r := s.r
	for len(r.piece) == 0 {
		if r.last {
			return 0, io.EOF
		}
		ev, err := r.c.next(r.ctx)
		if err != nil {
			return 0, err
		}
		r.piece, r.last = ev.Payload, ev.Last
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}
