package broker

import "time"

// A cell is what is known of one key: its value, or that it was deleted. Appends are collected in value and become an
// entry when somebody reads: a thousand appends then copy a thousand times their own bytes, not a thousand times the
// value.
type cell struct {
	last   *Entry // the latest entry of the key; nil when the key is forgotten
	value  []byte // what appends have added up to, in JSON without the closing quote; nil when last is the value
	folded *Entry // last as a Set of the whole value, once somebody has asked
	since  uint64 // the offset of the entry the value began with

	ends   appointment // when the first part of the value with a TTL ends
	weight uint32      // in the tree of scores, as left and right
	left   *cell
	right  *cell
}

func (c *cell) meeting() *appointment { return &c.ends }

// deleted says that the key has no value, which is remembered.
func (c *cell) deleted() bool { return c.last.Op == Delete }

// ended says that a value has reached its end: its own, or that of what was last written before cut.
func (c *cell) ended(cut, now int64) bool {
	return c.ends.due != 0 && c.ends.due <= now || c.last.Time < cut
}

const cellFixed = 160 // bytes: a cell, its place in the map and in the lists

func (c *cell) size() int64 { return cellFixed + c.last.Size() + int64(len(c.value)) }

// write takes in a Set or an Append that fits.
func (c *cell) write(e *Entry) {
	switch {
	case e.Op == Set || c.last == nil || c.deleted():
		c.value, c.since = nil, e.Offset
	case c.value == nil:
		c.value = append([]byte(nil), open(c.last.Format, c.last.Payload)...)
		fallthrough
	default:
		c.value = append(c.value, content(e.Format, e.Payload)...)
	}
	c.last, c.folded = e, nil
}

// entry returns the value of the key as a Set, or the Delete.
func (c *cell) entry() *Entry {
	switch {
	case c.last.Op != Append:
		return c.last
	case c.folded != nil:
		return c.folded
	}
	e := *c.last
	e.Op = Set
	if c.value != nil {
		e.Payload = make([]byte, 0, len(c.value)+1)
		e.Payload = append(e.Payload, c.value...)
		if e.Format == JSON {
			e.Payload = append(e.Payload, '"')
		}
	}
	if c.ends.due != 0 {
		e.TTL = time.Duration(c.ends.due-e.Time) * time.Millisecond
	}
	c.folded = &e
	return c.folded
}

// valueBytes is how large the value is.
func (c *cell) valueBytes() int { return max(len(c.value), len(c.last.Payload)) }

// takes tells whether an Append can be added to the value.
func (c *cell) takes(e *Entry) bool {
	return c.last.Format == e.Format && (e.Format != JSON || c.value != nil || isString(c.last.Payload))
}

// isString tells whether a valid JSON value is a string.
func isString(json []byte) bool {
	json = trimSpace(json)
	return len(json) >= 2 && json[0] == '"'
}

// open returns a payload so that content can be added behind it: a JSON string without its closing quote.
func open(f Format, payload []byte) []byte {
	if f != JSON {
		return payload
	}
	payload = trimSpace(payload)
	return payload[:len(payload)-1]
}

// content returns what a payload adds: of a JSON string what stands between the quotes.
func content(f Format, payload []byte) []byte {
	if f != JSON {
		return payload
	}
	return open(f, payload)[1:]
}

// trimSpace removes the white space JSON allows around a value (RFC 8259 §2).
func trimSpace(json []byte) []byte {
	space := func(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }
	for len(json) > 0 && space(json[0]) {
		json = json[1:]
	}
	for len(json) > 0 && space(json[len(json)-1]) {
		json = json[:len(json)-1]
	}
	return json
}
