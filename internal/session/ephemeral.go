package session

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
	"hocket.dev/internal/rule"
)

// deleteTries is how often the delete of an ephemeral key is tried, leaveRetry apart.
const deleteTries = 60

// place names a key of a channel.
type place struct{ channel, key string }

// owned is an ephemeral key: it is deleted when the session ends, unless somebody else has written to it since.
type owned struct {
	place
	keep   rule.History
	open   int    // publishes of it that have not been answered
	last   uint64 // the offset of the session's last entry, 0 for none
	gone   bool   // that was a delete
	unsure bool   // a publish failed, and may have been applied
	until  int64  // when that entry's TTL ends it, Unix milliseconds; 0 for none

	// Once the session has parted with it:
	owner *broker.Member
	grace time.Duration // how long it waits for the client to come back
}

// idle says that nothing is there to be deleted.
func (o *owned) idle(now int64) bool {
	return o.open == 0 && !o.unsure && (o.last == 0 || o.gone || o.until != 0 && o.until <= now)
}

// own finds or makes what is known of the key that is to be published: nil when it is not ephemeral. It fails when the
// session would have too many.
func (s *Session) own(channel string, a *dialect.PublishArgs) (*owned, *dialect.Error) {
	if a.Key == "" {
		return nil, nil
	}
	at := place{channel, a.Key}
	o := s.owns[at]
	if o == nil {
		if !a.Ephemeral {
			return nil, nil
		}
		if limit := s.shard.node.cfg.Limits.EphemeralKeys; len(s.owns) >= limit && !s.disownIdle() {
			return nil, dialect.Errorf(dialect.LimitReached, "a session may have at most %d ephemeral keys", limit)
		}
		if s.owns == nil {
			s.owns = make(map[place]*owned)
		}
		o = &owned{place: at, keep: s.shard.node.cfg.Rules.For(channel).History}
		s.owns[at] = o
	}
	o.open++
	return o, nil
}

// disownIdle forgets the keys that have gone by themselves. It answers whether there were any.
func (s *Session) disownIdle() (any bool) {
	now := s.shard.node.cfg.Now().UnixMilli()
	for at, o := range s.owns {
		if o.idle(now) {
			delete(s.owns, at)
			any = true
		}
	}
	return any
}

// owned notes how a publish of an ephemeral key has ended.
func (s *Session) owned(o *owned, e *broker.Entry, r broker.Receipt, err error) {
	o.open--
	switch {
	case err != nil:
		o.unsure = o.unsure || !refused(err)
	case r.Offset > o.last:
		o.last, o.gone, o.until = r.Offset, e.Op == broker.Delete, 0
		if e.TTL > 0 {
			o.until = s.shard.node.cfg.Now().Add(e.TTL).UnixMilli()
		}
	}
	switch {
	case o.open > 0:
	case o.owner != nil:
		s.shard.pass(o)
	case o.idle(0): // what its TTL ends is looked at when there are too many
		delete(s.owns, o.place)
	}
}

// part gives the session's keys up. lost says that its client may come back. Keys with a publish under way follow when
// that has been answered.
func (s *Session) part(lost bool) {
	node := s.shard.node
	inOrder := func(a, b *owned) int {
		return cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.channel, b.channel), cmp.Compare(a.key, b.key))
	}
	for _, o := range slices.SortedFunc(maps.Values(s.owns), inOrder) { // as a repetition does it too
		o.owner = &broker.Member{Session: s.name, User: s.who.user}
		if lost && !node.draining.Load() { // else the node would not be there to delete them
			o.grace = graceOf(node.cfg.Rules.For(o.channel))
		}
		if o.open == 0 {
			s.shard.pass(o)
		}
	}
	s.owns = nil
}

// pass keeps a key for its grace, where there is one, and deletes it when nobody has come for it.
func (sh *Shard) pass(o *owned) {
	switch left := &sh.node.left; {
	case o.idle(sh.node.cfg.Now().UnixMilli()):
	case o.grace > 0 && left.put(o, sh.node.cfg.Limits.LostMembers):
		sh.loop.After(o.grace, func() {
			if left.drop(o) {
				sh.deleteOwned(o, 1)
			}
		})
		if heir := sh.node.roster.named(o.owner.Session); heir != nil {
			heir.shard.loop.Post(heir.inherit)
		}
	default:
		sh.deleteOwned(o, 1)
	}
}

// deleteOwned tries until the broker has taken the delete, or has said that the newest entry is another one.
func (sh *Shard) deleteOwned(o *owned, try int) {
	e := broker.Entry{Key: o.key, Op: broker.Delete, From: o.owner, HasExpect: true}
	if !o.gone {
		e.Expect = o.last
	}
	sh.append(o.channel, e, o.keep, func(_ broker.Receipt, err error) {
		var conflict *broker.ConflictError
		switch {
		case err == nil || err == broker.ErrClosed:
		case errors.As(err, &conflict):
			if o.unsure && conflict.Offset > o.last {
				sh.lookAtOwned(o, conflict.Offset, try)
			}
		default:
			sh.retryOwned(o, try, err)
		}
	})
}

// retryOwned tries again later.
func (sh *Shard) retryOwned(o *owned, try int, err error) {
	if try == deleteTries {
		sh.node.cfg.Log.Error("an ephemeral key could not be deleted", slog.String("channel", o.channel), slog.Any("error", err))
		return
	}
	sh.loop.After(leaveRetry, func() { sh.deleteOwned(o, try+1) })
}

// lookAtOwned deletes a key whose newest entry, at offset, may be the owner's: of a publish that failed and was applied
// all the same.
func (sh *Shard) lookAtOwned(o *owned, offset uint64, try int) {
	ok := sh.node.cfg.Task(func(ctx context.Context) {
		page, err := sh.node.cfg.Broker.Read(ctx, o.channel, broker.Query{Before: offset + 1, Limit: 1})
		sh.loop.Post(func() {
			if err != nil {
				sh.retryOwned(o, try, err)
				return
			}
			for _, e := range page.Entries {
				if e.Offset == offset && e.From != nil && e.From.Session == o.owner.Session {
					o.last, o.gone, o.unsure = offset, false, false
					sh.deleteOwned(o, try)
				}
			}
		})
	})
	if !ok {
		sh.retryOwned(o, try, hub.ErrBusy)
	}
}
