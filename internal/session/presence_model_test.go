package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hocket.dev/broker"
)

// TestPresenceConverges has clients come, go, vanish, tell about themselves and come back elsewhere at random, on nodes
// whose broker fails at random. Whoever watches is told a join and a leave in turn of each, and in the end knows exactly
// who is there. A seed that fails is one line to run again.
func TestPresenceConverges(t *testing.T) {
	for seed := range uint64(120) {
		if t.Run(fmt.Sprint(seed), func(t *testing.T) { converge(t, seed) }); t.Failed() {
			return
		}
	}
}

// person is a client and what it means to be.
type person struct {
	id   string
	line *client // nil while it has none
	info int
}

func converge(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	c := newCluster(t, 2, func(cfg *Config) { cfg.Limits.LostMembers = 4 })
	watchers := []*watcher{c.nodes[0].watch("room"), c.nodes[1].watch("room")}
	faulty := false
	for _, w := range c.nodes {
		w.of().fault = func(e *broker.Entry) fault {
			if !faulty || r.IntN(2) == 0 {
				return works
			}
			return fault(r.IntN(int(delays) + 1))
		}
	}
	people := make([]*person, 6)
	for i := range people {
		people[i] = &person{id: fmt.Sprint(i)}
	}
	for range 60 {
		faulty = r.IntN(3) == 0
		people[r.IntN(len(people))].act(r, c)
		for range r.IntN(3) { // some of what is due, in any order of the nodes
			w := c.nodes[r.IntN(2)]
			w.tasks.run()
			w.loops[r.IntN(2)].run()
		}
		if r.IntN(4) == 0 {
			c.pass(time.Duration(r.IntN(70)) * 100 * time.Millisecond)
		}
		for _, w := range watchers {
			w.read()
		}
	}
	faulty = false
	c.pass(30 * time.Second)
	want := make(map[string]string)
	for _, p := range people {
		if p.line != nil && slices.ContainsFunc(p.line.subs, func(sub *subscription) bool { return sub.member != nil }) {
			want[p.line.Name()] = fmt.Sprint(p.info)
		}
	}
	for i, w := range watchers {
		w.read()
		if fmt.Sprint(w.here) != fmt.Sprint(want) {
			t.Errorf("watcher %d knows %v, there are %v\nit was told %v", i, w.here, want, w.told)
		}
	}
	if n := c.nodes[0].members("room"); n != len(want) {
		t.Errorf("%d members, want %d", n, len(want))
	}
}

// act does one thing that people do.
func (p *person) act(r *rand.Rand, c *cluster) {
	c.set(c.now.Add(time.Millisecond)) // sessions of one client do not begin at the same time
	for _, w := range c.nodes {
		w.set(c.now)
	}
	switch do := r.IntN(8); {
	case p.line == nil:
		p.info = r.IntN(2) + 1
		p.line = c.nodes[r.IntN(2)].dialOn(r.IntN(2))
		p.line.Receive(fmt.Appendf(nil, `{"type":"connect","payload":{"client":%q,"info":%d}}`, p.id, p.info))
		if r.IntN(4) > 0 {
			p.line.Receive([]byte(`{"type":"subscribe","channel":"room","payload":{"presence":true}}`))
		}
	case do < 2:
		p.line.Receive([]byte(`{"type":"subscribe","channel":"room","payload":{"presence":true}}`))
	case do < 3:
		p.line.Receive([]byte(`{"type":"unsubscribe","channel":"room"}`))
	case do < 5:
		p.info = r.IntN(5) + 1
		p.line.Receive(fmt.Appendf(nil, `{"type":"connect","payload":{"info":%d}}`, p.info))
	case do < 6:
		p.line.Closed([]int{1000, 1006, 4001}[r.IntN(3)], "")
		p.line = nil
	default: // the line is lost, and comes again before anybody has noticed
		old := p.line
		p.line = c.nodes[r.IntN(2)].dialOn(r.IntN(2))
		p.line.Receive(fmt.Appendf(nil, `{"type":"connect","payload":{"client":%q,"info":%d}}`, p.id, p.info))
		p.line.Receive([]byte(`{"type":"subscribe","channel":"room","payload":{"presence":true}}`))
		if r.IntN(2) == 0 {
			c.pass(time.Duration(r.IntN(20)) * 100 * time.Millisecond)
		}
		old.Closed(1006, "")
	}
}
