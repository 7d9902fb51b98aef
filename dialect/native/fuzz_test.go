package native

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// FuzzDecode holds, for any message: there is one command; JSON that does not parse is one without an id, and any other
// has the id that encoding/json finds; a payload is JSON; an error is short, and its message is a valid one.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"type":"subscribe","id":1,"channel":"chat:lobby","payload":{"from":{"last":50},"presence":true}}`,
		`{"type":"subscribe","id":"a","channel":"c","payload":{"from":{"epoch":"k3","offset":41},"presence":{"epoch":"p","offset":1}}}`,
		`{"type":"publish","id":2,"channel":"c","payload":{"text":"hello"},"idempotency_key":"c7-12","key":"k","op":"append","tags":{"a":"b"},"seq":3}`,
		`{"type":"publish","channel":"c","payload":"AP8=","encoding":"base64","echo":false}`,
		`{"type":"history","id":4,"channel":"c","payload":{"after":10,"limit":100}}`,
		`{"type":"publish","channel":"c","key":"k","payload":1,"expect":0,"ttl_ms":5,"score":1e3,"ephemeral":true}`,
		`{"type":"subscribe","channel":"c","payload":{"from":{"epoch":"k","offset":1,"state":true},"filter":{"lang":"en","kind":["a","b"]}}}`,
		`{"type":"state","id":7,"channel":"c","payload":{"order":"score","limit":2,"next":"n"}}`,
		`{"type":"presence","id":5,"channel":"c","payload":{"limit":100,"next":"s"}}`,
		`{"type":"call","id":6,"method":"price.get","payload":{"symbol":"BTC"}}`,
		`{"type":"connect","id":0,"payload":{"token":"t","user":"u","info":[],"client":"c","heartbeat":true,"binary":false}}`,
		`{"type":"ping","id":9}`, `{"id":-1}`, `[`, `{"id":3,"id":"x","type":5}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		commands := codec{}.Decode(nil, bytes.Clone(msg))
		if len(commands) != 1 {
			t.Fatalf("%q made %d commands", msg, len(commands))
		}
		c := commands[0]
		if c.Verb == dialect.Invalid && c.Err == nil {
			t.Fatalf("%q: neither a verb nor an error", msg)
		}
		if c.Err != nil && (len(c.Err.Message) > 400 || !utf8.ValidString(c.Err.Message)) {
			t.Fatalf("%q: %d bytes of error: %q", msg, len(c.Err.Message), c.Err.Message)
		}
		if c.Payload != nil && c.Format == broker.JSON && jsonval.Check(c.Payload, maxDepth) != nil {
			t.Fatalf("%q has the payload %q", msg, c.Payload)
		}
		if c.Err != nil && (strings.Contains(c.Err.Message, "nested deeper") || strings.HasPrefix(c.Err.Message, "the message is refused: ")) {
			return // jsonval has a target of its own
		}
		isObject := json.Valid(msg) && utf8.Valid(msg) && bytes.TrimLeft(msg, " \t\r\n")[0] == '{'
		parsed := c.Err == nil || c.Err.Code != dialect.InvalidJSON
		if parsed != isObject {
			t.Fatalf("%q: %v", msg, c.Err)
		}
		if !parsed {
			return
		}
		if got, want := c.ID, wantID(t, msg, c.Err); got != want {
			t.Fatalf("%q has the id %v, want %v", msg, got, want)
		}
	})
}

// FuzzOpen holds that a query says what a connect message with the same words says, and asks for its channels.
func FuzzOpen(f *testing.F) {
	for _, seed := range []string{
		"channel=ticker:BTC&channel=a", "user=ada&client=c7&heartbeat=1", "binary=1", "binary=%ff&heartbeat=yes", "client=__proto__",
		"user=" + strings.Repeat("%C3%A9", 128), "client=" + strings.Repeat("c", 65), "user=%zz&channel;a", "client=%ff", "user=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, _ := url.ParseQuery(query) // what is malformed is left out, as by package http
		_, commands, err := New().Open(dialect.Handshake{Query: q})
		connect := new(dialect.ConnectArgs)
		var channels []string
		for _, c := range commands {
			switch {
			case c.Err != nil && c.Verb == dialect.Invalid && len(c.Err.Message) < 400 && utf8.ValidString(c.Err.Message):
			case c.Verb == dialect.Connect:
				connect = c.Connect
			case c.Verb == dialect.Subscribe:
				channels = append(channels, c.Channel)
			default:
				t.Fatalf("%q asks for %+v", query, c)
			}
		}
		if err == nil && !slices.Equal(channels, q["channel"]) {
			t.Fatalf("%q asks for the channels %q", query, channels)
		}
		user, client := q.Get("user"), q.Get("client")
		if !utf8.ValidString(user) || !utf8.ValidString(client) {
			return // no message says that
		}
		payload := map[string]any{"user": user, "heartbeat": q.Get("heartbeat") == "1"}
		if client != "" {
			payload["client"] = client
		}
		msg, _ := json.Marshal(map[string]any{"type": "connect", "payload": payload})
		said := codec{}.Decode(nil, msg)[0]
		if (said.Err != nil) != (err != nil) || err == nil && !cmp.Equal(said.Connect, connect) {
			t.Fatalf("%q is %+v, %v, and %s is %+v, %v", query, connect, err, msg, said.Connect, said.Err)
		}
	})
}

// wantID finds the id of msg by encoding/json.
func wantID(t *testing.T, msg []byte, err *dialect.Error) dialect.ID {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(msg, &fields); err != nil {
		t.Fatal(err)
	}
	raw, ok := fields["id"]
	if !ok || err != nil && err.Code == dialect.InvalidID {
		return dialect.NoID
	}
	var n uint64
	if json.Unmarshal(raw, &n) == nil {
		return number(n)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return dialect.ID{Kind: dialect.IDString, Str: s}
}

// TestCutMessagesHaveNoCommand cuts a message at every byte.
func TestCutMessagesHaveNoCommand(t *testing.T) {
	msg := `{"type":"publish","id":2,"channel":"cä","payload":{"text":"\u00e4"},"tags":{"a":"b"},"echo":false,"seq":12}`
	for n := range len(msg) {
		if c := decode(t, msg[:n]); c.Err == nil || c.Err.Code != dialect.InvalidJSON || c.Verb != dialect.Invalid {
			t.Fatalf("%s: %v, %v", msg[:n], c.Verb, c.Err)
		}
	}
}

// TestPublishIsReadAsWritten writes publishes with encoding/json and reads them back.
func TestPublishIsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.Rune(), 1, 16, 60)
		want := dialect.Command{
			Verb: dialect.Publish, Channel: text.Draw(t, "channel"), ID: dialect.ID{Kind: dialect.IDString, Str: text.Draw(t, "id")},
			Publish: dialect.PublishArgs{
				Key: text.Draw(t, "key"), IdempotencyKey: text.Draw(t, "idempotency_key"),
				Seq: rapid.Uint64Range(1, maxOffset).Draw(t, "seq"), NoEcho: rapid.Bool().Draw(t, "no echo"),
				Tags:   rapid.MapOfN(text, text, 1, maxTags).Draw(t, "tags"),
				Expect: rapid.Uint64Range(0, maxOffset).Draw(t, "expect"), HasExpect: true,
				TTL:   time.Duration(rapid.Int64Range(1, maxTTL.Milliseconds()).Draw(t, "ttl_ms")) * time.Millisecond,
				Score: rapid.Float64().Draw(t, "score"), Ephemeral: rapid.Bool().Draw(t, "ephemeral"),
			},
		}
		want.Payload, _ = json.Marshal(rapid.MapOf(text, text).Draw(t, "payload"))
		a := want.Publish
		msg, err := json.MarshalIndent(map[string]any{
			"type": "publish", "id": want.ID.Str, "channel": want.Channel, "key": a.Key, "idempotency_key": a.IdempotencyKey,
			"seq": a.Seq, "echo": !a.NoEcho, "tags": a.Tags, "expect": a.Expect,
			"ttl_ms": a.TTL.Milliseconds(), "score": a.Score, "ephemeral": a.Ephemeral, "payload": string(want.Payload),
		}, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		want.Payload, _ = json.Marshal(string(want.Payload))
		if diff := cmp.Diff([]dialect.Command{want}, codec{}.Decode(nil, msg)); diff != "" {
			t.Fatalf("%s\n%s", msg, diff)
		}
	})
}

// benchmarkPublish is a publish with a payload of 128 bytes.
var benchmarkPublish = []byte(`{"type":"publish","id":2,"channel":"chat:lobby","payload":{"text":"` + strings.Repeat("x", 117) +
	`"},"idempotency_key":"c7-12"}`)

func TestDecodeOfAPublishAllocatesItsStringsOnly(t *testing.T) {
	commands := make([]dialect.Command, 0, 1)
	n := testing.AllocsPerRun(100, func() { commands = codec{}.Decode(commands[:0], benchmarkPublish) })
	if commands[0].Err != nil || n > 2 {
		t.Errorf("%v allocations for a channel and a key, %v", n, commands[0].Err)
	}
}

func BenchmarkDecodePublish(b *testing.B) {
	b.Run("native", func(b *testing.B) {
		commands := make([]dialect.Command, 0, 1)
		b.ReportAllocs()
		for b.Loop() {
			commands = codec{}.Decode(commands[:0], benchmarkPublish)
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m struct {
				Type           string          `json:"type"`
				ID             json.RawMessage `json:"id"`
				Channel        string          `json:"channel"`
				Payload        json.RawMessage `json:"payload"`
				IdempotencyKey string          `json:"idempotency_key"`
			}
			if err := json.Unmarshal(benchmarkPublish, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
