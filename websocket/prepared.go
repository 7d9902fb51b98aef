package websocket

import (
	"fmt"
	"unicode/utf8"

	"hocket.dev/wire"
)

// PreparedMessage is a message whose frame is made once and sent to many. It does not
// change and may be used from any goroutine.
type PreparedMessage struct {
	frame []byte // whole and unmasked, as a server sends it
}

// NewPreparedMessage makes the frame of a message. p is copied. The errors are those of
// a Write of the same message: a type that is none, or [ErrNotUTF8].
func NewPreparedMessage(typ MessageType, p []byte) (*PreparedMessage, error) {
	if err := checkMessage(typ, p); err != nil {
		return nil, err
	}
	frame := make([]byte, 0, wire.MaxHeaderBytes+len(p))
	return &PreparedMessage{frame: wire.AppendFrame(frame, wire.Opcode(typ), p)}, nil
}

// checkMessage says whether a message may be sent.
func checkMessage(typ MessageType, p []byte) error {
	switch {
	case typ != Text && typ != Binary:
		return fmt.Errorf("websocket: write: message type %d is neither Text nor Binary", typ)
	case typ == Text && !utf8.Valid(p):
		return fmt.Errorf("websocket: write: %w", ErrNotUTF8)
	}
	return nil
}
