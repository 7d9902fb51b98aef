package hocket_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// newServer starts a server that says nothing.
func newServer(t *testing.T, cfg hocket.Config) *hocket.Server {
	t.Helper()
	cfg.Portable, cfg.Loops, cfg.Log = true, 1, slog.New(slog.DiscardHandler)
	srv, err := hocket.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close(context.Background()) })
	return srv
}

// get asks for a path, with headers in pairs.
func get(srv *hocket.Server, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, http.NoBody)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, r)
	return w
}

func wantAnswer(t *testing.T, srv *hocket.Server, path string, status int, body string) {
	t.Helper()
	if w := get(srv, path); w.Code != status || strings.TrimSpace(w.Body.String()) != body {
		t.Errorf("%s answered %d %q, want %d %q", path, w.Code, w.Body, status, body)
	}
}

func TestHealthWhileServingAndAfter(t *testing.T) {
	srv := newServer(t, hocket.Config{})
	wantAnswer(t, srv, "/healthz", 200, "ok")
	wantAnswer(t, srv, "/readyz", 200, "ready")
	srv.Close(t.Context())
	wantAnswer(t, srv, "/healthz", 200, "ok") // the process lives; whoever kills it on this would cut the draining short
	wantAnswer(t, srv, "/readyz", 503, "draining")
}

// failing is a broker that ends when it is told to.
type failing struct {
	*broker.Memory
	end chan error
}

func (b failing) Run(ctx context.Context, sink broker.Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- b.Memory.Run(ctx, sink) }()
	select {
	case err := <-b.end:
		cancel()
		<-ended
		return err
	case err := <-ended:
		return err
	}
}

func TestReadyTellsThatTheBrokerHasEnded(t *testing.T) {
	b := failing{broker.NewMemory(broker.MemoryConfig{}), make(chan error, 1)}
	srv := newServer(t, hocket.Config{Broker: b, OpenAPI: true})
	b.end <- errors.New("the disk is gone")
	testproc.Until(t, "the node to be degraded", func() bool { return get(srv, "/readyz").Code == 503 })
	wantAnswer(t, srv, "/readyz", 503, "degraded")
	wantAnswer(t, srv, "/healthz", 200, "ok")

	_, err := srv.Publish(t.Context(), "c", 1)
	var told *hocket.Error
	if !errors.As(err, &told) || told.Name != "unavailable" {
		t.Errorf("a publish answers %v", err)
	}
}

func TestInfoForClients(t *testing.T) {
	srv := newServer(t, hocket.Config{Origins: []string{"https://app.example.com"}})
	read := func() (info struct {
		Name, Version                   string
		Protocols, Transports, Features []string
		Accepting                       *bool
	}) {
		w := get(srv, "/v1/info")
		if err := json.Unmarshal(w.Body.Bytes(), &info); err != nil || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%d %v %s: %v", w.Code, w.Header(), w.Body, err)
		}
		return info
	}
	info := read()
	if info.Name != "hocket" || info.Version != hocket.Version || !slices.Equal(info.Protocols, []string{"hocket.v1.json"}) ||
		!slices.Equal(info.Transports, []string{"websocket"}) || !slices.Contains(info.Features, "recover") ||
		info.Accepting == nil || !*info.Accepting {
		t.Errorf("got %+v", info)
	}
	for origin, want := range map[string]string{
		"https://app.example.com": "https://app.example.com", "https://evil.example": "", "": "",
	} {
		if got := get(srv, "/v1/info", "Origin", origin).Header().Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("a page of %q gets %q", origin, got)
		}
	}
	if slices.Contains(info.Features, "tokens") || slices.Contains(info.Features, "anonymous") || !slices.Contains(info.Features, "tickets") {
		t.Errorf("of a server that only takes tickets: %v", info.Features)
	}
	srv.Close(t.Context())
	if info := read(); *info.Accepting {
		t.Error("a node that has ended says that it takes sessions")
	}
}

// A client may look before it connects: a server that is full says so, and says when it no longer is.
func TestInfoOfAFullServer(t *testing.T) {
	srv := newServer(t, hocket.Config{Limits: hocket.Limits{Sessions: 1}, Anonymous: true})
	web := httptest.NewServer(srv)
	defer web.Close()
	accepting := func() bool {
		var info struct{ Accepting bool }
		if err := json.Unmarshal(get(srv, "/v1/info").Body.Bytes(), &info); err != nil {
			t.Fatal(err)
		}
		return info.Accepting
	}
	if !accepting() {
		t.Error("an empty server takes no sessions")
	}
	c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http")+"/v1/ws", &websocket.DialOptions{Subprotocols: []string{"hocket.v1.json"}})
	if err != nil {
		t.Fatal(err)
	}
	testproc.Until(t, "the server to be full", func() bool { return srv.Sessions() == 1 })
	if accepting() {
		t.Error("a server that has as many sessions as it may says that it takes more")
	}
	c.CloseNow()
	testproc.Until(t, "there to be a place again", func() bool { return srv.Sessions() == 0 })
	if !accepting() {
		t.Error("a server with a free place says that it takes no sessions")
	}
}

// Programs read the answers of /v1 and /api, so what is not there is told to them in the form of every other error.
func TestWhatIsNotThereIsToldAsAnError(t *testing.T) {
	srv := newServer(t, hocket.Config{OpenAPI: true})
	for _, test := range []struct {
		method, path string
		status       int
		name         string
	}{
		{"GET", "/v1/", 404, "not_found"},
		{"GET", "/v1/nope", 404, "not_found"},
		{"POST", "/v1/ws/more", 404, "not_found"},
		{"POST", "/api/v2/publish", 404, "not_found"},
		{"GET", "/api/", 404, "not_found"},
		{"POST", "/api/v1/nope", 404, "not_found"},
		{"POST", "/v1/info", 405, "invalid_message"},
	} {
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequest(test.method, test.path, http.NoBody))
		var told struct{ Error hocket.Error }
		err := json.Unmarshal(w.Body.Bytes(), &told)
		if w.Code != test.status || err != nil || told.Error.Name != test.name || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %v %s, %v", test.method, test.path, w.Code, w.Header(), w.Body, err)
		}
	}
	if w := get(srv, "/nope"); w.Code != 404 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("a path of nobody: %d %v", w.Code, w.Header())
	}
}

func TestPublishFromGo(t *testing.T) {
	srv := newServer(t, hocket.Config{Fallback: hocket.Rule{Publish: hocket.PublishServer, History: hocket.History{Count: 1}}})
	if r, err := srv.Publish(t.Context(), "c", map[string]int{"a": 1}); err != nil || r.Offset == 0 || r.Epoch == "" {
		t.Errorf("got %+v, %v", r, err)
	}
	for channel, name := range map[string]string{"$presence:c": "permission_denied", "a b": "invalid_channel", "a:>": "not_supported"} {
		_, err := srv.Publish(t.Context(), channel, 1)
		var told *hocket.Error
		if !errors.As(err, &told) || told.Name != name {
			t.Errorf("%s: %v, want %s", channel, err, name)
		}
	}
	_, err := srv.PublishEntry(t.Context(), "c", broker.Entry{Payload: []byte(`{"a":1}}`)})
	var told *hocket.Error
	if !errors.As(err, &told) || told.Name != "invalid_payload" {
		t.Errorf("two values are %v", err)
	}
}

// What a program in Go publishes has the bounds that a client's message has: else clients would get what they cannot read, or
// two keys that are one to them.
func TestEntriesThatTheProtocolCannotCarryAreRefused(t *testing.T) {
	srv := newServer(t, hocket.Config{})
	long := strings.Repeat("k", 10<<10)
	tags := make(map[string]string)
	for i := range 17 {
		tags[fmt.Sprint(dialect.TagHeader, i)] = ""
	}
	for name, test := range map[string]struct {
		e    broker.Entry
		code dialect.Code
	}{
		"a long key":                {broker.Entry{Key: long}, dialect.InvalidKey},
		"a key that is no UTF-8":    {broker.Entry{Key: "a\xff"}, dialect.InvalidKey},
		"an append without a key":   {broker.Entry{Op: broker.Append, Payload: []byte(`""`)}, dialect.InvalidKey},
		"a delete without a key":    {broker.Entry{Op: broker.Delete}, dialect.InvalidKey},
		"a score without a key":     {broker.Entry{Score: 1}, dialect.InvalidKey},
		"a score of a delete":       {broker.Entry{Key: "k", Op: broker.Delete, Score: 1}, dialect.InvalidMessage},
		"an unknown op":             {broker.Entry{Key: "k", Op: broker.Delete + 1}, dialect.InvalidMessage},
		"an unknown format":         {broker.Entry{Format: broker.Binary + 1}, dialect.InvalidMessage},
		"text that is no UTF-8":     {broker.Entry{Format: broker.Text, Payload: []byte("\xff")}, dialect.InvalidPayload},
		"an append of a number":     {broker.Entry{Key: "k", Op: broker.Append}, dialect.InvalidPayload},
		"a life of two centuries":   {broker.Entry{TTL: 200 * 366 * 24 * time.Hour}, dialect.InvalidRange},
		"a long idempotency key":    {broker.Entry{IdempotencyKey: long}, dialect.InvalidKey},
		"a number of nobody":        {broker.Entry{Seq: 1}, dialect.InvalidMessage},
		"too many tags":             {broker.Entry{Headers: tags}, dialect.InvalidMessage},
		"a tag without a name":      {broker.Entry{Headers: map[string]string{dialect.TagHeader: ""}}, dialect.InvalidMessage},
		"a long name of a tag":      {broker.Entry{Headers: map[string]string{dialect.TagHeader + long: ""}}, dialect.InvalidMessage},
		"a long tag":                {broker.Entry{Headers: map[string]string{dialect.TagHeader + "a": long}}, dialect.InvalidMessage},
		"a tag that is no UTF-8":    {broker.Entry{Headers: map[string]string{dialect.TagHeader + "a": "\xff"}}, dialect.InvalidMessage},
		"a tag's name that is none": {broker.Entry{Headers: map[string]string{dialect.TagHeader + "\xff": "a"}}, dialect.InvalidMessage},
	} {
		if test.e.Payload == nil {
			test.e.Payload = []byte(`1`)
		}
		var told *hocket.Error
		if _, err := srv.PublishEntry(t.Context(), "c", test.e); !errors.As(err, &told) || told.Code != test.code {
			t.Errorf("%s: %v, want %s", name, err, test.code.Info().Name)
		}
	}
	r, err := srv.PublishEntry(t.Context(), "c", broker.Entry{
		Key: long[:512], Payload: []byte(`1`), Score: 1, TTL: 366 * 24 * time.Hour, IdempotencyKey: long[:64], Expect: 0, HasExpect: true,
		Headers: map[string]string{dialect.TagHeader + long[:64]: long[:256], "traceparent": long},
	})
	if err != nil {
		t.Errorf("what is just within the bounds: %+v, %v", r, err)
	}
}

func TestEntriesThatNoBrokerCouldKeepAreRefused(t *testing.T) {
	srv := newServer(t, hocket.Config{})
	for _, e := range []broker.Entry{
		{Payload: []byte(`1`), TTL: -time.Second}, {Payload: []byte(`1`), TTL: time.Microsecond},
		{Payload: []byte(`1`), Key: "k", Score: math.NaN()}, {Payload: []byte(`1`), Key: "k", Score: math.Inf(-1)},
	} {
		var told *hocket.Error
		if _, err := srv.PublishEntry(t.Context(), "c", e); !errors.As(err, &told) || told.Code != dialect.InvalidRange {
			t.Errorf("TTL %v, score %v: %v", e.TTL, e.Score, err)
		}
	}
	var told *hocket.Error
	_, err := srv.PublishEntry(t.Context(), "c", broker.Entry{Payload: []byte(`1`), Expect: 7, HasExpect: true})
	if !errors.As(err, &told) || told.Code != dialect.Conflict || told.Position == nil || told.Position.Offset != 0 {
		t.Errorf("an entry that does not follow on the one expected: %v", err)
	}
}

// Each name stands for what the configuration has on, and is not there without.
func TestFeatures(t *testing.T) {
	hooks := hocket.Hooks{OnAuthenticate: func(context.Context, hocket.Credentials) (hocket.Identity, error) { return hocket.Identity{}, nil }}
	for _, test := range []struct {
		cfg  hocket.Config
		want string
	}{
		{hocket.Config{}, "tickets"},
		{hocket.Config{Anonymous: true}, "tickets anonymous"},
		{hocket.Config{Tokens: hocket.Tokens{Keys: []hocket.TokenKey{{Secret: "0123456789abcdef0123456789abcdef"}}}}, "tokens tickets"},
		{hocket.Config{Hooks: hooks}, "tokens tickets"},
		{hocket.Config{Channels: []hocket.Rule{{Pattern: "a", Schema: `{}`}, {Pattern: "b", E2E: true}}}, "tickets schema e2e"},
		{hocket.Config{Fallback: hocket.Rule{Schema: `{}`}}, "tickets schema"},
		{hocket.Config{Fallback: hocket.Rule{E2E: true}}, "tickets e2e"},
		{hocket.Config{MethodSchemas: map[string]string{"a": `{}`}}, "tickets schema"},
	} {
		var info struct{ Features []string }
		if err := json.Unmarshal(get(newServer(t, test.cfg), "/v1/info").Body.Bytes(), &info); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(info.Features, " "); !strings.HasPrefix(got, "recover ") || !strings.HasSuffix(got, "resume_state "+test.want) {
			t.Errorf("the features are %s, want those that are always there and %s", got, test.want)
		}
	}
}
