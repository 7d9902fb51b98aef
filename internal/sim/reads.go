package sim

import (
	"context"
	"maps"
	"slices"
	"time"

	"hocket.dev/broker"
)

// read does a read at the engine: the way there and the way back take their time, and it may fail.
func read[T any](ctx context.Context, e *engine, channel string, do func(m *broker.Memory) (T, error)) (answer T, err error) {
	e.mu.Lock()
	if e.node == nil {
		e.mu.Unlock()
		return answer, broker.ErrClosed
	}
	d, under := &e.listing, new(int)
	if channel != "" {
		d, under = &e.lane(channel).dice, &e.lane(channel).reading
	}
	*under++
	there, back, fails := e.delay(d), e.delay(d), d.chance(e.faults.read)
	e.underWay++
	e.mu.Unlock()
	defer func() {
		e.arrived()
		e.done(under)
	}()
	if err := wait(ctx, there); err != nil {
		return answer, err
	}
	if fails || e.unreachable() {
		return answer, errEngine
	}
	if answer, err = do(e.current()); err != nil {
		return answer, err
	}
	return answer, wait(ctx, back)
}

// wait waits, unless the context ends.
func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// limit is how many entries a page has at most, where so many are asked for. Who asks for few is a client that is to get them.
func (e *engine) limit(asked int) int {
	if most := e.faults.page; most > 0 && (asked == 0 || asked > fewest && asked != all) {
		return most
	}
	return asked
}

const (
	fewest = 40  // a client asks for no more, but for
	all    = 999 // members
)

// Read implements broker.Broker.
func (e *engine) Read(ctx context.Context, channel string, q broker.Query) (broker.Page, error) {
	if q.HasAfter || q.Since != 0 { // else what is complete depends on how many are asked for
		q.Limit = e.limit(q.Limit)
	}
	return read(ctx, e, channel, func(m *broker.Memory) (broker.Page, error) { return m.Read(ctx, channel, q) })
}

// Heads implements broker.Broker.
func (e *engine) Heads(ctx context.Context, channels []string) ([]broker.Position, error) {
	if len(channels) == 0 {
		return nil, nil
	}
	// The order they are asked in is the node's.
	return read(ctx, e, slices.Min(channels), func(m *broker.Memory) ([]broker.Position, error) { return m.Heads(ctx, channels) })
}

// State implements broker.State.
func (e *engine) State(ctx context.Context, channel string, q broker.StateQuery) (broker.Page, error) {
	q.Limit = e.limit(q.Limit)
	return read(ctx, e, channel, func(m *broker.Memory) (broker.Page, error) { return m.State(ctx, channel, q) })
}

// Keys implements broker.State.
func (e *engine) Keys(ctx context.Context, channel string) (int, error) {
	return read(ctx, e, channel, func(m *broker.Memory) (int, error) { return m.Keys(ctx, channel) })
}

// Channels implements broker.Lister.
func (e *engine) Channels(ctx context.Context, after string, limit int) ([]string, error) {
	return read(ctx, e, "", func(m *broker.Memory) ([]string, error) { return m.Channels(ctx, after, limit) })
}

// Remove implements broker.Remover.
func (e *engine) Remove(ctx context.Context, channel string, r broker.Removal) (int, error) {
	return read(ctx, e, channel, func(m *broker.Memory) (int, error) { return m.Remove(ctx, channel, r) })
}

// outage makes nothing get through for a while.
func (e *engine) outage(d time.Duration) {
	e.mu.Lock()
	e.down = true
	e.mu.Unlock()
	time.Sleep(d)
	e.mu.Lock()
	e.down = false
	e.mu.Unlock()
}

// calm ends all faults.
func (e *engine) calm() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.publish, e.faults.answer, e.faults.lose, e.faults.late, e.faults.read = 0, 0, 0, 0, 0
}

// forget loses every log, but for a part that a replica has kept: what was acknowledged since is gone, and all epochs
// change.
func (e *engine) forget() {
	e.mu.Lock()
	life, lanes := e.life+1, make(map[string]*lane)
	for name, l := range e.channels {
		lanes[name] = l
	}
	e.mu.Unlock()
	memory, stop := e.boot(life)
	for _, name := range sorted(lanes) {
		l := lanes[name]
		e.mu.Lock()
		kept := e.truth.kept(name, l.dice.n(100), l.dice.chance(e.faults.replica))
		keep := l.keep
		e.mu.Unlock()
		e.follow(memory, name)
		e.truth.copy(true)
		for _, f := range kept {
			entry := *f.Entry
			entry.Offset, entry.Prev, entry.Time = 0, 0, 0
			entry.HasExpect = false // which named an offset of the log that is lost
			memory.Publish(name, entry, keep, nil)
		}
		e.truth.copy(false)
	}
	e.mu.Lock()
	old := e.stop
	e.memory, e.stop, e.life = memory, stop, life
	for _, name := range sorted(e.channels) {
		if lanes[name] == nil {
			e.follow(memory, name)
		}
	}
	e.mu.Unlock()
	old()
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// kept is what is left of a channel's log after a loss: so many percent of it.
func (t *truth) kept(channel string, percent int, any bool) []*fact {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.current(channel)
	if e == nil || !any {
		return nil
	}
	return e.entries[:len(e.entries)*percent/100]
}
