package broker

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrNotFound answers a Take of what is not there: it was never put, somebody has taken it, or its time has passed.
var ErrNotFound = errors.New("broker: nothing under this key")

// Once is implemented by brokers that keep values which are taken once, by any node: what a ticket stands for.
type Once interface {
	// Put keeps a value, which nobody modifies any more, under a key for ttl by the broker's clock: 1 ms at least. One that
	// is there under the key is replaced. It answers ErrBusy at the broker's bound: no value goes before its time.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Take returns the value and forgets it, so that of all who ask exactly one gets it; the others are answered
	// ErrNotFound. Where the answer is lost, so is the value.
	Take(ctx context.Context, key string) ([]byte, error)
}

var _ Once = (*Memory)(nil)

const (
	defaultOnce      = 100_000  // MemoryConfig.MaxOnce
	defaultOnceBytes = 64 << 20 // MemoryConfig.MaxOnceBytes
	onceShare        = 128      // bytes that a value counts for besides its own and those of its key

	expireAtOnce = 1024 // values forgotten under one lock
)

// errBrief answers a Put of what could not be taken in time.
var errBrief = errors.New("broker: a value to be taken once is kept for at least a millisecond")

// Put keeps a value until it is taken; see [Once]. The bounds are MaxOnce and MaxOnceBytes.
func (b *Memory) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := b.serving(ctx); err != nil {
		return err
	}
	if ttl < time.Millisecond {
		return errBrief
	}
	now := b.cfg.Now().UnixMilli()
	return b.once.put(now, &onceValue{key: key, value: value, end: now + ttl.Milliseconds()}, &b.cfg)
}

// Take returns a value and forgets it; see [Once].
func (b *Memory) Take(ctx context.Context, key string) ([]byte, error) {
	if err := b.serving(ctx); err != nil {
		return nil, err
	}
	return b.once.take(b.cfg.Now().UnixMilli(), key)
}

// onceValues are the values of a [Memory] that are taken once. What has reached its end is forgotten by the Run of the
// broker and, at the bound, by put.
type onceValues struct {
	mu    sync.Mutex
	byKey map[string]*onceValue
	ends  onceEnds
	bytes int64
}

type onceValue struct {
	key   string
	value []byte
	end   int64 // Unix milliseconds
	place int   // in onceEnds
}

func (v *onceValue) size() int64 { return int64(onceShare + len(v.key) + len(v.value)) }

func (o *onceValues) put(now int64, v *onceValue, cfg *MemoryConfig) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	full := func() bool { return len(o.byKey) >= cfg.MaxOnce || o.bytes+v.size() > cfg.MaxOnceBytes }
	old := o.byKey[v.key]
	if old != nil {
		o.remove(old)
	}
	for full() && len(o.ends) > 0 && o.ends[0].end <= now {
		o.remove(o.ends[0])
	}
	if full() {
		if old != nil && old.end > now {
			o.add(old)
		}
		return ErrBusy
	}
	o.add(v)
	return nil
}

func (o *onceValues) take(now int64, key string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := o.byKey[key]
	if v == nil {
		return nil, ErrNotFound
	}
	o.remove(v)
	if v.end <= now {
		return nil, ErrNotFound
	}
	return v.value, nil
}

// expire forgets some of the values that have reached their end, and tells whether there may be more.
func (o *onceValues) expire(now int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range expireAtOnce {
		if len(o.ends) == 0 || o.ends[0].end > now {
			return false
		}
		o.remove(o.ends[0])
	}
	return true
}

func (o *onceValues) add(v *onceValue) {
	if o.byKey == nil {
		o.byKey = make(map[string]*onceValue)
	}
	o.byKey[v.key] = v
	heap.Push(&o.ends, v)
	o.bytes += v.size()
}

func (o *onceValues) remove(v *onceValue) {
	delete(o.byKey, v.key)
	heap.Remove(&o.ends, v.place)
	o.bytes -= v.size()
	if len(o.byKey) == 0 {
		o.byKey, o.ends = nil, nil // maps do not shrink
	}
}

// onceEnds is a heap with the value on top that ends first.
type onceEnds []*onceValue

func (h onceEnds) Len() int           { return len(h) }
func (h onceEnds) Less(i, j int) bool { return h[i].end < h[j].end }
func (h onceEnds) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is for package heap.
func (h *onceEnds) Push(v any) {
	value := v.(*onceValue)
	value.place = len(*h)
	*h = append(*h, value)
}

// Pop is for package heap.
func (h *onceEnds) Pop() any {
	last := (*h)[len(*h)-1]
	*h = slices.Delete(*h, len(*h)-1, len(*h))
	return last
}
