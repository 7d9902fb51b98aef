package websocket

import (
	"cmp"
	"fmt"
	"sync"

	"hocket.dev/wire"
)

// CompressionMode says whether messages may be compressed (permessage-deflate, RFC 7692).
type CompressionMode uint8

const (
	// CompressionOff neither offers nor accepts compression.
	CompressionOff CompressionMode = iota
	// CompressionOn compresses every message by itself, in both directions. A connection
	// keeps nothing for it; compressors and inflaters are shared.
	CompressionOn
	// CompressionTakeover lets messages refer to earlier ones of the connection. It pays
	// where messages resemble each other: order books of 1 KiB shrink to 32% instead of 41%,
	// for 30 µs of CPU each instead of 10. A connection keeps up to 4 KiB for what it sends;
	// for what it receives 4 KiB as a server, where the client can be told so (RFC 7692
	// §7.1.2.2; browsers can), else 32 KiB. Once used that is 8.2 KB more for each Conn of a
	// server, 8.4 KB for each Socket of a [Server], idle or not, and 36.9 KB for each Conn of
	// a client; two windows of [Compression].WindowBits where that is set, 1.0 KB for 9
	// (BenchmarkIdleTakeover). A [PreparedMessage] is still compressed once, by itself.
	CompressionTakeover
)

// DefaultCompressionThreshold is the size in bytes from which messages are compressed
// unless the options say otherwise. Of smaller ones little is saved.
const DefaultCompressionThreshold = 512

// takeoverBits is the window of messages sent with context takeover, and the one a server
// asks of clients: 4 KiB. Larger ones cost much and gain little; see [wire.Deflation].
const takeoverBits = 12

// Compression is the part of [AcceptOptions] and [DialOptions] about compression. The zero
// value is none.
type Compression struct {
	Mode CompressionMode
	// Threshold is the size in bytes from which messages are compressed; 0 is
	// [DefaultCompressionThreshold], 1 compresses all that are not empty.
	Threshold int
	// Level is 1, fastest, to 9, smallest; 0 is [wire.DefaultLevel], and [wire.SharedLevel]
	// for a [PreparedMessage], which is compressed once for many.
	Level int
	// WindowBits is how far back messages may refer: 1<<WindowBits bytes, 9 to 15. 0 is 15,
	// and 12 for what [CompressionTakeover] sends itself and a server asks of its clients.
	// A receiver with little memory wants it small; messages shrink less then.
	//
	// A server answers it as server_max_window_bits (RFC 7692 §7.1.2.1), or less where the
	// client wishes that, and as client_max_window_bits (§7.1.2.2) to those that can be
	// asked. A client offers both, and keeps the second whatever the answer; a server that
	// does not know the first declines, and messages are not compressed. [Dial] and
	// [NewServer] return an error for what is not 0 or 9 to 15, [Accept] takes the nearest.
	WindowBits int
}

// The windows that a program may ask for. §7.1.2 has 8, too, which zlib cannot keep as a
// sender: its peers would decline.
const (
	minWindow = 9
	maxWindow = 15
)

// check refuses options that mean nothing.
func (o Compression) check() error {
	if o.WindowBits != 0 && o.WindowBits != o.window() {
		return fmt.Errorf("a compression window of %d bits, want %d to %d, or 0 (RFC 7692 §7.1.2)", o.WindowBits, minWindow, maxWindow)
	}
	return nil
}

// window is the window, in bits, that the program asked for, 0 for none.
func (o Compression) window() int {
	if o.WindowBits == 0 {
		return 0
	}
	return min(max(o.WindowBits, minWindow), maxWindow)
}

// memory is the most, in bits, that context takeover may keep of what is sent, and the
// window that a server with it asks of clients.
func (o Compression) memory() int { return cmp.Or(o.window(), takeoverBits) }

// sharedLevel is the level of a message for many where level is asked for.
func sharedLevel(level int) int {
	if level <= 0 {
		return wire.SharedLevel
	}
	return level
}

// accept answers a client's offers; nil is no compression.
func (o Compression) accept(offers []wire.Extension) *wire.Deflate {
	want := wire.Deflate{ServerMaxWindowBits: o.window()}
	switch o.Mode {
	case CompressionOff:
		return nil
	case CompressionTakeover:
		want.ClientMaxWindowBits = o.memory()
	default:
		want.ClientMaxWindowBits = o.window()
		want.ServerNoContextTakeover, want.ClientNoContextTakeover = true, true
	}
	if agreed, ok := wire.AcceptDeflate(offers, want); ok {
		return &agreed
	}
	return nil
}

// offers returns what a client offers.
func (o Compression) offers() []wire.Deflate {
	bare := wire.Deflate{ServerMaxWindowBits: o.window(), ClientMaxWindowBits: cmp.Or(o.window(), wire.AnyWindow)}
	alone := bare
	alone.ClientNoContextTakeover = true
	switch o.Mode {
	case CompressionOn:
		alone.ServerNoContextTakeover = true
		return []wire.Deflate{alone}
	case CompressionTakeover:
		// The second is for servers that want this client to take nothing over, and think
		// that they may say so only to a client that has mentioned it.
		return []wire.Deflate{bare, alone}
	}
	return nil
}

// compression is what a connection that agreed upon compression knows of it.
type compression struct {
	agreed    wire.Deflate
	threshold int
	send      wire.Deflation // its Window is the writer's; nil without context takeover
	received  *wire.Window   // the reader's; nil without context takeover
}

// compress makes c compress as agreed; nil is no compression. It comes right behind newConn.
func (c *Conn) compress(agreed *wire.Deflate, o Compression) {
	if agreed == nil {
		return
	}
	z := &compression{agreed: *agreed, threshold: o.Threshold}
	if z.threshold <= 0 {
		z.threshold = DefaultCompressionThreshold
	}
	bits := agreed.SendBits(c.role)
	z.send = wire.Deflation{WindowBits: bits, Level: o.Level}
	z.send.Window, z.received = o.windows(*agreed, c.role)
	c.decoder.AllowDeflate()
	c.deflate = z
}

// windows returns what a connection has to remember of the messages it sends and receives;
// nil for nothing. What it sends need not refer to earlier messages where it may.
func (o Compression) windows(agreed wire.Deflate, role wire.Role) (sent, received *wire.Window) {
	if agreed.SendsTakeover(role) && o.Mode == CompressionTakeover {
		sent = wire.NewWindow(min(agreed.SendBits(role), o.memory()))
	}
	if agreed.ReceivesTakeover(role) {
		received = wire.NewWindow(agreed.ReceiveBits(role))
	}
	return sent, received
}

// wants reports whether a message of n bytes is to be compressed.
func (z *compression) wants(n int) bool { return z != nil && n >= z.threshold }

// inflation is what an inflater must know of a message of c.
func (c *Conn) inflation(op wire.Opcode) wire.Inflation {
	return wire.Inflation{Op: op, MaxBytes: c.limits.MessageBytes, Window: c.deflate.received}
}

// inflaters are the idle inflaters: as many as have been used at once, until the garbage
// collector frees them.
var inflaters = sync.Pool{New: func() any { return wire.NewInflater() }}

// inflate takes a piece of a compressed message, and with the last one returns what the whole,
// which is compressed then, was before compression.
func (c *Conn) inflate(ev wire.Event, compressed []byte) ([]byte, error) {
	m := c.inflation(ev.Op)
	if !ev.First || !ev.Last {
		if err := c.ahead.add(ev, m); err != nil || !ev.Last {
			return nil, err
		}
		if msg, whole, err := c.ahead.end(); whole || err != nil {
			return msg, err
		}
	}
	f := inflaters.Get().(*wire.Inflater)
	defer inflaters.Put(f)
	return f.Append(nil, compressed, m)
}

// scratch is a buffer for one compressed message; most fit.
type scratch struct{ b []byte }

// maxScratch is the size in bytes up to which a buffer is kept.
const maxScratch = 64 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// done gives the buffer back.
func (s *scratch) done() {
	if cap(s.b) > maxScratch {
		s.b = nil
	}
	scratches.Put(s)
}
