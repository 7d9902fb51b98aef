package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Tokens that a client makes or changes itself let nobody in, and the log and the answer tell nothing of them.
func TestAttackByTokens(t *testing.T) {
	n := startGuarded(t, "")
	public, err := os.ReadFile(testKeys + "rsa.pub.pem")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	claims := fmt.Sprintf(`{"sub":"admin","exp":%d}`, now.Add(time.Hour).Unix())
	good := forge(`{"alg":"HS256"}`, claims, attackSecret)
	unsigned := forge(`{"alg":"none"}`, claims, "")
	for what, test := range map[string]struct {
		token string
		code  int // the close code
	}{
		"signed with the public key": {forge(`{"alg":"HS256"}`, claims, string(public)), 4200},
		"RS256 with an HMAC":         {forge(`{"alg":"RS256"}`, claims, attackSecret), 4200},
		"none":                       {unsigned[:strings.LastIndexByte(unsigned, '.')+1], 4200},
		"none, signed":               {forge(`{"alg":"none"}`, claims, attackSecret), 4200},
		"a key of its own":           {forge(`{"alg":"HS256","jwk":{"kty":"oct","k":"bWluZQ"}}`, claims, "mine"), 4200},
		"another user":               {strings.Replace(good, good[strings.IndexByte(good, '.')+1:strings.LastIndexByte(good, '.')], "eyJzdWIiOiJyb290In0", 1), 4200},
		"expired":                    {forge(`{"alg":"HS256"}`, fmt.Sprintf(`{"sub":"admin","exp":%d}`, now.Add(-time.Hour).Unix()), attackSecret), 4100},
		"not yet valid":              {forge(`{"alg":"HS256"}`, fmt.Sprintf(`{"sub":"admin","exp":%d,"nbf":%d}`, now.Add(2*time.Hour).Unix(), now.Add(time.Hour).Unix()), attackSecret), 4200},
		"endless":                    {forge(`{"alg":"HS256"}`, `{"sub":"admin"}`, attackSecret), 4200},
		"for somebody else":          {sign(`"sub":"admin","aud":"shop"`), 4200},
		"a user who is a pattern":    {sign(`"sub":"*"`), 4200},
		"a user of two segments":     {sign(`"sub":"a:b"`), 4200},
		"stolen from an address":     {sign(`"sub":"admin","address":"192.0.2.1"`), 4200},
		"stolen from a page":         {sign(`"sub":"admin","origin":"https://app.example"`), 4200},
	} {
		msg, code := knock(t, n, "", bearer(test.token), "127.0.0.1").first()
		if int(code) != test.code || strings.Contains(msg, test.token) || strings.Contains(msg, "MARKED") {
			t.Errorf("%s: closed with %d, want %d: %s", what, code, test.code, msg)
		}
		if i := strings.LastIndexByte(test.token, '.'); i+1 < len(test.token) && strings.Contains(n.Output(), test.token[i+1:]) {
			t.Errorf("%s: the log tells the token", what)
		}
	}
	// The first proof decides: a bad one is not made good by another.
	both := bearer(unsigned)
	both.Set("Cookie", "hocket_session="+good)
	both.Set("Origin", "http://"+n.http)
	if msg, code := knock(t, n, "?ticket="+ticketFor(t, n, `{"user":"admin"}`), both, "127.0.0.1").first(); code != 4200 {
		t.Errorf("a bad proof beside a good one: %d %s", code, msg)
	}
	for _, twice := range []http.Header{
		{"Authorization": {"Bearer " + good, "Bearer " + unsigned}}, {"Authorization": {"Bearer " + unsigned, "Bearer " + good}}, {"Authorization": {"Basic x", "Bearer " + good}},
	} {
		if msg, code := knock(t, n, "", twice, "127.0.0.1").first(); code != 4200 {
			t.Errorf("two proofs: %d %s", code, msg)
		}
	}
	// In a URL not even a good one counts, beside itself neither.
	for _, header := range []http.Header{nil, bearer(good)} {
		if msg, code := knock(t, n, "?token="+good, header, "127.0.0.1").first(); code != 4200 || strings.Contains(msg, good) {
			t.Errorf("a token in the URL: %d %s", code, msg)
		}
	}
	if msg, _ := knock(t, n, "", bearer(good), "127.0.0.1").first(); !strings.Contains(msg, `"user":"admin"`) {
		t.Errorf("the good one: %s", msg)
	}
	if out := n.Output(); strings.Contains(out, "MARKED") || strings.Contains(out, good) || strings.Contains(out, "eyJ") {
		t.Errorf("the log tells a secret:\n%s", out)
	}
}

// Of a hundred handshakes with one ticket at once exactly one succeeds, none afterwards, and none from elsewhere.
func TestAttackByTickets(t *testing.T) {
	n := startGuarded(t, "")
	ticket := ticketFor(t, n, `{"user":"ada"}`)
	var mu sync.Mutex
	let, refused := 0, 0
	var all sync.WaitGroup
	for range 100 {
		c := knockLater(t, n)
		all.Go(func() {
			in := c("?ticket=" + ticket)
			mu.Lock()
			defer mu.Unlock()
			if in {
				let++
			} else {
				refused++
			}
		})
	}
	all.Wait()
	if let != 1 || refused != 99 {
		t.Errorf("%d are let in and %d refused", let, refused)
	}
	for what, test := range map[string]struct {
		ticket string
		header http.Header
		from   string
	}{
		"again":             {ticket, nil, "127.0.0.1"},
		"another address":   {ticketFor(t, n, `{"user":"ada","address":"127.0.0.1"}`), nil, "127.0.0.2"},
		"a named address":   {ticketFor(t, n, `{"user":"ada","address":"192.0.2.1"}`), http.Header{"X-Forwarded-For": {"192.0.2.1"}}, "127.0.0.1"},
		"no page":           {ticketFor(t, n, `{"user":"ada","origin":"http://`+n.http+`"}`), nil, "127.0.0.1"},
		"another one's":     {"hkt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", nil, "127.0.0.1"},
		"a token as ticket": {sign(`"sub":"ada"`), nil, "127.0.0.1"},
	} {
		if msg, code := knock(t, n, "?ticket="+test.ticket, test.header, test.from).first(); code != 4200 {
			t.Errorf("%s: %d %s", what, code, msg)
		}
	}
	if status, answer := get(t, n, "/api/v1/tickets", func(r *http.Request) {
		r.Method, r.Body = http.MethodPost, io.NopCloser(strings.NewReader(`{"user":"ada","origin":"app.example"}`))
		r.Header.Set("Authorization", "Bearer "+attackKey)
	}); status != http.StatusBadRequest || !strings.Contains(answer, "origin is no origin: write it like https://app.example.com") {
		t.Errorf("a ticket that no page could show: %d %s", status, answer)
	}
	if status, answer := get(t, n, "/api/v1/info", func(r *http.Request) {
		r.Method, r.Body = http.MethodPost, http.NoBody
		r.Header["Authorization"] = []string{"Bearer " + attackKey, "Bearer other"}
	}); status != http.StatusUnauthorized {
		t.Errorf("two keys: %d %s", status, answer)
	}
	two := "?ticket=" + ticketFor(t, n, `{"user":"ada"}`) + "&ticket=" + ticketFor(t, n, `{"user":"bo"}`)
	if msg, code := knock(t, n, two, nil, "127.0.0.1").first(); code != 4200 {
		t.Errorf("two tickets: %d %s", code, msg)
	}
	// From elsewhere it has been spent as well.
	bound := ticketFor(t, n, `{"user":"ada","address":"127.0.0.1"}`)
	knock(t, n, "?ticket="+bound, nil, "127.0.0.2").first()
	if msg, code := knock(t, n, "?ticket="+bound, nil, "127.0.0.1").first(); code != 4200 {
		t.Errorf("what a thief has shown: %d %s", code, msg)
	}
	if out := n.Output(); strings.Contains(out, ticket) || strings.Contains(out, bound) || strings.Contains(out, "hkt_") {
		t.Errorf("the log tells a ticket:\n%s", out)
	}
}

// Who is connected when its proof is taken back is closed, within a second as the protocol says, and does not come back with
// it, however often it tries meanwhile; others stay.
func TestAttackAfterARevocation(t *testing.T) {
	n := startGuarded(t, "channels: [{pattern: 'chat:*', allow: ['*']}]")
	other := knock(t, n, "", bearer(sign(`"sub":"bo","jti":"t2"`)), "127.0.0.1")
	other.want(`{"type":"connected"`)
	stolen := sign(`"sub":"ada","jti":"t1"`)
	thief := knock(t, n, "", bearer(stolen), "127.0.0.1")
	thief.want(`{"type":"connected"`)
	tries := make(chan *conversation)
	go func() {
		defer close(tries)
		for range 100 {
			tries <- knock(t, n, "", bearer(stolen), "127.0.0.2")
		}
	}()
	first := <-tries
	var revoked time.Time
	for c := range tries {
		if revoked.IsZero() {
			api(t, n, "revoke", `{"token":"t1"}`)
			revoked = time.Now()
		}
		if code := c.closed(); code != 4101 {
			t.Fatalf("another try is closed with %d", code)
		}
	}
	for _, c := range []*conversation{thief, first} {
		if code := c.closed(); code != 4101 {
			t.Errorf("closed with %d", code)
		}
	}
	// A session would end without being revoked too, but not so soon. On a machine with nothing else to do it takes milliseconds.
	if took := time.Since(revoked); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if msg, code := knock(t, n, "", bearer(stolen), "127.0.0.1").first(); code != 4101 {
		t.Errorf("after the logout: %d %s", code, msg)
	}
	other.send(`{"type":"connect","id":1,"payload":{"token":"` + stolen + `"}}`)
	other.want(`{"type":"error","id":1`)
}

// Keys of the API are tried twenty times and then seldom, by an address; who has the key is not kept waiting by that.
func TestAttackByGuessing(t *testing.T) {
	n := startGuarded(t, "")
	answers := map[int]int{}
	try := func(key string) int {
		status, _ := get(t, n, "/api/v1/info", func(r *http.Request) {
			r.Method, r.Body = http.MethodPost, http.NoBody
			r.Header.Set("Authorization", "Bearer "+key)
		})
		return status
	}
	for i := range 100 {
		answers[try(fmt.Sprintf("%s-%d", attackKey, i))]++
	}
	if answers[http.StatusUnauthorized] < 20 || answers[http.StatusTooManyRequests] < 50 || len(answers) != 2 {
		t.Errorf("answered %v", answers)
	}
	if status := try(attackKey); status != http.StatusOK {
		t.Errorf("the key: %d", status)
	}
}
