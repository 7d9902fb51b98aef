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

// Filterer is an Encoding that may be one of a client's making. A channel has at most 64 of those that filter at one time
// on a node; who brings another is answered with ErrFilters. The others are always admitted, so that nobody can keep plain
// followers out.
type Filterer interface {
	Encoding
	Filters() bool
}

// mostFilters is how many filtering Encodings a log can have: whoever delivers an entry makes its frames in all of them.
const mostFilters = 64

func filtering(enc Encoding) bool {
	f, ok := enc.(Filterer)
	return ok && f.Filters()
}

// Gatherer is an Encoding that can tell several entries in one message. AppendEntries appends one message for the first n
// entries, n being at least 1; what holds for AppendEntry holds for it.
type Gatherer interface {
	Encoding
	AppendEntries(dst []byte, channel, epoch string, entries []*broker.Entry) (b []byte, n int)
}
