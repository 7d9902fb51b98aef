package client

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
)

// PresenceMode says what a subscription has to do with presence.
type PresenceMode uint8

// The modes of presence.
const (
	NoPresence PresenceMode = iota // nothing
	Join                           // this client is a member: counted, listed, announced, and told of the others
	Watch                          // it is only told
)

// Presence tells who is on a channel. The list is read in pages at first and kept up to date by joins and leaves; where
// both speak of one member the later position in the presence log is right. Over a new connection it goes on where it
// stood, where the server can, and nobody has left: the server waits a while for those who come back.
//
// Its methods may be called from any goroutine; one at a time calls Next, and one NextUser.
type Presence struct {
	s *Subscription

	// guarded by Client.mu
	members  map[string]present // by session
	arrivals uint64
	told     map[string]toldOf // what was told of a session while pages are read, unless a page has newer; nil when none are
	reading  *reading
	failed   int // pages in a row that could not be read for now
	synced   bool
	complete bool
	crowd    bool     // joins and leaves are told by their number
	total    int      // of all members, as of totalAt and what has come since
	totalAt  Position // of the last page
	at       Position // the last one told of the log
	asked    Position // what the last subscribe asked to resume at
	own      string   // our session's name when the list was begun
	wake     chan struct{}
	changes  changes[Member]
	byUser   changes[User]
}

// present is a member in the order in which it became known.
type present struct {
	Member
	nth uint64
}

// toldOf is what was told of a session.
type toldOf struct {
	at     Position
	member *Member // nil: it has left
}

type presenceReply struct {
	Position
	Count int `json:"count"`
}

func newPresence(s *Subscription) *Presence {
	return &Presence{
		s: s, members: make(map[string]present), wake: make(chan struct{}), changes: newChanges[Member](), byUser: newChanges[User](),
	}
}

// Synced waits until the list has been read, for the first time.
func (p *Presence) Synced(ctx context.Context) error {
	return p.s.until(ctx, &p.wake, func() bool { return p.synced })
}

// Members returns everyone who is here, in the order in which they became known; at most SubscribeOptions.MaxMembers.
func (p *Presence) Members() []Member {
	p.s.c.mu.Lock()
	defer p.s.c.mu.Unlock()
	return p.list(func(Member) bool { return true })
}

// Count counts the members, listed or not.
func (p *Presence) Count() int {
	p.s.c.mu.Lock()
	defer p.s.c.mu.Unlock()
	switch {
	case p.complete:
		return len(p.members)
	case p.crowd: // of those that are listed some may have left, untold
		return p.total
	}
	return max(p.total, len(p.members))
}

// Complete tells whether Members returns all there are: not before Synced, and not in a crowd.
func (p *Presence) Complete() bool {
	p.s.c.mu.Lock()
	defer p.s.c.mu.Unlock()
	return p.complete
}

// Get returns the member with this session name. Client.Session is our own.
func (p *Presence) Get(session string) (Member, bool) {
	p.s.c.mu.Lock()
	defer p.s.c.mu.Unlock()
	m, ok := p.members[session]
	return m.Member, ok
}

// PresenceChange is what has happened to a member since Next last told of it.
type PresenceChange struct {
	Kind   string // "join", "leave" or "update"
	Member Member
}

// Next returns the next change, at first a join for each member there is. Who came and went before anybody asked was not
// here, so a slow reader holds up nothing. It blocks until there is one, or ctx ends. Its other error is an *Error: why the
// subscription has ended.
func (p *Presence) Next(ctx context.Context) (PresenceChange, error) {
	return await(ctx, p.changes.news, func() (PresenceChange, bool, error) {
		p.s.c.mu.Lock()
		defer p.s.c.mu.Unlock()
		kind, m, ok := nextOf(&p.changes, func(session string) (Member, bool) {
			m, ok := p.members[session]
			return m.Member, ok
		})
		return PresenceChange{kind, m}, ok, errIf(!ok, p.s.err)
	})
}

func errIf(none bool, err error) error {
	if none {
		return err
	}
	return nil
}

// nextOf takes out the oldest change that is one for the reader.
func nextOf[V any](c *changes[V], value func(string) (V, bool)) (kind string, v V, ok bool) {
	for {
		_, before, now, had, has, ok := c.next(value)
		switch {
		case !ok:
			return "", v, false
		case has && had:
			return "update", now, true
		case has:
			return "join", now, true
		case had:
			return "leave", before, true
		}
	}
}

// The rest is called with the client's lock held.

// list returns the members for which is holds.
func (p *Presence) list(is func(Member) bool) []Member {
	var all []present
	for _, m := range p.members {
		if is(m.Member) {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b present) int { return cmp.Compare(a.nth, b.nth) })
	members := make([]Member, len(all))
	for i, m := range all {
		members[i] = m.Member
	}
	return members
}

// ask is the "presence" of a subscribe.
func (p *Presence) ask() any {
	p.asked = Position{}
	switch {
	case p.s.opts.Presence == Watch:
		return "watch"
	case p.at.Epoch != "":
		p.asked = p.at
		return p.at
	}
	return true
}

// subscribed says that the subscription stands, for the first time or again.
func (p *Presence) subscribed(reply presenceReply) {
	resumed := p.asked.Epoch != "" && p.asked.Epoch == reply.Epoch // else a gap says so
	same := p.own == p.s.c.who.Session
	p.own = p.s.c.who.Session
	if !resumed {
		p.at = reply.Position
	}
	if resumed && same && p.complete {
		p.listOwn()
		return
	}
	p.complete, p.total = false, reply.Count // until all of it has been read, whichever connection that takes
	p.crowd = false
	p.read()
}

// handle takes what the server says about members.
func (p *Presence) handle(in *incoming) {
	at := Position{in.Epoch, in.Offset}
	if at.Epoch != "" {
		p.at = at
	}
	if in.Type == "presence" { // a crowd has grown or shrunk
		var of struct{ Count int }
		if json.Unmarshal(in.Payload, &of) == nil {
			p.total, p.totalAt, p.complete, p.crowd = of.Count, at, false, true
		}
		return
	}
	if p.crowd && in.Type != "update" { // few enough to be named again
		p.crowd = false
		p.read()
	}
	if later(at, p.totalAt) {
		switch in.Type {
		case "join":
			p.total += len(in.Members)
		case "leave":
			p.total -= len(in.Members)
		}
	}
	for _, m := range in.Members {
		now := toldOf{at: at}
		if in.Type == "leave" {
			p.remove(m.Session)
		} else {
			now.member = &m
			p.put(m)
		}
		if p.told != nil {
			p.told[m.Session] = now
		}
	}
}

// missed says that some of the presence log was not and will not be sent.
func (p *Presence) missed() {
	p.at, p.complete = Position{}, false
	p.read()
}

func (p *Presence) put(m Member) {
	if info := p.s.c.info; info != nil && m.Session == p.s.c.who.Session {
		m.Info = slices.Clone(info) // nobody tells us of ourselves, and a page may be older
	}
	old, ok := p.members[m.Session]
	switch {
	case !ok && len(p.members) >= p.s.opts.MaxMembers:
		p.complete = false // counted, not listed
		return
	case !ok:
		p.arrivals++
		old.nth = p.arrivals
	case old.User == m.User && string(old.Info) == string(m.Info):
		return
	}
	p.members[m.Session] = present{m, old.nth}
	p.changes.mark(m.Session, true)
	p.byUser.mark(userKey(m), true)
}

// listOwn puts us on the list, where a page had us not: it was read while we were away, or before we were in a log that has begun
// anew. Nobody tells us of our own join.
func (p *Presence) listOwn() {
	own := p.s.c.who
	if p.s.live && p.s.opts.Presence == Join {
		p.add(own)
	}
}

// add puts a member on the list unless it is there.
func (p *Presence) add(m Member) {
	if _, listed := p.members[m.Session]; !listed {
		p.put(m)
	}
}

// ownInfo says that the client tells something else about itself.
func (p *Presence) ownInfo() {
	if m, ok := p.members[p.s.c.who.Session]; ok {
		p.put(m.Member)
	}
}

func (p *Presence) remove(session string) {
	m, ok := p.members[session]
	if !ok {
		return
	}
	delete(p.members, session)
	p.changes.mark(session, false)
	_, here := p.user(userKey(m.Member))
	p.byUser.mark(userKey(m.Member), here)
}

func (p *Presence) end() {
	p.changes.notify()
	p.byUser.notify()
	p.stir()
}

// stir wakes who waits for the list.
func (p *Presence) stir() {
	close(p.wake)
	p.wake = make(chan struct{})
}
