package session

import (
	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// filter says which tags an entry has to carry, as a string: equal filters are equal strings, and followers of one
// channel that filter alike share an encoding and its bytes. "" lets everything pass.
//
// For each tag it holds the name of its header, the number of values that pass, and those; before each text stands its
// length in two bytes. So it is read where it lies, without building anything for an entry.
type filter string

// maxFilterBytes is what the filters of one session may hold together: as much as the largest one has room for.
const maxFilterBytes = 72 << 10

// filterBytes is what those of the session hold.
func (s *Session) filterBytes() (n int) {
	for _, sub := range s.subs {
		n += int(sub.filter)
	}
	return n
}

// newFilter makes the filter of a subscription.
func newFilter(from dialect.Filter) filter {
	var b []byte
	text := func(prefix, s string) {
		n := len(prefix) + len(s)
		b = append(append(append(b, byte(n>>8), byte(n)), prefix...), s...)
	}
	for _, tag := range from {
		text(dialect.TagHeader, tag.Name)
		b = append(b, byte(len(tag.Values)))
		for _, value := range tag.Values {
			text("", value)
		}
	}
	return filter(b)
}

// passes says whether e is for the follower. A delete always is: it takes back what has passed before.
func (f filter) passes(e *broker.Entry) bool {
	if f == "" || e.Op == broker.Delete {
		return true
	}
	for len(f) > 0 {
		name := f.next()
		count := f[0]
		f = f[1:]
		value, tagged := e.Headers[name]
		passed := false
		for range count {
			if f.next() == value {
				passed = tagged
			}
		}
		if !passed {
			return false
		}
	}
	return true
}

// next takes a text off the beginning.
func (f *filter) next() string {
	n := 2 + int((*f)[0])<<8 + int((*f)[1])
	text := (*f)[2:n]
	*f = (*f)[n:]
	return string(text)
}
