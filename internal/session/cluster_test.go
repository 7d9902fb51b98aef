package session

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// shared is a broker of several nodes: one in memory, whose deliveries are split among those that follow.
type shared struct {
	*broker.Memory
	running sync.WaitGroup
	stop    context.CancelFunc
	views   []*view // set before any of them runs
}

// view is what one node has of a shared broker.
type view struct {
	of *shared

	mu      sync.Mutex
	sink    broker.Sink
	follows map[string]bool
	dead    bool                      // nothing of this node gets through any more
	asleep  bool                      // it does nothing, and does not notice
	fault   func(*broker.Entry) fault // of a publish; nil for none
	later   func(fn func())           // runs an answer that comes late
}

type fault int

const (
	works   fault = iota
	refuses       // it is busy
	lies          // it applies the entry and says that it does not know
	loses         // it does not apply the entry and says that it does not know
	delays        // it answers later
)

func newShared(t testing.TB, now func() time.Time, nodes int) *shared {
	ctx, stop := context.WithCancel(context.Background())
	s := &shared{Memory: broker.NewMemory(broker.MemoryConfig{Now: now, Seed: 1}), stop: stop}
	for range nodes {
		s.views = append(s.views, &view{of: s, follows: make(map[string]bool)})
	}
	s.running.Go(func() { _ = s.Memory.Run(ctx, s) })
	<-s.Ready()
	t.Cleanup(func() { stop(); s.running.Wait() })
	return s
}

func (s *shared) each(channel string, tell func(broker.Sink)) {
	for _, v := range s.views {
		v.mu.Lock()
		sink := v.sink
		if v.dead || !v.follows[channel] {
			sink = nil
		}
		v.mu.Unlock()
		if sink != nil {
			tell(sink)
		}
	}
}

// Deliver implements broker.Sink, with the two below.
func (s *shared) Deliver(channel, epoch string, e *broker.Entry) {
	s.each(channel, func(to broker.Sink) { to.Deliver(channel, epoch, e) })
}

func (s *shared) Gap(channel string) { s.each(channel, func(to broker.Sink) { to.Gap(channel) }) }

func (s *shared) Removed(channel string, r broker.Removal) {
	s.each(channel, func(to broker.Sink) { to.Removed(channel, r) })
}

// Run implements broker.Broker, with what follows.
func (v *view) Run(ctx context.Context, sink broker.Sink) error {
	v.mu.Lock()
	v.sink = sink
	v.mu.Unlock()
	<-ctx.Done()
	v.mu.Lock()
	v.sink = nil
	v.mu.Unlock()
	return nil
}

func (v *view) kill() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dead = true
}

func (v *view) Publish(channel string, e broker.Entry, r broker.Retention, done func(broker.Receipt, error)) {
	v.mu.Lock()
	f := works
	if v.fault != nil {
		f = v.fault(&e)
	}
	dead := v.dead
	v.mu.Unlock()
	inner := done
	switch {
	case dead:
		return
	case f == refuses:
		done(broker.Receipt{}, broker.ErrBusy)
		return
	case f == loses:
		done(broker.Receipt{}, io.ErrUnexpectedEOF)
		return
	case f == lies:
		done = func(broker.Receipt, error) { inner(broker.Receipt{}, io.ErrUnexpectedEOF) }
	case f == delays:
		done = func(r broker.Receipt, err error) { v.later(func() { inner(r, err) }) }
	}
	v.of.Memory.Publish(channel, e, r, done)
}

func (v *view) Follow(channels []string) {
	v.mu.Lock()
	for _, c := range channels {
		v.follows[c] = true
	}
	v.mu.Unlock()
	v.of.Follow(channels)
}

func (v *view) Unfollow(channels []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range channels { // the broker goes on delivering; nobody listens
		delete(v.follows, c)
	}
}

func (v *view) Read(ctx context.Context, channel string, q broker.Query) (broker.Page, error) {
	return v.of.Read(ctx, channel, q)
}

func (v *view) Heads(ctx context.Context, channels []string) ([]broker.Position, error) {
	v.mu.Lock()
	running := v.sink != nil
	v.mu.Unlock()
	if !running {
		return nil, broker.ErrClosed
	}
	return v.of.Heads(ctx, channels)
}

func (v *view) State(ctx context.Context, channel string, q broker.StateQuery) (broker.Page, error) {
	return v.of.State(ctx, channel, q)
}

func (v *view) Keys(ctx context.Context, channel string) (int, error) { return v.of.Keys(ctx, channel) }

func (v *view) Channels(ctx context.Context, after string, limit int) ([]string, error) {
	return v.of.Channels(ctx, after, limit)
}

// cluster is several nodes on one broker, each of two loops.
type cluster struct {
	shared *shared
	nodes  []*world
	now    time.Time    // by set
	clock  atomic.Int64 // the same, for the broker
}

func (c *cluster) set(now time.Time) {
	c.now = now
	c.clock.Store(now.UnixMilli())
}

func newCluster(t testing.TB, nodes int, change func(*Config)) *cluster {
	t.Helper()
	c := &cluster{}
	c.set(time.UnixMilli(1_795_000_000_000))
	c.shared = newShared(t, func() time.Time { return time.UnixMilli(c.clock.Load()) }, nodes)
	for i := range nodes {
		v := c.shared.views[i]
		w := newWorld(t, func(cfg *Config) {
			cfg.Broker, cfg.Secret = v, []byte("of the cluster")
			cfg.Name = string(rune('a' + i))
			cfg.Rules = presenceRules
			addLoop(cfg)
			change(cfg)
		})
		w.cluster = c
		v.later = func(fn func()) { w.tasks.Post(fn) }
		c.nodes = append(c.nodes, w)
	}
	return c
}

// presenceRules have a grace of 5 s, but for "now:>", which has none.
var presenceRules, _ = rule.Compile([]rule.Rule{
	{Pattern: "now:>", Presence: true, PresenceGrace: -1},
}, rule.Rule{History: rule.History{Count: 1000}, Presence: true, PresenceGrace: 5 * time.Second})

func (c *cluster) settle() {
	for ran := true; ran; {
		ran = false
		for _, w := range c.nodes {
			if !w.runs() {
				continue
			}
			ran = w.tasks.run() || ran
			for _, l := range w.loops {
				ran = l.run() || ran
			}
		}
	}
}

// of is the node's view of the broker.
func (w *world) of() *view { return w.node.cfg.Broker.(*view) }

func (w *world) runs() bool { return !w.of().dead && !w.of().asleep }

// pass lets time go by on all nodes.
func (c *cluster) pass(d time.Duration) {
	c.settle()
	for end := c.now.Add(d); c.now.Before(end); {
		c.set(c.now.Add(100 * time.Millisecond))
		for _, w := range c.nodes {
			if w.runs() {
				w.step(100 * time.Millisecond)
			}
		}
		c.settle()
	}
}

// presenceMessage is a join, an update, a leave, or the number of members.
type presenceMessage struct {
	Type    string
	Channel string
	Epoch   string
	Offset  uint64
	Members []struct {
		Session string
		Info    json.RawMessage
	}
	Payload struct{ Count int }
}

func decodePresence(t testing.TB, text string) (m presenceMessage) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	switch m.Type {
	case "join", "update", "leave", "presence":
	default:
		t.Fatalf("not about presence: %s", text)
	}
	return m
}
