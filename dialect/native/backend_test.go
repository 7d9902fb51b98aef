package native

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

func TestBackEndsSayTheSameWithoutAnEnvelope(t *testing.T) {
	for _, test := range []struct {
		verb dialect.Verb
		body string
		want dialect.Command
	}{
		{dialect.Publish, ` {"channel":"c", "payload": {"a" : "} "} ,"key":"k","idempotency_key":"i","type":7,"id":{}}`,
			dialect.Command{Verb: dialect.Publish, Channel: "c", Payload: []byte(`{"a" : "} "}`),
				Publish: dialect.PublishArgs{Key: "k", IdempotencyKey: "i"}}},
		{dialect.Publish, `{"payload":1}`,
			dialect.Command{Verb: dialect.Publish, Err: dialect.Errorf(dialect.InvalidChannel, "channel is missing")}},
		{dialect.History, "\n\t{\"channel\":\"c\",\"after\":7,\"limit\":3}",
			dialect.Command{Verb: dialect.History, Channel: "c", History: &dialect.HistoryArgs{After: 7, HasAfter: true, Limit: 3}}},
		{dialect.History, `{"channel":"c","limit":0}`,
			dialect.Command{Verb: dialect.History, Channel: "c", History: &dialect.HistoryArgs{},
				Err: dialect.Errorf(dialect.InvalidRange, "limit must be a whole number from 1 to 1000, not 0")}},
		{dialect.State, `{"channel":"c","order":"score","limit":2,"next":"n"}`,
			dialect.Command{Verb: dialect.State, Channel: "c", State: &dialect.StateArgs{Order: broker.ByScore, Limit: 2, Next: "n"}}},
		{dialect.Presence, `{"channel":"c","next":"k.4","payload":{"next":"no"}}`,
			dialect.Command{Verb: dialect.Presence, Channel: "c", Presence: &dialect.PresenceArgs{Next: "k.4"}}},
		{dialect.Presence, `[]`, dialect.Command{Verb: dialect.Presence,
			Err: dialect.Errorf(dialect.InvalidJSON, "the message must be one JSON object: expected an object, not '[' at byte 0")}},
	} {
		if diff := cmp.Diff(test.want, DecodeRequest(test.verb, []byte(test.body))); diff != "" {
			t.Errorf("%s: %s", test.body, diff)
		}
	}
	got := DecodeEntry([]byte(`{"channel":7,"payload":"AP8=","encoding":"base64"}`))
	want := dialect.Command{Verb: dialect.Publish, Payload: []byte{0, 255}, Format: broker.Binary}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("an entry without its channel: %s", diff)
	}
}

func TestResultsAreThePayloadsOfReplies(t *testing.T) {
	entry := &broker.Entry{Offset: 4, Time: 9, Payload: []byte(`"x"`)}
	for _, r := range []dialect.Reply{
		&dialect.Published{Epoch: "k3", Offset: 4, Duplicate: true},
		&dialect.HistoryPage{Page: broker.Page{Epoch: "k3", Head: 4, Entries: []*broker.Entry{entry}, More: true}},
		&dialect.StatePage{Page: broker.Page{Epoch: "k3", Head: 4, Entries: []*broker.Entry{entry}}, Count: 2, Next: "n"},
		&dialect.PresencePage{Epoch: "k3", Offset: 4, Count: 1, Members: []*broker.Entry{entry}, Next: "k3.4"},
	} {
		want := string(open(t).AppendReply(nil, dialect.NoID, r))
		if got := `{"type":"reply","payload":` + string(AppendResult(nil, r)) + "}"; got != want {
			t.Errorf("the result in a reply is %s, want %s", got, want)
		}
	}
}
