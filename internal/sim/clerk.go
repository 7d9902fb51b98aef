package sim

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"hocket.dev/broker"
)

// A clerk is the part of the back end that has entries removed.
type clerk struct {
	w    *world
	dice dice
	keys int        // of which it has had any removed
	done []removing // guarded by the world's lock
}

// A removing is a removal that was asked for and done.
type removing struct {
	broker.Removal
	channel             string
	epoch               *epoch
	askedAt, answeredAt time.Duration
	count               int // of entries, as it was answered
}

// live removes now and then, until the world grows calm.
func (c *clerk) live() {
	var channels []string
	for _, name := range c.w.profile.channels {
		if kinds[name].removed {
			channels = append(channels, name)
		}
	}
	for len(channels) > 0 && !c.w.isCalm() {
		time.Sleep(c.dice.time(100*time.Millisecond, 2*time.Second))
		c.remove(pick(&c.dice, channels))
	}
}

// remove has something removed that is there, or was lately.
func (c *clerk) remove(channel string) {
	if c.dice.chance(50) {
		c.w.engine.awaitRead(channel, c.dice.time(time.Millisecond, 500*time.Millisecond))
	}
	e, f := c.w.truth.recent(channel, &c.dice)
	c.w.mu.Lock()
	h := c.w.house
	c.w.mu.Unlock()
	if f == nil || h == nil {
		return
	}
	r := removing{channel: channel, epoch: e, askedAt: c.w.now()}
	switch kind := c.dice.n(10); {
	case kind == 0:
		r.UpTo = broker.MaxOffset
	case kind < 3 && f.Key == "":
		r.UpTo = f.Offset
	case kind < 6 && f.Key != "":
		r.Key = f.Key
	default:
		r.Offset = f.Offset
	}
	if r.Key != "" && c.dice.chance(60) {
		c.keys++
		name := fmt.Sprintf("over%d", c.keys)
		o := &office{w: c.w, name: name, dice: throw(c.w.seed, name), key: r.Key}
		c.w.acting.Go(func() { o.writeOver(channel) })
	}
	done, said := false, ""
	if c.dice.chance(50) {
		n, err := h.srv.Remove(context.Background(), channel, r.Removal)
		done, said, r.count = err == nil, fmt.Sprint(n, " ", err), n
	} else {
		done, said = c.ask(channel, r.Removal)
		r.count = counted(said)
	}
	r.answeredAt = c.w.now()
	c.w.note("clerk", fmt.Sprintf("removed %+v of %s: %s", r.Removal, channel, said))
	if done {
		c.w.set(func() { c.done = append(c.done, r) })
	}
}

// ask has something removed over HTTP.
func (c *clerk) ask(channel string, r broker.Removal) (done bool, said string) {
	args := map[string]any{"channel": channel}
	switch {
	case r.Key != "":
		args["key"] = r.Key
	case r.Offset > 0:
		args["offset"] = r.Offset
	case r.UpTo == broker.MaxOffset:
		args["history"] = true
	default: // the API has no such thing
		return false, "not asked for"
	}
	answer, status, _ := (&office{w: c.w}).ask("remove", args)
	return status == http.StatusOK, string(answer)
}

// writeOver writes to a key again and again while it is being removed: what comes into the log behind its end is to stay.
func (o *office) writeOver(channel string) {
	d := &o.dice
	for range d.between(1, 4) {
		time.Sleep(d.time(time.Microsecond, pick(d, []time.Duration{2 * time.Millisecond, 400 * time.Millisecond})))
		o.batch([]*publication{o.write(channel, false)})
	}
}

// recent picks one of the newest entries of a channel, and tells its epoch.
func (t *truth) recent(channel string, d *dice) (*epoch, *fact) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.current(channel)
	if e == nil || len(e.entries) == 0 {
		return nil, nil
	}
	last := e.entries[max(0, len(e.entries)-30):]
	return e, last[d.n(len(last))]
}

// checkRemovals checks that what was to be removed is out of the log.
func (w *world) checkRemovals() {
	for _, r := range w.clerk.done {
		if slices.ContainsFunc(w.truth.logs[r.channel].epochs, func(e *epoch) bool { return e.began > r.askedAt && e.began < r.answeredAt }) {
			continue // it was removed from another log
		}
		w.checkCount(&r)
		for _, f := range r.epoch.entries[:r.epoch.appendedBy(r.askedAt)] {
			stays := f.Op == broker.Delete && (f.next == nil || f.next.at > r.answeredAt)
			if !stays && f.removedBy(&r.Removal) && f.gone == nil && f.dropped > r.answeredAt && f.ends > r.answeredAt {
				w.fault(r.channel, "clerk", r.answeredAt, "%d was to be removed with %+v, and is there", f.Offset, r.Removal)
			}
		}
	}
}
