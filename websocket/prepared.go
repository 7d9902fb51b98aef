package websocket

import (
	"context"
	"fmt"
	"sync"
	"unicode/utf8"

	"hocket.dev/wire"
)

// PreparedMessage is a message for many connections: it is checked, compressed and put
// into a frame once for all that can share the result. That is one result without
// compression, and one for each window and level that the connections agreed upon, made
// when the first of them asks. Its methods may be called from any goroutine.
type PreparedMessage struct {
	typ     MessageType
	payload []byte

	mu    sync.Mutex
	forms map[preparedKey]*prepared
}

// preparedKey says which connections share a form.
type preparedKey struct{ windowBits, level int } // zero without compression

// prepared is a message as some connections send it.
type prepared struct {
	once       sync.Once
	compressed bool
	frame      []byte // as a server sends it
	payload    []byte // the end of frame: a client masks it anew each time
}

// NewPreparedMessage prepares p, which is kept and must not be changed any more. The error
// is [ErrNotUTF8] for text that is not.
func NewPreparedMessage(typ MessageType, p []byte) (*PreparedMessage, error) {
	if err := checkMessage(typ, p); err != nil {
		return nil, err
	}
	return &PreparedMessage{typ: typ, payload: p, forms: make(map[preparedKey]*prepared)}, nil
}

// WritePrepared is [Conn.Write] for a prepared message.
func (c *Conn) WritePrepared(ctx context.Context, m *PreparedMessage) error {
	if c.queue != nil {
		return c.enqueue(ctx, queued{prepared: m})
	}
	return c.sendPrepared(ctx, m)
}

// sendPrepared is sendMessage for a prepared message.
func (c *Conn) sendPrepared(ctx context.Context, m *PreparedMessage) error {
	var key preparedKey
	if c.deflate.wants(len(m.payload)) {
		key = preparedKey{c.deflate.send.WindowBits, sharedLevel(c.deflate.send.Level)}
	}
	p := m.form(key)
	if err := c.acquireMessage(ctx); err != nil {
		return err
	}
	defer c.releaseWriting()
	if c.closeSent {
		return errClosed
	}
	if p.compressed && c.deflate.send.Window != nil {
		c.deflate.send.Window.Add(m.payload) // the receiver remembers it, too
	}
	if c.role == wire.Server {
		return c.writeBytes(ctx, p.frame)
	}
	return c.write(ctx, frame{op: wire.Opcode(m.typ), last: true, compressed: p.compressed}, p.payload)
}

// form returns the message as connections of key send it.
func (m *PreparedMessage) form(key preparedKey) *prepared {
	m.mu.Lock()
	p := m.forms[key]
	if p == nil {
		p = new(prepared)
		m.forms[key] = p
	}
	m.mu.Unlock()
	p.once.Do(func() { p.make(m, key) })
	return p
}

// make fills in p.
func (p *prepared) make(m *PreparedMessage, key preparedKey) {
	op := wire.Opcode(m.typ)
	p.payload = m.payload
	if key.windowBits > 0 {
		s := scratches.Get().(*scratch)
		defer s.done()
		s.b = wire.AppendDeflated(s.b[:0], m.payload, key.windowBits, key.level)
		if p.compressed = len(s.b) < len(m.payload); p.compressed {
			p.frame = wire.AppendCompressedFrame(make([]byte, 0, len(s.b)+wire.MaxHeaderBytes), op, s.b)
			p.payload = p.frame[len(p.frame)-len(s.b):]
			return
		}
	}
	p.frame = wire.AppendFrame(make([]byte, 0, len(m.payload)+wire.MaxHeaderBytes), op, m.payload)
}

// checkMessage refuses what is no message.
func checkMessage(typ MessageType, p []byte) error {
	switch {
	case typ != Text && typ != Binary:
		return fmt.Errorf("websocket: write: message type %d is neither Text nor Binary", typ)
	case typ == Text && !utf8.Valid(p):
		return fmt.Errorf("websocket: write: %w", ErrNotUTF8)
	}
	return nil
}
