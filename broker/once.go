package broker

import (
	"context"
	"errors"
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
	return b.once.put(now, &onceValue{key: key, value: value}, max(1, now+ttl.Milliseconds()), &b.cfg)
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
	ends  queue[*onceValue]
	bytes int64
}

type onceValue struct {
	key   string
	value []byte
	end   appointment
}

func (v *onceValue) meeting() *appointment { return &v.end }

func (v *onceValue) size() int64 { return int64(onceShare + len(v.key) + len(v.value)) }

func (o *onceValues) put(now int64, v *onceValue, end int64, cfg *MemoryConfig) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	full := func() bool { return len(o.byKey) >= cfg.MaxOnce || o.bytes+v.size() > cfg.MaxOnceBytes }
	old, oldEnd := o.byKey[v.key], int64(0)
	if old != nil {
		oldEnd = old.end.due
		o.remove(old)
	}
	for full() && o.removeOver(now) {
	}
	if full() {
		if oldEnd > now {
			o.add(old, oldEnd)
		}
		return ErrBusy
	}
	o.add(v, end)
	return nil
}

func (o *onceValues) take(now int64, key string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := o.byKey[key]
	if v == nil || v.end.due <= now {
		return nil, ErrNotFound
	}
	o.remove(v)
	return v.value, nil
}

// expire forgets some of the values that have reached their end, and tells whether there may be more.
func (o *onceValues) expire(now int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range expireAtOnce {
		if !o.removeOver(now) {
			return false
		}
	}
	return true
}

// removeOver removes one value that has reached its end, and tells whether there was any.
func (o *onceValues) removeOver(now int64) bool {
	next := o.ends.next()
	if next == 0 || next > now {
		return false
	}
	o.remove(o.ends.list[0])
	return true
}

func (o *onceValues) add(v *onceValue, end int64) {
	if o.byKey == nil {
		o.byKey = make(map[string]*onceValue)
	}
	o.byKey[v.key] = v
	o.ends.set(v, end)
	o.bytes += v.size()
}

func (o *onceValues) remove(v *onceValue) {
	delete(o.byKey, v.key)
	o.ends.set(v, 0)
	o.bytes -= v.size()
	if len(o.byKey) == 0 {
		o.byKey = nil // maps do not shrink
	}
}
