package wire

import (
	"bytes"
	"fmt"
)

// bounds holds a decoder, and an Assembler fed by it, to the limits at every step: what is
// handed out, what is waited for and what is kept. It counts by itself, from the events.
type bounds struct {
	whole   Assembler
	arrived []byte // of the open message
	frames  int    // of the open message, those that have ended
}

// check takes what d has just found. It panics where more than the limits allow is there.
func (b *bounds) check(d *Decoder, ev Event) {
	if ev.Kind == KindData {
		b.arrived = append(b.arrived, ev.Payload...)
		if !d.inFrame {
			b.frames++
		}
	} else if len(ev.Payload) > 125 {
		panic("a control frame over 125 bytes (§5.5)")
	}
	if d.failed == nil || ev.Kind != KindNone {
		b.checkMessage(d, ev)
	}
	b.checkMemory(d, ev)
	if ev.Last {
		b.arrived, b.frames = b.arrived[:0], 0
	}
}

// checkMessage holds the open message to the limits, with what its current frame's header
// has announced.
func (b *bounds) checkMessage(d *Decoder, ev Event) {
	size, frames := int64(len(b.arrived)), b.frames
	if d.inFrame && !d.opcode().Control() {
		size, frames = size+d.left, frames+1
	}
	if d.limits == nil {
		return
	}
	most := d.limits.MessageBytes
	if ev.Compressed || d.has(flagCompressed) {
		most += most/8 + 128
	}
	if d.limits.MessageBytes > 0 && size > most {
		panic(fmt.Sprintf("a message of %d bytes, the limit is %d", size, most))
	}
	if most := d.limits.Fragments; most > 0 && frames > most {
		panic(fmt.Sprintf("a message of %d frames, the limit is %d", frames, most))
	}
}

// checkMemory holds that the memory follows what has arrived, which checkMessage holds to
// the limit: the announced length of a frame reserves nothing.
func (b *bounds) checkMemory(d *Decoder, ev Event) {
	msg, done := b.whole.Add(ev)
	if done != ev.Last || done && !bytes.Equal(msg, b.arrived) {
		panic(fmt.Sprintf("assembled %q, what came is %q", msg, b.arrived))
	}
	kept := b.whole.buf
	if done && kept != nil {
		panic("memory is kept after a message's end")
	}
	if done && !ev.First { // else it lies in the bytes that were read
		kept = msg
	}
	if most := 2*len(b.arrived) + 64; cap(kept) > most { // append at most doubles, and rounds up
		panic(fmt.Sprintf("room for %d bytes is held, %d have come", cap(kept), len(b.arrived)))
	}
	if d.control != nil && (!d.inFrame || !d.opcode().Control()) {
		panic("the buffer of a control frame outlives it")
	}
}
