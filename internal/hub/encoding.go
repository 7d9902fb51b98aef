package hub

import "hocket.dev/broker"

// Encoding makes the bytes in which a group of subscribers gets an entry. Encodings are compared with ==: cursors
// whose Encodings are equal share the bytes, which are made once per entry on the whole node.
//
// AppendEntry may be called from any goroutine, with the log's lock held: it does not block and touches nothing but
// its arguments, and counters. When it appends nothing, the entry is passed unsent.
type Encoding interface {
	AppendEntry(dst []byte, channel, epoch string, e *broker.Entry) []byte
}

// Gatherer is an Encoding that can tell several entries in one message. AppendEntries appends one message for the first n
// entries, n being at least 1; what holds for AppendEntry holds for it.
type Gatherer interface {
	Encoding
	AppendEntries(dst []byte, channel, epoch string, entries []*broker.Entry) (b []byte, n int)
}
