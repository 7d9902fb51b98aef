package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// One who sends as fast as it can, is closed with 4003; when it comes back and goes on it is closed with 4202, and then it is
// shut out, all with the default settings. Who is there already at the same address stays.
func TestAFloodOfOneSession(t *testing.T) {
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--config", write(t, "anonymous: true\nfallback: {history: {count: 10000}}\n")))
	honest := connect(t, n)
	honest.want(`{"type":"connected"`)
	honest.send(`{"type":"subscribe","id":1,"channel":"room"}`)
	honest.want(`{"type":"reply"`)
	for _, want := range []websocket.CloseCode{4003, 4202} {
		c := connect(t, n)
		c.want(`{"type":"connected"`)
		flooding := make(chan struct{})
		go func() {
			defer close(flooding)
			for err := error(nil); err == nil; {
				err = c.conn.Write(c.ctx, websocket.Text, []byte(`{"type":"publish","id":1,"channel":"room","payload":"spam"}`))
			}
		}()
		if code := c.closed(); code != want {
			t.Fatalf("the flood ends with %d, want %d", code, want)
		}
		c.conn.CloseNow()
		<-flooding
	}
	c := connect(t, n)
	c.want(`{"type":"error","error":{"code":1431,"name":"banned"`)
	if code := c.closed(); code != 4202 {
		t.Errorf("who is shut out is closed with %d", code)
	}
	honest.send(`{"type":"publish","id":2,"channel":"room","payload":"ham"}`)
	spam := 0
	for m := ""; !strings.Contains(m, `"ham"`); spam++ {
		m = honest.want(`{"type":"message"`)
	}
	if spam > 2*500+100 { // the burst of each, and what the time brought
		t.Errorf("%d of the flood came through", spam)
	}
}

// dialAs connects from an address of this machine.
func dialAs(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	nc, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

// Connections that begin a handshake and say no more, by the thousands, keep nobody out, not even one who began before them and
// is slow.
func TestHandshakesThatAreHalfOpen(t *testing.T) {
	cmd := command("serve", "--listen", "127.0.0.1:0", "--config", write(t, "anonymous: true\n"))
	cmd.Env = append(cmd.Env, "GOMAXPROCS=2") // one loop, which has places for 4,096
	n := start(t, cmd)
	const half = "GET /v1/ws HTTP/1.1\r\nHost: a\r\n"
	slow := dialAs(t, "127.0.0.1", n.http)
	defer slow.Close()
	io.WriteString(slow, half)
	var open []net.Conn
	defer func() {
		for _, nc := range open {
			nc.Close()
		}
	}()
	for range 4200 {
		nc := dialAs(t, "127.0.0.2", n.http)
		open = append(open, nc)
		io.WriteString(nc, half)
	}
	c := connect(t, n)
	c.want(`{"type":"connected"`)
	io.WriteString(slow, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	answer := make([]byte, len("HTTP/1.1 101"))
	if _, err := io.ReadFull(slow, answer); err != nil || string(answer) != "HTTP/1.1 101" {
		t.Errorf("who was slow is answered %q, %v", answer, err)
	}
}

// A flood of handshakes of one address is refused, and those of others are not.
func TestAFloodOfHandshakes(t *testing.T) {
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--config",
		write(t, "anonymous: true\nlimits: {sessions_per_address: 5, rates: {address: {handshakes: 1/h burst 20}}}\n")))
	counts := map[string]int{}
	for range 30 {
		c, response, err := websocket.Dial(t.Context(), n.ws(), &websocket.DialOptions{NetDial: func(context.Context, string, string) (net.Conn, error) {
			return dialAs(t, "127.0.0.2", n.http), nil
		}})
		if err != nil {
			if response == nil || response.Header.Get("Retry-After") == "" {
				t.Fatalf("%v, %v", response, err)
			}
			counts[response.Status]++
			continue
		}
		defer c.CloseNow()
		_, m, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		counts[strings.SplitN(string(m), `,`, 2)[0]]++
		if strings.Contains(string(m), "limit_reached") {
			var closed *websocket.CloseError
			if _, _, err := c.Read(t.Context()); !errors.As(err, &closed) || closed.Code != 4006 {
				t.Errorf("closed with %v", err)
			}
		}
	}
	if fmt.Sprint(counts) != `map[429 Too Many Requests:10 {"type":"connected":5 {"type":"error":15]` {
		t.Errorf("they are answered %v", counts)
	}
	connect(t, n).want(`{"type":"connected"`)
}

// The client that a real HAProxy names by the PROXY protocol is the client, in clear and before TLS.
func TestTheClientThatHAProxyNames(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			args := []string{"serve", "--listen", "127.0.0.1:0", "--config",
				write(t, "anonymous: true\ntrusted_proxies: [127.0.0.1]\nproxy_protocol: true\norigins: [\"*\"]\n")}
			scheme := "ws"
			if secure {
				files := newPEMFiles(t)
				args = append(args, "--tls-cert", files.cert, "--tls-key", files.key)
				scheme = "wss"
			}
			n := start(t, command(args...))
			p := testproc.HAProxyNaming(t, "../../docs/proxies.md", n.http, "192.0.2.44")
			c, _, err := websocket.Dial(t.Context(), scheme+"://site.test/v1/ws", &websocket.DialOptions{
				NetDial: p.Dial, TLS: &tls.Config{InsecureSkipVerify: true}, Header: http.Header{"X-Forwarded-For": {"203.0.113.9"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			if _, m, err := c.Read(t.Context()); err != nil || !strings.Contains(string(m), `"type":"connected"`) {
				t.Errorf("%s, %v", m, err)
			}
			testproc.Until(t, "the log to name the client", func() bool { return strings.Contains(n.Output(), "address=192.0.2.44:") })
			// Who goes past the proxy is not answered.
			nc, err := net.DialTimeout("tcp", n.http, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			io.WriteString(nc, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
			if b, err := io.ReadAll(nc); len(b) > 0 {
				t.Errorf("without the proxy: %q, %v", b, err)
			}
			stranger := dialAs(t, "127.0.0.2", n.http)
			defer stranger.Close()
			io.WriteString(stranger, "PROXY TCP4 192.0.2.44 127.0.0.1 1 2\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
			if b, err := io.ReadAll(stranger); len(b) > 0 {
				t.Errorf("a proxy that is not trusted: %q, %v", b, err)
			}
		})
	}
}

// Two who are granted the same channel in different measure, by a token and by a ticket, against the program that is shipped.
func TestLimitsOfCapabilities(t *testing.T) {
	n := startGuarded(t, "channels: [{pattern: 'chat:*', history: {count: 100}}]")
	few, many := `"chat:a":["publish","publishes 2/h"]`, `{"capabilities":{"chat:a":["publish","publishes 20/h"]}}`
	ada := knock(t, n, "", bearer(sign(`"sub":"ada","capabilities":{`+few+`}`)), "127.0.0.1")
	bot := knock(t, n, "?ticket="+ticketFor(t, n, many), nil, "127.0.0.1")
	send := func(c *conversation, id int) string {
		return c.request(id, `{"type":"publish","channel":"chat:a","payload":1}`)
	}
	for i := range 20 {
		if told := send(bot, i); !strings.HasPrefix(told, `{"type":"reply"`) {
			t.Fatalf("%d of the bot: %s", i, told)
		}
		if told := send(ada, i); strings.HasPrefix(told, `{"type":"reply"`) != (i < 2) || i >= 2 && !strings.Contains(told, `"code":1429,"name":"rate_limited","message":"too many publishes under a capability`) {
			t.Fatalf("%d of ada: %s", i, told)
		}
	}
	if told := ada.request(100, `{"type":"connect","payload":{"token":"`+sign(`"sub":"ada","capabilities":{`+few+`,"other":["publish"]}`)+`"}}`); !strings.HasPrefix(told, `{"type":"reply"`) {
		t.Errorf("renewed: %s", told)
	}
	if told := send(ada, 101); !strings.Contains(told, `"code":1429`) {
		t.Errorf("a renewed token refills: %s", told)
	}

	bad := sign(`"sub":"eve","capabilities":{"chat:*":["publish","publishes often"]}`)
	c := knock(t, n, "", bearer(bad), "127.0.0.1")
	if told, code := c.first(); !strings.Contains(told, `"code":1401,"name":"unauthenticated","message":"capability \"chat:*\": \"publishes often\" is no limit`) || code != 4200 {
		t.Errorf("a limit that is none: %s, %d", told, code)
	}
	if strings.Contains(n.Output(), bad) {
		t.Error("the log holds a token")
	}
	_, metrics := get(t, n, "/metrics", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+attackKey) })
	if !strings.Contains(metrics, `hocket_limited_total{limit="publishes",of="capability"} 19`+"\n") || strings.Contains(metrics, "chat:a") {
		t.Errorf("it is not counted, or by names that tokens bring:\n%s", metrics)
	}
}
