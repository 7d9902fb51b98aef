//go:build soak

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"hocket.dev/websocket"
)

// Ten thousand connections that are half open, of four addresses, keep nobody out.
func TestSoakHalfOpenHandshakes(t *testing.T) {
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--config", write(t, "anonymous: true\n")))
	var open []net.Conn
	defer func() {
		for _, nc := range open {
			nc.Close()
		}
	}()
	for i := range 10_000 {
		nc := dialAs(t, fmt.Sprintf("127.0.0.%d", 2+i%4), n.http)
		open = append(open, nc)
		io.WriteString(nc, "GET /v1/ws HTTP/1.1\r\nHost: a\r\n")
		if i%100 == 0 {
			c := connect(t, n)
			c.want(`{"type":"connected"`)
			c.conn.CloseNow()
		}
	}
}

// A thousand clients of one address that flood are closed or not let in, and one of another address is served.
func TestSoakFloodOfAThousandSessions(t *testing.T) {
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--config", write(t, "anonymous: true\nfallback: {history: {count: 10}}\n")))
	honest := connect(t, n)
	honest.want(`{"type":"connected"`)
	var flooding sync.WaitGroup
	for range 1000 {
		c, _, err := websocket.Dial(t.Context(), n.ws(), &websocket.DialOptions{NetDial: func(context.Context, string, string) (net.Conn, error) {
			return dialAs(t, "127.0.0.2", n.http), nil
		}})
		if err != nil {
			continue // the first ones have had the address shut out
		}
		flooding.Go(func() {
			for err := error(nil); err == nil; {
				err = c.Write(t.Context(), websocket.Text, []byte(`{"type":"publish","channel":"room","payload":"spam"}`))
			}
			c.CloseNow()
		})
		flooding.Go(func() {
			for err := error(nil); err == nil; {
				_, _, err = c.Read(t.Context())
			}
			c.CloseNow()
		})
	}
	for i := range 100 {
		honest.send(fmt.Sprintf(`{"type":"publish","id":%d,"channel":"room","payload":"ham"}`, i))
		honest.want(fmt.Sprintf(`{"type":"reply","id":%d,`, i))
	}
	flooding.Wait() // every one of them is closed
}

// A body that never comes to its end takes the connection with it, also where nobody has wanted to read it.
func TestSoakEndlessBodies(t *testing.T) {
	n := startGuarded(t, "")
	for _, head := range []string{"", "Authorization: Bearer " + attackKey + "\r\n"} {
		nc := dialAs(t, "127.0.0.1", n.http)
		defer nc.Close()
		io.WriteString(nc, "POST /api/v1/publish HTTP/1.1\r\nHost: a\r\n"+head+"Content-Length: 1000\r\n\r\n{")
		if _, err := io.Copy(io.Discard, nc); err != nil {
			t.Error(err)
		}
	}
}
