package broker

import (
	"iter"
	"math/rand/v2"
)

// scores hold the values of keys in the order of their scores: a treap, which is a search tree that random weights keep
// shallow. Its links are fields of the cells, so that a write allocates nothing.
type scores struct {
	root *cell
	kept bool // since a score other than 0 was seen; before that the order of offsets is that of scores
}

// A rank is a place in the order of scores: the highest first, of equal ones the one written first.
type rank struct {
	score  float64
	offset uint64
}

func (c *cell) rank() rank { return rank{c.last.Score, c.last.Offset} }

func (r rank) before(s rank) bool {
	return r.score > s.score || r.score == s.score && r.offset < s.offset
}

// add puts in a cell that is not there.
func (s *scores) add(c *cell) {
	c.left, c.right, c.weight = nil, nil, rand.Uint32() // #nosec G404 -- it balances a tree
	before, after := split(s.root, c.rank())
	s.root = join(join(before, c), after)
}

// remove takes out a cell; its rank must still be that with which it was added.
func (s *scores) remove(c *cell) {
	s.root = without(s.root, c, c.rank())
	c.left, c.right = nil, nil
}

// build makes the tree of cells that come in order, in the time it takes to look at each.
func (s *scores) build(cells iter.Seq[*cell]) {
	var spine []*cell // from the root to the right, which the next cell goes to the end of
	for c := range cells {
		c.left, c.right, c.weight = nil, nil, rand.Uint32() // #nosec G404 -- it balances a tree
		end := len(spine)
		for end > 0 && spine[end-1].weight < c.weight {
			end--
			c.left = spine[end]
		}
		if spine = append(spine[:end], c); end > 0 {
			spine[end-1].right = c
		}
	}
	if s.root = nil; len(spine) > 0 {
		s.root = spine[0]
	}
}

// after yields the cells behind a rank in order, all of them from the first on when from is nil.
func (s *scores) after(from *rank) iter.Seq[*cell] {
	return func(yield func(*cell) bool) { walk(s.root, from, yield) }
}

func walk(c *cell, from *rank, yield func(*cell) bool) bool {
	if c == nil {
		return true
	}
	if from != nil && !from.before(c.rank()) {
		return walk(c.right, from, yield)
	}
	// Behind a cell that is wanted all are.
	return walk(c.left, from, yield) && yield(c) && walk(c.right, nil, yield)
}

// split parts a tree into what comes before a rank and what does not.
func split(c *cell, at rank) (before, after *cell) {
	if c == nil {
		return nil, nil
	}
	if c.rank().before(at) {
		c.right, after = split(c.right, at)
		return c, after
	}
	before, c.left = split(c.left, at)
	return before, c
}

// join makes one tree of two, of which all of a comes before b.
func join(a, b *cell) *cell {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.weight > b.weight:
		a.right = join(a.right, b)
		return a
	}
	b.left = join(a, b.left)
	return b
}

func without(tree, c *cell, at rank) *cell {
	switch {
	case tree == nil:
		return nil
	case tree == c:
		return join(c.left, c.right)
	case tree.rank().before(at):
		tree.right = without(tree.right, c, at)
	default:
		tree.left = without(tree.left, c, at)
	}
	return tree
}
