package session

import (
	"errors"
	"log/slog"
	"strconv"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// deleteTries is how often the delete of an ephemeral key is tried, leaveRetry apart.
const deleteTries = 60

// owned is an ephemeral key of a session: it is deleted when the session ends, unless somebody else has written to it since.
type owned struct {
	of     *estate
	key    string
	open   int    // publishes of it that have not been answered
	epoch  string // that last is of
	last   uint64 // the offset of the session's last entry, 0 for none
	gone   bool   // that was a delete
	unsure bool   // there may be a newer entry: a publish failed that may have been applied, or another node knew it
	until  int64  // when that entry's TTL ends it, Unix milliseconds; 0 for none
}

// idle says that nothing is there to be deleted.
func (o *owned) idle(now int64) bool {
	return o.open == 0 && !o.unsure && (o.last == 0 || o.gone || o.until != 0 && o.until <= now)
}

// own finds or makes what is known of the key that is to be published: nil when it is not ephemeral. It fails when the
// session would have too many.
func (s *Session) own(channel string, a *dialect.PublishArgs) (*owned, *dialect.Error) {
	es := s.estates[channel]
	if a.Key == "" || es == nil && !a.Ephemeral {
		return nil, nil
	}
	if es != nil {
		if o := es.keys[a.Key]; o != nil || !a.Ephemeral {
			return o, nil
		}
	}
	if limit := s.shard.node.cfg.Limits.EphemeralKeys; s.owning() >= limit && !s.disownIdle() {
		return nil, dialect.Errorf(dialect.LimitReached, "a session may have at most %d ephemeral keys", limit)
	}
	if es == nil {
		s.retire()
		es = s.estate(channel)
	}
	o := &owned{of: es, key: a.Key}
	es.keys[a.Key] = o
	return o, nil
}

// estate finds or makes the session's estate in a channel.
func (s *Session) estate(channel string) *estate {
	es := s.estates[channel]
	if es == nil {
		es = &estate{channel: channel, keep: s.shard.node.cfg.Rules.For(channel).History, keys: make(map[string]*owned)}
		s.have(es)
	}
	return es
}

// have makes an estate the session's.
func (s *Session) have(es *estate) {
	es.shard, es.session, es.stable, es.began = s.shard, s, s.stable, s.began
	es.owner = &broker.Member{Session: s.name, User: s.who.user}
	es.headers = map[string]string{dialect.EphemeralHeader: strconv.FormatInt(s.began, 10)}
	if s.estates == nil {
		s.estates = make(map[string]*estate)
	}
	s.estates[es.channel] = es
}

// owning is how many ephemeral keys the session has.
func (s *Session) owning() (n int) {
	for _, es := range s.estates {
		n += len(es.keys)
	}
	return n
}

// disownIdle forgets the keys that have gone by themselves. It answers whether there were any.
func (s *Session) disownIdle() (any bool) {
	now := s.shard.node.cfg.Now().UnixMilli()
	for _, es := range s.estates {
		for key, o := range es.keys {
			if o.idle(now) {
				delete(es.keys, key)
				any = true
			}
		}
	}
	return any
}

// holdBack keeps a publish until the record of its key has been written. Those that come to the channel meanwhile wait as well,
// since a session's entries stand in the order it sent them.
func (s *Session) holdBack(es *estate, c *dialect.Command, own *owned) {
	kept := s.keep(c)
	if kept == nil {
		return
	}
	if own != nil {
		own.open++
	}
	es.held = append(es.held, heldPublish{kept, own})
}

// published notes how a publish of the key has ended.
func (o *owned) published(e *broker.Entry, r broker.Receipt, err error) {
	es := o.of
	o.open--
	switch {
	case err != nil:
		o.unsure = o.unsure || !refused(err)
	case r.Epoch != o.epoch || r.Offset > o.last:
		o.epoch, o.last, o.gone, o.until = r.Epoch, r.Offset, e.Op == broker.Delete, 0
		if e.TTL > 0 {
			o.until = es.shard.node.cfg.Now().Add(e.TTL).UnixMilli()
		}
	}
	switch {
	case o.open > 0:
	case es.session == nil:
		es.turn()
	case o.idle(0): // what its TTL ends is looked at when there are too many
		delete(es.keys, o.key)
	}
}

// part gives the session's keys up. lost says that its client may come back. Keys with a publish under way follow when
// that has been answered.
func (s *Session) part(lost bool) {
	channels, estates := s.estateChannels(), s.estates // in order, as a repetition does it too
	s.estates = nil
	for _, channel := range channels {
		estates[channel].part(lost)
	}
}

// delete tries until the broker has taken the delete of a key, or has said that the newest entry is another one, and calls
// done.
func (es *estate) delete(o *owned, try int, done func()) {
	if o.idle(es.shard.node.cfg.Now().UnixMilli()) {
		done()
		return
	}
	e := broker.Entry{Key: o.key, Op: broker.Delete, From: es.owner, HasExpect: true, Expect: o.last}
	if o.gone || o.last == 0 {
		e.Expect = broker.MaxOffset // which no entry has: this only asks what is there
	}
	es.shard.append(es.channel, e, es.keep, func(_ broker.Receipt, err error) {
		var there *broker.ConflictError
		switch {
		case err == nil || err == broker.ErrClosed:
			done()
		case !errors.As(err, &there):
			es.deleteLater(o, try, err, done)
		case there.Offset == 0, o.has(there.Position):
			done()
		default:
			es.look(o, there.Position, func(err error) {
				if err != nil {
					es.deleteLater(o, try, err, done)
					return
				}
				es.delete(o, try, done)
			})
		}
	})
}

// deleteLater tries again after a while.
func (es *estate) deleteLater(o *owned, try int, err error, done func()) {
	if try == deleteTries {
		es.shard.node.cfg.Log.Error("an ephemeral key could not be deleted", slog.String("channel", es.channel), slog.Any("error", err))
		es.stuck = true
		done()
		return
	}
	es.shard.loop.After(leaveRetry, func() { es.delete(o, try+1, done) })
}

// find finds out what there is of a key.
func (es *estate) find(o *owned, then func(error)) {
	probe := broker.Entry{Key: o.key, Op: broker.Delete, HasExpect: true, Expect: broker.MaxOffset}
	es.shard.append(es.channel, probe, es.keep, func(_ broker.Receipt, err error) {
		var there *broker.ConflictError
		if !errors.As(err, &there) {
			then(err)
			return
		}
		es.look(o, there.Position, then)
	})
}

// errChanged says that a key was written while it was looked at.
var errChanged = errors.New("session: the key was written meanwhile")

// has says that the session has written the key there or later, in the same log.
func (o *owned) has(at broker.Position) bool { return at.Epoch == o.epoch && at.Offset <= o.last }

// look reads the newest entry of a key, which is at a position: it is the estate's where the session wrote it as one of an
// ephemeral key, or an older one of its name did. A newer one looks after it itself.
func (es *estate) look(o *owned, at broker.Position, then func(error)) {
	if at.Offset == 0 {
		o.last, o.gone, o.unsure = 0, false, false
		then(nil)
		return
	}
	es.shard.look(es.channel, o.key, at.Offset, func(e *broker.Entry, err error) {
		switch {
		case err != nil:
		case e == nil:
			err = errChanged
		case o.has(at) && at.Offset < o.last: // the session has written it since
		case e.From == nil || e.From.Session != es.owner.Session || !es.covers(e.Headers[dialect.EphemeralHeader]):
			o.last, o.gone, o.unsure = 0, false, false
		default:
			o.epoch, o.last, o.gone, o.unsure, o.until = at.Epoch, at.Offset, false, false, 0
			if e.TTL > 0 {
				o.until = e.Time + e.TTL.Milliseconds()
			}
		}
		then(err)
	})
}

// covers says that an ephemeral entry with this header is of the session or an older one.
func (es *estate) covers(header string) bool {
	began, err := strconv.ParseInt(header, 10, 64)
	return err == nil && began <= es.began
}
