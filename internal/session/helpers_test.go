package session

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/broker"
	"hocket.dev/broker/brokertest"
	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
	"hocket.dev/internal/hub"
	"hocket.dev/internal/rule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// queue holds functions until a test runs them: the posts of a loop, or tasks.
type queue struct {
	mu  sync.Mutex
	fns []func()
}

func (q *queue) Post(fn func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fns = append(q.fns, fn)
	return true
}

func (q *queue) run() (ran bool) {
	for {
		q.mu.Lock()
		if len(q.fns) == 0 {
			q.mu.Unlock()
			return ran
		}
		fn := q.fns[0]
		q.fns = q.fns[1:]
		q.mu.Unlock()
		fn()
		ran = true
	}
}

// timed is a loop whose time the test moves.
type timed struct {
	queue
	w      *world
	timers []*timer
}

type timer struct {
	at time.Time
	fn func()
}

func (l *timed) After(d time.Duration, fn func()) (stop func()) {
	t := &timer{l.w.now.Add(d), fn}
	l.timers = append(l.timers, t)
	return func() { l.timers = slices.DeleteFunc(l.timers, func(other *timer) bool { return other == t }) }
}

// world is a node that a test turns by hand: of one loop, unless Config.Loops is set to more by addLoop.
type world struct {
	t       testing.TB
	now     time.Time    // by set and step
	clock   atomic.Int64 // the same, for the broker
	loop    *timed
	loops   []*timed // with loop
	tasks   queue
	refuse  bool // no more tasks
	broker  *brokertest.Lossy
	keys    broker.State // of the broker in use
	cluster *cluster     // nil for a node on its own
	hub     *hub.Hub
	node    *Node
	methods map[string]Method
	log     bytes.Buffer
}

func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, now: time.UnixMilli(1_795_000_000_000), methods: make(map[string]Method)}
	w.set(w.now)
	w.loop = &timed{w: w}
	w.loops = []*timed{w.loop}
	memory := broker.NewMemory(broker.MemoryConfig{Now: func() time.Time { return time.UnixMilli(w.clock.Load()) }, Seed: 1})
	w.broker = brokertest.LoseLast(memory)
	rules, err := rule.Compile([]rule.Rule{
		{Pattern: "none:>"},
	}, rule.Rule{History: rule.History{Count: 1000}, Presence: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	task := func(fn func(context.Context)) bool {
		return !w.refuse && w.tasks.Post(func() { fn(ctx) })
	}
	cfg := Config{
		Name: "n1", Broker: w.broker, Rules: rules, Anonymous: true, Task: task,
		Method: func(name string) Method { return w.methods[name] },
		Now:    func() time.Time { return w.now }, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		PingEvery: 25 * time.Second, Drain: time.Second, Loops: []Loop{w.loop},
	}
	change(&cfg)
	var loops []hub.Loop
	for _, l := range cfg.Loops[1:] {
		w.loops = append(w.loops, l.(*timed))
	}
	for _, l := range w.loops {
		l.w = w
		loops = append(loops, l)
	}
	w.hub = hub.New(hub.Config{Broker: cfg.Broker, Loops: loops, Task: cfg.Task})
	cfg.Hub = w.hub
	w.node = NewNode(cfg)
	var running sync.WaitGroup
	running.Go(func() {
		if err := cfg.Broker.Run(ctx, w.hub); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	w.keys = cfg.Broker.(broker.State)
	for _, err := cfg.Broker.Heads(ctx, nil); err != nil; _, err = cfg.Broker.Heads(ctx, nil) {
		runtime.Gosched() // until it runs
	}
	return w
}

// addLoop gives the node one more.
func addLoop(c *Config) { c.Loops = append(c.Loops, &timed{}) }

// settle runs everything that is due now.
func (w *world) settle() {
	for ran := true; ran; {
		ran = w.tasks.run()
		for _, l := range w.loops {
			ran = l.run() || ran
		}
	}
}

// pass lets time go by in steps of 100 ms.
func (w *world) pass(d time.Duration) {
	w.settle()
	for end := w.now.Add(d); w.now.Before(end); {
		w.step(100 * time.Millisecond)
		w.settle()
	}
}

func (w *world) set(now time.Time) {
	w.now = now
	w.clock.Store(now.UnixMilli())
}

// step moves the time, and posts what it brings.
func (w *world) step(d time.Duration) {
	w.set(w.now.Add(d))
	for _, l := range w.loops {
		due := l.timers
		l.timers = nil
		for _, t := range due {
			if t.at.After(w.now) {
				l.timers = append(l.timers, t)
			} else {
				l.Post(t.fn)
			}
		}
	}
}

// publish appends an entry as a back end does.
func (w *world) publish(channel, payload string) {
	w.t.Helper()
	w.node.Publish(channel, broker.Entry{Payload: []byte(payload)}, func(_ broker.Receipt, err *dialect.Error) {
		if err != nil {
			w.t.Error(err)
		}
	})
	w.settle()
}

func (w *world) members(channel string) int {
	w.t.Helper()
	n, err := w.keys.Keys(context.Background(), dialect.PresencePrefix+channel)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// lengths frames a message by its length.
type lengths struct{}

func (lengths) Begin(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

func (lengths) End(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// client is a session and its line. It takes what Pull gives when the test asks for it.
type client struct {
	*Session
	w       *world
	reading bool
	woken   bool
	code    dialect.Code // of the close
	dropped bool
	reason  string
	stream  []byte // taken, not yet looked at
	room    int    // what Send takes
	watched bool
}

func (c *client) Wake()  { c.woken = true }
func (c *client) Watch() { c.watched = true }

// Send takes what a socket with this much room would.
func (c *client) Send(b []byte) (n int, ok bool) {
	n = min(len(b), c.room)
	c.room -= n
	c.stream = append(c.stream, b[:n]...)
	return n, n > 0
}

func (c *client) SetReading(on bool) { c.reading = on }
func (c *client) Close(code dialect.Code, reason string) {
	c.code, c.reason = code, reason
}
func (c *client) Drop(code dialect.Code) { c.code, c.dropped = code, true }

func (w *world) dial(commands ...dialect.Command) *client {
	w.t.Helper()
	return w.dialOn(0, commands...)
}

// dialOn is dial on a loop of the node.
func (w *world) dialOn(loop int, commands ...dialect.Command) *client {
	w.t.Helper()
	return w.open(loop, Handshake{Commands: commands})
}

// dialFrom is dial from an address.
func (w *world) dialFrom(address string) *client {
	w.t.Helper()
	return w.open(0, Handshake{Address: address})
}

// dialProof is dial with a proof in the handshake.
func (w *world) dialProof(p *Proof, commands ...dialect.Command) *client {
	w.t.Helper()
	return w.open(0, Handshake{Proof: p, Commands: commands})
}

func (w *world) open(loop int, h Handshake) *client {
	w.t.Helper()
	codec, _, err := native.New().Open(dialect.Handshake{})
	if err != nil {
		w.t.Fatal(err)
	}
	c := &client{w: w, reading: true}
	h.Line, h.Codec, h.Framing, h.Address = c, codec, lengths{}, cmp.Or(h.Address, "192.0.2.1:5")
	c.Session = w.node.Shard(loop).Open(h)
	w.settle()
	return c
}

// connect dials and takes the greeting.
func (w *world) connect() *client {
	w.t.Helper()
	c := w.dial()
	c.want(`"type":"connected"`)
	return c
}

// Receive gives the session one message, in a buffer that then serves for another.
func (c *client) Receive(msg []byte) {
	b := bytes.Clone(msg)
	c.Tick()
	c.Session.Receive(b)
	for i := range b {
		b[i] = '!'
	}
}

// send gives messages to the session.
func (c *client) send(messages ...string) {
	for _, m := range messages {
		c.Receive([]byte(m))
	}
	c.w.settle()
}

// write gives the line n bytes of room. It answers how many were used.
func (c *client) write(n int) (taken int) {
	for taken < n {
		b := c.Pull()
		if len(b) == 0 {
			return taken
		}
		m := min(len(b), n-taken)
		c.stream = append(c.stream, b[:m]...)
		taken += m
		c.Sent(m)
		c.w.settle()
	}
	return taken
}

// messages are those that have come whole.
func (c *client) messages() (all []string) {
	for len(c.stream) >= 4 {
		n := int(binary.BigEndian.Uint32(c.stream))
		if len(c.stream) < 4+n {
			break
		}
		msg := c.stream[4 : 4+n]
		if !json.Valid(msg) {
			c.w.t.Fatalf("frames interleave: %.200q", msg)
		}
		all = append(all, string(msg))
		c.stream = c.stream[4+n:]
	}
	return all
}

// take takes all there is.
func (c *client) take() []string {
	c.write(1 << 30)
	return c.messages()
}

// want takes all there is: so many messages, each with what is wanted in it.
func (c *client) want(parts ...string) []string {
	c.w.t.Helper()
	got := c.take()
	if len(got) != len(parts) {
		c.w.t.Fatalf("got %d messages, want %d:\n%s", len(got), len(parts), strings.Join(got, "\n"))
	}
	for i := range got {
		if !strings.Contains(got[i], parts[i]) {
			c.w.t.Errorf("message %d is %s\nwant %s", i, got[i], parts[i])
		}
	}
	return got
}

// subscribe asks and takes the answer.
func (c *client) subscribe(channel, payload string) {
	c.w.t.Helper()
	c.send(fmt.Sprintf(`{"type":"subscribe","id":"s","channel":%q,"payload":%s}`, channel, payload))
	c.want(`"type":"reply","id":"s"`)
}

func (c *client) wantClosed(code dialect.Code) {
	c.w.t.Helper()
	if c.code != code {
		c.w.t.Errorf("closed with %d %q, want %d", c.code, c.reason, code)
	}
}

// ghostly writes a publish and answers that it does not know.
type ghostly struct {
	*brokertest.Lossy
	lie  bool
	only string // to this channel; "" for any
}

func (g *ghostly) Publish(channel string, e broker.Entry, r broker.Retention, done func(broker.Receipt, error)) {
	if g.lie && (g.only == "" || g.only == channel) {
		g.lie = false
		inner := done
		done = func(broker.Receipt, error) { inner(broker.Receipt{}, io.ErrUnexpectedEOF) }
	}
	g.Lossy.Publish(channel, e, r, done)
}
