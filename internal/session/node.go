package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
	"hocket.dev/internal/rule"
)

// Limits bound what one session may hold and ask. The zero value of each means the default beside it.
type Limits struct {
	MessageBytes   int64         // of one message from a client; 64 KiB. Beyond it the message is an error
	Subscriptions  int           // of one session; 1000
	OpenRequests   int           // requests of one session that wait for an answer; 1024
	OutboxBytes    int           // replies and events waiting to be sent; 256 KiB. Beyond half of it the session is not read, beyond all of it and two pages closed
	UntakenBytes   int64         // what all clients of the node have been sent and not taken, of more than 16 KiB each; 0: no bound. Beyond it who has not for longest is closed
	HistoryEntries int           // of one page; 1000
	HistoryBytes   int64         // of the entries of one page; 1 MiB
	InfoBytes      int           // of what a member tells about itself; 4 KiB
	EphemeralKeys  int           // that end with one session; 100
	LagBytes       int64         // of the entries that one subscription may be behind before the channel's overflow rule decides, beside the window; 0: no bound
	LagAge         time.Duration // the same for the age of the oldest of them; 0: no bound
	LostMembers    int           // of the node, whose sessions may come back within the grace time; 100,000. Beyond it members leave at once
	NamedMembers   int           // of a channel; 1000. Beyond it joins and leaves are told by their number, not by name
	CallTimeout    time.Duration // 10 s
	ProofTimeout   time.Duration // until a session has to prove who it is; 10 s

	Sessions           int   // of the node; 0: no bound. Beyond it the transport refuses handshakes
	SessionsPerUser    int   // on this node, of one who has proved who it is; 0: no bound. Beyond it new ones are closed
	SessionsPerAddress int   // the same of one address: of IPv6, of one network of 64 bits
	Unproved           int   // sessions of the node that have not proved who they are; 10,000. Beyond it the oldest is closed
	UnprovedBytes      int64 // of one message of such a session; 16 KiB. It may send four times as much before it has proved who it is
	Rates              Rates // how much clients may do in a time
}

func (l *Limits) setDefaults() {
	set(&l.MessageBytes, 64<<10)
	set(&l.Subscriptions, 1000)
	set(&l.OpenRequests, 1024)
	set(&l.OutboxBytes, 256<<10)
	set(&l.HistoryEntries, 1000)
	set(&l.HistoryBytes, 1<<20)
	set(&l.InfoBytes, 4<<10)
	set(&l.EphemeralKeys, 100)
	set(&l.LostMembers, 100_000)
	set(&l.NamedMembers, 1000)
	set(&l.CallTimeout, 10*time.Second)
	set(&l.ProofTimeout, 10*time.Second)
	set(&l.Unproved, 10_000)
	set(&l.UnprovedBytes, 16<<10)
}

func set[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Call is a client's call of a method.
type Call struct {
	Method  string
	Session string // the caller's public name
	User    string
	Payload []byte // a JSON value, nil for none; the method's to keep
}

// Method answers calls. It runs as a task and may block until ctx ends, which is when the session does or the time is
// up. Its answer is a JSON value, nil for null. A *dialect.Error is told to the client as it is, any other error as
// "internal". A panic closes the session.
type Method func(ctx context.Context, c Call) ([]byte, error)

// Loop is what a session needs of the loop it lives on.
type Loop interface {
	// Post runs fn on the loop, after what was posted before. It never blocks and answers false when the loop is gone.
	Post(fn func()) bool
	// After runs fn on the loop when d has passed, unless stop is called before. Both are called on the loop. What fn
	// holds is freed when it has run or been stopped.
	After(d time.Duration, fn func()) (stop func())
}

// Config says what the sessions of a node work with.
type Config struct {
	Name string // of the node
	// Secret makes the public names of sessions out of client ids. Nodes of one system have the same one, so that a client
	// keeps its name from node to node; nil is a random one.
	Secret []byte
	Broker broker.Broker
	Hub    *hub.Hub
	Rules  *rule.Set
	// Schemas are those of Rules.
	Schemas Schemas
	Method  func(name string) Method // nil where there is none by that name; called on loops
	// Authenticator decides about proofs of identity; nil refuses them.
	Authenticator Authenticator
	// Asker is asked where rules say so; nil refuses what it would be asked about.
	Asker Asker
	// Calls are the methods that every client may call who has proved who it is; nil for none.
	Calls *rule.Capabilities
	// Anonymous admits clients without proof, lets them name themselves, and allows everybody everything.
	Anonymous bool
	Task      func(fn func(ctx context.Context)) bool // runs fn elsewhere; false: too many tasks are under way
	Now       func() time.Time
	Elapsed   func() time.Duration // since some moment, by a clock that does not go backwards; nil takes Now, at twice the cost
	Log       *slog.Logger
	Limits    Limits
	PingEvery time.Duration // told to clients
	// Features name what the configuration has on, for clients, beside what every node can.
	Features []string
	// Drain is the time over which Node.Drain asks clients to come back.
	Drain time.Duration
	Loops []Loop // in the order of the hub's
}

// Node is what the sessions of one node share.
type Node struct {
	cfg     Config
	shards  []*Shard
	roster  roster
	counts  counts
	lease   *lease
	quotas  *quotas
	revoked revoked
	checks  chan struct{} // holds an entry for each check of a payload that is done elsewhere than on a loop
	marks   atomic.Uint64 // given to memberships
	opened  atomic.Uint32 // sessions
	started atomic.Bool   // the others know of it
	alone   atomic.Bool   // no other node writes to the broker, as far as is known

	draining atomic.Bool // the node is about to end

	Publishes  atomic.Uint64 // by the server; clients' are in Counters
	Duplicates atomic.Uint64 // of them, those that had been applied before
}

// NewNode makes a Node.
func NewNode(cfg Config) *Node {
	cfg.Limits.setDefaults()
	if cfg.Secret == nil {
		cfg.Secret = make([]byte, sha256.Size)
		rand.Read(cfg.Secret) // never fails (crypto/rand since Go 1.24)
	}
	if cfg.Asker == nil {
		cfg.Asker = nobodyToAsk{}
	}
	cfg.Features = append(abilities[:len(abilities):len(abilities)], cfg.Features...)
	n := &Node{cfg: cfg, quotas: newQuotas(&cfg), checks: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	n.counts.node = n
	n.roster = roster{
		node: n, stable: make(map[string]*Session), lost: make(map[seat]*membership), crowds: make(map[string]*crowd),
		left: make(map[string]map[string]*estate),
	}
	n.lease = newLease(n)
	for i, l := range cfg.Loops {
		n.shards = append(n.shards, &Shard{
			node: n, index: i, loop: l,
			sessions: make(map[string]*Session), dice: newDice(),
		})
	}
	return n
}

// Shard returns what the sessions of loop i share.
func (n *Node) Shard(i int) *Shard { return n.shards[i] }

// seconds is the time in Unix seconds.
func (n *Node) seconds() uint32 { return uint32(n.cfg.Now().Unix()) }

// Limits are the limits in force.
func (n *Node) Limits() Limits { return n.cfg.Limits }

// abilities are what every node can do.
var abilities = [...]string{"recover", "history", "presence", "state", "call", "idempotency", "echo", "heartbeat",
	"expect", "ttl", "score", "ephemeral", "filter", "resume_state"}

// Features names what this server can do and what it has on, as clients are told. It is not to be changed.
func (n *Node) Features() []string { return n.cfg.Features }

// Send brings an event to a session, or to all sessions of a user, whichever is not "". It waits until every loop has
// looked and answers how many sessions got it.
func (n *Node) Send(ctx context.Context, session, user string, payload []byte, format broker.Format) (int, error) {
	return n.count(ctx, func(sh *Shard) int { return sh.send(session, user, payload, format) })
}

// Disconnect closes a session, or all sessions of a user, whichever is not "". again says that they may come back. It waits
// until every loop has looked and answers how many sessions are closed.
func (n *Node) Disconnect(ctx context.Context, session, user string, again bool) (int, error) {
	return n.count(ctx, func(sh *Shard) int { return sh.disconnect(session, user, again) })
}

// count asks every loop, and adds up what they answer.
func (n *Node) count(ctx context.Context, ask func(*Shard) int) (int, error) {
	counts := make(chan int, len(n.shards))
	asked := 0
	for _, sh := range n.shards {
		if sh.loop.Post(func() { counts <- ask(sh) }) {
			asked++
		}
	}
	total := 0
	for range asked {
		select {
		case c := <-counts:
			total += c
		case <-ctx.Done():
			return total, ctx.Err()
		}
	}
	return total, nil
}

// DrainSessions tells every session to connect again, one after another over Config.Drain, and closes it. It returns at
// once.
func (n *Node) DrainSessions() {
	n.draining.Store(true)
	for _, sh := range n.shards {
		sh.loop.Post(sh.drain)
	}
}

func retention(h rule.History) broker.Retention {
	return broker.Retention{Count: h.Count, Bytes: h.Bytes, Age: h.Age, Deletes: h.Deletes}
}

// refused says that a publish that failed with err has certainly changed nothing.
func refused(err error) bool {
	return errors.Is(err, broker.ErrBusy) || errors.Is(err, broker.ErrClosed) || errors.Is(err, broker.ErrConflict)
}

// asError turns what a broker or the hub answered into what a client is told.
func asError(err error, channel string) *dialect.Error {
	var conflict *broker.ConflictError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, broker.ErrBusy), errors.Is(err, hub.ErrBusy):
		e := dialect.Busy.Err()
		e.RetryAfter = time.Second
		return e
	case errors.Is(err, hub.ErrNoState):
		return dialect.Errorf(dialect.NotSupported, "this server keeps no state of %s", channel)
	case errors.Is(err, hub.ErrFilters):
		return dialect.Errorf(dialect.LimitReached, "%s has too many different filters at once: use one that others use too", channel)
	case errors.Is(err, hub.ErrEpochChanged):
		return dialect.EpochChanged.Err()
	case errors.As(err, &conflict):
		return conflictError(conflict)
	case errors.Is(err, broker.ErrTooLarge):
		return dialect.Errorf(dialect.TooLarge, "the value of a key may have at most %d bytes: begin a new one with set", broker.MaxValueBytes)
	case errors.Is(err, broker.ErrConflict):
		return dialect.Errorf(dialect.Conflict, "the value of this key is of another kind than what is appended: an append adds a string to a string, bytes to bytes")
	}
	e := dialect.Errorf(dialect.Unavailable, "the log of %s cannot be reached: try again later", channel)
	e.RetryAfter = time.Second
	return e
}

// conflictError says that an expect does not hold, and what is there.
func conflictError(c *broker.ConflictError) *dialect.Error {
	e := dialect.Errorf(dialect.Conflict, "the newest entry is at %d, not where expect says", c.Offset)
	if c.Offset == 0 {
		e = dialect.Errorf(dialect.Conflict, "there is no entry where expect says")
	}
	e.Position = &c.Position
	return e
}
