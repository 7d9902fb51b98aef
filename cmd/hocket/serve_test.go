package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// A conversation is the protocol typed by hand.
type conversation struct {
	t    *testing.T
	conn *websocket.Conn
	ctx  context.Context
}

func connect(t *testing.T, n *node) *conversation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	conn, _, err := websocket.Dial(ctx, n.ws(), nil)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.CloseNow()
		cancel()
	})
	return &conversation{t, conn, ctx}
}

func (c *conversation) send(msg string) {
	c.t.Helper()
	if err := c.conn.Write(c.ctx, websocket.Text, []byte(msg)); err != nil {
		c.t.Fatal(err)
	}
}

// want reads until a message begins with prefix, and returns it.
func (c *conversation) want(prefix string) string {
	c.t.Helper()
	for {
		_, msg, err := c.conn.Read(c.ctx)
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", prefix, err)
		}
		if strings.HasPrefix(string(msg), prefix) {
			return string(msg)
		}
	}
}

// closed reads until the server closes, and returns its code.
func (c *conversation) closed() websocket.CloseCode {
	c.t.Helper()
	for {
		if _, _, err := c.conn.Read(c.ctx); err != nil {
			var closed *websocket.CloseError
			if !errors.As(err, &closed) {
				c.t.Fatal(err)
			}
			return closed.Code
		}
	}
}

func get(t *testing.T, n *node, path string, change func(*http.Request)) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.http+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	response, err := http.DefaultClient.Do(r)
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

func TestDevelopmentServer(t *testing.T) {
	n := startDev(t)
	for _, want := range []string{
		"Page       http://" + n.http + "/", "API        http://" + n.http + "/api/v1/", "access is open", "sessions=",
	} {
		testproc.Until(t, want, func() bool { return strings.Contains(n.Output(), want) })
	}
	c := connect(t, n)
	c.want(`{"type":"connected"`)

	c.send(`{"type":"publish","id":1,"channel":"chat:lobby","payload":"before"}`)
	c.want(`{"type":"reply","id":1,`)
	c.send(`{"type":"subscribe","id":2,"channel":"chat:lobby","payload":{"from":{"last":10},"presence":true}}`)
	c.want(`{"type":"reply","id":2,`)
	if m := c.want(`{"type":"message"`); !strings.Contains(m, `"payload":"before"`) {
		t.Error(m)
	}
	c.send(`{"type":"call","id":3,"method":"echo","payload":{"a":[1]}}`)
	if m := c.want(`{"type":"reply","id":3,`); !strings.Contains(m, `"payload":{"a":[1]}`) {
		t.Error(m)
	}
	c.send(`{"type":"call","id":4,"method":"echo"}`)
	c.want(`{"type":"reply","id":4`)
	c.send(`{"type":"call","id":5,"method":"time"}`)
	var now struct{ Payload struct{ Time int64 } }
	if err := json.Unmarshal([]byte(c.want(`{"type":"reply","id":5,`)), &now); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(time.UnixMilli(now.Payload.Time)); d < -time.Second || d > time.Minute {
		t.Errorf("the time is %v off", d)
	}
	c.send(`{"type":"subscribe","id":6,"channel":"ticker:demo"}`)
	if m := c.want(`{"type":"message","channel":"ticker:demo"`); !strings.Contains(m, `"payload":{"symbol":"HKT","price":`) {
		t.Error(m)
	}
	c.send(`{"type":"publish","id":7,"channel":"ticker:demo","payload":1}`)
	c.want(`{"type":"error","id":7,"channel":"ticker:demo","error":{"code":1403`)
}

func TestPathsOfTheServer(t *testing.T) {
	n := startDev(t)
	for path, want := range map[string]string{
		"/": "<!doctype html>", "/v1/info": `"protocols":["hocket.v1.json"]`, "/healthz": "ok", "/readyz": "ready",
	} {
		if status, body := get(t, n, path, nil); status != 200 || !strings.Contains(strings.ToLower(body), want) {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
	if status, _ := get(t, n, "/none", nil); status != http.StatusNotFound {
		t.Errorf("/none: %d", status)
	}
}

// Open access is for programs on this machine and the pages they serve; not for pages that a browser on it looks at.
func TestDevelopmentAccessEndsAtThisMachine(t *testing.T) {
	n := startDev(t)
	status, body := get(t, n, "/v1/info", func(r *http.Request) { r.Host = "rebound.example:8000" })
	if status != http.StatusForbidden || !json.Valid([]byte(body)) {
		t.Errorf("a foreign host: %d %s", status, body)
	}
	status, body = get(t, n, "/v1/ws", func(r *http.Request) {
		r.Host = "rebound.example:8000"
		for name, value := range map[string]string{
			"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		} {
			r.Header.Set(name, value)
		}
	})
	if status != http.StatusForbidden {
		t.Errorf("a handshake under a foreign host: %d %s", status, body)
	}
	for origin, admitted := range map[string]bool{
		"http://localhost:5173": true, "http://127.0.0.1": true, "https://[::1]:9": true,
		"https://evil.example": false, "http://localhost.evil.example:80": false, "null": false,
	} {
		conn, _, err := websocket.Dial(t.Context(), n.ws(), &websocket.DialOptions{Header: http.Header{"Origin": {origin}}})
		if (err == nil) != admitted {
			t.Errorf("%s: %v", origin, err)
		}
		if err == nil {
			conn.CloseNow()
		}
	}
	post := func(r *http.Request) {
		r.Method = http.MethodPost
		r.Header.Set("Origin", "https://evil.example")
	}
	if status, body := get(t, n, "/api/v1/info", post); status != http.StatusForbidden || !strings.Contains(body, `"code":1111`) {
		t.Errorf("a page of another origin posts: %d %s", status, body)
	}
}

// What a server shows without a configuration: that it is there, what it speaks, and no more.
func TestWhatIsOpenByDefault(t *testing.T) {
	n := start(t, command("serve", "--listen", "127.0.0.1:0"))
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/v1/info": 200, "/v1/ws": 426,
		"/metrics": 401, "/api/v1/info": 401, "/api/v1/publish": 401, "/api/v1/none": 401,
		"/": 404, "/index.html": 404, "/console/": 404, "/debug/pprof/": 404, "/debug/vars": 404, "/v1/": 404, "/api/": 404,
	} {
		status, body := get(t, n, path, nil)
		if status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
		if want < 300 && strings.Contains(body, "127.0.0.1") || len(body) > 400 {
			t.Errorf("%s tells %s", path, body)
		}
	}
}

// Without --dev nobody is admitted, nothing of the page is there, and the log says so.
func TestDoorsAreClosedByDefault(t *testing.T) {
	n := start(t, command("serve", "--listen", "127.0.0.1:0"))
	c := connect(t, n)
	c.send(`{"type":"connect","id":1,"payload":{"user":"ada"}}`)
	c.want(`{"type":"error","id":1,"error":{"code":1401`)
	if code := c.closed(); code != 4200 {
		t.Errorf("closed with %d", code)
	}
	testproc.Until(t, "the log to say so", func() bool { return strings.Contains(n.Output(), "with tickets of the API alone") })
	if status, _ := get(t, n, "/", nil); status != http.StatusNotFound {
		t.Errorf("/: %d", status)
	}
}

func TestConfigurationAndEnvironment(t *testing.T) {
	cmd := command("serve", "--listen", "127.0.0.1:0", "--config", write(t, `
listen: 192.0.2.1:1
anonymous: true
node: n7
api_keys: [of-the-file]
channels: [{pattern: "news:*", publish: server}]
`))
	cmd.Env = append(cmd.Env, "HOCKET_API_KEYS=of-the-environment, second,")
	n := start(t, cmd)
	c := connect(t, n)
	if m := c.want(`{"type":"connected"`); !strings.Contains(m, `"node":"n7"`) {
		t.Error(m)
	}
	c.send(`{"type":"publish","id":1,"channel":"news:x","payload":1}`)
	c.want(`{"type":"error","id":1,"channel":"news:x","error":{"code":1403`)
	for key, want := range map[string]int{"of-the-file": 200, "of-the-environment": 200, "second": 200, "": 401, "other": 401} {
		status, body := get(t, n, "/api/v1/info", func(r *http.Request) {
			r.Method = http.MethodPost
			r.Body = io.NopCloser(strings.NewReader("{}"))
			r.Header.Set("Authorization", "Bearer "+key)
		})
		if status != want {
			t.Errorf("key %q: %d %s, want %d", key, status, body, want)
		}
	}
	testproc.Until(t, "the log to say that access is open", func() bool {
		return strings.Contains(n.Output(), "admitted without proof")
	})
}

// A peer that vanishes without a word is closed, and the log says why, within the times of ping and pong.
func TestVanishedPeer(t *testing.T) {
	n := start(t, command("serve", "--dev", "--listen", "127.0.0.1:0", "--config", write(t, "ping_every: 1s\npong_timeout: 1s\n")))
	c := connect(t, n)
	c.want(`{"type":"connected"`)
	began := time.Now() // from here on nobody reads, so nobody answers pings
	testproc.Until(t, "the session to be closed", func() bool { return strings.Contains(n.Output(), "code=4002") })
	if d := time.Since(began); d > 20*time.Second { // by default it is 35; what it is exactly, tests in virtual time hold
		t.Errorf("it took %v", d)
	}
	if code := c.closed(); code != 4002 {
		t.Errorf("closed with %d", code)
	}
}
