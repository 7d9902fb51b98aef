package hub

import (
	"slices"
	"sync"

	"hocket.dev/broker"
)

const (
	// chunkBytes is the size of a full chunk. The first ones of a quiet channel are smaller.
	chunkBytes      = 16 << 10
	firstChunkBytes = 512
	// deskBytes is how much memory is kept for the making of frames, by each of those that make one at the same time.
	deskBytes = 256 << 10
	// framesShare is the part of the node's budget that frames may take besides. Beyond it a log keeps no more than its
	// newest frame.
	framesShare = 4
)

// Ops of entries that never leave the hub.
const (
	opGap     broker.Op = 255 // marks, inside a window, offsets that are not to be had, Prev+1 to Offset; Key is the reason
	opRemoved broker.Op = 254 // stands where an entry was that has been removed, or is over before it has come
)

// chunk is a piece of memory that frames are written into, one after another. What has been written is never changed,
// so readers need no lock for the frames they know of.
type chunk struct {
	buf  []byte // len == cap, set once
	used int    // the writer's
}

// frame is the encoded form of one entry.
type frame struct {
	chunk      *chunk // nil for a gap
	start, end uint32 // equal when the encoding has nothing to say of it alone
	offset     uint64
	skip       string // the session that does not get it, "" for none; of a gap the reason
	prev       uint64 // of a gap: the offset before it
	time       int64  // the entry's
	// before and after count the entries that are told together with this one, in the frame of the last of them. The frames
	// of the others are empty and lie where that one begins.
	before, after uint16
}

func (f *frame) size() int { return int(f.end - f.start) }

// mostFrames is how many frames are kept per log and encoding, however small they are.
const mostFrames = 8192

// frameSet holds the newest frames of one log in one encoding. It is guarded by the log's lock.
type frameSet struct {
	enc     Encoding
	cursors int // that use it
	view        // what readers copy
	last    *chunk
	room    int // size of the next chunk
	bytes   int
}

// view is what a loop knows of a frameSet: frames[i] is the entry with index base+i. The elements it covers are never
// written again.
type view struct {
	frames []frame
	base   uint64
	// special is one more than the index of the newest frame that is not for everybody, 0 for none.
	special uint64
}

func (v *view) end() uint64 { return v.base + uint64(len(v.frames)) }

// add encodes e, the entry with index index, which follows the newest one.
func (s *frameSet) add(l *log, index uint64, e *broker.Entry) {
	f := frame{offset: e.Offset, prev: e.Prev, time: e.Time}
	if e.Op == opGap {
		f.skip = e.Key
	} else {
		f.chunk, f.start, f.end = s.encode(l, func(dst []byte) []byte {
			if l.over(e) { // while it waited
				return dst
			}
			return s.enc.AppendEntry(dst, l.name, l.epoch, e)
		})
		f.skip = echo(e)
	}
	s.push(l, index, &f)
	s.bound(l)
}

// addAll encodes entries, of which the first has the given index, in as few frames as the encoding can make of them.
func (s *frameSet) addAll(l *log, index uint64, entries []*broker.Entry) {
	g, ok := s.enc.(Gatherer)
	for len(entries) > 0 {
		if !ok || l.over(entries[0]) {
			s.add(l, index, entries[0])
			index, entries = index+1, entries[1:]
			continue
		}
		due := entries
		if i := slices.IndexFunc(entries, l.over); i > 0 {
			due = entries[:i]
		}
		n := 0
		chunk, start, end := s.encode(l, func(dst []byte) (b []byte) {
			b, n = g.AppendEntries(dst, l.name, l.epoch, due)
			return b
		})
		n = min(max(n, 1), len(due), 1<<15)
		for i, e := range entries[:n] {
			f := frame{chunk: chunk, start: start, end: start, offset: e.Offset, time: e.Time, skip: echo(e)}
			f.before, f.after = uint16(i), uint16(n-1-i)
			if i == n-1 {
				f.end = end
			}
			s.push(l, index+uint64(i), &f)
		}
		index, entries = index+uint64(n), entries[n:]
	}
	s.bound(l)
}

func (s *frameSet) push(l *log, index uint64, f *frame) {
	s.frames = append(s.frames, *f)
	s.count(l, f.size())
	if f.size() == 0 || f.skip != "" || f.before > 0 {
		s.special = index + 1
	}
}

// bound gives up the oldest frames beyond what may be kept.
func (s *frameSet) bound(l *log) {
	limit := l.hub.cacheBytes
	if l.hub.framed.Load() > l.hub.cfg.BudgetBytes/framesShare {
		limit = 0
	}
	for (s.bytes > limit || len(s.frames) > mostFrames) && len(s.frames) > 1 {
		s.count(l, -s.frames[0].size())
		s.frames = s.frames[1:]
		s.base++
	}
}

func (s *frameSet) count(l *log, bytes int) {
	s.bytes += bytes
	l.hub.framed.Add(int64(bytes))
}

// encode writes the frame that fn appends into the newest chunk, or into a new one when it does not fit. Frames of one chunk follow on
// each other without one of another chunk in between: a cursor takes them as one piece. The frame is made elsewhere,
// because making it may take more room than it has in the end.
func (s *frameSet) encode(l *log, fn func(dst []byte) []byte) (c *chunk, start, end uint32) {
	d := l.hub.desks.Get().(*desk)
	defer d.leave(&l.hub.desks)
	d.b = fn(d.b[:0])
	if c = s.last; c == nil || len(c.buf)-c.used < len(d.b) {
		c = &chunk{buf: make([]byte, max(s.room, len(d.b)))}
		s.last, s.room = c, min(2*s.room, chunkBytes)
	}
	start = uint32(c.used)
	c.used += copy(c.buf[c.used:], d.b)
	return c, start, uint32(c.used)
}

// A desk is where a frame is made.
type desk struct{ b []byte }

// leave gives the desk to whoever needs one next, unless it has grown too large to be kept.
func (d *desk) leave(free *sync.Pool) {
	if cap(d.b) <= deskBytes {
		free.Put(d)
	}
}

// trim gives up the frames before index.
func (s *frameSet) trim(l *log, index uint64) {
	if index <= s.base {
		return
	}
	if index >= s.end() {
		s.clear(l, index)
		return
	}
	old := s.frames[:index-s.base]
	for i := range old {
		s.count(l, -old[i].size())
	}
	s.frames = append([]frame(nil), s.frames[index-s.base:]...) // the old array holds on to the old chunks
	s.base = index
}

// clear gives up all frames; the next one has the given index.
func (s *frameSet) clear(l *log, index uint64) {
	s.count(l, -s.bytes)
	s.view = view{base: index}
	s.last, s.room = nil, firstChunkBytes
}
