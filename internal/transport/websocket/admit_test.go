package websocket

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/limit"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
	"hocket.dev/internal/testproc"
	"hocket.dev/wire"
)

// wantRefused asks for a WebSocket in vain.
func (s *server) wantRefused(t *testing.T, request string, status int, retry, name, reason string) {
	t.Helper()
	answer := ask(t, s.listen(t), request)
	defer answer.Body.Close()
	var body struct {
		Error struct{ Name, Reason, Message string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != status || answer.Header.Get("Retry-After") != retry || body.Error.Name != name || body.Error.Reason != reason {
		t.Errorf("answered %d %v %+v", answer.StatusCode, answer.Header, body)
	}
}

func TestAFullNodeRefusesHandshakes(t *testing.T) {
	s := start(t, true, func(set *settings) { set.session.Limits.Sessions = 2 })
	address := s.listen(t)
	first := dial(t, address, "")
	first.want(wire.Text, "connected")
	dial(t, address, "").want(wire.Text, "connected")
	s.wantRefused(t, request, 503, "5", "busy", "busy")
	if s.node.Full() != 1 || s.Refusals()["busy"] != 1 {
		t.Errorf("counted %d and %v", s.node.Full(), s.Refusals())
	}
	first.nc.Close()
	testproc.Until(t, "a place to be free", func() bool { return s.sessions() == 1 })
	dial(t, address, "").want(wire.Text, "connected")
}

func TestHandshakesOfAnAddressAreLimited(t *testing.T) {
	s := start(t, true, func(set *settings) {
		set.session.Limits.Rates.AddressHandshakes = limit.Rate{Count: 1, Per: time.Minute, Burst: 2}
		set.transport.Address = func(r *http.Request) string { return r.Header.Get("From") }
	})
	address := s.listen(t)
	from := func(who string) string { return strings.Replace(request, "\r\n\r\n", "\r\nFrom: "+who+"\r\n\r\n", 1) }
	for range 2 {
		dialWith(t, address, from("192.0.2.1")).want(wire.Text, "connected")
	}
	s.wantRefused(t, from("192.0.2.1"), 429, "60", "rate_limited", "rate_limited")
	dialWith(t, address, from("192.0.2.2")).want(wire.Text, "connected")
	if n := s.node.Refused(session.OfAddress, limit.Handshakes); n != 1 {
		t.Errorf("%d were counted", n)
	}
}

func TestHandshakesInAllAreLimited(t *testing.T) {
	s := start(t, true, func(set *settings) {
		set.session.Limits.Rates.Handshakes = limit.Rate{Count: 1, Per: time.Hour, Burst: 1}
	})
	dial(t, s.listen(t), "").want(wire.Text, "connected")
	s.wantRefused(t, request, 503, "3600", "busy", "busy")
	if n := s.node.Refused(session.OfNode, limit.Handshakes); n != 1 {
		t.Errorf("%d were counted", n)
	}
}

// A flood of one session ends with 4003, and with 4202 when it comes again; it is told so, whatever it sends meanwhile, and
// whatever it consists of.
func TestAFloodEnds(t *testing.T) {
	for what, of := range map[string]string{
		"messages": frame(0x81, `{"type":"ping"}`) + frame(0x89, "ping"),
		"pongs":    frame(0x8a, "I am here"),
		"pieces":   frame(0x01, "") + strings.Repeat(frame(0x00, ""), 10*piecesPerMessage) + frame(0x80, ""),
	} {
		t.Run(what, func(t *testing.T) { floodEnds(t, strings.Repeat(of, 1000)) })
	}
}

func floodEnds(t *testing.T, flood string) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, func(set *settings) {
			set.session.Limits.Rates = session.Rates{
				Session:  session.Taking{Messages: limit.Rate{Count: 10, Per: time.Second}},
				Refusals: limit.Rate{Count: 20, Per: time.Minute}, Strikes: limit.Rate{Count: 1, Per: time.Hour}, BanFor: time.Hour,
			}
		})
		address := s.listen(t)
		for _, want := range []dialect.Code{dialect.CloseRateLimited, dialect.CloseBanned} {
			p := dial(t, address, "")
			p.want(wire.Text, "connected")
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					if _, err := p.nc.Write([]byte(flood)); err != nil {
						return
					}
				}
			}()
			p.wantClose(wire.CloseCode(want), want.Info().Name)
			p.nc.Close()
			<-done
		}
		p := dial(t, address, "")
		p.want(wire.Text, `"name":"banned"`)
		p.wantClose(4202, "banned")
	})
}

// A session that its rule slows down is alive, though its answers to pings lie unread.
func TestASlowedSessionIsNotTakenForDead(t *testing.T) {
	inTime(t, func(set *settings) {
		set.transport.PingEvery, set.transport.PongTimeout = 2*time.Second, time.Second
		rules, err := rule.Compile(nil, rule.Rule{
			History: rule.History{Count: 100}, Rates: rule.Rates{Publishes: limit.Rate{Count: 1, Per: 9 * time.Second}, AtLimit: rule.Slow},
		})
		if err != nil {
			t.Fatal(err)
		}
		set.session.Rules = rules
	}, func(t *testing.T, s *server) {
		p := attachPipe(t, s)
		p.want(wire.Text, "connected")
		go func() {
			for i := range 6 {
				if _, err := p.nc.Write([]byte(frame(0x81, fmt.Sprintf(`{"type":"publish","id":%d,"channel":"a","payload":1}`, i)))); err != nil {
					return
				}
			}
		}()
		pings := make(chan int, 1)
		replies := make(chan int, 1)
		go func() {
			got, pinged := 0, 0
			for got < 6 {
				op, payload, err := p.next()
				switch {
				case err != nil || op == wire.Close:
					t.Errorf("after %d replies: %v %s, %v", got, op, payload, err)
					got = 6
				case op == wire.Ping:
					pinged++
				case strings.Contains(payload, `"reply"`):
					got++
				}
			}
			replies <- got
			pings <- pinged
		}()
		s.sleep(30 * time.Second)
		if s.sessions() != 1 {
			t.Fatalf("it was closed: %v", s.Closes())
		}
		s.sleep(16 * time.Second)
		synctest.Wait()
		if <-replies != 6 || <-pings == 0 {
			t.Error("it got no replies, or no pings")
		}
		p.nc.Close()
		s.sleep(10 * time.Second)
		synctest.Wait()
		if s.sessions() != 0 {
			t.Error("it was not closed when the peer had gone")
		}
	})
}

// A peer that goes on sending when it was told to close is read for a while, so that it can see the close frame, and then not
// any more.
func TestWhoSendsOnInsteadOfClosingIsNotRead(t *testing.T) {
	inTime(t, func(*settings) {}, func(t *testing.T, s *server) {
		p := attachPipe(t, s)
		p.want(wire.Text, "connected")
		s.node.DrainSessions()
		p.wantClose(4000, "draining")
		chunk := []byte(strings.Repeat(frame(0x82, strings.Repeat("x", 4000)), 4))
		const most = maxLate*lateUnit + 64<<10 // with what the driver reads at once
		sent, begun := 0, time.Now()
		for time.Now().Equal(begun) && sent <= most { // until it has to wait
			n, err := p.nc.Write(chunk)
			if err != nil && time.Now().Equal(begun) {
				t.Fatal(err)
			}
			if time.Now().Equal(begun) {
				sent += n
			}
		}
		if sent < 256<<10 || sent > most {
			t.Errorf("%d bytes were read, at most %d should be", sent, most)
		}
		if took := time.Since(begun); took < 2*time.Second {
			t.Errorf("it had %v for its close frame", took)
		}
	})
}
