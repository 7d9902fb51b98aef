package hub

import "hocket.dev/broker"

const (
	// chunkBytes is the size of a full chunk. The first ones of a quiet channel are smaller.
	chunkBytes      = 16 << 10
	firstChunkBytes = 512
	// cacheBytes bounds the frames kept per log and encoding. A cursor that needs older ones makes them itself.
	cacheBytes = 256 << 10
)

// opGap marks, inside a window, a run of offsets that could not be read: Prev+1 to Offset. It never leaves the hub.
const opGap broker.Op = 255

// chunk is a piece of memory that frames are written into, one after another. What has been written is never changed,
// so readers need no lock for the frames they know of.
type chunk struct {
	buf  []byte // len == cap, set once
	used int    // the writer's
}

// frame is the encoded form of one entry.
type frame struct {
	chunk      *chunk // nil for a gap
	start, end uint32
	offset     uint64
	time       int64  // the entry's
	skip       string // the session that does not get it, "" for none
	prev       uint64 // of a gap: the offset before it
}

func (f *frame) bytes() []byte { return f.chunk.buf[f.start:f.end:f.end] }

// special says that a frame needs a closer look before it is sent.
func (f *frame) special() bool { return f.chunk == nil || f.skip != "" }

// frameSet holds the newest frames of one log in one encoding. It is guarded by the log's lock.
type frameSet struct {
	enc     Encoding
	cursors int // that use it
	view        // what readers copy
	last    *chunk
	bytes   int
}

// view is what a loop knows of a frameSet: frames[i] is the entry with index base+i. The elements it covers are never
// written again.
type view struct {
	frames []frame
	base   uint64
	// special is one more than the index of the newest special frame, 0 for none.
	special uint64
}

func (v *view) end() uint64 { return v.base + uint64(len(v.frames)) }

// add encodes e, the entry with index index, which follows the newest one.
func (s *frameSet) add(l *log, index uint64, e *broker.Entry) {
	if s.end() != index {
		s.clear(index)
	}
	f := frame{offset: e.Offset, prev: e.Prev, time: e.Time}
	if e.Op != opGap {
		f.chunk, f.start, f.end = s.encode(l, e)
		if e.NoEcho && e.From != nil {
			f.skip = e.From.Session
		}
	}
	s.frames = append(s.frames, f)
	s.bytes += int(f.end - f.start)
	if f.special() {
		s.special = index + 1
	}
	for s.bytes > cacheBytes && len(s.frames) > 1 {
		s.bytes -= int(s.frames[0].end - s.frames[0].start)
		s.frames = s.frames[1:]
		s.base++
	}
}

// encode writes e's frame into the newest chunk, or into a new one when it does not fit.
func (s *frameSet) encode(l *log, e *broker.Entry) (c *chunk, start, end uint32) {
	size := firstChunkBytes
	if c = s.last; c != nil {
		out := s.enc.AppendEntry(c.buf[:c.used], l.name, l.epoch, e)
		if len(out) <= len(c.buf) {
			start, c.used = uint32(c.used), len(out)
			return c, start, uint32(len(out))
		}
		out = out[c.used:]
		size = min(2*len(c.buf), chunkBytes)
		return s.fill(out, size)
	}
	return s.fill(s.enc.AppendEntry(nil, l.name, l.epoch, e), size)
}

// fill starts a new chunk with the frame b.
func (s *frameSet) fill(b []byte, size int) (c *chunk, start, end uint32) {
	c = &chunk{buf: make([]byte, max(size, len(b)))}
	c.used = copy(c.buf, b)
	if c.used < len(c.buf) { // a chunk of one large frame has no room for another
		s.last = c
	}
	return c, 0, uint32(c.used)
}

// clear gives up all frames; the next one has the given index.
func (s *frameSet) clear(index uint64) {
	s.view = view{base: index}
	s.last, s.bytes = nil, 0
}
