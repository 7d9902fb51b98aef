package hocket_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/websocket"
)

const hookSecret = "a secret of some length"

// asking are the channels that are asked about.
var asking = []hocket.Rule{{
	Pattern: "chat:*", Ask: hocket.CanSubscribe | hocket.CanPublish, Allow: hocket.CanSubscribe | hocket.CanPublish,
	History: hocket.History{Count: 10},
}}

// backEnd answers questions as an application would.
func backEnd(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := hocket.VerifyHook(r, body, []byte(hookSecret), time.Now()); err != nil {
			t.Error(err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var q struct {
			Hook, Token, Cookie, User, Channel string
			Headers                            map[string]string
			Payload                            string
		}
		if err := json.Unmarshal(body, &q); err != nil {
			t.Error(err)
		}
		answer := `{"allow":true}`
		switch {
		case q.Hook == "authenticate" && (q.Token == "opaque" || q.Cookie == "session=ada" && q.Headers["User-Agent"] != ""):
			answer = `{"allow":true,"user":"ada"}`
		case q.Hook == "authenticate" && q.Token == "old":
			answer = `{"deny":{"code":1411}}`
		case q.Hook == "authenticate":
			answer = `{"allow":false}`
		case q.Hook == "subscribe" && q.Channel == "chat:own":
			answer = `{"allow":true,"capabilities":{"inbox:{user}":["publish"]}}`
		case q.Hook == "subscribe" && q.Channel == "chat:full":
			answer = `{"deny":{"code":10042,"name":"room_full","message":"the room is full"}}`
		case q.Hook == "publish" && q.Payload == "bad word":
			answer = `{"allow":true,"payload":"***"}`
		}
		io.WriteString(w, answer)
	}
}

// open starts a node over HTTP, and tells where it is.
func open(t *testing.T, cfg hocket.Config) (url string) {
	t.Helper()
	web := httptest.NewServer(newServer(t, cfg))
	t.Cleanup(web.Close)
	return web.URL + "/v1/ws"
}

// page is a client with messages typed by hand.
type page struct {
	*websocket.Conn
	t *testing.T
}

func visit(t *testing.T, url string, header http.Header) *page {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{Header: header})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return &page{c, t}
}

func (p *page) send(message string) {
	p.t.Helper()
	if err := p.Write(p.t.Context(), websocket.Text, []byte(message)); err != nil {
		p.t.Fatal(err)
	}
}

// want reads one message, with this in it.
func (p *page) want(part string) {
	p.t.Helper()
	_, message, err := p.Read(p.t.Context())
	if err != nil || !bytes.Contains(message, []byte(part)) {
		p.t.Fatalf("got %s %v, want %s", message, err, part)
	}
}

func (p *page) wantClosed(code int) {
	p.t.Helper()
	var closed *websocket.CloseError
	if _, message, err := p.Read(p.t.Context()); !errors.As(err, &closed) || int(closed.Code) != code {
		p.t.Errorf("got %s %v, want a close with %d", message, err, code)
	}
}

func TestABackEndIsAsked(t *testing.T) {
	app := httptest.NewServer(backEnd(t))
	t.Cleanup(app.Close)
	hook := hocket.Hook{URL: app.URL}
	url := open(t, hocket.Config{Channels: asking, Hooks: hocket.Hooks{
		Authenticate: hook, Subscribe: hook, Publish: hook, Secrets: []string{hookSecret, "the one that was before"},
		AllowAddresses: []string{"127.0.0.1"}, ForwardHeaders: []string{"User-Agent"},
	}})
	p := visit(t, url, http.Header{"Authorization": {"Bearer opaque"}})
	p.want(`"user":"ada"`)
	p.send(`{"type":"publish","id":1,"channel":"inbox:ada","payload":1}`)
	p.want(`"id":1,"channel":"inbox:ada","error":{"code":1403`)
	p.send(`{"type":"subscribe","id":2,"channel":"chat:own"}`)
	p.want(`"type":"reply","id":2`)
	p.send(`{"type":"publish","id":3,"channel":"inbox:ada","payload":1}`)
	p.want(`"type":"reply","id":3`)
	p.send(`{"type":"publish","id":4,"channel":"chat:own","payload":"bad word"}`)
	p.want(`"type":"reply","id":4`)
	p.want(`"payload":"***"`)
	p.send(`{"type":"subscribe","id":5,"channel":"chat:full"}`)
	p.want(`"error":{"code":10042,"name":"room_full","message":"the room is full"`)

	p = visit(t, url, http.Header{"Cookie": {"session=ada"}, "Origin": {strings.TrimSuffix(url, "/v1/ws")}, "User-Agent": {"a browser"}})
	p.want(`"user":"ada"`)
	p = visit(t, url, nil)
	p.send(`{"type":"connect","id":0,"payload":{"token":"opaque"}}`)
	p.want(`"type":"connected"`)
	p = visit(t, url, http.Header{"Authorization": {"Bearer old"}})
	p.want(`"code":1411,"name":"token_expired"`)
	p.wantClosed(4100)
	p = visit(t, url, http.Header{"Authorization": {"Bearer other"}})
	p.want(`"code":1401,"name":"unauthenticated"`)
	p.wantClosed(4200)
}

func TestWhileTheBackEndIsDown(t *testing.T) {
	gone := hocket.Hook{URL: "http://127.0.0.1:1/"} // nobody listens there; a port that was free a moment ago may have another server by now
	hooks := hocket.Hooks{Authenticate: gone, Subscribe: gone, Publish: gone, Secrets: []string{hookSecret}, AllowAddresses: []string{"127.0.0.1"}}
	hooks.Subscribe.WhenDown = hocket.HookAllow
	p := visit(t, open(t, hocket.Config{Channels: asking, Hooks: hooks}), http.Header{"Authorization": {"Bearer opaque"}})
	p.want(`"code":1504,"name":"unavailable","message":"the back end that decides this cannot be asked now: try again later","retry_after_ms":1000`)
	p.wantClosed(4005)
	hooks.Authenticate = hocket.Hook{}
	p = visit(t, open(t, hocket.Config{Channels: asking, Anonymous: true, Hooks: hooks}), nil)
	p.want(`"type":"connected"`)
	p.send(`{"type":"subscribe","id":1,"channel":"chat:a"}`)
	p.want(`"type":"reply","id":1`)
	p.send(`{"type":"publish","id":2,"channel":"chat:a","payload":1}`)
	p.want(`"id":2,"channel":"chat:a","error":{"code":1504,"name":"unavailable"`)
}

func TestAProgramAnswersItself(t *testing.T) {
	url := open(t, hocket.Config{Channels: asking, Hooks: hocket.Hooks{
		OnAuthenticate: func(_ context.Context, c hocket.Credentials) (hocket.Identity, error) {
			switch c.Token + c.Cookie {
			case "opaque":
				return hocket.Identity{User: "ada", Info: []byte(`{"name":"Ada"}`), Capabilities: map[string][]string{"a": {"publish"}}}, nil
			case "theme=dark":
				return hocket.Identity{}, nil
			case "banned":
				return hocket.Identity{}, &hocket.Error{Code: 10001, Name: "banned", Message: "not you"}
			case "wrong":
				return hocket.Identity{Capabilities: map[string][]string{"a": {"fly"}}}, nil
			case "panic":
				panic("in a hook")
			}
			return hocket.Identity{}, errors.New("the database of the program is down")
		},
		OnSubscribe: func(_ context.Context, q hocket.SubscribeQuestion) (hocket.SubscribeAnswer, error) {
			if q.Channel == "chat:other" {
				return hocket.SubscribeAnswer{}, errors.New("the database of the program is down")
			}
			return hocket.SubscribeAnswer{}, nil
		},
		OnPublish: func(_ context.Context, q hocket.PublishQuestion) (hocket.PublishAnswer, error) {
			return hocket.PublishAnswer{Payload: []byte(`"` + q.User + ` says"`)}, nil
		},
	}})
	p := visit(t, url, http.Header{"Authorization": {"Bearer opaque"}})
	p.want(`"user":"ada"`)
	p.send(`{"type":"publish","id":1,"channel":"a","payload":1}`)
	p.want(`"type":"reply","id":1`)
	p.send(`{"type":"subscribe","id":2,"channel":"chat:a"}`)
	p.want(`"type":"reply","id":2`)
	p.send(`{"type":"publish","id":3,"channel":"chat:a","payload":1}`)
	p.want(`"type":"reply","id":3`)
	p.want(`"payload":"ada says"`)
	p.send(`{"type":"subscribe","id":4,"channel":"chat:other"}`)
	p.want(`"id":4,"channel":"chat:other","error":{"code":1500`)
	visit(t, url, http.Header{"Cookie": {"theme=dark"}, "Origin": {strings.TrimSuffix(url, "/v1/ws")}}).want(`"type":"connected"`)
	for token, want := range map[string]string{"banned": `"code":10001,"name":"banned","message":"not you"`, "wrong": `"code":1500`, "panic": `"code":1500`, "x": `"code":1500`} {
		visit(t, url, http.Header{"Authorization": {"Bearer " + token}}).want(want)
	}
}

func TestHooksAndRulesBelongTogether(t *testing.T) {
	subscribe := func(context.Context, hocket.SubscribeQuestion) (answer hocket.SubscribeAnswer, err error) { return }
	publish := func(context.Context, hocket.PublishQuestion) (answer hocket.PublishAnswer, err error) { return }
	url := hocket.Hook{URL: "https://app.example.com/"}
	for want, cfg := range map[string]hocket.Config{
		"a channel's rule asks about subscribe, and nobody answers": {Channels: asking},
		"a channel's rule asks about publish, and nobody answers":   {Channels: asking, Hooks: hocket.Hooks{OnSubscribe: subscribe}},
		"no channel's rule has Ask for publish":                     {Hooks: hocket.Hooks{OnPublish: publish}},
		"publish has both a function and a URL":                     {Channels: asking, Hooks: hocket.Hooks{OnSubscribe: subscribe, OnPublish: publish, Publish: url, Secrets: []string{hookSecret}}},
		"there must be 1 or 2 secrets":                              {Channels: asking, Hooks: hocket.Hooks{OnSubscribe: subscribe, Publish: url}},
		"AllowAddresses: \"lan\" is no network":                     {Hooks: hocket.Hooks{AllowAddresses: []string{"lan"}}},
	} {
		cfg.Log = slog.New(slog.DiscardHandler)
		srv, err := hocket.New(cfg)
		if err == nil {
			srv.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
