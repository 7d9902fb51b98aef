package native

import (
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
)

// The WebSocket subprotocols of the native protocol.
const (
	jsonSubprotocol     = "hocket.v1.json"
	protobufSubprotocol = "hocket.v1.protobuf"
	msgpackSubprotocol  = "hocket.v1.msgpack"
)

// maxOffset bounds every whole number of the protocol: readers of JSON keep integers exact up to 1<<53 - 1.
const maxOffset = 1<<53 - 1

// maxDepth is how deep arrays and objects may be nested in a message, the message itself included.
const maxDepth = 128

// maxTTL is how long an entry may live.
const maxTTL = 366 * 24 * time.Hour

// maxSince is how far back a subscription may begin by time. No log is kept for longer than that.
const maxSince = 366 * 24 * time.Hour

// New returns the native dialect. It holds no state.
func New() dialect.Dialect { return native{} }

type native struct{}

// Name returns "native".
func (native) Name() string { return "native" }

// Subprotocols returns the names of the protocol's formats. JSON comes first, so that it is selected whenever it is
// offered. The others are there although they are not supported yet: a browser's WebSocket fails without a reason
// when none of the names it offers is selected, while a selected one lets Open's error be told after the handshake.
func (native) Subprotocols() []string {
	return []string{jsonSubprotocol, protobufSubprotocol, msgpackSubprotocol}
}

// Open returns the codec and the commands of the query. With an error, the codec is there too, to say the error with.
func (native) Open(h dialect.Handshake) (dialect.Codec, []dialect.Command, *dialect.Error) {
	switch h.Subprotocol {
	case "", jsonSubprotocol:
	default:
		return codec{}, nil, dialect.Errorf(dialect.NotSupported,
			"the format %s is not supported yet: offer %s", excerptOf(h.Subprotocol), jsonSubprotocol)
	}
	commands, err := decodeQuery(h.Query)
	return codec{}, commands, err
}

// codec translates for a connection. It has no state: what a message means does not depend on those before it.
type codec struct{}

// Encoding returns the encoding that all JSON connections share.
func (codec) Encoding() hub.Encoding { return encoding{} }
