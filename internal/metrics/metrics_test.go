package metrics_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"hocket.dev"
	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a server with one loop, so that what is counted does not depend on where a client lands.
func start(t *testing.T) (*hocket.Server, string) {
	t.Helper()
	srv, err := hocket.New(hocket.Config{
		Anonymous: true, APIKeys: []string{"k"}, Portable: true, Loops: 1, Tasks: 10, Drain: time.Millisecond,
		Fallback: hocket.Rule{History: hocket.History{Count: 100}},
		Channels: []hocket.Rule{{Pattern: "asked", Ask: hocket.CanPublish}},
		Hooks: hocket.Hooks{ // nobody listens there
			Publish: hocket.Hook{URL: "http://127.0.0.1:1/"}, Secrets: []string{"a secret of some length"}, AllowAddresses: []string{"127.0.0.1"},
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("echo", func(_ context.Context, c hocket.Call) (any, error) { return 1, nil })
	front := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close(context.Background())
		front.Close()
	})
	return srv, front.URL
}

// do sends a request and returns the status and the body.
func do(t *testing.T, method, url, body, key string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
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
	return response.StatusCode, string(b)
}

// samples are the values of a scrape, by name and labels as they are written.
type samples map[string]float64

func scrape(t *testing.T, url string) samples {
	t.Helper()
	status, text := do(t, "GET", url+"/metrics", "", "k")
	if status != http.StatusOK {
		t.Fatalf("the scrape answered %d %s", status, text)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatalf("what was scraped does not parse: %v", err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	all := samples{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if ok {
			name += "}"
		} else if name, value, ok = strings.Cut(strings.TrimSpace(line), " "); !ok || name == "#" {
			continue
		}
		if all[name], err = strconv.ParseFloat(value, 64); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return all
}

func (s samples) want(t *testing.T, name string, value float64) {
	t.Helper()
	if got, ok := s[name]; !ok || got != value {
		t.Errorf("%s is %v (there: %v), want %v", name, got, ok, value)
	}
}

func send(t *testing.T, c *websocket.Conn, msg string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.Text, []byte(msg)); err != nil {
		t.Fatal(err)
	}
}

// await reads until a message of this type has come.
func await(t *testing.T, c *websocket.Conn, typ string) {
	t.Helper()
	for {
		_, msg, err := c.Read(t.Context())
		if err != nil {
			t.Fatalf("waiting for %s: %v", typ, err)
		}
		if strings.HasPrefix(string(msg), `{"type":"`+typ+`"`) {
			return
		}
	}
}

func TestMetricsCountWhatHappens(t *testing.T) {
	_, url := start(t)
	c, _, err := websocket.Dial(t.Context(), url+"/v1/ws?user=ada", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	await(t, c, "connected")
	send(t, c, `{"type":"subscribe","id":1,"channel":"c"}`)
	await(t, c, "reply")
	for range 2 {
		send(t, c, `{"type":"publish","id":2,"channel":"c","payload":1,"idempotency_key":"x"}`)
		await(t, c, "reply")
	}
	send(t, c, `{"type":"call","id":3,"method":"echo"}`)
	await(t, c, "reply")
	send(t, c, `{"type":"what"}`)
	await(t, c, "error")
	do(t, "POST", url+"/api/v1/publish", `{"channel":"c","payload":2}`, "k")
	await(t, c, "message")
	do(t, "POST", url+"/api/v1/publish", `{"channel":"c"}`, "k")
	do(t, "POST", url+"/api/v1/ada", ``, "k")
	do(t, "GET", url+"/v1/ws", "", "")

	var m samples
	testproc.Until(t, "both entries to be counted as delivered, and all tasks to end", func() bool {
		m = scrape(t, url)
		return m["hocket_deliveries_total"] == 2 && m["hocket_tasks"] == 0
	})
	for name, value := range map[string]float64{
		`hocket_sessions`:         1,
		`hocket_accepting`:        1,
		`hocket_handshakes_total`: 1,
		`hocket_handshakes_refused_total{reason="no_upgrade"}`: 1,
		`hocket_messages_in_total`:                             5,
		`hocket_messages_out_total`:                            8, // connected, 4 replies, 1 error, 2 messages
		`hocket_publishes_total{by="client"}`:                  2,
		`hocket_publish_duplicates_total{by="client"}`:         1,
		`hocket_publishes_total{by="server"}`:                  1,
		`hocket_publish_duplicates_total{by="server"}`:         0,
		`hocket_calls_total`:                                   1,
		`hocket_errors_total`:                                  1,
		`hocket_channels`:                                      1,
		`hocket_cursors`:                                       1,
		`hocket_gaps_total`:                                    0,
		`hocket_recovered_total{result="complete"}`:            0,
		`hocket_recovered_total{result="incomplete"}`:          0,
		`hocket_entries_found_total`:                           0,
		`hocket_loop_connections{loop="0"}`:                    1,
		`hocket_tasks`:                                         0,
		`hocket_tasks_limit`:                                   10,

		`hocket_api_requests_total{method="publish",status="200"}`: 1,
		`hocket_api_requests_total{method="publish",status="400"}`: 1,
		`hocket_api_requests_total{method="unknown",status="404"}`: 1,
	} {
		m.want(t, name, value)
	}
	for _, name := range []string{
		"hocket_bytes_in_total", "hocket_bytes_out_total", "hocket_window_bytes", "hocket_broker_reads_total",
		`hocket_loop_turns_total{loop="0"}`, `hocket_loop_posted_total{loop="0"}`, `hocket_loop_busy_seconds_total{loop="0"}`,
		`hocket_loop_longest_turn_seconds{loop="0"}`, "go_goroutines", "process_start_time_seconds",
	} {
		if m[name] <= 0 {
			t.Errorf("%s is %v", name, m[name])
		}
	}
	for name := range m {
		if strings.Contains(name, "ada") {
			t.Errorf("a client chose %s", name)
		}
	}
}

func TestQuestionsAreCountedByOutcome(t *testing.T) {
	_, url := start(t)
	c, _, err := websocket.Dial(t.Context(), url+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	await(t, c, "connected")
	send(t, c, `{"type":"publish","id":1,"channel":"asked","payload":1}`)
	await(t, c, "error")
	m := scrape(t, url)
	m.want(t, `hocket_hook_requests_total{hook="publish",outcome="down"}`, 1)
	m.want(t, `hocket_hook_requests_total{hook="publish",outcome="allow"}`, 0)
	m.want(t, `hocket_hook_duration_seconds_count{hook="publish"}`, 1)
	m.want(t, `hocket_hook_duration_seconds_bucket{hook="publish",le="+Inf"}`, 1)
}

func TestClosesAreCountedByCode(t *testing.T) {
	_, url := start(t)
	for _, code := range []websocket.CloseCode{1000, 3999, 4711, 4000} {
		c, _, err := websocket.Dial(t.Context(), url+"/v1/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		await(t, c, "connected")
		if err := c.Close(code, ""); err != nil {
			t.Fatalf("close with %d: %v", code, err)
		}
	}
	var m samples
	testproc.Until(t, "all sessions to go", func() bool {
		m = scrape(t, url)
		return m["hocket_sessions"] == 0
	})
	m.want(t, `hocket_closes_total{code="1000"}`, 1)
	m.want(t, `hocket_closes_total{code="4000"}`, 1)
	m.want(t, `hocket_closes_total{code="other"}`, 2)
}

func TestMetricsNeedAKey(t *testing.T) {
	_, url := start(t)
	for _, key := range []string{"", "wrong"} {
		if status, body := do(t, "GET", url+"/metrics", "", key); status != http.StatusUnauthorized || strings.Contains(body, "hocket_") {
			t.Errorf("with key %q: %d %s", key, status, body)
		}
	}
	if status, _ := do(t, "POST", url+"/metrics", "", "k"); status != http.StatusMethodNotAllowed {
		t.Errorf("POST answered %d", status)
	}
}
