package hub

import "hocket.dev/broker"

// Encoding makes the bytes in which a group of subscribers gets an entry. Encodings are compared with ==: cursors
// whose Encodings are equal share the bytes, which are made once per entry on the whole node. A channel has at most 64 at
// one time on a node; who brings another is answered with ErrEncodings.
//
// AppendEntry may be called from any goroutine, with the log's lock held: it does not block and touches nothing but
// its arguments, and counters. When it appends nothing, the entry is passed unsent.
type Encoding interface {
	AppendEntry(dst []byte, channel, epoch string, e *broker.Entry) []byte
}

// mostEncodings is how many Encodings a log can have: whoever delivers an entry makes its frames in all of them.
const mostEncodings = 64

// Gatherer is an Encoding that can tell several entries in one message. AppendEntries appends one message for the first n
// entries, n being at least 1; what holds for AppendEntry holds for it.
type Gatherer interface {
	Encoding
	AppendEntries(dst []byte, channel, epoch string, entries []*broker.Entry) (b []byte, n int)
}
