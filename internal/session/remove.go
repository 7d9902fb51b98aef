package session

import (
	"context"
	"errors"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

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
	switch {
	case r.UpTo > 0:
		heads, err := n.cfg.Broker.Heads(ctx, []string{channel})
		if err != nil {
			return 0, readError(ctx, err, channel)
		}
		if r.UpTo = min(r.UpTo, heads[0].Offset); r.UpTo == 0 {
			return 0, nil
		}
	case r.Key != "":
		at, err := n.deleteKey(ctx, channel, r.Key)
		if err != nil {
			return 0, err
		}
		r.UpTo = at // what somebody writes from here on is another value
	}
	count, err := remover.Remove(ctx, channel, r)
	switch {
	case errors.Is(err, broker.ErrConflict):
		return 0, dialect.Errorf(dialect.Conflict, "the entry at %d is part of what its key is now: remove the key", r.Offset)
	case errors.Is(err, errors.ErrUnsupported):
		return 0, dialect.Errorf(dialect.NotSupported, "the broker of this server does not remove entries")
	case err != nil:
		return 0, readError(ctx, err, channel)
	}
	return count, nil
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

// deleteKey has everybody learn that a key is gone, and answers at which offset.
func (n *Node) deleteKey(ctx context.Context, channel, key string) (at uint64, failed *dialect.Error) {
	type answer struct {
		at  uint64
		err *dialect.Error
	}
	done := make(chan answer, 1)
	n.Publish(channel, broker.Entry{Key: key, Op: broker.Delete}, func(r broker.Receipt, err *dialect.Error) {
		done <- answer{r.Offset, err}
	})
	select {
	case a := <-done:
		return a.at, a.err
	case <-ctx.Done():
		return 0, readError(ctx, ctx.Err(), channel)
	}
}
