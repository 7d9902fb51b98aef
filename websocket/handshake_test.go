package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"hocket.dev/wire"
)

// §4.2.2: one that the client offered, or none.
func TestSubprotocol(t *testing.T) {
	url := serve(t, &AcceptOptions{Subprotocols: []string{"b", "c"}}, func(ctx context.Context, c *Conn) {
		_ = c.Write(ctx, Text, []byte(c.Subprotocol())) // the client's read tells
	})
	for _, tt := range []struct {
		offered []string
		want    string
	}{{nil, ""}, {[]string{"a"}, ""}, {[]string{"a", "c", "b"}, "c"}} {
		c := dial(t, url, &DialOptions{Subprotocols: tt.offered})
		if got := c.Subprotocol(); got != tt.want {
			t.Errorf("offered %v: %q, want %q", tt.offered, got, tt.want)
		}
		c.want(t, Text, tt.want)
	}
}

// §4.2.2, §10.2: who is not welcome is told so with 403.
func TestOrigin(t *testing.T) {
	tests := []struct {
		name, origin string
		opts         AcceptOptions
		ok           bool
	}{
		{"a program", "", AcceptOptions{}, true},
		{"the same", "https://Example.com:8000", AcceptOptions{}, true},
		{"another port", "https://example.com", AcceptOptions{}, false},
		{"another host", "https://evil.com", AcceptOptions{}, false},
		{"one that begins alike", "https://example.com:8000.evil.com", AcceptOptions{}, false},
		{"a sandboxed page", "null", AcceptOptions{OriginPatterns: []string{"*"}}, false},
		{"nonsense", "::", AcceptOptions{OriginPatterns: []string{"*"}}, false},
		{"a listed host", "https://friend.org", AcceptOptions{OriginPatterns: []string{"x", "FRIEND.org"}}, true},
		{"a subdomain", "https://a.b.friend.org", AcceptOptions{OriginPatterns: []string{"*.friend.org"}}, true},
		{"no subdomain", "https://evilfriend.org", AcceptOptions{OriginPatterns: []string{"*.friend.org"}}, false},
		{"a listed scheme", "https://friend.org", AcceptOptions{OriginPatterns: []string{"https://friend.org"}}, true},
		{"another scheme", "http://friend.org", AcceptOptions{OriginPatterns: []string{"https://friend.org"}}, false},
		{"a malformed pattern", "https://friend.org", AcceptOptions{OriginPatterns: []string{"[", "[friend.org"}}, false},
		{"no check", "https://evil.com", AcceptOptions{InsecureSkipOriginCheck: true}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if refusal := tt.opts.checkOrigin(tt.origin, "example.com:8000"); (refusal == nil) != tt.ok {
				t.Errorf("refusal %v, want accepted: %v", refusal, tt.ok)
			}
		})
	}
}

// Accept answers what it refuses by itself.
// §4.2.1: what is no handshake is refused with a status and a reason.
func TestAcceptAnswersRefusals(t *testing.T) {
	refused := make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := Accept(w, r, nil)
		refused <- err
	}))
	defer s.Close()
	tests := []struct {
		name, method string
		header       http.Header
		status       int
		reason       string
		answer       string // a header of the response
	}{
		{"plain GET", "GET", nil, 426, "no_upgrade", "Upgrade"},
		{"POST", "POST", nil, 405, "not_get", "Allow"},
		{"old version", "GET", http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"8"}}, 426, "bad_version", "Sec-Websocket-Version"},
		{"foreign origin", "GET", http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Origin": {"https://evil.com"},
		}, 403, "origin", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = tt.header
			response, err := s.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			var refusal *wire.Refusal
			if err := <-refused; !errors.As(err, &refusal) || refusal.Reason != tt.reason {
				t.Errorf("Accept returned %v, want %q", err, tt.reason)
			}
			if response.StatusCode != tt.status || !strings.Contains(string(body), refusal.Message) {
				t.Errorf("answered %s %q", response.Status, body)
			}
			if tt.answer != "" && response.Header.Get(tt.answer) == "" {
				t.Errorf("no header %s in %v", tt.answer, response.Header)
			}
		})
	}
}

func TestAcceptWhereNothingCanBeHijacked(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	w := httptest.NewRecorder()
	if _, err := Accept(w, r, nil); !errors.Is(err, http.ErrNotSupported) || w.Code != 500 {
		t.Errorf("%d, %v", w.Code, err)
	}
}

// Frames that come in the same packet as the handshake are not lost, on either side.
func TestFramesBehindTheHandshake(t *testing.T) {
	s := serve(t, nil, echo)
	nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	request := wire.AppendRequest(nil, wire.Request{Host: "x", Key: wire.EncodeKey([16]byte{1})})
	sendBytes(t, nc, append(request, masked(wire.Text, "early")...)...)
	br := bufio.NewReader(nc)
	if _, err := http.ReadResponse(br, nil); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 7)
	if _, err := io.ReadFull(br, got); err != nil || string(got) != "\x81\x05early" {
		t.Errorf("% x, %v", got, err)
	}

	c := dial(t, "ws://x", &DialOptions{NetDial: answer(t, func(key string) string {
		return string(wire.AppendFrame(wire.AppendResponse(nil, key, "", nil), wire.Text, []byte("early")))
	})})
	c.want(t, Text, "early")
}

// answer is a NetDial to a server that reads one request and answers with fixed bytes.
func answer(t *testing.T, response func(key string) string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		t.Cleanup(func() { _, _ = client.Close(), server.Close() })
		go func() {
			r, err := http.ReadRequest(bufio.NewReader(server))
			if err != nil {
				return
			}
			_, _ = io.WriteString(server, response(r.Header.Get("Sec-Websocket-Key"))) // a client that refuses stops reading
			_ = server.SetReadDeadline(time.Now().Add(-1))
		}()
		return client, nil
	}
}

// §4.1: what the client checks in the answer.
func TestDialRefusesBadAnswers(t *testing.T) {
	fixed := func(s string) func(string) string { return func(string) string { return s } }
	tests := []struct {
		name   string
		answer func(key string) string
		says   string
		body   string
	}{
		{"forbidden", fixed("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope"), "403", "nope"},
		{"long body", fixed("HTTP/1.1 500 x\r\nContent-Length: 2000\r\n\r\n" + strings.Repeat("x", 2000)), "500", strings.Repeat("x", 1024)},
		{"no HTTP", fixed("hello\r\n\r\n"), "malformed", ""},
		{"another key", func(string) string { return string(wire.AppendResponse(nil, "other", "", nil)) }, "Accept", ""},
		{"a subprotocol nobody offered", func(key string) string { return string(wire.AppendResponse(nil, key, "x", nil)) }, `"x"`, ""},
		{"endless header", fixed("HTTP/1.1 101 x\r\n" + strings.Repeat("A: b\r\n", 20_000)), "EOF", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, response, err := Dial(t.Context(), "ws://example.org", &DialOptions{NetDial: answer(t, tt.answer)})
			if c != nil || err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want an error that says %q", err, tt.says)
			}
			if response == nil {
				return
			}
			if body, _ := io.ReadAll(response.Body); string(body) != tt.body {
				t.Errorf("body %q, want %q", body, tt.body)
			}
		})
	}
}

func TestDialRefusesBadURLs(t *testing.T) {
	for raw, says := range map[string]string{"ftp://x": "ftp", "ws://": "host", "ws://%": "%", "x": "scheme"} {
		if _, _, err := Dial(t.Context(), raw, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", raw, err, says)
		}
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	silent, peer := net.Pipe()
	defer func() { _ = peer.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = http.ReadRequest(bufio.NewReader(peer)) // whole or not: the context ends now
		cancel()
	}()
	_, _, err := Dial(ctx, "ws://x", &DialOptions{NetDial: func(context.Context, string, string) (net.Conn, error) { return silent, nil }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's end", err)
	}
	if _, err := silent.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection was left open: %v", err)
	}
}

func TestDialSendsWhatItWasGiven(t *testing.T) {
	got := make(chan *http.Request, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r
		w.WriteHeader(http.StatusTeapot)
	}))
	defer s.Close()
	u, _ := url.Parse(s.URL)
	header := http.Header{"Cookie": {"a=1"}}
	_, response, err := Dial(t.Context(), "http://ada:secret@"+u.Host+"/v1/ws?x=1#part", &DialOptions{Header: header})
	if err == nil || response.StatusCode != http.StatusTeapot {
		t.Errorf("%v", err)
	}
	r := <-got
	user, password, _ := r.BasicAuth()
	if r.RequestURI != "/v1/ws?x=1" || r.Host != u.Host || r.Header.Get("Cookie") != "a=1" || user != "ada" || password != "secret" {
		t.Errorf("request %s %s, headers %v", r.RequestURI, r.Host, r.Header)
	}
	if len(header) != 1 {
		t.Errorf("the caller's headers became %v", header)
	}
}

// §4.1: wss is TLS, and the certificate is checked.
func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		echo(r.Context(), c)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused certificate below
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	url := "wss" + strings.TrimPrefix(s.URL, "https")
	c := dial(t, url, &DialOptions{TLS: &tls.Config{RootCAs: roots}})
	c.say(t, Text, strings.Repeat("x", 100_000))
	c.want(t, Text, strings.Repeat("x", 100_000))

	// A read that was given up leaves TLS intact.
	ctx, cancel := context.WithCancel(t.Context())
	read := run(func() error { _, _, err := c.Read(ctx); return err })
	cancel()
	if err := read(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's end", err)
	}
	c.say(t, Text, "again")
	c.want(t, Text, "again")
	if err := c.Close(CloseNormal, ""); err != nil {
		t.Error(err)
	}
	if _, _, err := Dial(t.Context(), url, &DialOptions{TLS: &tls.Config{RootCAs: x509.NewCertPool()}}); err == nil {
		t.Error("an unknown certificate was accepted")
	}
}

// §4.1, item 10: the subprotocols of a client are tokens, each once. What is wrong is found
// before anything is sent.
func TestDialRefusesBadSubprotocols(t *testing.T) {
	nobody := func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrUnexpectedEOF }
	for _, tt := range []struct {
		offered []string
		says    string
	}{
		{[]string{""}, `"" is no token`},
		{[]string{"a", "b c"}, `"b c" is no token`},
		{[]string{"a,b"}, `"a,b" is no token`},
		{[]string{"a\r\nX: y"}, "is no token"},
		{[]string{"é"}, "is no token"},
		{[]string{"a", "b", "a"}, `"a" stands twice`},
		{[]string{"a", "A", "a.b!"}, io.ErrUnexpectedEOF.Error()}, // cases differ: it dials
	} {
		_, _, err := Dial(t.Context(), "ws://x", &DialOptions{Subprotocols: tt.offered, NetDial: nobody})
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: %v, want an error that says %q", tt.offered, err, tt.says)
		}
	}
}
