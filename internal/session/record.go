package session

import (
	"encoding/json"
	"errors"
	"slices"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// How the record of an estate is written.

// write says in the record that the session has these keys, once the others know of this life of the node.
func (es *estate) write() {
	if es.busy {
		return
	}
	es.busy = true
	node := es.shard.node
	node.lease.await(es.shard, func(err error) {
		if err != nil {
			es.written(false, err)
			return
		}
		if lifeOf(es.mark) != node.life() {
			es.mark = node.mark(es.began)
		}
		es.put("", recordTries, es.written)
	})
}

// written goes on when the record has been written, or is not to be. It is another's where a newer session of the name has
// it, which deletes what the record lists.
func (es *estate) written(ours bool, err error) {
	es.busy = false
	held := es.held
	es.held = nil
	if !ours && err == nil {
		es.yield()
	}
	for _, h := range held {
		if h.own != nil {
			h.own.open--
		}
	}
	if s := es.session; s != nil {
		es.asked = es.asked && err != nil
		s.publishHeld(held, err)
		es.prune()
	}
	switch {
	case err != nil && es.session != nil:
		if es.stale() {
			es.shard.node.roster.retry(es)
		}
		return
	case ours && es.session != nil:
		es.resolve()
	}
	es.turn()
}

// yield leaves the keys of the record to the newer session.
func (es *estate) yield() {
	for _, key := range es.listed {
		if o := es.keys[key]; o != nil && o.open == 0 {
			delete(es.keys, key)
		}
	}
	es.at, es.unsure, es.listed = 0, false, es.list()
}

// prune forgets keys that are not there. Those that their TTL ends are looked at when there are too many.
func (es *estate) prune() {
	for key, o := range es.keys {
		if o.idle(0) {
			delete(es.keys, key)
		}
	}
}

// publishHeld goes on with what has waited for a record. Where that could not be written, its keys are not written either.
func (s *Session) publishHeld(held []heldPublish, err error) {
	for _, h := range held {
		s.letGo(h.c)
		s.end(h.c.ID)
		if s.closing || s.closed {
			return
		}
		r := s.shard.node.cfg.Rules.For(h.c.Channel)
		denied := s.mayNotPublish(h.c, r) // since it was held
		switch {
		case denied != nil:
			s.fail(h.c.ID, h.c.Channel, denied)
		case err != nil && h.own != nil:
			s.fail(h.c.ID, h.c.Channel, asError(err, h.c.Channel))
		default:
			s.append(h.c, r)
		}
	}
}

// put writes the record, with a header that says what is to become of it or with "", and after the entry that is known.
// ours is false without an error where the record is another's.
func (es *estate) put(header string, tries int, then func(ours bool, err error)) {
	list := es.list()
	payload, _ := json.Marshal(list) // of strings never fails
	e := broker.Entry{
		Key: es.recordKey(), Payload: payload, From: es.owner, Expect: es.at, HasExpect: true,
		Headers: map[string]string{dialect.NodeHeader: es.mark},
	}
	if header != "" {
		e.Headers[header] = "1"
	}
	es.shard.append(estatesLog, e, estatesKeep, func(r broker.Receipt, err error) {
		var there *broker.ConflictError
		switch {
		case err == nil:
			es.at, es.unsure, es.listed = r.Offset, false, list
			then(true, nil)
		case !errors.As(err, &there):
			if !refused(err) { // then the record has one list or the other
				es.unsure = true
				es.listed = slices.DeleteFunc(slices.Clone(es.listed), func(key string) bool { return !slices.Contains(list, key) })
			}
			then(false, err)
		case tries == 0:
			then(false, broker.ErrBusy)
		case there.Offset != 0:
			es.shard.look(estatesLog, es.recordKey(), there.Offset, func(e *broker.Entry, err error) {
				es.found(e, err, header, tries-1, then)
			})
		case header != "": // an older session of the name has ended, and leaves what has been written since
			es.at = 0
			then(true, nil)
		default:
			es.at = 0
			es.put(header, tries-1, then)
		}
	})
}

// found goes on with what is there in place of what was expected.
func (es *estate) found(e *broker.Entry, err error, header string, tries int, then func(bool, error)) {
	if err != nil {
		then(false, err)
		return
	}
	switch {
	case e == nil: // it has changed meanwhile
	case es.wrote(e):
		es.at = e.Offset
	case es.yieldsTo(beganOf(e.Headers[dialect.NodeHeader]), header):
		then(false, nil)
		return
	default:
		es.adopt(keysOf(e))
		es.at = e.Offset
	}
	es.put(header, tries, then)
}

// yieldsTo says that an estate whose session began then goes before this one. Where this one has no session, that may be the same.
func (es *estate) yieldsTo(began int64, header string) bool {
	return began > es.began || header != "" && began == es.began
}

// wrote says that an entry of the record is of this estate.
func (es *estate) wrote(e *broker.Entry) bool { return e.Headers[dialect.NodeHeader] == es.mark }

// adopt takes over keys that another node may have written.
func (es *estate) adopt(keys []string) {
	for _, key := range keys {
		if es.keys[key] == nil {
			es.keys[key] = &owned{of: es, key: key}
		}
		es.keys[key].unsure = true
	}
}

// absorb takes over what another estate of the same session and channel has.
func (es *estate) absorb(from *estate) {
	for key, o := range from.keys {
		switch own := es.keys[key]; {
		case own == nil:
			es.keys[key], o.of = o, es
		case own.last != 0 && o.last != 0 && own.epoch != o.epoch: // which log is the newer one is not known
			own.last, own.gone, own.unsure = 0, false, true
		case own.last < o.last:
			own.epoch, own.last, own.gone, own.until, own.unsure = o.epoch, o.last, o.gone, o.until, own.unsure || o.unsure
		}
	}
	if es.at < from.at {
		es.at, es.listed, es.mark, es.unsure, es.asked = from.at, from.listed, from.mark, from.unsure, from.asked
	}
}

// resolve finds out about the keys that have been taken over.
func (es *estate) resolve() {
	for _, o := range es.inOrder() {
		if !o.unsure || o.last != 0 || o.open > 0 {
			continue
		}
		es.find(o, func(error) {
			if es.keys[o.key] == o && o.idle(0) {
				delete(es.keys, o.key)
			}
		})
	}
}

// retire has the session's oldest idle estate forgotten, where it has as many as there may be.
func (s *Session) retire() {
	if len(s.estates) < s.shard.node.cfg.Limits.EphemeralKeys {
		return
	}
	for _, channel := range s.estateChannels() {
		if es := s.estates[channel]; !es.busy && es.idle() {
			delete(s.estates, channel)
			es.part(false)
			return
		}
	}
}

// estateChannels are the channels in which the session has estates, in order.
func (s *Session) estateChannels() []string {
	channels := make([]string, 0, len(s.estates))
	for channel := range s.estates {
		channels = append(channels, channel)
	}
	slices.Sort(channels)
	return channels
}
