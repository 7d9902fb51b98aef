package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A publish that was not answered is sent again, before later ones, with the seq it had.
func TestUnansweredPublishesAreSentAgain(t *testing.T) {
	lost := make(chan struct{})
	c := dial(t, play(t, func(s *script) {
		in := s.hear()
		if in.Seq != 1 || string(in.Payload) != `"first"` {
			t.Errorf("connection %d begins with %+v", s.nth, in)
		}
		if s.nth == 0 {
			close(lost)
			s.conn.CloseNow()
			return
		}
		s.say(`{"type":"reply","id":%d,"payload":{"epoch":"e","offset":1,"duplicate":true}}`, in.ID)
		in = s.hear()
		if in.Seq != 2 || string(in.Payload) != `"second"` {
			t.Errorf("then comes %+v", in)
		}
		s.say(`{"type":"reply","id":%d,"payload":{"epoch":"e","offset":2}}`, in.ID)
		s.rest()
	}), nil)
	first := make(chan Position, 1)
	go func() {
		at, err := c.Publish(t.Context(), "a", "first", nil)
		if err != nil {
			t.Error(err)
		}
		first <- at
	}()
	<-lost
	if at := publish(t, c, "a", "second"); at != (Position{"e", 2}) {
		t.Error(at)
	}
	if at := <-first; at != (Position{"e", 1}) {
		t.Error(at)
	}
}

// A refusal says that nothing was published only where that is sure: not of a publish that is sent again, since the attempt
// before may have been applied, and not when the server does not know either. A conflict is sure, as duplicates are found first.
func TestAnErrorThatIsNoRefusalSaysThatTheOutcomeIsUnknown(t *testing.T) {
	for _, test := range []struct {
		name    string
		attempt int // which one is answered
		answer  string
		unknown bool
	}{
		{"busy", 0, `{"code":1503,"name":"busy"}`, false},
		{"busy again", 1, `{"code":1503,"name":"busy"}`, true},
		{"denied", 0, `{"code":1403,"name":"permission_denied"}`, false},
		{"denied again", 1, `{"code":1403,"name":"permission_denied"}`, true},
		{"unavailable", 0, `{"code":1504,"name":"unavailable"}`, true},
		{"conflict again", 1, `{"code":1409,"name":"conflict","epoch":"e","offset":7}`, false},
		{"no text again", 1, `{"code":1409,"name":"conflict"}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, play(t, func(s *script) {
				in := s.hear()
				if s.nth < test.attempt {
					s.conn.CloseNow()
					return
				}
				s.say(`{"type":"error","id":%d,"error":%s}`, in.ID, test.answer)
				s.rest()
			}), nil)
			_, err := c.Publish(t.Context(), "a", 1, nil)
			var why *Error
			if !errors.As(err, &why) || !strings.Contains(test.answer, `"`+why.Name+`"`) {
				t.Fatalf("error %v, want one that wraps %s", err, test.answer)
			}
			if unknown := isUnknown(err); unknown != test.unknown {
				t.Errorf("error %v: unknown outcome %v, want %v", err, unknown, test.unknown)
			}
			if conflict := new(ConflictError); errors.As(err, &conflict) != strings.Contains(test.answer, "offset") {
				t.Errorf("error %#v for %s", err, test.answer)
			}
		})
	}
}

func isUnknown(err error) bool {
	var unknown *UnknownOutcomeError
	return errors.As(err, &unknown)
}

// Closing ends a publish under way with an unknown outcome, and one that was not sent with a known one.
func TestCloseSaysWhatMayHaveBeenPublished(t *testing.T) {
	for _, sent := range []bool{false, true} {
		t.Run(fmt.Sprint("sent ", sent), func(t *testing.T) {
			reached, lost := make(chan struct{}), make(chan struct{})
			c, err := Dial(t.Context(), play(t, func(s *script) {
				if sent {
					s.hear()
					close(reached)
					s.rest()
				}
			}), &Options{MinDelay: time.Hour, MaxDelay: time.Hour, OnConnection: func(why error) {
				if why != nil {
					close(lost)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if !sent {
				<-lost
			}
			answered := make(chan error, 1)
			c.mu.Lock()
			err = c.publish(outgoing{Type: "publish", Channel: "a"}, func(_ json.RawMessage, err error) { answered <- err })
			c.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			if sent {
				<-reached
			}
			c.Close()
			if err := <-answered; !errors.Is(err, ErrClosed) || isUnknown(err) != sent {
				t.Errorf("error %v, unknown outcome %v", err, isUnknown(err))
			}
		})
	}
}
