package hocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/hook"
	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/metrics"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
)

// Hooks answer what a node asks: who a client is, and, in channels whose rules say so in Ask, whether it may subscribe and
// publish. Functions answer in the program itself; a back end is asked over HTTP, as docs/hooks.md describes. Of each kind
// one of both answers.
//
// A function runs on a goroutine of its own and may block until ctx ends, which is when the client has gone or has waited
// long enough. An *Error is told to the client as it is, any other error as "internal". A panic costs the session.
type Hooks struct {
	// OnAuthenticate tells who a client is that shows a token or cookies.
	OnAuthenticate func(ctx context.Context, c Credentials) (Identity, error)
	// OnSubscribe is asked before a client that may subscribe does. nil as the error lets it.
	OnSubscribe func(ctx context.Context, q SubscribeQuestion) (SubscribeAnswer, error)
	// OnPublish is asked before a client that may publish does. nil as the error lets it.
	OnPublish func(ctx context.Context, q PublishQuestion) (PublishAnswer, error)

	// Authenticate, Subscribe and Publish are where a back end is asked.
	Authenticate Hook
	Subscribe    Hook
	Publish      Hook
	// Secrets sign the questions, so that the back end knows who asks: VerifyHook. One, or two while one takes the place of
	// the other; at least 16 bytes each.
	Secrets []string
	// Timeout is how long a back end may take to answer; 0 means 3 s.
	Timeout time.Duration
	// Concurrent is how many questions of one kind are under way at once; 0 means 128. Beyond it clients are told "busy".
	Concurrent int
	// AllowAddresses are networks, such as "10.0.0.0/8", that may be asked although they are not of the public internet, and
	// without TLS.
	AllowAddresses []string
	// ForwardHeaders names the headers of handshakes that the back end is told when it is asked who a client is.
	ForwardHeaders []string
}

// Hook is where a back end is asked.
type Hook = hook.Hook

// What holds while a back end cannot be asked, for Hook.WhenDown.
const (
	HookDeny  = hook.Deny  // clients are told "unavailable", and to try again later
	HookAllow = hook.Allow // what is permitted is allowed unasked; not for Authenticate
)

// SubscribeQuestion is whether a session may follow a channel.
type SubscribeQuestion = session.SubscribeQuestion

// SubscribeAnswer lets a session follow a channel.
type SubscribeAnswer = session.SubscribeAnswer

// PublishQuestion is whether a session may append an entry.
type PublishQuestion = session.PublishQuestion

// PublishAnswer lets a session append an entry, or says what is appended instead.
type PublishAnswer = session.PublishAnswer

// Credentials are what a client shows of itself.
type Credentials struct {
	Token   string      // "" where it shows cookies
	Cookie  string      // the header, where it shows no token
	Header  http.Header // of the handshake; nil where the token came later. Not to be changed
	Address string      // of the client, with its port
	Origin  string      // of the page, "" for none
}

// Identity is who a client is, and what it may do.
type Identity struct {
	User         string              // "" for no one in particular
	Info         []byte              // what it tells about itself as a member, one JSON value; nil for nothing
	Capabilities map[string][]string // verbs and limits by pattern, such as {"chat:*": {"subscribe", "publish", "publishes 5/s"}}
	Expires      time.Time           // when the session ends; zero for never
	TokenID      string              // by which it can be revoked; "" for none
}

// VerifyHook returns nil if a question that a back end was asked comes from who knows the secret, and was signed at most five
// minutes before or after now; otherwise the error says what is wrong, for the back end's own log. body is that of the
// request, byte for byte.
func VerifyHook(r *http.Request, body []byte, secret []byte, now time.Time) error {
	return hook.Verify(r.Header, body, secret, now)
}

// asker sends each question to who answers it.
type asker struct {
	hooks  *Hooks
	client *hook.Client
	log    *slog.Logger
	now    func() time.Time
}

// newAsker checks that part of a configuration.
func newAsker(c *Config, rules *rule.Set) (*asker, error) {
	h := &c.Hooks
	cfg := hook.Config{
		Node: c.Node, Agent: "Hocket/" + Version, Authenticate: h.Authenticate, Subscribe: h.Subscribe, Publish: h.Publish,
		Timeout: h.Timeout, Concurrent: h.Concurrent, Forward: h.ForwardHeaders, Log: c.Log,
	}
	for _, secret := range h.Secrets {
		cfg.Secrets = append(cfg.Secrets, []byte(secret))
	}
	var err error
	if cfg.Listed, err = hook.ParseNetworks(h.AllowAddresses); err != nil {
		return nil, fmt.Errorf("hocket: Hooks: AllowAddresses: %w", err)
	}
	client, err := hook.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("hocket: Hooks: %w", err)
	}
	for _, one := range []struct {
		kind     hook.Kind
		function bool
		verb     Verbs
	}{
		{hook.Authenticate, h.OnAuthenticate != nil, 0},
		{hook.Subscribe, h.OnSubscribe != nil, CanSubscribe},
		{hook.Publish, h.OnPublish != nil, CanPublish},
	} {
		answered, asked := one.function || client.Has(one.kind), rules.Asks()&one.verb != 0
		switch {
		case one.function && client.Has(one.kind):
			return nil, fmt.Errorf("hocket: Hooks: %s has both a function and a URL", one.kind)
		case asked && !answered:
			return nil, fmt.Errorf("hocket: Hooks: a channel's rule asks about %s, and nobody answers", one.kind)
		case answered && !asked && one.verb != 0:
			return nil, fmt.Errorf("hocket: Hooks: no channel's rule has Ask for %s, so nothing would be asked", one.kind)
		}
	}
	return &asker{hooks: h, client: client, log: c.Log, now: time.Now}, nil
}

// questions are what was counted.
func (a *asker) questions() (all []metrics.Questions) {
	for k := hook.Authenticate; k <= hook.Publish; k++ {
		if n := a.client.Counters(k); n != nil {
			q := metrics.Questions{Hook: k.String(), ByOutcome: make(map[string]uint64), DurationMS: &n.DurationMS}
			for o := range n.ByOutcome {
				q.ByOutcome[hook.Outcome(o).String()] = n.ByOutcome[o].Load()
			}
			all = append(all, q)
		}
	}
	return all
}

// authenticate is what asks who a client is, nil where nobody is asked.
func (a *asker) authenticate() func(context.Context, *session.Proof) (*session.Grant, *dialect.Error) {
	switch {
	case a.hooks.OnAuthenticate != nil:
		return a.identify
	case a.client.Has(hook.Authenticate):
		return a.client.Authenticate
	}
	return nil
}

// identify asks the program.
func (a *asker) identify(ctx context.Context, p *session.Proof) (g *session.Grant, err *dialect.Error) {
	defer func() {
		if v := recover(); v != nil {
			a.log.Error("OnAuthenticate panicked", "panic", v, "stack", string(debug.Stack()))
			g, err = nil, dialect.Internal.Err()
		}
	}()
	began := a.now() // what is revoked from now on concerns it
	c := Credentials{Header: p.Header, Address: p.Address, Origin: p.Origin}
	if p.Kind == session.ProofToken {
		c.Token = p.Secret
	} else {
		c.Cookie = strings.Join(p.Header["Cookie"], "; ")
	}
	who, failed := a.hooks.OnAuthenticate(ctx, c)
	if failed != nil {
		return nil, a.told(hook.Authenticate, failed)
	}
	capabilities, failed := rule.ParseCapabilities(who.Capabilities, who.User)
	if failed == nil && who.Info != nil {
		failed = jsonval.Check(who.Info, maxDepth)
	}
	if failed != nil {
		return nil, a.told(hook.Authenticate, failed)
	}
	return &session.Grant{
		User: who.User, Info: who.Info, Capabilities: capabilities, Expires: who.Expires, Issued: began, Token: who.TokenID,
	}, nil
}

// Subscribe implements session.Asker.
func (a *asker) Subscribe(ctx context.Context, q session.SubscribeQuestion) (session.SubscribeAnswer, *dialect.Error) {
	if a.hooks.OnSubscribe == nil {
		return a.client.Subscribe(ctx, q)
	}
	answer, err := a.hooks.OnSubscribe(ctx, q)
	return answer, a.told(hook.Subscribe, err)
}

// Publish implements session.Asker.
func (a *asker) Publish(ctx context.Context, q session.PublishQuestion) (session.PublishAnswer, *dialect.Error) {
	if a.hooks.OnPublish == nil {
		return a.client.Publish(ctx, q)
	}
	answer, err := a.hooks.OnPublish(ctx, q)
	return answer, a.told(hook.Publish, err)
}

// told is what a client is told of an error that the program has returned.
func (a *asker) told(k hook.Kind, err error) *dialect.Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return cmp.Or(e, dialect.Internal.Err())
	}
	a.log.Error("a hook of the program failed", "hook", k.String(), "error", err)
	return dialect.Internal.Err()
}
