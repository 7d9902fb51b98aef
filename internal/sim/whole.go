package sim

import (
	"time"

	"hocket.dev/client"
)

// steady says that nothing of this world keeps a state from coming in one go. Where something does, the SDK takes for whole what
// has fallen silent.
func (p *profile) steady() bool {
	return p.doomed+p.outages+p.losses+p.restarts+p.faults.read+p.faults.lose == 0 && !p.tight()
}

// A gathering is what a map had when the SDK gave it out.
type gathering struct {
	who, channel string
	askedAt, at  time.Duration
	keys         map[string]bool
}

// gather notes what a map begins with.
func (k *kit) gather(channel string, askedAt time.Duration, m *client.Map) {
	g := gathering{who: k.name, channel: channel, askedAt: askedAt, at: k.w.now(), keys: make(map[string]bool)}
	for key := range m.All() {
		g.keys[key] = true
	}
	k.w.set(func() { k.w.gathered = append(k.w.gathered, g) })
}

// lacking is a value that was there when a state was asked for, and that is not in it though it is there still; nil for none.
func (e *epoch) lacking(askedAt, at time.Duration, has func(key string) bool) *fact {
	for _, f := range e.entries[:e.appendedBy(askedAt)] {
		if f.holds() && f.replaced() > at && f.lives > at && f.gone == nil && !has(f.Key) {
			return f
		}
	}
	return nil
}

func (w *world) checkGathered() {
	for _, g := range w.gathered {
		e := w.truth.current(g.channel)
		if e == nil || !w.profile.steady() {
			continue
		}
		if f := e.lacking(g.askedAt, g.at, func(key string) bool { return g.keys[key] }); f != nil {
			w.fault(g.channel, g.who, g.at, "the SDK gave out a map without %s, which was at %d", f.Key, f.Offset)
		}
	}
}

// whole checks that a state is, which the SDK says.
func (c *checker) whole(it *item) {
	e := c.w.truth.find(c.r.channel, it.epoch)
	if e == nil || !c.w.profile.steady() {
		return
	}
	f := e.lacking(c.r.askedAt, it.at, func(key string) bool {
		_, has := c.known[key]
		return has
	})
	if f != nil && !c.perhapsMine(f) {
		c.fault(it.at, "the state is said to be whole, and %s at %d has not come", f.Key, f.Offset)
	}
}
