package sim

import (
	"encoding/json"
	"time"

	"hocket.dev/wire"
)

// drain is the time over which a node that ends asks clients to come back.
const drain = 300 * time.Millisecond

// A leave is a code with which a client closes, and whether it means to go by that, or will come back.
type leave struct {
	code  wire.CloseCode
	means bool
}

var leaves = []leave{
	{wire.CloseNormal, true}, {wire.CloseNormal, true}, {wire.CloseGoingAway, true}, {wire.CloseNoStatus, true}, {3000, false}, {3999, false},
}

// parted notes how the server has answered the close of a life's client. Where the client will come back, that is a line that
// has broken, and both sides know it.
func (a *actor) parted(l *lifetime, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l.code != 0 && err == (errEnded{l.code}) {
		l.answered, l.cut = true, !l.clean
	}
}

// sentAway takes the server's wish that the client come back later. The lock is held.
func (a *actor) sentAway(s *socket, in *incoming) {
	var to struct {
		AfterMS int64 `json:"after_ms"`
	}
	if json.Unmarshal(in.Payload, &to) != nil || to.AfterMS < 0 || to.AfterMS > drain.Milliseconds() {
		a.w.fault("", a.name, a.w.now(), "asked to come back after %s, within %v", in.Payload, drain)
	}
	s.away = true
}

// leavesOnce says in some lives, once, that the client leaves a channel when all is calm.
func (a *actor) leavesOnce() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.life.turned || a.w.now() < a.life.began+2*time.Second {
		return false
	}
	a.life.turned = true
	return a.dice.chance(50)
}
