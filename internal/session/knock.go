package session

import (
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/clientaddr"
	"hocket.dev/internal/limit"
)

// fullFor is after what time a client is asked to come back to a node that has no place for it.
const fullFor = 5 * time.Second

// bannedHandshakes is how many handshakes one of an address that is shut out counts as: it is told why, but not over and over.
const bannedHandshakes = 100

// Knock is asked about a handshake from an address, before anything else of it is looked at. The error says why it cannot be
// answered now. It may be called from any goroutine.
//
// What identifies the client, and with it whether it is shut out, is no matter of the handshake: that is told to the
// session, in words that the page behind it can read.
func (n *Node) Knock(address string) *dialect.Error {
	if most := n.cfg.Limits.Sessions; !n.HasPlace() {
		n.quotas.full.Add(1)
		err := dialect.Errorf(dialect.Busy, "there are %d sessions on this server, as many as it takes: come back when Retry-After has passed", most)
		err.RetryAfter = fullFor
		return err
	}
	q, now := n.quotas, n.elapsed()
	if a, ok := clientaddr.Parse(address); ok {
		var wait time.Duration
		q.addresses.Look(limit.Address(a), now, func(a *limit.Account, _ int) {
			n := int64(1)
			if a.Banned(now) > 0 {
				n = bannedHandshakes
			}
			wait = a.Take(q.address, limit.Handshakes, now, n)
		})
		if wait > 0 {
			q.refused[OfAddress][limit.Handshakes].Add(1)
			err := dialect.Errorf(dialect.RateLimited, "too many handshakes of this address: come back when Retry-After has passed")
			err.RetryAfter = wait
			return err
		}
	}
	if wait := q.all.Take(q.node, limit.Handshakes, now, 1); wait > 0 {
		q.refused[OfNode][limit.Handshakes].Add(1)
		err := dialect.Errorf(dialect.Busy, "too many clients come at once: come back when Retry-After has passed")
		err.RetryAfter = wait
		return err
	}
	return nil
}

// HasPlace reports whether the node has fewer sessions than Limits.Sessions lets it. It may be called from any goroutine.
func (n *Node) HasPlace() bool {
	most := n.cfg.Limits.Sessions
	return most <= 0 || n.Sessions() < most
}

// Sessions counts the sessions of the node. It may be called from any goroutine.
func (n *Node) Sessions() (count int) {
	for _, sh := range n.shards {
		count += int(sh.Counters.Sessions.Load())
	}
	return count
}

// Full counts the handshakes for which the node had no place.
func (n *Node) Full() uint64 { return n.quotas.full.Load() }
