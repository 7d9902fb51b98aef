package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/wire"
)

// handler accepts every request and gives it to handle.
func handler(opts *AcceptOptions, handle func(ctx context.Context, c *Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, opts)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		handle(r.Context(), c)
	}
}

// byClient returns options with a client whose connections end with the test.
func byClient(t *testing.T, transport http.RoundTripper) *DialOptions {
	t.Helper()
	client := &http.Client{Transport: transport}
	t.Cleanup(client.CloseIdleConnections)
	return &DialOptions{HTTPClient: client}
}

func TestDialByHTTPClient(t *testing.T) {
	s := httptest.NewTLSServer(handler(&AcceptOptions{Subprotocols: []string{"b"}, Compression: Compression{Mode: CompressionOn}}, echo))
	defer s.Close()
	for name, transport := range map[string]http.RoundTripper{
		"http.Transport":                 s.Client().Transport,
		"one that reports no connection": silent{s.Client().Transport},
	} {
		t.Run(name, func(t *testing.T) {
			opts := byClient(t, transport)
			opts.Subprotocols, opts.Compression.Mode = []string{"a", "b"}, CompressionOn
			c := dial(t, s.URL, opts)
			if c.Subprotocol() != "b" || c.deflate == nil {
				t.Errorf("subprotocol %q, compression %v", c.Subprotocol(), c.deflate)
			}
			c.say(t, Text, strings.Repeat("x", 100_000))
			c.want(t, Text, strings.Repeat("x", 100_000))

			// A read that was given up loses nothing.
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
		})
	}
}

// silent hides what httptrace would tell, as a RoundTripper of another make does.
type silent struct{ http.RoundTripper }

func (s silent) RoundTrip(r *http.Request) (*http.Response, error) {
	return s.RoundTripper.RoundTrip(r.WithContext(untraced{r.Context()}))
}

// untraced is a context without values.
type untraced struct{ context.Context }

func (untraced) Value(any) any { return nil }

// Frames that come in the same packet as the response are in its body.
func TestFramesBehindTheResponseToAnHTTPClient(t *testing.T) {
	opts := byClient(t, &http.Transport{DialContext: answer(t, func(key string) string {
		return string(wire.AppendFrame(wire.AppendResponse(nil, key, "", nil), wire.Text, []byte("early")))
	})})
	dial(t, "ws://x", opts).want(t, Text, "early")
}

// The client's Timeout ends a handshake and nothing later. A deadline that passed shows it
// without waiting: the timer of the client would have fired before the answer.
func TestTimeoutOfAnHTTPClient(t *testing.T) {
	opts := byClient(t, nil)
	opts.HTTPClient.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	opts.HTTPClient.Timeout = time.Millisecond
	if _, _, err := Dial(t.Context(), "ws://x", opts); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the timeout", err)
	}
	a := &attempt{opts: &DialOptions{HTTPClient: &http.Client{Timeout: time.Nanosecond}}}
	if a.opts.httpClient(target{}).Timeout != 0 {
		t.Error("the timeout would go on with the connection")
	}
}

func TestCookiesOfAnHTTPClient(t *testing.T) {
	got := make(chan string, 2)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("Cookie")
		handler(&AcceptOptions{Header: http.Header{"Set-Cookie": {"b=2"}}}, echo)(w, r)
	}))
	defer s.Close()
	opts := byClient(t, &http.Transport{})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(s.URL)
	jar.SetCookies(u, []*http.Cookie{{Name: "a", Value: "1"}})
	opts.HTTPClient.Jar = jar
	for _, want := range []string{"a=1", "a=1; b=2"} {
		dial(t, "ws"+s.URL[4:], opts)
		if cookies := <-got; cookies != want {
			t.Errorf("sent %q, want %q", cookies, want)
		}
	}
}

// Redirects are refused unless MaxRedirects allows them and CheckRedirect agrees.
func TestRedirectsOfAnHTTPClient(t *testing.T) {
	end := httptest.NewServer(handler(nil, echo))
	defer end.Close()
	start := httptest.NewServer(http.RedirectHandler(end.URL+"/x", http.StatusFound))
	defer start.Close()
	no := errors.New("not there")
	tests := []struct {
		name  string
		max   int
		check func(next *http.Request, via []*http.Request) error
		want  error
		ok    bool
	}{
		{"by default", 0, nil, nil, false},
		{"one", 1, nil, nil, true},
		{"one, agreed", 1, func(next *http.Request, via []*http.Request) error {
			if next.URL.String() != end.URL+"/x" || len(via) != 1 || via[0].URL.String() != start.URL+"/" {
				t.Errorf("asked about %v after %v", next.URL, via[0].URL)
			}
			return nil
		}, nil, true},
		{"one, not agreed", 1, func(*http.Request, []*http.Request) error { return no }, no, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := byClient(t, &http.Transport{})
			opts.MaxRedirects, opts.HTTPClient.CheckRedirect = tt.max, tt.check
			c, response, err := Dial(t.Context(), start.URL, opts)
			if tt.ok {
				if err != nil {
					t.Fatal(err)
				}
				_ = c.CloseNow()
				return
			}
			var refused *HandshakeError
			if !errors.As(err, &refused) || response == nil || response.StatusCode != http.StatusFound || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("%v with %v", err, response)
			}
		})
	}
}

func TestRefusalToAnHTTPClient(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("no", 1000), http.StatusForbidden)
	}))
	defer s.Close()
	_, response, err := Dial(t.Context(), s.URL, byClient(t, &http.Transport{}))
	var refused *HandshakeError
	if !errors.As(err, &refused) || response == nil || response.StatusCode != http.StatusForbidden {
		t.Fatalf("%v", err)
	}
	if body, err := io.ReadAll(response.Body); len(body) != maxRefusalBytes || err != nil {
		t.Errorf("%d bytes of the body, %v", len(body), err)
	}
}

// Behind an answer that accepts the handshake wrongly may be a stream on which nothing comes:
// Dial does not wait for a body.
func TestWrongAcceptanceToAnHTTPClient(t *testing.T) {
	for name, response := range map[string]func(key string) string{
		"Accept": func(string) string { return string(wire.AppendResponse(nil, "other", "", nil)) },
		`"x"`:    func(key string) string { return string(wire.AppendResponse(nil, key, "x", nil)) },
	} {
		synctest.Test(t, func(t *testing.T) {
			opts := byClient(t, &http.Transport{DialContext: silently(t, response)})
			wantRefusedAtOnce(t, "ws://x", opts, name)
		})
	}
}

// silently is answer with a server that then keeps the connection open without a word.
func silently(t *testing.T, response func(key string) string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		t.Cleanup(func() { _, _ = client.Close(), server.Close() })
		go func() {
			if r, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
				_, _ = io.WriteString(server, response(r.Header.Get("Sec-Websocket-Key"))) // the client misses what is not written
			}
		}()
		return client, nil
	}
}

// wantRefusedAtOnce asserts that Dial fails, not by its context, with an error that says what
// it is to say and a response without body.
func wantRefusedAtOnce(t *testing.T, url string, opts *DialOptions, says string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, response, err := Dial(ctx, url, opts)
	var refused *HandshakeError
	if !errors.As(err, &refused) || response == nil || !strings.Contains(err.Error(), says) {
		t.Fatalf("%v with %v, want an error that says %q", err, response, says)
	}
	if body, err := io.ReadAll(response.Body); len(body) > 0 || err != nil {
		t.Errorf("body %q, %v", body, err)
	}
}

func TestProxyOfAnHTTPClient(t *testing.T) {
	s := httptest.NewTLSServer(handler(nil, echo))
	defer s.Close()
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		tunnel(t, w, r)
	}))
	defer proxy.Close()
	u, _ := url.Parse(proxy.URL)
	transport := s.Client().Transport.(*http.Transport).Clone()
	transport.Proxy = http.ProxyURL(u)
	for _, http2 := range []bool{false, true} {
		opts := byClient(t, transport)
		opts.HTTP2 = http2
		c, _, err := Dial(t.Context(), s.URL, opts)
		if http2 {
			if !errors.Is(err, ErrNoHTTP2) {
				t.Errorf("%v from a server for HTTP/1.1", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		c.say(t, Text, "through")
		c.want(t, Text, "through")
		_ = c.CloseNow()
	}
	if asked.Load() == 0 {
		t.Error("the proxy was not asked")
	}
}

// A connection for HTTP/1.1 takes the head of the request and then waits for its body. Dial ends although none comes.
func TestNoHTTP2BehindTheHead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	opts := byClient(t, &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, address)
		return &leaveAfterHead{Conn: nc, head: make(chan struct{})}, err
	}})
	opts.HTTP2 = true
	if _, _, err := Dial(t.Context(), "ws://"+l.Addr().String(), opts); !errors.Is(err, ErrNoHTTP2) {
		t.Errorf("%v, want %v", err, ErrNoHTTP2)
	}
}

// leaveAfterHead is a connection that is closed when something was written, and not before.
type leaveAfterHead struct {
	net.Conn
	head chan struct{}
	once sync.Once
}

func (c *leaveAfterHead) Write(p []byte) (int, error) {
	defer c.once.Do(func() { close(c.head) })
	return c.Conn.Write(p)
}

func (c *leaveAfterHead) Close() error {
	<-c.head
	return c.Conn.Close()
}

// tunnel is what a proxy does with CONNECT.
func tunnel(t *testing.T, w http.ResponseWriter, r *http.Request) {
	there, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	here, read, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	done := run(func() struct{} {
		_, _ = io.Copy(there, read) // what net/http has read already first; ends when either does
		_ = there.Close()
		return struct{}{}
	})
	_, _ = io.Copy(here, there)
	_ = here.Close()
	done()
}

func TestDialRefusesContradictions(t *testing.T) {
	opts := byClient(t, nil)
	opts.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if _, _, err := Dial(t.Context(), "wss://x", opts); err == nil || !strings.Contains(err.Error(), "Transport") {
		t.Errorf("%v", err)
	}
}
