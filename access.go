package hocket

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"hocket.dev/internal/hook"
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
	Why     string // goes on from "because"; where a hook is asked then and may still refuse, it names that too
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
	if h := &c.Hooks; q.Token != "" && len(c.Tokens.Keys) == 0 && c.Tokens.JWKS == "" && g.asker.authenticate() != nil {
		a.Why = named(hook.Authenticate, h.Authenticate.URL, "OnAuthenticate") + " tells whose token it is, and is not asked here"
		return a, nil
	} else if q.Token != "" {
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
	if a.Allowed, a.Why = access.Explain(verb, q.Name, q.Key, g.rules); !a.Allowed {
		return a, nil
	}
	a.Limits = access.Limits(verb, q.Name, g.rules)
	if verb != rule.CanCall && g.rules.For(q.Name).Ask.Has(verb) {
		a.Why += ", then " + c.Hooks.decider(verb) + " decides"
	}
	return a, nil
}

// decider names who is asked whether a client that may do verb does. Of a URL it names no more than the host: the rest may hold
// what is nobody's business.
func (h *Hooks) decider(verb Verbs) string {
	kind, address, function := hook.Publish, h.Publish.URL, "OnPublish"
	if verb == CanSubscribe {
		kind, address, function = hook.Subscribe, h.Subscribe.URL, "OnSubscribe"
	}
	return named(kind, address, function)
}

// named is how a hook is called in a sentence.
func named(kind hook.Kind, address, function string) string {
	u, err := url.Parse(address)
	if address == "" || err != nil {
		return function
	}
	return fmt.Sprintf("the %s hook at %s://%s", kind, u.Scheme, u.Host)
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
