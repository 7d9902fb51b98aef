package client

import "context"

// Next returns the next message, in the order of the log. It blocks until there is one, or ctx ends. Its other error is
// an *Error: why the subscription has ended, for good.
func (s *Subscription) Next(ctx context.Context) (Message, error) {
	for {
		before := s.Position()
		if m, ok, err := s.take(); ok || err != nil {
			if err := s.c.unseal(ctx, &m); err != nil {
				s.putBack(m, before)
				return Message{}, err
			}
			return m, err
		}
		select {
		case <-s.news:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

// putBack makes m the oldest message again.
func (s *Subscription) putBack(m Message, read Position) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.buffer = append([]Message{m}, s.buffer...)
	s.read = read
}

// take removes the oldest message.
func (s *Subscription) take() (m Message, ok bool, err error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if len(s.buffer) == 0 {
		return m, false, s.err
	}
	m = s.buffer[0]
	s.buffer[0] = Message{}
	s.buffer = s.buffer[1:]
	switch {
	case m.Kind == Reset: // what is kept is yet to come
		s.read = Position{Epoch: m.Position.Epoch}
	case m.Kind != Gap || !s.state: // over a gap a state goes on from before it
		s.read = m.Position
	}
	if s.paused && s.err == nil && len(s.buffer) <= s.opts.Buffer/2 {
		s.paused = false
		s.ask()
	}
	return m, true, nil
}

// Position returns how far the program has come: everything up to there has been returned by Next, or was not for this
// client. Given to After, a later subscription goes on from there.
func (s *Subscription) Position() Position {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if len(s.buffer) == 0 {
		return s.at
	}
	return s.read
}

// put adds a message for Next. When the buffer is full the channel is left until there is room.
func (s *Subscription) put(m Message) {
	if s.keys != nil {
		s.keys.take(m)
		return
	}
	s.buffer = append(s.buffer, m)
	s.notify()
	// A state is taken whole: from the middle of it the log may not be able to go on.
	if whole := s.part == nil || s.part.told; whole && len(s.buffer) >= s.opts.Buffer && !s.paused {
		s.paused = true
		s.leave()
	}
}

func (s *Subscription) notify() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// until waits, without the lock, until what is asked with the lock held is true, or the subscription has ended. Whenever the
// answer may be another one *wake is closed and replaced.
func (s *Subscription) until(ctx context.Context, wake *chan struct{}, ready func() bool) error {
	for {
		s.c.mu.Lock()
		ok, err, changed := ready(), s.err, *wake
		s.c.mu.Unlock()
		switch {
		case ok:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
