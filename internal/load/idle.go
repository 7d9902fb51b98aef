package load

import (
	"context"
	"time"
)

// idle opens everything, waits, and fills the result with the memory it took.
func (r *run) idle(ctx context.Context, dial *dialer, to address) error {
	base := 0
	if r.opts.Connections > idleBase {
		base = idleBase
	}
	before, err := r.subscribeAndSettle(ctx, dial, to, base)
	if err != nil {
		return err
	}
	opening := time.Now()
	after, err := r.subscribeAndSettle(ctx, dial, to, r.opts.Connections)
	if err != nil {
		return err
	}
	r.result.Opening = time.Since(opening) - r.opts.Settle
	r.result.setMemory(before, after, r.opts.Connections-base)
	r.do(func() { r.result.Faults = r.book.faults })
	return nil
}

// subscribeAndSettle opens subscribers until n are open, waits, and reads the
// server's usage.
func (r *run) subscribeAndSettle(ctx context.Context, dial *dialer, to address, n int) (Process, error) {
	if err := r.subscribe(ctx, dial, to, n); err != nil {
		return Process{}, err
	}
	settled := make(chan struct{})
	timer := time.AfterFunc(r.opts.Settle, func() { close(settled) })
	defer timer.Stop()
	if err := r.wait(ctx, settled); err != nil {
		return Process{}, err
	}
	return r.server()
}
