package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev"
	"hocket.dev/internal/testproc"
)

// wantInfo takes the next change of a list of members: an update.
func wantInfo(t *testing.T, p *Presence, session, want string) {
	t.Helper()
	if m := wantMember(t, p, "update", session); string(m.Info) != want {
		t.Errorf("%s tells %s, want %s", session, m.Info, want)
	}
}

// tells wants the next request to tell this info, and answers it when there is something to answer with.
func (s *script) tells(t *testing.T, info, answer string) {
	t.Helper()
	in := s.hear()
	if have := fmt.Sprintf("%s %s", in.Type, in.Payload); have != `connect {"info":`+info+`}` {
		t.Errorf("connection %d is told %s, want the info %s", s.nth, have, info)
	}
	if answer != "" {
		s.say(`{"id":%d,%s}`, in.ID, answer)
	}
}

func (s *script) wasToldFirst(t *testing.T, info string) {
	t.Helper()
	if !strings.Contains(string(s.hello), `"info":`+info+`,`) {
		t.Errorf("connection %d begins with %s, want the info %s", s.nth, s.hello, info)
	}
}

const (
	taken  = `"type":"reply","payload":{}`
	tooBig = `"type":"error","error":{"code":1113,"name":"info_too_large","message":"less"}`
)

// setInfo begins to change the info. Its outcome comes later.
func setInfo(t *testing.T, c *Client, info any) <-chan error {
	outcome := make(chan error, 1)
	go func() { outcome <- c.SetInfo(t.Context(), info) }()
	synctest.Wait()
	return outcome
}

func TestInfoChangesInPlaceAndStays(t *testing.T) {
	withPresence := func(c *hocket.Config) { c.Fallback.Presence = true }
	_, url := serve(t, withPresence)
	line, through := startProxy(t, url)
	ada, bo := dial(t, through, &Options{User: "ada", Info: "Ada"}), dial(t, url, &Options{User: "bo"})
	own := subscribe(t, ada, "room", &SubscribeOptions{Presence: Join}).Presence()
	wantMember(t, own, "join", ada.Session())
	others := subscribe(t, bo, "room", &SubscribeOptions{Presence: Watch}).Presence()
	wantMember(t, others, "join", ada.Session())

	if err := ada.SetInfo(t.Context(), map[string]any{"name": "Ada", "away": true}); err != nil {
		t.Fatal(err)
	}
	wantInfo(t, own, ada.Session(), `{"away":true,"name":"Ada"}`)
	wantInfo(t, others, ada.Session(), `{"away":true,"name":"Ada"}`)
	wantError(t, ada.SetInfo(t.Context(), strings.Repeat("i", 5_000)), &Error{Code: 1113, Name: "info_too_large"})
	if m, _ := own.Get(ada.Session()); string(m.Info) != `{"away":true,"name":"Ada"}` || line.dialed() != 1 {
		t.Errorf("after a refusal: %s over %d connections", m.Info, line.dialed())
	}

	_, elsewhere := serve(t, withPresence) // which knows only what it is told anew
	line.aim(elsewhere)
	line.cut()
	cy := dial(t, elsewhere, nil)
	there := subscribe(t, cy, "room", &SubscribeOptions{Presence: Watch}).Presence()
	if c, err := there.Next(t.Context()); err != nil || c.Member.User != "ada" || string(c.Member.Info) != `{"away":true,"name":"Ada"}` {
		t.Errorf("the other server knows %s of %s, %v", c.Member.Info, c.Member.User, err)
	}
}

// Info that is refused to a client on its way back gives way to the one before, and the client comes back.
func TestInfoRefusedOnTheWayBackIsGivenUp(t *testing.T) {
	_, url := serve(t, nil)
	c, line, lose := dialCuttable(t, url, Options{Info: "short"})
	lose()
	wantError(t, c.SetInfo(t.Context(), strings.Repeat("i", 200_000)), &Error{Code: 1109, Name: "too_large"}) // known before there is a connection
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.SetInfo(ctx, strings.Repeat("i", 5_000)); !errors.Is(err, context.Canceled) { // it is to be told now
		t.Fatal(err)
	}
	refused := make(chan error)
	go func() { refused <- c.SetInfo(t.Context(), strings.Repeat("j", 5_000)) }()
	line.aim(url)
	wantError(t, <-refused, &Error{Code: 1113, Name: "info_too_large"})
	publish(t, c, "a", 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if string(c.info) != `"short"` {
		t.Errorf("the info is %.10s", c.info)
	}
}

// Who has proved what is told about it cannot change that, and loses nothing by the attempt: neither in place nor on its way back,
// where the server closes the connection.
func TestInfoOfAProofStays(t *testing.T) {
	const secret = "a secret of the tests, which everybody knows"
	_, url := serve(t, func(cfg *hocket.Config) { cfg.Tokens.Keys = []hocket.TokenKey{{Secret: secret}} })
	signer, err := hocket.NewTokenSigner([]byte(secret), "")
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(hocket.TokenClaims{User: "ada", Capabilities: map[string][]string{"a": {"publish"}}, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	c, line, lose := dialCuttable(t, url, Options{Token: func(context.Context) (string, error) { return token, nil }})
	denied := &Error{Code: 1403, Name: "permission_denied"}
	wantError(t, c.SetInfo(t.Context(), "another"), denied)
	lose()
	away := make(chan error)
	go func() { away <- c.SetInfo(t.Context(), "another") }()
	testproc.Until(t, "the info is to be told", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.nextInfo != nil || c.sentInfo != nil
	})
	line.aim(url)
	wantError(t, <-away, denied)
	publish(t, c, "a", 1)
}

// Of what changes while the server has not answered the newest is told, and all learn what has become of it.
func TestInfoIsToldOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			time.Sleep(time.Second)
			s.tells(t, `1`, tooBig)
			s.tells(t, `3`, taken)
			s.rest()
		})
		first, second, third := setInfo(t, c, 1), setInfo(t, c, 2), setInfo(t, c, 3)
		wantError(t, <-first, &Error{Code: 1113, Name: "info_too_large", Message: "less"})
		if err := errors.Join(<-second, <-third); err != nil {
			t.Error(err)
		}
	})
}

// Info that changes while there is no connection is told by the next one; while that is on its way, after it.
func TestInfoThatChangesWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, onward := 0, make(chan struct{})
		net := inMemory(t, acting(func(s *script) {
			if s.nth == 0 {
				s.wasToldFirst(t, `"here"`)
				return
			}
			s.wasToldFirst(t, `"away"`)
			s.tells(t, `"on the way"`, taken)
			s.rest()
		}))
		c, err := Dial(t.Context(), "ws://server/v1/ws", &Options{NetDial: net, Info: "here", Token: func(context.Context) (string, error) {
			if asked++; asked > 1 { // an attempt that takes its time
				<-onward
			}
			return "token", nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait()
		away := setInfo(t, c, "away")
		time.Sleep(time.Second)
		later := setInfo(t, c, "on the way")
		close(onward)
		if err := errors.Join(<-away, <-later); err != nil {
			t.Error(err)
		}
	})
}

// Info that has not been answered when the line is cut is told again, unless there is newer: then that is the answer to both.
func TestInfoThatWasNotAnsweredIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			switch s.nth {
			case 0:
				s.tells(t, `1`, "")
			case 1:
				s.wasToldFirst(t, `1`)
				s.tells(t, `2`, "")
				time.Sleep(time.Second)
			case 2:
				s.wasToldFirst(t, `3`)
				s.rest()
			}
		})
		if err := <-setInfo(t, c, 1); err != nil {
			t.Error(err)
		}
		second, third := setInfo(t, c, 2), setInfo(t, c, 3)
		if err := errors.Join(<-second, <-third); err != nil {
			t.Error(err)
		}
	})
}

// A page that was read before the server took the info does not bring the old one back: nobody tells a client of itself.
func TestOwnInfoIsNotOverwrittenByAnOlderPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			s.asks(t, `{"presence":true}`, `{"epoch":"e","offset":0,"recovered":true,"presence":{"count":1,"epoch":"p","offset":5}}`)
			page := s.hear()
			s.tells(t, `"new"`, taken)
			s.say(`{"type":"reply","id":%d,"payload":{"count":1,"members":[{"session":"","info":"old"}],"epoch":"p","offset":5}}`, page.ID)
			s.rest()
		})
		p := subscribe(t, c, "a", &SubscribeOptions{Presence: Join}).Presence()
		if err := c.SetInfo(t.Context(), "new"); err != nil {
			t.Error(err)
		}
		if m := wantMember(t, p, "join", ""); string(m.Info) != `"new"` {
			t.Errorf("the list says %s", m.Info)
		}
	})
}

// What cannot be told is refused before anything changes; a client that has ended changes nothing.
func TestInfoThatIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			s.tells(t, `"never answered"`, "")
			s.rest()
		})
		wantError(t, c.SetInfo(t.Context(), func() {}), &Error{Code: 1106, Name: "invalid_payload"})
		wantError(t, c.SetInfo(t.Context(), nil), &Error{Code: 1106, Name: "invalid_payload"})
		for _, length := range []int{990, 2_000} { // which is too long only with what is around it; by itself
			wantError(t, c.SetInfo(t.Context(), strings.Repeat("i", length)), &Error{Code: 1109, Name: "too_large"})
		}
		told, waits := setInfo(t, c, "never answered"), setInfo(t, c, "never told")
		c.Close()
		wantError(t, <-told, ErrClosed)
		wantError(t, <-waits, ErrClosed)
		wantError(t, c.SetInfo(t.Context(), 1), ErrClosed)
	})
}
