package wire

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"
)

// CloseCode is the status code of a close frame (§7.4).
type CloseCode uint16

// The codes of §7.4.1. 3000–3999 are registered by libraries, 4000–4999 are the
// application's own.
const (
	CloseNormal             CloseCode = 1000 // the purpose is fulfilled
	CloseGoingAway          CloseCode = 1001 // the server shuts down, the page was left
	CloseProtocolError      CloseCode = 1002 // a frame broke the protocol
	CloseUnsupported        CloseCode = 1003 // a kind of data that cannot be accepted
	CloseNoStatus           CloseCode = 1005 // the close frame held no code; never on the wire
	CloseAbnormal           CloseCode = 1006 // no close frame came; never on the wire
	CloseInvalidPayload     CloseCode = 1007 // content that does not fit its type, such as bad UTF-8
	ClosePolicy             CloseCode = 1008 // any rule of the receiver's own
	CloseTooBig             CloseCode = 1009 // a message too big to process
	CloseMandatoryExtension CloseCode = 1010 // a client missed an extension it needs
	CloseInternal           CloseCode = 1011 // the server met an unexpected condition
)

// maxReason is what a close frame has left for its reason: 125 bytes (§5.5)
// without the two of the code.
const maxReason = 123

// Valid reports whether c may stand in a close frame: 1000–1003, 1007–1014 (1012
// to 1014 were registered with IANA after the RFC) and 3000–4999. All others are
// reserved (§7.4.2), or exist only to be reported inside a program (1005, 1006,
// 1015).
func (c CloseCode) Valid() bool {
	return c >= 1000 && c <= 1003 || c >= 1007 && c <= 1014 || c >= 3000 && c <= 4999
}

// String returns c in decimal.
func (c CloseCode) String() string { return strconv.Itoa(int(c)) }

// AppendClose appends an unmasked close frame to dst and returns the extended
// slice. The reason is made valid UTF-8 and cut to 123 bytes between two
// characters (§5.5). A code that must not be sent, [CloseNoStatus] first of all,
// gives a close frame without code and reason. A client sends
// [AppendClosePayload] through [AppendMaskedFrame] instead.
func AppendClose(dst []byte, code CloseCode, reason string) []byte {
	var p [2 + maxReason]byte
	return AppendFrame(dst, Close, AppendClosePayload(p[:0], code, reason))
}

// AppendClosePayload appends the payload of a close frame to dst, at most 125
// bytes, by the rules of [AppendClose], and returns the extended slice.
func AppendClosePayload(dst []byte, code CloseCode, reason string) []byte {
	if !code.Valid() {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, cutReason(reason)...)
}

// cutReason returns the longest valid beginning of s that fits a close frame.
func cutReason(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxReason {
		return s
	}
	end := maxReason
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// parseClose takes the payload of a close frame apart (§5.5.1, §7.1.5).
func parseClose(p []byte) (code CloseCode, reason []byte, err *Error) {
	switch len(p) {
	case 0:
		return CloseNoStatus, nil, nil
	case 1:
		return 0, nil, errCloseSize
	}
	code, reason = CloseCode(binary.BigEndian.Uint16(p)), p[2:]
	if !code.Valid() {
		return 0, nil, errCloseCode
	}
	if !utf8.Valid(reason) {
		return 0, nil, errCloseReason
	}
	return code, reason, nil
}
