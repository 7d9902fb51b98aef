package listen

import (
	"net/netip"

	"hocket.dev/internal/limit"
)

// link is a place in a list.
type link struct{ older, newer *Pending }

// list holds connections, oldest first. Each is in one list of a kind.
type list struct {
	first, last *Pending
	n           int
	kind        listKind
}

type listKind uint8

const (
	ofLoop    listKind = iota // all of a loop
	ofAddress                 // those of one address
	listKinds
)

func (l *list) add(p *Pending) {
	at := &p.links[l.kind]
	if at.older = l.last; l.last == nil {
		l.first = p
	} else {
		l.last.links[l.kind].newer = p
	}
	l.last = p
	l.n++
}

func (l *list) remove(p *Pending) {
	at := &p.links[l.kind]
	if at.older == nil {
		l.first = at.newer
	} else {
		at.older.links[l.kind].newer = at.newer
	}
	if at.newer == nil {
		l.last = at.older
	} else {
		at.newer.links[l.kind].older = at.older
	}
	*at = link{}
	l.n--
}

// A queue holds the connections of one loop that have not found their owner.
type queue struct {
	list
	byAddress map[netip.Addr]*list
}

func (q *queue) add(p *Pending) {
	p.queued = true
	q.list.add(p)
}

// count makes p one of those of its client's address, and closes the oldest of them when there are too many.
func (q *queue) count(p *Pending) {
	if q.byAddress == nil {
		q.byAddress = make(map[netip.Addr]*list)
	}
	p.address = limit.Address(p.from.Addr())
	of := q.byAddress[p.address]
	if of == nil {
		of = &list{kind: ofAddress}
		q.byAddress[p.address] = of
	}
	of.add(p)
	if of.n > p.listener.cfg.MaxPendingPerAddress && !p.listener.cfg.Exempt(p.from.Addr()) {
		of.first.end(errTooMany)
	}
}

func (q *queue) remove(p *Pending) {
	p.queued = false
	q.list.remove(p)
	if of := q.byAddress[p.address]; of != nil {
		if of.remove(p); of.n == 0 {
			delete(q.byAddress, p.address)
		}
	}
}

func (q *queue) endAll() {
	for q.first != nil {
		q.first.end(nil)
	}
}
