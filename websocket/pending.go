package websocket

import "errors"

// PendingPolicy says what becomes of a message for a [Socket] or [Conn] to which as many
// bytes are pending as may be.
type PendingPolicy uint8

const (
	// PendingWait refuses the message with [ErrPendingFull] and calls Handler.Writable when
	// there is room again. On a Conn, Write waits for room.
	PendingWait PendingPolicy = iota
	// PendingDrop refuses the message with [ErrPendingFull], and that is all: the program
	// counts or forgets it.
	PendingDrop
	// PendingClose refuses the message with [ErrPendingFull] and ends the connection with
	// [ClosePolicy].
	PendingClose
)

// String returns "wait", "drop" or "close".
func (p PendingPolicy) String() string {
	switch p {
	case PendingWait:
		return "wait"
	case PendingDrop:
		return "drop"
	}
	return "close"
}

// ErrPendingFull is the error of a write to a [Socket] or [Conn] to which as many bytes are
// pending as may be. The message was not taken.
var ErrPendingFull = errors.New("websocket: write: too many bytes are pending")
