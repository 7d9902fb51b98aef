// Package broker is the contract between a node and the log it keeps channels in.
//
// Every channel is a log: publishing appends an [Entry], which gets an offset. A [Broker] stores these logs, tells the
// node of every new entry of the channels it follows (through a [Sink], in log order), and answers reads. What a broker
// does not do: it knows no session, no subscriber, no client protocol and no permission.
//
// [Memory] is the broker of a single node. An implementation proves itself with the suite in broker/brokertest.
//
//	b := broker.NewMemory(broker.MemoryConfig{})
//	go b.Run(ctx, sink)
//	<-b.Ready()
//	b.Follow([]string{"chat:lobby"}) // sink.Deliver gets what is published from now on
//	b.Publish("chat:lobby", broker.Entry{Payload: []byte(`"hi"`)}, broker.Retention{Count: 100}, func(r broker.Receipt, err error) {
//		// the log holds it at r.Offset
//	})
//
// A Broker may be called from any goroutine, event loops included: Publish, Follow and Unfollow never block. Read,
// Heads and State may wait for a network and are called from tasks.
package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// MaxOffset is the largest offset a log can hold: JSON readers keep integers exact up to 1<<53 - 1.
const MaxOffset = 1<<53 - 1

// Op says what an entry does to its key.
type Op uint8

// The operations of a keyed log. In a stream (no key) every entry is a Set.
const (
	Set    Op = iota // the entry is the key's value
	Append           // the payload is added to the key's value
	Delete           // the key is gone
)

// Format says what the bytes of a payload are.
type Format uint8

// The formats of a payload.
const (
	JSON   Format = iota // exactly one JSON value in valid UTF-8, checked where it entered
	Text                 // UTF-8
	Binary               // anything
)

// Member names the session an entry came from.
type Member struct {
	Session string // the session's public name
	User    string // "" for an anonymous user
}

// Position is a place in one history of a channel: after the entry with this offset.
type Position struct {
	// Epoch names the history. It changes whenever acknowledged entries may have gone.
	Epoch  string
	Offset uint64
}

// Entry is one element of a channel's log. An entry that has been published is never modified, so it may be shared
// between goroutines, and its slices and maps with it.
type Entry struct {
	Offset uint64 // set by the broker; grows, has holes, at most MaxOffset
	// Prev is set by the broker: the offset of the entry that was the newest when this one was appended, 0 when unknown.
	// Live, a Prev that has not come shows a loss. In a Page it may be an entry that has been removed or whose TTL has
	// passed: there Complete tells whether something is missing.
	Prev uint64
	Time int64 // set by the broker: Unix milliseconds by its clock

	Key       string // "" in a stream
	Op        Op
	Format    Format
	NoEcho    bool   // the session named in From does not get this entry
	HasExpect bool   // Expect is meant, also when it is 0
	Payload   []byte // never modified after Publish

	From *Member // nil when the server published

	// Client and Seq make a publish idempotent: the log remembers, per Client, the last Seq that was applied and which of
	// the 64 before it were. An older one counts as applied. Seq 0 means none. Client is unique to one user and client
	// instance.
	Client string
	Seq    uint64
	// IdempotencyKey makes a publish idempotent by name; "" means none. It is unique to one user.
	IdempotencyKey string

	// Expect makes the publish conditional when HasExpect is set: the newest entry of the key, or of the channel where Key
	// is "", must have this offset, else a *ConflictError answers. 0 expects none: a key that was never written, or is gone.
	// A publish that had been applied before is a duplicate, whatever it expects.
	Expect uint64

	// TTL is how long after Time the entry is kept at most, in whole milliseconds; 0 leaves it to the Retention. An entry
	// whose TTL has passed is due to nobody any more, and counts as neither missing nor removed. A Delete has none.
	//
	// The value of a key ends with the TTL of its entry, and a value that was appended to with that of the first of its
	// parts to end: so a log that has lost a part to its TTL has the end of the value as well. The broker then appends a
	// Delete, marked with the [ExpiredHeader], as soon as it can and before anything else is appended to the key; until it
	// has, the key has no value for those who read or expect.
	TTL time.Duration
	// Score orders the keys of a state by number (see [StateQuery]); 0 where none was given. An Append without one takes over
	// that of the value it is added to. One that is not finite is refused with ErrConflict.
	Score float64

	// Headers holds tags, trace context and what later versions add; every broker keeps them.
	Headers map[string]string
}

// ExpiredHeader marks, with the value "1", a Delete that the broker appended because the value of a key had reached its
// end: its TTL, or the Retention's Age.
const ExpiredHeader = "expired"

// Expired says that the entry's TTL has passed at now, in Unix milliseconds.
func (e *Entry) Expired(now int64) bool { return e.TTL != 0 && e.end() <= now }

// end is when the TTL passes.
func (e *Entry) end() int64 { return max(1, e.Time+e.TTL.Milliseconds()) }

// valid says that the entry is one that a log can hold.
func (e *Entry) valid() bool {
	return (e.Op == Set || e.Key != "" && e.Op <= Delete) && !math.IsNaN(e.Score) && !math.IsInf(e.Score, 0)
}

// Size is what an entry counts for against bounds in bytes: its variable parts and a fixed share for the rest.
func (e *Entry) Size() int64 {
	n := int64(128 + len(e.Payload) + len(e.Key) + len(e.Client) + len(e.IdempotencyKey))
	if e.From != nil {
		n += int64(len(e.From.Session) + len(e.From.User))
	}
	for k, v := range e.Headers {
		n += int64(32 + len(k) + len(v))
	}
	return n
}

// Retention says how much of a channel a broker keeps. Each bound that is not 0 holds by itself; a zero Count keeps
// no entries (offsets still grow). The retention given with the latest publish governs the channel.
//
// Count and Bytes bound the log alone. The latest value of each key (see [State]) stays until it is deleted, at most
// for Age, when that is not 0, after the key's last entry: it then ends as by its TTL.
type Retention struct {
	Count int           // entries
	Bytes int64         // sum of Entry.Size; 0: no bound of its own
	Age   time.Duration // since Entry.Time; 0: no bound of its own
	// DedupWindow is how long idempotency keys and client sequence numbers are remembered; 0 means 2 minutes.
	DedupWindow time.Duration
	// DedupKeys bounds how many of them are remembered per channel; beyond it a publish that needs one is refused
	// with ErrBusy, none is forgotten early. 0 means 100,000.
	DedupKeys int
	// Deletes is how long the state remembers that a key was deleted, so that who knows an older state can be told; 0
	// means 10 minutes. A broker may bound how many it remembers: which positions can still be told follows from
	// Page.Complete.
	Deletes time.Duration
}

// Receipt is the answer to a publish.
type Receipt struct {
	Position
	// Duplicate says that this publish had been applied before; Position is then that of the first one. It is the
	// position of the channel's last entry by the same client where the first one's is no longer known.
	Duplicate bool
}

// Query asks for entries of one channel. At most one of After (with HasAfter), Before and Since decides where; with none
// of them the newest Limit entries are meant.
type Query struct {
	After    uint64 // the oldest Limit entries after this offset; 0 means from the beginning
	HasAfter bool
	Epoch    string // with HasAfter: the epoch After belongs to; "" means the current one
	Before   uint64 // the newest Limit entries before this offset
	Since    int64  // the oldest Limit entries with Time >= Since (Unix milliseconds)
	Limit    int    // at most so many entries; 0 means 1000
}

// Page is an answer to a Query, oldest entry first.
type Page struct {
	Epoch   string   // "" for a channel that does not exist
	Head    uint64   // the offset of the newest entry ever appended, 0 for none
	Entries []*Entry // the slice is the caller's, the entries are to be read only
	// Complete says that nothing that was asked for has been removed.
	//   - After: the entries follow on the position without a hole. It is false when the epoch asked for is another
	//     one, or the offset lies beyond Head; the page then begins with the oldest entry there is.
	//   - Since: no entry of that time or later has been removed.
	//   - Before, and the newest: Limit entries are there, or all there ever were.
	Complete bool
	More     bool // there are further entries: newer ones with After and Since, else older ones
}

// Errors a broker answers with. Others are faults of the engine and mean that the outcome is unknown.
var (
	ErrBusy     = errors.New("broker: too many requests under way")     // a bound is reached; try again later
	ErrClosed   = errors.New("broker: not running")                     // before Run, or after it
	ErrConflict = errors.New("broker: not the state that was expected") // see ConflictError; or an Append to a value of another format
	ErrTooLarge = errors.New("broker: the value would be too large")    // an Append beyond MaxValueBytes
)

// MaxValueBytes is how large the value of a key may become by Appends: who begins from the state gets it in one piece.
const MaxValueBytes = 1 << 20

// ConflictError answers a publish whose Expect does not hold. It is an ErrConflict to errors.Is.
type ConflictError struct {
	Position // of the newest entry of the key, or of the channel; Offset is 0 where there is none
}

// Error returns a sentence with the offset.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("broker: the newest entry is at %d", e.Offset)
}

// Is tells that every ConflictError is an ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// Sink receives what a broker has to tell its node. Calls for one channel come one after another; calls for several
// may come at once. A Sink does not block for long and may call the broker, for the same channel too.
type Sink interface {
	// Deliver hands over a new entry of a followed channel, in log order.
	Deliver(channel, epoch string, e *Entry)
	// Gap says that entries of a followed channel may have been missed: read on from the last offset.
	Gap(channel string)
	// Removed says that entries of a followed channel were taken out of its log (see [Remover]): what is kept of them is to
	// be forgotten, but a Delete that is the newest entry of a key stays. Its place among the calls to Deliver is the
	// removal's place in the log, whose epoch it names: a sink may hold entries of another one by then.
	Removed(channel string, r Removal)
}

// Broker keeps the logs of channels.
type Broker interface {
	// Run serves until ctx ends and reports to sink. It returns nil then, else what went wrong. No goroutine of the
	// broker outlives it, nor a call to sink. Publish answers ErrClosed before Run has begun and after it has
	// returned, and so do reads.
	Run(ctx context.Context, sink Sink) error
	// Publish appends e and calls done with its position, once the log holds it. Publishes to one channel are
	// queued in the order of the calls, bounded (ErrBusy), and Publish never blocks. done may be called before
	// Publish returns, on any goroutine, and must not block; it may be nil. It may come before or after the entry
	// is delivered.
	Publish(channel string, e Entry, r Retention, done func(Receipt, error))
	// Follow asks for every entry appended from now on. Following twice is following once. An entry may be delivered
	// after a Read or Heads that has already counted it.
	Follow(channels []string)
	// Unfollow ends Follow. An entry already under way may still be delivered.
	Unfollow(channels []string)
	// Read answers a query. It is bounded by ctx.
	Read(ctx context.Context, channel string, q Query) (Page, error)
	// Heads tells the position of the newest entry of each channel, in the order asked.
	Heads(ctx context.Context, channels []string) ([]Position, error)
}

// StateQuery asks for the compacted view of a keyed log: the latest entry of each key.
type StateQuery struct {
	// After is where a page begins: in the order of offsets with the entries after this offset, in the order of scores
	// with those after the place (AfterScore, After) when HasAfterScore is set.
	After uint64
	Limit int   // at most so many; 0 means 1000
	Order Order // of the entries
	// Deletes includes keys that were deleted after After, as Delete entries without payload: what somebody who knows the
	// state as it was at After has to forget. It goes with ByOffset; ByScore ignores it. The Page is Complete when none of
	// them has been forgotten (see Retention.Deletes), and After is not beyond Head. It is always complete at 0, where
	// there is nothing to forget.
	//
	// Of several Deletes of a key in a row it is the newest. A Delete of a key of which nothing is known is none of these, nor is a key
	// that was removed (see [Removal]).
	Deletes bool

	AfterScore    float64
	HasAfterScore bool
}

// Order says how the entries of a state are sorted.
type Order uint8

// The orders of a state.
const (
	ByOffset Order = iota // as written, oldest first
	ByScore               // highest Score first; of equal ones the one written first
)

// State is implemented by brokers that keep the compacted view of keyed logs. Every Append is folded into a Set at
// the offset of the last Append, with the headers and the score of that one, and a TTL that ends when the value does;
// deleted keys are left out, unless they are asked for.
type State interface {
	// State answers with a Page whose Entries are the latest of each key.
	State(ctx context.Context, channel string, q StateQuery) (Page, error)
	// Keys counts the keys of a channel.
	Keys(ctx context.Context, channel string) (int, error)
}

// Removal says which entries to take out of a log. Exactly one of UpTo, Offset and Key is set, but that UpTo may bound what Key
// takes out.
type Removal struct {
	// Epoch is the one that the offsets are of; "" for whichever there is. Of a log of another epoch nothing is taken out: the
	// answer is ErrConflict.
	Epoch string
	// UpTo takes out every entry up to this offset, or up to the head where that is lower. The values of keys stay. A
	// position before it cannot be gone on from.
	UpTo uint64
	// Offset takes out one entry. The log goes on over the hole: nothing counts as missing. What the log needs to tell the
	// present state of a key, a part of its value or the Delete before it, is refused with ErrConflict: remove the key. So is
	// what may be a part of a value and the log has dropped.
	Offset uint64
	// Key takes out the value of a key and all its entries, but a Delete that is the newest of them. Nothing counts as
	// missing. Who knows the value learns of the end by a Delete alone, so publish one first: those who follow get it, and
	// those who come back find it in the log and in the state. With that Delete's offset as UpTo, what is written to the key
	// behind it stays: else it might go without a word. Beside a Key UpTo is the offset of a Delete of it and nothing else.
	Key string
}

// Remover is implemented by brokers that can take entries out of a log.
type Remover interface {
	// Remove takes entries out and answers how many those were; none is no error. The sink of a broker that follows the
	// channel is told, also when there were none: it may hold entries that the log does not. Removed entries do not come
	// back by a publish that repeats theirs.
	Remove(ctx context.Context, channel string, r Removal) (int, error)
}

// Lister is implemented by brokers that can name the channels they hold.
type Lister interface {
	// Channels names at most limit channels after the name after, in byte order.
	Channels(ctx context.Context, after string, limit int) ([]string, error)
}
