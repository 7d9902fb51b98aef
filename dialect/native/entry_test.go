package native

import (
	"encoding/json"
	"strings"
	"testing"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

func push(t *testing.T, channel string, e broker.Entry) string {
	t.Helper()
	return string(open(t).Encoding().AppendEntry(nil, channel, "k3", &e))
}

func TestEncodingsShareTheirBytes(t *testing.T) {
	if a, b := open(t).Encoding(), open(t).Encoding(); a != b {
		t.Error("two JSON connections do not compare equal")
	}
}

func TestEntries(t *testing.T) {
	from := &broker.Member{Session: "0R6", User: "u2"}
	for _, test := range []struct {
		channel string
		entry   broker.Entry
		want    string
	}{
		{"chat:lobby", broker.Entry{Offset: 40, Time: 1795000000123, Payload: []byte(`{"text":"hi"}`), From: from},
			`{"type":"message","channel":"chat:lobby","offset":40,"time":1795000000123,"payload":{"text":"hi"},"from":{"user":"u2","session":"0R6"}}`},
		{"c", broker.Entry{Offset: 1, Time: 2, Payload: []byte(`null`)},
			`{"type":"message","channel":"c","offset":1,"time":2,"payload":null}`},
		{"c", broker.Entry{Offset: 1, Key: "k", Op: broker.Append, Payload: []byte(`"x"`),
			Headers: map[string]string{"tag:b": "2", "trace": "t", "tag:a": "1", "tag:d": "", "tag:f": "", "tag:e": "", "tag:c": ""}},
			`{"type":"message","channel":"c","offset":1,"time":0,"payload":"x","key":"k","op":"append","tags":{"a":"1","b":"2","c":"","d":"","e":"","f":""}}`},
		{"c", broker.Entry{Offset: 1, Key: "k", Op: broker.Delete, From: &broker.Member{Session: "s"}, Headers: map[string]string{"trace": "t"}},
			`{"type":"message","channel":"c","offset":1,"time":0,"from":{"user":"","session":"s"},"key":"k","op":"delete"}`},
		{"c", broker.Entry{Offset: 1, Key: "k", Payload: []byte(`1`), Score: -0.25, Headers: map[string]string{"tag:a": "b"}},
			`{"type":"message","channel":"c","offset":1,"time":0,"payload":1,"key":"k","score":-0.25,"tags":{"a":"b"}}`},
		{"c", broker.Entry{Format: broker.Binary, Payload: []byte{0, 255}},
			`{"type":"message","channel":"c","offset":0,"time":0,"payload":"AP8=","encoding":"base64"}`},
		{"c", broker.Entry{Format: broker.Text},
			`{"type":"message","channel":"c","offset":0,"time":0,"payload":"","encoding":"base64"}`},
		{"$presence:chat:lobby", broker.Entry{Offset: 9, Key: "0R6", From: from, Payload: []byte(`{"name":"Ada"}`)},
			`{"type":"join","channel":"chat:lobby","epoch":"k3","offset":9,"members":[{"session":"0R6","user":"u2","info":{"name":"Ada"}}]}`},
		{"$presence:c", broker.Entry{Offset: 9, Key: "0R6", From: from, Payload: []byte(`null`), Headers: map[string]string{"update": "1"}},
			`{"type":"update","channel":"c","epoch":"k3","offset":9,"members":[{"session":"0R6","user":"u2"}]}`},
		{"$presence:c", broker.Entry{Offset: 9, Key: "0R6", Op: broker.Delete, From: from},
			`{"type":"leave","channel":"c","epoch":"k3","offset":9,"members":[{"session":"0R6","user":"u2"}]}`},
		{"$other:c", broker.Entry{Offset: 9, Payload: []byte(`1`)},
			`{"type":"message","channel":"$other:c","offset":9,"time":0,"payload":1}`},
	} {
		if got := push(t, test.channel, test.entry); got != test.want {
			t.Errorf(" got %s\nwant %s", got, test.want)
		}
	}
}

// hostile tries to close the string and the object it stands in, and to open a message of its own.
const hostile = "x\"}],\"type\":\"error\",\"a\":[{\"\\\u2028\n\x00\xff"

// TestNoStringChangesTheEnvelope puts a hostile string everywhere and reads the messages as a client does.
func TestNoStringChangesTheEnvelope(t *testing.T) {
	clean := strings.ToValidUTF8(hostile, "\ufffd")
	at := func(v any, path ...any) any {
		for _, step := range path {
			switch step := step.(type) {
			case string:
				v = v.(map[string]any)[step]
			case int:
				v = v.([]any)[step]
			}
		}
		return v
	}
	from := &broker.Member{Session: hostile, User: hostile}
	e := &broker.Entry{Key: hostile, From: from, Payload: []byte(`1`), Headers: map[string]string{"tag:" + hostile: hostile}}
	failed := &dialect.Error{Code: 10000, Name: hostile, Message: hostile}
	codec := open(t)
	id := dialect.ID{Kind: dialect.IDString, Str: hostile}
	reply := func(r dialect.Reply) []byte { return codec.AppendReply(nil, id, r) }
	for _, test := range []struct {
		name   string
		msg    []byte
		fields int // of the message
		paths  [][]any
	}{
		{"message", codec.Encoding().AppendEntry(nil, hostile, hostile, e), 8,
			[][]any{{"channel"}, {"key"}, {"from", "user"}, {"from", "session"}, {"tags", clean}}},
		{"join", codec.Encoding().AppendEntry(nil, "$presence:"+hostile, hostile, e), 5,
			[][]any{{"channel"}, {"epoch"}, {"members", 0, "session"}, {"members", 0, "user"}}},
		{"error", reply(&dialect.Failed{Channel: hostile, Err: failed}), 4,
			[][]any{{"id"}, {"channel"}, {"error", "name"}, {"error", "message"}}},
		{"reply", reply(&dialect.HistoryPage{Channel: hostile, Page: broker.Page{Epoch: hostile, Entries: []*broker.Entry{e}}}), 4,
			[][]any{{"id"}, {"channel"}, {"payload", "epoch"}, {"payload", "messages", 0, "key"}}},
		{"reply", reply(&dialect.StatePage{Channel: hostile, Page: broker.Page{Epoch: hostile, Entries: []*broker.Entry{e}}, Next: hostile}), 4,
			[][]any{{"channel"}, {"payload", "epoch"}, {"payload", "messages", 0, "key"}, {"payload", "next"}}},
		{"reply", reply(&dialect.PresencePage{Channel: hostile, Epoch: hostile, Next: hostile, Members: []*broker.Entry{e}}), 4,
			[][]any{{"channel"}, {"payload", "epoch"}, {"payload", "next"}, {"payload", "members", 0, "user"}}},
		{"reply", reply(&dialect.Connected{Session: hostile, User: hostile, Node: hostile, Features: []string{hostile}}), 3,
			[][]any{{"payload", "session"}, {"payload", "user"}, {"payload", "node"}, {"payload", "features", 0}}},
		{"reply", reply(&dialect.Subscribed{Channel: hostile, Epoch: hostile, HasCount: true, PresenceEpoch: hostile}), 4,
			[][]any{{"channel"}, {"payload", "epoch"}, {"payload", "presence", "epoch"}}},
		{"gap", reply(&dialect.GapNotice{Channel: hostile, Reason: hostile}), 3, [][]any{{"channel"}, {"payload", "reason"}}},
		{"unsubscribed", reply(&dialect.Unsubscribed{Channel: hostile, Err: failed}), 3, [][]any{{"channel"}, {"payload", "name"}}},
		{"reconnect", reply(&dialect.Reconnect{URL: hostile}), 2, [][]any{{"payload", "url"}}},
	} {
		var got map[string]any
		if err := json.Unmarshal(test.msg, &got); err != nil {
			t.Errorf("%s: %v: %s", test.name, err, test.msg)
			continue
		}
		if got["type"] != test.name || len(got) != test.fields {
			t.Errorf("%s became %s", test.name, test.msg)
		}
		for _, path := range test.paths {
			if v := at(got, path...); v != clean {
				t.Errorf("%s: %v is %q", test.name, path, v)
			}
		}
	}
}

func TestAppendEntryDoesNotAllocate(t *testing.T) {
	e := &broker.Entry{Offset: 40, Time: 1795000000123, Payload: []byte(`{"text":"hi"}`), Key: "k\"ä",
		From: &broker.Member{Session: "0R6", User: "u2"}, Headers: map[string]string{"tag:b": "2", "tag:a": "1", "x": "y"}}
	enc := open(t).Encoding()
	dst := make([]byte, 0, 1024)
	for _, channel := range []string{"chat:lobby", "$presence:chat:lobby"} {
		for _, format := range []broker.Format{broker.JSON, broker.Binary} {
			e.Format = format
			if n := testing.AllocsPerRun(100, func() { enc.AppendEntry(dst, channel, "k3", e) }); n != 0 {
				t.Errorf("%s, format %d: %v allocations", channel, format, n)
			}
		}
	}
}

func BenchmarkAppendEntry(b *testing.B) {
	e := &broker.Entry{Offset: 40, Time: 1795000000123, Payload: []byte(`"` + strings.Repeat("x", 126) + `"`),
		From: &broker.Member{Session: "0R6", User: "u2"}}
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		encoding{}.AppendEntry(dst, "chat:lobby", "k3", e)
	}
}

// fullEntries are entries of every op that carry all they can.
func fullEntries() []*broker.Entry {
	from := &broker.Member{Session: "s", User: "u"}
	tags := map[string]string{"tag:a": "b"}
	return []*broker.Entry{
		{Payload: []byte("1"), Key: "k", Op: broker.Append, From: from, Headers: tags, Score: 1},
		{Payload: []byte("1"), Format: broker.Binary},
		{Op: broker.Delete, From: from},
		{Headers: map[string]string{dialect.UpdateHeader: "1"}, From: from},
		{Headers: map[string]string{dialect.CrowdHeader: "1001"}, From: from},
	}
}
