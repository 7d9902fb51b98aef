package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hocket.dev/client"
	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// Behind the proxies of docs/proxies.md clients talk, recover what they missed while the proxy was down, and pages of
// the site are told from others.
func TestBehindProxies(t *testing.T) {
	for name, startProxy := range testproc.DocumentedProxies {
		t.Run(name, func(t *testing.T) {
			n := start(t, command("serve", "--config", write(t, "listen: 127.0.0.1:0\nanonymous: true\napi_keys: [key]\n")))
			p := startProxy(t, "../../docs/proxies.md", n.http, 60)

			lost := make(chan error, 100)
			ada, room := visit(t, "ws://site.test/v1/ws", client.Options{NetDial: p.Dial, OnConnection: func(err error) {
				if err != nil {
					lost <- err
				}
			}})
			bo, other := visit(t, n.ws(), client.Options{})
			say(t, ada, "from Ada")
			hear(t, room, "from Ada")
			hear(t, other, "from Ada")

			p.Kill(t)
			<-lost
			for i := range 20 {
				say(t, bo, fmt.Sprint("missed ", i))
			}
			p.Start(t)
			for i := range 20 {
				hear(t, room, fmt.Sprint("missed ", i))
			}
			say(t, ada, "back again")
			hear(t, other, append(missed(20), "back again")...)

			callThroughProxy(t, p)
			dialFrom(t, p, "http://site.test", http.StatusSwitchingProtocols)
			dialFrom(t, p, "http://elsewhere.test", http.StatusForbidden)
		})
	}
}

func missed(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint("missed ", i))
	}
	return all
}

func visit(t *testing.T, url string, opts client.Options) (*client.Client, *client.Subscription) {
	t.Helper()
	opts.MinDelay, opts.MaxDelay = time.Millisecond, 50*time.Millisecond
	c, err := client.Dial(t.Context(), url, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := c.Subscribe(t.Context(), "chat:lobby", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func say(t *testing.T, c *client.Client, text string) {
	t.Helper()
	if _, err := c.Publish(t.Context(), "chat:lobby", text, nil); err != nil {
		t.Fatal(err)
	}
}

// hear wants these messages next, with nothing left out between.
func hear(t *testing.T, s *client.Subscription, texts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, text := range texts {
		m, err := s.Next(ctx)
		if err != nil || m.Kind != client.Entry || string(m.Payload) != fmt.Sprintf("%q", text) {
			t.Fatalf("heard %v %s, %v; want %q", m.Kind, m.Payload, err, text)
		}
	}
}

// callThroughProxy has a back end publish through the proxy.
func callThroughProxy(t *testing.T, p *testproc.Proxy) {
	t.Helper()
	transport := &http.Transport{DialContext: p.Dial}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://site.test/api/v1/publish", strings.NewReader(`{"channel":"chat:lobby","payload":1}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer key")
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the API answers %s", response.Status)
	}
}

// dialFrom wants a page of this origin to be answered so.
func dialFrom(t *testing.T, p *testproc.Proxy, origin string, status int) {
	t.Helper()
	c, response, err := websocket.Dial(t.Context(), "ws://site.test/v1/ws", &websocket.DialOptions{NetDial: p.Dial, Header: http.Header{"Origin": {origin}}})
	if response == nil || response.StatusCode != status {
		t.Errorf("a page of %s: %v, want the status %d", origin, err, status)
	}
	if c != nil {
		_ = c.CloseNow()
	}
}
