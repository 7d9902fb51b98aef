package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"hocket.dev"
	"hocket.dev/websocket"
)

func wantEvent(t *testing.T, c *Client, want string, missed int) {
	t.Helper()
	if e, err := c.NextEvent(t.Context()); err != nil || string(e.Payload) != want || e.Missed != missed {
		t.Errorf("event %s after %d missed ones, %v, want %s after %d", e.Payload, e.Missed, err, want, missed)
	}
}

func TestEventsOfTheAPI(t *testing.T) {
	_, url := serve(t, func(cfg *hocket.Config) { cfg.OpenAPI = true })
	c := dial(t, url, &Options{User: "ada"})
	for _, body := range []string{
		`{"user":"ada","payload":{"n":1}}`, `{"user":"bo","payload":0}`,
		fmt.Sprintf(`{"session":%q,"payload":"AP8=","encoding":"base64"}`, c.Session()),
	} {
		api := "http" + strings.TrimSuffix(strings.TrimPrefix(url, "ws"), "/v1/ws") + "/api/v1/send"
		r, err := http.Post(api, "application/json", strings.NewReader(body))
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatal(r, err)
		}
		r.Body.Close()
	}
	var v struct{ N int }
	if e, err := c.NextEvent(t.Context()); err != nil || e.Decode(&v) != nil || v.N != 1 || e.Binary {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := c.NextEvent(t.Context()); err != nil || string(e.Payload) != "\x00\xff" || !e.Binary || e.Missed != 0 {
		t.Errorf("%+v, %v", e, err)
	}
}

// When nobody reads the oldest events give way, and the next one says how many. The end of the client comes after the rest.
func TestEventsThatAreNotReadGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := inMemory(t, acting(func(s *script) {
			for n := range 5 {
				s.say(`{"type":"event","payload":%d}`, n)
			}
			s.rest()
		}))
		c, err := Dial(t.Context(), "ws://server/v1/ws", &Options{NetDial: net, EventBuffer: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait()
		wantEvent(t, c, "2", 2)
		wantEvent(t, c, "3", 0)
		c.Close()
		wantEvent(t, c, "4", 0)
		_, err = c.NextEvent(t.Context())
		wantError(t, err, ErrClosed)
	})
}

// Who waits for an event is woken by one, by the end of its context, and by the end of the client.
func TestWaitingForEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		send := make(chan struct{})
		c := dialIn(t, func(s *script) {
			<-send
			s.say(`{"type":"event","payload":1}`)
			s.rest()
		})
		got := make(chan error)
		wait := func(ctx context.Context) {
			go func() {
				_, err := c.NextEvent(ctx)
				got <- err
			}()
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		wait(ctx)
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		wait(t.Context())
		close(send)
		if err := <-got; err != nil {
			t.Error(err)
		}
		wait(t.Context())
		c.Close()
		wantError(t, <-got, ErrClosed)
	})
}

// A server knows a session before it has answered its connect.
func TestAnEventBeforeTheAnswerToConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"hocket.v1.json"}})
			if err != nil {
				return
			}
			defer conn.CloseNow()
			s := &script{conn: conn}
			id := s.hear().ID
			s.say(`{"type":"connected","payload":{}}`)
			s.say(`{"type":"event","payload":"early"}`)
			s.say(`{"type":"reply","id":%d,"payload":{}}`, id)
			s.rest()
		}))
		c, err := Dial(t.Context(), "ws://server/v1/ws", &Options{NetDial: net})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		wantEvent(t, c, `"early"`, 0)
	})
}
