package brokertest

import (
	"context"
	"errors"
	"sync"
	"time"

	"hocket.dev/broker"
)

// Lossy is a broker that, when told to, loses what it should deliver, or fails. It passes everything else on, State,
// Remover, Lister and Once included. Its methods may be called from any goroutine.
type Lossy struct {
	inner broker.Broker

	mu     sync.Mutex
	lose   map[string]int
	unsure map[string]int
	err    error
}

// ErrUnknown is the answer to a publish whose own answer was lost.
var ErrUnknown = errors.New("brokertest: the answer was lost")

var (
	_ broker.Broker  = (*Lossy)(nil)
	_ broker.State   = (*Lossy)(nil)
	_ broker.Remover = (*Lossy)(nil)
	_ broker.Lister  = (*Lossy)(nil)
	_ broker.Once    = (*Lossy)(nil)
)

// LoseLast returns b with faults, of which none has been asked for yet.
func LoseLast(b broker.Broker) *Lossy {
	return &Lossy{inner: b, lose: make(map[string]int), unsure: make(map[string]int)}
}

// Lose makes the next n entries of a channel get lost on their way to the sink. The log has them.
func (l *Lossy) Lose(channel string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose[channel] = n
}

// LoseAnswers makes the next n publishes to a channel be answered with ErrUnknown. The log has them, unless the broker
// refused them.
func (l *Lossy) LoseAnswers(channel string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsure[channel] = n
}

// Fail makes Publish and all reads answer err and do nothing, until it is called with nil.
func (l *Lossy) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *Lossy) fault() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Run runs the broker.
func (l *Lossy) Run(ctx context.Context, sink broker.Sink) error {
	return l.inner.Run(ctx, &lossySink{l, sink})
}

// Publish publishes, unless told to fail.
func (l *Lossy) Publish(channel string, e broker.Entry, r broker.Retention, done func(broker.Receipt, error)) {
	if err := l.fault(); err != nil {
		if done != nil {
			done(broker.Receipt{}, err)
		}
		return
	}
	l.mu.Lock()
	lost := take(l.unsure, channel)
	l.mu.Unlock()
	if lost && done != nil {
		answer := done
		done = func(broker.Receipt, error) { answer(broker.Receipt{}, ErrUnknown) }
	}
	l.inner.Publish(channel, e, r, done)
}

// take takes one of what a channel has left, and tells whether there was any.
func take(left map[string]int, channel string) bool {
	n := left[channel]
	if n > 1 {
		left[channel] = n - 1
	} else {
		delete(left, channel)
	}
	return n > 0
}

// Follow follows.
func (l *Lossy) Follow(channels []string) { l.inner.Follow(channels) }

// Unfollow ends Follow.
func (l *Lossy) Unfollow(channels []string) { l.inner.Unfollow(channels) }

// Read reads, unless told to fail.
func (l *Lossy) Read(ctx context.Context, channel string, q broker.Query) (broker.Page, error) {
	if err := l.fault(); err != nil {
		return broker.Page{}, err
	}
	return l.inner.Read(ctx, channel, q)
}

// Heads tells heads, unless told to fail.
func (l *Lossy) Heads(ctx context.Context, channels []string) ([]broker.Position, error) {
	if err := l.fault(); err != nil {
		return nil, err
	}
	return l.inner.Heads(ctx, channels)
}

// State reads a state, unless told to fail. It answers errors.ErrUnsupported when the broker keeps none.
func (l *Lossy) State(ctx context.Context, channel string, q broker.StateQuery) (broker.Page, error) {
	s, ok := l.inner.(broker.State)
	if err := l.check(ok); err != nil {
		return broker.Page{}, err
	}
	return s.State(ctx, channel, q)
}

// Keys counts keys, unless told to fail. It answers errors.ErrUnsupported when the broker keeps no state.
func (l *Lossy) Keys(ctx context.Context, channel string) (int, error) {
	s, ok := l.inner.(broker.State)
	if err := l.check(ok); err != nil {
		return 0, err
	}
	return s.Keys(ctx, channel)
}

// Channels names channels, unless told to fail. It answers errors.ErrUnsupported when the broker cannot.
func (l *Lossy) Channels(ctx context.Context, after string, limit int) ([]string, error) {
	s, ok := l.inner.(broker.Lister)
	if err := l.check(ok); err != nil {
		return nil, err
	}
	return s.Channels(ctx, after, limit)
}

// Remove takes entries out, unless told to fail. It answers errors.ErrUnsupported when the broker cannot.
func (l *Lossy) Remove(ctx context.Context, channel string, r broker.Removal) (int, error) {
	s, ok := l.inner.(broker.Remover)
	if err := l.check(ok); err != nil {
		return 0, err
	}
	return s.Remove(ctx, channel, r)
}

// Put keeps a value, unless told to fail. It answers errors.ErrUnsupported when the broker cannot.
func (l *Lossy) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	o, ok := l.inner.(broker.Once)
	if err := l.check(ok); err != nil {
		return err
	}
	return o.Put(ctx, key, value, ttl)
}

// Take takes a value, unless told to fail. It answers errors.ErrUnsupported when the broker cannot.
func (l *Lossy) Take(ctx context.Context, key string) ([]byte, error) {
	o, ok := l.inner.(broker.Once)
	if err := l.check(ok); err != nil {
		return nil, err
	}
	return o.Take(ctx, key)
}

func (l *Lossy) check(supported bool) error {
	if err := l.fault(); err != nil {
		return err
	}
	if !supported {
		return errors.ErrUnsupported
	}
	return nil
}

type lossySink struct {
	l    *Lossy
	sink broker.Sink
}

func (s *lossySink) Deliver(channel, epoch string, e *broker.Entry) {
	s.l.mu.Lock()
	lost := take(s.l.lose, channel)
	s.l.mu.Unlock()
	if !lost {
		s.sink.Deliver(channel, epoch, e)
	}
}

func (s *lossySink) Gap(channel string) { s.sink.Gap(channel) }

func (s *lossySink) Removed(channel string, r broker.Removal) { s.sink.Removed(channel, r) }
