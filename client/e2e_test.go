package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hocket.dev"
	"hocket.dev/broker"
)

// ring is a set of keys that a test hands out.
type ring struct {
	mu    sync.Mutex
	keys  map[string][]byte
	now   string // the name of the one to encrypt with
	asked map[string]int
}

func newRing(names ...string) *ring {
	r := &ring{keys: make(map[string][]byte), asked: make(map[string]int), now: names[0]}
	for _, name := range names {
		r.keys[name] = make([]byte, keyBytes)
		rand.Read(r.keys[name])
	}
	return r
}

func (r *ring) key(_ context.Context, _, kid string) (E2EKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[kid]++
	if kid == "" {
		kid = r.now
	}
	return E2EKey{kid, r.keys[kid]}, nil
}

func (r *ring) rotate(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = name
}

func (r *ring) options() *Options {
	return &Options{E2E: &E2E{Covers: func(channel string) bool { return strings.HasPrefix(channel, "dm:") }, Key: r.key}}
}

func serveSealed(t *testing.T) (*hocket.Server, string) {
	t.Helper()
	return serve(t, func(c *hocket.Config) {
		c.Channels = []hocket.Rule{{Pattern: "dm:>", E2E: true, History: hocket.History{Count: 1000, Age: time.Minute}}}
	})
}

// vectors are those of spec/e2e.json, which the TypeScript SDK is held to, too.
type vector struct {
	Name, Channel, Key, Op, Kid, IV, Binding string
	JSON, Bytes                              *string
	Envelope                                 json.RawMessage
}

func TestE2EVectors(t *testing.T) {
	text, err := os.ReadFile("../spec/e2e.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Keys      map[string]string
		Good, Bad []vector
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	c := &Client{vault: vault{e2e: &E2E{Key: func(_ context.Context, _, kid string) (E2EKey, error) {
		key, err := base64URL.DecodeString(all.Keys[kid])
		return E2EKey{kid, key}, err
	}}}}
	open := func(v vector) Message {
		m := Message{Channel: v.Channel, Key: v.Key, Op: v.Op, Payload: v.Envelope}
		if err := c.unseal(t.Context(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, v := range all.Good {
		aead, err := c.vault.named(t.Context(), v.Channel, v.Kid)
		if err != nil {
			t.Fatal(err)
		}
		iv, _ := base64URL.DecodeString(v.IV)
		var payload []byte
		if v.JSON != nil {
			payload = []byte(*v.JSON)
		} else {
			payload, _ = base64.StdEncoding.DecodeString(*v.Bytes)
		}
		p := place{v.Channel, v.Key, v.Op}
		if got := hex.EncodeToString(p.binding(v.Kid)); got != v.Binding {
			t.Errorf("%s: bound to %s, want %s", v.Name, got, v.Binding)
		}
		var want, got any
		_ = json.Unmarshal(v.Envelope, &want)
		_ = json.Unmarshal(p.seal(aead, v.Kid, iv, payload, v.JSON == nil), &got)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: sealed as %v, want %v", v.Name, got, want)
		}
		if m := open(v); m.Err != nil || string(m.Payload) != string(payload) || m.Binary != (v.JSON == nil) {
			t.Errorf("%s: opened as %q, %v", v.Name, m.Payload, m.Err)
		}
	}
	for _, v := range all.Bad {
		if m := open(v); !errors.Is(m.Err, ErrUnreadable) || m.Payload != nil {
			t.Errorf("%s: opened as %q, %v", v.Name, m.Payload, m.Err)
		}
	}
	if len(all.Good) == 0 || len(all.Bad) == 0 {
		t.Error("there are no vectors")
	}
}

// The server sees envelopes alone, and everything works as it does in clear text: live, history, recovery, a map.
func TestE2EIsUnseenByTheServer(t *testing.T) {
	_, url := serveSealed(t)
	keys := newRing("k1", "k2")
	p, through := startProxy(t, url)
	ada, bo := dial(t, url, keys.options()), dial(t, through, keys.options())
	server := dial(t, url, &Options{E2E: &E2E{Covers: func(string) bool { return true }, Key: newRing("other").key}}) // sees envelopes
	sub := subscribe(t, bo, "dm:1", nil)
	spied := subscribe(t, server, "dm:1", nil)

	publish(t, ada, "dm:1", map[string]string{"text": "meet me at eight"})
	wantPayload(t, sub, `{"text":"meet me at eight"}`)
	if m := next(t, spied); !errors.Is(m.Err, ErrNoKey) || m.Payload != nil || m.Decode(new(any)) != m.Err {
		t.Errorf("without the key: %s, %v", m.Payload, m.Err)
	}

	keys.rotate("k2")
	p.cut()
	publish(t, ada, "dm:1", []byte{0, 255})
	if m := next(t, sub); !m.Binary || string(m.Payload) != "\x00\xff" {
		t.Errorf("bytes came as %q, %v", m.Payload, m.Err)
	}
	publish(t, ada, "dm:1", 3)
	wantPayload(t, sub, `3`)
	h, err := bo.History(t.Context(), "dm:1", nil)
	if err != nil || len(h.Messages) != 3 || string(h.Messages[0].Payload) != `{"text":"meet me at eight"}` || string(h.Messages[2].Payload) != `3` {
		t.Errorf("the history is %+v, %v", h, err)
	}

	all := keys.options()
	all.E2E.Covers = nil
	board, err := dial(t, url, all).Map(t.Context(), "dm:board", nil)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := board.Get("none"); ok || v.Err != nil {
		t.Errorf("no value is %+v", v)
	}
	for range 3 {
		err := board.Update(t.Context(), "n", nil, func(old Message) (any, error) {
			var n int
			err := old.Decode(&n)
			return n + 1, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if v, ok := board.Get("n"); !ok || string(v.Payload) != "3" {
		t.Errorf("the value is %s, %v", v.Payload, v.Err)
	}
	if change, err := board.Next(t.Context()); err != nil || string(change.Value.Payload) != "3" {
		t.Errorf("the change is %s, %v", change.Value.Payload, err)
	}
	page, err := ada.ReadState(t.Context(), "dm:board", nil)
	if err != nil || len(page.Messages) != 1 || string(page.Messages[0].Payload) != "3" || string(board.Top(1)[0].Payload) != "3" {
		t.Errorf("the state is %+v, %v", page, err)
	}
	for key, v := range board.All() {
		if key != "n" || string(v.Payload) != "3" {
			t.Errorf("%s is %s", key, v.Payload)
		}
	}
	if _, err := board.Delete(t.Context(), "n", nil); err != nil {
		t.Error(err)
	}
}

// What somebody else has put there, or moved, is told and does not end the stream.
func TestE2ETellsWhatItCannotRead(t *testing.T) {
	srv, url := serveSealed(t)
	keys := newRing("k1")
	c := dial(t, url, keys.options())
	sub := subscribe(t, c, "dm:1", nil)
	publish(t, c, "dm:1", "one")
	wantPayload(t, sub, `"one"`)
	publish(t, c, "dm:2", "for another channel")
	plain := dial(t, url, nil)
	stolen, err := plain.History(t.Context(), "dm:2", nil)
	if err != nil {
		t.Fatal(err)
	}
	moved := stolen.Messages[0].Payload
	if strings.Contains(string(moved), "another") {
		t.Errorf("the server has %s", moved)
	}
	for _, payload := range []string{string(moved), strings.Replace(string(moved), `"k1"`, `"k9"`, 1)} {
		if _, err := srv.PublishEntry(t.Context(), "dm:1", broker.Entry{Payload: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, c, "dm:1", "two")
	if m := next(t, sub); m.Err != ErrUnreadable {
		t.Errorf("what was moved is %s, %v", m.Payload, m.Err)
	}
	if m := next(t, sub); !errors.Is(m.Err, ErrNoKey) {
		t.Errorf("of an unknown key is %s, %v", m.Payload, m.Err)
	}
	wantPayload(t, sub, `"two"`)
	if keys.asked["k1"] != 0 {
		t.Errorf("a key that was used was asked for: %v", keys.asked)
	}
}

func TestE2EWithoutAKeyIsTold(t *testing.T) {
	_, url := serveSealed(t)
	plain := dial(t, url, nil)
	if _, err := plain.Subscribe(t.Context(), "dm:1", nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("subscribed without keys: %v", err)
	}
	if _, err := plain.Publish(t.Context(), "dm:1", "a secret", nil); !errors.Is(err, &Error{Code: 1115, Name: "not_encrypted"}) {
		t.Errorf("published without keys: %v", err)
	}
	keys := newRing("k1")
	c := dial(t, url, keys.options())
	board, err := c.Map(t.Context(), "dm:b", nil)
	if err != nil {
		t.Fatal(err)
	}
	notSupported := &Error{Code: notSupported, Name: "not_supported"}
	if _, err := board.Append(t.Context(), "k", "more", nil); !errors.Is(err, notSupported) {
		t.Errorf("appended: %v", err)
	}
	if err := board.Write(t.Context(), "k", func(func(string, error) bool) {}, nil); !errors.Is(err, notSupported) {
		t.Errorf("wrote a text: %v", err)
	}
	for _, err := range board.Text(t.Context(), "k") {
		if !errors.Is(err, notSupported) {
			t.Errorf("read a text: %v", err)
		}
	}
	keys.rotate("gone")
	if _, err := c.Publish(t.Context(), "dm:1", "a secret", nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("published without a key: %v", err)
	}
	keys.keys["gone"] = make([]byte, 16)
	if _, err := c.Publish(t.Context(), "dm:1", "a secret", nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("published with a short key: %v", err)
	}
	if at := publish(t, c, "open", "no secret"); at.Offset == 0 {
		t.Error("a channel that is not covered is not published to")
	}
}

// Next leaves a message where it is while its key does not come.
func TestE2ENextWaitsForAKey(t *testing.T) {
	_, url := serveSealed(t)
	keys := newRing("k1")
	ada := dial(t, url, keys.options())
	slow := keys.options()
	held := make(chan struct{})
	slow.E2E.Key = func(ctx context.Context, channel, kid string) (E2EKey, error) {
		select {
		case <-held:
			return keys.key(ctx, channel, kid)
		case <-ctx.Done():
			return E2EKey{}, ctx.Err()
		}
	}
	sub := subscribe(t, dial(t, url, slow), "dm:1", nil)
	publish(t, ada, "dm:1", 1)
	publish(t, ada, "dm:1", 2)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if m, err := sub.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("without the key came %s, %v", m.Payload, err)
	}
	close(held)
	wantPayload(t, sub, `1`)
	wantPayload(t, sub, `2`)
}

func TestE2EKeepsABoundedNumberOfKeys(t *testing.T) {
	v := vault{e2e: &E2E{Key: func(_ context.Context, _, kid string) (E2EKey, error) {
		return E2EKey{kid, make([]byte, keyBytes)}, nil
	}}}
	for i := range 3 * maxCiphers {
		if _, err := v.named(t.Context(), "c", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(v.ciphers) > maxCiphers {
		t.Errorf("%d are kept", len(v.ciphers))
	}
}

// A client is given what others have published as encrypted. It takes what was made with the key for this place, in the one way
// that there is to write it, and of nothing else a payload.
func TestUnsealTakesWhatWasSealedForItsPlace(t *testing.T) {
	iv := make([]byte, 12)
	key := E2EKey{"k1", make([]byte, keyBytes)}
	c := &Client{}
	c.vault.e2e = &E2E{Key: func(_ context.Context, _, kid string) (E2EKey, error) { return E2EKey{kid, key.Key}, nil }}
	aead, err := c.vault.keep("c", key)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{
		string(place{"c", "", "set"}.seal(aead, "k1", iv, []byte(`{"a":1}`), false)),
		string(place{"c", "k", "set"}.seal(aead, "k2", iv, nil, true)),
		`null`, ``, `{"e2e":1,"kid":"k1","iv":"AAAAAAAAAAAAAAAA","data":"AAAAAAAAAAAAAAAAAAAAAAA"}`,
		`{"e2e":1,"kid":"k1","iv":"AA\nAAAAAAAAAAAAAA","data":"","iv":"A"}`,
	}
	rapid.Check(t, func(t *rapid.T) {
		p := place{"c", rapid.SampledFrom([]string{"", "k"}).Draw(t, "key"), rapid.SampledFrom([]string{"set", "append", "delete"}).Draw(t, "op")}
		open := func(sealed []byte) Message {
			m := Message{Kind: Entry, Channel: p.channel, Key: p.key, Op: p.op, Payload: sealed}
			if err := c.unseal(context.Background(), &m); err != nil {
				t.Fatal(err)
			}
			return m
		}
		sealed := []byte(rapid.SampledFrom(texts).Draw(t, "text"))
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			at := rapid.IntRange(0, len(sealed)).Draw(t, "at")
			end := min(at+rapid.IntRange(0, 2).Draw(t, "less"), len(sealed))
			more := rapid.SampledFrom([]string{"", "A", "B", "=", `"`, "}", "\n", ",", "\xff"}).Draw(t, "more")
			sealed = slices.Concat(sealed[:at], []byte(more), sealed[end:])
		}
		var e envelope
		switch m := open(sealed); {
		case p.op == "delete" && (len(sealed) == 0 || string(sealed) == "null"):
		case m.Err != nil && (m.Payload != nil || m.Binary):
			t.Fatalf("%q is unreadable, and %q", sealed, m.Payload)
		case m.Err == nil && json.Unmarshal(sealed, &e) != nil:
			t.Fatalf("%q is no envelope", sealed)
		case m.Err == nil:
			iv, _ := base64URL.DecodeString(e.IV)
			var again envelope
			if err := json.Unmarshal(p.seal(aead, e.Kid, iv, m.Payload, m.Binary), &again); err != nil || again != e {
				t.Fatalf("%q holds %q, which is sealed as %+v", sealed, m.Payload, again)
			}
		}
		payload, binary := []byte(rapid.StringMatching(`[0-9]*|"[a-z]*"|.*`).Draw(t, "payload")), rapid.Bool().Draw(t, "binary")
		own := p.seal(aead, "k1", iv, payload, binary)
		if m := open(own); (m.Err == nil) != (binary || json.Valid(payload)) || m.Err == nil && (!bytes.Equal(m.Payload, payload) || m.Binary != binary) {
			t.Fatalf("%q comes back as %q, %v, %v", payload, m.Payload, m.Binary, m.Err)
		}
		elsewhere := place{p.channel, p.key + "+", p.op}
		if m := open(elsewhere.seal(aead, "k1", iv, payload, binary)); m.Err == nil {
			t.Fatalf("%q is taken though it was made for another place", payload)
		}
	})
}
