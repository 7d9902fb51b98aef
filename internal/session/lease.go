package session

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

// Members whose node has died are written off by the others. What nodes know of each other is a keyed log as well, with
// three keys for each life of a node, which has a new name whenever it begins:
//
//	lease:<life>    renewed all the time, and ends by itself: the node lives
//	node:<life>     its members have not been written off
//	cleanup:<life>  ends by itself: somebody is writing them off
//
// A life without a lease is over. Whoever sees it twice in a row, so that a node that is only late has had the time for a
// renewal, tries to write the third key; who succeeds writes the leaves, and as long as the key lasts goes on with what the
// broker did not take. A node that finds its own lease gone, or its name, begins another life and writes its members again,
// which have left or are about to. Nobody is a member of a life before both are there.
const (
	nodesLog     = "$nodes"
	leaseKey     = "lease:"
	nodeKey      = "node:"
	cleanupKey   = "cleanup:"
	leaseTTL     = 15 * time.Second
	leaseRenewal = 5 * time.Second
	cleanupTTL   = time.Minute
	deadLooks    = 2
	// pastLives is how many of its lives a node makes known once more when one has ended: a log that was lost in part may have
	// members of any of those that were lost with logs before.
	pastLives = 8
	// renewStep is how many members are written again before other work has its turn.
	renewStep = 256
)

var nodesKeep = rule.History{Count: 1000, Deletes: time.Second}

// lease is this node's sign of life, and what it has seen of the others'. But for life and registered it belongs to the first
// loop.
type lease struct {
	node *Node
	life atomic.Pointer[string]

	epoch      string              // of the log of nodes as it was last heard of, "" before that
	offset     uint64              // of the lease's newest entry, 0 before the first
	named      bool                // the key of the life that does not end is there
	registered atomic.Bool         // the life is known to the others by both keys, or need not be: the node has not been started
	entering   []func(error)       // of members that wait for that
	past       []string            // lives of this node that have ended, the newest
	former     []string            // those of them that are not known to be known to the others
	dead       map[string]int      // lives without a lease, and how often in a row that was seen
	cleaning   bool                // leaves are being written
	cleanups   map[string]*cleanup // of lives that are over
	searching  search              // for members of lives that nobody knows
	questions  questions           // about estates, as far as they have been read
}

func newLease(n *Node) *lease {
	l := &lease{node: n, dead: make(map[string]int), cleanups: make(map[string]*cleanup)}
	l.begin()
	l.registered.Store(true)
	return l
}

// begin begins a life.
func (l *lease) begin() {
	life := l.node.cfg.Name + "." + newName()
	l.registered.Store(false) // first: a member of this life finds it so
	l.life.Store(&life)
	l.offset, l.named = 0, false
}

// Start has the node show the others that it lives, and look after members of nodes that do not, as long as its loops
// run. It looks for what is revoked from then on.
func (n *Node) Start() {
	state, ok := n.cfg.Broker.(broker.State)
	if ok && n.cfg.Authenticator != nil {
		r := &revocations{node: n, state: state}
		n.shards[0].loop.Post(r.tick)
		n.shards[0].loop.Post(r.sweep)
	}
	if ok {
		n.lease.registered.Store(false)
		n.started.Store(true)
		n.shards[0].loop.Post(n.lease.tick)
	}
}

// life is the name of the node's present life.
func (n *Node) life() string { return *n.lease.life.Load() }

func (l *lease) shard() *Shard { return l.node.shards[0] }

func (l *lease) tick() {
	l.renew()
	l.look()
	l.answer()
	l.shard().loop.After(leaseRenewal, l.tick)
}

// write publishes to the log of nodes on condition. there is the offset of the entry that was in the way.
func (l *lease) write(key string, op broker.Op, after uint64, ttl time.Duration, then func(offset, there uint64, err error)) {
	e := broker.Entry{Key: key, Op: op, Expect: after, HasExpect: true, TTL: ttl}
	if op == broker.Set {
		e.Payload, e.Headers = []byte("null"), map[string]string{dialect.NodeHeader: l.node.life()}
	}
	l.shard().append(nodesLog, e, nodesKeep, func(r broker.Receipt, err error) {
		var conflict *broker.ConflictError
		switch {
		case errors.As(err, &conflict):
			l.hear(conflict.Epoch)
			then(0, conflict.Offset, err)
		case err != nil:
			then(0, 0, err)
		default:
			l.hear(r.Epoch)
			then(r.Offset, 0, nil)
		}
	})
}

// hear takes the epoch of an answer. Where the log of nodes has begun anew the life ends, though its lease may still be there: what
// was lost nobody knows, and members may be there again who had left.
func (l *lease) hear(epoch string) {
	before := l.epoch
	if l.epoch = epoch; before != "" && before != epoch {
		l.lost()
	}
}

// renew renews the lease. What fails is tried again at the next tick; nobody else writes these keys, so what is there
// without this node knowing is its own.
func (l *lease) renew() {
	if !l.registered.Load() {
		l.name()
	}
	l.registerFormer()
	life, known := l.node.life(), l.offset
	l.write(leaseKey+life, broker.Set, known, leaseTTL, func(offset, there uint64, err error) {
		switch {
		case life != l.node.life():
			return
		case err == nil:
			l.offset = offset
		case there != 0:
			l.offset, err = there, nil
		case known != 0 && errors.Is(err, broker.ErrConflict):
			l.lost()
			return
		}
		l.register(err)
	})
}

// name makes the life known as one that may have members. It does so until the lease is there: meanwhile the others may have
// taken it for one that is over.
func (l *lease) name() {
	l.named = false
	life := l.node.life()
	l.write(nodeKey+life, broker.Set, 0, 0, func(_, there uint64, err error) {
		if there != 0 { // by a write before, whose outcome was not known
			err = nil
		}
		if life != l.node.life() {
			return // the other life's is under way
		}
		l.named = err == nil
		l.register(err)
	})
}

// register lets those enter who wait for the life to be known, when it is: by its lease too, since one that was never
// there is not missed by the node itself when the others have written it off. err is what became of one of the two keys.
func (l *lease) register(err error) {
	if l.named && l.offset != 0 {
		l.registered.Store(true)
		err = nil
	} else if err == nil {
		return // the other one is under way
	}
	entering := l.entering
	l.entering = nil
	for _, then := range entering {
		then(err)
	}
}

// await calls then on the loop of sh when the others know of this life: of a life that nobody knows of, nobody would write off
// the members.
func (l *lease) await(sh *Shard, then func(error)) {
	if l.registered.Load() {
		then(nil)
		return
	}
	l.shard().loop.Post(func() {
		if l.registered.Load() {
			sh.loop.Post(func() { then(nil) })
			return
		}
		l.entering = append(l.entering, func(err error) { sh.loop.Post(func() { then(err) }) })
		if len(l.entering) == 1 {
			l.renew()
		}
	})
}

// registerFormer makes known that there were lives which have ended. Where a log was lost with what it knew of nodes, those of a
// life's members that were only waiting for their client to come back are written again by nobody, and written off as
// a dead node's.
func (l *lease) registerFormer() {
	for _, life := range slices.Clone(l.former) {
		l.write(nodeKey+life, broker.Set, 0, 0, func(_, there uint64, err error) {
			if err == nil || there != 0 {
				l.former = slices.DeleteFunc(l.former, func(f string) bool { return f == life })
			}
		})
	}
}

// lost begins another life, because others have seen the end of this one, or may.
func (l *lease) lost() {
	l.node.cfg.Log.Warn("a life of the node has ended: its members are written again", slog.String("life", l.node.life()))
	l.past = append(l.past, l.node.life())
	l.past = l.past[max(0, len(l.past)-pastLives):]
	l.former = slices.Clone(l.past) // what was known of the older ones may be lost as well
	clear(l.cleanups)               // members may be there again where they were written off
	l.begin()
	l.renew()
	for _, sh := range l.node.shards {
		sh.loop.Post(func() { sh.renewMembers(0) })
	}
}

// renewMembers writes those members of this loop again that have come back without a word since, all when since is 0: for a
// new life of the node.
func (sh *Shard) renewMembers(since int64) {
	var all []*subscription
	for _, s := range sh.sessions {
		for _, es := range s.estates {
			es.turn()
		}
		for _, sub := range s.subs {
			if sub.member != nil && sub.member.resumed >= since {
				all = append(all, sub)
			}
		}
	}
	sh.renewSome(all)
}

func (sh *Shard) renewSome(subs []*subscription) {
	n := min(len(subs), renewStep)
	for _, sub := range subs[:n] {
		if m := sub.member; m != nil {
			m.mark = sh.node.mark(sub.main.session.began)
			m.wish = toRenew
			m.turn()
		}
	}
	if rest := subs[n:]; len(rest) > 0 {
		sh.loop.Post(func() { sh.renewSome(rest) })
	}
}

// setAlone notes whether there are other nodes. Members who came back while it was believed that there were none have written
// nothing, and may have been on another node in between: they write themselves again.
func (l *lease) setAlone(alone bool) {
	if was := l.node.alone.Swap(alone); !was || alone {
		return
	}
	since := l.node.cfg.Now().Add(-2 * leaseRenewal).UnixMilli()
	for _, sh := range l.node.shards {
		sh.loop.Post(func() { sh.renewMembers(since) })
	}
}

// look reads who lives.
func (l *lease) look() {
	state, life := l.node.cfg.Broker.(broker.State), l.node.life()
	registered := l.registered.Load()
	l.node.cfg.Task(func(ctx context.Context) {
		seen, err := readNodes(ctx, state)
		l.shard().loop.Post(func() {
			l.looked(seen, err)
			if err == nil && registered && life == l.node.life() && !seen.named[life] {
				l.lost() // written off by one who took it for another's that is over
			}
		})
	}) // without a task there is the next tick
}

// nodesSeen is what the log of nodes holds.
type nodesSeen struct {
	epoch    string
	lives    map[string]bool // those that are known, and whether they have a lease
	named    map[string]bool // those that will be written off when their lease is over
	searched bool            // for lives that it does not know
	upTo     string          // where that has come to
}

func readNodes(ctx context.Context, state broker.State) (nodesSeen, error) {
	seen := nodesSeen{lives: make(map[string]bool), named: make(map[string]bool)}
	for after := uint64(0); ; {
		page, err := state.State(ctx, nodesLog, broker.StateQuery{After: after})
		if err != nil {
			return nodesSeen{}, err
		}
		for _, e := range page.Entries {
			if life, ok := strings.CutPrefix(e.Key, leaseKey); ok {
				seen.lives[life] = true
			} else if life, ok := strings.CutPrefix(e.Key, nodeKey); ok {
				seen.named[life] = true
				if _, known := seen.lives[life]; !known {
					seen.lives[life] = false
				}
			} else if e.Key == searchedKey && e.Headers[epochHeader] == page.Epoch {
				seen.upTo = e.Headers[afterHeader]
				seen.searched = seen.upTo == ""
			}
			after = e.Offset
		}
		if seen.epoch = page.Epoch; !page.More {
			return seen, nil
		}
	}
}

func (l *lease) looked(seen nodesSeen, err error) {
	if err != nil { // the others may be unable to renew their leases as well
		clear(l.dead)
		l.setAlone(false)
		return
	}
	l.search(seen)
	l.nameOthers(seen)
	lives := seen.lives
	own := l.node.life()
	delete(lives, own)
	l.setAlone(len(lives) == 0)
	for life := range l.dead {
		if alive, known := lives[life]; alive || !known {
			delete(l.dead, life)
		}
	}
	maps.DeleteFunc(l.cleanups, func(life string, _ *cleanup) bool { alive, known := lives[life]; return alive || !known })
	for life, alive := range lives {
		if alive {
			continue
		}
		if l.dead[life]++; l.dead[life] >= deadLooks && !l.cleaning {
			l.cleanUp(life)
		}
	}
}

// nameOthers makes known whose lease is there alone: where a log was lost in part nobody else may do so before it ends.
func (l *lease) nameOthers(seen nodesSeen) {
	for life := range seen.lives {
		if !seen.named[life] && life != l.node.life() {
			l.write(nodeKey+life, broker.Set, 0, 0, func(_, _ uint64, _ error) {}) // else there is the next look
		}
	}
}
