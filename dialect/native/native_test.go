package native

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hocket.dev/dialect"
)

func TestJSONIsSelectedBeforeWhatIsNotSupported(t *testing.T) {
	want := []string{"hocket.v1.json", "hocket.v1.protobuf", "hocket.v1.msgpack"}
	if diff := cmp.Diff(want, New().Subprotocols()); diff != "" || New().Name() != "native" {
		t.Errorf("%s %s", New().Name(), diff)
	}
	for _, name := range []string{"", "hocket.v1.json"} {
		if _, _, err := New().Open(dialect.Handshake{Subprotocol: name}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range want[1:] {
		codec, commands, err := New().Open(dialect.Handshake{Subprotocol: name, Query: url.Values{"channel": {"c"}}})
		if err == nil || err.Code != dialect.NotSupported || codec == nil || commands != nil {
			t.Fatalf("%q: %v, %v, %v", name, codec, commands, err)
		}
		got := string(codec.AppendReply(nil, dialect.NoID, &dialect.Failed{Err: err}))
		want := `{"type":"error","error":{"code":1501,"name":"not_supported","message":"the format \"` + name +
			`\" is not supported yet: offer hocket.v1.json","retry_after_ms":0}}`
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestQueryBecomesCommandsWithoutIDs(t *testing.T) {
	subscribe := func(channel string) dialect.Command {
		return dialect.Command{Verb: dialect.Subscribe, Channel: channel, Subscribe: &dialect.SubscribeArgs{}}
	}
	for _, test := range []struct {
		query string
		want  []dialect.Command
	}{
		{"", nil},
		{"other=1&heartbeat=0&binary=&user=", nil},
		{"channel=ticker:BTC&channel=&channel=a%20b", []dialect.Command{subscribe("ticker:BTC"), subscribe(""), subscribe("a b")}},
		{"channel=c&user=ada&heartbeat=1", []dialect.Command{
			{Verb: dialect.Connect, Connect: &dialect.ConnectArgs{User: "ada", Heartbeat: true}}, subscribe("c")}},
		{"heartbeat=1", []dialect.Command{{Verb: dialect.Connect, Connect: &dialect.ConnectArgs{Heartbeat: true}}}},
		{"binary=1&channel=c", []dialect.Command{
			{Err: dialect.Errorf(dialect.NotSupported,
				`binary messages are not supported yet: payloads that are not JSON come as base64 with "encoding":"base64"`)},
			subscribe("c")}},
		{"heartbeat=yes&binary=" + strings.Repeat("x", 100), []dialect.Command{
			{Err: dialect.Errorf(dialect.InvalidMessage, "?binary= must be 1 or 0, not \"%s…", strings.Repeat("x", 63))},
			{Err: dialect.Errorf(dialect.InvalidMessage, `?heartbeat= must be 1 or 0, not "yes"`)}}},
	} {
		q, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		_, got, openErr := New().Open(dialect.Handshake{Query: q})
		if diff := cmp.Diff(test.want, got); diff != "" || openErr != nil {
			t.Errorf("?%s: %v\n%s", test.query, openErr, diff)
		}
	}
}

func TestQueryThatCannotBeHonouredRefuses(t *testing.T) {
	for query, want := range map[string]string{
		"user=" + strings.Repeat("u", 256): "invalid_message: user must have at most 255 bytes, not 256",
	} {
		q, _ := url.ParseQuery(query)
		codec, commands, err := New().Open(dialect.Handshake{Query: q})
		if err == nil || err.Error() != want || commands != nil || codec == nil {
			t.Errorf("?%s: %v, %v", query, commands, err)
		}
	}
}
