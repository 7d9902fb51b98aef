package hocket

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestAccessTellsLimits(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	c := Config{
		Tokens:   Tokens{Keys: []TokenKey{{Secret: secret}}},
		Channels: []Rule{{Pattern: "chat:*", Rates: RuleRates{Publishes: Rate{Count: 30, Per: time.Second}}}},
	}
	signer, err := NewTokenSigner([]byte(secret), "")
	if err != nil {
		t.Fatal(err)
	}
	ada, err := signer.Sign(TokenClaims{User: "ada", Expires: time.Now().Add(time.Hour), Capabilities: map[string][]string{
		"chat:*": {"publish", "publishes 5/s burst 20", "at_limit slow"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for verb, want := range map[string]string{
		"publish":   `publishes 5/s burst 20 by the capability "chat:*", which slows down; publishes 30/s by the rule "chat:*"`,
		"subscribe": "",
	} {
		a, err := c.ExplainAccess(t.Context(), AccessQuestion{Token: ada, Verb: verb, Name: "chat:lobby"})
		if got := strings.Join(a.Limits, "; "); err != nil || got != want || a.Allowed != (want != "") {
			t.Errorf("%s: %+v, %v; want %s", verb, a, err, want)
		}
	}
}

func TestAccessIsExplained(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	c := Config{
		Tokens:     Tokens{Keys: []TokenKey{{Secret: secret}}},
		AllowCalls: []string{"time"},
		Channels: []Rule{
			{Pattern: "news", AllowAnonymous: CanSubscribe, Publish: PublishServer},
			{Pattern: "talk:*", Allow: CanSubscribe},
		},
	}
	signer, err := NewTokenSigner([]byte(secret), "")
	if err != nil {
		t.Fatal(err)
	}
	token := func(expires time.Duration) string {
		text, err := signer.Sign(TokenClaims{User: "ada", Expires: time.Now().Add(expires), Capabilities: map[string][]string{"chat:*": {"subscribe", "publish:mine:{user}"}}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ada, old := token(time.Hour), token(-time.Hour)
	for _, test := range []struct {
		q       AccessQuestion
		allowed bool
		why     string
	}{
		{AccessQuestion{ada, "subscribe", "chat:lobby", ""}, true, `the capability "chat:*" allows it`},
		{AccessQuestion{ada, "publish", "chat:lobby", ""}, false, "no capability allows it, nor does the fallback rule"},
		{AccessQuestion{ada, "publish", "chat:lobby", "mine:ada"}, true, `the capability "chat:*" allows it`},
		{AccessQuestion{ada, "subscribe", "chat-admin", ""}, false, "no capability allows it"},
		{AccessQuestion{ada, "subscribe", "talk:a", ""}, true, `the rule "talk:*" allows it to everybody who has proved who they are`},
		{AccessQuestion{"", "subscribe", "talk:a", ""}, false, "without proof of identity"},
		{AccessQuestion{"", "subscribe", "news", ""}, true, `the rule "news" allows it to everybody`},
		{AccessQuestion{ada, "publish", "news", ""}, false, `the rule "news" lets only the server publish`},
		{AccessQuestion{ada, "subscribe", "$presence:news", ""}, false, "the server's own"},
		{AccessQuestion{ada, "call", "time", ""}, true, `"time" may be called`},
		{AccessQuestion{old, "subscribe", "chat:lobby", ""}, false, "expired"},
		{AccessQuestion{ada + "x", "subscribe", "chat:lobby", ""}, false, "not signed"},
	} {
		a, err := c.ExplainAccess(t.Context(), test.q)
		if err != nil || a.Allowed != test.allowed || !strings.Contains(a.Why, test.why) {
			t.Errorf("%s %s %s: %+v, %v; want %v because %s", test.q.Verb, test.q.Name, test.q.Key, a, err, test.allowed, test.why)
		}
	}
	for _, wrong := range []AccessQuestion{{Verb: "read", Name: "a"}, {Verb: "*", Name: "a"}, {Verb: "subscribe", Name: "a:*"}, {Verb: "subscribe"}} {
		if _, err := c.ExplainAccess(t.Context(), wrong); err == nil {
			t.Errorf("%+v is answered", wrong)
		}
	}
}

// Hooks are named and not asked: nobody listens where these are.
func TestAccessThatAHookDecides(t *testing.T) {
	asked := Config{
		Anonymous: true,
		Channels:  []Rule{{Pattern: "ask:*", Ask: CanSubscribe | CanPublish}},
		Hooks: Hooks{
			Authenticate: Hook{URL: "https://app.example.com/who"}, Subscribe: Hook{URL: "https://app.example.com:8443/private-path?key=MARKED"},
			OnPublish: func(context.Context, PublishQuestion) (answer PublishAnswer, err error) { panic("asked") },
			Secrets:   []string{"0123456789abcdef"},
		},
	}
	for _, test := range []struct {
		q       AccessQuestion
		allowed bool
		why     string
	}{
		{AccessQuestion{"", "subscribe", "ask:a", ""}, true, "access is open to everybody (anonymous: true), then the subscribe hook at https://app.example.com:8443 decides"},
		{AccessQuestion{"", "publish", "ask:a", ""}, true, "access is open to everybody (anonymous: true), then OnPublish decides"},
		{AccessQuestion{"", "history", "ask:a", ""}, true, "access is open to everybody (anonymous: true)"},
		{AccessQuestion{"", "subscribe", "chat:a", ""}, true, "access is open to everybody (anonymous: true)"},
		{AccessQuestion{"", "call", "ask:a", ""}, true, "access is open to everybody (anonymous: true)"},
		{AccessQuestion{"a token", "subscribe", "ask:a", ""}, false, "the authenticate hook at https://app.example.com tells whose token it is, and is not asked here"},
	} {
		a, err := asked.ExplainAccess(t.Context(), test.q)
		if err != nil || a.Allowed != test.allowed || a.Why != test.why {
			t.Errorf("%s %s: %+v, %v; want %v because %s", test.q.Verb, test.q.Name, a, err, test.allowed, test.why)
		}
	}
	asked.Anonymous = false
	a, err := asked.ExplainAccess(t.Context(), AccessQuestion{"", "subscribe", "ask:a", ""})
	if err != nil || a.Allowed || strings.Contains(a.Why, "hook") {
		t.Errorf("what is denied anyway is asked about: %+v, %v", a, err)
	}
}
