package loop

// keepEntries is the capacity a backlog keeps when it is empty; what a burst needed beyond that is given back.
const keepEntries = 16 << 10

// A backlog is the work of one step, done in order, over several turns if need be. What is added meanwhile is collected
// elsewhere and comes in with refill, so that work which adds work cannot hold a turn open.
type backlog[T any] struct {
	items []T
	at    int
}

func (b *backlog[T]) empty() bool { return b.left() == 0 }

// left is how much there is still to do.
func (b *backlog[T]) left() int { return len(b.items) - b.at }

// next removes the first item of a backlog that is not empty.
func (b *backlog[T]) next() T {
	var zero T
	x := b.items[b.at]
	b.items[b.at] = zero
	b.at++
	return x
}

// refill makes items the content of an empty backlog and returns a slice to collect the next items in.
func (b *backlog[T]) refill(items []T) []T {
	spare := b.items[:0]
	if cap(spare) > keepEntries {
		spare = nil
	}
	b.items, b.at = items, 0
	return spare
}
