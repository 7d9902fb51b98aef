package broker

import (
	"context"
	"encoding/base32"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// MemoryConfig sets up a [Memory]. The zero value works.
type MemoryConfig struct {
	// Now is the broker's clock; nil means time.Now. Times given to entries never step back within a channel, whatever
	// the clock does.
	Now func() time.Time
	// Seed decides epochs and scattered offsets, so that a test can repeat them; 0 means a random one.
	Seed uint64
	// Scatter makes each channel start at a random offset and leave holes on purpose, so that nobody comes to rely on
	// offsets being consecutive. Without it offsets are 1, 2, 3 and so on.
	Scatter bool
	// MaxBytes bounds what all channels together hold: entries in logs, values of keys, and what is remembered about
	// publishes. Beyond it the oldest entries of logs go (see [Memory]); once values and remembered publishes alone
	// fill it, a publish that needs more of them is refused with ErrBusy. 0 means 256 MiB.
	MaxBytes int64
	// MaxChannels bounds how many channels publishes may create; beyond it a publish to a new one is refused with
	// ErrBusy. Followed channels count, but Follow is never refused. 0 means 1,000,000.
	MaxChannels int
	// MaxOnce and MaxOnceBytes bound the values that wait to be taken (see [Once]); beyond them Put answers ErrBusy. 0 means
	// 100,000 values, and 64 MiB.
	MaxOnce      int
	MaxOnceBytes int64
}

const (
	shardCount    = 64          // a power of two; far more than there are cores, so that looking up seldom collides
	maxPending    = 4096        // entries of one channel waiting to be delivered behind a busy sink
	sweepEvery    = time.Second // how often Run looks for what has expired
	defaultBytes  = 256 << 20
	defaultWindow = 2 * time.Minute // Retention.DedupWindow
	defaultKeys   = 100_000         // Retention.DedupKeys

	defaultDeletes = 10 * time.Minute // Retention.Deletes
)

// errRunTwice marks a second Run: the logs of a broker belong to one life.
var errRunTwice = errors.New("broker: Run was called before")

// Memory keeps channels in this process: the broker of a single node. What it acknowledged is gone when the process
// ends; the next process has new epochs. It implements [Broker], [State], [Remover], [Lister] and [Once].
//
// Publish does its work on the caller's goroutine. Nothing is locked while the sink is called: the caller that finds
// nobody delivering a channel does so, in log order, for itself and for those who publish meanwhile (at most 4,096
// entries wait, further publishes are answered ErrBusy). So the sink may call anything here, for the same channel too.
// Unless another goroutine is delivering the channel, Deliver has returned when done is called, and done has been
// called when Publish returns.
//
// The retention given with the latest publish governs the channel. Age and TTL are held to the millisecond, by reads and
// by publishes; memory is freed soon after. Values of keys live besides the log: they stay until deleted, at most until
// their TTL has passed or for Age (when not 0) after the key's last entry, whatever Count and Bytes say. Run appends the
// Deletes of values that have reached their end within about 10 ms of that, followed or not, since whoever reads the log
// later has to find in it what became of the key; of many that end at once 1,024 at a time. A channel remembers at most
// 32,768 deleted keys, in 8 MiB.
//
// Where all channels together exceed MaxBytes, the oldest entries of logs and the oldest deletes remembered go first:
// among 16 channels looked at in turn, of the one with the oldest. With up to 16 channels that is exact. Where of 512 none has any,
// those of the channel go that has grown.
//
// A channel is dropped, and its next life has a new epoch, when it holds nothing, neither entries nor values nor deleted
// keys that it remembers, is not followed, and has been neither published to nor unfollowed for its DedupWindow. The
// Deletes that the broker appends do not count as publishes. A channel that does not exist has epoch "" and head 0.
type Memory struct {
	cfg   MemoryConfig
	seed  maphash.Seed
	ready chan struct{} // closed when Publish begins to work

	started atomic.Bool
	sink    atomic.Pointer[Sink] // nil unless running
	count   atomic.Int64         // channels
	logged  atomic.Int64         // bytes in logs and of remembered Deletes, which can be given up
	held    atomic.Int64         // other bytes, which cannot

	epochs     atomic.Uint64 // how many have been given out
	epochStart uint64
	shards     [shardCount]shard

	once    onceValues
	agenda  agenda         // which channels Run is to look at, as values end
	tellers sync.WaitGroup // goroutines that call the sink for Run

	evicting sync.Mutex // held by the one goroutine that makes room
	evictAt  place      // guarded by evicting
}

var (
	_ Broker = (*Memory)(nil)
	_ State  = (*Memory)(nil)
	_ Lister = (*Memory)(nil)
)

// A shard is one part of the table of channels. Lock order: a shard's lock before a channel's.
type shard struct {
	mu     sync.RWMutex
	byName map[string]*channel
	list   []*channel // the same channels in no order, to be walked in steps
}

// NewMemory returns a broker without channels. It starts nothing; Run does.
func NewMemory(cfg MemoryConfig) *Memory {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64() | 1 // #nosec G404 -- epochs are told to every subscriber
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultBytes
	}
	if cfg.MaxChannels == 0 {
		cfg.MaxChannels = 1_000_000
	}
	if cfg.MaxOnce == 0 {
		cfg.MaxOnce = defaultOnce
	}
	if cfg.MaxOnceBytes == 0 {
		cfg.MaxOnceBytes = defaultOnceBytes
	}
	b := &Memory{cfg: cfg, seed: maphash.MakeSeed(), ready: make(chan struct{}), epochStart: mix(cfg.Seed)}
	b.agenda.wake = make(chan struct{}, 1)
	for i := range b.shards {
		b.shards[i].byName = make(map[string]*channel)
	}
	return b
}

// Ready returns a channel that is closed once Run has begun and Publish works.
func (b *Memory) Ready() <-chan struct{} { return b.ready }

// Run frees what has expired, and ends values that have reached their end, until ctx ends; then it waits for deliveries
// under way and returns nil. It may be called once. Follow works before it; Publish, Remove and what reads answer
// ErrClosed before and after.
func (b *Memory) Run(ctx context.Context, sink Sink) error {
	if !b.started.CompareAndSwap(false, true) {
		return errRunTwice
	}
	b.sink.Store(&sink)
	close(b.ready)
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	due := time.NewTimer(b.agenda.sleep(b.cfg.Now().UnixMilli()))
	defer due.Stop()
	for at := (place{}); ; {
		select {
		case <-sweep.C:
			b.sweep(&at)
			for b.once.expire(b.cfg.Now().UnixMilli()) {
			}
		case <-due.C:
		case <-b.agenda.wake:
			due.Reset(b.agenda.sleep(b.cfg.Now().UnixMilli()))
			continue
		case <-ctx.Done():
			b.sink.Store(nil)
			b.settle()
			b.tellers.Wait()
			return nil
		}
		if b.endValues(sink, b.cfg.Now().UnixMilli()) {
			due.Reset(0)
		} else {
			due.Reset(b.agenda.sleep(b.cfg.Now().UnixMilli()))
		}
	}
}

// settle waits until nobody delivers. A publish that has passed the check for a running broker did so under its
// channel's lock, so that having held each lock once is enough.
func (b *Memory) settle() {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.RLock()
		list := append([]*channel(nil), s.list...)
		s.mu.RUnlock()
		for _, c := range list {
			c.mu.Lock()
			var quiet chan struct{}
			if c.delivering {
				quiet = make(chan struct{})
				c.quiet = quiet
			}
			c.mu.Unlock()
			if quiet != nil {
				<-quiet
			}
		}
	}
}

// Publish appends e to the channel's log; see [Broker] and [Memory]. Besides ErrBusy and ErrClosed it answers a
// [ConflictError] where Entry.Expect does not hold, ErrTooLarge to an Append beyond [MaxValueBytes], and ErrConflict to an
// Append that does not fit the key's value, to an Append or Delete without a key, and to a Score that is no finite number. A
// refused publish changes nothing. done may be nil.
func (b *Memory) Publish(name string, e Entry, r Retention, done func(Receipt, error)) {
	receipt, to, err := b.append(name, &e, &r)
	if to.ended != nil {
		to.sink.Deliver(name, to.channel.epoch, to.ended)
	}
	if to.fresh {
		to.sink.Deliver(name, to.channel.epoch, &e)
	}
	if done != nil {
		done(receipt, err)
	}
	if to.sink != nil {
		to.channel.drain(to.sink)
	}
}

// A delivery is what a publisher owes to its node; without a sink it is nothing.
type delivery struct {
	channel *channel
	sink    Sink
	ended   *Entry // to be delivered first, if not nil
	fresh   bool   // the entry published is to be delivered
}

// append adds e to its log, and tells the caller when it is the one to deliver it.
func (b *Memory) append(name string, e *Entry, r *Retention) (receipt Receipt, to delivery, err error) {
	if b.sink.Load() == nil {
		return receipt, to, ErrClosed
	}
	c, created := b.lock(name, true)
	if c == nil {
		return receipt, to, ErrBusy
	}
	sink := b.sink.Load() // again, as settle relies on it being looked at under the lock
	if sink == nil {
		c.mu.Unlock()
		return receipt, to, ErrClosed
	}
	before := c.size()
	receipt, ended, err := c.append(e, r, b.cfg.Now().UnixMilli(), b.full())
	fresh := e
	if err != nil || receipt.Duplicate {
		fresh = nil
	}
	if c.claim(ended, fresh) {
		to = delivery{c, *sink, ended, fresh != nil}
	}
	b.schedule(c, 0)
	grown := c.size().minus(before)
	c.mu.Unlock()
	b.grow(c, grown)
	if created && err != nil && b.dropIf(c, func() bool { return c.log.head == 0 && !c.followed }) {
		if conflict, ok := err.(*ConflictError); ok {
			conflict.Epoch = "" // of a channel that does not exist
		}
	}
	return receipt, to, err
}

// full says that no more bytes may be held that cannot be given up.
func (b *Memory) full() bool { return b.held.Load() >= b.cfg.MaxBytes }

// Follow asks for every entry appended from now on, also before Run. It creates channels that do not exist, so that
// they have an epoch.
func (b *Memory) Follow(channels []string) {
	for _, name := range channels {
		c, _ := b.lock(name, false)
		c.followed = true
		c.mu.Unlock()
	}
}

// Unfollow ends Follow.
func (b *Memory) Unfollow(channels []string) {
	for _, name := range channels {
		if c := b.lockExisting(name); c != nil {
			c.followed = false
			c.touched = max(c.touched, b.cfg.Now().UnixMilli())
			c.mu.Unlock()
		}
	}
}

// find returns the channel, or nil.
func (b *Memory) find(name string) *channel {
	s := b.shard(name)
	s.mu.RLock()
	c := s.byName[name]
	s.mu.RUnlock()
	return c
}

// lockExisting returns the channel with its lock held, or nil.
func (b *Memory) lockExisting(name string) *channel {
	for {
		c := b.find(name)
		if c == nil {
			return nil
		}
		c.mu.Lock()
		if !c.dropped {
			return c
		}
		c.mu.Unlock() // dropped since it was found
	}
}

// lock returns the channel, created if need be, with its lock held. It is nil when bounded is true and there are
// MaxChannels others.
func (b *Memory) lock(name string, bounded bool) (c *channel, created bool) {
	for {
		if c, created = b.find(name), false; c == nil {
			if c, created = b.create(name, bounded); c == nil {
				return nil, false
			}
		}
		c.mu.Lock()
		if !c.dropped {
			return c, created
		}
		c.mu.Unlock()
	}
}

func (b *Memory) create(name string, bounded bool) (c *channel, created bool) {
	s := b.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c = s.byName[name]; c != nil {
		return c, false
	}
	if bounded && b.count.Load() >= int64(b.cfg.MaxChannels) {
		return nil, false
	}
	nth := b.epochs.Add(1)
	c = &channel{name: name, epoch: epochName(b.epochStart + nth*epochStep), touched: b.cfg.Now().UnixMilli()}
	if b.cfg.Scatter {
		c.scatter = mix(b.cfg.Seed+nth) | 1
	}
	c.place = len(s.list)
	s.list = append(s.list, c)
	s.byName[name] = c
	b.count.Add(1)
	return c, true
}

func (b *Memory) shard(name string) *shard {
	return &b.shards[maphash.String(b.seed, name)%shardCount]
}

// account adds what a channel has grown by to the totals. In a full log the usual change is nothing at all, and the
// shared counters are then left alone.
func (b *Memory) account(grown size) {
	if grown.logged != 0 {
		b.logged.Add(grown.logged)
	}
	if grown.held != 0 {
		b.held.Add(grown.held)
	}
}

// grow adds what a channel has grown by to the totals, and makes room. No lock is held.
func (b *Memory) grow(c *channel, grown size) {
	b.account(grown)
	if grown.logged+grown.held > 0 && b.logged.Load()+b.held.Load() > b.cfg.MaxBytes {
		b.makeRoom(c)
	}
}

const (
	epochBits = 30         // six characters of five bits
	epochStep = 0x2545f491 // odd: it walks through all values of epochBits before one comes again
)

var epochText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// epochName writes the low 30 bits of n as six characters.
func epochName(n uint64) string {
	n = n << (64 - epochBits)
	return epochText.EncodeToString([]byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32)})[:6]
}

// mix spreads the bits of n over the result (the finalizer of SplitMix64).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
