package client

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev"
)

// wantMember takes the next change of a list of members.
func wantMember(t *testing.T, p *Presence, kind, session string) Member {
	t.Helper()
	c, err := p.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.Kind != kind || c.Member.Session != session {
		t.Errorf("%s of %+v, want %s of %s", c.Kind, c.Member, kind, session)
	}
	return c.Member
}

func wantUser(t *testing.T, p *Presence, want string) {
	t.Helper()
	c, err := p.NextUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if have := fmt.Sprintf("%s %s %d", c.Kind, c.User.User, len(c.User.Sessions)); have != want {
		t.Errorf("%s, want %s", have, want)
	}
}

func sessions(members []Member) string {
	var names []string
	for _, m := range members {
		names = append(names, m.Session)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestMembersOfAServer(t *testing.T) {
	_, url := serve(t, func(c *hocket.Config) { c.Fallback.Presence = true })
	ada := dial(t, url, &Options{User: "ada", Info: "Ada"})
	s := subscribe(t, ada, "room", &SubscribeOptions{Presence: Join})
	p := s.Presence()
	if err := p.Synced(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m := wantMember(t, p, "join", ada.Session()); m.User != "ada" || string(m.Info) != `"Ada"` {
		t.Errorf("%+v", m)
	}
	phone, laptop := dial(t, url, &Options{User: "bo"}), dial(t, url, &Options{User: "bo"})
	subscribe(t, phone, "room", &SubscribeOptions{Presence: Join})
	wantMember(t, p, "join", phone.Session())
	wantUser(t, p, "join ada 1")
	wantUser(t, p, "join bo 1")
	there := subscribe(t, laptop, "room", &SubscribeOptions{Presence: Join})
	wantMember(t, p, "join", laptop.Session())
	wantUser(t, p, "update bo 2")
	if n, all := p.Count(), p.Users(); n != 3 || len(all) != 2 || len(all[1].Sessions) != 2 || !p.Complete() {
		t.Errorf("%d members, users %+v", n, all)
	}
	there.Close()
	wantMember(t, p, "leave", laptop.Session())
	phone.Close()
	wantMember(t, p, "leave", phone.Session())
	if m, ok := p.Get(ada.Session()); !ok || m.User != "ada" {
		t.Errorf("%+v, %v", m, ok)
	}
	s.Close()
	_, err := p.Next(t.Context())
	wantError(t, err, ErrClosed)
}

// pages answers a presence request.
func (s *script) members(t *testing.T, want, format string, args ...any) {
	in := s.hear()
	if in.Type != "presence" || string(in.Payload) != want {
		t.Errorf("asked %s %s, want presence %s", in.Type, in.Payload, want)
	}
	s.say(`{"type":"reply","id":%d,"channel":"a","payload":%s}`, in.ID, fmt.Sprintf(format, args...))
}

// A list goes on where it stood when the server says that it can, and is read again when it does not.
func TestMembersGoOnByPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := make(chan struct{})
		c := dialIn(t, func(s *script) {
			switch s.nth {
			case 0:
				s.asks(t, `{"presence":true}`, `{"epoch":"e","offset":0,"recovered":true,"presence":{"count":2,"epoch":"p","offset":5}}`)
				s.members(t, `{"limit":100}`, `{"count":2,"members":[{"session":"","user":""},{"session":"a","user":"u"}],"next":"a","epoch":"p","offset":5}`)
				s.say(`{"type":"leave","channel":"a","epoch":"p","offset":6,"members":[{"session":"b","user":"u"}]}`)
				s.say(`{"type":"join","channel":"a","epoch":"p","offset":7,"members":[{"session":"c","user":"u"},{"session":"d","user":"u"}]}`)
				s.members(t, `{"limit":100,"next":"a"}`, `{"count":2,"members":[{"session":"b","user":"u"}],"epoch":"p","offset":5}`)
				<-step
			case 1:
				s.asks(t, `{"from":{"epoch":"e","offset":0},"presence":{"epoch":"p","offset":7}}`,
					`{"epoch":"e","offset":0,"recovered":true,"presence":{"count":3,"epoch":"p","offset":9}}`)
				s.say(`{"type":"leave","channel":"a","epoch":"p","offset":8,"members":[{"session":"c","user":"u"}]}`)
				<-step
				s.say(`{"type":"gap","channel":"$presence:a","payload":{"from":9,"to":12,"reason":"slow_consumer"}}`)
				s.members(t, `{"limit":100}`, `{"count":2,"members":[{"session":"","user":""},{"session":"a","user":"u"},{"session":"e","user":"u"}],"epoch":"p","offset":12}`)
				<-step
			case 2:
				s.asks(t, `{"from":{"epoch":"e","offset":0},"presence":true}`,
					`{"epoch":"e","offset":0,"recovered":true,"presence":{"count":1,"epoch":"q","offset":2}}`)
				s.members(t, `{"limit":100}`, `{"count":1,"members":[{"session":"","user":""},{"session":"f","user":"u"}],"epoch":"q","offset":2}`)
				s.rest()
			}
		})
		s := subscribe(t, c, "a", &SubscribeOptions{Presence: Join})
		for _, want := range []string{" a c d", " a d", " a e", " f"} { // and the client itself, whose session has no name here
			time.Sleep(3 * time.Second)
			if have := sessions(s.Presence().Members()); have != want {
				t.Errorf("here are %s, want %s", have, want)
			}
			if want != " f" {
				step <- struct{}{}
			}
		}
	})
}

// A page has not the client itself where it was read while the channel was left, since the buffer was full, or before the client was
// a member in a log that has begun anew. Nobody tells it of its own join.
func TestAMemberListsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			s.asks(t, `{"presence":true}`, `{"epoch":"e","offset":0,"recovered":true,"presence":{"count":1,"epoch":"p","offset":1}}`)
			page := s.hear()
			s.entry(1, "", "", `1`)
			s.entry(2, "", "", `2`)
			if in := s.hear(); in.Type != "unsubscribe" {
				t.Errorf("when its buffer is full comes %+v", in)
			}
			s.say(`{"type":"reply","id":%d,"payload":{"count":0,"members":[],"epoch":"p","offset":2}}`, page.ID)
			s.asks(t, `{"from":{"epoch":"e","offset":2},"presence":{"epoch":"p","offset":1}}`,
				`{"epoch":"e","offset":2,"recovered":true,"presence":{"count":1,"epoch":"p","offset":3}}`)
			time.Sleep(time.Second)
			s.say(`{"type":"gap","channel":"$presence:a","payload":{"from":0,"to":0,"reason":"unavailable"}}`)
			s.members(t, `{"limit":100}`, `{"count":0,"members":[],"epoch":"q","offset":0}`)
			s.rest()
		})
		s := subscribe(t, c, "a", &SubscribeOptions{Presence: Join, Buffer: 2})
		synctest.Wait()
		next(t, s)
		for range 2 {
			synctest.Wait()
			if p := s.Presence(); !p.Complete() || len(p.Members()) != 1 {
				t.Errorf("%v are here, complete: %v", p.Members(), p.Complete())
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// A list that could not be read to its end is read by the next connection, though that has missed nothing since: what is known is
// still that of the log before.
func TestAListThatWasNotReadIsReadByTheNextConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			switch s.nth {
			case 0:
				s.asks(t, `{"presence":true}`, `{"epoch":"e","offset":0,"recovered":true,"presence":{"count":2,"epoch":"p","offset":5}}`)
				s.members(t, `{"limit":100}`, `{"count":2,"members":[{"session":"","user":""},{"session":"a","user":"u"}],"epoch":"p","offset":5}`)
				time.Sleep(time.Second)
			case 1:
				s.asks(t, `{"from":{"epoch":"e","offset":0},"presence":{"epoch":"p","offset":5}}`,
					`{"epoch":"e","offset":0,"recovered":true,"presence":{"count":1,"epoch":"q","offset":2}}`)
				s.hear() // a page is asked for, and the line breaks
			case 2:
				s.asks(t, `{"from":{"epoch":"e","offset":0},"presence":{"epoch":"q","offset":2}}`,
					`{"epoch":"e","offset":0,"recovered":true,"presence":{"count":1,"epoch":"q","offset":2}}`)
				s.members(t, `{"limit":100}`, `{"count":1,"members":[{"session":"","user":""}],"epoch":"q","offset":2}`)
				s.rest()
			}
		})
		s := subscribe(t, c, "a", &SubscribeOptions{Presence: Join})
		time.Sleep(time.Minute)
		if p := s.Presence(); !p.Complete() || sessions(p.Members()) != "" {
			t.Errorf("here are %q, complete: %v", sessions(p.Members()), p.Complete())
		}
	})
}

// A page that cannot be had for now is asked for again.
func TestMembersAreReadAgainWhenTheyCouldNotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			s.asks(t, `{"presence":"watch"}`, `{"epoch":"e","offset":0,"recovered":true,"presence":{"count":1,"epoch":"p","offset":5}}`)
			for range 2 {
				s.say(`{"type":"error","id":%d,"error":{"code":1504,"name":"unavailable","message":"try again","retry_after_ms":100}}`, s.hear().ID)
			}
			s.members(t, `{"limit":100}`, `{"count":1,"members":[{"session":"a"}],"epoch":"p","offset":5}`)
			s.rest()
		})
		s := subscribe(t, c, "a", &SubscribeOptions{Presence: Watch})
		time.Sleep(10 * time.Second)
		if p := s.Presence(); !p.Complete() || sessions(p.Members()) != "a" {
			t.Errorf("listed %q, complete: %v", sessions(p.Members()), p.Complete())
		}
	})
}

// Of a crowd the first are listed and all are counted.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			s.asks(t, `{"presence":"watch"}`, `{"epoch":"e","offset":0,"recovered":true,"presence":{"count":90000,"epoch":"p","offset":5}}`)
			s.members(t, `{"limit":2}`, `{"count":90000,"members":[{"session":"a"},{"session":"b"}],"next":"b","epoch":"p","offset":5}`)
			s.say(`{"type":"join","channel":"a","epoch":"p","offset":7,"members":[{"session":"c"},{"session":"d"}]}`)
			s.say(`{"type":"leave","channel":"a","epoch":"p","offset":8,"members":[{"session":"a"}]}`)
			time.Sleep(3 * time.Second)
			s.say(`{"type":"presence","channel":"a","epoch":"p","offset":9000,"payload":{"count":80000}}`)
			s.rest()
		})
		s := subscribe(t, c, "a", &SubscribeOptions{Presence: Watch, MaxMembers: 2})
		time.Sleep(time.Second)
		if p := s.Presence(); p.Count() != 90001 || sessions(p.Members()) != "b" || p.Complete() {
			t.Errorf("%d members, listed %s", p.Count(), sessions(p.Members()))
		}
		time.Sleep(4 * time.Second)
		if n := s.Presence().Count(); n != 80000 {
			t.Errorf("%d members", n)
		}
	})
}

// Those who have gone leave room for those who have come, where a list that was full is read again.
func TestMembersWhoHaveGoneLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			s.asks(t, `{"presence":"watch"}`, `{"epoch":"e","offset":0,"recovered":true,"presence":{"count":2,"epoch":"p","offset":5}}`)
			s.members(t, `{"limit":2}`, `{"count":2,"members":[{"session":"x","user":"u"},{"session":"y","user":"u"}],"epoch":"p","offset":5}`)
			time.Sleep(time.Second)
			s.say(`{"type":"gap","channel":"$presence:a","payload":{"from":6,"to":8,"reason":"slow_consumer"}}`)
			s.say(`{"type":"join","channel":"a","epoch":"p","offset":9,"members":[{"session":"early","user":"u"}]}`)
			s.say(`{"type":"join","channel":"a","epoch":"p","offset":12,"members":[{"session":"late","user":"u"}]}`)
			s.members(t, `{"limit":2}`, `{"count":1,"members":[{"session":"a","user":"u"}],"epoch":"p","offset":11}`)
			s.rest()
		})
		s := subscribe(t, c, "a", &SubscribeOptions{Presence: Watch, MaxMembers: 2})
		time.Sleep(2 * time.Second)
		if p := s.Presence(); sessions(p.Members()) != "a late" || !p.Complete() {
			t.Errorf("here are %s, complete: %v", sessions(p.Members()), p.Complete())
		}
	})
}
