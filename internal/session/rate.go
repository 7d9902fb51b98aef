package session

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"hocket.dev/internal/limit"
	"hocket.dev/internal/rule"
)

// Rates bound how much clients do in a time. The zero value of each is no limit. What is refused is answered with
// rate_limited and has changed nothing.
type Rates struct {
	Session Taking // of each session
	User    Taking // of all sessions of one user on this node together; of those who have proved who they are
	Address Taking // of all sessions of one address on this node together: of IPv6, of one network of 64 bits

	// Handshakes are those of all clients together, AddressHandshakes those of one address. Beyond them clients are
	// refused by the transport, before they have a session.
	Handshakes        limit.Rate
	AddressHandshakes limit.Rate

	// Refusals is how often one session may be refused for its rates; then it is closed with 4003.
	Refusals limit.Rate
	// Strikes is how many sessions of one user, or else one address, may be closed so; then the next one is closed with 4202
	// and the user or address is shut out for BanFor. Without Strikes, or without BanFor, nobody is. An address of more
	// than 64 sessions is one that many share, and is not shut out.
	Strikes limit.Rate
	BanFor  time.Duration
}

// Taking is how much may be taken of what clients do.
type Taking struct {
	Messages   limit.Rate
	Bytes      limit.Rate // of messages, as they are after decompression
	Subscribes limit.Rate
	Publishes  limit.Rate
	Calls      limit.Rate
}

// Check says which of the rates is wrong, and why.
func (r *Rates) Check() error {
	for _, group := range []struct {
		of    string
		rates limit.Rates
	}{
		{"Session: ", r.Session.rates()}, {"User: ", r.User.rates()}, {"Address: ", r.Address.rates()},
		{"", limit.Rates{limit.Handshakes: r.Handshakes, limit.Refusals: r.Refusals, limit.Strikes: r.Strikes}},
		{"Address: ", limit.Rates{limit.Handshakes: r.AddressHandshakes}},
	} {
		for kind, rate := range group.rates {
			if err := rate.Check(); err != nil {
				return fmt.Errorf("%s%v: %v %w", group.of, limit.Kind(kind), rate, err)
			}
		}
	}
	return nil
}

func (t *Taking) rates() limit.Rates {
	return limit.Rates{
		limit.Messages: t.Messages, limit.Bytes: t.Bytes,
		limit.Subscribes: t.Subscribes, limit.Publishes: t.Publishes, limit.Calls: t.Calls,
	}
}

// Scope is whose limit it is.
type Scope uint8

// The scopes.
const (
	OfSession Scope = iota
	OfUser
	OfAddress
	OfRule
	OfCapability
	OfNode

	Scopes // how many there are
)

// String returns the name, as in metrics.
func (s Scope) String() string {
	return [Scopes]string{"session", "user", "address", "rule", "capability", "node"}[s]
}

const (
	// rememberedAccounts is how many users, and how many addresses, are remembered that have no session: some 300 bytes each.
	rememberedAccounts = 1 << 16
	// sharedSessions is how many sessions an address may have to be shut out.
	sharedSessions = 64
	// slowest is how long a session is not read at once where its rule slows it down. What would have to wait longer is refused.
	slowest = 10 * time.Second
)

// quotas are what the sessions of a node take their share of.
type quotas struct {
	began     time.Time
	session   *limit.Limits
	user      *limit.Limits
	address   *limit.Limits
	node      *limit.Limits
	users     *limit.Table[string]
	addresses *limit.Table[netip.Addr]
	all       limit.Account   // of the node
	rules     []limit.Account // of the rules that limit something, by rule.Rated.Index

	refused [Scopes][limit.Kinds]atomic.Uint64
	bans    [Scopes]atomic.Uint64
	full    atomic.Uint64
}

func newQuotas(cfg *Config) *quotas {
	r := &cfg.Limits.Rates
	session, user, address := r.Session.rates(), r.User.rates(), r.Address.rates()
	session[limit.Refusals] = r.Refusals
	user[limit.Strikes] = r.Strikes
	address[limit.Strikes], address[limit.Handshakes] = r.Strikes, r.AddressHandshakes
	node := limit.Rates{limit.Handshakes: r.Handshakes}
	return &quotas{
		began: cfg.Now(), session: session.Limits(), user: user.Limits(), address: address.Limits(), node: node.Limits(),
		users: limit.NewTable[string](rememberedAccounts), addresses: limit.NewTable[netip.Addr](rememberedAccounts),
		rules: make([]limit.Account, cfg.Rules.Rated()),
	}
}

// elapsed is the time as limits know it: since some moment, by a clock that does not go backwards.
func (n *Node) elapsed() time.Duration {
	if n.cfg.Elapsed != nil {
		return n.cfg.Elapsed()
	}
	return n.cfg.Now().Sub(n.quotas.began)
}

// Refused counts what was refused for a limit, by whose it is and what it limits. It may be called from any goroutine.
func (n *Node) Refused(of Scope, kind limit.Kind) uint64 { return n.quotas.refused[of][kind].Load() }

// Bans counts the users or addresses that were shut out.
func (n *Node) Bans(of Scope) uint64 { return n.quotas.bans[of].Load() }

// Accounts counts the users and addresses that have sessions, or that have taken something lately.
func (n *Node) Accounts(of Scope) int {
	switch of {
	case OfUser:
		return n.quotas.users.Len()
	case OfAddress:
		return n.quotas.addresses.Len()
	}
	return 0
}

// Tick forgets users and addresses that have gone. It is called about once a second, from one goroutine.
func (n *Node) Tick() {
	now := n.elapsed()
	n.quotas.users.Sweep(now)
	n.quotas.addresses.Sweep(now)
}

// share is what a session takes part in, and what it has taken.
type share struct {
	from     *limit.Entry[netip.Addr] // what all sessions of the address have taken; nil where none is known
	user     *limit.Entry[string]     // the same of the user, nil for one who has not proved who it is
	unproven *unproven                // nil for a session that need not prove who it is, or has done so
	meter    *meter                   // nil while it would say nothing
}

// meter is what a session has taken. It is made with the first message and given up when it says nothing any more.
type meter struct {
	buckets limit.Buckets
	rules   []ruled
	slowTo  time.Duration // when the session is read again, while it is not for a rate
}

// ruled is what a session has taken of the rates of a rule, or of a capability.
type ruled struct {
	rated   *rule.Rated
	buckets limit.Buckets
}

func (m *meter) full(now time.Duration) bool {
	for i := range m.rules {
		if !m.rules[i].buckets.Full(now) {
			return false
		}
	}
	return m.buckets.Full(now)
}

// of finds the buckets of rates. Those of a capability that has come again, with a renewed token or another answer of the back
// end, go on where they were: what has been taken stays taken.
func (m *meter) of(r *rule.Rated, now time.Duration) *limit.Buckets {
	for i := range m.rules {
		if m.rules[i].rated == r {
			return &m.rules[i].buckets
		}
	}
	if r.Capability != "" {
		for i := range m.rules {
			if k := &m.rules[i]; k.rated.Capability == r.Capability && k.rated.Given == r.Given {
				k.buckets.Change(k.rated.Session, r.Session, now)
				k.rated = r
				return &k.buckets
			}
		}
		m.forget(now)
	}
	m.rules = append(m.rules, ruled{rated: r})
	return &m.rules[len(m.rules)-1].buckets
}

// keptRated is how many capabilities a session remembers what it has taken of: those that a token and the back end can give at once,
// and as many of tokens before.
const keptRated = 4 * rule.MaxRated

// forget makes room for the buckets of one more capability. What a session has had and has no more is remembered, or it would
// have full buckets by one token without the capability and another with it.
func (m *meter) forget(now time.Duration) {
	kept, least := 0, -1
	for i := range m.rules {
		if m.rules[i].rated.Capability == "" {
			continue
		}
		if kept++; least < 0 || m.rules[i].buckets.FullAt() < m.rules[least].buckets.FullAt() {
			least = i
		}
	}
	if kept >= keptRated {
		m.rules = slices.Delete(m.rules, least, least+1)
	}
}

// metered is the session's meter.
func (s *Session) metered() *meter {
	if s.share.meter == nil {
		s.share.meter = &meter{}
	}
	return s.share.meter
}

// rest gives up a meter that says nothing any more.
func (s *Session) rest() {
	if s.share.meter != nil && s.paused&pauseRate == 0 && s.share.meter.full(s.shard.node.elapsed()) {
		s.share.meter = nil
	}
}

// spend takes n of a kind from the session's buckets, the user's and the address's: from all, or from none, and says for
// whose limit that is and how long it has to wait.
func (s *Session) spend(kind limit.Kind, n int64) (of Scope, wait time.Duration) {
	q, now := s.shard.node.quotas, s.shard.now
	own := &s.metered().buckets[kind]
	if wait = own.Take(&q.session[kind], now, n); wait > 0 {
		return OfSession, wait
	}
	if s.share.user != nil {
		if wait = s.share.user.Take(q.user, kind, now, n); wait > 0 {
			own.GiveBack(&q.session[kind], n)
			return OfUser, wait
		}
	}
	if s.share.from != nil {
		if wait = s.share.from.Take(q.address, kind, now, n); wait > 0 {
			own.GiveBack(&q.session[kind], n)
			if s.share.user != nil {
				s.share.user.GiveBack(q.user, kind, n)
			}
			return OfAddress, wait
		}
	}
	return 0, 0
}

// refund undoes spend.
func (s *Session) refund(kind limit.Kind, n int64) {
	q := s.shard.node.quotas
	s.share.meter.buckets[kind].GiveBack(&q.session[kind], n)
	if s.share.user != nil {
		s.share.user.GiveBack(q.user, kind, n)
	}
	if s.share.from != nil {
		s.share.from.GiveBack(q.address, kind, n)
	}
}
