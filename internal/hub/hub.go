package hub

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"hocket.dev/broker"
)

// Loop is what a Hub needs of an event loop.
type Loop interface {
	// Post runs fn on the loop, after what was posted before. It never blocks and answers false when the loop is gone.
	Post(fn func()) bool
	// After runs fn on the loop when d has passed, unless stop is called before. Both are called on the loop.
	After(d time.Duration, fn func()) (stop func())
}

// Config says what a Hub works with.
type Config struct {
	Broker broker.Broker
	Loops  []Loop
	// Task runs fn on another goroutine, where it may block until ctx ends. It answers false, and does not run fn,
	// when too many tasks are under way.
	Task func(fn func(ctx context.Context)) bool

	WindowEntries int           // most entries in a channel's window; 0 means 1000
	WindowBytes   int64         // most bytes in a channel's window; 0 means 4 MiB
	BudgetBytes   int64         // most bytes in all windows of the node; frames may take a quarter of it besides; 0 means 256 MiB
	Linger        time.Duration // how long a channel without followers keeps its window; 0 means 15 s
}

// Errors that end an attempt to subscribe or a subscription.
var (
	ErrBusy         = errors.New("hub: too many reads under way")
	ErrClosed       = errors.New("hub: closed")
	ErrEpochChanged = errors.New("hub: the channel's log began anew")
	ErrNoState      = errors.New("hub: the broker keeps no state")
	ErrFilters      = errors.New("hub: the channel has too many filters") // see Filterer
)

const shardCount = 64

// Hub holds the windows and cursors of one node.
type Hub struct {
	cfg         Config
	seed        maphash.Seed
	pageEntries int // read from the broker at once
	cacheBytes  int // frames kept per log and encoding; a cursor that needs older ones makes them itself

	// following orders Follow and Unfollow with the entries of shards; it guards closed.
	following sync.Mutex
	closed    bool
	shards    [shardCount]shard

	bytes    atomic.Int64 // in all windows
	framed   atomic.Int64 // in all frames
	channels atomic.Int64
	cursors  atomic.Int64
	refills  atomic.Int64  // pages that are read or held for cursors which the window has left behind
	hand     atomic.Uint32 // the shard whose windows are looked at next when the budget is reached
	checking atomic.Bool   // a task asks for heads
	now      atomic.Int64  // Unix milliseconds at the last Tick
	desks    sync.Pool     // unused ones

	stats counters

	counting sync.Mutex
	actions  map[string]*actions // by the pattern of the rule; guarded by counting
}

type shard struct {
	mu   sync.RWMutex
	logs map[string]*log
}

type counters struct {
	gaps, recovered, unrecovered, reads, found atomic.Uint64
}

// Stats are the plain counters of a Hub.
type Stats struct {
	Channels, Cursors int64  // followed channels and their cursors
	WindowBytes       int64  // held in windows
	FrameBytes        int64  // held in frames
	Gaps              uint64 // gaps told to followers
	Recovered         uint64 // subscriptions from a position that went on without a hole
	Unrecovered       uint64 // those that could not
	Reads             uint64 // reads asked of the broker
	Found             uint64 // live entries that had been missed and were read again
	// Overflows counts how often each overflow rule has acted, by the pattern of the channel rule it stands in, "" for the
	// fallback.
	Overflows map[string]Overflows
}

// New makes a Hub. It is the Sink of cfg.Broker.
func New(cfg Config) *Hub {
	if cfg.WindowEntries == 0 {
		cfg.WindowEntries = 1000
	}
	if cfg.WindowBytes == 0 {
		cfg.WindowBytes = 4 << 20
	}
	if cfg.BudgetBytes == 0 {
		cfg.BudgetBytes = 256 << 20
	}
	if cfg.Linger == 0 {
		cfg.Linger = 15 * time.Second
	}
	h := &Hub{cfg: cfg, seed: maphash.MakeSeed(), pageEntries: 1000, cacheBytes: 256 << 10, actions: make(map[string]*actions)}
	h.count("") // the fallback is always there
	h.desks.New = func() any { return new(desk) }
	for i := range h.shards {
		h.shards[i].logs = make(map[string]*log)
	}
	return h
}

// Stats reads the counters.
func (h *Hub) Stats() Stats {
	return Stats{
		Channels:    h.channels.Load(),
		Cursors:     h.cursors.Load(),
		WindowBytes: h.bytes.Load(),
		FrameBytes:  h.framed.Load(),
		Gaps:        h.stats.gaps.Load(),
		Recovered:   h.stats.recovered.Load(),
		Unrecovered: h.stats.unrecovered.Load(),
		Reads:       h.stats.reads.Load(),
		Found:       h.stats.found.Load(),
		Overflows:   h.overflows(),
	}
}

// Deliver takes a new entry of a followed channel, in log order. It implements broker.Sink.
func (h *Hub) Deliver(channel, epoch string, e *broker.Entry) {
	if l := h.find(channel); l != nil {
		l.deliver(epoch, e)
	}
}

// Gap says that entries may have been missed. It implements broker.Sink.
func (h *Hub) Gap(channel string) {
	if l := h.find(channel); l != nil {
		l.catchUp()
	}
}

// Close ends every subscription with ErrClosed, and every later attempt to subscribe. Tasks under way find nothing left
// to do; whoever runs them waits for them.
func (h *Hub) Close() {
	h.following.Lock()
	h.closed = true
	h.following.Unlock()
	for i := range h.shards {
		for _, l := range h.shards[i].list(nil) {
			l.kill(ErrClosed)
		}
	}
}

func (h *Hub) shard(channel string) *shard {
	return &h.shards[maphash.String(h.seed, channel)%shardCount]
}

func (h *Hub) find(channel string) *log {
	s := h.shard(channel)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.logs[channel]
}

// list appends the shard's logs to dst.
func (s *shard) list(dst []*log) []*log {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, l := range s.logs {
		dst = append(dst, l)
	}
	return dst
}

// add finds p's log, or puts a new one into its shard, in which p waits, and follows the channel. It answers nil when
// the hub is closed.
func (h *Hub) add(p *placing) (l *log, fresh bool) {
	h.following.Lock()
	defer h.following.Unlock()
	if h.closed {
		return nil, false
	}
	channel := p.req.Channel
	s := h.shard(channel)
	s.mu.Lock()
	if l = s.logs[channel]; l != nil {
		s.mu.Unlock()
		return l, false
	}
	l = newLog(h, &p.req)
	l.waiting = append(l.waiting, p)
	s.logs[channel] = l
	s.mu.Unlock()
	h.channels.Add(1)
	h.cfg.Broker.Follow([]string{channel})
	return l, true
}

// remove takes l out of its shard and stops following it, unless that has been done.
func (h *Hub) remove(l *log) {
	h.following.Lock()
	defer h.following.Unlock()
	s := h.shard(l.name)
	s.mu.Lock()
	found := s.logs[l.name] == l
	if found {
		delete(s.logs, l.name)
	}
	s.mu.Unlock()
	if found {
		h.channels.Add(-1)
		h.cfg.Broker.Unfollow([]string{l.name})
	}
}
