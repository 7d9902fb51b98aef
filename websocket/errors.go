package websocket

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	"hocket.dev/wire"
)

// CloseCode is the status code of a close frame (RFC 6455 §7.4).
type CloseCode = wire.CloseCode

// The codes a program meets most; package wire has the others.
const (
	CloseNormal         = wire.CloseNormal         // 1000: the purpose is fulfilled
	CloseGoingAway      = wire.CloseGoingAway      // 1001: the server shuts down, the page was left
	CloseProtocolError  = wire.CloseProtocolError  // 1002: a frame broke the protocol
	CloseUnsupported    = wire.CloseUnsupported    // 1003: a kind of data that is not accepted
	CloseNoStatus       = wire.CloseNoStatus       // 1005: the close frame held no code; only reported
	CloseAbnormal       = wire.CloseAbnormal       // 1006: there was no close frame; only reported
	CloseInvalidPayload = wire.CloseInvalidPayload // 1007: text that is not UTF-8
	ClosePolicy         = wire.ClosePolicy         // 1008: any rule of the program's own
	CloseTooBig         = wire.CloseTooBig         // 1009: a message over the limit
	CloseInternal       = wire.CloseInternal       // 1011: an unexpected condition
)

// CloseError says that the connection ended from the other side: by a close frame, or
// without one. Every later call on the [Conn] returns it, too.
type CloseError struct {
	Code   CloseCode // as received; CloseNoStatus when there was none, CloseAbnormal without a close frame
	Reason string    // as received, valid UTF-8
	Err    error     // with CloseAbnormal what the network said, else nil
}

// Error returns code and reason.
func (e *CloseError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("websocket: connection lost (%d): %v", e.Code, e.Err)
	case e.Reason != "":
		return fmt.Sprintf("websocket: closed by the peer with %d: %s", e.Code, e.Reason)
	}
	return fmt.Sprintf("websocket: closed by the peer with %d", e.Code)
}

// peaceful reports whether the peer closed without complaint.
func (e *CloseError) peaceful() bool {
	return e.Code == CloseNormal || e.Code == CloseGoingAway || e.Code == CloseNoStatus
}

// Unwrap returns Err.
func (e *CloseError) Unwrap() error { return e.Err }

// HandshakeError is the error of [Dial] when the server, or a proxy, answered, but did not
// accept the handshake.
type HandshakeError struct {
	Response *http.Response // its body holds the first KiB
	Err      error
}

// Error returns what was wrong.
func (e *HandshakeError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// ErrTooBig is in the error of [Conn.Read] when a message was over the read limit. The
// peer has been told with [CloseTooBig].
var ErrTooBig = errors.New("message over the read limit")

// ErrNotUTF8 is in the error of [Conn.Write] when a text message is not valid UTF-8.
// Nothing was sent and the connection goes on.
var ErrNotUTF8 = errors.New("text is not UTF-8")

// errClosed is what calls return after Close or CloseNow on this side.
var errClosed = fmt.Errorf("websocket: %w", net.ErrClosed)

// readError is the error of Read for a frame that broke a rule.
func readError(broken error) error {
	var rule *wire.Error
	if errors.As(broken, &rule) && rule.Code == wire.CloseTooBig {
		return fmt.Errorf("websocket: read: %w: %w", ErrTooBig, broken)
	}
	return fmt.Errorf("websocket: read: %w", broken)
}
