package sim

import (
	"encoding/json"
	"slices"

	"hocket.dev/broker"
)

// A member is what the server says of one.
type member struct {
	Session string          `json:"session"`
	User    string          `json:"user"`
	Info    json.RawMessage `json:"info"`
}

// A roster is what a client knows of who is in a channel: a page of members, and what was told of them since.
type roster struct {
	epoch   string
	offset  uint64 // of the newest page or event
	page    uint64 // the offset of the page
	heard   uint64 // up to here events have come, those too that the page holds
	known   bool   // a page has come; until then events wait
	asking  bool
	waiting []*incoming
	members map[string]string // info by session
}

// attend asks for presence with a subscribe request. The lock is held, as in the methods below.
func (a *actor) attend(p *place, r *run, args map[string]any) {
	d := &a.dice
	p.watch, p.resumes = nil, nil
	switch kind := d.n(100); {
	case kind < 50:
		r.member, a.life.asked = true, true
		args["presence"] = true
		if p.roster != nil && p.roster.known && d.chance(50) {
			p.resumes = &position{p.roster.epoch, p.roster.offset}
			args["presence"] = p.resumes
			return
		}
	case kind < 80:
		args["presence"] = "watch"
	}
	p.roster = nil
}

// attended takes what the reply says of presence.
func (a *actor) attended(p *place, at position) {
	a.watchFrom(p, at)
	if p.roster == nil || p.roster.epoch != at.Epoch {
		p.roster = &roster{epoch: at.Epoch, offset: at.Offset, heard: at.Offset}
	} else if p.roster.known {
		p.roster.members[a.session] = "" // its own join is not told
	}
}

// people takes a join, leave or update.
func (a *actor) people(in *incoming) {
	p := a.places[in.Channel]
	if p == nil || p.roster == nil {
		return // it was left meanwhile
	}
	if p.watch != nil {
		p.watch.news = append(p.watch.news, in)
	}
	r := p.roster
	switch {
	case in.Epoch != r.epoch: // the log began anew: ask again
		*r = roster{epoch: in.Epoch, heard: in.Offset}
	case !r.known:
		r.waiting = append(r.waiting, in)
	default:
		a.told(p, in)
	}
}

// told applies an event, unless the page holds it.
func (a *actor) told(p *place, in *incoming) {
	r := p.roster
	before := r.heard
	r.heard = max(r.heard, in.Offset)
	if in.Offset <= r.offset {
		return
	}
	r.offset = in.Offset
	for _, m := range in.Members {
		_, here := r.members[m.Session]
		switch {
		case in.Type == "join" && here && !a.been[m.Session] && !a.w.joined(p.channel, r.epoch, m.Session, before, r.page):
			// Its own joins were not told. Of what is told at once the beginning may be in the page.
			a.w.fault(p.channel, a.name, a.w.now(), "%s joined at %d, and was there already", m.Session, in.Offset)
		case in.Type == "update" && !here:
			a.w.fault(p.channel, a.name, a.w.now(), "%s of %s at %d, who was not there", in.Type, m.Session, in.Offset)
		}
		if in.Type == "leave" {
			delete(r.members, m.Session)
		} else {
			r.members[m.Session] = string(m.Info)
		}
	}
}

// roll asks who is in a channel, where that is not known.
func (a *actor) roll(p *place) {
	a.mu.Lock()
	r := p.roster
	if r == nil || r.known || r.asking || !p.live {
		a.mu.Unlock()
		return
	}
	r.asking = true
	s := a.socket
	a.mu.Unlock()
	everybody := &memberReading{who: a.name, limit: all}
	a.askMembers(everybody, "", func(in *incoming) {
		r.asking = false
		if in.Error == nil && a.socket == s && p.roster == r {
			a.listed(p, everybody)
		}
	})
}

// listed takes a page of members, and then what was told meanwhile.
func (a *actor) listed(p *place, in *memberReading) {
	r, page := p.roster, &in.page
	r.members = make(map[string]string)
	for _, m := range page.Members {
		r.members[m.Session] = string(m.Info)
	}
	if r.epoch != page.Epoch {
		r.heard = 0
	}
	r.known, r.epoch, r.offset, r.page = true, page.Epoch, page.Offset, page.Offset
	waiting := r.waiting
	r.waiting = nil
	for _, ev := range waiting {
		if ev.Epoch == r.epoch {
			a.told(p, ev)
		}
	}
}

// joined says that the log has a session's join after an offset and up to another.
func (w *world) joined(channel, epoch, session string, after, to uint64) bool {
	w.truth.mu.Lock()
	defer w.truth.mu.Unlock()
	e := w.truth.find(presence+channel, epoch)
	return e != nil && slices.ContainsFunc(e.entries, func(f *fact) bool {
		return f.Key == session && f.Op == broker.Set && f.Offset > after && f.Offset <= to &&
			f.Headers["update"] == "" && f.Headers["silent"] == ""
	})
}

// names lists who is there.
func (r *roster) names() []string {
	names := make([]string, 0, len(r.members))
	for name := range r.members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
