package broker

import "container/heap"

// A queue holds things by the time they are due. Each knows its place in it, so that it can be moved and taken out:
// unlike a list of all that was ever due, a queue is never longer than the things there are.
type queue[T interface{ meeting() *appointment }] struct {
	list []T // a heap, the earliest on top
}

// An appointment is what a thing knows about its place in a queue.
type appointment struct {
	due   int64 // Unix milliseconds; 0 when it is in no queue
	place int32 // index in the queue
}

// set moves x to its time, also into the queue, or out of it when due is 0.
func (q *queue[T]) set(x T, due int64) {
	m := x.meeting()
	was := m.due
	if was == due {
		return
	}
	switch {
	case due == 0:
		heap.Remove((*byDue[T])(q), int(m.place))
		m.due = 0
	case was == 0:
		m.due = due
		heap.Push((*byDue[T])(q), x)
	default:
		m.due = due
		heap.Fix((*byDue[T])(q), int(m.place))
	}
}

// next returns when the first thing is due, 0 when there is none.
func (q *queue[T]) next() int64 {
	if len(q.list) == 0 {
		return 0
	}
	return q.list[0].meeting().due
}

// countDue tells how many things are due by now. It looks at those alone.
func (q *queue[T]) countDue(now int64) int { return q.dueBelow(0, now) }

func (q *queue[T]) dueBelow(i int, now int64) int {
	if i >= len(q.list) || q.list[i].meeting().due > now {
		return 0
	}
	return 1 + q.dueBelow(2*i+1, now) + q.dueBelow(2*i+2, now)
}

// byDue makes a queue a heap.
type byDue[T interface{ meeting() *appointment }] queue[T]

func (q *byDue[T]) Len() int           { return len(q.list) }
func (q *byDue[T]) Less(i, j int) bool { return q.list[i].meeting().due < q.list[j].meeting().due }

func (q *byDue[T]) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	q.list[i].meeting().place, q.list[j].meeting().place = int32(i), int32(j)
}

func (q *byDue[T]) Push(x any) {
	x.(T).meeting().place = int32(len(q.list))
	q.list = append(q.list, x.(T))
}

func (q *byDue[T]) Pop() any {
	last := len(q.list) - 1
	x := q.list[last]
	clear(q.list[last:])
	q.list = q.list[:last]
	if cap(q.list) > 64 && last < cap(q.list)/4 {
		q.list = append(make([]T, 0, 2*last), q.list...) // a slice does not shrink by itself
	}
	return x
}
