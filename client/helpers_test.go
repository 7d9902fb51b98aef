package client

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev"
	"hocket.dev/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a node that admits everybody and keeps 1,000 entries. It returns its WebSocket address.
func serve(t *testing.T, change func(*hocket.Config)) (*hocket.Server, string) {
	t.Helper()
	cfg := hocket.Config{
		Anonymous: true, Log: slog.New(slog.DiscardHandler), Drain: 10 * time.Millisecond,
		Fallback: hocket.Rule{History: hocket.History{Count: 1000, Age: time.Minute}},
		Broker:   broker.NewMemory(broker.MemoryConfig{Scatter: true}),
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := hocket.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close(context.Background())
		web.Close()
	})
	return srv, "ws" + strings.TrimPrefix(web.URL, "http") + "/v1/ws"
}

func dial(t *testing.T, url string, opts *Options) *Client {
	t.Helper()
	if opts == nil {
		opts = &Options{}
	}
	opts.MinDelay, opts.MaxDelay = time.Millisecond, 50*time.Millisecond
	c, err := Dial(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func subscribe(t *testing.T, c *Client, channel string, opts *SubscribeOptions) *Subscription {
	t.Helper()
	s, err := c.Subscribe(t.Context(), channel, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func publish(t *testing.T, c *Client, channel string, payload any) Position {
	t.Helper()
	at, err := c.Publish(t.Context(), channel, payload, nil)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// next returns the next message, which has to come within a minute.
func next(t *testing.T, s *Subscription) Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := s.Next(ctx)
	if err != nil {
		t.Fatalf("next message of %s: %v", s.Channel(), err)
	}
	return m
}

func wantPayload(t *testing.T, s *Subscription, want string) Message {
	t.Helper()
	m := next(t, s)
	if m.Kind != Entry || string(m.Payload) != want {
		t.Fatalf("have %v %s, want the entry %s", m.Kind, m.Payload, want)
	}
	return m
}

// A proxy passes TCP connections on, and can cut them.
type proxy struct {
	l net.Listener

	mu     sync.Mutex
	target string
	conns  []net.Conn
	dials  int
}

// startProxy listens before a WebSocket address. It returns the address to dial instead.
func startProxy(t *testing.T, url string) (*proxy, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l}
	p.aim(url)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.pass(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut()
		running.Wait()
	})
	return p, "ws://" + l.Addr().String() + "/v1/ws"
}

// dialCuttable connects through a proxy. lose cuts the line and waits until the client has noticed; there is no other line until
// the proxy is aimed again.
func dialCuttable(t *testing.T, url string, opts Options) (c *Client, line *proxy, lose func()) {
	t.Helper()
	line, through := startProxy(t, url)
	lost := make(chan error, 10)
	opts.OnConnection = func(err error) {
		if err != nil {
			lost <- err
		}
	}
	lose = func() {
		line.aim("ws://127.0.0.1:1/v1/ws") // where nothing listens
		line.cut()
		<-lost
	}
	return dial(t, through, &opts), line, lose
}

// aim makes new connections go to another WebSocket address.
func (p *proxy) aim(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/v1/ws")
}

func (p *proxy) pass(c net.Conn) {
	defer c.Close()
	p.mu.Lock()
	d, err := net.Dial("tcp", p.target)
	if err != nil {
		p.mu.Unlock()
		return
	}
	p.conns = append(p.conns, c, d)
	p.dials++
	p.mu.Unlock()
	defer d.Close()
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(c, d)
		c.Close()
	})
	io.Copy(d, c)
	d.Close()
	back.Wait()
}

// cut ends all connections as a lost line does: both sides learn it, and what is under way is gone.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	p.conns = nil
}

func (p *proxy) dialed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials
}
