package session

import (
	"container/heap"
	"time"

	"hocket.dev/internal/rule"
)

const (
	// defaultGrace is what rule.Rule.PresenceGrace is when it is 0: time for a client to notice a dead line, and to come
	// back after its first delays.
	defaultGrace = 10 * time.Second
	// rosterTick is how often it is looked for members whose time is over, while there are any.
	rosterTick = 250 * time.Millisecond
	// rosterStep is how many of them are dealt with before other work has its turn.
	rosterStep = 256
)

// graceOf is how long a member whose line was lost stays one.
func graceOf(r *rule.Rule) time.Duration {
	if r.PresenceGrace == 0 {
		return defaultGrace
	}
	return max(r.PresenceGrace, 0)
}

// waiter is what waits for its time in the roster.
type waiter interface {
	slot() *slot
	// over has it go on. The roster's lock is held.
	over(r *roster)
}

// slot is a waiter's place in the list, guarded by the roster's lock.
type slot struct {
	due   int64 // Unix milliseconds
	place int   // from 1; 0 when it is not there
}

// waitingList is a heap by due.
type waitingList []waiter

func (l waitingList) Len() int           { return len(l) }
func (l waitingList) Less(i, j int) bool { return l[i].slot().due < l[j].slot().due }
func (l waitingList) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].slot().place, l[j].slot().place = i+1, j+1
}

func (l *waitingList) Push(x any) {
	w := x.(waiter)
	*l = append(*l, w)
	w.slot().place = len(*l)
}

func (l *waitingList) Pop() any {
	last := len(*l) - 1
	w := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	w.slot().place = 0
	if last == 0 {
		*l = nil // a wave has passed; its room is not kept
	}
	return w
}

// keep holds the place of a session that was lost until its grace is over. It answers false when too many wait.
func (r *roster) keep(m *membership) bool {
	at := seat{m.from.Session, m.channel}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.lost[at]; other != nil {
		if other.at.Epoch == m.at.Epoch && other.at.Offset > m.at.Offset {
			return false // the entry of m has been written over
		}
		r.giveUp(other) // that of the other has
	} else if len(r.lost) >= r.node.cfg.Limits.LostMembers {
		return false
	}
	r.lost[at] = m
	r.await(m, m.grace)
	return true
}

// take answers the place that was held for a session, nil for none.
func (r *roster) take(name, channel string) *membership {
	at := seat{name, channel}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.lost[at]
	if m != nil {
		delete(r.lost, at)
		r.giveUp(m)
		m.wish = toStay
	}
	return m
}

// retry has w go on after a while.
func (r *roster) retry(w waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.await(w, leaveRetry)
}

// giveUp takes w off the list, if it is there. r.mu is held.
func (r *roster) giveUp(w waiter) {
	if place := w.slot().place; place != 0 {
		heap.Remove(&r.waiting, place-1)
	}
}

// await has w go on when d has passed, and not a part of a millisecond sooner. r.mu is held.
func (r *roster) await(w waiter, d time.Duration) {
	at := w.slot()
	at.due = r.node.cfg.Now().Add(d + time.Millisecond - 1).UnixMilli()
	if at.place == 0 {
		heap.Push(&r.waiting, w)
	} else {
		heap.Fix(&r.waiting, at.place-1)
	}
	if !r.ticking {
		r.ticking = true
		loop := r.node.shards[0].loop
		loop.Post(func() { loop.After(rosterTick, r.tick) })
	}
}

// tick has those go on whose time has come. It runs on the first loop.
func (r *roster) tick() {
	loop := r.node.shards[0].loop
	if r.release(r.node.cfg.Now().UnixMilli()) {
		loop.Post(r.tick)
		return
	}
	r.mu.Lock()
	r.ticking = len(r.waiting) > 0
	again := r.ticking
	r.mu.Unlock()
	if again {
		loop.After(rosterTick, r.tick)
	}
}

// release lets go of some that are due, and answers whether there may be more.
func (r *roster) release(now int64) (more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range rosterStep {
		if len(r.waiting) == 0 || r.waiting[0].slot().due > now {
			return false
		}
		heap.Pop(&r.waiting).(waiter).over(r)
	}
	return true
}

func (m *membership) slot() *slot { return &m.wait }

func (m *membership) over(r *roster) {
	if at := (seat{m.from.Session, m.channel}); r.lost[at] == m {
		delete(r.lost, at)
	}
	m.shard.loop.Post(m.goOn)
}

// goOn does what m has waited for.
func (m *membership) goOn() {
	if m.wish == toLinger {
		m.wish = toLeave
	}
	m.turn()
}
