package session

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

func TestComingsAndGoingsLeaveNothing(t *testing.T) {
	s := newStation(t)
	s.comeAndGo(2000)
	s.wantEmpty()
}

// station is a node where very many sessions come and go, some hundred at a time.
type station struct {
	*world
	r    *rand.Rand
	here []*client
	ids  int
}

func newStation(t *testing.T) *station {
	s := &station{r: rand.New(rand.NewPCG(1, 2))}
	s.world = newWorld(t, func(c *Config) {
		addLoop(c)
		c.Log = slog.New(slog.DiscardHandler)
		c.Limits.LostMembers = 200
		c.Rules, _ = rule.Compile(nil, rule.Rule{History: rule.History{Count: 100}, Presence: true})
	})
	s.methods["echo"] = func(_ context.Context, c Call) ([]byte, error) { return c.Payload, nil }
	s.methods["panic"] = func(context.Context, Call) ([]byte, error) { panic("a mistake") }
	return s
}

const rooms = 5

// room names one: they have from a few members to all that are here.
func (s *station) room() string {
	if s.r.IntN(3) == 0 {
		return "hall"
	}
	return fmt.Sprint("room:", s.r.IntN(rooms))
}

// comeAndGo has n sessions live their lives.
func (s *station) comeAndGo(n int) {
	for range n {
		s.come()
		for range s.r.IntN(4) {
			s.say(s.here[s.r.IntN(len(s.here))])
		}
		for len(s.here) > 300 || len(s.here) > 0 && s.r.IntN(3) == 0 {
			i := s.r.IntN(len(s.here))
			c := s.here[i]
			s.here[i] = s.here[len(s.here)-1]
			s.here = s.here[:len(s.here)-1]
			s.leave(c)
		}
		if s.r.IntN(20) == 0 {
			s.later(100 * time.Millisecond)
		}
	}
	for _, c := range s.here {
		s.leave(c)
	}
	s.here = nil
}

// later lets time go by, for the hub as well.
func (s *station) later(d time.Duration) {
	for ; d > 0; d -= time.Second {
		s.pass(min(d, time.Second))
		s.hub.Tick(s.now)
		s.settle()
	}
}

// come opens a session. Some are clients that have been here lately, or still are.
func (s *station) come() {
	s.ids++
	id := s.ids
	if s.r.IntN(3) == 0 {
		id -= s.r.IntN(min(id, 100))
	}
	c := s.dialOn(s.r.IntN(2))
	if s.r.IntN(5) > 0 {
		c.Receive(fmt.Appendf(nil, `{"type":"connect","payload":{"client":"c-%d","info":%d}}`, id, s.r.IntN(3)))
	}
	s.here = append(s.here, c)
	for range s.r.IntN(3) {
		s.say(c)
	}
}

// say has a client do one of the things that clients do, and seldom wait for what comes of it.
func (s *station) say(c *client) {
	room := s.room()
	for _, text := range [][]string{
		{`{"type":"subscribe","id":1,"channel":%q,"payload":{"presence":true}}`},
		{`{"type":"subscribe","id":2,"channel":%q,"payload":{"presence":true,"from":{"last":10}}}`},
		{`{"type":"subscribe","id":3,"channel":%q,"payload":{"presence":"watch"}}`, `{"type":"unsubscribe","channel":%q}`},
		{`{"type":"subscribe","id":4,"channel":%q}`, `{"type":"publish","id":5,"channel":%q,"payload":{"a":1}}`},
		{`{"type":"unsubscribe","id":6,"channel":%q}`},
		{`{"type":"publish","channel":%q,"payload":2,"echo":false}`},
		{`{"type":"presence","id":7,"channel":%q,"payload":{"limit":3}}`, `{"type":"history","id":8,"channel":%q}`},
		{`{"type":"connect","payload":{"info":{"of":%q}}}`},
		{`{"type":"call","id":9,"method":"echo","payload":%q}`},
		{`{"type":"call","id":9,"method":"panic","payload":%q}`},
		{`{"type":"subscribe","id":%q,"channel":"`},
	}[s.r.IntN(11)] {
		c.Receive(fmt.Appendf(nil, text, room))
	}
	switch s.r.IntN(4) {
	case 0:
		s.settle()
	case 1:
		s.tasks.run()
	case 2:
		c.write(s.r.IntN(4000)) // ends within a frame
	}
}

// leave ends a session in one of the ways they end.
func (s *station) leave(c *client) {
	switch s.r.IntN(4) {
	case 0:
		s.say(c) // which is under way when the line breaks
	case 1:
		c.Goodbye(1001)
		s.settle()
	case 2:
		c.Drain(time.Second)
	}
	c.Closed([]int{1000, 1001, 1005, 1006, 1006, 4001, 4002, 4202}[s.r.IntN(8)], "")
}

// wantEmpty waits until everything that is to end has, and looks for what is left.
func (s *station) wantEmpty() {
	s.t.Helper()
	s.later(40 * time.Second)
	stats := s.hub.Stats()
	if stats.Cursors != 0 || stats.Channels != 0 || stats.WindowBytes != 0 || stats.FrameBytes != 0 {
		s.t.Errorf("the hub holds %+v", stats)
	}
	members := s.members("hall")
	for i := range rooms {
		members += s.members(fmt.Sprint("room:", i))
	}
	if members != 0 {
		s.t.Errorf("%d members are left", members)
	}
	s.wantNothingWaits()
	for i, sh := range s.node.shards {
		if n := sh.Counters.Sessions.Load(); n != 0 || len(sh.sessions) != 0 || len(sh.owing) != 0 {
			s.t.Errorf("loop %d counts %d sessions, holds %d, owes %d positions", i, n, len(sh.sessions), len(sh.owing))
		}
		if n := len(s.loops[i].timers); n != 0 {
			s.t.Errorf("loop %d has %d timers", i, n)
		}
	}
	page, err := s.node.Members(context.Background(), "hall", &dialect.PresenceArgs{})
	if err != nil || page.Count != 0 || len(page.Members) != 0 {
		s.t.Errorf("the hall has %+v (%v)", page, err)
	}
}
