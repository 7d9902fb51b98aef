package sim

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"hocket.dev/wire"
)

// An actor is a client that speaks the protocol by hand. It lives several times: what it knows it keeps.
type actor struct {
	w      *world
	name   string
	user   string
	hand   string // which of the user's clients it is: others may choose the same names for what they publish
	client string // id, the same in all lives; "" for a client without
	dice   dice
	lives  int // sessions, one after another
	busy   int // things it does in each, at most
	rests  time.Duration
	line   quality // of its connections
	rate   int     // how many bytes it reads a second, 0 for as they come

	// mu guards the rest; it is not held while anything blocks.
	mu      sync.Mutex
	socket  *socket // nil while there is no connection
	session string
	info    string // what it tells of itself, in JSON
	life    *lifetime
	born    chan struct{} // closed when the server has said "connected"
	lastID  uint64
	asks    map[uint64]ask // by id, of requests that are open
	places  map[string]*place
	been    map[string]bool // names of sessions it was
	beats   bool            // it wants heartbeats that it can see
	blind   bool            // on this connection it has published to a key without echo
	growing *growing        // what is being published is a part of, nil for nothing
	pending []*publication  // that have not been answered and may be sent again
	seq     uint64
	count   int
}

// A place is what an actor knows of a channel.
type place struct {
	channel string
	run     *run // the last one
	live    bool // subscribed on this connection
	asking  bool // a subscribe or unsubscribe has not been answered
	wanted  bool // to be followed at the end
	at      position
	placed  bool
	mirror  map[string]value // of a keyed channel, nil when it is not known whole
	watch   *watch           // nil while it is not told who comes and goes
	resumes *position        // from where it asked to be told that, nil for from now on
	doubted bool             // the state that was asked for is no more to be relied on
	roster  *roster          // of a channel with presence, nil when it is not known
}

func newActor(w *world, n int) *actor {
	a := &actor{
		w: w, name: fmt.Sprintf("a%d", n), dice: throw(w.seed, "actor", uint64(n)),
		places: make(map[string]*place), been: make(map[string]bool), line: w.profile.quality,
	}
	a.lives, a.busy, a.rests = w.profile.lives, w.profile.busy, 600*time.Millisecond
	if n >= w.profile.hands { // one who looks in now and again
		a.lives, a.busy, a.rests = a.dice.between(15, 40), 2, 200*time.Millisecond
	}
	if a.dice.chance(80) {
		a.client = a.name + "-client"
	}
	if a.dice.chance(40) {
		a.user = fmt.Sprintf("u%d", n/2) // who may have another client
		a.hand = fmt.Sprint(n % 2)
	}
	for _, c := range w.profile.channels {
		a.places[c] = &place{channel: c, wanted: a.dice.chance(70)}
	}
	return a
}

// live lives through all lives, until the world grows calm, and once more until it ends.
func (a *actor) live() {
	d := &a.dice
	time.Sleep(d.time(0, a.w.profile.lasts/4))
	for range a.lives {
		if a.w.isCalm() {
			break
		}
		if a.connect() {
			a.act()
			a.part()
		}
		time.Sleep(d.time(time.Millisecond, a.rests))
	}
	a.w.awaitCalm()
	time.Sleep(d.time(time.Millisecond, time.Second))
	for !a.connect() {
		time.Sleep(d.time(100*time.Millisecond, time.Second))
	}
	for !a.w.isEnding() {
		a.settle()
		time.Sleep(d.time(200*time.Millisecond, 400*time.Millisecond))
	}
}

// connect begins a life. It answers false when the server could not be reached.
func (a *actor) connect() bool {
	s, err := a.w.dialSocket(a.line)
	if err != nil {
		a.w.note(a.name, "could not connect: "+err.Error())
		return false
	}
	born := make(chan struct{})
	a.mu.Lock()
	a.info = "null"
	s.rate = a.rate
	a.socket, a.session, a.born, a.asks = s, "", born, make(map[uint64]ask)
	a.life = &lifetime{who: a.name, stays: a.client != "", began: a.w.now()}
	life := a.life
	a.mu.Unlock()
	a.w.set(func() { a.w.lives = append(a.w.lives, life) })
	gone := make(chan struct{})
	a.w.acting.Go(func() {
		defer close(gone)
		err := s.read(func(msg []byte, handed stamp) { a.got(s, msg, handed) })
		a.parted(life, err)
		a.lost(s, err)
	})
	select {
	case <-born:
	case <-gone:
		return false
	case <-time.After(6 * time.Second):
		_ = s.nc.Close()
		<-gone
		return false
	}
	a.beats = a.dice.chance(30)
	hello := map[string]any{"heartbeat": a.beats}
	if a.client != "" {
		hello["client"] = a.client
	}
	if a.user != "" {
		hello["user"] = a.user
	}
	if a.dice.chance(50) {
		hello["info"] = a.dice.n(1000)
	}
	a.request(map[string]any{"type": "connect", "payload": hello}, func(in *incoming) {
		a.named(in)
		if info, tells := hello["info"]; tells && in.Error == nil {
			a.info = fmt.Sprint(info)
		}
	})
	a.again()
	return true
}

// request sends a request; answered is called with the lock held, and not at all when the connection is lost before.
func (a *actor) request(what map[string]any, answered func(in *incoming)) {
	a.mu.Lock()
	s := a.socket
	a.lastID++
	what["id"] = a.lastID
	if s != nil {
		a.asks[a.lastID] = ask{a.w.now(), answered}
	}
	a.mu.Unlock()
	if s == nil {
		return
	}
	b, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	a.w.note(a.name, "> "+string(b))
	if s.write(wire.Text, b) != nil {
		_ = s.nc.Close()
	}
}

// got takes a message that the server let go of at some moment.
func (a *actor) got(s *socket, msg []byte, handed stamp) {
	a.w.note(a.name, "< "+string(msg))
	in := incoming{handed: handed.after.Sub(a.w.start), sentBy: handed.before.Sub(a.w.start)}
	if err := json.Unmarshal(msg, &in); err != nil {
		a.w.fault("", a.name, a.w.now(), "a message is no JSON: %v", err)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.socket != s {
		return
	}
	a.w.count(func(c *Counts) { c.Messages++ })
	a.life.hears(in.handed)
	a.advise(&in)
	switch in.Type {
	case "connected":
		a.named(&in)
		a.w.count(func(c *Counts) { c.Sessions++ })
		close(a.born)
	case "reply", "error", "pong":
		a.answered(&in)
	case "message", "position", "gap", "unsubscribed":
		a.brought(&in)
	case "join", "leave", "update":
		a.people(&in)
	case "reconnect":
		a.sentAway(s, &in)
	case "ping":
		s.beat.Store(int64(a.w.now()))
	}
}

// named learns the name of the session: a client that names itself has one of its own, as soon as it has.
func (a *actor) named(in *incoming) {
	var hi struct {
		Session, User, Node string
		Ping                int64 `json:"ping_ms"`
	}
	_ = json.Unmarshal(in.Payload, &hi)
	if user := hi.User; in.Error == nil && (hi.Node != node || hi.Ping != pingEvery.Milliseconds() || user != a.user && in.ID != nil) {
		a.w.fault("", a.name, a.w.now(), "told that it is %q on %q, which pings every %d ms", user, hi.Node, hi.Ping)
	}
	if hi.Session != "" {
		a.session, a.been[hi.Session] = hi.Session, true
		a.life.names = append(a.life.names, hi.Session)
		if in.ID != nil && a.life.named == 0 {
			a.life.named = a.w.now()
		}
	}
}

// has says that a connection is the one that the client has.
func (a *actor) has(s *socket) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.socket == s
}

func (a *actor) answered(in *incoming) {
	if in.ID == nil {
		if in.Error != nil && in.Error.Code != codeUnavailable {
			a.w.fault(in.Channel, a.name, a.w.now(), "an error that nobody asked for: %d %s", in.Error.Code, in.Error.Name)
		}
		return
	}
	open, is := a.asks[*in.ID]
	if !is {
		a.w.fault(in.Channel, a.name, a.w.now(), "request %d was answered twice, or never made", *in.ID)
		return
	}
	delete(a.asks, *in.ID)
	open.answered(in)
}

// lost ends a life: what was live is not any more.
func (a *actor) lost(s *socket, err error) {
	a.farewell(s, err)
	_ = s.nc.Close()
	a.w.note(a.name, fmt.Sprintf("the connection ended: %v", err))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.socket != s {
		return
	}
	a.leaveAll("the connection ended")
}

// leaveAll notes that nothing is followed any more. The lock is held.
func (a *actor) leaveAll(why string) {
	a.socket, a.life.over = nil, true
	for _, p := range a.places {
		p.end(a.w, why)
		p.asking = false
	}
	if a.blind { // what it wrote itself it is not told, and the answer may be lost
		for _, p := range a.places {
			p.mirror = nil
		}
		a.blind = false
	}
}

// end notes that the subscription is over.
func (p *place) end(w *world, why string) {
	p.watch = nil
	if p.live {
		p.live = false
		p.run.ended, p.run.endedAt = why, w.now()
	}
}

// part ends a life in one of the ways that clients go.
func (a *actor) part() {
	a.mu.Lock()
	s := a.socket
	if s == nil {
		a.mu.Unlock()
		return
	}
	kind := a.dice.n(10)
	by := pick(&a.dice, leaves)
	if a.life.going = a.w.now(); kind < 4 {
		a.life.code, a.life.clean = by.code, by.means
	}
	a.mu.Unlock()
	switch {
	case kind < 4:
		a.w.note(a.name, fmt.Sprintf("closes with %d", by.code))
		s.link.mar()
		if s.write(wire.Close, wire.AppendClosePayload(nil, by.code, "")) == nil {
			time.Sleep(a.dice.time(time.Millisecond, 500*time.Millisecond))
		}
	case kind < 6:
		a.w.note(a.name, "cuts the line")
		s.link.cut()
		a.mu.Lock()
		a.life.cut = true
		a.mu.Unlock()
	case kind < 8:
		a.w.note(a.name, "vanishes")
		s.link.vanish()
	case kind < 9:
		a.w.note(a.name, "ends its half")
		_ = s.nc.CloseWrite()
		time.Sleep(a.dice.time(time.Millisecond, 100*time.Millisecond))
	}
	_ = s.nc.Close() // and the reader tells of the end
	a.mu.Lock()
	a.leaveAll("this client left")
	a.mu.Unlock()
}
