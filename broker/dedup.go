package broker

// A dedup remembers publishes, so that one sent again is not applied again.
type dedup struct {
	keys    map[string]*record // by idempotency key
	clients map[string]*record // by client
	oldest  *record            // both in one list, by time
	newest  *record
	bytes   int64
}

// A record remembers one idempotency key, or the last sequence number of one client.
type record struct {
	name   string
	client bool
	seq    uint64
	offset uint64
	time   int64

	older, newer *record
}

const (
	recordFixed = 160  // bytes: a record and its place in the map
	lookBack    = 4096 // entries searched for the offset of an earlier sequence number
)

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
	if r == nil || r.time < cut || e.Seq > r.seq {
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
		r.client, r.seq, r.offset, r.time = true, e.Seq, e.Offset, e.Time
	}
}

// record returns the record of a name as the newest, created if need be.
func (d *dedup) record(m *map[string]*record, name string) *record {
	r := (*m)[name]
	if r != nil {
		d.unlink(r)
	} else {
		if *m == nil {
			*m = make(map[string]*record)
		}
		r = &record{name: name}
		(*m)[name] = r
		d.bytes += recordFixed + int64(len(name))
	}
	r.older = d.newest
	if d.newest != nil {
		d.newest.newer = r
	} else {
		d.oldest = r
	}
	d.newest = r
	return r
}

func (d *dedup) unlink(r *record) {
	if r.older != nil {
		r.older.newer = r.newer
	} else {
		d.oldest = r.newer
	}
	if r.newer != nil {
		r.newer.older = r.older
	} else {
		d.newest = r.older
	}
	r.older, r.newer = nil, nil
}

// expire forgets records from before cut, at most steps of them, all when steps is negative.
func (d *dedup) expire(cut int64, steps int) {
	for d.oldest != nil && d.oldest.time < cut && steps != 0 {
		r := d.oldest
		d.unlink(r)
		d.bytes -= recordFixed + int64(len(r.name))
		if r.client {
			delete(d.clients, r.name)
		} else {
			delete(d.keys, r.name)
		}
		steps--
	}
	if d.oldest == nil {
		d.keys, d.clients = nil, nil // maps do not shrink by themselves
	}
}

func (d *dedup) len() int { return len(d.keys) + len(d.clients) }
