// Package auth decides who a client is: by a token, a ticket, a cookie, a certificate, or by what the back end says.
//
//	a := auth.New(auth.Config{Tokens: verifier, Keys: source})
//	proof := a.Proof(r, "")            // of a handshake, nil when it proves nothing
//	grant, err, ok := a.Check(proof, now) // ok is false when only a.Ask can tell
//
// The first proof that a handshake holds decides: in Authorization, in a subprotocol, a ticket in the query, the session
// cookie, a client certificate. A bad one refuses, it does not fall through to the next; so does a token in the query, whatever else
// there is. What a client may do with what it
// has proved is a matter of rule.Capabilities and of internal/session.
//
// Everything may be used from any goroutine.
package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/clientaddr"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
	"hocket.dev/internal/token"
)

// Config says what is believed. What is nil or "" is not.
type Config struct {
	// Tokens verifies tokens, also those in cookies. Keys looks for the key of a token that it does not know.
	Tokens *token.Verifier
	Keys   KeySource
	// Tickets are those that the API issues.
	Tickets *Tickets
	// Secure tells whether a request came over TLS: which name the session cookie has follows from that. nil is as if none
	// did that this server has not taken itself.
	Secure func(r *http.Request) bool
	// Certificate tells the user that a client certificate names.
	Certificate func(*x509.Certificate) (user string, err error)
	// Backend asks the back end about a token that Tokens does not verify, or about a handshake with cookies. It blocks until
	// there is an answer or ctx ends.
	Backend func(ctx context.Context, p *session.Proof) (*session.Grant, *dialect.Error)
}

// A KeySource knows where newer keys are to be had, as jwks.Source does.
type KeySource interface {
	// Verify is that of the Verifier, after a look for the token's key where that is not known. It may block until ctx ends.
	// The error is a token.ErrLater too where that could not be looked for now.
	Verify(ctx context.Context, text string, now time.Time) (token.Claims, error)
}

// lookedForAgain is when a key may be looked for again: not much earlier than jwks.Source does.
const lookedForAgain = 10 * time.Second

// Authenticator implements session.Authenticator.
type Authenticator struct{ cfg Config }

// New makes an Authenticator.
func New(cfg Config) *Authenticator { return &Authenticator{cfg} }

// Proof finds the first proof in a handshake, nil for none. subprotocol is the token among its subprotocols, "" for none.
func (a *Authenticator) Proof(r *http.Request, subprotocol string) *session.Proof {
	p := &session.Proof{Address: r.RemoteAddr, Origin: r.Header.Get("Origin"), Header: r.Header}
	query := r.URL.Query()
	tickets := query["ticket"]
	switch secret, ticket := bearer(r), strings.Join(tickets, ""); {
	case len(r.Header["Authorization"]) > 1: // who has looked at another one than we would has let in somebody else
		p.Kind, p.Err = session.ProofToken, errTwoProofs
	case query.Get("token") != "" || query.Get("access_token") != "": // of RFC 6750 §2.3
		p.Kind, p.Err = session.ProofToken, errInURL
	case len(tickets) > 1 && secret == "" && subprotocol == "":
		p.Kind, p.Err = session.ProofTicket, errTwoProofs
	case secret != "":
		p.Kind, p.Secret = session.ProofToken, secret
	case subprotocol != "":
		p.Kind, p.Secret = session.ProofToken, subprotocol
	case ticket != "":
		p.Kind, p.Secret = session.ProofTicket, ticket
	case a.cookie(r, p):
		p.Kind = session.ProofCookie
	case a.cfg.Certificate != nil && r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		p.Kind, p.Certificate = session.ProofCertificate, r.TLS.VerifiedChains[0][0]
	default:
		return nil
	}
	return p
}

// errInURL does not repeat the token.
var errInURL = errors.New("a token never belongs in a URL, where logs and histories keep it: send it in Authorization, " +
	"as a subprotocol hocket.token.<token>, or in connect, and take this one for known to others; for URLs there are tickets")

var errTwoProofs = errors.New("the proof stands twice: send one Authorization, or one ticket")

// bearer is the token in Authorization. Other schemes are those of proxies, and prove nothing here.
func bearer(r *http.Request) string {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// cookie tells whether the handshake brings a cookie that proves something, and puts what is wrong with it, or what stands in
// it, into p.
func (a *Authenticator) cookie(r *http.Request, p *session.Proof) bool {
	cookies := r.Header["Cookie"]
	if len(cookies) == 0 || a.cfg.Tokens == nil && a.cfg.Backend == nil {
		return false
	}
	secure := r.TLS != nil || a.cfg.Secure != nil && a.cfg.Secure(r)
	text, found, err := token.FindCookie(cookies, secure)
	if found && a.cfg.Tokens != nil {
		p.Secret = text
	}
	p.Err = err
	return err != nil || found || a.cfg.Backend != nil
}

var errNotSupported = map[session.ProofKind]*dialect.Error{
	session.ProofToken:  dialect.Errorf(dialect.NotSupported, "this server checks no tokens: its configuration names no keys"),
	session.ProofTicket: dialect.Errorf(dialect.NotSupported, "this server takes no tickets: its broker cannot keep them"),
	session.ProofCookie: dialect.Errorf(dialect.NotSupported, "this server checks no cookies: its configuration names no keys"),
}

// Check implements session.Authenticator.
func (a *Authenticator) Check(p *session.Proof, now time.Time) (g *session.Grant, err *dialect.Error, ok bool) {
	switch {
	case p.Err != nil:
		return nil, asError(p.Err), true
	case p.Kind == session.ProofCertificate:
		g, err = a.certified(p)
		return g, err, true
	case p.Kind == session.ProofTicket && a.cfg.Tickets != nil:
		return nil, nil, false
	case p.Kind != session.ProofTicket && p.Secret != "" && a.cfg.Tokens != nil:
		return a.verify(p, now)
	case p.Kind != session.ProofTicket && a.cfg.Backend != nil:
		return nil, nil, false
	}
	return nil, errNotSupported[p.Kind], true
}

// verify looks at a token. ok is false when newer keys may let it pass.
func (a *Authenticator) verify(p *session.Proof, now time.Time) (g *session.Grant, err *dialect.Error, ok bool) {
	claims, failed := a.cfg.Tokens.Verify(p.Secret, now)
	switch {
	case a.cfg.Keys != nil && mayBeNewer(failed):
		return nil, nil, false
	case failed != nil:
		return nil, asError(failed), true
	}
	g, err = grant(&claims, p, a.cfg.Tokens.Leeway())
	return g, err, true
}

// Ask implements session.Authenticator.
func (a *Authenticator) Ask(ctx context.Context, p *session.Proof) (*session.Grant, *dialect.Error) {
	switch {
	case p.Kind == session.ProofTicket:
		return a.cfg.Tickets.redeem(ctx, p)
	case p.Secret == "" || a.cfg.Tokens == nil:
		return a.cfg.Backend(ctx, p)
	}
	claims, err := a.cfg.Keys.Verify(ctx, p.Secret, time.Now())
	switch {
	case errors.Is(err, token.ErrLater):
		e := dialect.Errorf(dialect.Unavailable, "the key of the token cannot be looked up now: try again later")
		e.RetryAfter = lookedForAgain
		return nil, e
	case err != nil:
		return nil, asError(err)
	}
	return grant(&claims, p, a.cfg.Tokens.Leeway())
}

// certified is the grant of a client certificate: who it is, and nothing that it may do.
func (a *Authenticator) certified(p *session.Proof) (*session.Grant, *dialect.Error) {
	user, err := a.cfg.Certificate(p.Certificate)
	if err != nil {
		return nil, dialect.Errorf(dialect.Unauthenticated, "the client certificate names no user: %v", err)
	}
	return &session.Grant{User: user, Issued: p.Certificate.NotBefore, Expires: p.Certificate.NotAfter}, nil
}

// mayBeNewer tells whether a token may hold by newer keys than are known.
func mayBeNewer(err error) bool {
	var e *token.Error
	return errors.As(err, &e) && e.NewerKeys()
}

// asError is what a client is told of a proof that did not hold.
func asError(err error) *dialect.Error {
	var e *token.Error
	if errors.As(err, &e) && e.Reason == token.Expired {
		return dialect.TokenExpired.Err()
	}
	return dialect.Errorf(dialect.Unauthenticated, "%v", err)
}

// grant is what claims give to whoever shows them, if it may come from where it comes.
func grant(c *token.Claims, p *session.Proof, leeway time.Duration) (*session.Grant, *dialect.Error) {
	from, _ := clientaddr.Parse(p.Address)
	if err := c.CheckPlace(from, p.Origin); err != nil {
		return nil, asError(err)
	}
	capabilities, err := rule.ParseCapabilities(c.Capabilities, c.User)
	if err != nil {
		return nil, dialect.Errorf(dialect.Unauthenticated, "%v", err)
	}
	g := &session.Grant{User: c.User, Info: c.Info, Capabilities: capabilities, Issued: c.Issued, Token: c.ID}
	if !c.Expires.IsZero() {
		g.Expires = c.Expires.Add(leeway)
	}
	return g, nil
}
