package session

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

// The ephemeral keys that a session has in a channel are its estate. They end when the node dies, and go with their client to
// another node, because a log of the server's own has a record of each estate, and has it before the first key is written. The key of
// a record is the public name of the session and the channel, its payload the list of the keys, and its mark tells, as in a
// presence log, which life of a node has it. What is done more often is not recorded: to write the keys.
//
// Who has an estate and no session, because the client was lost and its grace is over, or as the one who writes off a dead node,
// asks for it in the record. A node that serves a session of that name, which is how a client comes back, writes the record
// again as its own. Where nobody has done so in time, the record is marked once more, so that nobody does any more, the keys
// are deleted, and then the record. Each of these writes is on condition of the one before, so there is one who deletes.
const (
	estatesLog   = "$ephemeral"
	askedHeader  = "asked"  // whose it is; the life that has ended where a node is written off
	endingHeader = "ending" // the keys are being deleted
	// askWait is how long the others have to answer. They look every leaseRenewal.
	askWait = leaseRenewal * 3 / 2
	// recordTries is how often a record is tried to write while others write it.
	recordTries = 8
)

var estatesKeep = rule.History{Deletes: time.Second} // its state alone is read

// estate belongs to one loop at a time, has one write of its record under way at a time, and outlives its session.
type estate struct {
	shard   *Shard
	channel string
	owner   *broker.Member
	keep    rule.History
	grace   time.Duration     // how long it waits for the client to come back
	stable  bool              // sessions elsewhere may have the same name
	began   int64             // the session, Unix milliseconds
	session *Session          // nil once it has parted with it
	headers map[string]string // of its entries, where they have no others; never changed

	keys   map[string]*owned
	listed []string // keys in the record
	mark   string   // in the record
	at     uint64   // the record's newest entry, 0 for none
	unsure bool     // the outcome of a write of the record is not known
	asked  bool     // the record says so
	busy   bool     // the record is being written, or keys deleted
	stuck  bool     // a key could not be deleted: the record stays, for others
	wish   estateWish
	held   []heldPublish // that wait for the record, or for one that does
	done   func()        // called when nothing is left to do; may be nil
	wait   slot          // in the roster
}

// heldPublish is a publish that waits; own is nil where it is none of an ephemeral key.
type heldPublish struct {
	c   *dialect.Command
	own *owned
}

// estateWish is what comes next for an estate without a session.
type estateWish uint8

const (
	toWait  estateWish = iota // for the client to come back
	toAsk                     // who has the client
	toEnd                     // say that it is too late
	toClear                   // delete the keys
)

// keepsEstates says that there are records.
func (n *Node) keepsEstates() bool {
	_, ok := n.cfg.Broker.(broker.State)
	return ok
}

// followed says that there are others who look at what this node leaves behind.
func (n *Node) followed() bool { return n.started.Load() && !n.alone.Load() }

// recordKey is the key of the record.
func (es *estate) recordKey() string { return es.owner.Session + " " + es.channel }

// lists says that the record has a key.
func (es *estate) lists(key string) bool {
	return !es.shard.node.keepsEstates() || slices.Contains(es.listed, key)
}

// list is what the record is to have.
func (es *estate) list() []string {
	now := es.shard.node.cfg.Now().UnixMilli()
	list := []string{}
	for _, key := range slices.Sorted(maps.Keys(es.keys)) {
		if !es.keys[key].idle(now) {
			list = append(list, key)
		}
	}
	return list
}

// open says that publishes of keys have not been answered.
func (es *estate) open() bool {
	for _, o := range es.keys {
		if o.open > 0 {
			return true
		}
	}
	return false
}

// idle says that nothing is there to be deleted.
func (es *estate) idle() bool {
	now := es.shard.node.cfg.Now().UnixMilli()
	for _, o := range es.keys {
		if !o.idle(now) {
			return false
		}
	}
	return true
}

// inOrder are the keys as they were written, so that a repetition deletes them in the same order.
func (es *estate) inOrder() []*owned {
	return slices.SortedFunc(maps.Values(es.keys), func(a, b *owned) int {
		return cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.key, b.key))
	})
}

// turn does what is to be done, unless something is under way.
func (es *estate) turn() {
	switch {
	case es.busy:
	case es.session != nil:
		if es.stale() {
			es.write()
		}
	case es.open():
	case es.stuck:
		es.finish()
	case es.idle():
		es.forget()
	case es.wish == toWait:
		es.leave(es.grace, toAsk)
	case es.wish == toAsk:
		es.ask()
	case es.wish == toEnd:
		es.end()
	default:
		es.clear()
	}
}

// stale says that the record does not tell that the session has these keys.
func (es *estate) stale() bool {
	node := es.shard.node
	switch {
	case !node.keepsEstates():
		return false
	case es.asked, es.at != 0 && lifeOf(es.mark) != node.life():
		return true
	}
	for _, key := range es.list() {
		if !slices.Contains(es.listed, key) {
			return true
		}
	}
	return false
}

// part takes the estate from its session. lost says that the client may come back.
func (es *estate) part(lost bool) {
	node := es.shard.node
	es.session, es.wish = nil, toEnd
	if lost && (!node.draining.Load() || node.followed()) { // else nobody would be there to delete the keys
		if es.grace = graceOf(node.cfg.Rules.For(es.channel)); es.grace > 0 {
			es.wish = toWait
		}
	}
	es.turn()
}

// leave has the estate wait for a session of its name. When none has come it goes on with next, and where too many wait
// it ends.
func (es *estate) leave(d time.Duration, next estateWish) {
	es.wish = next
	r := &es.shard.node.roster
	if !r.leave(es, d) {
		es.wish = toEnd
		es.turn()
		return
	}
	if heir := r.named(es.owner.Session); heir != nil {
		heir.shard.loop.Post(heir.inherit)
	}
}

// ask asks the other nodes whether the client is there.
func (es *estate) ask() {
	if es.wish = toEnd; !es.stable || es.at == 0 || !es.shard.node.followed() {
		es.turn()
		return
	}
	es.claim(askedHeader, toAsk, func() {
		es.asked = true
		es.leave(askWait, toEnd)
	})
}

// end makes sure that nobody comes for the keys any more. Nobody does for those of a session without a lasting name.
func (es *estate) end() {
	if es.wish = toClear; !es.stable || es.at == 0 {
		es.turn()
		return
	}
	es.claim(endingHeader, toEnd, es.turn)
}

// claim marks the record and goes on with then, when it is the estate's. What fails is done again, by what retry says.
func (es *estate) claim(header string, retry estateWish, then func()) {
	es.busy = true
	es.put(header, recordTries, func(ours bool, err error) {
		es.busy = false
		switch {
		case ours:
			then()
		case err == nil || err == broker.ErrClosed:
			es.finish()
		default:
			es.wish = retry
			es.shard.node.roster.retry(es)
		}
	})
}

// clear deletes the keys.
func (es *estate) clear() {
	es.busy = true
	keys := es.inOrder()
	left := len(keys)
	for _, o := range keys {
		es.delete(o, 1, func() {
			if left--; left == 0 {
				es.busy, es.keys = false, nil
				es.turn()
			}
		})
	}
}

// forget deletes the record, and only that.
func (es *estate) forget() {
	expect := es.at
	if expect == 0 {
		if !es.unsure {
			es.finish()
			return
		}
		expect = broker.MaxOffset // which no entry has: this only asks what is there
	}
	es.busy = true
	e := broker.Entry{Key: es.recordKey(), Op: broker.Delete, Expect: expect, HasExpect: true}
	es.shard.append(estatesLog, e, estatesKeep, func(_ broker.Receipt, err error) {
		es.busy = false
		var there *broker.ConflictError
		switch {
		case err == nil || err == broker.ErrClosed:
			es.finish()
		case !errors.As(err, &there):
			es.shard.node.roster.retry(es)
		case there.Offset == 0 || !es.unsure:
			es.finish()
		default:
			es.busy = true
			es.shard.look(estatesLog, es.recordKey(), there.Offset, es.forgetFound)
		}
	})
}

// forgetFound goes on with what was found where a write of unknown outcome may have gone.
func (es *estate) forgetFound(e *broker.Entry, err error) {
	es.busy = false
	switch {
	case err != nil || e == nil:
		es.shard.node.roster.retry(es)
	case !es.wrote(e):
		es.finish()
	default:
		es.at, es.unsure = e.Offset, false
		es.forget()
	}
}

func (es *estate) finish() {
	if es.done != nil {
		es.done()
	}
}

func (es *estate) slot() *slot { return &es.wait }

func (es *estate) over(r *roster) {
	r.unleave(es)
	es.shard.loop.Post(es.turn)
}

// keysOf reads the list of a record.
func keysOf(e *broker.Entry) (keys []string) {
	_ = json.Unmarshal(e.Payload, &keys) // of what nobody has written there is nothing to be done
	return keys
}
