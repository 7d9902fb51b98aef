package sim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"hocket.dev/wire"
)

// act does things for a life.
func (a *actor) act() {
	d := &a.dice
	for range d.between(1, a.busy) {
		if a.w.isCalm() || !a.connected() {
			return
		}
		switch kind := d.n(100); {
		case kind < 34:
			a.publish(pick(d, a.w.profile.channels))
		case kind < 42:
			channel := pick(d, a.w.profile.channels)
			if kinds[channel].keys > 0 && d.chance(60) {
				a.grow(channel)
				break
			}
			for range d.between(2, 12) {
				a.publish(channel)
			}
		case kind < 68:
			a.subscribe(a.places[pick(d, a.w.profile.channels)])
		case kind < 76:
			a.unsubscribe(a.places[pick(d, a.w.profile.channels)])
		case kind < 84:
			a.history(pick(d, a.w.profile.channels))
		case kind < 89:
			if a.roll(a.places[crowd]); d.chance(50) {
				a.members(&memberReading{who: a.name, limit: d.between(1, 4)}, "", d.between(1, 3))
			}
		case kind < 91 && slices.Contains(a.w.profile.channels, board):
			a.state(board)
		case kind < 93:
			a.rest(d.time(100*time.Millisecond, 5*time.Second))
		case kind < 95 && !a.asking(crowd): // a change of what is not there yet may become a ghost, where the join fails
			if a.tell(d.n(1000)); d.chance(50) {
				a.tell(d.n(1000)) // before the first one is written
			}
		}
		if d.chance(70) {
			time.Sleep(d.time(time.Microsecond, pick(d, []time.Duration{5 * time.Millisecond, 300 * time.Millisecond})))
		}
	}
}

func (a *actor) connected() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.socket != nil
}

func (a *actor) asking(channel string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.places[channel].asking
}

// rest does not read for a while.
func (a *actor) rest(d time.Duration) {
	a.mu.Lock()
	s := a.socket
	a.mu.Unlock()
	if s != nil {
		a.w.note(a.name, "reads nothing for "+d.String())
		s.pause(d)
	}
}

// settle sees to it that in the end all is followed that is wanted, and everything was sent.
func (a *actor) settle() {
	if !a.connected() {
		a.connect()
	}
	a.mu.Lock()
	idle := len(a.asks) == 0
	a.mu.Unlock()
	if idle {
		a.again()
	}
	if a.leavesOnce() {
		a.unsubscribe(a.places[pick(&a.dice, a.w.profile.channels)])
	}
	for _, c := range a.w.profile.channels {
		if p := a.places[c]; p.wanted {
			a.subscribe(p)
		}
	}
	a.roll(a.places[crowd])
	if a.changes() { // the second change comes before the first is written
		a.tell(a.dice.n(1000))
		a.tell(a.dice.n(1000))
	}
}

// changes says once in a life that the client is a member, and may tell something else of itself.
func (a *actor) changes() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.places[crowd]
	if !p.live || !p.run.member || a.life.changed {
		return false
	}
	a.life.changed = true
	return a.dice.chance(60) // else it stays as it came
}

// grow has the value of a key grow part by part, as a text does that is being written.
func (a *actor) grow(channel string) {
	d := &a.dice
	text := &growing{fmt.Sprintf("k%d", d.n(kinds[channel].names)), tags(d)}
	for range d.between(3, 10) {
		a.mu.Lock()
		a.growing = text
		a.mu.Unlock()
		a.publish(channel)
		if d.chance(30) {
			time.Sleep(d.time(time.Microsecond, 150*time.Millisecond))
		}
	}
	a.mu.Lock()
	a.growing = nil
	a.mu.Unlock()
}

// growing is what the parts of a text have in common.
type growing struct {
	key  string
	tags map[string]string
}

// publish sends something new.
func (a *actor) publish(channel string) {
	d := &a.dice
	a.mu.Lock()
	a.count++
	p := &publication{
		who: a.name, text: fmt.Sprintf("%s.%d;", a.name, a.count), channel: channel, op: "set", echo: !d.chance(30),
		user: a.user, sentAt: a.w.now(),
	}
	what := map[string]any{"type": "publish", "channel": channel}
	k := kinds[channel]
	if d.chance(k.keys) {
		p.key = a.pickKey(&k)
		p.op = pick(d, []string{"set", "set", "append", "append", "delete"})
		what["key"], what["op"] = p.key, p.op
	}
	if g := a.growing; g != nil {
		p.key, p.op, p.tags, p.echo = g.key, "append", g.tags, true
		what["key"], what["op"] = p.key, p.op
	}
	if k.scored && p.op != "delete" {
		p.score = float64(d.n(9)-3) / 2
		what["score"] = p.score
	}
	if p.op != "delete" && d.chance(k.ephemeral) {
		what["ephemeral"] = true
		a.w.set(func() { a.w.ephemeral[p.text] = true })
	}
	if p.op != "delete" && d.chance(k.fleeting) {
		ms := pick(d, lifetimes) + d.n(50)
		p.ttl, what["ttl_ms"] = time.Duration(ms)*time.Millisecond, ms
	}
	a.fill(p, what)
	if !p.echo {
		what["echo"] = false
	}
	if p.tags == nil {
		p.tags = tags(d)
	}
	what["tags"] = p.tags
	if d.chance(12) {
		p.conditional, p.expect = true, a.guess(p)
		what["expect"] = p.expect
	}
	switch named := d.n(3); {
	case named == 0 && a.client != "":
		a.seq++
		p.seq, what["seq"] = a.seq, a.seq
	case named == 1:
		p.name = fmt.Sprintf("%s.%d", a.hand, a.count)
		what["idempotency_key"] = p.name
	}
	if p.name != "" && (a.user != "" || a.client != "") || p.seq > 0 {
		a.pending = append(a.pending, p)
	}
	p.body, _ = json.Marshal(what)
	a.mu.Unlock()
	a.w.mu.Lock()
	a.w.sent = append(a.w.sent, p)
	a.w.counts.Publishes++
	a.w.mu.Unlock()
	a.send(p)
}

// fill draws what a publish carries: a text or, at times, bytes, which are no part of a text.
func (a *actor) fill(p *publication, what map[string]any) {
	d, text := &a.dice, p.text
	if d.chance(a.w.profile.fat) {
		text += strings.Repeat("x", d.n(4000))
	}
	p.payload, what["payload"] = `"`+text+`"`, text
	if (p.key == "" || d.chance(20)) && d.chance(15) {
		p.binary, p.payload = true, text
		what["payload"], what["encoding"] = base64.StdEncoding.EncodeToString([]byte(text)), "base64"
	}
}

var lifetimes = []int{1, 50, 400, 2000, 6000} // milliseconds, and some more

// guess is what the newest entry of the channel, or key, may be, as far as this client knows.
func (a *actor) guess(p *publication) uint64 {
	at := a.places[p.channel]
	if p.key != "" {
		return at.mirror[p.key].offset
	}
	return at.at.Offset
}

// send makes an attempt at a publish.
func (a *actor) send(p *publication) {
	a.mu.Lock()
	s := a.socket
	if s == nil || a.session == "" {
		a.mu.Unlock()
		return
	}
	a.lastID++
	id := a.lastID
	p.sessions = append(p.sessions, a.session)
	p.tries = append(p.tries, try{a.life, id})
	sentAt := a.w.now()
	a.blind = a.blind || kinds[p.channel].state && !p.echo
	a.asks[id] = ask{sentAt, func(in *incoming) { a.published(p, in, sentAt) }}
	a.mu.Unlock()
	a.w.set(func() {
		if _, before := a.w.writers[p.text]; before {
			a.w.writers[p.text] = nil
		} else {
			a.w.writers[p.text] = a.life
		}
	})
	b := fmt.Appendf(nil, `{"id":%d,%s`, id, p.body[1:])
	a.w.note(a.name, "> "+string(b))
	if s.write(wire.Text, b) != nil {
		_ = s.nc.Close()
	}
}

// unseen begins anew with the state of a keyed channel, as this client is not told of what it publishes there without echo.
func (a *actor) unseen(p *publication) {
	if !kinds[p.channel].state || p.echo {
		return
	}
	a.doubt(a.places[p.channel])
}

// doubt gives up what is known of a state, also of one that has been asked for: it may have been read before.
func (a *actor) doubt(at *place) {
	at.mirror, at.doubted = nil, at.asking
	if at.live {
		a.w.acting.Go(func() { a.unsubscribe(at) })
	}
}

func (a *actor) settled(p *publication) {
	for i, q := range a.pending {
		if q == p {
			a.pending = append(a.pending[:i:i], a.pending[i+1:]...)
			return
		}
	}
}

// again sends what was not answered, or gives it up.
func (a *actor) again() {
	a.mu.Lock()
	pending := a.pending
	a.pending = nil
	for _, p := range pending {
		if !a.dice.chance(15) {
			a.pending = append(a.pending, p)
		}
	}
	pending = a.pending
	a.mu.Unlock()
	for _, p := range pending {
		a.send(p)
	}
}

// history reads a part of a log.
func (a *actor) history(channel string) {
	d := &a.dice
	a.mu.Lock()
	at := a.places[channel].at
	a.mu.Unlock()
	r := &reading{who: a.name, channel: channel, limit: d.between(1, 40), askedAt: a.w.now()}
	args := map[string]any{"limit": r.limit}
	switch d.n(3) {
	case 0:
		r.after, r.hasAfter = at.Offset, true
		args["after"] = at.Offset
	case 1:
		r.before = at.Offset + 1
		args["before"] = r.before
	}
	goesOn, which := d.chance(50), d.n(r.limit)
	a.request(map[string]any{"type": "history", "channel": channel, "payload": args}, func(in *incoming) {
		if in.Error != nil {
			if !a.w.excuses(in.Error) {
				a.w.fault(channel, a.name, a.w.now(), "history was answered with %d %s", in.Error.Code, in.Error.Name)
			}
			return
		}
		r.answeredAt = a.w.now()
		_ = json.Unmarshal(in.Payload, &r.page)
		a.w.mu.Lock()
		a.w.readings = append(a.w.readings, r)
		a.w.mu.Unlock()
		if n := len(r.page.Messages); n > 0 && goesOn {
			a.goOnFrom(a.places[channel], position{r.page.Epoch, r.page.Messages[which%n].Offset})
		}
	})
}

// goOnFrom has the client follow a channel from an entry of its history the next time, wherever it has been. The lock is held.
func (a *actor) goOnFrom(p *place, at position) {
	if !p.live && !p.asking && !kinds[p.channel].state {
		p.at, p.placed, p.mirror = at, true, nil
	}
}

// A reading is a page of history that a client asked for.
type reading struct {
	who, channel        string
	after, before       uint64
	hasAfter            bool
	limit               int
	askedAt, answeredAt time.Duration
	page                struct {
		position
		Messages []incoming
		More     bool
	}
}
