package hocket

import (
	"context"
	"sync"
)

// tasks runs what may block, on goroutines of its own, so many at once and no more.
type tasks struct {
	ctx   context.Context // ends with the node; tasks have no caller to inherit one from
	slots chan struct{}
	group sync.WaitGroup
}

func newTasks(ctx context.Context, most int) *tasks {
	if most <= 0 {
		most = 1024
	}
	return &tasks{ctx: ctx, slots: make(chan struct{}, most)}
}

// run starts fn and answers true, or false when too many tasks are under way or the node has ended.
func (t *tasks) run(fn func(ctx context.Context)) bool {
	if t.ctx.Err() != nil {
		return false
	}
	select {
	case t.slots <- struct{}{}:
	default:
		return false
	}
	t.group.Go(func() {
		defer func() { <-t.slots }()
		fn(t.ctx)
	})
	return true
}

// counts tells how many tasks are under way, and how many may be.
func (t *tasks) counts() (running, most int) { return len(t.slots), cap(t.slots) }

// wait returns when all tasks have ended.
func (t *tasks) wait() { t.group.Wait() }
