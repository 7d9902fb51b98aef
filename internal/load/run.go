package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"hocket.dev/internal/loop"
	"hocket.dev/wire"
)

// goodbyeTimeout is how long the end of a run waits for the server to close.
const goodbyeTimeout = 2 * time.Second

// Run makes one run and returns what it measured. It blocks until the run is over,
// every connection is closed and no goroutine of it is left.
//
// The error says why a run could not be made: wrong options, no server, a refused
// subscription, a canceled context. That messages were lost or broken is no error
// here but part of the result: see [Result.Err].
func Run(ctx context.Context, o Options) (Result, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return Result{}, err
	}
	to, err := parseAddress(o.URL)
	if err != nil {
		return Result{}, err
	}
	publishTo, err := parseAddress(o.PublishURL)
	if err != nil {
		return Result{}, err
	}
	dial, err := newDialer(o, to)
	if err != nil {
		return Result{}, err
	}
	group, err := loop.New(loop.Config{Loops: 1, Portable: o.dial != nil})
	if err != nil {
		return Result{}, err
	}
	defer group.Close()
	r := newRun(o, group.Loop(0))
	defer r.end()
	if o.Idle {
		err = r.idle(ctx, dial, to)
	} else {
		err = r.load(ctx, dial, to, publishTo)
	}
	return r.result, err
}

// run is one run. After newRun its fields belong to the loop, except where another
// owner is named.
type run struct {
	// Set once.
	opts   Options
	loop   *loop.Loop
	start  time.Time
	random *rand.Rand // the loop's, like what follows

	book      book
	sessions  []*session // subscribers
	publisher *session
	live      int    // sessions that have not ended
	requests  uint64 // ids of publishes sent, from 1
	frame     []byte // the publish being made

	awaited  int // the number of ready subscribers that closes allReady
	ready    int
	allReady chan struct{}
	failed   chan error // the first failure that ends the run; room for one
	pace     pace
	closed   chan struct{} // nil until the end; closed when all sessions are

	result Result // of the goroutine that called Run
}

// newRun returns a run that has opened nothing.
func newRun(o Options, l *loop.Loop) *run {
	r := &run{
		opts: o, loop: l, start: time.Now(),
		random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), // #nosec G404 -- for load
		failed: make(chan error, 1),
		book:   book{size: o.PayloadBytes},
	}
	for i := range o.Channels {
		c := &channel{name: "bench:" + strconv.Itoa(i), index: i}
		r.book.channels = append(r.book.channels, c)
	}
	r.result = newResult(o)
	return r
}

// now returns the time since the start of the run in nanoseconds.
func (r *run) now() int64 { return int64(time.Since(r.start)) }

// do runs fn on the loop and waits for it.
func (r *run) do(fn func()) {
	done := make(chan struct{})
	if r.loop.Post(func() { defer close(done); fn() }) {
		<-done
	}
}

// fail ends the run with an error, unless it has one. On any goroutine.
func (r *run) fail(err error) {
	select {
	case r.failed <- err:
	default:
	}
}

// wait returns when event is closed, or with the error that comes before.
func (r *run) wait(ctx context.Context, event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case err := <-r.failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// subscribe opens subscribers, one after another, until n are open, and waits until
// all are subscribed.
func (r *run) subscribe(ctx context.Context, dial *dialer, to address, n int) error {
	allReady := make(chan struct{})
	from := 0
	r.do(func() {
		from = len(r.sessions)
		r.awaited, r.allReady = n, allReady
	})
	for i := from; i < n; i++ {
		nc, rest, err := dial.open(ctx, to)
		if err != nil {
			return fmt.Errorf("open connection %d of %d: %w", i+1, r.opts.Connections, err)
		}
		r.do(func() { r.attachSubscriber(nc, rest) })
	}
	if from == n {
		return nil
	}
	return r.wait(ctx, allReady)
}

// attachSubscriber makes a session of a connection and subscribes it.
func (r *run) attachSubscriber(nc net.Conn, rest []byte) {
	c := r.book.channels[len(r.sessions)%len(r.book.channels)]
	s := &session{at: cursor{channel: c, next: c.end()}}
	r.sessions = append(r.sessions, s)
	c.subs++
	if r.attach(s, nc, rest) {
		s.send(wire.Text, appendSubscribe(nil, 1, c.name))
	}
}

// attach puts a session on the loop and gives it the bytes that came with the
// handshake.
func (r *run) attach(s *session, nc net.Conn, rest []byte) bool {
	s.run = r
	s.decoder = wire.NewDecoder(wire.Client, nil)
	if err := r.loop.Attach(&s.Conn, nc, s); err != nil {
		s.gone = true
		r.fail(err)
		return false
	}
	r.live++
	s.Read(rest)
	return true
}

// oneReady counts a subscriber that is subscribed.
func (r *run) oneReady() {
	if r.ready++; r.ready == r.awaited {
		close(r.allReady)
	}
}

// sessionClosed notes the end of a connection.
func (r *run) sessionClosed(s *session, err error) {
	r.live--
	switch {
	case s.closing:
	case s.publish:
		r.fail(fmt.Errorf("the publisher's connection ended: %w", err))
	case !s.ready:
		r.fail(fmt.Errorf("subscribe to %s: the connection ended: %w", s.at.channel.name, err))
	default:
		r.book.faults.Closed++
		r.book.faults.note("a connection ended: %v", err)
	}
	r.checkClosed()
}

// end closes every connection, politely where the server goes along.
func (r *run) end() {
	closed := make(chan struct{})
	r.do(func() {
		r.closed = closed
		for _, s := range append(r.sessions, r.publisher) {
			if s != nil {
				s.closing = true
				s.bye(wire.CloseNormal)
			}
		}
		r.checkClosed()
	})
	timeout := time.NewTimer(goodbyeTimeout)
	defer timeout.Stop()
	select {
	case <-closed:
	case <-timeout.C:
	}
}

// checkClosed ends the run's end when no session is left.
func (r *run) checkClosed() {
	if r.closed != nil && r.live == 0 {
		close(r.closed)
		r.closed = nil
	}
}
