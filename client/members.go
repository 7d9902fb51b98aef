package client

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"hocket.dev/dialect"
)

// All here is called with the client's lock held.

// presencePage is how many members are asked for at once.
const presencePage = 100

// reading is one reading of the list.
type reading struct {
	first  Position
	listed map[string]bool
	pages  []Member
}

// read reads the whole list. The one known so far stays until then.
func (p *Presence) read() {
	r := &reading{listed: make(map[string]bool)}
	p.reading, p.told = r, make(map[string]toldOf)
	p.readPage(r, "")
}

func (p *Presence) readPage(r *reading, next string) {
	asked := map[string]any{"limit": min(presencePage, p.s.opts.MaxMembers)}
	if next != "" {
		asked["next"] = next
	}
	payload, _ := marshal(asked)
	err := p.s.c.add(outgoing{Type: "presence", Channel: p.s.channel, Payload: payload}, &request{
		managed: true,
		done:    func(reply json.RawMessage, err error) { p.page(r, reply, err) },
	})
	if err != nil {
		p.page(r, nil, err)
	}
}

// page takes the answer to readPage.
func (p *Presence) page(r *reading, reply json.RawMessage, err error) {
	if p.reading != r {
		return // another reading has begun
	}
	var in struct {
		Position
		Count   int      `json:"count"`
		Members []Member `json:"members"`
		Next    string   `json:"next"`
	}
	if err == nil {
		err = json.Unmarshal(reply, &in)
	}
	if err != nil {
		p.reading, p.told = nil, nil // joins and leaves still tell
		var failed *Error
		switch {
		case !errors.As(err, &failed): // the next connection asks anew
		case failed.Code == int(dialect.EpochChanged):
			p.read()
		case failed.retryable():
			p.readLater(failed.RetryAfter)
		}
		return
	}
	p.failed = 0
	if r.first.Epoch == "" {
		r.first = in.Position
	}
	p.total, p.totalAt = in.Count, in.Position
	for _, m := range in.Members {
		r.listed[m.Session] = true
		r.pages = append(r.pages, m)
		if !p.knowsBetter(m.Session, in.Position) {
			delete(p.told, m.Session)
			p.put(m)
		}
	}
	if in.Next != "" && len(r.listed) < p.s.opts.MaxMembers {
		p.readPage(r, in.Next)
		return
	}
	for session := range p.members {
		if !r.listed[session] && !p.knowsBetter(session, r.first) {
			p.remove(session)
		}
	}
	p.complete, p.synced = in.Next == "" && !p.crowd && len(p.members) <= p.s.opts.MaxMembers, true
	p.fill(r)
	p.listOwn()
	p.reading, p.told = nil, nil
	p.stir()
}

// fill lists those for whom there was no room before others were removed.
func (p *Presence) fill(r *reading) {
	for _, m := range r.pages {
		if _, newer := p.told[m.Session]; !newer {
			p.add(m)
		}
	}
	for _, now := range slices.SortedFunc(maps.Values(p.told), func(a, b toldOf) int { return cmp.Compare(a.at.Offset, b.at.Offset) }) {
		if now.member != nil && p.knowsBetter(now.member.Session, r.first) {
			p.add(*now.member)
		}
	}
}

// readLater reads the list anew after a while, unless the connection is another one by then, which does so itself.
func (p *Presence) readLater(after time.Duration) {
	c, link := p.s.c, p.s.c.link
	after += c.draw(c.opts.MinDelay << min(p.failed, 5))
	p.failed++
	time.AfterFunc(after, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if p.s.err == nil && c.link == link && p.s.live && p.reading == nil {
			p.read()
		}
	})
}

// knowsBetter tells whether something later has been told of a session than a page read at at.
func (p *Presence) knowsBetter(session string, at Position) bool {
	told, ok := p.told[session]
	return ok && later(told.at, at)
}

// later tells whether a comes after b in the presence log; also where nobody can tell: what is pushed is news.
func later(a, b Position) bool { return a.Epoch != b.Epoch || a.Offset > b.Offset }
