package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev"
	"hocket.dev/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "k-1"

// server is a whole server, as a back end reaches it.
type server struct {
	*hocket.Server
	url string
}

// start starts a server that keeps 100 entries and presence on every channel; adjust may change that.
func start(t *testing.T, adjust func(*hocket.Config)) *server {
	t.Helper()
	cfg := hocket.Config{
		Node: "n1", Anonymous: true, APIKeys: []string{"another", testKey}, Portable: true, Loops: 2, Drain: time.Millisecond,
		Channels: []hocket.Rule{
			{Pattern: "ticker:>", History: hocket.History{Count: 100}, Publish: hocket.PublishServer},
			{Pattern: "bare:>"},
		},
		Fallback: hocket.Rule{History: hocket.History{Count: 100}, Presence: true},
		Log:      slog.New(slog.DiscardHandler),
	}
	if adjust != nil {
		adjust(&cfg)
	}
	srv, err := hocket.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close(context.Background())
		front.Close()
	})
	return &server{srv, front.URL}
}

// answer is what a request led to.
type answer struct {
	status int
	header http.Header
	body   string
	Result json.RawMessage
	Error  *struct {
		Code         int
		Name         string
		Message      string
		RetryAfterMS int64 `json:"retry_after_ms"`
	}
}

// request sends a request with headers in pairs.
func (s *server) request(t *testing.T, method, path, body string, headers ...string) (a answer) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a.status, a.header, a.body = response.StatusCode, response.Header, string(b)
	if strings.HasPrefix(path, "/api/") {
		if err := json.Unmarshal(b, &a); err != nil || (a.Result == nil) == (a.Error == nil) {
			t.Fatalf("%s %s answered no envelope: %q (%v)", method, path, b, err)
		}
	}
	return a
}

// call asks for a method with the right key.
func (s *server) call(t *testing.T, method, body string) answer {
	t.Helper()
	return s.request(t, "POST", "/api/v1/"+method, body, "Authorization", "Bearer "+testKey)
}

// want asks for a method and puts its result into v.
func (s *server) want(t *testing.T, method, body string, v any) {
	t.Helper()
	a := s.call(t, method, body)
	if a.status != http.StatusOK {
		t.Fatalf("%s %s answered %d %s", method, body, a.status, a.body)
	}
	if err := json.Unmarshal(a.Result, v); err != nil {
		t.Fatalf("%s answered %s: %v", method, a.body, err)
	}
}

// receipt is the result of a publish.
type receipt struct {
	Epoch     string
	Offset    uint64
	Duplicate bool
}

// page is the result of history and state.
type page struct {
	Epoch    string
	Offset   uint64
	Messages []struct {
		Offset  uint64
		Payload json.RawMessage
		Key     string
	}
	More  bool   // of history
	Next  string // of state
	Count int
}

// payloads are those of the page's messages, one after another.
func (p *page) payloads() string {
	var all []string
	for _, m := range p.Messages {
		all = append(all, string(m.Payload))
	}
	return strings.Join(all, " ")
}

// client is a plain WebSocket client.
type client struct{ *websocket.Conn }

// connect opens a session and returns its name.
func (s *server) connect(t *testing.T, query string) (c client, session string) {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), s.url+"/v1/ws"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	c = client{conn}
	var connected struct{ Payload struct{ Session string } }
	c.next(t, "connected", &connected)
	return c, connected.Payload.Session
}

func (c client) send(t *testing.T, msg string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.Text, []byte(msg)); err != nil {
		t.Fatal(err)
	}
}

// next waits for the next message of a type, as it came, and puts it into v.
func (c client) next(t *testing.T, typ string, v any) []byte {
	t.Helper()
	for {
		_, msg, err := c.Read(t.Context())
		if err != nil {
			t.Fatalf("waiting for %s: %v", typ, err)
		}
		if !bytes.HasPrefix(msg, []byte(`{"type":"`+typ+`"`)) {
			continue
		}
		if v != nil {
			if err := json.Unmarshal(msg, v); err != nil {
				t.Fatal(err)
			}
		}
		return msg
	}
}
