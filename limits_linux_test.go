package hocket_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/internal/testproc"
)

// lines are what a log says.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) say(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), part)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// behind starts a server with its own listener, and counts the requests that come to net/http.
func behind(t *testing.T, cfg hocket.Config) (srv *hocket.Server, addr string, log *lines, requests *atomic.Int32) {
	t.Helper()
	log, requests = new(lines), new(atomic.Int32)
	cfg.Anonymous, cfg.Drain, cfg.Log = true, time.Millisecond, slog.New(slog.NewTextHandler(log, nil))
	srv, err := hocket.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := srv.Listener(tcp, nil)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		srv.ServeHTTP(w, r)
	})}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		srv.Close(context.Background())
		web.Close()
		<-served
	})
	return srv, tcp.Addr().String(), log, requests
}

// shake sends a handshake with something before it, and headers. It returns the answer.
func shake(t *testing.T, addr, before string, headers ...string) *http.Response {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	request := before + "GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, h := range headers {
		request += h + "\r\n"
	}
	if _, err := io.WriteString(nc, request+"\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatalf("%q %q: %v", before, headers, err)
	}
	return answer
}

// A server that is full says so at once, without net/http.
func TestAFullServerAnswersOnTheLoop(t *testing.T) {
	_, addr, _, requests := behind(t, hocket.Config{Limits: hocket.Limits{Sessions: 1}})
	if answer := shake(t, addr, ""); answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(answer.Status)
	}
	for range 3 {
		answer := shake(t, addr, "")
		body, err := io.ReadAll(answer.Body)
		if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") != "5" || err != nil ||
			string(body) != `{"error":{"code":1503,"name":"busy","reason":"busy","message":"there are 1 sessions on this server, as many as it takes: come back when Retry-After has passed"}}`+"\n" {
			t.Errorf("%s %v %s, %v", answer.Status, answer.Header, body, err)
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("net/http was asked %d times", n)
	}
}

// The client is whom a trusted proxy names, and nobody else: in the log, and for limits.
func TestTheClientBehindProxies(t *testing.T) {
	loopback := []string{"127.0.0.0/8"}
	one := hocket.Rate{Count: 1, Per: time.Hour}
	for name, test := range map[string]struct {
		cfg             hocket.Config
		before          string
		header          string
		client, another string
	}{
		"X-Forwarded-For": {
			cfg:    hocket.Config{TrustedProxies: loopback, ClientHeader: hocket.ClientHeaderXForwardedFor},
			header: "X-Forwarded-For: 203.0.113.7, %s", client: "192.0.2.1", another: "192.0.2.2",
		},
		"Forwarded": {
			cfg:    hocket.Config{TrustedProxies: loopback, ClientHeader: hocket.ClientHeaderForwarded},
			header: "Forwarded: for=203.0.113.7, for=%q", client: "[2001:db8:1::1]:80", another: "[2001:db8:2::1]:80",
		},
		"PROXY": {
			cfg:    hocket.Config{TrustedProxies: loopback, ProxyProtocol: true},
			before: "PROXY TCP4 %s 198.51.100.1 1234 443\r\n", header: "X-Forwarded-For: %s", client: "192.0.2.1", another: "192.0.2.2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.cfg.Limits.Rates.AddressHandshakes = one
			_, addr, log, _ := behind(t, test.cfg)
			as := func(client string) int {
				before, header := test.before, test.header
				if before != "" {
					before = fmt.Sprintf(before, client)
				}
				return shake(t, addr, before, fmt.Sprintf(header, client)).StatusCode
			}
			if got := as(test.client); got != http.StatusSwitchingProtocols {
				t.Fatalf("answered %d", got)
			}
			at := strings.TrimSuffix(strings.Trim(test.client, "[]"), "]:80")
			testproc.Until(t, "the log to name the client", func() bool { return log.say("address="+at) || log.say(`address="`+at) })
			if got := as(test.client); got != http.StatusTooManyRequests {
				t.Errorf("the same client again is answered %d", got)
			}
			if got := as(test.another); got != http.StatusSwitchingProtocols {
				t.Errorf("another client is answered %d", got)
			}
		})
	}
}

// A connection that is closed for want of the PROXY protocol is told of, once for many.
func TestALackOfTheProxyProtocolIsTold(t *testing.T) {
	_, addr, log, _ := behind(t, hocket.Config{TrustedProxies: []string{"127.0.0.0/8"}, ProxyProtocol: true})
	for range 3 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		io.WriteString(nc, "GET /v1/ws HTTP/1.1\r\n")
		if n, err := nc.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Error("it is answered")
		}
	}
	testproc.Until(t, "the log to tell of it", func() bool { return log.say("does not begin with a header of the PROXY protocol") })
	if n := log.count("no trusted proxy has named its client"); n != 1 {
		t.Errorf("it is told of %d times", n)
	}
}

// What one who is no trusted proxy writes into headers is nothing.
func TestHeadersOfStrangersAreNothing(t *testing.T) {
	for name, cfg := range map[string]hocket.Config{
		"of nobody":  {},
		"of others":  {TrustedProxies: []string{"192.0.2.0/24"}, ClientHeader: hocket.ClientHeaderXForwardedFor},
		"the header": {TrustedProxies: []string{"127.0.0.0/8"}, ClientHeader: hocket.ClientHeaderForwarded},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Limits.Rates.AddressHandshakes = hocket.Rate{Count: 1, Per: time.Hour}
			_, addr, log, _ := behind(t, cfg)
			for i, want := range []int{http.StatusSwitchingProtocols, http.StatusTooManyRequests} {
				client := fmt.Sprintf("198.51.100.%d", i+1)
				answer := shake(t, addr, "", "X-Forwarded-For: "+client, "X-Real-IP: "+client, "CF-Connecting-IP: "+client)
				if answer.StatusCode != want {
					t.Errorf("handshake %d is answered %s", i, answer.Status)
				}
			}
			testproc.Until(t, "the log to name the client", func() bool { return log.say("address=127.0.0.1:") })
			if log.say("is not believed") != (cfg.ClientHeader == hocket.ClientHeaderNone) {
				t.Error("the log tells of the header where it need not, or does not where it should")
			}
			if log.say("198.51.100.") {
				t.Error("the log says what a client has made up")
			}
		})
	}
}

func TestLimitsThatMakeNoSenseAreRefused(t *testing.T) {
	for want, cfg := range map[string]hocket.Config{
		`TrustedProxies: "proxy" is neither a network`:    {TrustedProxies: []string{"proxy"}},
		`ClientHeader: no proxy is trusted`:               {ClientHeader: hocket.ClientHeaderForwarded},
		`ProxyProtocol: no proxy is trusted`:              {ProxyProtocol: true},
		`Limits.Rates: User: publishes: -1/s holds`:       {Limits: hocket.Limits{Rates: hocket.Rates{User: hocket.Taking{Publishes: hocket.Rate{Count: -1, Per: time.Second}}}}},
		`channels: fallback rule: rate.total_bytes: 1/ms`: {Fallback: hocket.Rule{Rates: hocket.RuleRates{TotalBytes: hocket.Rate{Count: 1, Per: time.Millisecond, Burst: -1}}}},
	} {
		if srv, err := hocket.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
			if srv != nil {
				srv.Close(t.Context())
			}
		}
	}
}
