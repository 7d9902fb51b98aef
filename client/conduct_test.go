package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// A script is one connection of a server that says what a test tells it to.
type script struct {
	conn *websocket.Conn
	nth  int // connection of its server, from 0

	hello json.RawMessage // what the client said of itself
}

func (s *script) say(format string, args ...any) {
	_ = s.conn.Write(context.Background(), websocket.Text, fmt.Appendf(nil, format, args...))
}

// hear returns the next request, or one without type when the connection has ended.
func (s *script) hear() (in outgoing) {
	if _, b, err := s.conn.Read(context.Background()); err == nil {
		_ = json.Unmarshal(b, &in)
	}
	return in
}

// rest hears until the connection has ended.
func (s *script) rest() {
	for s.hear().Type != "" {
	}
}

// acting serves connections: each is admitted, and then plays act.
func acting(act func(s *script)) http.Handler { return actingWith(1000, act) }

// actingWith is acting where a message may have so many bytes.
func actingWith(messageBytes int, act func(s *script)) http.Handler {
	var mu sync.Mutex
	nth := -1
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"hocket.v1.json"}})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		mu.Lock()
		nth++
		s := &script{conn: conn, nth: nth}
		mu.Unlock()
		hi := fmt.Sprintf(`{"ping_ms":1000,"limits":{"message_bytes":%d}}`, messageBytes)
		connect := s.hear() // first, because connections in memory hold nothing
		s.hello = connect.Payload
		s.say(`{"type":"connected","payload":%s}`, hi)
		s.say(`{"type":"reply","id":%d,"payload":%s}`, connect.ID, hi)
		act(s)
	})
}

func play(t *testing.T, act func(s *script)) (url string) {
	t.Helper()
	web := httptest.NewServer(acting(act))
	t.Cleanup(web.Close)
	return "ws" + strings.TrimPrefix(web.URL, "http")
}

func TestClosesAreObeyed(t *testing.T) {
	for _, test := range []struct {
		code  websocket.CloseCode
		ended *Error // nil: the client comes back
	}{
		{1000, nil}, {1001, nil}, {1011, nil}, {4000, nil}, {4001, nil}, {4003, nil}, {4099, nil},
		{4100, &Error{Code: 4100, Name: "token_expired"}},
		{4202, &Error{Code: 4202, Name: "banned"}},
		{4250, &Error{Code: 4250, Name: "some reason"}},
	} {
		t.Run(fmt.Sprint(test.code), func(t *testing.T) {
			again := make(chan struct{})
			c := dial(t, play(t, func(s *script) {
				if s.nth == 0 {
					s.conn.Close(test.code, "some reason")
					return
				}
				close(again)
				s.rest()
			}), nil)
			if test.ended == nil {
				<-again
				return
			}
			<-c.ended // it does not come back
			_, err := c.Publish(t.Context(), "a", 1, nil)
			wantError(t, err, test.ended)
		})
	}
}

// An error that the server says before it closes for good explains more than the close.
func TestTheErrorBeforeTheCloseIsTold(t *testing.T) {
	c := dial(t, play(t, func(s *script) {
		s.say(`{"type":"error","error":{"code":1401,"name":"unauthenticated","message":"no proof came in time"}}`)
		s.conn.Close(4200, "unauthenticated")
	}), nil)
	<-c.ended
	_, err := c.Publish(t.Context(), "a", 1, nil)
	wantError(t, err, &Error{Code: 1401, Name: "unauthenticated", Message: "no proof came in time"})
}

func TestReconnectLeadsElsewhere(t *testing.T) {
	arrived := make(chan struct{})
	there := play(t, func(s *script) {
		close(arrived)
		s.rest()
	})
	c := dial(t, play(t, func(s *script) {
		s.say(`{"type":"reconnect","payload":{"after_ms":1,"url":%q}}`, there)
		s.rest()
	}), nil)
	<-arrived
	c.Close()
}

// What the server refuses for now is asked for again; an epoch that ends is left behind; what the server ends for good
// ends.
func TestSubscriptionsAsTheServerWills(t *testing.T) {
	c := dial(t, play(t, func(s *script) {
		s.say(`{"type":"error","id":%d,"error":{"code":1503,"name":"busy","message":"later","retry_after_ms":1}}`, s.hear().ID)
		s.say(`{"type":"reply","id":%d,"payload":{"epoch":"e","offset":4,"recovered":true}}`, s.hear().ID)
		s.say(`{"type":"gap","channel":"a","payload":{"from":5,"to":8,"reason":"slow_consumer"}}`)
		s.say(`{"type":"position","channel":"a","offset":9}`)
		s.say(`{"type":"unsubscribed","channel":"a","payload":{"code":1410,"name":"epoch_changed"}}`)
		in := s.hear()
		if want := `{"from":{"epoch":"e","offset":9}}`; string(in.Payload) != want {
			t.Errorf("asked again with %s, want %s", in.Payload, want)
		}
		s.say(`{"type":"reply","id":%d,"payload":{"epoch":"f","offset":2,"recovered":false}}`, in.ID)
		s.say(`{"type":"message","channel":"a","offset":1,"payload":1}`)
		s.say(`{"type":"unsubscribed","channel":"a","payload":{"code":1403,"name":"permission_denied"}}`)
		s.rest()
	}), nil)
	sub := subscribe(t, c, "a", nil)
	if m := next(t, sub); m.Kind != Gap || m.GapFrom != 5 || m.GapTo != 8 || m.Reason != "slow_consumer" {
		t.Errorf("%+v", m)
	}
	if m := next(t, sub); m.Kind != Reset || m.Position != (Position{"f", 2}) {
		t.Errorf("%+v", m)
	}
	if m := wantPayload(t, sub, "1"); m.Position != (Position{"f", 1}) {
		t.Errorf("%+v", m)
	}
	_, err := sub.Next(t.Context())
	wantError(t, err, &Error{Code: 1403, Name: "permission_denied"})
}

// A state whose transfer was cut goes on, also where the server, whose own log lies behind for the moment, names an older head
// than it did before.
func TestStateGoesOnBehindAnOlderHead(t *testing.T) {
	c := dial(t, play(t, func(s *script) {
		if s.nth == 0 {
			s.say(`{"type":"reply","id":%d,"payload":{"epoch":"e","offset":9,"recovered":true}}`, s.hear().ID)
			s.say(`{"type":"message","channel":"a","offset":5,"key":"k","payload":5}`)
			return
		}
		s.say(`{"type":"reply","id":%d,"payload":{"epoch":"e","offset":4,"recovered":true}}`, s.hear().ID)
		s.say(`{"type":"message","channel":"a","offset":7,"key":"l","payload":7}`)
		s.rest()
	}), nil)
	sub := subscribe(t, c, "a", &SubscribeOptions{From: State()})
	wantPayload(t, sub, "5")
	wantPayload(t, sub, "7")
}

// A state that has to be read from its beginning once more is told as a reset: what has been given out is void, also a key that
// is not there any more.
func TestStateReadAnewIsToldAsReset(t *testing.T) {
	c := dial(t, play(t, func(s *script) {
		if s.nth == 0 {
			s.asks(t, `{"from":"state"}`, `{"epoch":"e","offset":9,"recovered":true}`)
			s.entry(4, "gone", "set", `"a"`)
			return
		}
		s.asks(t, `{"from":{"epoch":"e","offset":4,"state":true}}`, `{"epoch":"e","offset":9,"recovered":true}`)
		s.entry(6, "b", "append", `"more"`) // of what stood behind the cut; the delete of the other key will not come
		s.hear()                            // unsubscribe
		s.asks(t, `{"from":"state"}`, `{"epoch":"e","offset":9,"recovered":true}`)
		s.entry(9, "b", "set", `"all and more"`)
		s.rest()
	}), nil)
	sub := subscribe(t, c, "a", &SubscribeOptions{From: State()})
	wantPayload(t, sub, `"a"`)
	if m := next(t, sub); m.Kind != Reset || m.Position != (Position{"e", 9}) {
		t.Errorf("before the state comes anew: %+v", m)
	}
	wantPayload(t, sub, `"all and more"`)
	if m := next(t, sub); m.Kind != Sync {
		t.Errorf("after the state: %+v", m)
	}
}

// A state of another log than the one that was agreed on is told as a reset, also where nothing of either had come.
func TestStateOfAnotherLogIsToldAsReset(t *testing.T) {
	c := dial(t, play(t, func(s *script) {
		if s.nth == 0 {
			s.asks(t, `{"from":"state"}`, `{"epoch":"e","offset":9,"recovered":true}`)
			return
		}
		s.asks(t, `{"from":"state"}`, `{"epoch":"f","offset":2,"recovered":true}`)
		s.entry(2, "b", "set", `"new"`)
		s.rest()
	}), nil)
	sub := subscribe(t, c, "a", &SubscribeOptions{From: State()})
	if m := next(t, sub); m.Kind != Reset || m.Position != (Position{"f", 2}) {
		t.Errorf("before the state of the other log: %+v", m)
	}
	wantPayload(t, sub, `"new"`)
}

// Who has read a reset, or a gap in a state, goes on from a position before all that is yet to come.
func TestPositionIsBeforeWhatIsNotRead(t *testing.T) {
	for _, state := range []bool{false, true} {
		c := dial(t, play(t, func(s *script) {
			s.say(`{"type":"reply","id":%d,"payload":{"epoch":"e","offset":9,"recovered":true}}`, s.hear().ID)
			s.entry(9, "k", "set", `9`)
			s.say(`{"type":"gap","channel":"a","payload":{"from":10,"to":20,"reason":"slow_consumer"}}`)
			if state {
				s.hear() // unsubscribe
			} else {
				s.say(`{"type":"unsubscribed","channel":"a","payload":{"code":1410,"name":"epoch_changed"}}`)
			}
			s.say(`{"type":"reply","id":%d,"payload":{"epoch":"f","offset":2,"recovered":false}}`, s.hear().ID)
			s.entry(1, "k", "set", `1`)
			s.entry(2, "l", "set", `2`)
			s.rest()
		}), nil)
		from, over := After(Position{"e", 8}), "gap {e 20}"
		if state {
			from, over = State(), "gap {e 9}"
		}
		sub := subscribe(t, c, "a", &SubscribeOptions{From: from})
		testproc.Until(t, "the last message", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return sub.at == Position{"f", 2}
		})
		for _, want := range []string{"message {e 9}", over, "reset {f 0}", "message {f 1}", "message {f 2}"} {
			m := next(t, sub)
			if m.Kind == Sync {
				m = next(t, sub)
			}
			if have := fmt.Sprint(m.Kind, " ", sub.Position()); have != want {
				t.Errorf("state %v: position after a %s, want %s", state, have, want)
			}
		}
	}
}

// A server from which nothing comes, not even a heartbeat, is left; one that sends heartbeats is not.
func TestSilenceIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := inMemory(t, acting(func(s *script) {
			if s.nth > 0 {
				s.rest()
				return
			}
			for range 60 {
				time.Sleep(time.Second)
				s.say(`{"type":"ping"}`)
				if in := s.hear(); in.Type != "pong" {
					t.Errorf("a ping is answered with %q", in.Type)
				}
			}
			s.rest()
		}))
		began := time.Now()
		type loss struct {
			after time.Duration
			err   error
		}
		lost := make(chan loss, 10)
		c, err := Dial(t.Context(), "ws://server/v1/ws", &Options{NetDial: net, OnConnection: func(err error) {
			if err != nil {
				lost <- loss{time.Since(began), err}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// A minute of heartbeats, then a second (ping_ms) and ten of grace.
		if l := <-lost; l.err != errSilent || l.after != 71*time.Second {
			t.Errorf("lost after %v: %v", l.after, l.err)
		}
	})
}

// Delays are drawn from a bound that doubles, whatever the settings.
func TestDelays(t *testing.T) {
	c := &Client{dice: newDice(), opts: Options{MinDelay: time.Second, MaxDelay: 10 * time.Second}}
	for attempt, bound := range []time.Duration{1, 2, 4, 8, 10, 10} {
		var longest time.Duration
		for range 1000 {
			longest = max(longest, c.delay(nil, attempt))
		}
		if longest >= bound*time.Second || longest < bound*time.Second*9/10 {
			t.Errorf("attempt %d: up to %v, want %v", attempt, longest, bound*time.Second)
		}
	}
	if d := c.delay(nil, 1000); d >= 10*time.Second {
		t.Error(d)
	}
	if d := c.delay(&link{goAway: &goAway{AfterMS: 1200}}, 0); d != 1200*time.Millisecond {
		t.Error(d)
	}
}

// inMemory serves h in a bubble of virtual time. It returns a NetDial.
func inMemory(t *testing.T, h http.Handler) func(context.Context, string, string) (net.Conn, error) {
	l := &pipes{make(chan net.Conn), make(chan struct{})}
	web := &http.Server{Handler: h}
	go web.Serve(l)
	t.Cleanup(func() { web.Close() })
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case l.conns <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pipes is a listener of connections in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }
