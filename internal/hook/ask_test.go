package hook

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/session"
)

// TestWhatIsAsked looks at each kind of question as a back end sees it.
func TestWhatIsAsked(t *testing.T) {
	other := []byte("the secret that comes next")
	var got string
	b := ask(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for _, s := range [][]byte{secret, other} {
			if err := Verify(r.Header, body, s, begin); err != nil {
				t.Errorf("%s: %v", body, err)
			}
		}
		id := r.Header.Get("Idempotency-Key")
		if r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" || r.UserAgent() != "Hocket/test" || len(id) < 26 {
			t.Errorf("%s with %v", r.Method, r.Header)
		}
		got = strings.Replace(string(body), id, "ID", 1)
		io.WriteString(w, `{"allow":true,"more":[]}`)
	}, func(c *Config) {
		c.Secrets = append(c.Secrets, other)
		c.Forward = []string{"user-agent", "X-None", "Accept-Language"}
	})
	want := func(question string) {
		t.Helper()
		if got != question {
			t.Errorf("asked\n%s\nwant\n%s", got, question)
		}
	}
	header := http.Header{"Cookie": {"a=1", "b=2"}, "User-Agent": {"Me \"too\""}, "Accept-Language": {"de", "en"}, "Authorization": {"Bearer t"}}
	ctx := t.Context()
	b.Authenticate(ctx, &session.Proof{Kind: session.ProofToken, Secret: "t", Address: "192.0.2.1:5", Origin: "https://a.example", Header: header})
	want(`{"hook":"authenticate","id":"ID","node":"n1","token":"t","address":"192.0.2.1","origin":"https://a.example",` +
		`"headers":{"User-Agent":"Me \"too\"","Accept-Language":"de, en"}}`)
	b.Authenticate(ctx, &session.Proof{Kind: session.ProofCookie, Address: "[::ffff:192.0.2.1]:5", Header: header})
	want(`{"hook":"authenticate","id":"ID","node":"n1","cookie":"a=1; b=2","address":"192.0.2.1","headers":{"User-Agent":"Me \"too\"","Accept-Language":"de, en"}}`)
	who := session.Asking{Session: "s1", User: "ada", Address: "[2001:db8::1]:5", Channel: "chat:a"}
	b.Subscribe(ctx, session.SubscribeQuestion{Asking: who})
	want(`{"hook":"subscribe","id":"ID","node":"n1","session":"s1","user":"ada","address":"2001:db8::1","channel":"chat:a"}`)
	b.Subscribe(ctx, session.SubscribeQuestion{Asking: session.Asking{Session: "s1", Channel: "c"}, Presence: dialect.PresenceMember,
		Filter: dialect.Filter{{Name: "kind", Values: []string{"a", "b"}}, {Name: "lang", Values: []string{"en"}}}})
	want(`{"hook":"subscribe","id":"ID","node":"n1","session":"s1","channel":"c","presence":true,"filter":{"kind":["a","b"],"lang":["en"]}}`)
	b.Subscribe(ctx, session.SubscribeQuestion{Asking: who, Presence: dialect.PresenceWatch})
	want(`{"hook":"subscribe","id":"ID","node":"n1","session":"s1","user":"ada","address":"2001:db8::1","channel":"chat:a","presence":"watch"}`)
	b.Publish(ctx, session.PublishQuestion{Asking: who, Key: "k", Op: broker.Append, Payload: []byte(`[1]`), Tags: map[string]string{"b": "2", "a": "1"}})
	want(`{"hook":"publish","id":"ID","node":"n1","session":"s1","user":"ada","address":"2001:db8::1","channel":"chat:a","key":"k","op":"append","payload":[1],"tags":{"a":"1","b":"2"}}`)
	b.Publish(ctx, session.PublishQuestion{Asking: who, Payload: []byte{0, 255}, Format: broker.Binary})
	want(`{"hook":"publish","id":"ID","node":"n1","session":"s1","user":"ada","address":"2001:db8::1","channel":"chat:a","payload":"AP8=","encoding":"base64"}`)
	b.Publish(ctx, session.PublishQuestion{Asking: who, Key: "k", Op: broker.Delete})
	want(`{"hook":"publish","id":"ID","node":"n1","session":"s1","user":"ada","address":"2001:db8::1","channel":"chat:a","key":"k","op":"delete"}`)
}

func TestWhatIsAnswered(t *testing.T) {
	var answer string
	b := ask(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }, nil)
	answer = `{"allow":true,"user":"ada","info":{"name":"Ada"},"capabilities":{"inbox:{user}":["subscribe","subscribes 5/s"]},"expires_at":1795000009000,"token_id":"7"}`
	g, err := b.Authenticate(t.Context(), &session.Proof{Kind: session.ProofToken, Secret: "t"})
	if err != nil {
		t.Fatal(err)
	}
	lists := g.Capabilities.Lists()
	g.Capabilities = nil
	want := &session.Grant{User: "ada", Info: []byte(`{"name":"Ada"}`), Expires: time.UnixMilli(1_795_000_009_000), Issued: begin, Token: "7"}
	if diff := cmp.Diff(want, g) + cmp.Diff(map[string][]string{"inbox:{user}": {"subscribe", "subscribes 5/s"}}, lists); diff != "" {
		t.Error(diff)
	}
	answer = `{"allow":true,"info":1,"capabilities":{"a":["publish"]}}`
	s, err := b.Subscribe(t.Context(), session.SubscribeQuestion{})
	if diff := cmp.Diff(session.SubscribeAnswer{Info: []byte("1"), Capabilities: map[string][]string{"a": {"publish"}}}, s); diff != "" || err != nil {
		t.Error(err, diff)
	}
	answer = `{"allow":true,"payload":null,"tags":{"a":"1"}}`
	p, err := b.Publish(t.Context(), session.PublishQuestion{})
	if diff := cmp.Diff(session.PublishAnswer{Payload: []byte("null"), Tags: map[string]string{"a": "1"}}, p); diff != "" || err != nil {
		t.Error(err, diff)
	}
	answer = `{"deny":{"code":10001,"name":"slow_mode","message":"wait a little","retry_after_ms":500}}`
	_, err = b.Publish(t.Context(), session.PublishQuestion{})
	if diff := cmp.Diff(&dialect.Error{Code: 10001, Name: "slow_mode", Message: "wait a little", RetryAfter: 500 * time.Millisecond}, err); diff != "" {
		t.Error(diff)
	}
	if n := b.Counters(Publish); n.ByOutcome[Allowed].Load() != 1 || n.ByOutcome[Denied].Load() != 1 {
		t.Error("what was allowed and denied is not counted")
	}
}

// TestWhatDoesNotHelp has answers that say nothing that counts. Only those of a back end that is down leave it to the
// configuration.
func TestWhatDoesNotHelp(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   Outcome
	}{
		"503":           {says(503, `{"allow":true}`), Down},
		"500":           {says(500, ""), Down},
		"429":           {says(429, ""), Down},
		"201":           {says(201, `{"allow":true}`), Invalid},
		"404":           {says(404, `{"allow":true}`), Invalid},
		"401":           {says(401, ""), Invalid},
		"nothing":       {says(200, ""), Invalid},
		"a page":        {says(200, "<html>"), Invalid},
		"two objects":   {says(200, `{"allow":true}{}`), Invalid},
		"a field twice": {says(200, `{"allow":false,"allow":true}`), Invalid},
		"too much":      {says(200, `{"allow":true,"x":"`+strings.Repeat("x", maxAnswer)+`"}`), Invalid},
		"a capability":  {says(200, `{"allow":true,"capabilities":{"a":["fly"]}}`), Allowed},
		"a broken line": {func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, Down},
		"no more than half": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"allow":tr`)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, Down},
	} {
		t.Run(name, func(t *testing.T) {
			b := ask(t, test.answer, nil)
			if test.want == Allowed { // of a publish capabilities say nothing
				b.wantAllowed()
				if _, err := b.Subscribe(t.Context(), session.SubscribeQuestion{}); err == nil || err.Code != dialect.Unavailable {
					t.Error(err)
				}
				return
			}
			if err := b.wantRefused(dialect.Unavailable, test.want); err.RetryAfter == 0 {
				t.Error("the client is not told when to try again")
			}
			open := ask(t, test.answer, func(c *Config) { c.Publish.WhenDown = Allow })
			if test.want == Down {
				open.wantAllowed()
			} else {
				open.wantRefused(dialect.Unavailable, Invalid)
			}
		})
	}
}

func TestADeadlineHoldsForTheWholeAnswer(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no answer": hangs,
		"a slow one": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"allow":true`)
			http.NewResponseController(w).Flush()
			hangs(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := ask(t, h, func(c *Config) { c.Timeout = 50 * time.Millisecond })
			b.wantRefused(dialect.Unavailable, Down)
			if log := b.log.String(); !strings.Contains(log, "there was no whole answer within 50ms") {
				t.Errorf("the log is %s", log)
			}
		})
	}
}

func TestQuestionsAtOnceAreBounded(t *testing.T) {
	asked := make(chan struct{})
	b := ask(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-asked
		io.WriteString(w, `{"allow":true}`)
	}, func(c *Config) { c.Concurrent, c.Publish.WhenDown = 1, Allow })
	done := make(chan struct{})
	go func() {
		b.wantAllowed()
		close(done)
	}()
	<-asked
	b.wantRefused(dialect.Busy, Busy) // also where the back end may be down: a flood is no way in
	asked <- struct{}{}
	<-done
}

func TestAQuestionEndsWithItsSession(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan struct{})
	b := ask(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(asked)
		<-r.Context().Done()
		close(gone)
	}, func(c *Config) { c.Publish.WhenDown = Allow })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := b.Publish(ctx, session.PublishQuestion{}); err == nil {
		t.Error("it was allowed")
	}
	<-gone
	if n := b.Counters(Publish).ByOutcome[Cancelled].Load(); n != 1 || b.endpoints[Publish].circuit.silent != 0 {
		t.Errorf("counted as cancelled: %d", n)
	}
}

// TestABackEndThatIsDownIsNotWaitedFor counts how often one is asked that never answers.
func TestABackEndThatIsDownIsNotWaitedFor(t *testing.T) {
	asked, up := 0, false
	b := ask(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked++; !up {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, `{"allow":true}`)
	}, nil)
	for range 3 * silentMost {
		b.wantRefused(dialect.Unavailable, Down)
	}
	if asked != silentMost {
		t.Fatalf("asked %d times, want %d", asked, silentMost)
	}
	b.pass(retryAfter)
	b.wantRefused(dialect.Unavailable, Down)
	b.wantRefused(dialect.Unavailable, Down)
	if asked != silentMost+1 {
		t.Fatalf("asked %d times, want one more", asked)
	}
	up = true
	b.pass(retryAfter)
	b.wantAllowed()
	b.wantAllowed()
}

// TestAKeptConnectionThatHasEndedCostsNoAnswer has the back end close one just when it is asked over it.
func TestAKeptConnectionThatHasEndedCostsNoAnswer(t *testing.T) {
	var ids []string
	b := ask(t, func(w http.ResponseWriter, r *http.Request) {
		if ids = append(ids, r.Header.Get("Idempotency-Key")); len(ids) == 2 {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, `{"allow":true}`)
	}, nil)
	b.wantAllowed()
	b.wantAllowed()
	if len(ids) != 3 || ids[1] != ids[2] || ids[0] == ids[1] {
		t.Errorf("asked %d times, as %s", len(ids), ids)
	}
}

func TestAnAnswerKeepsTheCircuitClosed(t *testing.T) {
	var c circuit
	for i := range 10 * silentMost {
		if !c.ready(begin) {
			t.Fatal("it is open")
		}
		if c.unanswered(begin); i%(silentMost-1) == 0 {
			c.answered()
		}
	}
}

// TestNothingSecretIsLogged has each kind of failure happen, and looks for what must not be told.
func TestNothingSecretIsLogged(t *testing.T) {
	answers := []http.HandlerFunc{
		says(500, "in-the-answer"), says(200, "in-the-answer"), says(200, `{"allow":"in-the-answer"}`),
		says(200, `{"allow":true,"user":"in-the-answer:"}`), says(200, `{"allow":true,"capabilities":{"a":"in-the-answer"}}`),
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	next := 0
	b := ask(t, func(w http.ResponseWriter, r *http.Request) { answers[next](w, r) }, nil)
	for next = range answers {
		b.pass(time.Second)
		b.publish()
		b.pass(time.Second)
		b.Authenticate(t.Context(), &session.Proof{
			Kind: session.ProofToken, Secret: "in-the-token", Header: http.Header{"Cookie": {"in-the-cookie"}},
		})
	}
	log := b.log.String()
	if n := strings.Count(log, "\n"); n < len(answers) {
		t.Errorf("only %d lines:\n%s", n, log)
	}
	for _, part := range []string{"in-the-", string(secret)} {
		if strings.Contains(log, part) {
			t.Errorf("the log holds %q:\n%s", part, log)
		}
	}
}

func TestFailuresFillNoLog(t *testing.T) {
	b := ask(t, says(404, ""), nil)
	for range 50 {
		b.publish()
	}
	b.pass(time.Second)
	b.publish()
	if log := b.log.String(); strings.Count(log, "\n") != 2 || !strings.Contains(log, "more=49") {
		t.Errorf("the log says\n%s", log)
	}
}
