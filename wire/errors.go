package wire

import "fmt"

// Error is a broken rule of the protocol. The connection cannot go on: the
// receiver closes it with Code (§7.1.7). All values the [Decoder] returns are
// package variables, so failing allocates nothing.
type Error struct {
	Code CloseCode // what to send in the close frame
	Rule string    // the rule and its section, fit for a log and as a close reason
}

// Error returns the rule and the close code.
func (e *Error) Error() string {
	return fmt.Sprintf("websocket: %s (close %d)", e.Rule, uint16(e.Code))
}

// ErrClosed is returned by [Decoder.Next] after the close frame was handed out:
// whatever the peer sends behind it is discarded (§1.4, §5.5.1). It is the
// orderly end of the stream, as io.EOF is for a reader, and no reason to send
// another close frame.
var ErrClosed error = errClosed

var (
	errClosed = &Error{CloseNormal, "nothing follows a close frame (§5.5.1)"}

	errMask                   = &Error{CloseProtocolError, "wrong masking for this role (§5.1)"}
	errReservedBits           = &Error{CloseProtocolError, "reserved bit set without an extension (§5.2)"}
	errControlCompressed      = &Error{CloseProtocolError, "RSV1 on a control frame (RFC 7692 §6.1)"}
	errContinuationCompressed = &Error{CloseProtocolError, "RSV1 on a continuation (RFC 7692 §6.1)"}
	errDeflate                = &Error{CloseInvalidPayload, "compressed data is broken (RFC 7692 §7.2.2)"}
	errOpcode                 = &Error{CloseProtocolError, "reserved opcode (§5.2)"}
	errLength                 = &Error{CloseProtocolError, "top bit of the 64-bit length set (§5.2)"}
	errLongForm               = &Error{CloseProtocolError, "length in more bytes than it needs (§5.2)"}
	errContinuation           = &Error{CloseProtocolError, "continuation without a message to continue (§5.4)"}
	errInterleaved            = &Error{CloseProtocolError, "new message inside a fragmented one (§5.4)"}
	errControlFin             = &Error{CloseProtocolError, "fragmented control frame (§5.5)"}
	errControlSize            = &Error{CloseProtocolError, "control frame over 125 bytes (§5.5)"}
	errCloseSize              = &Error{CloseProtocolError, "close payload of one byte (§5.5.1)"}
	errCloseCode              = &Error{CloseProtocolError, "close code that must not be sent (§7.4)"}
	errCloseReason            = &Error{CloseInvalidPayload, "close reason is not UTF-8 (§5.5.1)"}
	errText                   = &Error{CloseInvalidPayload, "text is not UTF-8 (§8.1)"}
	errMessageSize            = &Error{CloseTooBig, "message over the size limit (§10.4)"}
	errInflated               = &Error{CloseTooBig, "message over the size limit once inflated (RFC 7692 §8)"}
	errFragments              = &Error{CloseTooBig, "message in too many fragments (§10.4)"}
)
