package native

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// TestSpecSpeaksTheProtocol reads the examples of spec/protocol.md: what a client sends there is understood, or is
// answered by the very error that follows it; what the server sends is made of the fields the codec writes.
func TestSpecSpeaksTheProtocol(t *testing.T) {
	text, err := os.ReadFile("../../spec/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var refused string // the error that the last request must be followed by
	requests, messages := 0, 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if msg, ok := strings.CutPrefix(line, "→ "); ok {
			if refused != "" {
				t.Errorf("not followed by %s", refused)
			}
			requests++
			refused = ""
			if c := decode(t, msg); c.Err != nil {
				refused = string(open(t).AppendReply(nil, c.ID, &dialect.Failed{Err: c.Err}))
			}
		}
		if msg, ok := strings.CutPrefix(line, "← "); ok {
			messages++
			wantServerMessage(t, msg)
			if refused != "" && refused != msg {
				t.Errorf("the text says %s\nthe codec     %s", msg, refused)
			}
			refused = ""
		}
	}
	if refused != "" || requests < 20 || messages < 30 {
		t.Errorf("%d requests, %d messages, and unanswered %q", requests, messages, refused)
	}
}

// serverMessages are the messages of a server, each with every field it can have.
func serverMessages(t *testing.T) map[string]map[string]any {
	t.Helper()
	types := make(map[string]map[string]any)
	add := func(msg []byte) {
		var fields map[string]any
		if err := json.Unmarshal(msg, &fields); err != nil {
			t.Fatal(err)
		}
		typ := fields["type"].(string)
		if types[typ] == nil {
			types[typ] = fields
		}
		for name, value := range fields {
			types[typ][name] = value
		}
	}
	codec := open(t)
	for _, r := range []dialect.Reply{
		&dialect.Connected{ExpiresAt: 1}, &dialect.Done{Channel: "c"}, &dialect.Result{}, &dialect.PongReply{}, &dialect.PingNotice{},
		&dialect.Failed{Channel: "c", Err: &dialect.Error{Position: &broker.Position{}}}, &dialect.PositionNotice{Channel: "c"}, &dialect.GapNotice{Channel: "c"},
		&dialect.Unsubscribed{Channel: "c", Err: &dialect.Error{}}, &dialect.Event{Payload: []byte("1")}, &dialect.Reconnect{URL: "u"},
	} {
		add(codec.AppendReply(nil, number(1), r))
		add(codec.AppendReply(nil, dialect.NoID, r))
	}
	for _, e := range fullEntries() {
		for _, channel := range []string{"c", "$presence:c"} {
			add(codec.Encoding().AppendEntry(nil, channel, "k", e))
		}
	}
	return types
}

// wantServerMessage checks that msg is one that a server can send.
func wantServerMessage(t *testing.T, msg string) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(msg), &got); err != nil {
		t.Errorf("%s: %v", msg, err)
		return
	}
	typ := got["type"].(string)
	want, ok := serverMessages(t)[typ]
	if !ok {
		t.Errorf("no server says %s", msg)
		return
	}
	if typ == "message" || typ == "event" || typ == "reply" { // what stands in their payload is not ours to say
		delete(got, "payload")
		want["payload"] = nil
	}
	for _, name := range strange(got, want) {
		t.Errorf("%s has no field %s", msg, name)
	}
}

// strange names the fields that got has and want does not, at any depth; info and tags may hold what they like.
func strange(got, want any) (names []string) {
	switch got := got.(type) {
	case map[string]any:
		want, _ := want.(map[string]any)
		for name, value := range got {
			if name == "info" || name == "tags" {
				continue
			}
			if _, ok := want[name]; !ok {
				names = append(names, name)
			}
			names = append(names, strange(value, want[name])...)
		}
	case []any:
		if want, ok := want.([]any); ok && len(want) > 0 {
			for _, value := range got {
				names = append(names, strange(value, want[0])...)
			}
		}
	}
	return names
}
