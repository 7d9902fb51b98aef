package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/limit"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
	"hocket.dev/internal/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.UnixMilli(1_795_000_000_000)

const secret = "0123456789abcdef0123456789abcdef"

// verifier takes tokens that are signed with secret.
func verifier(t *testing.T) *token.Verifier {
	t.Helper()
	key, err := token.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	v, err := token.NewVerifier(token.Config{Keys: []token.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sign makes a token that v takes.
func sign(t *testing.T, c token.Claims) string {
	t.Helper()
	signer, err := token.ParseSigner([]byte(secret), "")
	if err != nil {
		t.Fatal(err)
	}
	text, err := signer.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// handshake is a request with headers "Name: value".
func handshake(path string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://hocket.example"+path, nil)
	r.TLS = nil
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestTheFirstProofIsFound(t *testing.T) {
	certified := handshake("/v1/ws")
	certified.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	everything := []string{"Authorization: bearer  one ", "Cookie: hocket_session=four", "Origin: https://app.example"}
	user := func(*x509.Certificate) (string, error) { return "ada", nil }
	a := New(Config{Tokens: verifier(t), Certificate: user})
	for _, test := range []struct {
		what        string
		r           *http.Request
		subprotocol string
		kind        session.ProofKind
		secret      string
	}{
		{"Authorization", handshake("/v1/ws?ticket=three", everything...), "two", session.ProofToken, "one"},
		{"subprotocol", handshake("/v1/ws?ticket=three", everything[1:]...), "two", session.ProofToken, "two"},
		{"ticket", handshake("/v1/ws?ticket=three", everything[1:]...), "", session.ProofTicket, "three"},
		{"cookie", handshake("/v1/ws", everything[1:]...), "", session.ProofCookie, "four"},
		{"certificate", certified, "", session.ProofCertificate, ""},
		{"a proxy's credentials", handshake("/v1/ws?ticket=three", "Authorization: Basic YTpi"), "", session.ProofTicket, "three"},
	} {
		p := a.Proof(test.r, test.subprotocol)
		if p == nil || p.Kind != test.kind || p.Secret != test.secret {
			t.Errorf("%s: found %+v", test.what, p)
		}
	}
	for _, r := range []*http.Request{handshake("/v1/ws"), handshake("/v1/ws", "Cookie: theme=dark"), handshake("/v1/ws?ticket=")} {
		if p := a.Proof(r, ""); p != nil {
			t.Errorf("%v: found %+v", r.Header, p)
		}
	}
	twice := a.Proof(handshake("/v1/ws", "Cookie: hocket_session=a; hocket_session=b"), "")
	if _, err, ok := a.Check(twice, now); !ok || err.Code != dialect.Unauthenticated {
		t.Errorf("two cookies: %v", err)
	}
}

// A token in a URL proves nothing, also to who would be let in without it, and is not repeated.
func TestATokenInTheURLIsRefused(t *testing.T) {
	for what, a := range map[string]*Authenticator{"tokens": New(Config{Tokens: verifier(t)}), "nothing": New(Config{})} {
		text := sign(t, token.Claims{User: "ada", Expires: now.Add(time.Hour)})
		for _, r := range []*http.Request{
			handshake("/v1/ws?token=" + text), handshake("/v1/ws?access_token=" + text), handshake("/v1/ws?ticket=three&token=" + text),
			handshake("/v1/ws?token="+text, "Authorization: Bearer "+text), handshake("/v1/ws?token="+text, "Cookie: hocket_session=four"),
		} {
			p := a.Proof(r, "")
			if p == nil || p.Secret != "" {
				t.Fatalf("with %s: found %+v", what, p)
			}
			if _, err, ok := a.Check(p, now); !ok || err == nil || err.Code != dialect.Unauthenticated || strings.Contains(err.Message, text) {
				t.Errorf("with %s: %v, %v", what, ok, err)
			}
		}
		if p := a.Proof(handshake("/v1/ws?token="), ""); p != nil {
			t.Errorf("with %s: found %+v where there is none", what, p)
		}
	}
}

func TestATokenGrantsWhatItSays(t *testing.T) {
	a := New(Config{Tokens: verifier(t)})
	text := sign(t, token.Claims{
		ID: "7f3c", User: "ada", Info: []byte(`{"name":"Ada"}`), Issued: now, Expires: now.Add(time.Hour),
		Capabilities: map[string][]string{"inbox:{user}": {"subscribe", "subscribes 1/s"}},
	})
	g, err, ok := a.Check(&session.Proof{Secret: text}, now)
	if !ok || err != nil {
		t.Fatal(err)
	}
	if g.User != "ada" || g.Token != "7f3c" || string(g.Info) != `{"name":"Ada"}` || !g.Issued.Equal(now) ||
		!g.Expires.Equal(now.Add(time.Hour+token.DefaultLeeway)) ||
		len(g.Capabilities.AppendRated(nil, limit.Subscribes, "inbox:ada")) != 1 ||
		!g.Capabilities.Allow(rule.CanSubscribe, "inbox:ada") || g.Capabilities.Allow(rule.CanSubscribe, "inbox:bob") {
		t.Errorf("%+v", g)
	}
	for what, test := range map[string]struct {
		claims token.Claims
		code   dialect.Code
	}{
		"expired":      {token.Claims{User: "ada", Expires: now.Add(-time.Minute)}, dialect.TokenExpired},
		"wrong verbs":  {token.Claims{User: "ada", Expires: now.Add(time.Hour), Capabilities: map[string][]string{"a": {"read"}}}, dialect.Unauthenticated},
		"wrong limits": {token.Claims{User: "ada", Expires: now.Add(time.Hour), Capabilities: map[string][]string{"a": {"publish", "publishes 5"}}}, dialect.Unauthenticated},
		"elsewhere":    {token.Claims{User: "ada", Expires: now.Add(time.Hour), Address: netip.MustParseAddr("192.0.2.9")}, dialect.Unauthenticated},
		"another page": {token.Claims{User: "ada", Expires: now.Add(time.Hour), Origin: "https://app.example"}, dialect.Unauthenticated},
	} {
		text := sign(t, test.claims)
		_, err, ok := a.Check(&session.Proof{Secret: text, Address: "192.0.2.1:5", Origin: "https://evil.example"}, now)
		if !ok || err == nil || err.Code != test.code || strings.Contains(err.Message, text) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhatIsNotSupportedIsRefused(t *testing.T) {
	a := New(Config{})
	for _, p := range []*session.Proof{{Kind: session.ProofToken, Secret: "x"}, {Kind: session.ProofTicket, Secret: "x"}} {
		if _, err, ok := a.Check(p, now); !ok || err.Code != dialect.NotSupported {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if p := a.Proof(handshake("/v1/ws", "Cookie: hocket_session=x"), ""); p != nil {
		t.Error("a cookie is a proof to a server that checks none")
	}
}

// late has the key the second time that it is asked.
type late struct {
	*token.Verifier
	t     *testing.T
	asked int
}

func (l *late) Verify(_ context.Context, text string, now time.Time) (token.Claims, error) {
	switch l.asked++; l.asked {
	case 1:
		_, err := l.Verifier.Verify(text, now)
		return token.Claims{}, fmt.Errorf("%w: %w", token.ErrLater, err)
	case 2:
		key, err := token.ParseSecret(secret)
		if err = errors.Join(err, l.Rotate([]token.Key{key})); err != nil {
			l.t.Fatal(err)
		}
	}
	return l.Verifier.Verify(text, now)
}

func TestAnUnknownKeyIsLookedFor(t *testing.T) {
	fresh, _ := token.NewVerifier(token.Config{})
	a := New(Config{Tokens: fresh, Keys: &late{Verifier: fresh, t: t}})
	p := &session.Proof{Secret: sign(t, token.Claims{User: "ada", Expires: time.Now().Add(time.Hour)})}
	if _, _, ok := a.Check(p, time.Now()); ok {
		t.Fatal("decided without the key")
	}
	if _, err := a.Ask(t.Context(), p); err == nil || err.Code != dialect.Unavailable {
		t.Errorf("without keys: %v", err)
	}
	if g, err := a.Ask(t.Context(), p); err != nil || g.User != "ada" {
		t.Errorf("with the key: %v", err)
	}
	if _, _, ok := a.Check(p, time.Now()); !ok {
		t.Error("the key is not kept")
	}
}

// memory is a broker that runs.
func memory(t *testing.T) *broker.Memory {
	t.Helper()
	b := broker.NewMemory(broker.MemoryConfig{})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx, nil) })
	t.Cleanup(func() { stop(); running.Wait() })
	<-b.Ready()
	return b
}

func TestATicketIsGoodOnce(t *testing.T) {
	a := New(Config{Tickets: NewTickets(memory(t))})
	text, err := a.cfg.Tickets.Issue(t.Context(), token.Claims{User: "ada", Expires: now.Add(time.Hour)}, time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	var admitted atomic.Int32
	var racing sync.WaitGroup
	for range 50 {
		racing.Go(func() {
			p := a.Proof(handshake("/v1/ws?ticket="+text), "")
			if _, _, ok := a.Check(p, now); ok {
				t.Error("decided on the loop")
			}
			switch g, err := a.Ask(t.Context(), p); {
			case err == nil && g.User == "ada" && g.Issued.Equal(now) && g.Expires.Equal(now.Add(time.Hour)):
				admitted.Add(1)
			case err == nil || err.Code != dialect.Unauthenticated:
				t.Errorf("%+v, %v", g, err)
			}
		})
	}
	racing.Wait()
	if n := admitted.Load(); n != 1 {
		t.Errorf("%d handshakes got in with one ticket", n)
	}
	for _, bad := range []string{"x", text[:len(text)-1], text + "A", strings.ToUpper(text)} {
		if _, err := a.Ask(t.Context(), &session.Proof{Kind: session.ProofTicket, Secret: bad}); err == nil || strings.Contains(err.Message, bad) && bad != "x" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestATicketIsGoodWhereItIsBoundTo(t *testing.T) {
	a := New(Config{Tickets: NewTickets(memory(t))})
	bound := token.Claims{User: "ada", Address: netip.MustParseAddr("192.0.2.1"), Origin: "https://app.example"}
	for _, from := range []struct {
		address, origin string
		ok              bool
	}{
		{"192.0.2.1:5", "https://app.example", true},
		{"[::ffff:192.0.2.1]:5", "https://app.example", true},
		{"192.0.2.2:5", "https://app.example", false},
		{"192.0.2.1:5", "https://evil.example", false},
	} {
		text, err := a.cfg.Tickets.Issue(t.Context(), bound, time.Minute, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Ask(t.Context(), &session.Proof{Kind: session.ProofTicket, Secret: text, Address: from.address, Origin: from.origin}); (err == nil) != from.ok {
			t.Errorf("from %s at %s: %v", from.origin, from.address, err)
		}
	}
}

// FuzzProof has handshakes of any kind looked at by who knows no key: none gets in.
func FuzzProof(f *testing.F) {
	f.Add("Bearer x", "hocket_session=x", "ticket=y", "z")
	f.Add("Basic x", `hocket_session="; ;=`, "%&ticket=;", "")
	none, _ := token.NewVerifier(token.Config{})
	a := New(Config{Tokens: none})
	f.Fuzz(func(t *testing.T, authorization, cookie, query, subprotocol string) {
		r := handshake("/v1/ws", "Authorization: "+authorization, "Cookie: "+cookie)
		r.URL.RawQuery = query
		p := a.Proof(r, subprotocol)
		if p == nil {
			return
		}
		if g, err, ok := a.Check(p, now); !ok || g != nil || err == nil {
			t.Fatalf("%+v: %+v, %v", p, g, err)
		}
	})
}
