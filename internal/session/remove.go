package session

import (
	"context"
	"errors"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// removeTries is how often a removal is tried in a log that begins anew meanwhile.
const removeTries = 3

// Remove takes entries out of a channel's log, and answers how many those were. UpTo may be behind the newest entry:
// broker.MaxOffset means all there are. A key is deleted first, so that its followers learn of it; that Delete stays. It
// blocks until the broker answers or ctx ends.
func (n *Node) Remove(ctx context.Context, channel string, r broker.Removal) (int, *dialect.Error) {
	if err := checkChannel(channel); err != nil {
		return 0, err
	}
	if err := checkRemoval(&r); err != nil {
		return 0, err
	}
	remover, ok := n.cfg.Broker.(broker.Remover)
	if !ok {
		return 0, dialect.Errorf(dialect.NotSupported, "the broker of this server does not remove entries")
	}
	for try := 1; ; try++ {
		bounded, err := n.bound(ctx, channel, r)
		if err != nil || bounded == (broker.Removal{}) {
			return 0, err
		}
		count, failed := remover.Remove(ctx, channel, bounded)
		switch {
		case errors.Is(failed, broker.ErrConflict) && r.Offset != 0:
			return 0, dialect.Errorf(dialect.Conflict, "the entry at %d is part of what its key is now: remove the key", r.Offset)
		case errors.Is(failed, broker.ErrConflict) && try < removeTries: // the log began anew meanwhile
		case errors.Is(failed, broker.ErrConflict):
			return 0, dialect.EpochChanged.Err()
		case errors.Is(failed, errors.ErrUnsupported):
			return 0, dialect.Errorf(dialect.NotSupported, "the broker of this server does not remove entries")
		case failed != nil:
			return 0, readError(ctx, failed, channel)
		default:
			return count, nil
		}
	}
}

// bound says up to where entries are to be removed now, and does what has to come before. It is the zero Removal when nothing is
// there.
func (n *Node) bound(ctx context.Context, channel string, r broker.Removal) (broker.Removal, *dialect.Error) {
	switch {
	case r.UpTo > 0:
		heads, err := n.cfg.Broker.Heads(ctx, []string{channel})
		if err != nil {
			return r, readError(ctx, err, channel)
		}
		if heads[0].Offset == 0 {
			return broker.Removal{}, nil
		}
		r.UpTo, r.Epoch = min(r.UpTo, heads[0].Offset), heads[0].Epoch
	case r.Key != "":
		at, err := n.deleteKey(ctx, channel, r.Key)
		if err != nil {
			return r, err
		}
		r.UpTo, r.Epoch = at.Offset, at.Epoch // what somebody writes from here on is another value
	}
	return r, nil
}

// checkRemoval tells what is wrong with a Removal.
func checkRemoval(r *broker.Removal) *dialect.Error {
	given := 0
	for _, is := range []bool{r.UpTo > 0, r.Offset > 0, r.Key != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return dialect.Errorf(dialect.InvalidMessage, "a removal is of the history, of the entry at an offset, or of a key: name one of them")
	}
	return nil
}

// deleteKey has everybody learn that a key is gone, and answers where.
func (n *Node) deleteKey(ctx context.Context, channel, key string) (at broker.Position, failed *dialect.Error) {
	type answer struct {
		at  broker.Position
		err *dialect.Error
	}
	done := make(chan answer, 1)
	n.Publish(channel, broker.Entry{Key: key, Op: broker.Delete}, func(r broker.Receipt, err *dialect.Error) {
		done <- answer{r.Position, err}
	})
	select {
	case a := <-done:
		return a.at, a.err
	case <-ctx.Done():
		return at, readError(ctx, ctx.Err(), channel)
	}
}
