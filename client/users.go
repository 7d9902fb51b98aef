package client

import (
	"context"
	"encoding/json"
)

// User is who is on a channel, over however many sessions.
type User struct {
	User     string          // "" for an anonymous one: each session is one by itself
	Info     json.RawMessage // of the session that came last
	Sessions []Member        // in the order in which they became known
}

// Users returns the same list by user: several sessions of one user are one.
func (p *Presence) Users() []User {
	p.s.c.mu.Lock()
	defer p.s.c.mu.Unlock()
	var users []User
	done := make(map[string]bool)
	for _, m := range p.list(func(Member) bool { return true }) {
		if key := userKey(m); !done[key] {
			done[key] = true
			user, _ := p.user(key)
			users = append(users, user)
		}
	}
	return users
}

// UserChange is what has happened to a user since NextUser last told of it: "join" with the first of its sessions, "leave"
// with the last, "update" in between.
type UserChange struct {
	Kind string
	User User
}

// NextUser is Next by user.
func (p *Presence) NextUser(ctx context.Context) (UserChange, error) {
	return await(ctx, p.byUser.news, func() (UserChange, bool, error) {
		p.s.c.mu.Lock()
		defer p.s.c.mu.Unlock()
		kind, u, ok := nextOf(&p.byUser, p.user)
		return UserChange{kind, u}, ok, errIf(!ok, p.s.err)
	})
}

// The rest is called with the client's lock held.

func userKey(m Member) string {
	if m.User == "" {
		return "s" + m.Session
	}
	return "u" + m.User
}

func (p *Presence) user(key string) (User, bool) {
	sessions := p.list(func(m Member) bool { return userKey(m) == key })
	if len(sessions) == 0 {
		return User{}, false
	}
	last := sessions[len(sessions)-1]
	return User{User: last.User, Info: last.Info, Sessions: sessions}, true
}
