package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev"
	"hocket.dev/broker"
	"hocket.dev/internal/api"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
)

func TestWhoMayUseTheAPI(t *testing.T) {
	closed := func(c *hocket.Config) { c.APIKeys = nil }
	open := func(c *hocket.Config) { c.APIKeys, c.OpenAPI = nil, true }
	for _, test := range []struct {
		name    string
		adjust  func(*hocket.Config)
		headers []string
		status  int
	}{
		{"the right key", nil, []string{"Authorization", "Bearer k-1"}, 200},
		{"another right key", nil, []string{"Authorization", "bearer  another "}, 200},
		{"no key", nil, nil, 401},
		{"a wrong key", nil, []string{"Authorization", "Bearer k-2"}, 401},
		{"the beginning of a key", nil, []string{"Authorization", "Bearer k-"}, 401},
		{"an empty key", nil, []string{"Authorization", "Bearer "}, 401},
		{"another scheme", nil, []string{"Authorization", "Basic k-1"}, 401},
		{"only a key", nil, []string{"Authorization", "k-1"}, 401},
		{"no keys at all", closed, []string{"Authorization", "Bearer "}, 401},
		{"open", open, nil, 200},
		{"open, from its own page", open, []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"open, from a page elsewhere", open, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"open, from an old browser's page elsewhere", open, []string{"Origin", "https://evil.example"}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, test.adjust)
			a := s.request(t, "POST", "/api/v1/info", "", test.headers...)
			if a.status != test.status || (a.header.Get("WWW-Authenticate") != "") != (a.status == 401) {
				t.Errorf("answered %d %v %s, want %d", a.status, a.header, a.body, test.status)
			}
			if strings.Contains(a.body, "k-") && a.status != 200 {
				t.Errorf("the answer tells about keys: %s", a.body)
			}
			unknown := s.request(t, "GET", "/api/v1/nothing", "", test.headers...)
			if test.status == 401 && unknown.status != 401 {
				t.Errorf("who has no key is told that a method is unknown: %s", unknown.body)
			}
		})
	}
}

func TestRequestsThatAreNoMethodOfTheAPI(t *testing.T) {
	s := start(t, nil)
	key := []string{"Authorization", "Bearer " + testKey}
	for _, test := range []struct {
		method, path string
		status       int
		name         string
	}{
		{"POST", "/api/v1/", 404, "not_found"},
		{"POST", "/api/v1/Publish", 404, "not_found"},
		{"POST", "/api/v1/publish/", 404, "not_found"},
		{"GET", "/api/v1/nothing", 404, "not_found"},
		{"GET", "/api/v1/publish", 405, "invalid_message"},
		{"OPTIONS", "/api/v1/publish", 405, "invalid_message"},
		{"POST", "/api/v1/sessions", 501, "not_supported"},
		{"POST", "/api/v1/call", 501, "not_supported"},
		{"POST", "/api/v1/subscribe", 501, "not_supported"},
		{"POST", "/api/v1/unsubscribe", 501, "not_supported"},
	} {
		a := s.request(t, test.method, test.path, "", key...)
		if a.status != test.status || a.Error == nil || a.Error.Name != test.name || a.Error.Code == 0 || a.Error.Message == "" {
			t.Errorf("%s %s answered %d %s", test.method, test.path, a.status, a.body)
		}
		if (a.status == 405) != (a.header.Get("Allow") == "POST") {
			t.Errorf("%s %s: Allow is %q", test.method, test.path, a.header.Get("Allow"))
		}
		if a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: Content-Type is %q", test.method, test.path, a.header.Get("Content-Type"))
		}
	}
}

func TestBadRequestsGetAPreciseSentence(t *testing.T) {
	s := start(t, nil)
	for _, test := range []struct {
		method, body string
		status       int
		name, says   string
	}{
		{"publish", `{`, 400, "invalid_json", "but the text ends at byte 1"},
		{"publish", `{"channel":"c","payload":1} x`, 400, "invalid_json", "at byte 28"},
		{"publish", `[]`, 400, "invalid_json", "one JSON object"},
		{"publish", ``, 400, "invalid_channel", "channel is missing"},
		{"publish", `{"channel":7,"payload":1}`, 400, "invalid_channel", "channel must be a string, not 7"},
		{"publish", `{"channel":"a b","payload":1}`, 400, "invalid_channel", "white space"},
		{"publish", `{"channel":"a:*","payload":1}`, 501, "not_supported", "patterns"},
		{"publish", `{"channel":"$presence:a","payload":1}`, 403, "permission_denied", "the server's own"},
		{"publish", `{"channel":"c"}`, 400, "invalid_payload", "payload is missing"},
		{"publish", `{"channel":"c","payload":1,"key":"__proto__"}`, 400, "invalid_key", "key __proto__, by which JavaScript may change"},
		{"publish", `{"channel":"__proto__","payload":1}`, 400, "invalid_channel", "name __proto__, by which JavaScript may change"},
		{"publish", `{"channel":"c","payload":1,"key":5}`, 400, "invalid_key", "key must be a string"},
		{"publish", `{"channel":"c","payload":1,"op":"add"}`, 400, "invalid_message", "op must be"},
		{"publish", `{"channel":"c","payload":1,"idempotency_key":"` + strings.Repeat("i", 65) + `"}`, 400, "invalid_key", "1 to 64 bytes"},
		{"publish", `{"channel":"c","payload":1,"tags":[]}`, 400, "invalid_message", "tags must be an object"},
		{"publish", `{"channel":"c","payload":1,"expect":-1}`, 400, "invalid_range", "expect must be a whole number"},
		{"publish", `{"channel":"c","payload":1,"expect":1.5}`, 400, "invalid_position", "expect must be a whole number"},
		{"publish", `{"channel":"c","payload":1,"ttl_ms":0}`, 400, "invalid_range", "ttl_ms must be a whole number from 1"},
		{"publish", `{"channel":"c","payload":1,"key":"k","score":1e999}`, 400, "invalid_range", "not 1e999"},
		{"publish", `{"channel":"c","payload":1,"key":"k","ephemeral":true}`, 501, "not_supported", "ephemeral is for clients"},
		{"publish", `{"channel":"c","payload":1,"seq":9}`, 501, "not_supported", "idempotency_key"},
		{"publish", `{"channel":"c","payload":"AP\n8=","encoding":"base64"}`, 400, "invalid_payload", "there is a line break at byte 2"},
		{"publish", `{"channel":"c","payload":"AP9=","encoding":"base64"}`, 400, "invalid_payload", "has bits that belong to no byte"},
		{"publish", `{"channel":"c","payload":{},"encoding":"base64"}`, 400, "invalid_payload", "must be a string"},
		{"publish", `{"channel":"c","payload":"` + strings.Repeat("x", api.MaxBody) + `"}`, 413, "too_large", "1048576"},

		{"broadcast", `{"payload":1}`, 400, "invalid_message", "channels must be an array of 1 to 1000 names, not nothing"},
		{"broadcast", `{"channels":{},"payload":1}`, 400, "invalid_message", "not an object"},
		{"broadcast", `{"channels":[],"payload":1}`, 400, "invalid_message", "1 to 1000"},
		{"broadcast", `{"channels":["a"` + strings.Repeat(`,"a"`, 1000) + `],"payload":1}`, 400, "invalid_message", "1 to 1000"},
		{"broadcast", `{"channels":["a",null],"payload":1}`, 400, "invalid_channel", "channels[1] must be a string, not null"},
		{"broadcast", `{"channels":["a"]}`, 400, "invalid_payload", "payload is missing"},
		{"batch", `{"commands":"publish"}`, 400, "invalid_message", "commands must be an array"},

		{"remove", `{}`, 400, "invalid_channel", "channel is missing"},
		{"remove", `{"channel":"c"}`, 400, "invalid_message", "name one of them"},
		{"remove", `{"channel":"c","offset":1,"key":"k"}`, 400, "invalid_message", "name one of them"},
		{"remove", `{"channel":"c","key":"k","history":true}`, 400, "invalid_message", "name one of them"},
		{"remove", `{"channel":"c","history":false}`, 400, "invalid_message", "name one of them"},
		{"remove", `{"channel":"c","history":"all"}`, 400, "invalid_message", "history must be true or false, not a string"},
		{"remove", `{"channel":"c","offset":"1"}`, 400, "invalid_position", "offset must be a whole number from 1"},
		{"remove", `{"channel":"c","offset":0}`, 400, "invalid_range", "offset must be a whole number from 1"},
		{"remove", `{"channel":"c","key":"` + strings.Repeat("k", 513) + `"}`, 400, "invalid_key", "1 to 512 bytes"},
		{"remove", `{"channel":"$presence:c","history":true}`, 403, "permission_denied", "the server's own"},
		{"history", `{}`, 400, "invalid_channel", "channel is missing"},
		{"history", `{"channel":"$presence:a"}`, 403, "permission_denied", "the server's own"},
		{"history", `{"channel":"c","after":-1}`, 400, "invalid_range", "after must be a whole number"},
		{"history", `{"channel":"c","after":1,"before":2}`, 400, "invalid_message", "not both"},
		{"history", `{"channel":"c","limit":1001}`, 400, "invalid_range", "limit must be a whole number from 1 to 1000"},
		{"state", `{"channel":["c"]}`, 400, "invalid_channel", "channel must be a string, not an array"},
		{"state", `{"channel":"c","next":"what"}`, 400, "invalid_message", "next is not the one of a page before"},
		{"state", `{"channel":"c","limit":1.5}`, 400, "invalid_message", "limit must be a whole number from 1 to 1000, not 1.5"},
		{"presence", `{"channel":"c","limit":0}`, 400, "invalid_range", "limit"},
		{"presence", `{"channel":"c","next":"what"}`, 400, "invalid_message", "next is not the one of a page before"},
		{"presence", `{"channel":"c:"}`, 400, "invalid_channel", "segment at byte 2 is empty"},
		{"channels", `{"pattern":1}`, 400, "invalid_channel", "pattern must be a string, not a number"},
		{"channels", `{"pattern":"a:**"}`, 400, "invalid_channel", "pattern: "},
		{"channels", `{"pattern":"a:{user}"}`, 400, "invalid_channel", "{user}"},
		{"channels", `{"pattern":"a>"}`, 400, "invalid_channel", "pattern: '>' at byte 1 is not a whole segment of the pattern"},
		{"channels", `{"pattern":"$>"}`, 403, "permission_denied", "what begins with $"},
		{"state", `{"channel":"c","after":7}`, 400, "invalid_message", "a state has no after"},
		{"channels", `{"pattern":"$presence:>"}`, 403, "permission_denied", "$"},
		{"channels", `{"after":""}`, 400, "invalid_message", "after must have 1 to 510 bytes"},
		{"channels", `{"limit":true}`, 400, "invalid_message", "limit must be a whole number from 1 to 1000, not true"},
		{"send", `{"payload":1}`, 400, "invalid_message", "name one of them"},
		{"send", `{"payload":1,"user":"u","session":"s"}`, 400, "invalid_message", "name one of them"},
		{"send", `{"payload":1,"user":""}`, 400, "invalid_message", "user must have 1 to 255 bytes"},
		{"send", `{"user":"u"}`, 400, "invalid_payload", "payload is missing"},
		{"send", `{"user":"u","payload":"AP9=","encoding":"base64"}`, 400, "invalid_payload", "has bits that belong to no byte"},
		{"send", `{"user":"u","payload":"?","encoding":"base64"}`, 400, "invalid_payload", "base64"},
		{"send", `{"user":"u","payload":"?","encoding":"gzip"}`, 400, "invalid_message", "encoding must be"},
		{"info", `7`, 400, "invalid_json", "one JSON object"},
	} {
		a := s.call(t, test.method, test.body)
		if a.status != test.status || a.Error == nil || a.Error.Name != test.name || !strings.Contains(a.Error.Message, test.says) {
			t.Errorf("%s %.80s\n answered %d %s\n want %d %s … %s", test.method, test.body, a.status, a.body, test.status, test.name, test.says)
		}
	}
}

// stubborn is a broker that answers a publish with err, or never when that is nil.
type stubborn struct {
	broker.Broker
	err error
}

func (b stubborn) Publish(_ string, _ broker.Entry, _ broker.Retention, done func(broker.Receipt, error)) {
	if b.err != nil {
		done(broker.Receipt{}, b.err)
	}
}

func (b stubborn) Read(ctx context.Context, _ string, _ broker.Query) (broker.Page, error) {
	if b.err != nil {
		return broker.Page{}, b.err
	}
	<-ctx.Done()
	return broker.Page{}, ctx.Err()
}

func TestABrokerThatDoesNotAnswer(t *testing.T) {
	for _, test := range []struct {
		err                error
		method, body       string
		status             int
		name, says, header string
	}{
		{nil, "publish", `{"channel":"c","payload":1}`, 504, "timeout", "whether it holds the entry is not known", ""},
		{nil, "broadcast", `{"channels":["c","b:*"],"payload":1}`, 200, `"name":"timeout"`, "patterns", ""},
		{nil, "remove", `{"channel":"c","offset":1}`, 501, "not_supported", "does not remove entries", ""},
		{nil, "history", `{"channel":"c"}`, 504, "timeout", "did not answer in time", ""},
		{broker.ErrBusy, "publish", `{"channel":"c","payload":1}`, 503, "busy", `"retry_after_ms":1000`, "1"},
		{broker.ErrConflict, "publish", `{"channel":"c","payload":1}`, 409, "conflict", "appended", ""},
		{broker.ErrTooLarge, "publish", `{"channel":"c","payload":1}`, 413, "too_large", "the value of a key may have at most 1048576 bytes", ""},
		{&broker.ConflictError{Position: broker.Position{Epoch: "e", Offset: 7}}, "publish", `{"channel":"c","payload":1}`, 409, "conflict", "newest entry is at 7", ""},
		{broker.ErrClosed, "history", `{"channel":"c"}`, 503, "unavailable", `"retry_after_ms":1000`, "1"},
		{errors.New("secret: disk at /dev/sda"), "publish", `{"channel":"c","payload":1}`, 503, "unavailable", "cannot be reached", "1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			rules, err := rule.Compile(nil, rule.Rule{})
			if err != nil {
				t.Fatal(err)
			}
			h := api.New(api.Config{Open: true, Node: session.NewNode(session.Config{Broker: stubborn{err: test.err}, Rules: rules, Now: time.Now})})
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("POST", "/api/v1/"+test.method, strings.NewReader(test.body)))
			body := w.Body.String()
			if w.Code != test.status || !strings.Contains(body, test.name) || !strings.Contains(body, test.says) {
				t.Errorf("%s with a broker that says %v: %d %s", test.method, test.err, w.Code, body)
			}
			if got := w.Header().Get("Retry-After"); got != test.header || strings.Contains(body, "secret") {
				t.Errorf("%s: Retry-After is %q in %s", test.method, got, body)
			}
			if n := h.Requests()[api.Outcome{Method: test.method, Status: test.status}]; n != 1 {
				t.Errorf("%s: counted %d times", test.method, n)
			}
		})
	}
}

// TestABodyThatBreaksOff shows that half a request is none.
func TestABodyThatBreaksOff(t *testing.T) {
	h := api.New(api.Config{Open: true})
	r := httptest.NewRequest("POST", "/api/v1/publish", http.NoBody)
	r.Body = http.MaxBytesReader(nil, readCloser{strings.NewReader(`{"channel":"c","payload":1}`)}, 100)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "could not be read") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

// readCloser breaks where the text ends.
type readCloser struct{ *strings.Reader }

func (r readCloser) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		err = errors.New("connection reset")
	}
	return n, err
}

func (readCloser) Close() error { return nil }
