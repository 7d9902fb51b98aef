package listen

import (
	"net/netip"

	"hocket.dev/internal/limit"
)

// A queue holds the connections of one loop that have not found their owner.
type queue struct {
	limit.ByAge[Pending]
	byAddress map[netip.Addr]*limit.ByAge[Pending]
}

func (q *queue) add(p *Pending) { q.Add(&p.inQueue, p) }

// count makes p one of those of its client's address, and closes the oldest of them when there are too many.
func (q *queue) count(p *Pending) {
	if q.byAddress == nil {
		q.byAddress = make(map[netip.Addr]*limit.ByAge[Pending])
	}
	p.address = limit.Address(p.from.Addr())
	of := q.byAddress[p.address]
	if of == nil {
		of = new(limit.ByAge[Pending])
		q.byAddress[p.address] = of
	}
	of.Add(&p.inAddress, p)
	if of.Len() > p.listener.cfg.MaxPendingPerAddress && !p.listener.cfg.Exempt(p.from.Addr()) {
		of.Oldest().end(errTooMany)
	}
}

func (q *queue) remove(p *Pending) {
	q.Remove(&p.inQueue)
	if of := q.byAddress[p.address]; of != nil {
		if of.Remove(&p.inAddress); of.Len() == 0 {
			delete(q.byAddress, p.address)
		}
	}
}

func (q *queue) endAll() {
	for q.Len() > 0 {
		q.Oldest().end(nil)
	}
}
