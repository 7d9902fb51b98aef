package hub

import (
	"slices"
	"sync/atomic"

	"hocket.dev/internal/rule"
)

const (
	// walkStep is how many cursors a group looks at before it lets the loop go on with other work, which begins with
	// sending to those that were behind: while what has been looked at is still in the processor's cache.
	walkStep = 16
	// closeStep is how many cursors are ended at once. What an owner does then costs more.
	closeStep = 512
)

// group is the followers of one log on one loop. Its fields, but for grown and watch, belong to the loop.
type group struct {
	log    *log
	loop   Loop
	index  int    // of loop
	grew   func() // look, step and sweep as values: made once
	onward func()
	swept  func()

	grown atomic.Bool // grew is posted
	watch atomic.Bool // some cursors want to be looked at by Tick (see sweep)

	cursors []*Cursor
	views   []*loopView
	end     uint64 // index after the newest entry known to the loop
	at      int    // the cursor that the walk comes to next
	walking bool   // a walk is not done with all cursors
	again   bool   // when it is, there is to be another one
}

// loopView is what a loop knows of the frames of one encoding.
type loopView struct {
	view
	set     *frameSet
	terms   terms
	lag     lag // of bounded terms
	cursors int

	due  Slice  // what cursors at from are due, when it is one piece; made by ready
	from uint64 // index
}

// readyBytes bounds what is sent at once.
const readyBytes = 64 << 10

// ready gives all that c, which has no backlog, is due: when that is one piece of shared bytes for everybody, else nil.
// Most cursors stand at the same place, so it is made once for them.
func (v *loopView) ready(c *Cursor) *Slice {
	if v.due.Bytes == nil || v.from != c.next {
		if c.next < v.base || c.next < v.special || c.next >= v.end() || c.next < v.lag.floor {
			return nil
		}
		frames := v.frames[c.next-v.base:]
		if extend(frames, readyBytes) < len(frames) {
			return nil
		}
		v.due, v.from = share(frames), c.next
	}
	if v.due.frames[0].offset <= c.offset { // a page of the broker held it already
		return nil
	}
	return &v.due
}

// refresh copies what the set has by now. upTo is the index up to which the loop knew the log. The log's lock is held.
func (v *loopView) refresh(l *log, upTo uint64) {
	v.view, v.due = v.set.view, Slice{}
	if v.terms.bounded() {
		v.lag.advance(l, &v.terms, upTo)
	}
}

// newGroup makes the group of a loop, to which what the log has by now is nothing new. l.mu is held.
func newGroup(l *log, loop int) *group {
	g := &group{log: l, loop: l.hub.cfg.Loops[loop], index: loop, end: l.end()}
	g.grew, g.onward, g.swept = g.look, g.step, g.sweep
	return g
}

// grow lets every group look at the log. A loop is told once however many entries come before it gets to it: that is
// the batching.
func grow(groups []*group) {
	for _, g := range groups {
		if !g.grown.Swap(true) {
			g.loop.Post(g.grew)
		}
	}
}

// look learns what the log has by now and has the cursors walked.
func (g *group) look() {
	g.grown.Store(false) // first, so that what comes from here on is looked at again
	g.refresh()
	if g.walking {
		g.again = true
		return
	}
	g.at, g.walking = 0, true
	g.step()
}

// step tells the owners of the next cursors that are behind. Owners may close cursors here, also of others.
func (g *group) step() {
	for n := 0; n < walkStep && g.at < len(g.cursors); n++ {
		c := g.cursors[g.at]
		g.at++
		if c.next >= g.end || c.due || c.behind != nil {
			continue
		}
		if sl := c.view.ready(c); sl != nil && c.owner.Send(c, sl) {
			continue
		}
		c.due = true
		c.owner.Due(c)
	}
	if g.at >= len(g.cursors) {
		if g.walking = g.again; !g.walking {
			return
		}
		g.at, g.again = 0, false
	}
	g.loop.Post(g.onward)
}

// refresh copies what the log has by now.
func (g *group) refresh() {
	l := g.log
	l.mu.Lock()
	defer l.mu.Unlock()
	g.refreshLocked()
}

func (g *group) refreshLocked() {
	upTo := min(max(g.end, g.log.base), g.log.end())
	g.end = g.log.end()
	for _, v := range g.views {
		v.refresh(g.log, upTo)
	}
}

// add places c, whose place is known. The log's lock is held.
func (g *group) add(c *Cursor, r *Request) {
	l := g.log
	set, terms := l.set(r.Encoding), l.hub.terms(r)
	for _, v := range g.views {
		if v.set == set && v.terms == terms {
			c.view = v
		}
	}
	if c.view == nil {
		c.view = &loopView{set: set, terms: terms}
		g.views = append(g.views, c.view)
	}
	c.view.cursors++
	if terms.overflow == rule.OverflowDisconnect {
		g.watch.Store(true)
	}
	c.group, c.place, c.state = g, int32(len(g.cursors)), cursorPlaced
	g.cursors = append(g.cursors, c)
	g.refreshLocked()
	l.followers++
	l.hub.cursors.Add(1)
}

// drop takes c out.
func (g *group) drop(c *Cursor) {
	place := int(c.place)
	if g.walking && place < g.at { // whom the walk has passed stay before those whom it has not
		g.at--
		g.move(g.at, place)
		place = g.at
	}
	last := len(g.cursors) - 1
	if place != last { // where nobody is left in front, who stood there has moved already
		g.move(last, place)
	}
	g.cursors[last] = nil
	g.cursors = g.cursors[:last]

	l := g.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unset(c.view.set)
	if c.view.cursors--; c.view.cursors == 0 {
		i := slices.Index(g.views, c.view)
		g.views = slices.Delete(g.views, i, i+1)
	}
	if len(g.cursors) == 0 {
		g.cursors = nil
		l.ungroup(g)
	}
	l.followers--
	l.leftAt = l.hub.now.Load()
	l.hub.cursors.Add(-1)
}

// move puts the cursor of one place into another, which a sweep may have passed.
func (g *group) move(from, to int) {
	c := g.cursors[from]
	g.cursors[to], c.place = c, int32(to)
	if c.behind != nil || c.view.terms.overflow == rule.OverflowDisconnect {
		g.watch.Store(true)
	}
}

// close ends every cursor with err. The log is dead: nobody comes in any more.
func (g *group) close(err error) {
	for n := 0; n < closeStep && len(g.cursors) > 0; n++ {
		c := g.cursors[len(g.cursors)-1]
		owner := c.owner
		c.Close()
		owner.Ended(c, err)
	}
	if len(g.cursors) > 0 {
		g.loop.Post(func() { g.close(err) })
	}
}
