package load

import (
	"context"
	"time"

	"hocket.dev/wire"
)

const (
	// maxBurst bounds what one tick publishes, so that receiving has its turn.
	maxBurst = 1000
	// maxUnsent is how many bytes of publishes may wait for the server to read
	// them; what is due beyond that goes out later, and is counted as late.
	maxUnsent = 1 << 20
	// lateAfter is how much after its time a publish is late.
	lateAfter = int64(10 * time.Millisecond)
)

// pace decides when the publisher publishes. It belongs to the loop.
type pace struct {
	begin   int64 // when publishing began
	sent    uint64
	late    uint64
	running bool
	stopped int64 // when publishing ended
	mark    mark  // the end of the warm-up
	finish  chan struct{}
	over    bool // finish is closed
}

// mark is a moment of a run.
type mark struct {
	now       int64
	published uint64
	delivered uint64
	late      uint64
	server    Process
}

// load opens everything, publishes, and fills the result.
func (r *run) load(ctx context.Context, dial *dialer, to, publishTo address) error {
	before, err := r.server()
	if err != nil {
		return err
	}
	opening := time.Now()
	if err := r.subscribe(ctx, dial, to, r.opts.Connections); err != nil {
		return err
	}
	r.result.Opening = time.Since(opening)
	after, err := r.server()
	if err != nil {
		return err
	}
	r.result.setMemory(before, after, r.opts.Connections)
	if err := r.openPublisher(ctx, dial, publishTo); err != nil {
		return err
	}
	finish := make(chan struct{})
	r.do(func() { r.pace.finish = finish; r.beginPublishing() })
	if err := r.wait(ctx, finish); err != nil {
		return err
	}
	end, err := r.server()
	if err != nil {
		return err
	}
	r.do(func() { r.fill(end) })
	return nil
}

// server reads the server's usage, when its process is known.
func (r *run) server() (Process, error) {
	if r.opts.PID == 0 {
		return Process{}, nil
	}
	return ReadProcess(r.opts.PID)
}

// openPublisher opens the session that publishes.
func (r *run) openPublisher(ctx context.Context, dial *dialer, to address) error {
	nc, rest, err := dial.open(ctx, to)
	if err != nil {
		return err
	}
	r.do(func() {
		r.publisher = &session{publish: true}
		r.attach(r.publisher, nc, rest)
	})
	return nil
}

// beginPublishing starts the warm-up.
func (r *run) beginPublishing() {
	r.pace.begin = r.now()
	r.pace.running = true
	if r.opts.Warmup > 0 {
		r.loop.After(r.opts.Warmup, r.beginMeasuring)
	} else {
		r.beginMeasuring()
	}
	if r.opts.Closed {
		r.refill()
	} else {
		r.tick()
	}
}

// beginMeasuring ends the warm-up.
func (r *run) beginMeasuring() {
	server, err := r.server()
	if err != nil {
		r.fail(err)
		return
	}
	now := r.now()
	r.book.since = now
	r.pace.mark = mark{now, r.book.published, r.book.delivered, r.pace.late, server}
	r.book.measured = true
	r.loop.After(r.opts.Duration, r.stopPublishing)
}

// stopPublishing begins the wait for what is still due.
func (r *run) stopPublishing() {
	if !r.pace.running {
		return
	}
	r.pace.running = false
	r.pace.stopped = r.now()
	r.loop.After(r.opts.Drain, r.finish)
	r.step()
}

// finish ends the measurement.
func (r *run) finish() {
	if !r.pace.over {
		r.pace.over = true
		close(r.pace.finish)
	}
}

// step follows whatever has been received: in a closed loop it is what the next
// publish waits for, and in the end it may have been the last message due.
func (r *run) step() {
	switch {
	case r.pace.finish == nil:
	case r.pace.running && r.opts.Closed:
		r.refill()
	case !r.pace.running && r.book.open == 0:
		r.finish()
	}
}

// refill publishes until so many publishes are open as the options say.
func (r *run) refill() {
	for r.pace.running && r.book.open < r.opts.Open && len(r.publisher.out) < maxUnsent {
		r.publish()
	}
}

// tick publishes what is due by the rate, and waits for the next.
func (r *run) tick() {
	if !r.pace.running {
		return
	}
	now := r.now()
	for burst := 0; burst < maxBurst && r.pace.running; burst++ {
		due := r.due(r.pace.sent)
		if due > now || len(r.publisher.out) >= maxUnsent {
			break
		}
		if now-due > lateAfter {
			r.pace.late++
		}
		r.publish()
	}
	r.loop.After(max(time.Duration(r.due(r.pace.sent)-now), time.Millisecond), r.tick)
}

// due returns when publish i is to be sent at the rate.
func (r *run) due(i uint64) int64 {
	return r.pace.begin + int64(float64(i)/r.opts.Rate*1e9)
}

// publish sends the next publish, to each channel in turn, and ends publishing when
// it was the last.
func (r *run) publish() {
	b := &r.book
	c := b.channels[r.requests%uint64(len(b.channels))]
	r.requests++
	r.pace.sent++
	r.frame = r.frame[:0]
	r.frame = appendPublish(r.frame, r.requests, c.name)
	r.frame = append(b.publish(c, r.frame, r.now()), '}')
	r.publisher.send(wire.Text, r.frame)
	if r.opts.Messages > 0 && r.book.measured && b.published-r.pace.mark.published >= uint64(r.opts.Messages) {
		r.stopPublishing()
	}
}

// acknowledge takes the reply to the publish with this id.
func (r *run) acknowledge(id uint64) {
	if id < 1 || id > r.requests {
		r.book.faults.Errors++
		r.book.faults.note("the server answered a request %d that was not made", id)
		return
	}
	channels := uint64(len(r.book.channels))
	r.book.acknowledge(r.book.channels[(id-1)%channels], (id-1)/channels)
}

// fill completes the result. On the loop.
func (r *run) fill(end Process) {
	b, m := &r.book, &r.pace.mark
	for _, s := range r.sessions {
		b.settle(&s.at)
	}
	for _, c := range b.channels {
		b.settleReplies(c)
	}
	out := &r.result
	out.Published = b.published - m.published
	out.Delivered = b.delivered - m.delivered
	out.Late = r.pace.late - m.late
	out.Publishing = time.Duration(r.pace.stopped - m.now)
	out.Delivering = time.Duration(max(b.last, r.pace.stopped) - m.now)
	out.Latency = summarize(&b.latency)
	out.Faults = b.faults
	if r.opts.PID != 0 {
		out.Server.set(m.server, end, out.Delivered)
	}
}
