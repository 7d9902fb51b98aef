package native

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

func open(t *testing.T) dialect.Codec {
	t.Helper()
	c, commands, err := New().Open(dialect.Handshake{})
	if err != nil || commands != nil {
		t.Fatalf("Open: %v, %v", commands, err)
	}
	return c
}

// decode returns the one command that msg is.
func decode(t *testing.T, msg string) dialect.Command {
	t.Helper()
	commands := open(t).Decode(nil, []byte(msg))
	if len(commands) != 1 {
		t.Fatalf("%s made %d commands", msg, len(commands))
	}
	return commands[0]
}

func number(n uint64) dialect.ID { return dialect.ID{Kind: dialect.IDNumber, Num: n} }

func TestDecodeEveryRequest(t *testing.T) {
	for _, test := range []struct {
		msg  string
		want dialect.Command
	}{
		{`{"type":"connect","id":0,"payload":{"token":"t","user":"ada","info":{"a" : 1},"client":"c7","heartbeat":true,"binary":true}}`,
			dialect.Command{Verb: dialect.Connect, ID: number(0), Connect: &dialect.ConnectArgs{
				Token: "t", User: "ada", Info: []byte(`{"a" : 1}`), Client: "c7", Heartbeat: true, Binary: true}}},
		{`{"type":"connect","payload":{"user":null,"info":null,"client":null,"token":null,"heartbeat":null}}`,
			dialect.Command{Verb: dialect.Connect, Connect: &dialect.ConnectArgs{}}},
		{`{"type":"unsubscribe","id":"u-\u00e4","channel":"chat:lobby"}`,
			dialect.Command{Verb: dialect.Unsubscribe, ID: dialect.ID{Kind: dialect.IDString, Str: "u-ä"}, Channel: "chat:lobby"}},
		{`{"type":"publish","id":2,"channel":"chat:lobby","payload": {"text" : "hello"} ,"idempotency_key":"c7-12"}`,
			dialect.Command{Verb: dialect.Publish, ID: number(2), Channel: "chat:lobby", Payload: []byte(`{"text" : "hello"}`),
				Publish: dialect.PublishArgs{IdempotencyKey: "c7-12"}}},
		{`{"type":"publish","channel":"c","payload":null,"key":"k","op":"append","echo":false,"seq":9007199254740991,"tags":{"a":"b","":null}}`,
			dialect.Command{Verb: dialect.Publish, Channel: "c",
				Publish: dialect.PublishArgs{Key: "k", Op: broker.Append, NoEcho: true, Seq: maxOffset},
				Err:     dialect.Errorf(dialect.InvalidMessage, "the name of a tag must have 1 to 64 bytes, not 0")}},
		{`{"type":"publish","channel":"c","payload":null,"key":"k","op":"set","echo":true,"seq":1,"tags":{"c":"","a":"ä"},"expect":0}`,
			dialect.Command{Verb: dialect.Publish, Channel: "c", Payload: []byte("null"), Publish: dialect.PublishArgs{
				Key: "k", Seq: 1, Tags: map[string]string{"a": "ä", "c": ""}, HasExpect: true}}},
		{`{"type":"publish","channel":"c","key":"k","op":"delete","expect":41,"score":null,"ttl_ms":31622400000,"ephemeral":false}`,
			dialect.Command{Verb: dialect.Publish, Channel: "c", Publish: dialect.PublishArgs{
				Key: "k", Op: broker.Delete, Expect: 41, HasExpect: true, TTL: 366 * 24 * time.Hour}}},
		{`{"type":"publish","channel":"c","key":"k","payload":1,"score":-1.5e3,"ephemeral":true,"ttl_ms":1,"expect":null}`,
			dialect.Command{Verb: dialect.Publish, Channel: "c", Payload: []byte("1"), Publish: dialect.PublishArgs{
				Key: "k", Score: -1500, Ephemeral: true, TTL: time.Millisecond}}},
		{`{"type":"state","id":3,"channel":"c"}`,
			dialect.Command{Verb: dialect.State, ID: number(3), Channel: "c", State: &dialect.StateArgs{}}},
		{`{"type":"state","channel":"c","payload":{"order":"score","limit":7,"next":"s1"}}`,
			dialect.Command{Verb: dialect.State, Channel: "c", State: &dialect.StateArgs{Order: broker.ByScore, Limit: 7, Next: "s1"}}},
		{`{"type":"state","channel":"c","payload":{"order":"offset","next":null}}`,
			dialect.Command{Verb: dialect.State, Channel: "c", State: &dialect.StateArgs{}}},
		{`{"type":"publish","channel":"c","payload":"AP8\u003d","encoding":"base64"}`,
			dialect.Command{Verb: dialect.Publish, Channel: "c", Payload: []byte{0, 255}, Format: broker.Binary}},
		{`{"type":"history","id":4,"channel":"c","payload":{"after":0,"limit":1000}}`,
			dialect.Command{Verb: dialect.History, ID: number(4), Channel: "c", History: &dialect.HistoryArgs{HasAfter: true, Limit: 1000}}},
		{`{"type":"history","channel":"c","payload":{"before":7}}`,
			dialect.Command{Verb: dialect.History, Channel: "c", History: &dialect.HistoryArgs{Before: 7, HasBefore: true}}},
		{`{"type":"history","channel":"c"}`,
			dialect.Command{Verb: dialect.History, Channel: "c", History: &dialect.HistoryArgs{}}},
		{`{"type":"presence","channel":"c","payload":{"limit":1,"next":"s1"}}`,
			dialect.Command{Verb: dialect.Presence, Channel: "c", Presence: &dialect.PresenceArgs{Limit: 1, Next: "s1"}}},
		{`{"type":"call","id":6,"method":"price.get","payload":[1, 2]}`,
			dialect.Command{Verb: dialect.Call, ID: number(6), Method: "price.get", Payload: []byte(`[1, 2]`)}},
		{`{"type":"call","method":"m"}`, dialect.Command{Verb: dialect.Call, Method: "m"}},
		{`{"type":"ping","id":9}`, dialect.Command{Verb: dialect.Ping, ID: number(9)}},
		{` { "type" : "p\u0069ng" } ` + "\n", dialect.Command{Verb: dialect.Ping}},
		{`{"type":"pong"}`, dialect.Command{Verb: dialect.Pong}},
		{`{"type":"ping","x":{"id":3,"type":"message"},"id":1}`, dialect.Command{Verb: dialect.Ping, ID: number(1)}},
	} {
		if diff := cmp.Diff(test.want, decode(t, test.msg)); diff != "" {
			t.Errorf("%s\n%s", test.msg, diff)
		}
	}
}

func TestDecodeSubscribe(t *testing.T) {
	for _, test := range []struct {
		payload string
		want    dialect.SubscribeArgs
	}{
		{`null`, dialect.SubscribeArgs{}},
		{`{"from":"live","presence":false,"other":{}}`, dialect.SubscribeArgs{}},
		{`{"from":null,"presence":true}`, dialect.SubscribeArgs{Presence: dialect.PresenceMember}},
		{`{"from":{"last":5,"since_ms":null,"epoch":null,"offset":null,"state":null,"positions":null}}`, dialect.SubscribeArgs{Start: dialect.StartLast, Last: 5}},
		{`{"from":{"last":50},"presence":"watch"}`, dialect.SubscribeArgs{Start: dialect.StartLast, Last: 50, Presence: dialect.PresenceWatch}},
		{`{"from":{"since_ms":120000}}`, dialect.SubscribeArgs{Start: dialect.StartSince, Since: 2 * time.Minute}},
		{`{"from":{"epoch":"k3","offset":41}}`, dialect.SubscribeArgs{Start: dialect.StartPosition, Epoch: "k3", Offset: 41}},
		{`{"from":{"epoch":"k3","offset":41,"state":true}}`, dialect.SubscribeArgs{
			Start: dialect.StartPosition, Epoch: "k3", Offset: 41, WantsState: true}},
		{`{"filter":{"lang":"de","kind":["b","a","b"],"a":[""]}}`, dialect.SubscribeArgs{Filter: dialect.Filter{
			{Name: "a", Values: []string{""}}, {Name: "kind", Values: []string{"a", "b"}}, {Name: "lang", Values: []string{"de"}}}}},
		{`{"filter":{}}`, dialect.SubscribeArgs{}},
		{`{"filter":null}`, dialect.SubscribeArgs{}},
		{`{"from":"state"}`, dialect.SubscribeArgs{Start: dialect.StartState}},
		{`{"from":{"epoch":"","offset":0}}`, dialect.SubscribeArgs{Start: dialect.StartPosition}},
		{`{"presence":{"epoch":"p1","offset":0}}`, dialect.SubscribeArgs{
			Presence: dialect.PresenceMember, PresenceFrom: broker.Position{Epoch: "p1"}, HasPresenceFrom: true}},
	} {
		want := dialect.Command{Verb: dialect.Subscribe, ID: number(1), Channel: "chat:*", Subscribe: &test.want}
		got := decode(t, `{"type":"subscribe","channel":"chat:*","payload":`+test.payload+`,"id":1}`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", test.payload, diff)
		}
	}
}

// refusal is a message, without its braces and id, and the error it leads to.
type refusal struct {
	fields string
	code   dialect.Code
	want   string
}

// check also holds that the id is there wherever it stands.
func (r refusal) check(t *testing.T) {
	t.Helper()
	for _, msg := range []string{`{"id":"me",` + r.fields + `}`, `{` + r.fields + `,"id":"me"}`} {
		if r.fields == "" {
			msg = `{"id":"me"}`
		}
		c := decode(t, msg)
		if c.Err == nil {
			t.Errorf("%s: no error", msg)
			continue
		}
		if c.ID.Str != "me" || c.Err.Code != r.code || c.Err.Message != r.want || c.Err.Name != r.code.Info().Name {
			t.Errorf("%.200s\n got %v, code %d: %s\nwant code %d: %s", msg, c.ID, c.Err.Code, c.Err.Message, r.code, r.want)
		}
	}
}

var long = strings.Repeat("x", 2000)

func TestDecodeErrorsNameFieldAndRemedy(t *testing.T) {
	for _, r := range []refusal{
		{``, dialect.InvalidMessage, `type is missing: it says what the message is, such as "subscribe"`},
		{`"type":null`, dialect.InvalidMessage, `type is missing: it says what the message is, such as "subscribe"`},
		{`"type":7`, dialect.InvalidMessage, `type must be a string, not 7`},
		{`"type":"message"`, dialect.UnknownType, `the type "message" is not known: a client sends connect, subscribe, unsubscribe, publish, history, state, presence, call, ping or pong`},
		{`"type":"` + long + `"`, dialect.UnknownType, `the type "` + long[:63] + `… is not known: a client sends connect, subscribe, unsubscribe, publish, history, state, presence, call, ping or pong`},
		{`"type":"` + strings.Repeat("ä", 100) + `"`, dialect.UnknownType, `the type "` + strings.Repeat("ä", 31) + `… is not known: a client sends connect, subscribe, unsubscribe, publish, history, state, presence, call, ping or pong`},
		{`"type":"unsubscribe"`, dialect.InvalidChannel, `channel is missing`},
		{`"type":"history","channel":null`, dialect.InvalidChannel, `channel is missing`},
		{`"type":"state","channel":"c","payload":{"order":"name"}`, dialect.InvalidMessage, `order must be "offset" or "score", not "name"`},
		{`"type":"state","channel":"c","payload":{"order":1}`, dialect.InvalidMessage, `order must be "offset" or "score", not 1`},
		{`"type":"state","channel":"c","payload":{"limit":1001}`, dialect.InvalidRange, `limit must be a whole number from 1 to 1000, not 1001`},
		{`"type":"state","channel":"c","payload":{"limit":"1"}`, dialect.InvalidMessage, `limit must be a whole number from 1 to 1000, not "1"`},
		{`"type":"state","channel":"c","payload":{"after":3}`, dialect.InvalidMessage, `a state has no after: its pages go on by next, and history has the entries after an offset`},
		{`"type":"state","channel":"c","payload":{"before":"x"}`, dialect.InvalidMessage, `a state has no before: its pages go on by next, and history has the entries after an offset`},
		{`"type":"state","channel":"c","payload":{"next":{}}`, dialect.InvalidMessage, `next must be a string, not an object`},
		{`"type":"history","channel":"c","payload":{"after":1,"before":2}`, dialect.InvalidMessage, `a history is asked for after an offset or before one, not both`},
		{`"type":"history","channel":"c","payload":{"after":"x"}`, dialect.InvalidPosition, `after must be a whole number from 0 to 9007199254740991, not "x"`},
		{`"type":"history","channel":"c","payload":{"before":9007199254740992}`, dialect.InvalidRange, `before must be a whole number from 0 to 9007199254740991, not 9007199254740992`},
		{`"type":"history","channel":"c","payload":{"limit":0}`, dialect.InvalidRange, `limit must be a whole number from 1 to 1000, not 0`},
		{`"type":"presence","channel":"c","payload":{"limit":1001}`, dialect.InvalidRange, `limit must be a whole number from 1 to 1000, not 1001`},
		{`"type":"presence","channel":"c","payload":{"next":1}`, dialect.InvalidMessage, `next must be a string, not 1`},
		{`"type":"call","payload":1`, dialect.InvalidMessage, `method is missing: a call names one`},
		{`"type":"call","method":"` + long + `"`, dialect.InvalidMessage, `method must have 1 to 128 bytes, not 2000`},
		{`"type":"call","method":"m","encoding":"base64"`, dialect.NotSupported, `the payload of call is JSON: leave encoding out`},
		{`"type":"connect","payload":"eyJsecret"`, dialect.InvalidPayload, `the payload of connect must be an object, not a string`},
		{`"type":"connect","payload":{"token":12345}`, dialect.InvalidMessage, `token must be a string, not a number`},
		{`"type":"connect","payload":{"user":5}`, dialect.InvalidMessage, `user must be a string, not 5`},
		{`"type":"connect","payload":{"user":"` + long + `"}`, dialect.InvalidMessage, `user must have at most 255 bytes, not 2000`},
		{`"type":"connect","payload":{"client":"` + long + `"}`, dialect.InvalidKey, `client must have 1 to 64 bytes, not 2000`},
		{`"type":"connect","payload":{"heartbeat":"yes"}`, dialect.InvalidMessage, `heartbeat must be true or false, not "yes"`},
		{`"type":"connect","payload":{"binary":1}`, dialect.InvalidMessage, `binary must be true or false, not 1`},
	} {
		r.check(t)
	}
}

func TestDecodePublishErrorsNameFieldAndRemedy(t *testing.T) {
	for _, r := range []refusal{
		{`"type":"publish","channel":["a"],"payload":1`, dialect.InvalidChannel, `channel must be a string, not an array`},
		{`"type":"publish","channel":"c"`, dialect.InvalidPayload, `payload is missing: a publish carries one JSON value`},
		{`"type":"publish","channel":"c","payload":1,"key":""`, dialect.InvalidKey, `key must have 1 to 512 bytes, not 0`},
		{`"type":"publish","channel":"c","payload":1,"key":"` + long + `"`, dialect.InvalidKey, `key must have 1 to 512 bytes, not 2000`},
		{`"type":"publish","channel":"c","payload":1,"key":"__proto__"`, dialect.InvalidKey, `key __proto__, by which JavaScript may change what an object inherits, is not taken`},
		{`"type":"publish","channel":"c","key":"__\u0070roto__","op":"delete"`, dialect.InvalidKey, `key __proto__, by which JavaScript may change what an object inherits, is not taken`},
		{`"type":"connect","payload":{"client":"__proto__"}`, dialect.InvalidKey, `client __proto__, by which JavaScript may change what an object inherits, is not taken`},
		{`"type":"publish","channel":"c","payload":1,"key":5`, dialect.InvalidKey, `key must be a string, not 5`},
		{`"type":"publish","channel":"c","payload":1,"op":"append"`, dialect.InvalidKey, `key is missing: op append changes the value of a key`},
		{`"type":"publish","channel":"c","payload":1,"op":"merge"`, dialect.InvalidMessage, `op must be "set", "append" or "delete", not "merge"`},
		{`"type":"publish","channel":"c","payload":1,"echo":0`, dialect.InvalidMessage, `echo must be true or false, not 0`},
		{`"type":"publish","channel":"c","payload":1,"idempotency_key":"` + long + `"`, dialect.InvalidKey, `idempotency_key must have 1 to 64 bytes, not 2000`},
		{`"type":"publish","channel":"c","payload":1,"seq":0`, dialect.InvalidRange, `seq must be a whole number from 1 to 9007199254740991, not 0`},
		{`"type":"publish","channel":"c","payload":1,"tags":[]`, dialect.InvalidMessage, `tags must be an object of strings, not an array`},
		{`"type":"publish","channel":"c","payload":1,"tags":{"a\"b":1}`, dialect.InvalidMessage, `the tag "a\"b" must be a string of at most 256 bytes, not 1`},
		{`"type":"publish","channel":"c","payload":1,"tags":{"` + strings.Join(strings.Split("abcdefghijklmnopq", ""), `":"","`) + `":""}`,
			dialect.InvalidMessage, `tags must be at most 16`},
		{`"type":"publish","channel":"c","payload":1,"encoding":"gzip"`, dialect.InvalidMessage, `encoding must be "base64" or left out, not "gzip"`},
		{`"type":"publish","channel":"c","payload":1,"encoding":"base64"`, dialect.InvalidPayload, `with "encoding":"base64" the payload must be a string, not 1`},
		{`"type":"publish","channel":"c","payload":"AP8=\r\n","encoding":"base64"`, dialect.InvalidPayload,
			`the payload is not base64 as in RFC 4648 §4, with padding: there is a line break at byte 4`},
		{`"type":"publish","channel":"c","payload":"AP9=","encoding":"base64"`, dialect.InvalidPayload,
			`the payload is not base64 as in RFC 4648 §4, with padding: the character before the padding, at byte 2, has bits that belong to no byte`},
		{`"type":"publish","channel":"c","payload":"AP8","encoding":"base64"`, dialect.InvalidPayload,
			`the payload is not base64 as in RFC 4648 §4, with padding: illegal base64 data at input byte 0`},
		{`"type":"publish","channel":"c","payload":1,"expect":-1`, dialect.InvalidRange, `expect must be a whole number from 0 to 9007199254740991, not -1`},
		{`"type":"publish","channel":"c","payload":1,"expect":"41"`, dialect.InvalidPosition, `expect must be a whole number from 0 to 9007199254740991, not "41"`},
		{`"type":"publish","channel":"c","payload":1,"ttl_ms":0`, dialect.InvalidRange, `ttl_ms must be a whole number from 1 to 31622400000, not 0`},
		{`"type":"publish","channel":"c","payload":1,"ttl_ms":1.5`, dialect.InvalidMessage, `ttl_ms must be a whole number from 1 to 31622400000, not 1.5`},
		{`"type":"publish","channel":"c","payload":1,"ttl_ms":31622400001`, dialect.InvalidRange, `ttl_ms must be a whole number from 1 to 31622400000, not 31622400001`},
		{`"type":"publish","channel":"c","payload":1,"key":"k","score":1e999`, dialect.InvalidRange, `score must be a number from -1.7e308 to 1.7e308, not 1e999`},
		{`"type":"publish","channel":"c","payload":1,"key":"k","score":"7"`, dialect.InvalidMessage, `score must be a number, not "7"`},
		{`"type":"publish","channel":"c","payload":1,"score":7`, dialect.InvalidKey, `key is missing: score belongs to the value of a key`},
		{`"type":"publish","channel":"c","key":"k","op":"delete","score":7`, dialect.InvalidMessage, `score belongs to the value of a key: a delete leaves none`},
		{`"type":"publish","channel":"c","payload":1,"ephemeral":true`, dialect.InvalidKey, `key is missing: ephemeral belongs to the value of a key`},
		{`"type":"publish","channel":"c","key":"k","op":"delete","ephemeral":true`, dialect.InvalidMessage, `ephemeral belongs to the value of a key: a delete leaves none`},
		{`"type":"publish","channel":"c","payload":1,"key":"k","ephemeral":1`, dialect.InvalidMessage, `ephemeral must be true or false, not 1`},
	} {
		r.check(t)
	}
}

func TestDecodeSubscribeErrorsNameFieldAndRemedy(t *testing.T) {
	for _, r := range []refusal{
		{`"type":"subscribe","channel":"c","payload":[]`, dialect.InvalidPayload, `the payload of subscribe must be an object, not an array`},
		{`"type":"subscribe","channel":"c","payload":{"from":"now"}`, dialect.InvalidPosition, fromForms + `, not "now"`},
		{`"type":"subscribe","channel":"c","payload":{"from":7}`, dialect.InvalidPosition, fromForms + `, not 7`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"last":1,"state":true}}`, dialect.InvalidPosition, fromForms + `: state goes with a position`},
		{`"type":"subscribe","channel":"c","payload":{"from":{}}`, dialect.InvalidPosition, fromForms + `: exactly one of them`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"last":null}}`, dialect.InvalidPosition, fromForms + `: exactly one of them`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"epoch":"k","offset":null}}`, dialect.InvalidPosition, `from must name both epoch and offset, as in {"epoch":"k3","offset":41}`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"last":1,"epoch":"k"}}`, dialect.InvalidPosition, fromForms + `: exactly one of them`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"last":-1}}`, dialect.InvalidRange, `last must be a whole number from 0 to 2147483647, not -1`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"since_ms":1.5}}`, dialect.InvalidPosition, `since_ms must be a whole number from 0 to 31622400000, not 1.5`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"since_ms":31622400001}}`, dialect.InvalidRange, `since_ms must be a whole number from 0 to 31622400000, not 31622400001`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"since_ms":31556952000000}}`, dialect.InvalidRange, `since_ms must be a whole number from 0 to 31622400000, not 31556952000000`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"epoch":"k","offset":-1}}`, dialect.InvalidRange, `offset must be a whole number from 0 to 9007199254740991, not -1`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"epoch":"k","offset":1,"state":1}}`, dialect.InvalidMessage, `state must be true or false, not 1`},
		{`"type":"subscribe","channel":"c","payload":{"filter":"lang"}`, dialect.InvalidMessage, filterForm + `, not "lang"`},
		{`"type":"subscribe","channel":"c","payload":{"filter":{"":"a"}}`, dialect.InvalidMessage, `the name of a tag in filter must have 1 to 64 bytes, not 0`},
		{`"type":"subscribe","channel":"c","payload":{"filter":{"a":[]}}`, dialect.InvalidMessage, `the tag "a" in filter must have 1 to 16 values`},
		{`"type":"subscribe","channel":"c","payload":{"filter":{"a":[` + strings.Repeat(`"",`, 16) + `""]}}`, dialect.InvalidMessage, `the tag "a" in filter must have 1 to 16 values`},
		{`"type":"subscribe","channel":"c","payload":{"filter":{"a":["b",7]}}`, dialect.InvalidMessage, `the tag "a" in filter must have strings of at most 256 bytes, not 7`},
		{`"type":"subscribe","channel":"c","payload":{"filter":{"` + strings.Join(strings.Split("abcdefghijklmnopq", ""), `":"","`) + `":""}}`,
			dialect.InvalidMessage, `filter may name at most 16 tags`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"offset":1}}`, dialect.InvalidPosition, `from must name both epoch and offset, as in {"epoch":"k3","offset":41}`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"epoch":3,"offset":1}}`, dialect.InvalidPosition, `epoch must be a string, not 3`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"epoch":"k","offset":"x"}}`, dialect.InvalidPosition, `offset must be a whole number from 0 to 9007199254740991, not "x"`},
		{`"type":"subscribe","channel":"c","payload":{"from":{"positions":{}}}`, dialect.NotSupported, `from with positions is not supported yet, nor are the patterns it is for`},
		{`"type":"subscribe","channel":"c","payload":{"presence":"yes"}`, dialect.InvalidMessage, `presence must be true, "watch" or {"epoch":"…","offset":N}, not "yes"`},
		{`"type":"subscribe","channel":"c","payload":{"presence":{"epoch":"p"}}`, dialect.InvalidPosition, `presence must name both epoch and offset, as in {"epoch":"k3","offset":41}`},
	} {
		r.check(t)
	}
}

func TestDecodeWhatIsNoRequestHasNoID(t *testing.T) {
	for _, test := range []struct {
		msg, want string
	}{
		{``, `the message must be one JSON object: expected an object, but the text ends at byte 0`},
		{`[{"type":"ping"}]`, `the message must be one JSON object: expected an object, not '[' at byte 0`},
		{`hello`, `the message must be one JSON object: expected an object, not 'h' at byte 0`},
		{`{"id":1,"type":"ping"}{"id":2}`, `the message must be one JSON object: expected nothing after the value, not '{' at byte 22`},
		{`{"id":1,"type":"publish","payload":{"a":}}`, `the message must be one JSON object: expected a value, not '}' at byte 40`},
		{"{\"id\":1,\"type\":\"\xff\"}", `the message must be one JSON object: invalid UTF-8 at byte 16`},
	} {
		want := dialect.Command{Err: dialect.Errorf(dialect.InvalidJSON, "%s", test.want)}
		if diff := cmp.Diff(want, decode(t, test.msg)); diff != "" {
			t.Errorf("%q\n%s", test.msg, diff)
		}
	}
}

func TestDecodeRefusesDeepNestingButKnowsTheID(t *testing.T) {
	msg := `{"type":"publish","channel":"c","id":3,"payload":` + strings.Repeat("[", 128) + strings.Repeat("]", 128) + `}`
	want := dialect.Command{ID: number(3), Err: dialect.Errorf(dialect.InvalidMessage,
		"the message is nested deeper than 128 levels at byte 176")}
	if diff := cmp.Diff(want, decode(t, msg)); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefusesWhatReadersTakeDifferently(t *testing.T) {
	for _, test := range []struct {
		msg  string
		id   dialect.ID
		want string
	}{
		{`{"type":"publish","id":7,"channel":"c","payload":{"a":1,"a":2}}`, number(7), `the name "a" stands twice in one object at byte 56`},
		{`{"id":7,"type":"ping","typ\u0065":"publish"}`, number(7), `the name "typ\u0065" stands twice in one object at byte 22`},
		{`{"id":7,"id":8,"type":"ping"}`, number(7), `the name "id" stands twice in one object at byte 8`},
		{`{"type":"publish","channel":"c","payload":{"\u005f_proto__":1},"id":7}`, dialect.NoID,
			`the name __proto__, by which JavaScript may change what an object inherits, is not taken at byte 43`},
		{`{"id":7,"type":"publish","channel":"a\ud83d","payload":1}`, number(7), `half of a surrogate pair stands alone at byte 37`},
		{`{"id":7,"type":"ping","` + strings.Repeat("n", 1025) + `":1}`, number(7), `a name of more than 1024 bytes at byte 22`},
		{`{"id":7,"type":"publish","payload":` + strings.Repeat("1", 1025) + `}`, number(7), `a number of more than 1024 bytes at byte 35`},
	} {
		want := dialect.Command{ID: test.id, Err: dialect.Errorf(dialect.InvalidMessage, "the message is refused: %s", test.want)}
		if diff := cmp.Diff(want, decode(t, test.msg)); diff != "" {
			t.Errorf("%s\n%s", test.msg, diff)
		}
	}
}

func TestDecodeRefusesWrongIDs(t *testing.T) {
	const sentence = "id must be a string or a whole number from 0 to 9007199254740991, not "
	for id, want := range map[string]string{
		`-1`: sentence + `-1`, `1.0`: sentence + `1.0`, `9007199254740992`: sentence + `9007199254740992`, `true`: sentence + `true`,
		`null`: sentence + `null`, `{"a":1}`: sentence + `an object`, `[1]`: sentence + `an array`,
		`"` + strings.Repeat("ä", 33) + `"`: `id must have at most 64 bytes, not 66`,
	} {
		got := decode(t, `{"type":"ping","id":`+id+`}`)
		if diff := cmp.Diff(dialect.Command{Err: dialect.Errorf(dialect.InvalidID, "%s", want)}, got); diff != "" {
			t.Errorf("%s\n%s", id, diff)
		}
	}
}

func TestOnlyThePayloadIsAPartOfTheMessage(t *testing.T) {
	connect := []byte(`{"type":"connect","payload":{"info":{"a":1},"user":"ada"}}`)
	publish := []byte(`{"type":"publish","channel":"chat","payload":[1],"key":"k"}`)
	got := open(t).Decode(nil, connect)
	got = open(t).Decode(got, publish)
	clear(connect)
	clear(publish)
	want := []dialect.Command{
		{Verb: dialect.Connect, Connect: &dialect.ConnectArgs{User: "ada", Info: []byte(`{"a":1}`)}},
		{Verb: dialect.Publish, Channel: "chat", Payload: []byte{0, 0, 0}, Publish: dialect.PublishArgs{Key: "k"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
