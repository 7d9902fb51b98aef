package main

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"hocket.dev/internal/testproc"
)

// Who asks for much on many connections and takes none of it is closed, before memory is full, and others are served.
func TestAttackByNotReading(t *testing.T) {
	n := startGuarded(t, `
channels: [{pattern: "big:*", allow: ["*"], history: {count: 100}}]
limits: {untaken_bytes: 8MiB}`)
	payload := `"` + strings.Repeat("x", 200_000) + `"`
	for range 5 {
		api(t, n, "publish", `{"channel":"big:a","payload":`+payload+`}`)
	}
	for i := range 24 { // of a megabyte each
		nc := dialAs(t, "127.0.0.2", n.http)
		if err := nc.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil { // else the system takes a megabyte for it
			t.Fatal(err)
		}
		c := converse(t, n, "", bearer(sign(fmt.Sprintf(`"sub":"eve%d"`, i))), nc)
		c.want(`{"type":"connected"`)
		c.send(`{"type":"history","id":1,"channel":"big:a"}`)
	}
	testproc.Until(t, "most of them to be closed", func() bool { return strings.Count(n.Output(), "code=4001") >= 12 })
	ada := knock(t, n, "", bearer(sign(`"sub":"ada"`)), "127.0.0.1")
	ada.want(`{"type":"connected"`)
	if msg := ada.request(1, `{"type":"history","channel":"big:a"}`); !strings.Contains(msg, payload) {
		t.Errorf("somebody else is told %.200s", msg)
	}
}

// What a client may have kept for each of very many subscriptions is bounded for all of them together.
func TestAttackByFilters(t *testing.T) {
	n := startGuarded(t, `channels: [{pattern: "news:*", allow: [subscribe]}]`)
	c := knock(t, n, "", bearer(sign(`"sub":"eve"`)), "127.0.0.1")
	c.want(`{"type":"connected"`)
	var tags []string
	for tag := range 15 {
		var values []string
		for i := range 16 {
			values = append(values, fmt.Sprintf(`"%02d%s"`, i, strings.Repeat("x", 250)))
		}
		tags = append(tags, fmt.Sprintf(`"t%d":[%s]`, tag, strings.Join(values, ",")))
	}
	filter := `{"filter":{` + strings.Join(tags, ",") + `}}`
	for i, want := range []string{`{"type":"reply"`, `{"type":"error"`, `{"type":"error"`} {
		msg := c.request(i, fmt.Sprintf(`{"type":"subscribe","channel":"news:%d","payload":%s}`, i, filter))
		if !strings.HasPrefix(msg, want) {
			t.Errorf("%d is answered %s", i, msg)
		}
	}
}

// A value that many are sent whole does not grow for ever by small parts.
func TestAttackByAppending(t *testing.T) {
	n := startGuarded(t, `channels: [{pattern: "text:*", allow: ["*"]}]`)
	c := knock(t, n, "", bearer(sign(`"sub":"eve"`)), "127.0.0.1")
	c.want(`{"type":"connected"`)
	part, msg, parts := `{"type":"publish","channel":"text:a","key":"k","op":"append","payload":"`+strings.Repeat("x", 60_000)+`"}`, "", 0
	for msg = c.request(0, part); strings.HasPrefix(msg, `{"type":"reply"`) && parts < 50; parts++ {
		msg = c.request(parts+1, part)
	}
	if parts != 17 || !strings.Contains(msg, `"name":"too_large"`) {
		t.Errorf("%d parts of 60 KB are taken, and then: %s", parts, msg)
	}
}
