package broker

import "hocket.dev/internal/limit"

// A dedup remembers publishes, so that one sent again is not applied again.
type dedup struct {
	keys    map[string]*record  // by idempotency key
	clients map[string]*record  // by client
	byTime  limit.ByAge[record] // both
	bytes   int64
}

// A record remembers one idempotency key, or the newest sequence numbers of one client.
type record struct {
	name   string
	client bool
	seq    uint64 // the last one applied
	before uint64 // bit i: seq-1-i has been applied too
	offset uint64 // of the last one
	time   int64

	place limit.Place[record] // in byTime
}

const (
	recordFixed = 168  // bytes: a record and its place in the map
	lookBack    = 4096 // entries searched for the offset of an earlier sequence number
)

// seqWindow is how many sequence numbers of a client, up to the last one applied, are told apart: a number among them
// that has not been applied on this channel was refused when a later one was not, and is applied when it comes again.
// An older one counts as applied.
const seqWindow = 65

// applied tells whether a client's sequence number has been applied.
func (r *record) applied(seq uint64) bool {
	back := r.seq - seq
	return seq <= r.seq && (back == 0 || back >= seqWindow || r.before&(1<<(back-1)) != 0)
}

// apply takes in a sequence number that has not been applied.
func (r *record) apply(seq, offset uint64) {
	if seq < r.seq {
		r.before |= 1 << (r.seq - seq - 1)
		return
	}
	if by := seq - r.seq; r.seq == 0 || by >= seqWindow {
		r.before = 0
	} else {
		r.before = r.before<<by | 1<<(by-1)
	}
	r.seq, r.offset = seq, offset
}

// find returns the offset of the publish that e repeats. Records from before cut have expired.
func (d *dedup) find(e *Entry, cut int64, l *log) (offset uint64, ok bool) {
	if e.IdempotencyKey != "" {
		if r := d.keys[e.IdempotencyKey]; r != nil && r.time >= cut {
			return r.offset, true
		}
	}
	if e.Seq == 0 {
		return 0, false
	}
	r := d.clients[e.Client]
	if r == nil || r.time < cut || !r.applied(e.Seq) {
		return 0, false
	}
	// A client has usually just one publish open, which is the last.
	for i := l.n - 1; i >= max(0, l.n-lookBack) && e.Seq < r.seq; i-- {
		if p := l.at(i); p.Client == e.Client && p.Seq == e.Seq {
			return p.Offset, true
		}
	}
	return r.offset, true
}

// needs tells how many records more than now e takes.
func (d *dedup) needs(e *Entry) (n int) {
	if e.IdempotencyKey != "" && d.keys[e.IdempotencyKey] == nil {
		n++
	}
	if e.Seq != 0 && d.clients[e.Client] == nil {
		n++
	}
	return n
}

// remember takes in an entry that has been appended.
func (d *dedup) remember(e *Entry) {
	if e.IdempotencyKey != "" {
		r := d.record(&d.keys, e.IdempotencyKey)
		r.offset, r.time = e.Offset, e.Time
	}
	if e.Seq != 0 {
		r := d.record(&d.clients, e.Client)
		r.client, r.time = true, e.Time
		r.apply(e.Seq, e.Offset)
	}
}

// record returns the record of a name as the newest, created if need be.
func (d *dedup) record(m *map[string]*record, name string) *record {
	r := (*m)[name]
	if r != nil {
		d.byTime.Remove(&r.place)
	} else {
		if *m == nil {
			*m = make(map[string]*record)
		}
		r = &record{name: name}
		(*m)[name] = r
		d.bytes += recordFixed + int64(len(name))
	}
	d.byTime.Add(&r.place, r)
	return r
}

// expire forgets records from before cut, at most steps of them, all when steps is negative.
func (d *dedup) expire(cut int64, steps int) {
	for r := d.byTime.Oldest(); r != nil && r.time < cut && steps != 0; r = d.byTime.Oldest() {
		d.byTime.Remove(&r.place)
		d.bytes -= recordFixed + int64(len(r.name))
		if r.client {
			delete(d.clients, r.name)
		} else {
			delete(d.keys, r.name)
		}
		steps--
	}
	if d.byTime.Len() == 0 {
		d.keys, d.clients = nil, nil // maps do not shrink by themselves
	}
}

func (d *dedup) len() int { return len(d.keys) + len(d.clients) }
