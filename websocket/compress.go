package websocket

import (
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
	// §7.1.2.2; browsers can), else 32 KiB. A [PreparedMessage] is still compressed once,
	// by itself.
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
}

// sharedLevel is the level of a message for many where level is asked for.
func sharedLevel(level int) int {
	if level <= 0 {
		return wire.SharedLevel
	}
	return level
}

// accept answers a client's offers; nil is no compression.
func (o Compression) accept(offers []wire.Extension) *wire.Deflate {
	want := wire.Deflate{ServerNoContextTakeover: true, ClientNoContextTakeover: true}
	switch o.Mode {
	case CompressionOff:
		return nil
	case CompressionTakeover:
		want = wire.Deflate{ClientMaxWindowBits: takeoverBits}
	}
	if agreed, ok := wire.AcceptDeflate(offers, want); ok {
		return &agreed
	}
	return nil
}

// offers returns what a client offers.
func (o Compression) offers() []wire.Deflate {
	switch o.Mode {
	case CompressionOn:
		return []wire.Deflate{{ServerNoContextTakeover: true, ClientNoContextTakeover: true, ClientMaxWindowBits: wire.AnyWindow}}
	case CompressionTakeover:
		// The second is for servers that want this client to take nothing over, and think
		// that they may say so only to a client that has mentioned it.
		return []wire.Deflate{
			{ClientMaxWindowBits: wire.AnyWindow},
			{ClientNoContextTakeover: true, ClientMaxWindowBits: wire.AnyWindow},
		}
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
	if agreed.SendsTakeover(c.role) && o.Mode == CompressionTakeover {
		z.send.Window = wire.NewWindow(min(bits, takeoverBits))
	}
	if agreed.ReceivesTakeover(c.role) {
		z.received = wire.NewWindow(agreed.ReceiveBits(c.role))
	}
	c.decoder.AllowDeflate()
	c.deflate = z
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

// inflate returns what a whole message was before compression.
func (c *Conn) inflate(op wire.Opcode, compressed []byte) ([]byte, error) {
	f := inflaters.Get().(*wire.Inflater)
	defer inflaters.Put(f)
	return f.Append(nil, compressed, c.inflation(op))
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
