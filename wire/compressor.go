package wire

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

// compressor is a compressor of a pool, writing to memory.
type compressor struct {
	flate *flate.Writer
	out   memory
	pool  *sync.Pool
}

// memory gathers what a compressor writes.
type memory struct{ b []byte }

// Write implements io.Writer.
func (m *memory) Write(p []byte) (int, error) {
	m.b = append(m.b, p...)
	return len(p), nil
}

// The idle compressors: by level for the full window, by size for the windows below; and
// the outputs of those that need no compressor.
var (
	levelPools   [flate.BestCompression + 1]sync.Pool
	windowPools  [maxWindowBits - minWindowBits]sync.Pool
	smallOutputs = sync.Pool{New: func() any { return new(memory) }}
)

// begin takes a compressor for a message of n bytes.
func (d Deflation) begin(n int) *compressor {
	history := d.Window.last(1 << d.bits())
	var c *compressor
	if bits := d.bits(); len(history)+n > 1<<bits && bits < maxWindowBits {
		c = fromPool(&windowPools[bits-minWindowBits], func() (*flate.Writer, error) {
			return flate.NewWriterWindow(nil, 1<<bits)
		})
	} else { // nothing in reach is out of the window, so any compressor keeps it
		level := d.level()
		c = fromPool(&levelPools[level], func() (*flate.Writer, error) {
			return flate.NewWriter(nil, level)
		})
	}
	// From here on the compressor knows the history and nothing else of earlier messages.
	c.flate.ResetDict(&c.out, history)
	return c
}

// fromPool takes a compressor of pool, or makes one.
func fromPool(pool *sync.Pool, make func() (*flate.Writer, error)) *compressor {
	if c, ok := pool.Get().(*compressor); ok {
		return c
	}
	w, err := make()
	if err != nil {
		panic("wire: " + err.Error()) // level and window are of the range
	}
	return &compressor{flate: w, pool: pool}
}

// compress adds p to the message. Memory does not fail.
func (c *compressor) compress(p []byte) { _, _ = c.flate.Write(p) }

// flush makes out whole: it ends with syncMarker.
func (c *compressor) flush() { _ = c.flate.Flush() }

// release puts the compressor back, without anything of the message.
func (c *compressor) release() {
	c.flate.ResetDict(nil, nil)
	c.out.b = nil
	c.pool.Put(c)
}
