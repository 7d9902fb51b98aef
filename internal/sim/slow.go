package sim

import (
	"context"
	"fmt"
	"time"

	"hocket.dev/broker"
)

// In some worlds there are channels to which much is published at once, and clients which follow those and read slowly, over lines
// that hold next to nothing: they fall behind. Beside them there is one that is never slow.

// drawSlow decides whether there are those who are slow, and in which channels. Where windows are large, the bounds of lag are small.
func (p *profile) drawSlow(d dice) {
	if !d.chance(25) {
		return
	}
	for _, channel := range slowly {
		if d.chance(60) {
			p.slow = append(p.slow, channel)
		}
	}
	if p.narrow || len(p.slow) == 0 {
		return
	}
	p.windowBytes = 16 << 20
	bytes, age := pick(&d, []int64{3000, 6000}), pick(&d, []time.Duration{300 * time.Millisecond, 700 * time.Millisecond})
	switch d.n(5) {
	case 0:
		p.limits.LagBytes, p.limits.LagAge = bytes, age
	case 1, 2:
		p.limits.LagBytes = bytes
	default:
		p.limits.LagAge = age
	}
}

// dawdle has somebody slow in each of the channels for that, somebody who is not, and somebody who publishes.
func (w *world) dawdle() {
	if len(w.profile.slow) == 0 {
		return
	}
	w.acting.Go(newWitness(w).dawdle)
	for i, channel := range w.profile.slow {
		w.acting.Go(newDawdler(w, i+1, channel).dawdle)
		name := fmt.Sprintf("spate%d", i)
		o := &office{w: w, name: name, dice: throw(w.seed, name), pads: 500}
		w.acting.Go(func() { o.pour(channel) })
	}
}

// newDawdler makes a client that is slow in one channel.
func newDawdler(w *world, n int, channel string) *actor {
	a := newFollower(w, n, channel)
	d := &a.dice
	a.rate = d.between(1200, 3500)
	a.line = quality{delay: [2]time.Duration{time.Microsecond, time.Millisecond}, capacity: d.between(200, 600), waits: d.between(200, 600)}
	return a
}

// newWitness makes the client that is not slow: what it has been sent the node has.
func newWitness(w *world) *actor {
	a := newFollower(w, 0, w.profile.slow...)
	a.line = quality{delay: [2]time.Duration{time.Microsecond, 20 * time.Microsecond}, capacity: 64 << 10, waits: 64 << 10}
	return a
}

// newFollower makes a client that does nothing but follow channels.
func newFollower(w *world, n int, channels ...string) *actor {
	a := &actor{
		w: w, name: fmt.Sprintf("s%d", n), dice: throw(w.seed, "slow", uint64(n)),
		places: make(map[string]*place), been: make(map[string]bool),
	}
	for _, c := range channels {
		a.places[c] = &place{channel: c}
	}
	return a
}

// dawdle follows the client's channels in one session after another, until the world grows calm.
func (a *actor) dawdle() {
	d := &a.dice
	for !a.w.isCalm() {
		if a.connect() {
			a.lag(d.time(4*time.Second, 15*time.Second))
			a.part()
		}
		time.Sleep(d.time(time.Millisecond, 500*time.Millisecond))
	}
}

// lag follows for a while, reading slowly, or now and then not at all.
func (a *actor) lag(lasts time.Duration) {
	d := &a.dice
	for until := a.w.now() + lasts; a.w.now() < until && a.connected() && !a.w.isCalm(); {
		for _, channel := range a.w.profile.slow {
			if p := a.places[channel]; p != nil {
				a.join(p)
			}
		}
		if a.rate > 0 && d.chance(8) {
			a.rest(d.time(500*time.Millisecond, 3500*time.Millisecond))
		}
		time.Sleep(d.time(50*time.Millisecond, time.Second))
	}
}

// join follows a channel from now on or, now and then, from anywhere.
func (a *actor) join(p *place) {
	if a.dice.chance(20) {
		a.subscribe(p)
		return
	}
	a.mu.Lock()
	if p.live || p.asking || a.socket == nil || a.session == "" {
		a.mu.Unlock()
		return
	}
	p.asking = true
	r := &run{who: a.name, channel: p.channel, session: a.session, askedAt: a.w.now()}
	s := a.socket
	a.mu.Unlock()
	a.request(map[string]any{"type": "subscribe", "channel": p.channel}, func(in *incoming) {
		if a.socket == s {
			a.subscribed(p, r, in)
		}
	})
}

// pour publishes much at once, again and again, until the world grows calm. Of some channels it has all removed now and then.
func (o *office) pour(channel string) {
	d := &o.dice
	clears := 0 // in percent
	if kinds[channel].removed && d.chance(60) {
		clears = 4
	}
	time.Sleep(d.time(time.Millisecond, time.Second))
	for !o.w.isCalm() {
		for range d.between(10, 60) {
			all := []*publication{o.write(channel, false)}
			if d.chance(30) {
				all = append(all, o.write(channel, false))
			}
			o.batch(all)
			time.Sleep(d.time(time.Millisecond, 120*time.Millisecond))
			if d.chance(clears) {
				o.clear(channel)
			}
		}
		time.Sleep(d.time(50*time.Millisecond, 2*time.Second))
	}
}

// clear has the history of a channel removed.
func (o *office) clear(channel string) {
	o.w.mu.Lock()
	h := o.w.house
	o.w.mu.Unlock()
	if h == nil {
		return
	}
	n, err := h.srv.Remove(context.Background(), channel, broker.Removal{UpTo: broker.MaxOffset})
	o.w.note("office", fmt.Sprintf("removed the history of %s: %d %v", channel, n, err))
}
