package session

import (
	"context"
	"log/slog"
	"time"

	"hocket.dev/dialect"
)

// prove has a proof decided about and calls done on the loop: before it returns where that can be told at once. Until
// then the session is not read, so that what the client has sent behind the proof is done by who it is then.
func (s *Session) prove(p *Proof, done func(*Grant, *dialect.Error)) {
	cfg := &s.shard.node.cfg
	if cfg.Authenticator == nil {
		done(nil, dialect.Errorf(dialect.NotSupported, "this server checks no proofs of identity: its configuration has no keys for them"))
		return
	}
	g, err, ok := cfg.Authenticator.Check(p, cfg.Now())
	if ok {
		done(s.accepted(g, err))
		return
	}
	s.pause(pauseProof)
	if !s.admitted && s.share.unproven == nil {
		s.awaitProof()
	}
	if !s.task(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, cfg.Limits.ProofTimeout)
		defer cancel()
		g, err = cfg.Authenticator.Ask(ctx, p)
	}, func() {
		s.resume(pauseProof)
		if !s.closing {
			done(s.accepted(g, err))
		}
	}) {
		s.resume(pauseProof)
		done(nil, dialect.Busy.Err())
	}
}

// accepted looks at a decision with what may have been revoked since, and with the time.
func (s *Session) accepted(g *Grant, err *dialect.Error) (*Grant, *dialect.Error) {
	switch {
	case err != nil:
		return nil, err
	case !g.Expires.IsZero() && !g.Expires.After(s.shard.node.cfg.Now()):
		return nil, dialect.TokenExpired.Err()
	case s.shard.node.revoked.ends(g):
		return nil, dialect.Revoked.Err()
	}
	if limit := s.shard.node.cfg.Limits.InfoBytes; len(g.Info) > limit {
		return nil, dialect.Errorf(dialect.InfoTooLarge, "info may have at most %d bytes", limit)
	}
	return g, checkUser(g.User)
}

// proven begins a session whose handshake contained a proof.
func (s *Session) proven(g *Grant, err *dialect.Error, commands []dialect.Command) {
	if err != nil {
		s.refuse(dialect.NoID, err)
		return
	}
	s.assume(g)
	if code, err := s.answerFor(g.User); err != nil {
		s.expel(code, err)
		return
	}
	s.admit(commands)
}

// assume makes the session that of a grant. One that had another before keeps its user.
func (s *Session) assume(g *Grant) {
	who := *s.who
	who.grant, who.user, who.barred = g, g.User, s.shard.node.revoked.channels(g.User)
	if g.Info != nil {
		who.info = g.Info
	}
	s.who = &who
	s.expireAt(g.Expires)
}

// admit lets a client in whose proof was accepted or who needs none. A name given in the handshake is taken before it is
// greeted; what is wrong with the handshake is told afterwards.
func (s *Session) admit(commands []dialect.Command) {
	var rest []dialect.Command
	for i := range commands {
		if c := &commands[i]; c.Verb != dialect.Connect || c.Err != nil {
			rest = append(rest, *c)
		} else if err := s.identify(c.Connect); err != nil {
			s.refuse(dialect.NoID, err)
			return
		}
	}
	if s.closing { // replaced
		return
	}
	s.settled = false // a connect request may still come first
	s.welcome()
	s.say(dialect.NoID, s.greeting())
	s.run(rest)
}

// welcome counts the session as one that is there.
func (s *Session) welcome() {
	s.admitted = true
	s.proofCame()
	s.log(slog.LevelInfo, "connected")
}

// connect answers a connect request. What it asks for in vain costs the request, not the session; but a proof that comes
// first and is not good refuses the session.
func (s *Session) connect(c *dialect.Command) {
	id, args := c.ID, c.Connect
	switch {
	case args.Token != "":
		s.prove(&Proof{Kind: ProofToken, Secret: args.Token, Address: s.address}, func(g *Grant, err *dialect.Error) {
			s.refresh(id, args, g, err)
		})
	case !s.admitted:
		s.refuse(id, dialect.Errorf(dialect.Unauthenticated, "this server admits only clients that prove who they are"))
	default:
		s.introduce(id, args)
	}
}

// anotherUser refuses to make the session another user's.
func (s *Session) anotherUser() *dialect.Error {
	if s.who.user == "" {
		return dialect.Errorf(dialect.UserMismatch, "this session has begun without a user and stays so: connect again, and say who it is before all else")
	}
	return dialect.Errorf(dialect.UserMismatch, "this session is %q and stays so: connect again for another user", s.who.user)
}

// refresh answers a connect request with a token, when that was decided about.
func (s *Session) refresh(id dialect.ID, args *dialect.ConnectArgs, g *Grant, err *dialect.Error) {
	stands := s.admitted && (s.who.grant != nil || !s.unseen()) // what it is by now is not given up
	switch {
	case err != nil && stands:
		s.fail(id, "", err)
		return
	case err != nil:
		s.refuse(id, err)
		return
	case stands && (s.who.grant == nil || g.User != s.who.user):
		s.fail(id, "", s.anotherUser())
		return
	}
	fresh, before := !s.admitted, s.who
	s.assume(g)
	if err := s.identify(args); err != nil {
		if fresh {
			s.refuse(id, err)
			return
		}
		s.who = before
		if s.expireAt(time.Time{}); before.grant != nil {
			s.expireAt(before.grant.Expires)
		}
		s.fail(id, "", err)
		return
	}
	if s.closing { // replaced
		return
	}
	if code, err := s.answerFor(g.User); err != nil {
		s.expel(code, err)
		return
	}
	if fresh {
		s.welcome()
		s.say(dialect.NoID, s.greeting())
	} else {
		s.narrow()
		s.announce()
	}
	if id.Kind != dialect.IDNone {
		s.say(id, s.greeting())
	}
}
