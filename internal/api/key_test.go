package api_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/internal/api"
)

// with asks for a method with a key.
func (s *server) with(t *testing.T, key, method, body string) answer {
	t.Helper()
	return s.request(t, "POST", "/api/v1/"+method, body, "Authorization", "Bearer "+key)
}

// A key opens what its scopes name, on the channels they name, and nothing else.
func TestScopes(t *testing.T) {
	s := start(t, func(c *hocket.Config) {
		c.Keys = []hocket.APIKey{
			{Name: "shop", Key: "k-shop", Scopes: []string{"publish:order:*", "publish:news", "read:order:>"}},
			{Name: "reader", Key: "k-reader", Scopes: []string{"read"}},
			{Name: "cleaner", Key: "k-cleaner", Scopes: []string{"remove:order:*", "send"}},
			{Name: "watcher", Key: "k-watcher", Scopes: []string{"metrics"}},
			{Name: "root", Key: "k-root", Scopes: []string{"*"}},
		}
	})
	publish := func(channel string) string { return `{"channel":"` + channel + `","payload":1}` }
	channel := func(channel string) string { return `{"channel":"` + channel + `","key":"k"}` }
	for _, test := range []struct {
		key, method, body string
		missing           string // the scope, "" where it may
	}{
		{"shop", "publish", publish("order:1"), ""},
		{"shop", "publish", publish("news"), ""},
		{"shop", "publish", publish("order"), "publish:order"},
		{"shop", "publish", publish("order-admin"), "publish:order-admin"},
		{"shop", "publish", publish("order:1:x"), "publish:order:1:x"},
		{"shop", "publish", publish("other"), "publish:other"},
		{"shop", "history", channel("order:1:x"), ""},
		{"shop", "history", channel("news"), "read:news"},
		{"shop", "state", channel("news"), "read:news"},
		{"shop", "presence", channel("news"), "read:news"},
		{"shop", "presence", channel("order:1"), ""},
		{"shop", "channels", `{"pattern":"order:*"}`, "read for all channels"},
		{"shop", "remove", channel("order:1"), "remove"},
		{"shop", "send", `{"user":"u","payload":1}`, "send"},
		{"shop", "tickets", `{}`, "tickets"},
		{"shop", "info", `{}`, ""},
		{"reader", "history", channel("anything"), ""},
		{"reader", "channels", `{}`, ""},
		{"reader", "publish", publish("order:1"), "publish"},
		{"reader", "broadcast", `{"channels":["order:1"],"payload":1}`, "publish"},
		{"cleaner", "remove", channel("order:1"), ""},
		{"cleaner", "remove", channel("news"), "remove:news"},
		{"cleaner", "send", `{"user":"u","payload":1}`, ""},
		{"cleaner", "state", channel("order:1"), "read"},
		{"watcher", "publish", publish("order:1"), "publish"},
		{"root", "publish", publish("other"), ""},
		{"root", "channels", `{}`, ""},
		{"root", "remove", channel("other"), ""},
	} {
		a := s.with(t, "k-"+test.key, test.method, test.body)
		if test.missing == "" {
			if a.status != http.StatusOK {
				t.Errorf("%s may not %s %s: %d %s", test.key, test.method, test.body, a.status, a.body)
			}
			continue
		}
		says := fmt.Sprintf("the API key %s has not the scope %s", test.key, test.missing)
		if a.status != http.StatusForbidden || a.Error == nil || a.Error.Code != 1407 || a.Error.Message != says {
			t.Errorf("%s, %s %s: %d %s, want %s", test.key, test.method, test.body, a.status, a.body, says)
		}
		if got := a.header.Get("WWW-Authenticate"); got != `Bearer realm="hocket", error="insufficient_scope"` {
			t.Errorf("WWW-Authenticate is %s", got)
		}
	}
	for key, want := range map[string]int{"watcher": 200, "root": 200, "shop": 403, "none": 401} {
		if a := s.request(t, "GET", "/metrics", "", "Authorization", "Bearer k-"+key); a.status != want {
			t.Errorf("/metrics for %s: %d", key, a.status)
		} else if want == 200 && !strings.Contains(a.body, `hocket_api_key_uses_total{key="reader"} 2`) {
			t.Errorf("the uses are not counted:\n%s", a.body)
		}
	}
}

// Among many publications those the key does not open fail, and the others do not.
func TestScopesOfManyPublications(t *testing.T) {
	s := start(t, func(c *hocket.Config) {
		c.Keys = []hocket.APIKey{{Key: "k", Scopes: []string{"publish:order:*"}}}
	})
	a := s.with(t, "k", "broadcast", `{"channels":["order:1","other","order:2"],"payload":1}`)
	if n := strings.Count(a.body, `"offset":`); a.status != 200 || n != 2 || !strings.Contains(a.body, "the API key unnamed has not the scope publish:other") {
		t.Errorf("%d %s", a.status, a.body)
	}
	a = s.with(t, "k", "batch", `{"commands":[{"method":"publish","channel":"other","payload":1},{"method":"publish","channel":"order:1","payload":1}]}`)
	if n := strings.Count(a.body, `"offset":`); a.status != 200 || n != 1 || !strings.Contains(a.body, "missing_scope") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Keys are exchanged while the server runs, and a list that makes no sense changes nothing.
func TestKeysAreExchanged(t *testing.T) {
	s := start(t, func(c *hocket.Config) { c.Keys = []hocket.APIKey{{Key: "old", Scopes: []string{"*"}}} })
	want := func(key string, status int) {
		t.Helper()
		if a := s.with(t, key, "info", "{}"); a.status != status {
			t.Errorf("%s: %d, want %d", key, a.status, status)
		}
	}
	want("old", 200)
	want(testKey, 200)
	if err := s.SetAPIKeys([]hocket.APIKey{{Key: "new", Scopes: []string{"*"}}}); err != nil {
		t.Fatal(err)
	}
	want("old", 401)
	want(testKey, 401)
	want("new", 200)
	for _, keys := range [][]hocket.APIKey{
		{{Key: "next", Scopes: []string{"*"}}, {Key: "sp ace", Scopes: []string{"*"}}},
		{{Key: "", Scopes: []string{"*"}}}, {{Key: "next"}}, {{Key: "next", Scopes: []string{"read:{user}"}}},
		{{Key: "next", Scopes: []string{"info"}}}, {{Name: strings.Repeat("n", 65), Key: "next", Scopes: []string{"*"}}},
		{{Key: "next", Scopes: []string{"*"}}, {Key: "next", Scopes: []string{"read"}}},
	} {
		err := s.SetAPIKeys(keys)
		var e *api.KeyError
		if !errors.As(err, &e) || strings.Contains(err.Error(), "next") || strings.Contains(err.Error(), "sp ace") {
			t.Errorf("%v: %v", keys, err)
		}
	}
	want("new", 200)
	want("next", 401)
	if err := s.SetAPIKeys(nil); err != nil {
		t.Fatal(err)
	}
	want("new", 401)
}

// However it is printed, a key shows its name.
func TestKeysAreNotPrinted(t *testing.T) {
	k := hocket.APIKey{Name: "shop", Key: "s3cret", Scopes: []string{"*"}}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("with", "key", k, "config", struct{ Keys []hocket.APIKey }{[]hocket.APIKey{k}})
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%+v %#v %s", k, k, k), fmt.Sprintf("%+v", []hocket.APIKey{k}), log.String()} {
		if strings.Contains(s, "s3cret") || !strings.Contains(s, "shop") {
			t.Error(s)
		}
	}
}

// Who shows many keys that are not known has to wait; one that is known is let in all the while.
func TestGuessing(t *testing.T) {
	tries := 0
	h := api.New(api.Config{
		Info: func() api.Info { return api.Info{} },
		Failed: func(*http.Request) time.Duration {
			if tries++; tries > 3 {
				return 1500 * time.Millisecond
			}
			return 0
		},
	})
	if err := h.SetKeys([]api.Key{{Key: "right", Scopes: []string{"*"}}}); err != nil {
		t.Fatal(err)
	}
	ask := func(key string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/api/v1/info", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		h.ServeHTTP(w, r)
		return w
	}
	for i, want := range []int{401, 401, 401, 429, 429} {
		w := ask("wrong")
		if w.Code != want || (want == 429) != (w.Header().Get("Retry-After") == "2") || (want == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("try %d: %d %v %s", i, w.Code, w.Header(), w.Body)
		}
		if w := ask("right"); w.Code != 200 {
			t.Errorf("the right key: %d %s", w.Code, w.Body)
		}
	}
}

// Whatever is given for a key, it is taken or refused, and not repeated.
func FuzzCheckKeys(f *testing.F) {
	f.Add("shop", "s3cret", "publish:order:*")
	f.Add("", "s3cret with white space", "read:>")
	f.Add("a b", "\x00\xff", "*:a")
	f.Fuzz(func(t *testing.T, name, key, scope string) {
		err := api.CheckKeys([]api.Key{{Name: name, Key: key, Scopes: []string{scope}}})
		if err == nil && (key == "" || strings.ContainsAny(key, " \t\r\n\x00") || len(name) > 64) {
			t.Errorf("%q, %q, %q are taken", name, key, scope)
		}
		const secret = "9b2e61d8" // stands in no sentence
		if err := api.CheckKeys([]api.Key{{Name: name, Key: key + secret, Scopes: []string{scope}}}); err != nil &&
			!strings.Contains(scope, secret) && strings.Contains(err.Error(), secret) {
			t.Errorf("%q repeats the key", err)
		}
	})
}
