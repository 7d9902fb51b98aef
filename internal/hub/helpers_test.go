package hub

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"

	"hocket.dev/broker"
	"hocket.dev/broker/brokertest"
	"hocket.dev/internal/rule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when tests begin.
var start = time.UnixMilli(1_795_000_000_000)

// queue is a loop, or a place for tasks, that a test turns by hand.
type queue struct {
	mu     sync.Mutex
	fns    []func()
	clock  *time.Time
	timers []timer // by their time
}

// timer is a function that waits for its time.
type timer struct {
	due time.Time
	fn  func()
}

func (q *queue) After(d time.Duration, fn func()) (stop func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	due := q.clock.Add(d)
	i := 0
	for i < len(q.timers) && !q.timers[i].due.After(due) {
		i++
	}
	q.timers = slices.Insert(q.timers, i, timer{due, fn})
	return func() {}
}

// expire posts the functions whose time has come.
func (q *queue) expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.timers) > 0 && !q.timers[0].due.After(*q.clock) {
		q.fns = append(q.fns, q.timers[0].fn)
		q.timers = q.timers[1:]
	}
}

func (q *queue) Post(fn func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fns = append(q.fns, fn)
	return true
}

// one runs the oldest function.
func (q *queue) one() bool {
	q.mu.Lock()
	if len(q.fns) == 0 {
		q.mu.Unlock()
		return false
	}
	fn := q.fns[0]
	q.fns = q.fns[1:]
	q.mu.Unlock()
	fn()
	return true
}

func (q *queue) run() (ran int) {
	for q.one() {
		ran++
	}
	return ran
}

// shim stands between the hub and its broker: it counts who is followed, and lets a test change what is read.
type shim struct {
	*brokertest.Lossy
	mu       sync.Mutex
	follows  map[string]int
	reads    []broker.Query
	page     func(channel string, q broker.Query, p *broker.Page) // nil for as it is
	position func(channel string, p *broker.Position)

	forgotten bool // deletes
}

func (s *shim) Follow(channels []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range channels {
		s.follows[c]++
	}
	s.Lossy.Follow(channels)
}

func (s *shim) Unfollow(channels []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range channels {
		if s.follows[c]--; s.follows[c] == 0 {
			delete(s.follows, c)
		}
	}
	s.Lossy.Unfollow(channels)
}

func (s *shim) Read(ctx context.Context, channel string, q broker.Query) (broker.Page, error) {
	p, err := s.Lossy.Read(ctx, channel, q)
	s.mu.Lock()
	s.reads = append(s.reads, q)
	change := s.page
	s.mu.Unlock()
	if change != nil && err == nil {
		change(channel, q, &p)
	}
	return p, err
}

// State may have forgotten deletes.
func (s *shim) State(ctx context.Context, channel string, q broker.StateQuery) (broker.Page, error) {
	p, err := s.Lossy.State(ctx, channel, q)
	if q.Deletes && s.forgotten {
		p.Complete = false
	}
	return p, err
}

func (s *shim) Heads(ctx context.Context, channels []string) ([]broker.Position, error) {
	heads, err := s.Lossy.Heads(ctx, channels)
	if s.position != nil {
		for i := range heads {
			s.position(channels[i], &heads[i])
		}
	}
	return heads, err
}

// tb is what tests, benchmarks and rapid have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// world is a node of which everything is turned by hand.
type world struct {
	tb
	hub    *Hub
	broker *shim
	loops  []*queue
	tasks  *queue // nil when tasks are carried out at once
	refuse bool   // tasks
	keep   rule.History
	clock  time.Time
	now    atomic.Int64 // the same in Unix milliseconds, for the broker's goroutine
	stop   func()
}

func (w *world) setClock(t time.Time) {
	w.clock = t
	w.now.Store(t.UnixMilli())
}

type option func(w *world, c *Config, m *broker.MemoryConfig)

func tasksByHand(w *world, _ *Config, _ *broker.MemoryConfig) { w.tasks = &queue{} }
func scattered(_ *world, _ *Config, m *broker.MemoryConfig)   { m.Scatter = true }
func window(entries int) option {
	return func(_ *world, c *Config, _ *broker.MemoryConfig) { c.WindowEntries = entries }
}
func keeping(h rule.History) option {
	return func(w *world, _ *Config, _ *broker.MemoryConfig) { w.keep = h }
}
func with(change func(*Config)) option {
	return func(_ *world, c *Config, _ *broker.MemoryConfig) { change(c) }
}

// newWorld starts a node with two loops. Its rule keeps 100 entries.
func newWorld(t testing.TB, options ...option) *world {
	t.Helper()
	w := openWorld(t, options...)
	t.Cleanup(w.stop)
	return w
}

func openWorld(t tb, options ...option) *world {
	t.Helper()
	w := &world{tb: t, keep: rule.History{Count: 100}}
	w.setClock(start)
	var cfg Config
	mem := broker.MemoryConfig{Now: func() time.Time { return time.UnixMilli(w.now.Load()) }, Seed: 7}
	for _, o := range options {
		o(w, &cfg, &mem)
	}
	memory := broker.NewMemory(mem)
	w.broker = &shim{Lossy: brokertest.LoseLast(memory), follows: map[string]int{}}
	for range 2 {
		q := &queue{clock: &w.clock}
		w.loops = append(w.loops, q)
		cfg.Loops = append(cfg.Loops, q)
	}
	cfg.Broker = w.broker
	cfg.Task = func(fn func(context.Context)) bool {
		if w.refuse {
			return false
		}
		if w.tasks != nil {
			return w.tasks.Post(func() { fn(context.Background()) })
		}
		fn(context.Background())
		return true
	}
	w.hub = New(cfg)
	w.hub.Tick(w.clock)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.broker.Run(ctx, w.hub) // it answers nil once ctx has ended
	}()
	<-memory.Ready()
	w.stop = func() { cancel(); <-ended }
	return w
}

// publish appends an entry and returns its offset. A name other than "" publishes without echo.
func (w *world) publish(channel, payload string, name ...string) uint64 {
	w.Helper()
	e := broker.Entry{Payload: []byte(payload), Format: broker.Text}
	if len(name) > 0 {
		e.From, e.NoEcho = &broker.Member{Session: name[0]}, true
	}
	return w.put(channel, e)
}

func (w *world) put(channel string, e broker.Entry) uint64 {
	w.Helper()
	var at broker.Receipt
	var err error
	r := broker.Retention{Count: w.keep.Count, Bytes: w.keep.Bytes, Age: w.keep.Age}
	w.broker.Lossy.Publish(channel, e, r, func(x broker.Receipt, y error) { at, err = x, y })
	if err != nil {
		w.Fatalf("publish: %v", err)
	}
	return at.Offset
}

// many publishes n entries with their number as payload.
func (w *world) many(channel string, n int) (offsets []uint64) {
	w.Helper()
	for i := range n {
		offsets = append(offsets, w.publish(channel, strconv.Itoa(i)))
	}
	return offsets
}

// settle runs tasks and loops until nothing is left.
func (w *world) settle() {
	for busy := true; busy; {
		busy = w.tasks != nil && w.tasks.run() > 0
		for _, l := range w.loops {
			busy = l.run() > 0 || busy
		}
	}
}

// pass lets time pass, with a Tick at its end.
func (w *world) pass(d time.Duration) {
	w.wait(d)
	w.hub.Tick(w.clock)
	w.settle()
}

// wait lets time pass without a Tick: timers run when they are due.
func (w *world) wait(d time.Duration) {
	w.settle()
	end := w.clock.Add(d)
	for next := end; ; next = end {
		for _, l := range w.loops {
			if len(l.timers) > 0 && l.timers[0].due.Before(next) {
				next = l.timers[0].due
			}
		}
		w.setClock(next)
		for _, l := range w.loops {
			l.expire()
		}
		w.settle()
		if !next.Before(end) {
			return
		}
	}
}

// lines is an encoding: a line of text for every entry.
type lines struct{ tag string }

func (e lines) AppendEntry(dst []byte, channel, epoch string, entry *broker.Entry) []byte {
	dst = append(append(dst, e.tag...), ' ')
	dst = append(append(dst, channel...), ' ')
	dst = append(strconv.AppendUint(dst, entry.Offset, 10), ' ')
	dst = append(dst, entry.Payload...)
	return append(dst, '\n')
}

func (e lines) Filters() bool { return e.tag != "m" }

// client is an owner with one cursor, and what it has been sent.
type client struct {
	Cursor
	w       *world
	name    string
	scratch Scratch

	done   bool // Subscribe has answered
	placed Placed
	err    error
	ended  error

	direct bool // sends at once
	sends  int  // how often it did
	dues   int
	passed int
	told   uint64 // offset up to which it knows what became of everything, 0 before it has been told anything
	over   bool   // told to end
	out    bytes.Buffer
	rest   []byte
	sent   int // entries, as Sent counts them
}

func (c *client) Due(cur *Cursor) {
	if cur != &c.Cursor {
		c.w.Fatalf("Due for another cursor")
	}
	c.dues++
}

// Send takes all but a few bytes at once, now and then, if the client is one that does.
func (c *client) Send(cur *Cursor, sl *Slice) bool {
	if cur != &c.Cursor {
		c.w.Fatalf("Send for another cursor")
	}
	if !c.direct || len(c.rest) > 0 {
		return false
	}
	c.sends++
	n := max(1, len(sl.Bytes)-c.sends%3*5)
	c.out.Write(sl.Bytes[:n])
	entries, rest := c.Sent(sl, n)
	c.sent += entries
	c.told = c.Offset()
	c.rest = bytes.Clone(rest)
	if c.More() {
		c.dues++
	}
	return true
}

func (c *client) Overflow(*Cursor)           { c.over = true }
func (c *client) Ended(_ *Cursor, err error) { c.ended = err }
func (c *client) Name() string               { return c.name }

// asking changes a Request.
type asking func(*Request)

func from(s Start) asking      { return func(r *Request) { r.Start = s } }
func onLoop(i int) asking      { return func(r *Request) { r.Loop = i } }
func tagged(tag string) asking { return func(r *Request) { r.Encoding = lines{tag} } }
func disconnecting(r *Request) { r.Overflow = rule.OverflowDisconnect }
func last(n int) asking        { return from(Start{Kind: Last, Last: n}) }
func after(e string, o uint64) asking {
	return from(Start{Kind: Position, Position: broker.Position{Epoch: e, Offset: o}})
}

// subscribe asks for a cursor; whether it is placed at once is seen in done.
func (w *world) subscribe(channel string, as ...asking) *client {
	c := &client{w: w}
	w.join(c, channel, as...)
	return c
}

func (w *world) join(c *client, channel string, as ...asking) {
	req := Request{Channel: channel, Owner: c, Encoding: lines{"m"}, History: w.keep}
	for _, a := range as {
		a(&req)
	}
	w.hub.Subscribe(req, &c.Cursor, func(p Placed, err error) {
		if c.done {
			w.Fatalf("done was called twice")
		}
		c.done, c.placed, c.err = true, p, err
	})
}

// place subscribes and wants to be placed.
func (w *world) place(channel string, as ...asking) *client {
	w.Helper()
	c := w.subscribe(channel, as...)
	w.settle()
	if !c.done || c.err != nil {
		w.Fatalf("not placed: done %v, error %v", c.done, c.err)
	}
	return c
}

// pull does what a session does when its socket has room: take at most about max bytes, of which the socket takes cut.
// It answers false when nothing was due.
func (c *client) pull(max, cut int) bool {
	if len(c.rest) > 0 {
		c.out.Write(c.rest)
		c.rest = nil
	}
	sl := c.Take(&c.scratch, max)
	if sl.Passed {
		c.passed++
		c.told = c.Offset() // of a gap up to its beginning
	}
	switch {
	case sl.Overflow:
		c.over = true
		return false
	case sl.GapTo != 0:
		c.told = sl.GapTo
		fmt.Fprintf(&c.out, "gap %d-%d %s\n", sl.GapFrom, sl.GapTo, sl.GapReason)
		return true
	case len(sl.Bytes) == 0:
		return false
	}
	cut = min(cut, len(sl.Bytes))
	c.out.Write(sl.Bytes[:cut])
	if c.over {
		c.w.Fatalf("Take goes on after Overflow")
	}
	entries, rest := c.Sent(&sl, cut)
	c.sent += entries
	if entries > 0 {
		c.told = c.Offset()
	}
	c.rest = append([]byte(nil), rest...)
	return true
}

// read takes everything that is due.
func (c *client) read() string {
	for again := true; again; again = c.due && !c.over {
		for c.pull(64<<10, 64<<10) {
		}
		c.w.settle() // a page may be under way
	}
	return c.text()
}

// text is what has been received since it was last asked for, without the tag and channel of each line.
func (c *client) text() string {
	var b strings.Builder
	for line := range strings.Lines(c.out.String()) {
		if f := strings.SplitN(line, " ", 3); f[0] != "gap" {
			line = f[2]
		}
		b.WriteString(line)
	}
	c.out.Reset()
	return b.String()
}

// offsets are those of the messages in a text.
func offsets(text string) (list []uint64) {
	for line := range strings.Lines(text) {
		f, _, _ := strings.Cut(line, " ")
		if n, err := strconv.ParseUint(f, 10, 64); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// want compares what c gets with lines, given as one text.
func (c *client) want(text string) {
	c.w.Helper()
	c.w.settle()
	if got := c.read(); got != text {
		c.w.Fatalf("got\n%s\nwant\n%s", got, text)
	}
}

// wantOffsets compares what c gets with entries by their offsets.
func (c *client) wantOffsets(list []uint64) {
	c.w.Helper()
	c.w.settle()
	if got := c.read(); fmt.Sprint(offsets(got)) != fmt.Sprint(list) || strings.Contains(got, "gap") {
		c.w.Fatalf("got\n%s\nwant the offsets %v", got, list)
	}
}

func TestCursorIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Cursor{}); n > 64 {
		t.Errorf("a Cursor has %d bytes, more than 64", n)
	}
}
