package session

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
	"hocket.dev/internal/rule"
)

// grants decides about tokens that name one of them. A secret that begins with "ask:" has to be asked for.
type grants map[string]*Grant

func (g grants) Check(p *Proof, _ time.Time) (*Grant, *dialect.Error, bool) {
	if strings.HasPrefix(p.Secret, "ask:") {
		return nil, nil, false
	}
	grant, err := g.Ask(context.Background(), p)
	return grant, err, true
}

func (g grants) Ask(_ context.Context, p *Proof) (*Grant, *dialect.Error) {
	grant := g[strings.TrimPrefix(p.Secret, "ask:")]
	if grant == nil {
		return nil, dialect.Errorf(dialect.Unauthenticated, "the token is not good")
	}
	return grant, nil
}

// may makes a grant of capabilities written as "pattern=verb,verb pattern=verb".
func may(t testing.TB, user, text string) *Grant {
	t.Helper()
	lists := make(map[string][]string)
	for _, one := range strings.Fields(text) {
		pattern, verbs, _ := strings.Cut(one, "=")
		lists[pattern] = strings.Split(verbs, ",")
	}
	c, err := rule.ParseCapabilities(lists, user)
	if err != nil {
		t.Fatal(err)
	}
	return &Grant{User: user, Capabilities: c, Issued: time.UnixMilli(1_795_000_000_000 - 60_000)}
}

// closedDoors is a node that wants proof.
func closedDoors(t testing.TB, known grants, rules ...rule.Rule) *world {
	t.Helper()
	return newWorld(t, func(c *Config) {
		set, err := rule.Compile(rules, rule.Rule{History: rule.History{Count: 1000}, Presence: true})
		if err != nil {
			t.Fatal(err)
		}
		c.Anonymous, c.Authenticator, c.Rules = false, known, set
	})
}

// prove dials and shows a token in its first message.
func (w *world) prove(token string) *client {
	w.t.Helper()
	c := w.dial()
	c.send(fmt.Sprintf(`{"type":"connect","id":0,"payload":{"token":%q}}`, token))
	return c
}

// proven is prove with a token that is good.
func (w *world) proven(token string) *client {
	w.t.Helper()
	c := w.prove(token)
	c.want(`"type":"connected"`, `"type":"reply","id":0`)
	return c
}

func (c *client) wantDenied(request string) {
	c.w.t.Helper()
	c.send(request)
	c.want(`"code":1403,"name":"permission_denied"`)
}

func (c *client) wantDone(request string) {
	c.w.t.Helper()
	c.send(request)
	c.want(`"type":"reply"`)
}

func TestASessionMayDoWhatItsGrantAllows(t *testing.T) {
	w := closedDoors(t, grants{"t": may(t, "ada", "chat:*=subscribe,publish inbox:{user}=* sum=call board=subscribe,publish:cursor:{user}")},
		rule.Rule{Pattern: "news", Allow: rule.CanSubscribe, Publish: rule.Server, History: rule.History{Count: 10}})
	w.methods["sum"] = func(context.Context, Call) ([]byte, error) { return []byte("3"), nil }
	w.methods["other"] = w.methods["sum"]
	c := w.proven("t")
	for _, request := range []string{
		`{"type":"subscribe","id":1,"channel":"chat:a"}`,
		`{"type":"unsubscribe","id":1,"channel":"chat:a"}`,
		`{"type":"publish","id":1,"channel":"chat:a","payload":1}`,
		`{"type":"history","id":1,"channel":"inbox:ada"}`,
		`{"type":"state","id":1,"channel":"inbox:ada"}`,
		`{"type":"presence","id":1,"channel":"inbox:ada"}`,
		`{"type":"subscribe","id":1,"channel":"inbox:ada","payload":{"presence":true}}`,
		`{"type":"subscribe","id":1,"channel":"news"}`,
		`{"type":"publish","id":1,"channel":"board","key":"cursor:ada","payload":1}`,
		`{"type":"call","id":1,"method":"sum"}`,
	} {
		c.wantDone(request)
	}
	for _, request := range []string{
		`{"type":"subscribe","id":1,"channel":"chat"}`,
		`{"type":"subscribe","id":1,"channel":"chat-admin"}`,
		`{"type":"subscribe","id":1,"channel":"chat:a:b"}`,
		`{"type":"subscribe","id":1,"channel":"chat:a","payload":{"presence":"watch"}}`,
		`{"type":"history","id":1,"channel":"chat:a"}`,
		`{"type":"state","id":1,"channel":"chat:a"}`,
		`{"type":"presence","id":1,"channel":"chat:a"}`,
		`{"type":"subscribe","id":1,"channel":"inbox:bob"}`,
		`{"type":"publish","id":1,"channel":"news","payload":1}`,
		`{"type":"publish","id":1,"channel":"board","payload":1}`,
		`{"type":"publish","id":1,"channel":"board","key":"cursor:bob","payload":1}`,
		`{"type":"publish","id":1,"channel":"board","key":"cursor:ada:x","payload":1}`,
		`{"type":"subscribe","id":1,"channel":"$presence:chat:a"}`,
		`{"type":"call","id":1,"method":"other"}`,
		`{"type":"call","id":1,"method":"none"}`,
	} {
		c.wantDenied(request)
	}
}

func TestWhatABadProofIsTold(t *testing.T) {
	w := closedDoors(t, grants{
		"old":   {User: "ada", Expires: time.UnixMilli(1_795_000_000_000)},
		"wrong": {User: "a:b"},
		"long":  {User: "ada", Info: []byte(`"` + strings.Repeat("x", 4<<10) + `"`)},
	})
	for _, test := range []struct {
		token, told string
		code        dialect.Code
	}{
		{"bad", `"code":1401`, dialect.CloseUnauthenticated},
		{"ask:bad", `"code":1401`, dialect.CloseUnauthenticated},
		{"old", `"code":1411,"name":"token_expired"`, dialect.CloseTokenExpired},
		{"wrong", `"code":1101`, dialect.CloseUnauthenticated},
		{"long", `"code":1113,"name":"info_too_large"`, dialect.CloseUnauthenticated},
	} {
		c := w.prove(test.token)
		c.want(`"type":"error","id":0,"error":{` + test.told)
		c.wantClosed(test.code)
	}
	w.refuse = true
	c := w.prove("ask:bad")
	c.want(`"code":1503`)
	c.wantClosed(dialect.CloseUnavailable)
	if log := w.log.String(); strings.Contains(log, "bad") {
		t.Errorf("the log holds a token:\n%s", log)
	}
}

// TestNothingIsReadWhileAProofIsDecidedAbout has the answer come later than the requests behind it.
func TestNothingIsReadWhileAProofIsDecidedAbout(t *testing.T) {
	w := closedDoors(t, grants{"t": may(t, "ada", "a=subscribe")})
	c := w.dial()
	c.Receive([]byte(`{"type":"connect","id":0,"payload":{"token":"ask:t"}}`))
	if c.reading || !c.Paused() || c.Full() {
		t.Fatal("the session is read while its proof is decided about")
	}
	w.settle()
	if !c.reading || c.Paused() {
		t.Fatal("the session is not read on")
	}
	c.want(`"type":"connected","payload":{"session"`, `"type":"reply","id":0`)
	c.wantDone(`{"type":"subscribe","id":1,"channel":"a"}`)
}

func TestAProofInTheHandshakeComesFirst(t *testing.T) {
	w := closedDoors(t, grants{"t": may(t, "ada", "a=subscribe")})
	c := w.dialProof(&Proof{Kind: ProofToken, Secret: "ask:t"}, dialect.Command{
		Verb: dialect.Subscribe, Channel: "a", Subscribe: &dialect.SubscribeArgs{},
	}, dialect.Command{Verb: dialect.Subscribe, Channel: "b", Subscribe: &dialect.SubscribeArgs{}})
	got := c.want(`"type":"connected"`, `"channel":"b","error":{"code":1403`)
	if !strings.Contains(got[0], `"user":"ada"`) || w.hub.Stats().Cursors != 1 {
		t.Errorf("greeted with %s, %d cursors", got[0], w.hub.Stats().Cursors)
	}
	for _, other := range []string{`{"user":"bob"}`, `{"info":{"name":"Admin"}}`} {
		c.send(`{"type":"connect","id":1,"payload":` + other + `}`)
		c.want(`"type":"error","id":1`)
	}
	bad := w.dialProof(&Proof{Kind: ProofTicket, Secret: "no"})
	bad.want(`"code":1401`)
	bad.wantClosed(dialect.CloseUnauthenticated)
}

func TestANarrowerTokenEndsSubscriptions(t *testing.T) {
	w := closedDoors(t, grants{
		"wide":   may(t, "ada", "a=subscribe,presence b=subscribe c=subscribe,presence"),
		"narrow": may(t, "ada", "a=subscribe b=subscribe c=subscribe,presence"),
		"bob":    may(t, "bob", ">=*"),
	})
	c := w.proven("wide")
	c.subscribe("a", `{"presence":true}`)
	c.subscribe("b", `{}`)
	c.subscribe("c", `{"presence":"watch"}`)
	c.send(`{"type":"connect","id":1,"payload":{"token":"bob"}}`)
	c.want(`"id":1,"error":{"code":1402`)
	c.send(`{"type":"connect","id":1,"payload":{"token":"bad"}}`)
	c.want(`"id":1,"error":{"code":1401`)
	c.send(`{"type":"connect","id":1,"payload":{"token":"narrow"}}`)
	c.want(`{"type":"unsubscribed","channel":"a","payload":{"code":1403,"name":"permission_denied"`, `"type":"reply","id":1`)
	if c.code != 0 || w.members("a") != 0 {
		t.Errorf("closed with %d, %d members", c.code, w.members("a"))
	}
	w.publish("b", "1")
	c.want(`"type":"message","channel":"b"`)
}

func TestASessionEndsWithItsToken(t *testing.T) {
	soon, later := *may(t, "ada", "a=subscribe"), *may(t, "ada", "a=subscribe")
	soon.Expires, later.Expires = time.UnixMilli(1_795_000_010_000), time.UnixMilli(1_795_000_020_000)
	w := closedDoors(t, grants{"soon": &soon, "later": &later})
	c, refreshed, gone := w.prove("soon"), w.proven("soon"), w.proven("soon")
	got := c.want(`"type":"connected"`, `"type":"reply"`)
	if !strings.Contains(got[0], `"expires_at":1795000010000`) {
		t.Errorf("greeted with %s", got[0])
	}
	gone.Closed(1006, "")
	refreshed.send(`{"type":"connect","id":1,"payload":{"token":"later"}}`)
	refreshed.want(`"expires_at":1795000020000`)
	w.pass(9 * time.Second)
	c.wantClosed(0)
	w.pass(2 * time.Second)
	c.wantClosed(dialect.CloseTokenExpired)
	refreshed.wantClosed(0)
	w.pass(10 * time.Second)
	refreshed.wantClosed(dialect.CloseTokenExpired)
	if n := len(w.node.Shard(0).expiries.sessions); n != 0 {
		t.Errorf("%d sessions are still to expire", n)
	}
}

func TestRulesAdmitAnonymousClients(t *testing.T) {
	w := closedDoors(t, grants{"t": may(t, "ada", "staff=subscribe")},
		rule.Rule{Pattern: "news", AllowAnonymous: rule.CanSubscribe},
		rule.Rule{Pattern: "talk", Allow: rule.CanSubscribe | rule.CanPublish})
	c := w.connect()
	c.wantDone(`{"type":"subscribe","id":1,"channel":"news"}`)
	c.wantDenied(`{"type":"publish","id":1,"channel":"news","payload":1}`)
	c.wantDenied(`{"type":"subscribe","id":1,"channel":"talk"}`)
	c.wantDenied(`{"type":"connect","id":1,"payload":{"user":"ada"}}`)
	c.wantDenied(`{"type":"call","id":1,"method":"sum"}`)
	c.send(`{"type":"connect","id":2,"payload":{"token":"t"}}`)
	c.want(`"id":2,"error":{"code":1402`) // others have seen it without a name

	late := w.connect()
	late.send(`{"type":"connect","id":2,"payload":{"token":"t"}}`)
	late.want(`"id":2,"payload":{"session"`)
	late.wantDone(`{"type":"subscribe","id":1,"channel":"staff"}`)
	late.wantDone(`{"type":"publish","id":1,"channel":"talk","payload":1}`)

	bad := w.connect()
	bad.send(`{"type":"connect","id":2,"payload":{"token":"bad"}}`)
	bad.wantClosed(dialect.CloseUnauthenticated)
}

func TestRevocations(t *testing.T) {
	known := grants{"a1": may(t, "ada", "a=subscribe b=subscribe"), "a2": may(t, "ada", "a=subscribe b=subscribe"), "b": may(t, "bob", "a=subscribe")}
	known["a1"].Token, known["a2"].Token = "id1", "id2"
	fresh := *known["a1"]
	fresh.Token, fresh.Issued = "id3", time.UnixMilli(1_795_000_001_000)
	known["fresh"] = &fresh
	for _, test := range []struct {
		name string
		r    Revocation
		ends string // which of the sessions
	}{
		{"token", Revocation{Token: "id1"}, "a1"},
		{"user", Revocation{User: "ada"}, "a1 a2"},
		{"older of a user", Revocation{User: "ada", Before: time.UnixMilli(1_795_000_000_000 - 61_000)}, ""},
		{"all", Revocation{All: true}, "a1 a2 b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := closedDoors(t, known)
			w.node.Start()
			w.settle()
			sessions := make(map[string]*client)
			for _, token := range []string{"a1", "a2", "b", "fresh"} {
				sessions[token] = w.proven(token)
			}
			if err := w.node.Revoke(context.Background(), test.r); err != nil {
				t.Fatal(err)
			}
			w.settle()
			for token, c := range sessions {
				want := dialect.Code(0)
				if strings.Contains(" "+test.ends+" ", " "+token+" ") {
					want = dialect.CloseRevoked
				}
				t.Log(token)
				c.wantClosed(want)
				w.prove(token).wantClosed(want)
			}
		})
	}
}

func TestARevocationOfChannelsNarrows(t *testing.T) {
	w := closedDoors(t, grants{"a": may(t, "ada", "chat:*=*"), "b": may(t, "bob", "chat:*=*")})
	w.node.Start()
	w.settle()
	a, b := w.proven("a"), w.proven("b")
	for _, c := range []*client{a, b} {
		c.subscribe("chat:staff", `{}`)
		c.subscribe("chat:lobby", `{}`)
	}
	if err := w.node.Revoke(context.Background(), Revocation{User: "ada", Channels: []string{"chat:staff"}, For: time.Minute}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	a.want(`{"type":"unsubscribed","channel":"chat:staff"`)
	b.want()
	a.wantDenied(`{"type":"publish","id":1,"channel":"chat:staff","payload":1}`)
	again := w.proven("a")
	again.wantDenied(`{"type":"subscribe","id":1,"channel":"chat:staff"}`)
	again.wantDone(`{"type":"subscribe","id":1,"channel":"chat:lobby"}`)
	w.pass(3 * time.Minute)
	if n := w.node.revoked.count.Load(); n != 0 {
		t.Errorf("%d revocations are in force when their time is over", n)
	}
	w.proven("a").wantDone(`{"type":"subscribe","id":1,"channel":"chat:staff"}`)
}

func TestRevocationsAreOfOneThing(t *testing.T) {
	w := closedDoors(t, grants{})
	for _, r := range []Revocation{
		{}, {Token: "a", User: "b"}, {All: true, User: "a"}, {Channels: []string{"a"}}, {Token: "a", Before: w.now},
		{User: "a", Channels: []string{"a:**"}}, {User: "a", Channels: []string{"a"}, Before: w.now},
	} {
		if err := w.node.Revoke(context.Background(), r); err == nil {
			t.Errorf("%+v is taken", r)
		}
	}
}

func TestAUserHasSoManySessions(t *testing.T) {
	w := closedDoors(t, grants{"t": may(t, "ada", "a=subscribe"), "b": may(t, "bob", "a=subscribe")})
	w.node.cfg.Limits.SessionsPerUser = 2
	first, second := w.proven("t"), w.proven("t")
	for _, refused := range []*client{w.prove("t"), w.dialProof(&Proof{Kind: ProofToken, Secret: "ask:t"})} {
		refused.wantClosed(dialect.CloseLimitReached)
		refused.Closed(4006, "")
	}
	w.proven("b")
	second.send(`{"type":"connect","id":1,"payload":{"token":"t"}}`) // renewed, not counted again
	second.want(`"type":"reply","id":1`)
	first.Closed(1000, "")
	w.proven("t")
}

func TestProofsThatAreDecidedAboutAreBounded(t *testing.T) {
	w := closedDoors(t, grants{"t": may(t, "ada", "a=subscribe")})
	w.node.cfg.Limits.Unproved = 2
	var waiting []*client
	for range 3 {
		c := &client{w: w, reading: true}
		codec, _, _ := native.New().Open(dialect.Handshake{})
		c.Session = w.node.Shard(0).Open(Handshake{Line: c, Codec: codec, Framing: lengths{}, Proof: &Proof{Secret: "ask:t"}, Address: "192.0.2.1:5"})
		waiting = append(waiting, c)
	}
	waiting[0].wantClosed(dialect.CloseRateLimited)
	w.settle()
	for _, c := range waiting[1:] {
		c.want(`"type":"connected"`)
	}
	if n := w.node.Shard(0).unproved.Len(); n != 0 {
		t.Errorf("%d sessions are still to prove who they are", n)
	}
}

// TestARevocationReachesEveryNode revokes on one node what was proved to another, before and after.
func TestARevocationReachesEveryNode(t *testing.T) {
	known := grants{"t": may(t, "ada", "a=subscribe")}
	c := newCluster(t, 2, func(cfg *Config) { cfg.Anonymous, cfg.Authenticator = false, known })
	for _, w := range c.nodes {
		w.node.Start()
	}
	far := c.nodes[1].prove("t")
	c.pass(time.Second)
	if err := c.nodes[0].node.Revoke(context.Background(), Revocation{User: "ada"}); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Second)
	far.wantClosed(dialect.CloseRevoked)
	again := c.nodes[1].prove("t")
	c.settle()
	again.wantClosed(dialect.CloseRevoked)
}
