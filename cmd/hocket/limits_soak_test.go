//go:build soak

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"hocket.dev/websocket"
)

// Ten thousand connections that are half open, of eight addresses, keep nobody out, and most of them are closed.
func TestSoakHalfOpenHandshakes(t *testing.T) {
	cmd := command("serve", "--listen", "127.0.0.1:0", "--config", write(t, "anonymous: true\n"))
	cmd.Env = append(cmd.Env, "GOMAXPROCS=2") // one loop
	n := start(t, cmd)
	var open []net.Conn
	defer func() {
		for _, nc := range open {
			nc.Close()
		}
	}()
	for i := range 10_000 {
		nc := dialAs(t, fmt.Sprintf("127.0.0.%d", 2+i%8), n.http)
		open = append(open, nc)
		io.WriteString(nc, "GET /v1/ws HTTP/1.1\r\nHost: a\r\n")
		if i%100 == 0 {
			c := connect(t, n)
			c.want(`{"type":"connected"`)
			c.conn.CloseNow()
		}
	}
	closed := 0
	for _, nc := range open {
		nc.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			closed++
		}
	}
	if closed < 10_000-4096 {
		t.Errorf("%d of them are closed", closed)
	}
}

// A thousand clients of one address that flood are closed or not let in, and one of another address is served.
func TestSoakFloodOfAThousandSessions(t *testing.T) {
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--config", write(t, "anonymous: true\nfallback: {history: {count: 10}}\n")))
	honest := connect(t, n)
	honest.want(`{"type":"connected"`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
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
				err = c.Write(ctx, websocket.Text, []byte(`{"type":"publish","channel":"room","payload":"spam"}`))
			}
			c.CloseNow()
		})
		flooding.Go(func() {
			for err := error(nil); err == nil; {
				_, _, err = c.Read(ctx)
			}
			c.CloseNow()
		})
	}
	for i := range 100 {
		honest.send(fmt.Sprintf(`{"type":"publish","id":%d,"channel":"room","payload":"ham"}`, i))
		honest.want(fmt.Sprintf(`{"type":"reply","id":%d,`, i))
	}
	if flooding.Wait(); ctx.Err() != nil {
		t.Error("not every one of them is closed")
	}
}

// A body that never comes to its end takes the connection with it, also where nobody has wanted to read it.
func TestSoakEndlessBodies(t *testing.T) {
	n := startGuarded(t, "")
	for _, head := range []string{"", "Authorization: Bearer " + attackKey + "\r\n"} {
		nc := dialAs(t, "127.0.0.1", n.http)
		defer nc.Close()
		nc.SetReadDeadline(time.Now().Add(2 * time.Minute))
		io.WriteString(nc, "POST /api/v1/publish HTTP/1.1\r\nHost: a\r\n"+head+"Content-Length: 1000\r\n\r\n{")
		if _, err := io.Copy(io.Discard, nc); err != nil {
			t.Error(err)
		}
	}
}
