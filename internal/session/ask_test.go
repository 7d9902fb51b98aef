package session

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

// asker notes what it is asked, and answers by channel. What it has no answer for is allowed.
type asker struct {
	asked     []string
	subscribe map[string]func(SubscribeQuestion) (SubscribeAnswer, *dialect.Error)
	publish   map[string]func(PublishQuestion) (PublishAnswer, *dialect.Error)
	ended     bool // a question whose context had ended
}

func (a *asker) Subscribe(ctx context.Context, q SubscribeQuestion) (answer SubscribeAnswer, err *dialect.Error) {
	a.asked = append(a.asked, "subscribe "+q.Channel)
	a.ended = a.ended || ctx.Err() != nil
	if f := a.subscribe[q.Channel]; f != nil {
		return f(q)
	}
	return answer, nil
}

func (a *asker) Publish(ctx context.Context, q PublishQuestion) (answer PublishAnswer, err *dialect.Error) {
	a.asked = append(a.asked, fmt.Sprintf("publish %s %s", q.Channel, q.Payload))
	a.ended = a.ended || ctx.Err() != nil
	if f := a.publish[q.Channel]; f != nil {
		return f(q)
	}
	return answer, nil
}

func (a *asker) onSubscribe(channel string, f func(SubscribeQuestion) (SubscribeAnswer, *dialect.Error)) {
	if a.subscribe == nil {
		a.subscribe = make(map[string]func(SubscribeQuestion) (SubscribeAnswer, *dialect.Error))
	}
	a.subscribe[channel] = f
}

func (a *asker) onPublish(channel string, f func(PublishQuestion) (PublishAnswer, *dialect.Error)) {
	if a.publish == nil {
		a.publish = make(map[string]func(PublishQuestion) (PublishAnswer, *dialect.Error))
	}
	a.publish[channel] = f
}

// wantAsked wants these questions, and forgets them.
func (a *asker) wantAsked(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(a.asked, "; "); got != strings.Join(want, "; ") {
		t.Errorf("asked about %s, want %s", got, strings.Join(want, "; "))
	}
	a.asked = nil
}

// inquiring is a node that asks about the channels ask:*, and lets everybody in.
func inquiring(t testing.TB, change func(*Config)) (*world, *asker) {
	t.Helper()
	a := &asker{}
	return newWorld(t, func(c *Config) {
		set, err := rule.Compile([]rule.Rule{
			{Pattern: "ask:>", Ask: rule.CanSubscribe | rule.CanPublish, History: rule.History{Count: 1000}, Presence: true},
		}, rule.Rule{History: rule.History{Count: 1000}})
		if err != nil {
			t.Fatal(err)
		}
		c.Rules, c.Asker = set, a
		if change != nil {
			change(c)
		}
	}), a
}

// payloads are those of a channel's log, in order.
func (w *world) payloads(channel string) string {
	w.t.Helper()
	page, err := w.broker.Read(context.Background(), channel, broker.Query{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, e := range page.Entries {
		all = append(all, string(e.Payload))
	}
	return strings.Join(all, " ")
}

// wantNow wants one message, before anything else is run.
func (c *client) wantNow(part string) {
	c.w.t.Helper()
	b := c.Pull()
	c.stream = append(c.stream, b...)
	c.Sent(len(b))
	if got := c.messages(); len(got) != 1 || !strings.Contains(got[0], part) {
		c.w.t.Errorf("got %s, want %s", got, part)
	}
}

func denies(code dialect.Code, name, message string) *dialect.Error {
	return &dialect.Error{Code: code, Name: name, Message: message}
}

// TestPublishesThatAreAskedAboutKeepTheirOrder sends many before the first is answered.
func TestPublishesThatAreAskedAboutKeepTheirOrder(t *testing.T) {
	w, a := inquiring(t, nil)
	a.onPublish("ask:a", func(q PublishQuestion) (PublishAnswer, *dialect.Error) {
		if n := len(w.tasks.fns); n != 0 {
			t.Errorf("%d more questions are under way", n)
		}
		if string(q.Payload) == "2" {
			return PublishAnswer{}, denies(10_007, "slow_mode", "wait a little")
		}
		return PublishAnswer{}, nil
	})
	c := w.connect()
	for i := range 5 {
		c.Receive(fmt.Appendf(nil, `{"type":"publish","id":%d,"channel":"ask:a","payload":%d}`, i, i))
	}
	c.Receive([]byte(`{"type":"publish","id":9,"channel":"b","payload":9}`))
	c.wantNow(`"type":"reply","id":9`)
	if n := len(w.tasks.fns); n != 1 {
		t.Fatalf("%d questions are under way, want 1", n)
	}
	w.settle()
	c.want(`"type":"reply","id":0`, `"type":"reply","id":1`, `"id":2,"channel":"ask:a","error":{"code":10007,"name":"slow_mode","message":"wait a little"`,
		`"type":"reply","id":3`, `"type":"reply","id":4`)
	if got := w.payloads("ask:a"); got != "0 1 3 4" {
		t.Errorf("the log holds %s", got)
	}
	a.wantAsked(t, "publish ask:a 0", "publish ask:a 1", "publish ask:a 2", "publish ask:a 3", "publish ask:a 4")
	if c.open != nil {
		t.Error("something is held for requests that are answered")
	}
}

func TestWhatIsAskedAboutAPublish(t *testing.T) {
	w, a := inquiring(t, nil)
	var got PublishQuestion
	a.onPublish("ask:a", func(q PublishQuestion) (PublishAnswer, *dialect.Error) { got = q; return PublishAnswer{}, nil })
	c := w.dial(dialect.Command{Verb: dialect.Connect, Connect: &dialect.ConnectArgs{User: "ada"}})
	c.take()
	c.wantDone(`{"type":"publish","id":1,"channel":"ask:a","key":"k","op":"append","payload":"AP8=","encoding":"base64","tags":{"a":"b"}}`)
	if got.Session != c.Name() || got.User != "ada" || got.Address != "192.0.2.1:5" || got.Channel != "ask:a" || got.Key != "k" ||
		got.Op != broker.Append || string(got.Payload) != "\x00\xff" || got.Format != broker.Binary || got.Tags["a"] != "b" {
		t.Errorf("asked about %+v", got)
	}
}

func TestAPublishIsChanged(t *testing.T) {
	w, a := inquiring(t, func(c *Config) { c.Limits.MessageBytes = 1 << 10 })
	var answer PublishAnswer
	a.onPublish("ask:a", func(PublishQuestion) (PublishAnswer, *dialect.Error) { return answer, nil })
	c := w.connect()
	c.subscribe("ask:a", `{}`)
	for _, test := range []struct {
		answer PublishAnswer
		want   string
	}{
		{PublishAnswer{Payload: []byte(`{"text":"***"}`)}, `"payload":{"text":"***"},"from":{"user":"","session":"` + c.Name() + `"},"tags":{"a":"b"}`},
		{PublishAnswer{Payload: []byte("null"), Tags: map[string]string{}}, `"payload":null,"from":{"user":"","session":"` + c.Name() + `"}}`},
		{PublishAnswer{Tags: map[string]string{"c": "d"}}, `"payload":1,"from":{"user":"","session":"` + c.Name() + `"},"tags":{"c":"d"}`},
		{PublishAnswer{Payload: []byte{255}, Format: broker.Binary}, `"payload":"/w==","encoding":"base64"`},
	} {
		answer = test.answer
		c.send(`{"type":"publish","id":1,"channel":"ask:a","payload":1,"tags":{"a":"b"}}`)
		c.want(`"type":"reply","id":1`, test.want)
	}
	for _, bad := range []string{`{`, `1,"x":2`, `{"a":1,"a":2}`, `"` + strings.Repeat("x", 1<<10) + `"`} {
		answer = PublishAnswer{Payload: []byte(bad)}
		c.send(`{"type":"publish","id":1,"channel":"ask:a","payload":1}`)
		c.want(`"id":1,"channel":"ask:a","error":{"code":1500`)
	}
	if n := strings.Count(w.log.String(), "an answer about a channel cannot be used"); n != 4 {
		t.Errorf("the log tells of %d answers:\n%s", n, w.log.String())
	}
}

// TestAnAnswerFitsTheSchemaOfItsChannel has the application answer what a client could not send.
func TestAnAnswerFitsTheSchemaOfItsChannel(t *testing.T) {
	w, a := inquiring(t, func(c *Config) {
		rules := []rule.Rule{{Pattern: "ask:>", Ask: rule.CanPublish, Schema: `{"type":"number"}`, History: rule.History{Count: 10}}}
		set, err := rule.Compile(rules, rule.Rule{})
		if err != nil {
			t.Fatal(err)
		}
		if c.Schemas, err = CompileSchemas(rules, rule.Rule{}); err != nil {
			t.Fatal(err)
		}
		c.Rules = set
	})
	c := w.connect()
	c.send(`{"type":"publish","id":1,"channel":"ask:a","payload":"text"}`)
	c.want(`"id":1,"channel":"ask:a","error":{"code":1114`)
	a.wantAsked(t)
	for _, bad := range []PublishAnswer{{Payload: []byte(`"text"`)}, {Payload: []byte{255}, Format: broker.Binary}, {Payload: []byte(`1 2`)}} {
		a.onPublish("ask:a", func(PublishQuestion) (PublishAnswer, *dialect.Error) { return bad, nil })
		c.send(`{"type":"publish","id":1,"channel":"ask:a","payload":1}`)
		c.want(`"id":1,"channel":"ask:a","error":{"code":1500`)
	}
	a.onPublish("ask:a", func(PublishQuestion) (PublishAnswer, *dialect.Error) { return PublishAnswer{Payload: []byte("2")}, nil })
	c.wantDone(`{"type":"publish","id":1,"channel":"ask:a","payload":1}`)
	if got := w.payloads("ask:a"); got != "2" || !strings.Contains(w.log.String(), "does not fit the schema") {
		t.Errorf("the log holds %s; that of the node says\n%s", got, w.log.String())
	}
}

func TestOnlyWhatIsPermittedIsAskedAbout(t *testing.T) {
	a := &asker{}
	w := closedDoors(t, grants{"t": may(t, "ada", "ask=subscribe,publish"), "less": may(t, "ada", "ask=subscribe"), "none": may(t, "ada", "")},
		rule.Rule{Pattern: "ask:>", Ask: rule.CanSubscribe | rule.CanPublish},
		rule.Rule{Pattern: "ask", Ask: rule.CanSubscribe | rule.CanPublish})
	w.node.cfg.Asker = a
	c := w.proven("t")
	c.wantDenied(`{"type":"publish","id":1,"channel":"ask:b","payload":1}`)
	c.wantDenied(`{"type":"subscribe","id":1,"channel":"ask:b"}`)
	c.send(`{"type":"publish","id":1,"channel":"ask","payload":1,"seq":1}`)
	c.want(`"code":1101`)
	a.wantAsked(t)
	// What is permitted when it is asked about need not be when there is an answer.
	c.Receive([]byte(`{"type":"publish","id":1,"channel":"ask","payload":1}`))
	c.Receive([]byte(`{"type":"connect","id":2,"payload":{"token":"less"}}`))
	w.settle()
	c.want(`"type":"reply","id":2`, `"id":1,"channel":"ask","error":{"code":1403,"name":"permission_denied"`)
	c.Receive([]byte(`{"type":"subscribe","id":1,"channel":"ask"}`))
	c.Receive([]byte(`{"type":"connect","id":2,"payload":{"token":"none"}}`))
	w.settle()
	c.want(`"type":"reply","id":2`, `"id":1,"channel":"ask","error":{"code":1403,"name":"permission_denied"`)
	a.wantAsked(t, "publish ask 1", "subscribe ask")
	if got := w.payloads("ask"); got != "" || len(c.subs) != 0 {
		t.Errorf("%q was published, with %d subscriptions", got, len(c.subs))
	}
}

func TestASubscriptionThatIsAskedAbout(t *testing.T) {
	w, a := inquiring(t, nil)
	var got SubscribeQuestion
	a.onSubscribe("ask:a", func(q SubscribeQuestion) (SubscribeAnswer, *dialect.Error) { got = q; return SubscribeAnswer{}, nil })
	a.onSubscribe("ask:no", func(SubscribeQuestion) (SubscribeAnswer, *dialect.Error) {
		return SubscribeAnswer{}, denies(dialect.PermissionDenied, "permission_denied", "ada is not on the list")
	})
	a.onSubscribe("ask:down", func(SubscribeQuestion) (SubscribeAnswer, *dialect.Error) {
		return SubscribeAnswer{}, &dialect.Error{Code: dialect.Unavailable, Name: "unavailable", Message: "later", RetryAfter: time.Second}
	})
	c := w.connect()
	// What comes behind it for the channel waits, and for others does not.
	c.Receive([]byte(`{"type":"subscribe","id":1,"channel":"ask:a","payload":{"presence":"watch","filter":{"lang":"en"}}}`))
	c.Receive([]byte(`{"type":"publish","id":2,"channel":"ask:a","payload":1,"tags":{"lang":"en"}}`))
	c.Receive([]byte(`{"type":"publish","id":3,"channel":"b","payload":1}`))
	c.wantNow(`"type":"reply","id":3`)
	w.settle()
	c.want(`"type":"reply","id":1,"channel":"ask:a"`, `"type":"reply","id":2`, `"type":"message","channel":"ask:a"`)
	if got.Presence != dialect.PresenceWatch || len(got.Filter) != 1 || got.Session != c.Name() || got.Channel != "ask:a" {
		t.Errorf("asked about %+v", got)
	}
	c.send(`{"type":"subscribe","id":1,"channel":"ask:no"}`, `{"type":"subscribe","id":2,"channel":"ask:down"}`, `{"type":"unsubscribe","id":3,"channel":"ask:no"}`)
	c.want(`"id":1,"channel":"ask:no","error":{"code":1403,"name":"permission_denied","message":"ada is not on the list"`,
		`"id":3,"channel":"ask:no","error":{"code":1405`, `"id":2,"channel":"ask:down","error":{"code":1504,"name":"unavailable","message":"later","retry_after_ms":1000`)
	if len(c.subs) != 1 || c.open != nil {
		t.Errorf("there are %d subscriptions", len(c.subs))
	}
}

func TestAnAnswerGivesCapabilitiesAndInfo(t *testing.T) {
	a := &asker{}
	w := closedDoors(t, grants{"t": may(t, "ada", "a=subscribe"), "watcher": may(t, "bob", "ask:a=subscribe,presence ask:b=subscribe,presence")},
		rule.Rule{Pattern: "ask:>", Ask: rule.CanSubscribe, AllowAnonymous: rule.CanSubscribe, Presence: true, History: rule.History{Count: 10}})
	w.node.cfg.Asker = a
	give := SubscribeAnswer{
		Capabilities: map[string][]string{"ask:a": {"publish", "presence"}, "inbox:{user}": {"subscribe"}}, Info: []byte(`{"role":"host"}`),
	}
	a.onSubscribe("ask:a", func(q SubscribeQuestion) (SubscribeAnswer, *dialect.Error) {
		if q.User == "bob" {
			return SubscribeAnswer{}, nil
		}
		return give, nil
	})
	bob := w.proven("watcher")
	bob.subscribe("ask:a", `{"presence":"watch"}`)
	c := w.proven("t")
	c.wantDenied(`{"type":"publish","id":1,"channel":"ask:a","payload":1}`)
	c.wantDenied(`{"type":"subscribe","id":1,"channel":"inbox:ada"}`)
	c.wantDenied(`{"type":"subscribe","id":1,"channel":"ask:a","payload":{"presence":true}}`) // before it is asked about
	c.wantDone(`{"type":"subscribe","id":1,"channel":"ask:a"}`)
	c.wantDone(`{"type":"unsubscribe","id":1,"channel":"ask:a"}`)
	c.subscribe("ask:a", `{"presence":true}`)
	bob.want(`{"type":"join","channel":"ask:a","epoch"`)
	if page, err := w.node.Members(context.Background(), "ask:a", &dialect.PresenceArgs{}); err != nil || len(page.Members) != 1 || string(page.Members[0].Payload) != `{"role":"host"}` {
		t.Errorf("the members are %v %+v", err, page)
	}
	c.send(`{"type":"publish","id":1,"channel":"ask:a","payload":1,"echo":false}`)
	c.want(`"type":"reply","id":1`)
	bob.want(`"type":"message","channel":"ask:a"`)
	c.wantDone(`{"type":"subscribe","id":1,"channel":"inbox:ada"}`)
	c.wantDenied(`{"type":"subscribe","id":1,"channel":"inbox:bob"}`)
	// They stay when the token is refreshed, and end with the session.
	c.send(`{"type":"connect","id":2,"payload":{"token":"t"}}`)
	c.want(`"type":"reply","id":2`)
	c.wantDone(`{"type":"publish","id":1,"channel":"ask:a","payload":1,"echo":false}`)
	w.proven("t").wantDenied(`{"type":"publish","id":1,"channel":"ask:a","payload":1}`)
	// Proof is not needed for them; and who was asked about stays who it is.
	give.Info = nil
	nobody := w.connect()
	nobody.wantDone(`{"type":"subscribe","id":1,"channel":"ask:a"}`)
	nobody.wantDone(`{"type":"unsubscribe","id":1,"channel":"ask:a"}`)
	nobody.send(`{"type":"connect","id":2,"payload":{"token":"t"}}`)
	nobody.want(`"id":2,"error":{"code":1402`)
	nobody.wantDone(`{"type":"publish","id":1,"channel":"ask:a","payload":1}`)
}

func TestAnswersAboutSubscriptionsThatAreWrong(t *testing.T) {
	w, a := inquiring(t, func(c *Config) { c.Limits.InfoBytes = 10 })
	many := make(map[string][]string)
	for i := range rule.MaxCapabilities + 1 {
		many[fmt.Sprint("c", i)] = nil
	}
	c := w.connect()
	for _, bad := range []SubscribeAnswer{
		{Info: []byte(`{"a":1`)}, {Info: []byte(`"more than 10"`)}, {Capabilities: map[string][]string{"a": {"fly"}}}, {Capabilities: many},
	} {
		a.onSubscribe("ask:a", func(SubscribeQuestion) (SubscribeAnswer, *dialect.Error) { return bad, nil })
		c.send(`{"type":"subscribe","id":1,"channel":"ask:a"}`)
		c.want(`"id":1,"channel":"ask:a","error":{"code":1500`)
	}
	if len(c.subs) != 0 || c.who.given != nil {
		t.Error("something was taken over")
	}
}

func TestQuestionsEndWithTheSession(t *testing.T) {
	w, a := inquiring(t, nil)
	c := w.connect()
	c.Receive([]byte(`{"type":"publish","id":1,"channel":"ask:a","payload":1}`))
	c.Receive([]byte(`{"type":"publish","id":2,"channel":"ask:a","payload":2}`))
	c.Receive([]byte(`{"type":"subscribe","id":3,"channel":"ask:b"}`))
	c.Closed(1006, "")
	w.settle()
	a.wantAsked(t, "publish ask:a 1", "subscribe ask:b")
	if !a.ended {
		t.Error("the context has not ended")
	}
	// One that is about to end publishes nothing more, and asks nothing more.
	c = w.connect()
	c.Receive([]byte(`{"type":"publish","id":1,"channel":"ask:a","payload":1}`))
	c.Receive([]byte(`{"type":"publish","id":2,"channel":"ask:a","payload":2}`))
	c.Stop()
	w.settle()
	a.wantAsked(t, "publish ask:a 1")
	if got := w.payloads("ask:a"); got != "" {
		t.Errorf("the log holds %s", got)
	}
}

func TestASessionAsksOnlySoMuchAtOnce(t *testing.T) {
	w, a := inquiring(t, nil)
	c := w.connect()
	for i := range 3 * maxAsking {
		c.Receive(fmt.Appendf(nil, `{"type":"subscribe","id":%d,"channel":"ask:%d"}`, i, i))
	}
	if n := len(w.tasks.fns); n != maxAsking {
		t.Errorf("%d questions are under way", n)
	}
	w.settle()
	if got := c.take(); len(got) != 3*maxAsking || len(a.asked) != 3*maxAsking {
		t.Errorf("%d answers to %d questions", len(got), len(a.asked))
	}
	w.refuse = true
	c.send(`{"type":"publish","id":1,"channel":"ask:0","payload":1}`, `{"type":"subscribe","id":2,"channel":"ask:new"}`)
	c.want(`"id":1,"channel":"ask:0","error":{"code":1503,"name":"busy"`, `"id":2,"channel":"ask:new","error":{"code":1503`)
	if c.open != nil {
		t.Error("something is held for requests that are answered")
	}
}

// TestWhatWaitsForAnswersIsBounded sends large messages while nothing is answered.
func TestWhatWaitsForAnswersIsBounded(t *testing.T) {
	w, _ := inquiring(t, nil)
	for _, first := range []string{`{"type":"publish","channel":"ask:a","payload":1}`, `{"type":"subscribe","channel":"ask:a"}`} {
		c := w.connect()
		c.Receive([]byte(first))
		for range 30 {
			c.Receive([]byte(`{"type":"publish","channel":"ask:a","payload":"` + strings.Repeat("x", 50<<10) + `"}`))
		}
		if c.open.waits.held > heldMessages*64<<10 {
			t.Errorf("%d bytes wait", c.open.waits.held)
		}
		got := strings.Join(c.take(), "\n")
		if n := strings.Count(got, `"code":1503,"name":"busy"`); n < 24 || n > 26 {
			t.Errorf("%d are told that too much waits", n)
		}
		if c.open != nil {
			t.Error("something is held for requests that are answered")
		}
	}
}

// TestRoomIsGivenBackWhileOthersWait has one question answered late.
func TestRoomIsGivenBackWhileOthersWait(t *testing.T) {
	w, _ := inquiring(t, nil)
	c := w.connect()
	c.Receive([]byte(`{"type":"subscribe","channel":"ask:late"}`))
	late := w.tasks.fns[0]
	w.tasks.fns = nil
	c.send(`{"type":"publish","channel":"ask:a","payload":1}`, `{"type":"publish","channel":"ask:late","payload":2}`)
	if c.open.count != 2 || c.open.waits.held != commandBytes+1 {
		t.Errorf("%d requests hold %d bytes", c.open.count, c.open.waits.held)
	}
	w.tasks.Post(late)
	w.settle()
	if got := w.payloads("ask:late"); got != "2" || c.open != nil {
		t.Errorf("the log holds %s", got)
	}
}

func TestAPanicOfAnAskerCostsItsSession(t *testing.T) {
	w, a := inquiring(t, nil)
	a.onPublish("ask:a", func(PublishQuestion) (PublishAnswer, *dialect.Error) { panic("oh") })
	c, other := w.connect(), w.connect()
	c.send(`{"type":"publish","id":1,"channel":"ask:a","payload":1}`)
	c.wantClosed(dialect.CloseInternal)
	other.wantDone(`{"type":"publish","id":1,"channel":"ask:b","payload":1}`)
	if !strings.Contains(w.log.String(), "oh") {
		t.Errorf("the log says nothing of it:\n%s", w.log.String())
	}
}

func TestWithoutAnAskerWhatIsAskedAboutIsRefused(t *testing.T) {
	w, _ := inquiring(t, func(c *Config) { c.Asker = nil })
	c := w.connect()
	c.send(`{"type":"publish","id":1,"channel":"ask:a","payload":1}`, `{"type":"subscribe","id":2,"channel":"ask:a"}`)
	c.want(`"id":1,"channel":"ask:a","error":{"code":1501`, `"id":2,"channel":"ask:a","error":{"code":1501`)
}
