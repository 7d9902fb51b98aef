package session

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

// Revocations are a keyed log as well, the state of which every node knows:
//
//	token:<id>        the token of this id
//	user:<id>         every proof of this user that is older than the entry says
//	all               every proof that is older
//	channels:<user>   what the entry's patterns match, for this user
//
// A key ends by its TTL, when all proofs that it concerns have expired; entries say when that is, too, so that a node that
// was away, or a log that began anew, takes nothing back early.
const (
	revocationsLog = "$revocations"
	tokenKey       = "token:"
	userKey        = "user:"
	allKey         = "all"
	channelsKey    = "channels:"
)

// Bounds of revocations.
const (
	maxRevocations = 100_000
	// DefaultRevocation is how long a revocation holds when it does not say.
	DefaultRevocation = 30 * 24 * time.Hour
)

var revocationsKeep = rule.History{Count: 1000, Deletes: time.Second}

// A Revocation takes back what was proved, on every node: from live sessions within a second, and from those to come.
// Exactly one of Token, User, Channels with User, and All says which.
type Revocation struct {
	Token    string        // the token of this id
	User     string        // the proofs of this user
	All      bool          // everybody's proofs
	Channels []string      // with User: patterns of channels and methods that the user may not use any more, whatever else allows it
	Before   time.Time     // with User or All: only proofs made before; zero means now
	For      time.Duration // how long it holds: as long as proofs live; 0 means DefaultRevocation
}

// revocation is an entry's payload.
type revocation struct {
	Before   int64    `json:"before,omitempty"` // Unix milliseconds
	Until    int64    `json:"until"`            // Unix milliseconds
	Channels []string `json:"channels,omitempty"`

	bars *rule.Capabilities // of Channels
}

// revoked are the revocations in force. It may be used from any goroutine.
type revoked struct {
	count atomic.Int64 // so that nobody waits for the lock where there are none

	mu sync.RWMutex
	by map[string]revocation
}

// ends tells whether a grant was revoked as a whole.
func (r *revoked) ends(g *Grant) bool {
	if r.count.Load() == 0 {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, ok := r.by[tokenKey+g.Token]; ok && g.Token != "" {
		return true
	}
	return r.older(userKey+g.User, g) || r.older(allKey, g)
}

func (r *revoked) older(key string, g *Grant) bool {
	v, ok := r.by[key]
	return ok && g.Issued.UnixMilli() < v.Before
}

// channels is what a user may not do any more, nil for nothing.
func (r *revoked) channels(user string) *rule.Capabilities {
	if r.count.Load() == 0 {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.by[channelsKey+user].bars
}

// add takes an entry of the log. It answers false for what it knows, or what is over.
func (r *revoked) add(key string, payload []byte, now int64) bool {
	var v revocation
	if json.Unmarshal(payload, &v) != nil || v.Until <= now {
		return false
	}
	if len(v.Channels) > 0 {
		v.bars = bars(v.Channels)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.by[key]
	if known && old.Before >= v.Before && old.Until >= v.Until && len(v.Channels) == 0 {
		return false
	}
	if r.by == nil {
		r.by = make(map[string]revocation)
	}
	v.Before, v.Until = max(v.Before, old.Before), max(v.Until, old.Until)
	r.by[key] = v
	r.count.Store(int64(len(r.by)))
	return true
}

// bars are Capabilities to do everything with what the patterns match.
func bars(patterns []string) *rule.Capabilities {
	lists := make(map[string][]string, len(patterns))
	for _, p := range patterns {
		lists[p] = []string{"*"}
	}
	c, _ := rule.ParseCapabilities(lists, "") // checked before they were written
	return c
}

// sweep forgets what is over.
func (r *revoked) sweep(now int64) {
	if r.count.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, v := range r.by {
		if v.Until <= now {
			delete(r.by, key)
		}
	}
	r.count.Store(int64(len(r.by)))
}

// Revoke takes back what was proved. It returns when that is in the log and the sessions of this node have been told. It
// blocks until the broker answers or ctx ends.
func (n *Node) Revoke(ctx context.Context, r Revocation) *dialect.Error {
	key, err := r.key()
	if err != nil {
		return err
	}
	if n.revoked.count.Load() >= maxRevocations {
		return dialect.Errorf(dialect.LimitReached, "there are %d revocations in force: a revocation of a user, or of all, takes the place of many", maxRevocations)
	}
	now := n.cfg.Now()
	keep := r.For
	if keep == 0 {
		keep = DefaultRevocation
	}
	v := revocation{Until: now.Add(keep).UnixMilli(), Channels: r.Channels}
	if key != tokenKey+r.Token {
		v.Before = now.UnixMilli()
		if !r.Before.IsZero() {
			v.Before = r.Before.UnixMilli()
		}
	}
	payload, _ := json.Marshal(v) // cannot fail
	done := make(chan error, 1)
	e := broker.Entry{Key: key, Payload: payload, TTL: keep}
	n.cfg.Broker.Publish(revocationsLog, e, retention(revocationsKeep), func(_ broker.Receipt, err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			return asError(err, revocationsLog)
		}
	case <-ctx.Done():
		return readError(ctx, ctx.Err(), revocationsLog)
	}
	n.takeBack(key, payload)
	return nil
}

// key is that of the log, or what is wrong.
func (r *Revocation) key() (string, *dialect.Error) {
	if len(r.Channels) > 0 {
		lists := make(map[string][]string, len(r.Channels))
		for _, p := range r.Channels {
			lists[p] = nil
		}
		if _, err := rule.ParseCapabilities(lists, ""); err != nil {
			return "", dialect.Errorf(dialect.InvalidChannel, "channels: %v", err)
		}
	}
	switch {
	case r.Token != "" && r.User == "" && !r.All && len(r.Channels) == 0 && r.Before.IsZero():
		return tokenKey + r.Token, nil
	case r.User != "" && r.Token == "" && !r.All && len(r.Channels) == 0:
		return userKey + r.User, nil
	case r.User != "" && r.Token == "" && !r.All && r.Before.IsZero():
		return channelsKey + r.User, nil
	case r.All && r.Token == "" && r.User == "" && len(r.Channels) == 0:
		return allKey, nil
	}
	return "", dialect.Errorf(dialect.InvalidMessage, "a revocation is of a token, of a user, of some channels of a user, or of all: name one of them")
}

// takeBack applies an entry of the log to the sessions of this node.
func (n *Node) takeBack(key string, payload []byte) {
	if !n.revoked.add(key, payload, n.cfg.Now().UnixMilli()) {
		return
	}
	for _, sh := range n.shards {
		sh.loop.Post(func() { sh.takeBack(key) })
	}
}

// takeBack looks at the sessions that a revocation may concern.
func (sh *Shard) takeBack(key string) {
	user, narrows := strings.CutPrefix(key, channelsKey)
	for _, s := range sh.sessions {
		g := s.who.grant
		switch {
		case g == nil:
		case narrows && s.who.user == user:
			who := *s.who
			who.barred = sh.node.revoked.channels(user)
			s.who = &who
			s.narrow()
		case !narrows && sh.node.revoked.ends(g):
			s.close(dialect.CloseRevoked, "")
		}
	}
}

// narrow ends what the session may not do any more.
func (s *Session) narrow() {
	for i := len(s.subs) - 1; i >= 0; i-- { // from the end: drop shortens the list
		sub := s.subs[i]
		if sub.asked != nil { // followed will see
			continue
		}
		if err := s.mayNotFollow(sub.channel, sub.rule, sub.members != nil); err != nil {
			s.drop(sub)
			s.say(dialect.NoID, &dialect.Unsubscribed{Channel: sub.channel, Err: err})
		}
	}
}

// mayNotFollow is why the session may not follow a channel, nil when it may.
func (s *Session) mayNotFollow(channel string, r *rule.Rule, presence bool) *dialect.Error {
	switch {
	case !s.may(rule.CanSubscribe, channel, r):
		return denied(rule.CanSubscribe, channel)
	case presence && !s.may(rule.CanPresence, channel, r):
		return denied(rule.CanPresence, channel)
	}
	return nil
}
