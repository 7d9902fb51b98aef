package wire

// Assembler joins the pieces of data events to whole messages, one message at a
// time. Its zero value is ready. It holds memory only while a message is half
// there; how much is bounded by [Limits].MessageBytes.
type Assembler struct {
	buf []byte // nil between messages
}

// Take gives away what is there of a message that is half there, nil for nothing, for who
// goes on with its pieces in another way.
func (a *Assembler) Take() []byte {
	b := a.buf
	a.buf = nil
	return b
}

// Add takes the next event of a [Decoder] and returns the message when ev completes
// it. A message that came in one piece is returned as it is, without a copy: then
// msg lies inside the bytes given to Next, and is valid as long as they are. Any
// other msg is a buffer of its own that belongs to the caller. Events that are not
// [KindData] change nothing.
func (a *Assembler) Add(ev Event) (msg []byte, done bool) {
	if ev.Kind != KindData {
		return nil, false
	}
	if ev.First && ev.Last {
		return ev.Payload, true
	}
	a.buf = append(a.buf, ev.Payload...)
	if !ev.Last {
		return nil, false
	}
	msg, a.buf = a.buf, nil
	return msg, true
}
