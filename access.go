package hocket

import (
	"context"
	"fmt"
	"time"

	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
)

// An AccessQuestion is whether a client may do something.
type AccessQuestion struct {
	Token string // that the client shows, "" for none
	Verb  string // "subscribe", "publish", "history", "presence" or "call"
	Name  string // of a channel or, with "call", of a method
	Key   string // of what is published, "" for none
}

// An AccessAnswer tells whether it may.
type AccessAnswer struct {
	Allowed bool
	User    string // that the token names
	Why     string // goes on from "because"
	// Limits are the rates that hold where it may: those of the channel's rule and of its capabilities, such as
	// `publishes 5/s burst 20 by the capability "chat:*"`. All of them do, and those of Config.Limits.
	Limits []string
}

// ExplainAccess answers a question as a server with this configuration would, without one: what is revoked is not known,
// hooks are not asked. It blocks only where the keys of tokens have to be fetched, until ctx ends. The error says what is
// wrong with the configuration or the question; a token that does not hold is an answer.
func (c Config) ExplainAccess(ctx context.Context, q AccessQuestion) (AccessAnswer, error) {
	if err := c.setDefaults(); err != nil {
		return AccessAnswer{}, err
	}
	g, err := newGate(&c)
	if err != nil {
		return AccessAnswer{}, err
	}
	verb, err := rule.ParseVerb(q.Verb)
	switch {
	case err != nil:
		return AccessAnswer{}, fmt.Errorf("hocket: %w", err)
	case verb == rule.CanEverything:
		return AccessAnswer{}, fmt.Errorf("hocket: ask about one verb at a time")
	case verb != rule.CanCall:
		if err := rule.CheckChannel(q.Name); err != nil {
			return AccessAnswer{}, fmt.Errorf("hocket: the channel's %w", err)
		}
	}
	a := AccessAnswer{}
	access := rule.Access{Open: c.Anonymous, Calls: g.calls}
	if q.Token != "" {
		grant, why := g.believe(ctx, q.Token)
		if grant == nil {
			a.Why = why
			return a, nil
		}
		a.User = grant.User
		access.Proven, access.Own = true, grant.Capabilities
	}
	if verb != rule.CanCall && rule.IsReserved(q.Name) {
		a.Why = "channels that begin with $ are the server's own"
		return a, nil
	}
	a.Allowed, a.Why = access.Explain(verb, q.Name, q.Key, g.rules)
	if a.Allowed {
		a.Limits = access.Limits(verb, q.Name, g.rules)
	}
	return a, nil
}

// believe looks at a token by itself, and answers why it does not hold.
func (g *gate) believe(ctx context.Context, token string) (*session.Grant, string) {
	if g.keys != nil {
		ctx, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = g.keys.Run(ctx) // Verify tells
		}()
		defer func() { stop(); <-done }()
	}
	proof := &session.Proof{Kind: session.ProofToken, Secret: token}
	grant, err, ok := g.auth.Check(proof, time.Now())
	if !ok {
		grant, err = g.auth.Ask(ctx, proof)
	}
	if err != nil {
		return nil, err.Message
	}
	return grant, ""
}
