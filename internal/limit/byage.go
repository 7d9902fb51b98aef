package limit

// A ByAge holds things in the order in which they came, for bounds at which the oldest has to go. The zero value is empty. A thing
// lends it a [Place], so nothing is allocated, and each may leave from wherever it stands. It is for one goroutine at a time.
type ByAge[T any] struct {
	oldest, newest *Place[T]
	n              int
}

// A Place is a field of a thing, for one ByAge that it may be in. The zero value is in none.
type Place[T any] struct {
	of           *T // nil while it is in none
	older, newer *Place[T]
}

// Listed tells whether the thing is in a ByAge.
func (p *Place[T]) Listed() bool { return p.of != nil }

// Add puts a thing, whose place is in none, behind all others.
func (l *ByAge[T]) Add(p *Place[T], of *T) {
	p.of = of
	if p.older = l.newest; l.newest == nil {
		l.oldest = p
	} else {
		l.newest.newer = p
	}
	l.newest = p
	l.n++
}

// Remove takes a thing out, if it is in l; it must not be in another by this place.
func (l *ByAge[T]) Remove(p *Place[T]) {
	if p.of == nil {
		return
	}
	if p.older == nil {
		l.oldest = p.newer
	} else {
		p.older.newer = p.newer
	}
	if p.newer == nil {
		l.newest = p.older
	} else {
		p.newer.older = p.older
	}
	*p = Place[T]{}
	l.n--
}

// Oldest returns what has been there for longest, nil where there is nothing.
func (l *ByAge[T]) Oldest() *T {
	if l.oldest == nil {
		return nil
	}
	return l.oldest.of
}

// Len counts what is there.
func (l *ByAge[T]) Len() int { return l.n }
