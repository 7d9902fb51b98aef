package sim

import (
	"encoding/json"
	"time"
)

// subscribe follows a channel, where that is neither so nor under way.
func (a *actor) subscribe(p *place) {
	d := &a.dice
	a.mu.Lock()
	if p.live || p.asking || a.socket == nil || a.session == "" {
		a.mu.Unlock()
		return
	}
	p.asking = true
	r := &run{who: a.name, channel: p.channel, session: a.session, client: a.client, askedAt: a.w.now()}
	args := map[string]any{}
	r.kind = pick(d, []int{fromLive, fromLast, fromSince, fromPosition, fromPosition, fromPosition, fromPosition})
	if r.kind == fromPosition && !p.placed {
		r.kind = pick(d, []int{fromLive, fromLast})
	}
	state := kinds[p.channel].state
	if state && (r.kind < fromPosition || !p.whole()) {
		r.kind = fromState
	}
	switch r.kind {
	case fromLast:
		r.last = d.between(0, 60)
		args["from"] = map[string]any{"last": r.last}
	case fromSince:
		r.since = d.time(time.Millisecond, 10*time.Second).Truncate(time.Millisecond)
		if _, f := a.w.truth.recent(p.channel, d); f != nil && d.chance(50) {
			r.since = max(a.w.start.Add(r.askedAt).Sub(time.UnixMilli(f.Time)).Truncate(time.Millisecond), time.Millisecond) // just that one
		}
		args["from"] = map[string]any{"since_ms": r.since.Milliseconds()}
	case fromPosition:
		if r.asked = p.at; d.chance(6) {
			r.asked = p.at.other(d, state)
		}
		args["from"] = r.asked
		if state { // what it has not got of the state may have changed since
			args["from"], r.wants = map[string]any{"epoch": r.asked.Epoch, "offset": r.asked.Offset, "state": true}, true
		}
	case fromState:
		args["from"] = "state"
	}
	if !state && d.chance(30) {
		r.filter = someFilter(d)
		args["filter"] = r.filter
	}
	if p.channel == crowd {
		a.attend(p, r, args)
	}
	s := a.socket
	a.mu.Unlock()
	a.request(map[string]any{"type": "subscribe", "channel": p.channel, "payload": args}, func(in *incoming) {
		if a.socket == s {
			a.subscribed(p, r, in)
		}
	})
}

// other is a position that no client can have, or one at the beginning of the log. From there a client is not told what it has
// written itself, so of a state it would not have all.
func (at position) other(d *dice, state bool) position {
	switch kind := d.n(3); {
	case kind == 0:
		return position{at.Epoch, at.Offset + 1 + uint64(d.n(1<<20))} // the future
	case kind == 1 || state:
		return position{"nowhere", at.Offset}
	}
	return position{at.Epoch, 0}
}

// whole says that the mirror of a keyed channel is surely all of its state at the client's position: a transfer that was cut
// begins anew.
func (p *place) whole() bool {
	return p.mirror != nil && (p.run.kind != fromState || p.at.Offset >= p.run.Offset)
}

// subscribed takes the answer. The lock is held, as in the methods below.
func (a *actor) subscribed(p *place, r *run, in *incoming) {
	p.asking = false
	if in.Error != nil {
		a.life.parted(p.channel, a.w.now())
		if !a.w.excuses(in.Error) {
			a.w.fault(p.channel, a.name, a.w.now(), "subscribe was answered with %d %s", in.Error.Code, in.Error.Name)
		}
		return
	}
	var reply struct {
		position
		Recovered bool
		Presence  *struct {
			position
			Count int
		}
	}
	_ = json.Unmarshal(in.Payload, &reply)
	r.session = a.session // by now it has the name of its client
	r.position, r.recovered, r.repliedAt = reply.position, reply.Recovered, a.w.now()
	p.run, p.live = r, true
	if r.member && a.life.joined == 0 {
		a.life.joined = r.repliedAt
	}
	switch {
	case r.kind == fromState:
		p.mirror, p.placed, p.at = make(map[string]value), true, position{reply.Epoch, 0}
	case r.kind == fromPosition && r.recovered:
		p.at = r.asked
	case r.wants: // the whole state follows
		r.kind = fromState
		p.mirror, p.at = make(map[string]value), position{reply.Epoch, 0}
	default:
		p.mirror = nil
		p.at, p.placed = reply.position, r.kind == fromLive
	}
	a.w.mu.Lock()
	a.w.runs = append(a.w.runs, r)
	a.w.mu.Unlock()
	if p.doubted && kinds[p.channel].state {
		a.doubt(p)
	}
	p.doubted = false
	if reply.Presence != nil {
		count := &memberReading{who: a.name, askedAt: r.askedAt, answeredAt: r.repliedAt, alone: true}
		if r.member {
			count.self = a.session
		}
		count.page.position, count.page.Count = reply.Presence.position, reply.Presence.Count
		a.w.set(func() { a.w.members = append(a.w.members, count) })
		a.attended(p, reply.Presence.position)
	}
}

// brought takes what a subscription brings.
func (a *actor) brought(in *incoming) {
	if in.Channel == presence+crowd { // a gap in who is present: ask again
		if p := a.places[crowd]; p.roster != nil {
			if p.watch != nil {
				p.watch.news = append(p.watch.news, in)
			}
			p.roster = &roster{epoch: p.roster.epoch}
		}
		return
	}
	p := a.places[in.Channel]
	if p == nil || !p.live {
		a.w.fault(in.Channel, a.name, a.w.now(), "a %s came for a channel that is not followed", in.Type)
		return
	}
	if in.Type == "unsubscribed" {
		var why failure
		_ = json.Unmarshal(in.Payload, &why)
		if !a.w.excuses(&why) {
			a.w.fault(in.Channel, a.name, a.w.now(), "unsubscribed with %d %s", why.Code, why.Name)
		}
		p.end(a.w, "unsubscribed")
		a.life.parted(p.channel, a.w.now())
		return
	}
	it := in.item(a.w.now())
	p.run.items = append(p.run.items, it)
	switch it.kind {
	case gotMessage, gotPosition:
		p.at, p.placed = position{p.run.Epoch, it.offset}, true
	case gotGap:
		if it.reason == withoutKey {
			break
		}
		p.mirror = nil // what it held may have been changed by what is missing
		if kinds[p.channel].state {
			a.w.acting.Go(func() { a.unsubscribe(p) })
		}
	}
	if it.kind == gotMessage && it.key != "" && p.mirror != nil {
		apply(p.mirror, it.key, it.op, it.payload, it.offset)
	}
}

// unsubscribe leaves a channel.
func (a *actor) unsubscribe(p *place) {
	a.mu.Lock()
	if !p.live || p.asking {
		a.mu.Unlock()
		return
	}
	p.asking = true
	s := a.socket
	a.life.parted(p.channel, a.w.now())
	a.mu.Unlock()
	a.request(map[string]any{"type": "unsubscribe", "channel": p.channel}, func(in *incoming) {
		if a.socket != s {
			return
		}
		p.asking = false
		p.roster = nil
		p.end(a.w, "unsubscribe")
	})
}
