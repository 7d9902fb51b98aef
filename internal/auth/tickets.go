package auth

import (
	"context"
	"errors"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/session"
	"hocket.dev/internal/token"
)

// Tickets are proofs that are good once. What they stand for is kept by a broker, under a hash.
type Tickets struct{ once broker.Once }

// NewTickets returns the tickets that b keeps, nil when it is no broker.Once.
func NewTickets(b broker.Broker) *Tickets {
	once, ok := b.(broker.Once)
	if !ok {
		return nil
	}
	return &Tickets{once}
}

// Issue makes a ticket for the claims, to be shown within ttl. The claims' Issued becomes now; their Expires is when the session
// ends. It blocks until the broker answers or ctx ends.
func (t *Tickets) Issue(ctx context.Context, c token.Claims, ttl time.Duration, now time.Time) (ticket string, err *dialect.Error) {
	c.Issued = now
	grant, failed := token.AppendGrant(nil, c)
	if failed != nil {
		return "", dialect.Errorf(dialect.InvalidMessage, "%v", failed)
	}
	fresh := token.NewTicket()
	switch failed = t.once.Put(ctx, fresh.Key(), grant, ttl); {
	case errors.Is(failed, broker.ErrBusy):
		e := dialect.Errorf(dialect.Busy, "as many tickets wait to be shown as the broker keeps: try again later")
		e.RetryAfter = time.Second
		return "", e
	case failed != nil:
		return "", unavailable()
	}
	return fresh.Text(), nil
}

// errTicket is told of all tickets that are not there, so that nobody learns which ones were.
var errTicket = dialect.Errorf(dialect.Unauthenticated, "the ticket is not known: it was shown before, or its time has passed")

// redeem takes the ticket that p shows. It is gone then, also where it is bound to another place.
func (t *Tickets) redeem(ctx context.Context, p *session.Proof) (*session.Grant, *dialect.Error) {
	ticket, err := token.ParseTicket(p.Secret)
	if err != nil {
		return nil, asError(err)
	}
	kept, err := t.once.Take(ctx, ticket.Key())
	switch {
	case errors.Is(err, broker.ErrNotFound):
		return nil, errTicket
	case err != nil:
		return nil, unavailable()
	}
	claims, err := token.ParseGrant(kept)
	if err != nil {
		return nil, errTicket
	}
	return grant(&claims, p, 0)
}

// unavailable is told where the broker cannot be asked.
func unavailable() *dialect.Error {
	e := dialect.Errorf(dialect.Unavailable, "tickets cannot be looked up now: try again later")
	e.RetryAfter = time.Second
	return e
}
