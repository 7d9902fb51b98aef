package session

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
)

// FuzzSession gives a session any messages, one a line. It answers each request once, in whole frames, lives on, and leaves
// nothing behind.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		`{"type":"connect","id":0,"payload":{"user":"ada","info":{},"client":"c","heartbeat":true}}`,
		`{"type":"connect","payload":{"tok\u0065n":"t"}}` + "\n" + `{"type":"ping"}`,
		`{"type":"subscribe","id":1,"channel":"a","payload":{"presence":true,"from":{"last":3}}}` + "\n" +
			`{"type":"publish","id":2,"channel":"a","payload":1,"key":"k","op":"append","echo":false,"seq":1}` + "\n" +
			`{"type":"unsubscribe","id":3,"channel":"a"}` + "\n" + `{"type":"subscribe","channel":"a","payload":{"from":"state"}}`,
		`{"type":"subscribe","channel":"a","payload":{"presence":{"epoch":"x","offset":9},"from":{"epoch":"x","offset":9}}}`,
		`{"type":"subscribe","id":"s","channel":"a","payload":{"presence":"watch","from":{"since_ms":9},"filter":{"lang":["en","de"]}}}` + "\n" +
			`{"type":"publish","id":"s","channel":"a","payload":"AP8=","encoding":"base64","tags":{"lang":"de"},"ttl_ms":1,"idempotency_key":"i"}` + "\n" +
			`{"type":"publish","id":7,"channel":"a","payload":1,"tags":{"lang":"fr"},"expect":0}`,
		`{"type":"publish","id":1,"channel":"a","key":"k","payload":1,"score":2.5,"ephemeral":true,"expect":0}` + "\n" +
			`{"type":"publish","id":1,"channel":"a","key":"k","payload":2,"expect":0}` + "\n" + `{"type":"publish","id":2,"channel":"a","key":"k","op":"delete"}` + "\n" +
			`{"type":"state","id":3,"channel":"a","payload":{"order":"score","limit":2}}` + "\n" + `{"type":"state","id":4,"channel":"a"}`,
		`{"type":"history","id":1,"channel":"a","payload":{"before":9,"limit":2}}` + "\n" + `{"type":"presence","channel":"a","payload":{"next":"e.1"}}`,
		`{"type":"call","id":1,"method":"m","payload":{}}` + "\n" + `{"type":"call","id":1,"method":"m"}` + "\n" + `{"type":"call","id":2,"method":"x"}`,
		`{"type":"publish","channel":"$a","payload":1}` + "\n" + `{"type":"subscribe","id":"p","channel":"a:*"}` + "\n{\n\xff\n[]\n" + `{"type":"pong","id":1}`,
		`{"type":"subscribe","id":1,"channel":"$presence:a"}` + "\n" + `{"type":"subscribe","id":2,"channel":"a","payload":{"presence":true}}` + "\n" +
			`{"type":"presence","id":3,"channel":"a","payload":{"limit":1}}` + "\n" + `{"type":"subscribe","id":2,"channel":"a"}` + "\n" + `{"type":"unsubscribe","id":9,"channel":"b"}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, patient bool) {
		w := newWorld(t, func(*Config) {})
		w.methods["m"] = func(_ context.Context, c Call) ([]byte, error) { return c.Payload, nil }
		c := w.connect()
		var got []string
		take := func() {
			w.settle()
			got = append(got, c.take()...)
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			c.Receive([]byte(line))
			if patient || !c.reading {
				take()
			}
		}
		w.pass(2 * time.Second)
		take()
		if c.code == 0 {
			wantAnswered(t, data, got)
			c.send(`{"type":"ping","id":"at the end"}`)
			c.want(`{"type":"pong","id":"at the end"}`)
		} else if c.code != dialect.CloseUnauthenticated { // by a token, which nobody checks here
			t.Errorf("closed with %d %s", c.code, c.reason)
		}
		c.Closed(1006, "")
		w.pass(time.Second)
		if n := w.hub.Stats().Cursors; n != 0 {
			t.Errorf("%d cursors are left", n)
		}
	})
}

// wantAnswered wants as many answers to each id as there are requests with it. One whose id belonged to an open request is
// answered without it.
func wantAnswered(t *testing.T, data []byte, got []string) {
	t.Helper()
	codec, _, err := native.New().Open(dialect.Handshake{})
	if err != nil {
		t.Fatal(err)
	}
	open, all := make(map[dialect.ID]int), 0
	for line := range strings.SplitSeq(string(data), "\n") {
		if c := codec.Decode(nil, []byte(line))[0]; c.ID.Kind != dialect.IDNone && c.Verb != dialect.Pong {
			open[c.ID]++
			all++
		}
	}
	for _, msg := range got {
		var m struct {
			Type  string
			ID    any
			Error struct{ Name string }
		}
		if err := json.Unmarshal([]byte(msg), &m); err != nil {
			t.Fatal(err)
		}
		var id dialect.ID
		switch v := m.ID.(type) {
		case string:
			id = dialect.ID{Kind: dialect.IDString, Str: v}
		case float64: // all that are allowed are exact
			id = dialect.ID{Kind: dialect.IDNumber, Num: uint64(v)}
		case nil:
			if m.Error.Name == "id_in_use" {
				all--
			}
			continue
		}
		if open[id]--; open[id] < 0 || m.Type != "reply" && m.Type != "error" && m.Type != "pong" {
			t.Errorf("%s answers no request", msg)
		}
		all--
	}
	if all != 0 {
		t.Errorf("%d requests are not answered in\n%s", all, strings.Join(got, "\n"))
	}
}
