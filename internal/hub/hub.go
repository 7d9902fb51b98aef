package hub

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// Loop is what a Hub needs of an event loop.
type Loop interface {
	// Post runs fn on the loop, after what was posted before. It never blocks and answers false when the loop is gone.
	Post(fn func()) bool
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
	BudgetBytes   int64         // most bytes in all windows of the node; 0 means 256 MiB
	Linger        time.Duration // how long a channel without followers keeps its window; 0 means 15 s
}

// Errors that end an attempt to subscribe or a subscription.
var (
	ErrBusy         = errors.New("hub: too many reads under way")
	ErrClosed       = errors.New("hub: closed")
	ErrEpochChanged = errors.New("hub: the channel's log began anew")
	ErrNoState      = errors.New("hub: the broker keeps no state")
)

const shardCount = 64

// Hub holds the windows and cursors of one node.
type Hub struct {
	cfg  Config
	seed maphash.Seed

	// following orders Follow and Unfollow with the entries of shards.
	following sync.Mutex
	shards    [shardCount]shard

	bytes    atomic.Int64 // in all windows
	channels atomic.Int64
	cursors  atomic.Int64
	hand     atomic.Uint32 // the shard whose windows are looked at next when the budget is reached
	checking atomic.Bool   // a task asks for heads
	now      atomic.Int64  // Unix milliseconds at the last Tick

	stats counters
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
	Gaps              uint64 // gaps told to followers
	Recovered         uint64 // subscriptions from a position that went on without a hole
	Unrecovered       uint64 // those that could not
	Reads             uint64 // reads asked of the broker
	Found             uint64 // live entries that had been missed and were read again
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
	h := &Hub{cfg: cfg, seed: maphash.MakeSeed()}
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
		Gaps:        h.stats.gaps.Load(),
		Recovered:   h.stats.recovered.Load(),
		Unrecovered: h.stats.unrecovered.Load(),
		Reads:       h.stats.reads.Load(),
		Found:       h.stats.found.Load(),
	}
}

// StartKind says where a cursor begins.
type StartKind uint8

// The places a cursor can begin at.
const (
	Live     StartKind = iota // with the next entry
	Last                      // with the newest Start.Last entries
	Since                     // with the entries since Start.Since
	Position                  // after Start.Position
	State                     // with the latest entry of every key
)

// Start says where a cursor begins.
type Start struct {
	Kind     StartKind
	Last     int
	Since    int64 // Unix milliseconds
	Position broker.Position
}

// Owner is the session a cursor belongs to. Its methods are called on the owner's loop.
type Owner interface {
	// Due says that c has something to send. It is called once, until a Take of c has found nothing more.
	Due(c *Cursor)
	// Ended says that c has been closed from this side, and why.
	Ended(c *Cursor, err error)
	// Name is the session's public name: entries that it published without echo are not sent to it.
	Name() string
}

// Request asks for a cursor.
type Request struct {
	Channel  string
	Loop     int // index into Config.Loops: where the owner lives
	Owner    Owner
	Encoding Encoding
	Start    Start
	Overflow rule.Overflow
	// History is what the channel's rule retains: a new window is filled with it, so that whoever comes back finds it
	// on this node.
	History rule.History
}

// Placed says where a cursor was placed.
type Placed struct {
	Epoch  string
	Offset uint64 // the channel's newest entry when the cursor was placed
	// Recovered is false when entries after the position asked for are gone, or the position is not of this epoch.
	Recovered bool
}

// Subscribe places c, which must not be in use, and calls done on the loop: before it returns, when the window holds
// what is asked for, else later. A cursor that is closed in between is not placed and its done is not called.
func (h *Hub) Subscribe(req Request, c *Cursor, done func(Placed, error)) {
	*c = Cursor{owner: req.Owner, state: cursorWaiting}
	h.subscribe(&placing{hub: h, req: req, cursor: c, done: done})
}

func (h *Hub) subscribe(p *placing) {
	l, fresh := h.join(p)
	if fresh {
		l.open(p.req.History)
		return
	}
	if l != nil {
		p.place(l)
	}
}

// join finds the log of p's channel, or makes it. It answers nil when p has been queued until the log is open.
func (h *Hub) join(p *placing) (l *log, fresh bool) {
	s := h.shard(p.req.Channel)
	s.mu.RLock()
	l = s.logs[p.req.Channel]
	s.mu.RUnlock()
	if l == nil {
		l, fresh = h.add(p.req.Channel)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == logOpening {
		l.waiting = append(l.waiting, p)
		if !fresh {
			return nil, false
		}
	}
	return l, fresh
}

// add puts a new log into its shard and follows the channel, unless another goroutine came first.
func (h *Hub) add(channel string) (*log, bool) {
	h.following.Lock()
	defer h.following.Unlock()
	s := h.shard(channel)
	s.mu.Lock()
	if l := s.logs[channel]; l != nil {
		s.mu.Unlock()
		return l, false
	}
	l := newLog(h, channel)
	s.logs[channel] = l
	s.mu.Unlock()
	h.channels.Add(1)
	h.cfg.Broker.Follow([]string{channel})
	return l, true
}

// remove takes l out of its shard and stops following it.
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

func (h *Hub) shard(channel string) *shard {
	return &h.shards[maphash.String(h.seed, channel)%shardCount]
}

func (h *Hub) find(channel string) *log {
	s := h.shard(channel)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.logs[channel]
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
