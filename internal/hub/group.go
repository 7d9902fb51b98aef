package hub

import "sync/atomic"

// walkStep is how many cursors a group looks at before it lets the loop go on with other work: a look costs some 20 ns,
// so a step stays well below the loop's millisecond.
const walkStep = 8192

// group is the followers of one log on one loop. Its fields, but for grown, belong to the loop.
type group struct {
	log   *log
	loop  Loop
	index int // of loop
	walk  func()

	grown atomic.Bool // walk is posted

	cursors []*Cursor
	views   []*loopView
	end     uint64 // index after the newest entry known to the loop
	walking bool   // a turn is not done with all cursors
	moved   bool   // a cursor may have moved to a place the turn has passed
}

// loopView is what a loop knows of the frames of one encoding.
type loopView struct {
	view
	set     *frameSet
	cursors int
}

// grow lets every group look at the log. It is called once however many entries came before the loop gets to it: that
// is the batching.
func grow(groups []*group) {
	for _, g := range groups {
		if !g.grown.Swap(true) {
			g.loop.Post(g.walk)
		}
	}
}

// turn tells the owners of cursors that are behind, beginning with the cursor at from.
func (g *group) turn(from int) {
	if from == 0 {
		g.grown.Store(false)
		g.refresh()
	}
	to := min(from+walkStep, len(g.cursors))
	for i := from; i < to; i++ {
		if c := g.cursors[i]; !c.due && c.next < g.end && c.behind == nil {
			c.due = true
			c.owner.Due(c)
		}
	}
	g.walking = to < len(g.cursors)
	switch {
	case g.walking:
		g.loop.Post(func() { g.turn(to) })
	case g.moved:
		g.moved = false
		g.loop.Post(func() { g.turn(0) })
	}
}

// refresh copies what the log has by now.
func (g *group) refresh() {
	l := g.log
	l.mu.Lock()
	defer l.mu.Unlock()
	g.refreshLocked()
}

func (g *group) refreshLocked() {
	g.end = g.log.end()
	for _, v := range g.views {
		v.view = v.set.view
	}
}

// add places c, whose place is known. The log's lock is held.
func (g *group) add(c *Cursor, enc Encoding) {
	l := g.log
	set := l.set(enc)
	for _, v := range g.views {
		if v.set == set {
			c.view = v
		}
	}
	if c.view == nil {
		c.view = &loopView{set: set}
		g.views = append(g.views, c.view)
	}
	c.view.cursors++
	c.group, c.place, c.state = g, int32(len(g.cursors)), cursorPlaced
	g.cursors = append(g.cursors, c)
	g.refreshLocked()
	l.followers++
	l.hub.cursors.Add(1)
}

// drop takes c out.
func (g *group) drop(c *Cursor) {
	last := g.cursors[len(g.cursors)-1]
	g.cursors[c.place] = last
	last.place = c.place
	g.cursors[len(g.cursors)-1] = nil
	g.cursors = g.cursors[:len(g.cursors)-1]
	g.moved = g.moved || g.walking

	l := g.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unset(c.view.set)
	if c.view.cursors--; c.view.cursors == 0 {
		g.forget(c.view)
	}
	if len(g.cursors) == 0 {
		l.ungroup(g)
	}
	l.followers--
	l.leftAt = l.hub.now.Load()
	l.hub.cursors.Add(-1)
}

func (g *group) forget(v *loopView) {
	for i := range g.views {
		if g.views[i] == v {
			g.views = append(g.views[:i], g.views[i+1:]...)
			return
		}
	}
}

// close ends every cursor with err.
func (g *group) close(err error) {
	cursors := g.cursors
	g.cursors, g.views = nil, nil
	g.log.hub.cursors.Add(-int64(len(cursors)))
	for _, c := range cursors {
		owner := c.owner
		*c = Cursor{}
		owner.Ended(c, err)
	}
}
