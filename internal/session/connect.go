package session

import (
	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

// greeting says who the session is and what the server can.
func (s *Session) greeting() *dialect.Connected {
	cfg := &s.shard.node.cfg
	c := &dialect.Connected{
		Session: s.name, User: s.who.user, Node: cfg.Name,
		PingMS:       cfg.PingEvery.Milliseconds(),
		Features:     s.shard.node.Features(),
		MessageBytes: cfg.Limits.MessageBytes,
	}
	if g := s.who.grant; g != nil && !g.Expires.IsZero() {
		c.ExpiresAt = g.Expires.UnixMilli()
	}
	return c
}

// introduce answers a connect request without proof: it says how the session is to be known and what it wants.
func (s *Session) introduce(id dialect.ID, args *dialect.ConnectArgs) {
	if err := s.identify(args); err != nil {
		s.fail(id, "", err)
		return
	}
	if s.closing { // replaced
		return
	}
	if args.Info != nil {
		s.announce()
	}
	if id.Kind != dialect.IDNone {
		s.say(id, s.greeting())
	}
}

// identify takes over who the client says it is. A session keeps its user: one that has none may be given one as long as
// nothing has been done without it that others could have seen. The same holds for the public name that a client id brings.
func (s *Session) identify(args *dialect.ConnectArgs) *dialect.Error {
	limit := s.shard.node.cfg.Limits.InfoBytes
	switch {
	case args.Binary:
		return dialect.Errorf(dialect.NotSupported, "binary payloads are not supported yet")
	case len(args.Info) > limit:
		return dialect.Errorf(dialect.InfoTooLarge, "info may have at most %d bytes", limit)
	}
	who, fresh := *s.who, s.unseen()
	switch named := args.User != "" && args.User != who.user; {
	case who.grant != nil && args.Info != nil:
		return dialect.Errorf(dialect.PermissionDenied, "the info of a user who was proved comes with the proof")
	case who.grant == nil && !s.shard.node.cfg.Anonymous && (named || args.Info != nil):
		return dialect.Errorf(dialect.PermissionDenied, "clients without proof of identity do not name themselves here")
	case named:
		if who.user != "" || who.grant != nil || !fresh {
			return s.anotherUser()
		}
		if err := checkUser(args.User); err != nil {
			return err
		}
		who.user = args.User
	}
	if args.Info != nil {
		who.info = args.Info
	}
	if args.Client != "" {
		who.client = args.Client
	}
	s.who = &who
	if fresh && who.client != "" {
		s.rename()
	}
	s.heartbeat = s.heartbeat || args.Heartbeat
	s.settled = true
	return nil
}

// unseen says that the session has done nothing yet that others could have seen.
func (s *Session) unseen() bool { return !s.settled && len(s.subs) == 0 }

// checkUser holds what patterns rely on.
func checkUser(user string) *dialect.Error {
	if err := rule.CheckUser(user); err != nil {
		return dialect.Errorf(dialect.InvalidMessage, "%v", err)
	}
	return nil
}

var verbs = [...]string{
	dialect.Connect: "connect", dialect.Subscribe: "subscribe", dialect.Unsubscribe: "unsubscribe",
	dialect.Publish: "publish", dialect.History: "history", dialect.State: "state", dialect.Presence: "presence", dialect.Call: "call",
	dialect.Ping: "ping", dialect.Pong: "pong",
}

func verb(v dialect.Verb) string { return verbs[v] }
