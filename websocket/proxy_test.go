package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// join copies between two connections until both ends are done.
func join(a, b net.Conn) {
	var copies sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		copies.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = way[0].Close(), way[1].Close()
		})
	}
	copies.Wait()
}

// connectProxy is an HTTP proxy that knows ada with the password secret, and leads
// everywhere to where the address says, or to "" names to target.
func connectProxy(t *testing.T, secured bool, target string) (*httptest.Server, func() string) {
	t.Helper()
	asked := make(chan string, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.RequestURI + " " + r.Host
		if r.Header.Get("Proxy-Authorization") != "Basic YWRhOnNlY3JldA==" {
			http.Error(w, "who are you", http.StatusProxyAuthRequired)
			return
		}
		to, err := net.Dial("tcp", target)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
		join(nc, to)
	}))
	if secured {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, func() string { return <-asked }
}

// §4.1: by CONNECT.
func TestDialByHTTPProxy(t *testing.T) {
	target, _ := url.Parse(serve(t, nil, echo))
	for _, secured := range []bool{false, true} {
		proxy, asked := connectProxy(t, secured, target.Host)
		u, _ := url.Parse(proxy.URL)
		u.User = url.UserPassword("ada", "secret")
		opts := &DialOptions{Proxy: http.ProxyURL(u)}
		if secured {
			roots := x509.NewCertPool()
			roots.AddCert(proxy.Certificate())
			opts.TLS = &tls.Config{RootCAs: roots}
		}
		c := dial(t, "ws://nowhere.invalid/x", opts)
		if got, want := asked(), "CONNECT nowhere.invalid:80 nowhere.invalid:80"; got != want {
			t.Errorf("the proxy was asked %q, want %q", got, want)
		}
		c.say(t, Text, "through")
		c.want(t, Text, "through")
		_ = c.CloseNow()

		u.User = nil
		_, _, err := Dial(t.Context(), "ws://nowhere.invalid/x", opts)
		var refused *HandshakeError
		if !errors.As(err, &refused) || refused.Response.StatusCode != 407 {
			t.Fatalf("%v, want the proxy's response", err)
		}
		if body, _ := io.ReadAll(refused.Response.Body); string(body) != "who are you\n" || !strings.Contains(err.Error(), "407") {
			t.Errorf("body %q of %v", body, err)
		}
		asked()
	}
}

// wss by a proxy is TLS inside the tunnel.
func TestDialSecuredByProxy(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Accept(w, r, nil); err == nil {
			echo(r.Context(), c)
			_ = c.CloseNow()
		}
	}))
	defer s.Close()
	proxy, _ := connectProxy(t, false, s.Listener.Addr().String())
	u, _ := url.Parse(proxy.URL)
	u.User = url.UserPassword("ada", "secret")
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c := dial(t, "wss://example.com/", &DialOptions{Proxy: http.ProxyURL(u), TLS: &tls.Config{RootCAs: roots}})
	c.say(t, Text, "through")
	c.want(t, Text, "through")
	_ = c.CloseNow()
}

// scripted is a server of one connection that follows a script: it reads exactly what is
// expected and answers.
func scripted(t *testing.T, script ...string) (address string, then func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := run(func() net.Conn {
		nc, err := l.Accept()
		if err != nil {
			return nil
		}
		t.Cleanup(func() { _ = nc.Close() })
		for i := 0; i < len(script); i += 2 {
			got := make([]byte, len(script[i]))
			if _, err := io.ReadFull(nc, got); err != nil || string(got) != script[i] {
				t.Errorf("step %d: %q, %v; want %q", i/2, got, err, script[i])
			}
			_, _ = io.WriteString(nc, script[i+1])
		}
		return nc
	})
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String(), done
}

// RFC 1928 and RFC 1929, byte by byte. §4.1: by SOCKS 5.
func TestDialBySOCKS(t *testing.T) {
	target, _ := url.Parse(serve(t, nil, echo))
	port := func(n uint16) string { return string(binary.BigEndian.AppendUint16(nil, n)) }
	tests := []struct{ name, user, url, hello, method, login, answer, request, reply string }{
		{"a name, no user", "", "ws://nowhere.invalid/", "\x05\x01\x00", "\x05\x00", "", "", "\x05\x01\x00\x03\x0fnowhere.invalid" + port(80), "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"},
		{"an address, a user that is not asked", "ada:secret@", "ws://192.0.2.1:8080/", "\x05\x02\x00\x02", "\x05\x00", "", "", "\x05\x01\x00\x01\xc0\x00\x02\x01" + port(8080), "\x05\x00\x00\x03\x05proxy\x01\x02"},
		{"IPv6, a user that is asked", "ada:secret@", "ws://[2001:db8::1]/", "\x05\x02\x00\x02", "\x05\x02", "\x01\x03ada\x06secret", "\x01\x00", "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + port(80), "\x05\x00\x00\x04" + strings.Repeat("\x00", 18)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			script := []string{tt.hello, tt.method}
			if tt.login != "" {
				script = append(script, tt.login, tt.answer)
			}
			address, proxied := scripted(t, append(script, tt.request, tt.reply)...)
			joined := run(func() error {
				nc := proxied()
				to, err := net.Dial("tcp", target.Host)
				if err == nil {
					join(nc, to)
				}
				return err
			})
			u, _ := url.Parse("socks5://" + tt.user + address)
			c := dial(t, tt.url, &DialOptions{Proxy: http.ProxyURL(u)})
			c.say(t, Text, "through")
			c.want(t, Text, "through")
			_ = c.CloseNow()
			if err := joined(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestProxiesThatFail(t *testing.T) {
	const hello, request = "\x05\x01\x00", "\x05\x01\x00\x03\x01x\x00\x50"
	tests := []struct {
		name, scheme string
		script       []string
		says         string
	}{
		{"another version", "socks5h://", []string{hello, "\x04\x00"}, "version 4"},
		{"no way to log in", "socks5://", []string{hello, "\x05\xff"}, "log in"},
		{"a login nobody offered", "socks5://", []string{hello, "\x05\x02"}, "log in"},
		{"refused", "socks5://", []string{hello, "\x05\x00", request, "\x05\x05\x00\x01"}, "connection refused"},
		{"a reply without a name", "socks5://", []string{hello, "\x05\x00", request, "\x05\x63\x00\x01"}, "reply 99"},
		{"an odd address", "socks5://", []string{hello, "\x05\x00", request, "\x05\x00\x00\x09"}, "kind 9"},
		{"a wrong password", "socks5://a:b@", []string{"\x05\x02\x00\x02", "\x05\x02", "\x01\x01a\x01b", "\x01\x01"}, "password"},
		{"a tunnel that speaks first", "http://", []string{"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nhello"}, "before any were sent"},
		{"no HTTP", "http://", []string{"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", "SSH-2.0\r\n\r\n"}, "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address, proxied := scripted(t, tt.script...)
			u, _ := url.Parse(tt.scheme + address)
			_, _, err := Dial(t.Context(), "ws://x/", &DialOptions{Proxy: http.ProxyURL(u)})
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "a:b@") {
				t.Errorf("error %v, want one that says %q and no password", err, tt.says)
			}
			_ = proxied()
		})
	}
	for _, proxy := range []string{"ftp://x", "socks4://x"} {
		u, _ := url.Parse(proxy)
		if _, _, err := Dial(t.Context(), "ws://x/", &DialOptions{Proxy: http.ProxyURL(u)}); err == nil || !strings.Contains(err.Error(), "scheme") {
			t.Errorf("%s: %v", proxy, err)
		}
	}
	none := func(*http.Request) (*url.URL, error) { return nil, errors.New("no idea") }
	if _, _, err := Dial(t.Context(), "ws://x/", &DialOptions{Proxy: none}); err == nil || !strings.Contains(err.Error(), "no idea") {
		t.Errorf("%v", err)
	}
	long := &DialOptions{Proxy: http.ProxyURL(&url.URL{Scheme: "socks5", Host: "proxy"}), NetDial: func(context.Context, string, string) (net.Conn, error) {
		a, _ := net.Pipe()
		return a, nil
	}}
	if _, _, err := Dial(t.Context(), "ws://"+strings.Repeat("x", 256)+"/", long); err == nil || !strings.Contains(err.Error(), "255") {
		t.Errorf("a name of 256 bytes: %v", err)
	}
}

// The proxy is chosen by what an HTTP client would be asked for.
func TestProxyIsAskedForHTTP(t *testing.T) {
	for in, want := range map[string]string{"ws://u:p@h/x?y": "http://h/x?y", "wss://h:1/": "https://h:1/", "https://h/": "https://h/"} {
		var got string
		choose := func(r *http.Request) (*url.URL, error) {
			got = r.URL.String()
			return nil, errors.New("enough")
		}
		_, _, _ = Dial(t.Context(), in, &DialOptions{Proxy: choose})
		if got != want {
			t.Errorf("%s: asked for %s, want %s", in, got, want)
		}
	}
}

func TestRedirects(t *testing.T) {
	target, _ := url.Parse(serve(t, nil, func(ctx context.Context, c *Conn) { _ = c.Write(ctx, Text, []byte("here")) }))
	type seen struct{ path, cookie, authorization string }
	requests := make(chan seen, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- seen{r.URL.Path, r.Header.Get("Cookie"), r.Header.Get("Authorization")}
		to := map[string]string{"/again": "/there", "/there": "http://" + target.Host + "/", "/loop": "/loop", "/odd": "ftp://x/"}[r.URL.Path]
		if to != "" {
			w.Header().Set("Location", to)
		}
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	base := "ws" + strings.TrimPrefix(s.URL, "http")
	opts := &DialOptions{MaxRedirects: 2, Header: http.Header{"Cookie": {"a=1"}}}
	c := dial(t, strings.Replace(base, "://", "://ada:pw@", 1)+"/again", opts)
	c.want(t, Text, "here")
	const auth = "Basic YWRhOnB3"
	if a, b := <-requests, <-requests; a != (seen{"/again", "a=1", auth}) || b != (seen{"/there", "a=1", auth}) {
		t.Errorf("requests %+v, %+v", a, b)
	}
	tests := []struct {
		path string
		most int
		says string
	}{
		{"/again", 0, "status 307"}, {"/again", 1, "status 307"}, {"/loop", 3, "status 307"}, {"/nowhere", 3, "without a Location"}, {"/odd", 3, "scheme"},
	}
	for _, tt := range tests {
		_, response, err := Dial(t.Context(), base+tt.path, &DialOptions{MaxRedirects: tt.most})
		var refused *HandshakeError
		if !errors.As(err, &refused) || refused.Response != response || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s, %d allowed: %v, want one that says %q", tt.path, tt.most, err, tt.says)
		}
	}
}

// To another host go neither cookies nor passwords; from wss to ws goes nothing.
func TestRedirectsKeepSecrets(t *testing.T) {
	from, err := parseTarget("wss://ada:pw@a.example/x")
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Cookie": {"a=1"}, "Authorization": {"x"}, "X-Other": {"y"}}
	follow := func(location string) (target, http.Header, error) {
		return from.follow(&http.Response{Header: http.Header{"Location": {location}}}, header)
	}
	if _, _, err := follow("http://a.example/"); err == nil || !strings.Contains(err.Error(), "not secured") {
		t.Errorf("from wss to http: %v", err)
	}
	if _, _, err := follow("http://a.example:443/"); err == nil {
		t.Error("from wss to http on the same port")
	}
	to, allowed, err := follow("https://b.example/")
	if err != nil || fmt.Sprint(allowed) != "map[X-Other:[y]]" || to.url.User != nil || len(header) != 3 {
		t.Errorf("to another host: %v, %v, %v", to.url, allowed, err)
	}
	to, allowed, err = follow("/y")
	if err != nil || len(allowed) != 3 || to.url.User.String() != "ada:pw" || to.url.Path != "/y" {
		t.Errorf("on the same host: %v, %v, %v", to.url, allowed, err)
	}
}

// A server that refuses is in the error.
func TestHandshakeError(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "come back later", http.StatusServiceUnavailable)
	}))
	defer s.Close()
	_, response, err := Dial(t.Context(), s.URL, nil)
	var refused *HandshakeError
	if !errors.As(err, &refused) || refused.Response != response || response.StatusCode != 503 {
		t.Fatalf("%v, %v", response, err)
	}
	if line, _ := bufio.NewReader(response.Body).ReadString('\n'); line != "come back later\n" {
		t.Errorf("body %q", line)
	}
	if _, response, err = Dial(t.Context(), "ws://127.0.0.1:1/", nil); response != nil || errors.As(err, &refused) {
		t.Errorf("nobody there: %v, %v", response, err)
	}
}
