package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// What is small on the wire and large in memory, or quick to send and slow to read, costs who sends it its own message.
func TestAttackOnMemory(t *testing.T) {
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--config", write(t, "anonymous: true\ncompression: true\n")))
	conn, _, err := websocket.Dial(t.Context(), n.ws(), &websocket.DialOptions{Compression: websocket.Compression{Mode: websocket.CompressionOn}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := &conversation{t, conn, ctx}
	defer conn.CloseNow()
	c.want(`{"type":"connected"`)
	members := make([]string, 5000)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%d":0`, i)
	}
	for what, test := range map[string]struct{ payload, want string }{
		"nesting":            {strings.Repeat("[", 30000) + strings.Repeat("]", 30000), "invalid_message"},
		"objects in objects": {strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), "invalid_message"},
		"a huge name":        {`{"` + strings.Repeat("a", 60000) + `":1}`, "invalid_message"},
		"a huge number":      {strings.Repeat("9", 60000), "invalid_message"},
		"a huge exponent":    {"1e" + strings.Repeat("9", 1000), "epoch"},
		"many members":       {"{" + strings.Join(members, ",") + "}", "epoch"},
		"many requests":      {"0}" + strings.Repeat(`{"type":"ping"}`, 1000), "invalid_json"},
	} {
		c.send(`{"type":"publish","id":1,"channel":"room","payload":` + test.payload + `}`)
		msg := c.want(`{`)
		if !strings.Contains(msg, `"`+test.want+`"`) || len(msg) > 1000 {
			t.Errorf("%s: %.300s", what, msg)
		}
		c.send(`{"type":"ping","id":2}`)
		c.want(`{"type":"pong","id":2}`)
	}
	c.send(`{"type":"publish","id":1,"channel":"room","payload":"` + strings.Repeat("a", 4<<20) + `"}`) // 4 KiB on the wire
	if code := c.closed(); code != websocket.CloseTooBig {
		t.Errorf("what grows a thousandfold is closed with %d", code)
	}
	connect(t, n).want(`{"type":"connected"`)
}

// A header that anybody can send changes nobody's address: not the one that limits count, nor the one in the log.
func TestAttackByForgedAddresses(t *testing.T) {
	for _, believed := range []string{"", "\ntrusted_proxies: [192.0.2.1]\nclient_header: x_forwarded_for", "\ntrusted_proxies: [192.0.2.1]\nclient_header: forwarded"} {
		forgeAddresses(t, startGuarded(t, "anonymous: true\nlimits: {rates: {address: {handshakes: 1/h burst 3}}}"+believed))
	}
}

func forgeAddresses(t *testing.T, n *node) {
	t.Helper()
	counts := map[int]int{}
	for i := range 6 {
		header := http.Header{}
		for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Cf-Connecting-Ip", "True-Client-Ip", "X-Client-Ip"} {
			header.Set(name, fmt.Sprintf("203.0.113.%d", i))
		}
		header.Set("Forwarded", fmt.Sprintf("for=203.0.113.%d;proto=https;host=evil.example", i))
		c, response, err := websocket.Dial(t.Context(), n.ws(), &websocket.DialOptions{Header: header})
		if response == nil {
			t.Fatal(err)
		}
		counts[response.StatusCode]++
		if err == nil {
			_, _, _ = c.Read(t.Context())
			c.CloseNow()
		}
	}
	if fmt.Sprint(counts) != "map[101:3 429:3]" {
		t.Errorf("answered %v", counts)
	}
	// PROXY is no HTTP: who is not trusted to speak it is not understood.
	if status, _ := speak(t, n, "PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\nGET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); status != 400 && status != 0 {
		t.Errorf("PROXY: %d", status)
	}
	if out := n.Output(); strings.Contains(out, "203.0.113") || !strings.Contains(out, "address=127.0.0.1:") {
		t.Errorf("the log tells another address:\n%s", out)
	}
}

// Nobody writes a line of the log but the server, nor moves the cursor of the terminal that shows it.
func TestAttackOnTheLog(t *testing.T) {
	const evil = "x\\n2026-01-01 level=ERROR msg=forged\\r\\u001b[2J\\u0007\\u009b\\u2028\\u202e\\\" y=z"
	for _, format := range []string{"text", "json"} {
		n := start(t, command("serve", "--listen", "127.0.0.1:0", "--log", format, "--config", write(t, `
anonymous: true
tokens: {keys: [{secret: "`+attackSecret+`"}]}
`)))
		for _, query := range []string{"?user=x%0amsg=forged%1b[2J", "?channel=x%0amsg=forged", "?client=x%0amsg=forged%1b[2J", "?%0amsg=forged%1b[2J=1"} {
			if c, _, err := websocket.Dial(t.Context(), n.ws()+query, nil); err == nil {
				_, _, _ = c.Read(t.Context())
				c.CloseNow()
			}
		}
		for _, claims := range []string{`"sub":"` + evil + `"`, `"sub":"x\u2028\u202e y=z"`, `"sub":"ada","jti":"` + evil + `"`} {
			c := knock(t, n, "", bearer(sign(claims)), "127.0.0.1")
			c.first()
			c.conn.CloseNow()
		}
		c := connect(t, n)
		c.send(`{"type":"connect","id":1,"payload":{"user":"` + evil + `","client":"` + evil + `"}}`)
		c.send(`{"type":"` + evil + `","id":2,"channel":"` + evil + `","method":"` + evil + `"}`)
		c.want(`{"type":"error","id":2`)
		c.conn.Close(4999, "bye\nmsg=forged\x1b[2J\x7f\u009b\u202e\U000e0001")
		get(t, n, "/%0amsg=forged%1b[2J", func(r *http.Request) { r.Header.Set("Origin", "http://a\u202e") })
		n.Signal(sigterm)
		n.ExitCode(t)
		for _, line := range bytes.Split([]byte(n.Output()), []byte("\n")) {
			if bytes.HasPrefix(line, []byte("msg=forged")) || bytes.HasPrefix(line, []byte("2026-01-01 ")) || bytes.ContainsAny(line, "\x1b\x07\r\x7f\u009b\u2028\u202e\U000e0001") {
				t.Errorf("%s: a line is forged: %q", format, line)
			}
			if format == "json" && len(line) > 0 && line[0] == '{' && !json.Valid(line) {
				t.Errorf("a line is no JSON: %q", line)
			}
		}
	}
}

// Who sends without end is slowed and closed, while one of another address is answered as ever.
func TestAttackByAFlood(t *testing.T) {
	n := startGuarded(t, "channels: [{pattern: 'chat:*', allow: ['*']}]")
	honest := knock(t, n, "", bearer(sign(`"sub":"bo"`)), "127.0.0.2")
	honest.want(`{"type":"connected"`)
	flooder := knock(t, n, "", bearer(sign(`"sub":"ada"`)), "127.0.0.1")
	flooder.want(`{"type":"connected"`)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for err := error(nil); err == nil; {
			err = flooder.conn.Write(flooder.ctx, websocket.Text, []byte(`{"type":"subscribe","channel":"chat:secret:there"}`))
		}
	}()
	for i := range 20 {
		if msg := honest.request(i, `{"type":"publish","channel":"chat:a","payload":1}`); !strings.HasPrefix(msg, `{"type":"reply"`) {
			t.Errorf("meanwhile another is told %s", msg)
		}
	}
	if code := flooder.closed(); code != 4003 {
		t.Errorf("the flood ends with %d", code)
	}
	flooder.conn.CloseNow()
	<-ended
	testproc.Until(t, "the log to say so", func() bool { return strings.Contains(n.Output(), "code=4003") })
}
