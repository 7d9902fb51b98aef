package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hocket.dev/broker"
	"hocket.dev/internal/api"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
)

// hostile are payloads that would change what is around them if they were not passed on as they are.
var hostile = []string{
	`"\"},\"type\":\"error\",{\""`,
	"\"\u2028\u2029\ufeff\"",
	`"\u2028\ud83d\ude00\u0000"`,
	`{"a":1,"b":{"a":[]},"constructor":null}`,
	"{\"type\":\"reply\" ,\t\"id\" : 1}",
	`1e400`, `-0`, `12345678901234567890.000`, `""`, `null`,
	strings.Repeat("[", 127) + strings.Repeat("]", 127),
	`"` + strings.Repeat("€", 1000) + `"`,
}

func TestPayloadsPassByteForByte(t *testing.T) {
	s := start(t, nil)
	c, _ := s.connect(t, "?user=ada")
	c.send(t, `{"type":"subscribe","id":1,"channel":"ticker:x"}`)
	c.next(t, "reply", nil)
	for _, payload := range hostile {
		for method, body := range map[string]string{
			"publish":   `{"channel":"ticker:x", "payload" : ` + payload + ` }`,
			"broadcast": `{"payload":` + payload + `,"channels":["ticker:x"]}`,
			"batch":     `{"commands":[{"payload":` + payload + `,"method":"publish","channel":"ticker:x"}]}`,
		} {
			a := s.call(t, method, body)
			if a.status != 200 || strings.Contains(a.body, `"error"`) {
				t.Fatalf("%s %s answered %s", method, payload, a.body)
			}
			if msg := string(c.next(t, "message", nil)); !strings.HasSuffix(msg, `,"payload":`+payload+"}") || !json.Valid([]byte(msg)) {
				t.Errorf("%s of %s arrived as %s", method, payload, msg)
			}
		}
		if a := s.call(t, "history", `{"channel":"ticker:x","limit":1}`); !strings.Contains(a.body, `,"payload":`+payload+`}],"more":true}}`) {
			t.Errorf("history of %s is %s", payload, a.body)
		}
		s.want(t, "send", `{"user":"ada","payload":`+payload+`}`, new(struct{}))
		if msg := string(c.next(t, "event", nil)); msg != `{"type":"event","payload":`+payload+"}" {
			t.Errorf("%s was sent as %s", payload, msg)
		}
	}
}

func TestWhatIsNotSoundIsRefused(t *testing.T) {
	s := start(t, nil)
	for _, test := range []struct{ payload, name string }{
		{`1}{"channel":"other","payload":2`, "invalid_json"},
		{`"` + "\xff" + `"`, "invalid_json"},
		{`"` + "\xed\xa0\x80" + `"`, "invalid_json"}, // half of a surrogate pair as bytes
		{"\"a\nb\"", "invalid_json"},
		{`NaN`, "invalid_json"},
		{`{a:1}`, "invalid_json"},
		{`[1,]`, "invalid_json"},
		{`01`, "invalid_json"},
		{``, "invalid_json"},
		{strings.Repeat("[", 128) + strings.Repeat("]", 128), "invalid_message"},
		{strings.Repeat("[", 200000), "invalid_message"},
		{`{"a":1,"b":[{"c":1,"c":1}]}`, "invalid_message"},
		{`{"__proto__":{}}`, "invalid_message"},
		{`"\ud83d"`, "invalid_message"},
	} {
		for method, body := range map[string]string{
			"publish":   `{"channel":"c","payload":` + test.payload + `}`,
			"broadcast": `{"channels":["c"],"payload":` + test.payload + `}`,
		} {
			if a := s.call(t, method, body); a.Error == nil || a.Error.Name != test.name {
				t.Errorf("%s of %.40q answered %s, want %s", method, test.payload, a.body, test.name)
			}
		}
	}
	if a := s.call(t, "channels", ""); a.body != `{"result":{"channels":[]}}` {
		t.Errorf("something was published: %s", a.body)
	}
}

// echo is a broker that says what it was asked to keep.
type echo struct {
	broker.Broker
	kept func(channel string, e *broker.Entry)
}

func (b echo) Publish(channel string, e broker.Entry, _ broker.Retention, done func(broker.Receipt, error)) {
	b.kept(channel, &e)
	done(broker.Receipt{Position: broker.Position{Epoch: "e", Offset: 1}}, nil)
}

// FuzzRequest shows that no body is answered with anything but an envelope, and that what is published is sound and
// stood in the request as it is.
func FuzzRequest(f *testing.F) {
	names := []string{"publish", "broadcast", "batch"}
	for i := range names {
		for _, p := range hostile {
			f.Add(i, []byte(`{"channel":"c","channels":["a","b"],"payload":`+p+`,"commands":[{"method":"publish","channel":"d","payload":`+p+`}]}`))
		}
		f.Add(i, []byte(`{"channels":[1],"payload":"AP8=","encoding":"base64","channel":"c","key":"k","op":"append","tags":{"a":"b"}}`))
		f.Add(i, []byte(" {\"channel\":\"\xff\"}"))
	}
	rules, err := rule.Compile(nil, rule.Rule{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		if which < 0 || which >= len(names) {
			return
		}
		published := 0
		b := echo{kept: func(channel string, e *broker.Entry) {
			published++
			if rule.CheckChannel(channel) != nil || rule.IsReserved(channel) {
				t.Errorf("published to %q", channel)
			}
			if e.Format == broker.JSON && e.Op != broker.Delete && !(json.Valid(e.Payload) && utf8.Valid(e.Payload) && bytes.Contains(body, e.Payload)) {
				t.Errorf("published %q", e.Payload)
			}
		}}
		h := api.New(api.Config{Open: true, Node: session.NewNode(session.Config{Now: time.Now, Broker: b, Rules: rules})})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", api.Path+names[which], bytes.NewReader(body)))
		var envelope struct{ Result, Error json.RawMessage }
		d := json.NewDecoder(w.Body)
		if err := d.Decode(&envelope); err != nil || (envelope.Result == nil) == (envelope.Error == nil) || (w.Code == 200) != (envelope.Result != nil) {
			t.Errorf("answered %d %+v: %v", w.Code, envelope, err)
		}
		if _, err := d.Token(); err != io.EOF {
			t.Errorf("something stands after the answer: %v", err)
		}
		if w.Code != 200 && published > 0 {
			t.Errorf("%d entries were published by a request that failed", published)
		}
		if w.Code == 200 && published == 0 && !bytes.Contains(envelope.Result, []byte(`"error"`)) {
			t.Error("a request succeeded and published nothing")
		}
	})
}
