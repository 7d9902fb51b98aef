package session

import (
	"context"
	"time"

	"hocket.dev/broker"
)

const (
	// revokedLook is how often the log of revocations is read on, so that what is revoked ends within a second everywhere.
	revokedLook = 500 * time.Millisecond
	// revokedSweep is how often it is looked for revocations whose time is over.
	revokedSweep = time.Minute
)

// revocations reads what is revoked by other nodes, or was before this one began. It belongs to the first loop.
type revocations struct {
	node  *Node
	state broker.State
	at    broker.Position // up to which the log was read
}

// tick reads on, as long as the loop runs.
func (r *revocations) tick() {
	loop := r.node.shards[0].loop
	at := r.at
	var entries []*broker.Entry
	var err error
	r.node.cfg.Task(func(ctx context.Context) {
		at, entries, err = readRevocations(ctx, r.state, at)
		loop.Post(func() {
			if err == nil {
				r.at = at
			}
			for _, e := range entries {
				r.node.takeBack(e.Key, e.Payload)
			}
		})
	}) // what goes wrong is tried again at the next tick
	loop.After(revokedLook, r.tick)
}

// readRevocations reads what is in force and was written after a position: everything, where the log began anew.
func readRevocations(ctx context.Context, state broker.State, at broker.Position) (broker.Position, []*broker.Entry, error) {
	var entries []*broker.Entry
	for {
		page, err := state.State(ctx, revocationsLog, broker.StateQuery{After: at.Offset})
		switch {
		case err != nil:
			return at, nil, err
		case page.Epoch != at.Epoch && at.Offset != 0:
			at, entries = broker.Position{Epoch: page.Epoch}, nil
			continue
		}
		at.Epoch = page.Epoch
		for _, e := range page.Entries {
			entries = append(entries, e)
			at.Offset = e.Offset
		}
		if !page.More {
			return at, entries, nil
		}
	}
}

// sweep forgets what is over, as long as the loop runs.
func (r *revocations) sweep() {
	r.node.revoked.sweep(r.node.cfg.Now().UnixMilli())
	r.node.shards[0].loop.After(revokedSweep, r.sweep)
}
