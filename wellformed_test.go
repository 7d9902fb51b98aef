package hocket_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/broker"
	"hocket.dev/client"
	"hocket.dev/dialect"
)

// join starts a node with these channels and returns it with a client of it.
func join(t *testing.T, channels ...hocket.Rule) (*hocket.Server, *client.Client) {
	t.Helper()
	srv, err := hocket.New(hocket.Config{
		Anonymous: true, Log: slog.New(slog.DiscardHandler), Drain: time.Millisecond, Channels: channels,
		Fallback: hocket.Rule{History: hocket.History{Count: 100}},
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close(context.Background())
		web.Close()
	})
	c, err := client.Dial(t.Context(), "ws"+web.URL[len("http"):]+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return srv, c
}

// wantError holds that err is of this code, and says this.
func wantError(t *testing.T, err error, code dialect.Code, message string) {
	t.Helper()
	var e *hocket.Error
	var told *client.Error
	switch {
	case errors.As(err, &e) && e.Code == code && e.Message == message:
	case errors.As(err, &told) && told.Code == int(code) && told.Message == message:
	default:
		t.Errorf("have %v, want %s: %s", err, code.Info().Name, message)
	}
}

// What enters by the program itself is checked as what comes from clients is.
func TestTheProgramsOwnJSONIsChecked(t *testing.T) {
	srv, c := join(t)
	_, err := srv.Publish(t.Context(), "c", json.RawMessage(`{"a":1,"a":2}`))
	wantError(t, err, dialect.InvalidPayload, `the payload must be JSON that everybody reads alike: the name "a" stands twice in one object at byte 7`)
	_, err = srv.PublishEntry(t.Context(), "c", broker.Entry{Payload: []byte(`"\ud83d"`)})
	wantError(t, err, dialect.InvalidPayload, `the payload must be JSON that everybody reads alike: half of a surrogate pair stands alone at byte 1`)
	_, err = srv.PublishEntry(t.Context(), "c", broker.Entry{Payload: []byte(`1`), Headers: map[string]string{dialect.TagHeader + "__proto__": ""}})
	wantError(t, err, dialect.InvalidMessage, `the name __proto__ is not taken for a tag`)
	_, err = srv.PublishEntry(t.Context(), "c", broker.Entry{Payload: []byte(`1`), Key: "__proto__"})
	wantError(t, err, dialect.InvalidKey, `key __proto__, by which JavaScript may change what an object inherits, is not taken`)
	_, err = srv.PublishEntry(t.Context(), "__proto__", broker.Entry{Payload: []byte(`1`)})
	wantError(t, err, dialect.InvalidChannel, `name __proto__, by which JavaScript may change what an object inherits, is not taken`)
	for key, message := range map[string]string{
		"__proto__":               `key __proto__, by which JavaScript may change what an object inherits, is not taken`,
		strings.Repeat("k", 5000): `key must have 1 to 512 bytes, not 5000`,
		"k\xff":                   `key must be valid UTF-8`,
	} {
		_, err = srv.Remove(t.Context(), "keyed", hocket.Removal{Key: key})
		wantError(t, err, dialect.InvalidKey, message)
	}
	if r, err := srv.Publish(t.Context(), "keyed", 1); err != nil || r.Offset != 1 {
		t.Errorf("the first entry is at %d (%v): deletes of keys that no entry can have are in the log", r.Offset, err)
	}

	srv.Handle("m", func(context.Context, hocket.Call) (any, error) { return json.RawMessage(`{"__proto__":1}`), nil })
	wantError(t, c.Call(t.Context(), "m", nil, nil), dialect.Internal, dialect.Internal.Info().Sentence)
}

func TestMethodsHaveSchemas(t *testing.T) {
	config := hocket.Config{Log: slog.New(slog.DiscardHandler), MethodSchemas: map[string]string{"b": `{"type":0}`, "a": `{"type":`}}
	for _, want := range []string{
		`hocket: schema of the method "a": is not JSON that everybody reads alike: expected a value, but the text ends at byte 8`,
		`hocket: schema of the method "b": at /type: must be one of "array", "boolean", "integer", "null" and 3 more`,
	} {
		if _, err := hocket.New(config); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		delete(config.MethodSchemas, "a")
	}
	config = hocket.Config{Log: config.Log, Channels: []hocket.Rule{{Pattern: "a", Schema: `7`}}}
	if _, err := hocket.New(config); err == nil || err.Error() != "hocket: channels: rule 0: schema: must be of type boolean or object, not number" {
		t.Error(err)
	}
}

func TestTheProgramsOwnPayloadsFit(t *testing.T) {
	srv, _ := join(t, hocket.Rule{Pattern: "form:>", Schema: `{"type":"object"}`})
	if _, err := srv.Publish(t.Context(), "form:a", map[string]int{"a": 1}); err != nil {
		t.Error(err)
	}
	_, err := srv.Publish(t.Context(), "form:a", 7)
	wantError(t, err, dialect.SchemaMismatch, `the payload does not fit the schema of form:a: must be of type object, not number`)
}
