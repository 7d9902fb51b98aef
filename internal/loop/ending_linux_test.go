package loop

import (
	"testing"
	"time"
)

// Who is alive is served before those that were cut off earlier, also when there is no time for all of these.
func TestWhoIsAliveNeedNotWaitForWhoIsCutOff(t *testing.T) {
	b := newBench(t, drivers[0])
	const conns = 40
	owners := make([]owner, conns)
	dead := func() (n int) {
		for i := range owners {
			if owners[i].state.has(closed) {
				n++
			}
		}
		return n
	}
	var alive owner
	seen := make(chan int, 2) // how many were found dead when each byte was read
	alive.read = func(p []byte) {
		for range p {
			seen <- dead()
		}
	}
	client := b.attach(t, &alive)
	clients := make([]interface{ Close() error }, conns)
	for i := range owners {
		clients[i] = b.attach(t, &owners[i])
	}
	var again func()
	again = func() {
		if dead() == 0 {
			b.Post(again)
			return
		}
		mustWrite(t, client, "2")
	}
	b.do(func() { // all of this is there when the turn ends
		for _, c := range clients {
			c.Close()
		}
		mustWrite(t, client, "1")
		var now time.Duration
		b.cfg.now = func() time.Duration { now += b.cfg.TurnBudget / 8; return now } // each look at it takes as long
		b.Post(again)
	})
	if n := <-seen; n != 0 {
		t.Errorf("%d were served before who is alive", n)
	}
	if n := <-seen; n > conns/8 { // a look takes an eighth of the budget: in a turn they have time for two or three
		t.Errorf("%d that are cut off were served before who has come since", n)
	}
	for left := conns; left > 0; {
		b.do(func() { left = conns - dead() })
	}
	b.wantCalm(t)
}
