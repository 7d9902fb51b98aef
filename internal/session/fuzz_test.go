package session

import (
	"context"
	"strings"
	"testing"
	"time"
)

// FuzzSession gives a session any messages, one a line. It answers all of them in whole frames, lives on, and leaves
// nothing behind.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		`{"type":"connect","id":0,"payload":{"user":"ada","info":{},"client":"c","heartbeat":true}}`,
		`{"type":"subscribe","id":1,"channel":"a","payload":{"presence":true,"from":{"last":3}}}` + "\n" +
			`{"type":"publish","id":2,"channel":"a","payload":1,"key":"k","op":"append","echo":false,"seq":1}` + "\n" +
			`{"type":"unsubscribe","id":3,"channel":"a"}` + "\n" + `{"type":"subscribe","channel":"a","payload":{"from":"state"}}`,
		`{"type":"subscribe","channel":"a","payload":{"presence":{"epoch":"x","offset":9},"from":{"epoch":"x","offset":9}}}`,
		`{"type":"history","id":1,"channel":"a","payload":{"before":9,"limit":2}}` + "\n" + `{"type":"presence","channel":"a","payload":{"next":"e.1"}}`,
		`{"type":"call","id":1,"method":"m","payload":{}}` + "\n" + `{"type":"call","id":1,"method":"m"}`,
		`{"type":"publish","channel":"$a","payload":1}` + "\n" + `{"type":"subscribe","channel":"a:*"}` + "\n{\n\xff\n[]\n",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, patient bool) {
		w := newWorld(t, func(*Config) {})
		w.methods["m"] = func(_ context.Context, c Call) ([]byte, error) { return c.Payload, nil }
		c := w.connect()
		for line := range strings.SplitSeq(string(data), "\n") {
			c.Receive([]byte(line))
			if patient {
				w.settle()
				c.take()
			}
		}
		w.pass(2 * time.Second)
		c.take()
		if c.code == 0 {
			c.send(`{"type":"ping","id":"at the end"}`)
			c.want(`{"type":"pong","id":"at the end"}`)
		} else if !strings.Contains(string(data), "token") {
			t.Errorf("closed with %d %s", c.code, c.reason)
		}
		c.Closed(1006, "")
		w.pass(time.Second)
		if n := w.hub.Stats().Cursors; n != 0 {
			t.Errorf("%d cursors are left", n)
		}
	})
}
