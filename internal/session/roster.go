package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"sync"

	"hocket.dev/dialect"
)

// nameBytes is how many bytes a public name stands for: 96 bits, so that names are never given twice.
const nameBytes = 12

// newName makes a public name that is nobody's.
func newName() string {
	var b [nameBytes]byte
	rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// stableName is the public name of a client that has an id: the same on every node with the same secret, and nothing that
// tells the id.
func (n *Node) stableName(user, client string) string {
	mac := hmac.New(sha256.New, n.cfg.Secret)
	mac.Write([]byte(user)) // holds no control characters (checkUser), so that the parts cannot be taken for others
	mac.Write([]byte{0})
	mac.Write([]byte(client))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:nameBytes])
}

// roster is what the loops of a node have to know of each other's sessions.
type roster struct {
	node *Node

	mu        sync.Mutex
	stable    map[string]*Session           // by their names, those that have them from a client id
	lost      map[seat]*membership          // whose sessions may come back
	left      map[string]map[string]*estate // by name and channel: of sessions that may come back
	leftCount int
	waiting   waitingList       // those, and what the broker is to be asked again
	ticking   bool              // a timer runs
	crowds    map[string]*crowd // the channels that have very many members
}

// seat is a place among the members of a channel.
type seat struct{ name, channel string }

// claim gives s a name, unless a session has it that was opened later, and answers which one had it before, nil for none.
func (r *roster) claim(s *Session, name string) (older *Session, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if older = r.stable[name]; older != nil && older.opened(s) {
		return nil, false
	}
	r.stable[name] = s
	return older, true
}

// opened says that s was opened after another session of the node. The clock may go back between them, so it is not asked.
func (s *Session) opened(after *Session) bool { return int32(s.number-after.number) > 0 }

// named is the session that has a name from its client id, nil for none.
func (r *roster) named(name string) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stable[name]
}

// disown ends a claim, unless a newer session has the name.
func (r *roster) disown(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stable[s.name] == s {
		delete(r.stable, s.name)
	}
}

// rename gives the session the name that belongs to its user and client id. A session that has that name already is a
// line that has not been found dead yet, or a second copy of the client: it is closed, and not asked to come back, so
// that two copies do not throw each other out for ever. Where such a session was opened later, this one is the old line, and
// what its client sent on it before it gave it up has been on its way since: it does not take the place of the newer.
func (s *Session) rename() {
	name := s.shard.node.stableName(s.who.user, s.who.client)
	if name == s.name {
		return
	}
	older, ok := s.shard.node.roster.claim(s, name)
	if !ok {
		s.close(dialect.CloseReplaced, "")
		return
	}
	s.unname()
	s.log(slog.LevelDebug, "named", slog.String("name", name))
	s.name, s.stable = name, true
	s.shard.sessions[name] = s
	s.inherit()
	switch {
	case older == nil:
	case older.shard == s.shard:
		older.replaced()
	default:
		older.shard.loop.Post(older.replaced)
	}
}

// unname takes the session out of the tables, unless a newer one of its name stands there.
func (s *Session) unname() {
	if s.shard.sessions[s.name] == s {
		delete(s.shard.sessions, s.name)
	}
	if s.stable {
		s.shard.node.roster.disown(s)
	}
}

// replaced ends a session whose client has another one, which may go on with its memberships.
func (s *Session) replaced() {
	if s.closed {
		return
	}
	for _, sub := range s.subs {
		sub.depart(true)
	}
	s.part(true)
	s.close(dialect.CloseReplaced, "")
}

// The close codes by which a client says that it means to go; without any code too.
const (
	codeNormal    = 1000
	codeGoingAway = 1001
	codeNone      = 1005
)

// comesBack tells whether the client of a session that ended with a close code is expected back under its name.
func (s *Session) comesBack(code int) bool {
	switch {
	case !s.stable, code == codeNormal, code == codeGoingAway, code == codeNone:
		return false
	}
	return code < 4200 || code >= 4300 || code == int(dialect.CloseReplaced)
}
