package client

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
)

// A Map is a keyed channel: each key with the latest value anyone has published for it. Writing publishes; the Map changes
// when the entry comes back from the log, so that all clients go through the same states in the same order. A value is the
// Message that set it, with what was appended since as part of its Payload.
//
// Over a new connection it goes on where it stood. What it knows stays meanwhile, also where the whole state has to be read
// again: only keys that are not in it are then taken out. Its methods may be called from any goroutine; one at a time calls
// Next.
type Map struct {
	s *Subscription

	// guarded by Client.mu
	values  map[string]Message
	doubted map[string]bool // keys that are yet to come in the state being read
	synced  bool
	at      Position
	wake    chan struct{} // closed when something has come, and made anew
	changes changes[Message]
}

// MapOptions change what Client.Map does. nil and the zero value are the same; the fields are those of SubscribeOptions.
type MapOptions struct {
	Filter     map[string][]string
	Presence   PresenceMode
	MaxMembers int
}

// Map follows a keyed channel and returns when all of its keys have come. It is a subscription to the channel, of which a
// Client has one.
func (c *Client) Map(ctx context.Context, channel string, opts *MapOptions) (*Map, error) {
	o := SubscribeOptions{From: State()}
	if opts != nil {
		o.Filter, o.Presence, o.MaxMembers = opts.Filter, opts.Presence, opts.MaxMembers
	}
	m := &Map{
		s: newSubscription(c, channel, &o), values: make(map[string]Message), doubted: make(map[string]bool),
		wake: make(chan struct{}), changes: newChanges[Message](),
	}
	m.s.keys = m
	if err := m.s.start(ctx); err != nil {
		return nil, err
	}
	if err := m.until(ctx, func() bool { return m.synced }); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Channel returns the channel's name.
func (m *Map) Channel() string { return m.s.channel }

// Presence tells who is on the channel; nil when MapOptions did not ask for it.
func (m *Map) Presence() *Presence { return m.s.members }

// Close leaves the channel. What the Map knows can still be read. It does not block and always returns nil.
func (m *Map) Close() error { return m.s.Close() }

// Get returns the value of a key. Without one Message.Decode stores nothing. Where values are encrypted it may wait for a key,
// 10 s at most, as all methods do that give values.
func (m *Map) Get(key string) (value Message, ok bool) {
	m.s.c.mu.Lock()
	value, ok = m.values[key]
	m.s.c.mu.Unlock()
	return m.s.c.readable(value), ok
}

// Len counts the keys.
func (m *Map) Len() int {
	m.s.c.mu.Lock()
	defer m.s.c.mu.Unlock()
	return len(m.values)
}

// All gives the keys and values as they are when it is called, oldest first.
func (m *Map) All() iter.Seq2[string, Message] {
	all := m.sorted(func(a, b Message) int { return cmp.Compare(a.Position.Offset, b.Position.Offset) })
	return func(yield func(string, Message) bool) {
		for _, v := range all {
			if !yield(v.Key, m.s.c.readable(v)) {
				return
			}
		}
	}
}

// Top returns the n values with the highest scores, highest first; of equal ones the one written first. A negative n
// means all.
func (m *Map) Top(n int) []Message {
	all := m.sorted(func(a, b Message) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Position.Offset, b.Position.Offset))
	})
	if n >= 0 && n < len(all) {
		all = all[:n]
	}
	for i := range all {
		all[i] = m.s.c.readable(all[i])
	}
	return all
}

func (m *Map) sorted(order func(a, b Message) int) []Message {
	m.s.c.mu.Lock()
	all := make([]Message, 0, len(m.values))
	for _, v := range m.values {
		all = append(all, v)
	}
	m.s.c.mu.Unlock()
	slices.SortFunc(all, order)
	return all
}

// Set publishes a value for a key, as Publish does. opts may be nil; its Key and Op are not used.
func (m *Map) Set(ctx context.Context, key string, value any, opts *PublishOptions) (Position, error) {
	return m.s.c.Publish(ctx, m.s.channel, value, opts.of(key, "set"))
}

// Append publishes more of a value that is a text. On another value the server answers with a conflict. Text follows such
// a value, Write makes one.
func (m *Map) Append(ctx context.Context, key, more string, opts *PublishOptions) (Position, error) {
	return m.s.c.Publish(ctx, m.s.channel, more, opts.of(key, "append"))
}

// Delete publishes that a key is gone.
func (m *Map) Delete(ctx context.Context, key string, opts *PublishOptions) (Position, error) {
	return m.s.c.Publish(ctx, m.s.channel, nil, opts.of(key, "delete"))
}

// of makes the options of a publish about a key.
func (opts *PublishOptions) of(key, op string) *PublishOptions {
	var o PublishOptions
	if opts != nil {
		o = *opts
	}
	o.Key, o.Op = key, op
	return &o
}

// updateTries is how often Update tries.
const updateTries = 20

// Update changes a value that others may be changing, too:
//
//	err := m.Update(ctx, "likes", nil, func(old client.Message) (any, error) {
//		var n int
//		err := old.Decode(&n)
//		return n + 1, err
//	})
//
// change gets the value known, without Payload if there is none, and returns the new one, or nil to leave it. When somebody
// was faster it is asked again with what that one wrote, 20 times in all; then the error is a *ConflictError. Update returns
// once the Map has the new value. opts may be nil; its Key, Op, Expect, IdempotencyKey and NoEcho are not used.
func (m *Map) Update(ctx context.Context, key string, opts *PublishOptions, change func(old Message) (any, error)) error {
	o := opts.of(key, "set")
	o.IdempotencyKey, o.NoEcho = "", false
	for try := 1; ; try++ {
		if err := m.until(ctx, func() bool { return m.synced }); err != nil {
			return err
		}
		old, _ := m.Get(key)
		value, err := change(old)
		if err != nil || value == nil {
			return err
		}
		expect := old.Position.Offset
		o.Expect = &expect
		at, err := m.s.c.Publish(ctx, m.s.channel, value, o)
		var conflict *ConflictError
		switch {
		case err == nil:
			return m.until(ctx, func() bool { return m.has(at) })
		case !errors.As(err, &conflict) || try == updateTries:
			return err
		}
		err = m.until(ctx, func() bool {
			return m.values[key].Position.Offset != expect || conflict.Offset > 0 && m.has(conflict.Position)
		})
		if err != nil {
			return err
		}
	}
}

// A Change is what has happened to a key since Next last told of it.
type Change struct {
	Key     string
	Value   Message // its value now; zero when it is gone
	Deleted bool
}

// Next returns the next change, at first one for each key there is. Changes of one key that nobody has read yet become one,
// so a slow reader holds up nothing and gets the latest. It blocks until there is one, or ctx ends. Its other error is an
// *Error: why the Map has ended, for good.
func (m *Map) Next(ctx context.Context) (Change, error) {
	change, err := await(ctx, m.changes.news, func() (Change, bool, error) {
		m.s.c.mu.Lock()
		defer m.s.c.mu.Unlock()
		for {
			key, _, now, had, has, ok := m.changes.next(func(key string) (Message, bool) {
				v, ok := m.values[key]
				return v, ok
			})
			switch {
			case !ok:
				return Change{}, false, m.s.err
			case had || has:
				return Change{Key: key, Value: now, Deleted: !has}, true, nil
			}
		}
	})
	change.Value = m.s.c.readable(change.Value)
	return change, err
}

// The rest is called with the client's lock held.

// take takes a message of the subscription.
func (m *Map) take(in Message) {
	switch in.Kind {
	case Sync:
		for key := range m.doubted {
			m.remove(key)
		}
		clear(m.doubted)
		m.synced = true
	case Entry:
		m.apply(in)
	}
	m.stir()
}

func (m *Map) apply(in Message) {
	if in.Key == "" {
		return // a stream's entry says nothing about the map
	}
	delete(m.doubted, in.Key)
	if in.Op == "delete" {
		m.remove(in.Key)
		return
	}
	if old, ok := m.values[in.Key]; ok && in.Op == "append" {
		in.Payload = grow(old, in)
		if in.Score == 0 {
			in.Score = old.Score
		}
	}
	in.Op = "set"
	m.values[in.Key] = in
	m.changes.mark(in.Key, true)
}

// grow makes one value of an old one and what is appended to it: of texts in JSON, or of bytes.
func grow(old, more Message) []byte {
	a, b := old.Payload, more.Payload
	switch {
	case old.Binary && more.Binary:
		return append(slices.Clip(a), b...)
	case !old.Binary && !more.Binary && isText(a) && isText(b):
		return append(slices.Clip(a[:len(a)-1]), b[1:]...)
	}
	return b // the server lets only texts grow
}

func isText(b []byte) bool { return len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' }

func (m *Map) remove(key string) {
	if _, ok := m.values[key]; ok {
		delete(m.values, key)
		m.changes.mark(key, false)
	}
}

// doubt says that the whole state comes: what is not in it is gone.
func (m *Map) doubt() {
	for key := range m.values {
		m.doubted[key] = true
	}
}

func (m *Map) came(at Position) {
	m.at = at
	m.stir()
}

func (m *Map) lost() { m.synced = false }

func (m *Map) end() {
	m.changes.notify()
	m.stir()
}

// stir wakes who waits for something to come.
func (m *Map) stir() {
	close(m.wake)
	m.wake = make(chan struct{})
}

// has tells whether the Map has seen the log up to here, or the log is another one by now. On the way through what has changed it
// has not: a key comes where it was last written.
func (m *Map) has(at Position) bool {
	return m.synced && (m.at.Epoch != at.Epoch || m.at.Offset >= at.Offset)
}

// until waits until what is asked with the lock held is true, or the Map has ended.
func (m *Map) until(ctx context.Context, ready func() bool) error {
	return m.s.until(ctx, &m.wake, ready)
}
