package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/websocket"
)

// closed reads until the server closes, and returns its code.
func (c client) closed(t *testing.T) websocket.CloseCode {
	t.Helper()
	for {
		if _, _, err := c.Read(t.Context()); err != nil {
			var closed *websocket.CloseError
			if !errors.As(err, &closed) {
				t.Fatal(err)
			}
			return closed.Code
		}
	}
}

// ticket asks for one.
func (s *server) ticket(t *testing.T, body string) (ticket string, expires time.Time) {
	t.Helper()
	var got struct {
		Ticket    string
		ExpiresAt int64 `json:"expires_at"`
	}
	s.want(t, "tickets", body, &got)
	return got.Ticket, time.UnixMilli(got.ExpiresAt)
}

// refused dials with a ticket that does not open and returns what the client is told.
func (s *server) refused(t *testing.T, ticket string) string {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), s.url+"/v1/ws?ticket="+ticket, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	c := client{conn}
	told := string(c.next(t, "error", nil))
	return fmt.Sprint(told, c.closed(t))
}

func closedDoors(c *hocket.Config) { c.Anonymous = false }

func TestATicketCarriesLimits(t *testing.T) {
	s := start(t, closedDoors)
	ticket, _ := s.ticket(t, `{"user":"ada","capabilities":{"chat:*":["publish","publishes 1/h burst 2"]}}`)
	c, _ := s.connect(t, "?ticket="+ticket)
	for range 3 {
		c.send(t, `{"type":"publish","id":1,"channel":"chat:a","payload":1}`)
	}
	c.next(t, "reply", nil)
	c.next(t, "reply", nil)
	if told := c.next(t, "error", nil); !strings.Contains(string(told), `"code":1429`) {
		t.Errorf("told %s", told)
	}
}

func TestATicketOpensOneSession(t *testing.T) {
	s := start(t, closedDoors)
	before := time.Now()
	ticket, expires := s.ticket(t, `{"user":"ada","info":{"name":"Ada"},"capabilities":{"chat:*":["subscribe"]},"ttl_ms":5000,"session_ms":60000}`)
	if wait := expires.Sub(before); wait < 5*time.Second-time.Millisecond || wait > time.Minute {
		t.Errorf("the ticket waits for %v", wait)
	}
	c, _ := s.connect(t, "?ticket="+ticket)
	c.send(t, `{"type":"subscribe","id":1,"channel":"chat:a"}`)
	c.next(t, "reply", nil)
	c.send(t, `{"type":"publish","id":2,"channel":"chat:a","payload":1}`)
	if told := c.next(t, "error", nil); !strings.Contains(string(told), `"code":1403`) {
		t.Errorf("told %s", told)
	}
	if told := s.refused(t, ticket); !strings.Contains(told, `"code":1401`) || !strings.HasSuffix(told, "4200") || strings.Contains(told, ticket) {
		t.Errorf("shown again: %s", told)
	}
	elsewhere, _ := s.ticket(t, `{"user":"ada","address":"192.0.2.1"}`)
	if told := s.refused(t, elsewhere); !strings.Contains(told, "another address") {
		t.Errorf("shown elsewhere: %s", told)
	}
}

func TestRevokedAndDisconnected(t *testing.T) {
	s := start(t, closedDoors)
	sessions := make(map[string]client)
	for _, user := range []string{"ada", "bob", "cy", "dee"} {
		ticket, _ := s.ticket(t, `{"user":"`+user+`","capabilities":{"chat:*":["*"]}}`)
		c, _ := s.connect(t, "?ticket="+ticket)
		c.send(t, `{"type":"subscribe","id":1,"channel":"chat:a"}`)
		c.next(t, "reply", nil)
		sessions[user] = c
	}
	var none struct{}
	s.want(t, "revoke", `{"user":"ada"}`, &none)
	if code := sessions["ada"].closed(t); code != 4101 {
		t.Errorf("closed with %d", code)
	}
	s.want(t, "revoke", `{"user":"bob","channels":["chat:>"],"ttl_ms":60000}`, &none)
	sessions["bob"].next(t, "unsubscribed", nil)
	var n struct{ Sessions int }
	s.want(t, "disconnect", `{"user":"cy"}`, &n)
	if code := sessions["cy"].closed(t); code != 4201 || n.Sessions != 1 {
		t.Errorf("closed with %d, %d sessions", code, n.Sessions)
	}
	s.want(t, "disconnect", `{"user":"dee","reconnect":true}`, &n)
	sessions["dee"].next(t, "reconnect", nil)
	if code := sessions["dee"].closed(t); code != 4000 {
		t.Errorf("closed with %d", code)
	}
}

func TestWhatIsWrongWithIdentity(t *testing.T) {
	s := start(t, nil)
	for _, test := range []struct{ method, body, says string }{
		{"tickets", `{"user":"a:b"}`, "user: user may not hold"},
		{"tickets", `{"ttl_ms":999}`, "ttl_ms must be a whole number from 1000 to 3600000"},
		{"tickets", `{"capabilities":["chat"]}`, "capabilities must be lists of verbs by pattern"},
		{"tickets", `{"capabilities":{"chat:*":["read"]}}`, `"read" is no verb`},
		{"tickets", `{"capabilities":{"chat:*":["publish","publishes 5"]}}`, `capability "chat:*": "publishes 5" is no limit: "5" is no rate: write it like`},
		{"tickets", `{"capabilities":{"chat:*":["publish",5]}}`, "capabilities must be lists of verbs by pattern"},
		{"tickets", `{"capabilities":{"a:>:b":["*"]}}`, `capability "a:>:b"`},
		{"tickets", `{"address":"example.com"}`, "address must be an IP address"},
		{"tickets", `{"info":"` + strings.Repeat("x", 5000) + `"}`, "info may have at most 4096 bytes"},
		{"revoke", `{}`, "name one of them"},
		{"revoke", `{"user":"a","token":"b"}`, "name one of them"},
		{"revoke", `{"all":1}`, "all must be true or false"},
		{"revoke", `{"user":"a","channels":[]}`, "channels must be an array of patterns"},
		{"revoke", `{"user":"a","channels":["a:**"]}`, "channels: "},
		{"disconnect", `{}`, "name one of them"},
		{"disconnect", `{"user":"a","session":"b"}`, "name one of them"},
	} {
		if a := s.call(t, test.method, test.body); a.status/100 != 4 || !strings.Contains(a.Error.Message, test.says) {
			t.Errorf("%s %.60s answered %d %s", test.method, test.body, a.status, a.body)
		}
	}
}
