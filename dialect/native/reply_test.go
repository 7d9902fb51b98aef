package native

import (
	"encoding/json"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// TestReplies holds the bytes of every message that is not an entry, as spec/protocol.md shows them.
func TestReplies(t *testing.T) {
	denied := dialect.Errorf(dialect.PermissionDenied, "publish to chat:lobby is not allowed")
	slow := &dialect.Error{Code: 10007, Name: "too_fast", Message: "slower", RetryAfter: 1500*time.Millisecond + 1}
	connected := &dialect.Connected{Session: "0R7", User: "u1", Node: "n1", PingMS: 25000, ExpiresAt: 1795000000000,
		Features: []string{"recover", "presence"}, MessageBytes: 65536}
	entries := []*broker.Entry{
		{Offset: 40, Time: 1795000000123, Payload: []byte(`{"text": "hi"}`), From: &broker.Member{Session: "0R6", User: "u2"}},
		{Offset: 43, Time: 1795000000124, Key: "k", Op: broker.Delete},
	}
	scored := []*broker.Entry{
		{Offset: 42, Time: 7, Key: "ada", Payload: []byte(`1`), Score: 12.5}, {Offset: 43, Time: 7, Key: "bo", Payload: []byte(`2`)},
	}
	conflict := dialect.Errorf(dialect.Conflict, "expect does not hold")
	conflict.Position = &broker.Position{Epoch: "k3", Offset: 42}
	members := []*broker.Entry{
		{Key: "s1", From: &broker.Member{Session: "s1", User: "u1"}, Payload: []byte(`{"name":"Ada"}`)},
		{Key: "s2", From: &broker.Member{Session: "s2"}, Payload: []byte(`null`)},
		{Key: "s3"},
	}
	str := dialect.ID{Kind: dialect.IDString, Str: `a"b`}
	for _, test := range []struct {
		id    dialect.ID
		reply dialect.Reply
		want  string
	}{
		{dialect.NoID, connected, `{"type":"connected","payload":{"session":"0R7","user":"u1","node":"n1","ping_ms":25000,"expires_at":1795000000000,"features":["recover","presence"],"limits":{"message_bytes":65536}}}`},
		{number(0), &dialect.Connected{Session: "s", Node: "n"}, `{"type":"reply","id":0,"payload":{"session":"s","user":"","node":"n","ping_ms":0,"features":[],"limits":{"message_bytes":0}}}`},
		{number(1), &dialect.Subscribed{Channel: "chat:lobby", Epoch: "k3", Offset: 41, Recovered: true}, `{"type":"reply","id":1,"channel":"chat:lobby","payload":{"epoch":"k3","offset":41,"recovered":true}}`},
		{number(1), &dialect.Subscribed{Channel: "c", Epoch: "k3", E2E: true}, `{"type":"reply","id":1,"channel":"c","payload":{"epoch":"k3","offset":0,"recovered":false,"e2e":true}}`},
		{number(1), &dialect.Subscribed{Channel: "c", Epoch: "k3", Count: 3, HasCount: true, PresenceEpoch: "p1", PresenceOffset: 9}, `{"type":"reply","id":1,"channel":"c","payload":{"epoch":"k3","offset":0,"recovered":false,"presence":{"count":3,"epoch":"p1","offset":9}}}`},
		{number(2), &dialect.Published{Epoch: "k3", Offset: 42}, `{"type":"reply","id":2,"payload":{"epoch":"k3","offset":42}}`},
		{str, &dialect.Published{Epoch: "k3", Offset: maxOffset, Duplicate: true}, `{"type":"reply","id":"a\"b","payload":{"epoch":"k3","offset":9007199254740991,"duplicate":true}}`},
		{number(3), &dialect.Done{Channel: "c"}, `{"type":"reply","id":3,"channel":"c"}`},
		{number(3), &dialect.Done{}, `{"type":"reply","id":3}`},
		{number(4), &dialect.HistoryPage{Channel: "c", Page: broker.Page{Epoch: "k3", Head: 43, Entries: entries, More: true}}, `{"type":"reply","id":4,"channel":"c","payload":{"epoch":"k3","offset":43,"messages":[{"offset":40,"time":1795000000123,"payload":{"text": "hi"},"from":{"user":"u2","session":"0R6"}},{"offset":43,"time":1795000000124,"key":"k","op":"delete"}],"more":true}}`},
		{number(4), &dialect.HistoryPage{Channel: "c", Page: broker.Page{Epoch: "k3"}}, `{"type":"reply","id":4,"channel":"c","payload":{"epoch":"k3","offset":0,"messages":[],"more":false}}`},
		{number(4), &dialect.StatePage{Channel: "c", Page: broker.Page{Epoch: "k3", Head: 43, Entries: scored}, Count: 9, Next: "s.k3"}, `{"type":"reply","id":4,"channel":"c","payload":{"epoch":"k3","offset":43,"count":9,"messages":[{"offset":42,"time":7,"payload":1,"key":"ada","score":12.5},{"offset":43,"time":7,"payload":2,"key":"bo"}],"next":"s.k3"}}`},
		{number(4), &dialect.StatePage{Channel: "c"}, `{"type":"reply","id":4,"channel":"c","payload":{"epoch":"","offset":0,"count":0,"messages":[]}}`},
		{number(5), &dialect.PresencePage{Channel: "c", Epoch: "p1", Offset: 9, Count: 5, Members: members, Next: "s3"}, `{"type":"reply","id":5,"channel":"c","payload":{"count":5,"members":[{"session":"s1","user":"u1","info":{"name":"Ada"}},{"session":"s2","user":""},{"session":"s3","user":""}],"next":"s3","epoch":"p1","offset":9}}`},
		{number(5), &dialect.PresencePage{Channel: "c", Epoch: "p1"}, `{"type":"reply","id":5,"channel":"c","payload":{"count":0,"members":[],"epoch":"p1","offset":0}}`},
		{number(6), &dialect.Result{Payload: []byte(`[1, 2]`)}, `{"type":"reply","id":6,"payload":[1, 2]}`},
		{number(6), &dialect.Result{}, `{"type":"reply","id":6,"payload":null}`},
		{number(9), &dialect.PongReply{}, `{"type":"pong","id":9}`},
		{dialect.NoID, &dialect.PongReply{}, `{"type":"pong"}`},
		{dialect.NoID, &dialect.PingNotice{}, `{"type":"ping"}`},
		{number(2), &dialect.Failed{Err: denied}, `{"type":"error","id":2,"error":{"code":1403,"name":"permission_denied","message":"publish to chat:lobby is not allowed","retry_after_ms":0}}`},
		{number(2), &dialect.Failed{Channel: "c", Err: conflict}, `{"type":"error","id":2,"channel":"c","error":{"code":1409,"name":"conflict","message":"expect does not hold","retry_after_ms":0,"epoch":"k3","offset":42}}`},
		{dialect.NoID, &dialect.Failed{Channel: "c", Err: slow}, `{"type":"error","channel":"c","error":{"code":10007,"name":"too_fast","message":"slower","retry_after_ms":1501}}`},
		{dialect.NoID, &dialect.PositionNotice{Channel: "c", Offset: 57}, `{"type":"position","channel":"c","offset":57}`},
		{dialect.NoID, &dialect.GapNotice{Channel: "c", From: 43, To: 57, Reason: "slow_consumer"}, `{"type":"gap","channel":"c","payload":{"from":43,"to":57,"reason":"slow_consumer"}}`},
		{dialect.NoID, &dialect.Unsubscribed{Channel: "c", Err: denied}, `{"type":"unsubscribed","channel":"c","payload":{"code":1403,"name":"permission_denied"}}`},
		{dialect.NoID, &dialect.Unsubscribed{Channel: "c"}, `{"type":"unsubscribed","channel":"c","payload":{}}`},
		{dialect.NoID, &dialect.Event{Payload: []byte(`{"a":1}`)}, `{"type":"event","payload":{"a":1}}`},
		{dialect.NoID, &dialect.Event{Payload: []byte("a\n"), Format: broker.Text}, `{"type":"event","payload":"YQo=","encoding":"base64"}`},
		{dialect.NoID, &dialect.Reconnect{AfterMS: 1200, URL: "wss://b/v1/ws"}, `{"type":"reconnect","payload":{"after_ms":1200,"url":"wss://b/v1/ws"}}`},
		{dialect.NoID, &dialect.Reconnect{}, `{"type":"reconnect","payload":{"after_ms":0}}`},
	} {
		got := string(open(t).AppendReply([]byte("before"), test.id, test.reply))
		if got != "before"+test.want {
			t.Errorf("%T\n got %s\nwant %s", test.reply, got, test.want)
		}
		if !json.Valid([]byte(test.want)) {
			t.Errorf("%s is no JSON", test.want)
		}
	}
}

// TestIDsComeBackAsWritten sends requests and looks at the ids of their answers.
func TestIDsComeBackAsWritten(t *testing.T) {
	for _, id := range []string{`0`, `7`, `9007199254740991`, `""`, `"7"`, `"c7-ä\n"`} {
		c := decode(t, `{"id":`+id+`,"type":"ping"}`)
		if got := string(open(t).AppendReply(nil, c.ID, &dialect.PongReply{})); got != `{"type":"pong","id":`+id+`}` {
			t.Errorf("id %s: %s", id, got)
		}
	}
}
