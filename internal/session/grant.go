package session

import (
	"context"
	"crypto/x509"
	"net/http"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

// A Grant is what a proof has shown: who a client is and what it may do. It is shared and never changed.
type Grant struct {
	User         string
	Info         []byte             // what a member tells about itself, one JSON value; nil for none
	Capabilities *rule.Capabilities // beside what the channels' rules allow
	Expires      time.Time          // when the session ends; zero for never
	Issued       time.Time          // when the proof was made: a revocation may concern older ones only
	Token        string             // the id of the token, "" where it has none
}

// ProofKind says what a client shows of itself.
type ProofKind uint8

// The kinds of proof, in the order in which a handshake is searched for them.
const (
	ProofToken       ProofKind = iota // a signed token: in Authorization, a subprotocol or connect
	ProofTicket                       // a one-time ticket
	ProofCookie                       // a signed session cookie, or the back end's own
	ProofCertificate                  // a client certificate of TLS
)

// A Proof is what a client shows of itself, and where it comes from.
type Proof struct {
	Kind        ProofKind
	Secret      string            // the token, the ticket or the cookie; never to be logged
	Certificate *x509.Certificate // verified
	Address     string            // of the client
	Origin      string            // of the page, "" for none
	Err         error             // why it cannot be looked at; nil where it can
	Header      http.Header       // of the handshake, for the back end to look at; nil with connect
}

// An Authenticator decides about proofs.
type Authenticator interface {
	// Check decides at once, on the loop, where it has what it needs. ok is false when only Ask can tell.
	Check(p *Proof, now time.Time) (g *Grant, err *dialect.Error, ok bool)
	// Ask decides and may block until ctx ends. It runs as a task.
	Ask(ctx context.Context, p *Proof) (*Grant, *dialect.Error)
}

// access is what decides about the session.
func (s *Session) access() rule.Access {
	cfg, who := &s.shard.node.cfg, s.who
	a := rule.Access{Open: cfg.Anonymous, Barred: who.barred, Calls: cfg.Calls, Given: who.given}
	if who.grant != nil {
		a.Proven, a.Own = true, who.grant.Capabilities
	}
	return a
}

// may tells whether the session may do what verb says in a channel with rule r.
func (s *Session) may(verb rule.Verbs, channel string, r *rule.Rule) bool {
	return s.access().May(verb, channel, r)
}

// denied is the error of what the session may not do. It is the same whether there is such a channel or not.
func denied(verb rule.Verbs, channel string) *dialect.Error {
	switch verb {
	case rule.CanHistory:
		return dialect.Errorf(dialect.PermissionDenied, "reading the history of %s is not allowed", channel)
	case rule.CanPresence:
		return dialect.Errorf(dialect.PermissionDenied, "presence of %s is not allowed", channel)
	}
	return dialect.Errorf(dialect.PermissionDenied, "%s to %s is not allowed", verb, channel)
}
