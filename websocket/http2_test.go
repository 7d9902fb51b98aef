package websocket

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	_ "hocket.dev/websocket/http2"
)

// serveHTTP2 starts a server for HTTP/2 over TLS and returns it with options that dial it:
// all connections are streams of one.
func serveHTTP2(t *testing.T, h http.Handler) (*httptest.Server, *DialOptions) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10} // see package http2
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, &DialOptions{HTTPClient: s.Client(), HTTP2: true}
}

// RFC 8441 §5: the handshake, and the WebSocket behind it, with all that was agreed upon.
func TestHTTP2(t *testing.T) {
	s, opts := serveHTTP2(t, handler(&AcceptOptions{
		Subprotocols: []string{"b"}, Compression: Compression{Mode: CompressionOn}, Header: http.Header{"X-Extra": {"1"}},
	}, echo))
	opts.Subprotocols, opts.Compression.Mode = []string{"a", "b"}, CompressionOn
	c, response, err := Dial(t.Context(), s.URL+"/path?query", opts)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 || response.ProtoMajor != 2 || response.Header.Get("X-Extra") != "1" || response.Header.Get("Sec-Websocket-Accept") != "" {
		t.Errorf("%s %s %v", response.Proto, response.Status, response.Header)
	}
	if c.Subprotocol() != "b" || c.deflate == nil {
		t.Errorf("subprotocol %q, compression %v", c.Subprotocol(), c.deflate)
	}
	c.say(t, Text, "hello")
	c.want(t, Text, "hello")
	c.say(t, Text, strings.Repeat("compressible ", 1000))
	c.want(t, Text, strings.Repeat("compressible ", 1000))

	read := run(func() error { _, _, err := c.Read(t.Context()); return err })
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Close(CloseNormal, "done"); err != nil {
		t.Error(err)
	}
	wantClosed(t, read(), CloseNormal, "")
}

// A stream that the server opens with a subprotocol nobody offered, and then is silent on, is
// no body to wait for; the server sees it end.
func TestHTTP2WrongAcceptance(t *testing.T) {
	ended := make(chan struct{})
	s, opts := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.Header().Set("Sec-WebSocket-Protocol", "x")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // fails only without a client
		<-r.Context().Done()
	}))
	wantRefusedAtOnce(t, s.URL, opts, `"x"`)
	<-ended
}

// A message larger than every window needs both sides' WINDOW_UPDATE (RFC 9113 §5.2).
func TestHTTP2FlowControl(t *testing.T) {
	const size = 3 << 20
	s, opts := serveHTTP2(t, handler(nil, func(ctx context.Context, c *Conn) {
		c.SetReadLimit(size)
		echo(ctx, c)
	}))
	c := dial(t, s.URL, opts)
	c.SetReadLimit(size)
	msg := strings.Repeat("0123456789abcdef", size/16)
	wrote := run(func() error { return c.Write(t.Context(), Binary, []byte(msg)) })
	c.want(t, Binary, msg)
	if err := wrote(); err != nil {
		t.Error(err)
	}
}

// RFC 8441 §1: connections share one network connection, and one that is stuck does not
// hold up the others.
func TestHTTP2ManyStreams(t *testing.T) {
	var mu sync.Mutex
	from := map[string]int{}
	s, opts := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr]++
		mu.Unlock()
		handler(nil, func(ctx context.Context, c *Conn) {
			if r.URL.Path == "/stuck" {
				<-ctx.Done() // reads nothing
				return
			}
			echo(ctx, c)
		})(w, r)
	}))
	stuck := dial(t, s.URL+"/stuck", opts)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	blocked := run(func() error { return stuck.Write(ctx, Binary, make([]byte, 4<<20)) })
	const streams = 50
	conns := make([]*Conn, streams)
	for i := range conns {
		conns[i] = dial(t, s.URL, opts)
	}
	for _, c := range conns {
		c.say(t, Text, "one of many")
	}
	for _, c := range conns {
		c.want(t, Text, "one of many")
	}
	mu.Lock()
	if len(from) != 1 {
		t.Errorf("%d network connections, want 1", len(from))
	}
	mu.Unlock()
	cancel()
	if err := blocked(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's end", err)
	}
	conns[0].say(t, Text, "still")
	conns[0].want(t, Text, "still")
}

// A read that is given up loses nothing, on either side.
func TestHTTP2ReadGoesOn(t *testing.T) {
	s, opts := serveHTTP2(t, handler(nil, func(ctx context.Context, c *Conn) {
		short, cancel := context.WithCancel(ctx)
		read := run(func() error { _, _, err := c.Read(short); return err })
		cancel()
		if err := read(); !errors.Is(err, context.Canceled) {
			_ = c.Close(CloseInternal, err.Error())
		}
		_ = c.Write(ctx, Text, []byte("go on"))
		echo(ctx, c)
	}))
	c := dial(t, s.URL, opts)
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Read(short); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's end", err)
	}
	c.want(t, Text, "go on")
	c.say(t, Text, "and back")
	c.want(t, Text, "and back")
}

// RFC 8441 §5: the end of the stream, in order (END_STREAM) or not (RST_STREAM), and that
// of the network connection are a lost connection where no close frame came before: 1006.
func TestHTTP2Lost(t *testing.T) {
	left := make(chan error, 1)
	s, opts := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			left <- err
			return
		}
		defer func() { _ = c.CloseNow() }()
		switch r.URL.Path {
		case "/end":
			return
		case "/abort":
			panic(http.ErrAbortHandler)
		}
		_, _, err = c.Read(context.WithoutCancel(r.Context()))
		left <- err
	}))
	for _, path := range []string{"/end", "/abort"} {
		c := dial(t, s.URL+path, opts)
		_, _, err := c.Read(t.Context())
		wantClosed(t, err, CloseAbnormal, "")
		if path == "/end" && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("END_STREAM is %v, want an unexpected end", err)
		}
	}
	c := dial(t, s.URL, opts)
	_ = c.CloseNow()
	wantClosed(t, <-left, CloseAbnormal, "")

	c = dial(t, s.URL, opts)
	s.CloseClientConnections()
	_, _, err := c.Read(t.Context())
	wantClosed(t, err, CloseAbnormal, "")
	wantClosed(t, <-left, CloseAbnormal, "")
}

// A server that shuts down sends GOAWAY: new streams come on another connection, those
// that are there go on to their end.
func TestHTTP2Shutdown(t *testing.T) {
	s, opts := serveHTTP2(t, handler(nil, echo))
	c := dial(t, s.URL, opts)
	down := run(func() error { return s.Config.Shutdown(context.WithoutCancel(t.Context())) })
	c.say(t, Text, "not yet")
	c.want(t, Text, "not yet")
	if err := c.Close(CloseGoingAway, ""); err != nil {
		t.Error(err)
	}
	if err := down(); err != nil {
		t.Error(err)
	}
}

// A write behind the handler's return is an error, not a panic of net/http.
func TestHTTP2AfterTheHandler(t *testing.T) {
	kept := make(chan *Conn, 1)
	s, opts := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		kept <- c
	}))
	c := dial(t, s.URL, opts)
	_, _, err := c.Read(t.Context())
	wantClosed(t, err, CloseAbnormal, "")
	late := <-kept
	if err := late.Write(t.Context(), Text, []byte("late")); err == nil {
		t.Error("written to a stream that has ended")
	}
	_ = late.CloseNow()
}

// RFC 8441 §5.1 without TLS: http for ws.
func TestHTTP2Unencrypted(t *testing.T) {
	s := httptest.NewUnstartedServer(handler(nil, echo))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.Protocols.SetHTTP1(true)
	s.Start()
	defer s.Close()
	c := dial(t, "ws"+s.URL[4:], &DialOptions{HTTP2: true})
	c.say(t, Text, "plain")
	c.want(t, Text, "plain")
	if err := c.Close(CloseNormal, ""); err != nil {
		t.Error(err)
	}
	if _, _, err := Dial(t.Context(), s.URL, &DialOptions{HTTP2: true, HTTPClient: s.Client()}); !errors.Is(err, ErrNoHTTP2) {
		t.Errorf("%v from a client for HTTP/1.1", err)
	}
}

// RFC 8441 §5: what a server refuses, it refuses with a status.
func TestHTTP2Refusals(t *testing.T) {
	s, opts := serveHTTP2(t, handler(nil, echo))
	opts.Header = http.Header{"Origin": {"https://evil.com"}}
	_, response, err := Dial(t.Context(), s.URL, opts)
	var refused *HandshakeError
	if !errors.As(err, &refused) || response.StatusCode != http.StatusForbidden {
		t.Errorf("%v", err)
	}
	if body, _ := io.ReadAll(response.Body); !strings.Contains(string(body), "evil.com") {
		t.Errorf("%q", body)
	}
	response, err = s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("GET over HTTP/2: %s", response.Status)
	}
}

// A server of loops serves streams as it does connections, and its handler returns when
// the socket has ended.
func TestHTTP2Server(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		p := echoing()
		srv := newServer(t, p, ServerOptions{Portable: portable, MaxMessageBytes: 1 << 22, AcceptOptions: AcceptOptions{
			Compression: Compression{Mode: CompressionOn}, KeepAlive: KeepAlive{PingEvery: 1},
		}})
		returned := make(chan struct{}, 3)
		s, opts := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			srv.ServeHTTP(w, r)
			returned <- struct{}{}
		}))
		opts.Compression.Mode = CompressionOn
		c := dial(t, s.URL, opts)
		c.SetReadLimit(1 << 22)
		for _, msg := range []string{"hello", strings.Repeat("compressible ", 1000), noise(1 << 20)} {
			wrote := run(func() error { return c.Write(t.Context(), Binary, []byte(msg)) })
			c.want(t, Binary, msg)
			if err := wrote(); err != nil {
				t.Error(err)
			}
		}
		if err := c.Close(CloseNormal, ""); err != nil {
			t.Error(err)
		}
		wantClosed(t, <-p.closed, CloseNormal, "")
		<-returned

		c = dial(t, s.URL, opts)
		_ = c.CloseNow()
		wantClosed(t, <-p.closed, CloseAbnormal, "")
		<-returned

		c = dial(t, s.URL, opts)
		c.say(t, Text, "the socket is there")
		c.want(t, Text, "the socket is there")
		read := run(func() error { _, _, err := c.Read(t.Context()); return err })
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		wantClosed(t, read(), CloseGoingAway, "")
		<-p.closed
		<-returned
		if _, response, _ := Dial(t.Context(), s.URL, opts); response == nil || response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a server that is closed answered %v", response)
		}
	})
}

// noise returns n bytes that do not compress, always the same.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // never fails
	return string(b)
}
