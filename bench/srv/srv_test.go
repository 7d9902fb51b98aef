package main

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"hocket.dev/websocket"
)

// client is one connection of a test.
type client struct {
	t *testing.T
	*websocket.Conn
}

func (c client) want(text string) {
	c.t.Helper()
	if _, p, err := c.Read(c.t.Context()); err != nil || string(p) != text {
		c.t.Fatalf("got %q, %v; want %q", p, err, text)
	}
}

func (c client) send(text string) {
	c.t.Helper()
	if err := c.Write(c.t.Context(), websocket.Text, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// TestRoomsOnLoops has members of two rooms on three loops, some of which leave: a room
// keeps those who stay, and each gets every message once and in order.
func TestRoomsOnLoops(t *testing.T) {
	r := new(rooms)
	s, err := websocket.NewServer(r, &websocket.ServerOptions{Loops: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r.serve(s)
	web := httptest.NewServer(s)
	defer web.Close()
	dial := func(path string) client {
		c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http")+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.CloseNow() })
		return client{t, c}
	}
	var members []client
	for range 9 {
		c := dial("/sub?room=a")
		c.want("ready")
		members = append(members, c)
	}
	other, publisher, echo := dial("/sub?room=b"), dial("/pub?room=a"), dial("/echo")
	other.want("ready")
	for range 3 { // the first, and then whoever has moved to its place
		if err := members[0].Close(websocket.CloseNormal, ""); err != nil {
			t.Fatal(err)
		}
		members = slices.Delete(members, 0, 1)
	}
	publisher.send("one")
	publisher.send("two")
	for _, m := range members {
		m.want("one")
		m.want("two")
	}
	dial("/pub?room=b").send("three")
	other.want("three")
	echo.send("four")
	echo.want("four")
}
