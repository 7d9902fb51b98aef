package client

import (
	"container/list"
	"context"
)

// changes keeps which keys have changed since the reader last looked, in the order in which they began to. What came and
// went unseen is no change, so it never holds more than there are keys here and keys the reader knows.
type changes[V any] struct {
	news  chan struct{} // holds one when there is something to read
	known map[string]V  // what the reader was told last
	order *list.List    // of keys
	dirty map[string]*list.Element
}

func newChanges[V any]() changes[V] {
	return changes[V]{
		news: make(chan struct{}, 1), known: make(map[string]V), order: list.New(), dirty: make(map[string]*list.Element),
	}
}

// mark notes that a key has another value, or is not here any more.
func (c *changes[V]) mark(key string, here bool) {
	at := c.dirty[key]
	_, known := c.known[key]
	switch {
	case at == nil:
		c.dirty[key] = c.order.PushBack(key)
	case !here && !known:
		c.order.Remove(at)
		delete(c.dirty, key)
	}
	c.notify()
}

// next takes out the oldest change: what the key was when the reader last looked, and what value says it is now.
func (c *changes[V]) next(value func(key string) (V, bool)) (key string, before, now V, had, has, ok bool) {
	first := c.order.Front()
	if first == nil {
		return
	}
	key = c.order.Remove(first).(string)
	delete(c.dirty, key)
	before, had = c.known[key]
	now, has = value(key)
	if has {
		c.known[key] = now
	} else {
		delete(c.known, key)
	}
	return key, before, now, had, has, true
}

func (c *changes[V]) notify() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// await calls take until it has something, or an error, or ctx ends.
func await[T any](ctx context.Context, news <-chan struct{}, take func() (T, bool, error)) (T, error) {
	for {
		if v, ok, err := take(); ok || err != nil {
			return v, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
}
