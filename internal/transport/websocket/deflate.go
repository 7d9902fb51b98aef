package websocket

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"

	"hocket.dev/internal/session"
	"hocket.dev/wire"
)

// Compressed counts messages in one direction that were compressed, and their bytes. It may be read from any goroutine.
type Compressed struct {
	Messages    atomic.Uint64
	BytesPlain  atomic.Uint64 // before compression
	BytesPacked atomic.Uint64 // after it
}

func (c *Compressed) add(plain, packed int) {
	c.Messages.Add(1)
	c.BytesPlain.Add(uint64(plain))
	c.BytesPacked.Add(uint64(packed))
}

// agree answers a client's offer of compression: with what is sent back, nil for nothing, and the framing of what the
// client gets. No context is kept in either direction (RFC 7692 §7.1.1), so a connection needs no memory for it.
func (t *Transport) agree(offers []wire.Extension) (*wire.Deflate, session.Framing) {
	if !t.cfg.Compression || len(offers) == 0 {
		return nil, text{}
	}
	agreed, ok := wire.AcceptDeflate(offers, wire.Deflate{ServerNoContextTakeover: true, ClientNoContextTakeover: true})
	if !ok {
		return nil, text{}
	}
	return &agreed, t.framings[agreed.SendBits(wire.Server)]
}

// inflateBytes is how far a message over the limit is inflated, if that allows less. Like an uncompressed one it is thrown
// away, so that the client learns what was wrong; but it costs its sender a thousandth of what it costs the loop.
const inflateBytes = 1<<20 + 1<<16 // a payload of 1 MiB and what stands around it

// packedLimit is how large a message may be as it comes, compressed, of which limit bytes are allowed: compressing can
// make it larger (see wire.Limits).
func packedLimit(limit int64) int64 { return limit + limit/8 + 128 }

// An inflation is what a loop inflates messages with, whosever they are. It belongs to the loop.
type inflation struct {
	inflater *wire.Inflater // nil until the first compressed message
	buf      []byte         // what it made of the last one
	src      bytes.Reader
}

// keepInflated is how much memory an inflation keeps for the next message.
const keepInflated = 64 << 10

// inflate returns a message as it was before compression, which is valid until the next one comes, and its size. Of one
// over the limit there is the size alone. The error is a *wire.Error: 1009 for a message made to explode, 1007 for what
// is broken.
func (f *inflation) inflate(op wire.Opcode, packed []byte, limit int64) (msg []byte, size int64, err error) {
	if f.inflater == nil {
		f.inflater = wire.NewInflater()
	}
	msg, err = f.inflater.Append(f.buf[:0], packed, wire.Inflation{Op: op, MaxBytes: limit})
	if f.buf = msg; cap(msg) > keepInflated {
		f.buf = nil
	}
	if tooBig(err) {
		size, err = f.measure(op, packed, max(limit, min(bufferFactor*limit, inflateBytes)))
		return nil, size, err
	}
	return msg, int64(len(msg)), err
}

// measure returns the size of a message, or the error when that is more than most.
func (f *inflation) measure(op wire.Opcode, packed []byte, most int64) (size int64, err error) {
	f.src.Reset(packed)
	defer f.src.Reset(nil)
	f.inflater.Open(&f.src, wire.Inflation{Op: op, MaxBytes: most})
	return io.Copy(io.Discard, f.inflater)
}

func tooBig(err error) bool {
	rule, ok := errors.AsType[*wire.Error](err)
	return ok && rule.Code == wire.CloseTooBig
}
