package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// A browser is a client with one connection of HTTP/2 to a server, for requests and WebSockets.
type browser struct {
	*http.Client
	node  *node
	dials atomic.Int32
	stall chan struct{} // closed when nothing more is read from the network
	mute  atomic.Bool   // nothing more reaches the network
	lost  chan struct{} // holds something once a connection has ended; of capacity one
}

// startSecure starts a server that finds out nobody who reads nothing, or vanishes, while a test runs.
func startSecure(t *testing.T) (*node, pemFiles) {
	t.Helper()
	files := newPEMFiles(t)
	return start(t, secure(t, files, "ping_every: 4m\n")), files
}

// secure is a server under TLS with a configuration.
func secure(t *testing.T, files pemFiles, yaml string) *exec.Cmd {
	t.Helper()
	return command("serve", "--dev", "--listen", "127.0.0.1:0", "--tls-cert", files.cert, "--tls-key", files.key, "--config", write(t, yaml))
}

// browse makes a browser that takes so many bytes of each stream before anybody reads them.
func browse(t *testing.T, n *node, files pemFiles, window int) *browser {
	t.Helper()
	b := &browser{node: n, stall: make(chan struct{}), lost: make(chan struct{}, 1)}
	transport := &http.Transport{
		TLSClientConfig: files.trust(t), Protocols: new(http.Protocols),
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: window},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			b.dials.Add(1)
			nc, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			w := &wire{Conn: nc, b: b, closed: make(chan struct{})}
			t.Cleanup(func() { w.Close() })
			return w, nil
		},
	}
	transport.Protocols.SetHTTP2(true)
	b.Client = &http.Client{Transport: transport}
	t.Cleanup(b.CloseIdleConnections)
	return b
}

// A wire is the network connection of a browser.
type wire struct {
	net.Conn
	b      *browser
	closed chan struct{}
	once   sync.Once
}

func (w *wire) Read(p []byte) (int, error) {
	select {
	case <-w.b.stall:
		<-w.closed
		return 0, net.ErrClosed
	default:
	}
	return w.Conn.Read(p)
}

func (w *wire) Write(p []byte) (int, error) {
	if w.b.mute.Load() {
		return len(p), nil
	}
	return w.Conn.Write(p)
}

func (w *wire) Close() error {
	w.once.Do(func() {
		close(w.closed)
		select {
		case w.b.lost <- struct{}{}:
		default: // said already
		}
	})
	return w.Conn.Close()
}

// open opens a WebSocket on the connection.
func (b *browser) open(t *testing.T) *conversation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	conn, _, err := websocket.Dial(ctx, "wss://"+b.node.http+"/v1/ws", &websocket.DialOptions{
		HTTPClient: b.Client, HTTP2: true, Header: http.Header{"Origin": {"https://" + b.node.http}},
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.CloseNow()
		cancel()
	})
	c := &conversation{t, conn, ctx}
	c.want(`{"type":"connected"`)
	return c
}

// openHTTP1 opens a WebSocket with a connection of its own.
func openHTTP1(t *testing.T, n *node, files pemFiles) *conversation {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "wss://"+n.http+"/v1/ws", &websocket.DialOptions{TLS: files.trust(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	c := &conversation{t, conn, t.Context()}
	c.want(`{"type":"connected"`)
	return c
}

func (b *browser) get(t *testing.T, path string) string {
	t.Helper()
	response, err := b.Get("https://" + b.node.http + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || response.ProtoMajor != 2 {
		t.Fatalf("%s: %s %s %.200s, %v", path, response.Proto, response.Status, body, err)
	}
	return string(body)
}

// goroutines counts those of the server.
func (b *browser) goroutines(t *testing.T) (n int) {
	t.Helper()
	_, after, _ := strings.Cut(b.get(t, "/metrics"), "\ngo_goroutines ")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

const tabs = 30

// Requests and sessions share one connection of HTTP/2, and sessions that read nothing do not hold up the others.
func TestSessionsOverHTTP2(t *testing.T) {
	n, files := startSecure(t)
	const window = 256 << 10
	b := browse(t, n, files, window)
	var written atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	for range 3 { // by net/http's defaults the second would take what the first has left of the connection
		stuck := b.open(t)
		writing.Go(func() { stuck.ask(ctx, &written) })
	}
	defer writing.Wait()
	defer cancel()

	var sessions []*conversation
	for range tabs {
		sessions = append(sessions, b.open(t))
	}
	for _, c := range sessions {
		c.send(`{"type":"subscribe","id":1,"channel":"chat:lobby"}`)
		c.want(`{"type":"reply","id":1,`)
	}
	for before := int64(-1); before < written.Load() || before < 3*window; { // until they were stuck for a whole round
		before = written.Load()
		talk(sessions)
	}
	if info := b.get(t, "/v1/info"); !strings.Contains(info, `"name":"hocket"`) {
		t.Error(info)
	}
	if dials := b.dials.Load(); dials != 1 {
		t.Errorf("%d connections, want 1", dials)
	}
}

// ask calls without reading the answers, until ctx ends.
func (c *conversation) ask(ctx context.Context, written *atomic.Int64) {
	call := []byte(`{"type":"call","id":1,"method":"echo","payload":"` + strings.Repeat("x", 16<<10) + `"}`)
	for c.conn.Write(ctx, websocket.Text, call) == nil {
		written.Add(int64(len(call)))
	}
	if ctx.Err() == nil {
		c.t.Error("a session that reads nothing has ended")
	}
}

// talk has each session publish once to the channel that all have subscribed to.
func talk(sessions []*conversation) {
	for i, c := range sessions {
		c.send(fmt.Sprintf(`{"type":"publish","id":2,"channel":"chat:lobby","payload":"of %d"}`, i))
		for _, each := range sessions {
			each.wantPayload(fmt.Sprintf("of %d", i))
		}
	}
}

func (c *conversation) wantPayload(payload string) {
	c.t.Helper()
	if m := c.want(`{"type":"message"`); !strings.Contains(m, `"payload":"`+payload+`"`) {
		c.t.Errorf("%s, want %s", m, payload)
	}
}

// Under TLS an idle session over HTTP/1.1 has no goroutine.
func TestIdleSessionsUnderTLS(t *testing.T) {
	n, files := startSecure(t)
	b := browse(t, n, files, 64<<10)
	idle := func(sessions int) {
		for range sessions {
			openHTTP1(t, n, files)
		}
	}
	idle(10)
	before := b.goroutines(t)
	idle(200)
	testproc.Until(t, "the goroutines of the handshakes to end", func() bool { return b.goroutines(t) < before+50 })
}

// A server that stops tells sessions under TLS, over either HTTP, to come back, and does not wait for those who take nothing.
func TestSignalEndsSessionsUnderTLS(t *testing.T) {
	n, files := startSecure(t)
	b, gone := browse(t, n, files, 64<<10), browse(t, n, files, 4<<20) // of the latter, more than TCP has room for
	gone.vanish(t)
	b.fill(t)
	sessions := []*conversation{openHTTP1(t, n, files)}
	for range tabs {
		sessions = append(sessions, b.open(t))
	}
	b.open(t) // and it is never read from
	began := time.Now()
	if err := n.Signal(sigterm); err != nil {
		t.Fatal(err)
	}
	for _, c := range sessions {
		c.want(`{"type":"reconnect"`)
		if code := c.closed(); code != 4000 {
			t.Errorf("closed with %d, want 4000", code)
		}
	}
	if code := n.ExitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took > 20*time.Second { // three where the machine is not busy; WriteByteTimeout is minutes here
		t.Errorf("it took %v", took)
	}
}

// vanish leaves sessions behind that take nothing any more, on a connection that does not either.
func (b *browser) vanish(t *testing.T) {
	t.Helper()
	for range 4 {
		c := b.open(t)
		c.send(`{"type":"subscribe","id":1,"channel":"chat:lobby"}`)
		c.want(`{"type":"reply","id":1,`)
	}
	close(b.stall)
}

// fill publishes more than the network keeps for who does not read: twenty megabytes.
func (b *browser) fill(t *testing.T) {
	t.Helper()
	body := []byte(`{"channel":"chat:lobby","payload":"` + strings.Repeat("x", 32<<10) + `"}`)
	for range 640 {
		response, err := b.Post("https://"+b.node.http+"/api/v1/publish", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Fatalf("%s %s", response.Status, text)
		}
	}
}

// A client that has vanished is given up with its connection, whether something waits to be written to it or not.
func TestVanishedPeersOverHTTP2(t *testing.T) {
	files := newPEMFiles(t)
	n := start(t, secure(t, files, "ping_every: 1s\npong_timeout: 1s\n"))
	b, quiet, full := browse(t, n, files, 64<<10), browse(t, n, files, 64<<10), browse(t, n, files, 4<<20)
	before := b.goroutines(t)
	quiet.open(t)
	quiet.mute.Store(true)
	full.vanish(t)
	b.fill(t)
	testproc.Until(t, "the goroutines of four sessions to end, at least two each", func() bool { return b.goroutines(t) <= before+6 })
	select {
	case <-quiet.lost:
	case <-time.After(time.Minute): // IdleTimeout would be two
		t.Error("the connection of a client that says nothing is still there")
	}
}

// The switch of package http2 is one for operators too.
func TestWithoutWebSocketsOverHTTP2(t *testing.T) {
	files := newPEMFiles(t)
	cmd := secure(t, files, "")
	cmd.Env = append(cmd.Env, "GODEBUG=http2xconnect=0")
	n := start(t, cmd)
	b := browse(t, n, files, 64<<10)
	_, _, err := websocket.Dial(t.Context(), "wss://"+n.http+"/v1/ws", &websocket.DialOptions{HTTPClient: b.Client, HTTP2: true})
	if !errors.Is(err, websocket.ErrNoHTTP2) {
		t.Errorf("%v, want %v", err, websocket.ErrNoHTTP2)
	}
	openHTTP1(t, n, files)
}

// Where net/http's HTTP/2 is turned off it is not offered: net/http would close the connection without a word.
func TestWithoutHTTP2(t *testing.T) {
	files := newPEMFiles(t)
	for godebug, want := range map[string]string{
		"http2server=0": "http/1.1", "http2server=1,http2server=0,http2xconnect=0": "http/1.1", "http2server=0,http2server=1": "h2",
	} {
		cmd := secure(t, files, "")
		cmd.Env = append(cmd.Env, "GODEBUG="+godebug)
		n := start(t, cmd)
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: files.trust(t), ForceAttemptHTTP2: true}}
		response, err := client.Get("https://" + n.http + "/v1/info")
		if err != nil {
			t.Fatalf("GODEBUG=%s: %v", godebug, err)
		}
		response.Body.Close()
		if got := response.TLS.NegotiatedProtocol; got != want {
			t.Errorf("GODEBUG=%s: %s, want %s", godebug, got, want)
		}
		client.CloseIdleConnections()
	}
}

// The origins that --dev admits may connect by CONNECT too, which other checks take for a request that changes something.
func TestOriginsOverHTTP2(t *testing.T) {
	n, files := startSecure(t)
	b := browse(t, n, files, 64<<10)
	for origin, admitted := range map[string]bool{
		"https://" + n.http: true, "http://localhost:5173": true, "https://evil.example": false, "null": false,
	} {
		conn, _, err := websocket.Dial(t.Context(), "wss://"+n.http+"/v1/ws", &websocket.DialOptions{
			HTTPClient: b.Client, HTTP2: true, Header: http.Header{"Origin": {origin}, "Sec-Fetch-Site": {"cross-site"}},
		})
		if (err == nil) != admitted {
			t.Errorf("%s: %v", origin, err)
		}
		if err == nil {
			conn.CloseNow()
		}
	}
}
