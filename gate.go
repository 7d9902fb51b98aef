package hocket

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/api"
	"hocket.dev/internal/auth"
	"hocket.dev/internal/clientaddr"
	"hocket.dev/internal/clientcert"
	"hocket.dev/internal/jwks"
	"hocket.dev/internal/origin"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
	"hocket.dev/internal/token"
)

// gate is what a configuration says about who comes in and what they may do, made ready.
type gate struct {
	origins *origin.List
	clients clientaddr.Finder // who a client is behind proxies
	proxies origin.Proxies
	auth    *auth.Authenticator
	tickets *auth.Tickets // nil where the broker keeps none
	rules   *rule.Set
	schemas session.Schemas    // of the rules
	calls   *rule.Capabilities // what every client may call that has proved who it is
	asker   *asker

	verifier *token.Verifier // of tokens; nil where none proves anything
	keys     *jwks.Source    // of its keys, that are published somewhere; nil for none
}

// newGate checks that part of a configuration.
func newGate(c *Config) (g gate, err error) {
	if g.rules, err = rule.Compile(c.Channels, c.Fallback); err != nil {
		return g, fmt.Errorf("hocket: channels: %w", err)
	}
	if g.schemas, err = session.CompileSchemas(c.Channels, c.Fallback); err != nil {
		return g, fmt.Errorf("hocket: channels: %w", err)
	}
	if g.origins, err = origin.Compile(c.Origins); err != nil {
		return g, fmt.Errorf("hocket: Origins: %w", err)
	}
	if g.clients, err = c.finder(); err != nil {
		return g, err
	}
	g.proxies = origin.Proxies{Networks: g.clients.Trusted, PassOn: c.ProxyProtocol}
	if g.calls, err = parseCalls(c.AllowCalls); err != nil {
		return g, err
	}
	if g.asker, err = newAsker(c, g.rules); err != nil {
		return g, err
	}
	if g.verifier, g.keys, err = c.Tokens.open(c.Log); err != nil {
		return g, err
	}
	g.tickets = auth.NewTickets(c.Broker)
	known := auth.Config{
		Tokens: g.verifier, Tickets: g.tickets, Backend: g.asker.authenticate(),
		Secure: func(r *http.Request) bool { return g.proxies.Scheme(r) == "https" },
	}
	if g.keys != nil {
		known.Keys = g.keys
	}
	if c.CertificateUser != "" {
		if known.Certificate, err = certificateUser(c.CertificateUser); err != nil {
			return g, err
		}
	}
	g.auth = auth.New(known)
	return g, nil
}

// features names what the configuration has on that a client can decide by.
func (g *gate) features(c *Config) (names []string) {
	schemas, e2e := len(c.MethodSchemas) > 0 || c.Fallback.Schema != "", c.Fallback.E2E
	for i := range c.Channels {
		schemas, e2e = schemas || c.Channels[i].Schema != "", e2e || c.Channels[i].E2E
	}
	for _, feature := range []struct {
		name string
		on   bool
	}{
		{"tokens", g.verifier != nil || g.asker.authenticate() != nil},
		{"tickets", g.tickets != nil},
		{"anonymous", c.Anonymous},
		{"schema", schemas},
		{"e2e", e2e},
	} {
		if feature.on {
			names = append(names, feature.name)
		}
	}
	return names
}

// parseCalls takes patterns of methods.
func parseCalls(patterns []string) (*rule.Capabilities, error) {
	lists := make(map[string][]string, len(patterns))
	for _, p := range patterns {
		lists[p] = []string{rule.CanCall.String()}
	}
	calls, err := rule.ParseCapabilities(lists, "")
	if err != nil {
		return nil, fmt.Errorf("hocket: AllowCalls: %w", err)
	}
	return calls, nil
}

// certificateUser tells users by one field of their certificates.
func certificateUser(name string) (func(*x509.Certificate) (string, error), error) {
	var field clientcert.Field
	if err := field.UnmarshalText([]byte(name)); err != nil {
		return nil, fmt.Errorf("hocket: CertificateUser: %w", err)
	}
	return func(leaf *x509.Certificate) (string, error) { return clientcert.User(leaf, field) }, nil
}

// issuer is how the API issues tickets, nil where there are none.
func (g *gate) issuer() func(context.Context, *api.Ticket) (string, time.Time, *dialect.Error) {
	if g.tickets == nil {
		return nil
	}
	return func(ctx context.Context, t *api.Ticket) (string, time.Time, *dialect.Error) {
		now := time.Now()
		claims := token.Claims{User: t.User, Info: t.Info, Capabilities: t.Capabilities, Address: t.Address, Origin: t.Origin}
		if t.Session > 0 {
			claims.Expires = now.Add(t.Session)
		}
		ticket, err := g.tickets.Issue(ctx, claims, t.TTL, now)
		return ticket, now.Add(t.TTL), err
	}
}
