package session

import (
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/clientaddr"
	"hocket.dev/internal/limit"
)

// checkIn counts the session among those of its address. The error says why there is no place for it, and the code what the
// client is to do.
func (s *Session) checkIn() (dialect.Code, *dialect.Error) {
	node := s.shard.node
	s.Tick()
	address, ok := clientaddr.Parse(s.address)
	if !ok {
		return 0, nil
	}
	var open int
	s.share.from, open = node.quotas.addresses.Open(limit.Address(address), s.shard.now)
	return s.fits(&s.share.from.Account, open, node.cfg.Limits.SessionsPerAddress, OfAddress)
}

// answerFor counts what the session does as the user's, too, who has proved who it is. The error says why the user may have
// no session, and the code what the client is to do.
func (s *Session) answerFor(user string) (dialect.Code, *dialect.Error) {
	if s.share.user != nil || user == "" {
		return 0, nil
	}
	node := s.shard.node
	s.Tick()
	var open int
	s.share.user, open = node.quotas.users.Open(user, s.shard.now)
	return s.fits(&s.share.user.Account, open, node.cfg.Limits.SessionsPerUser, OfUser)
}

// fits looks whether an account that so many sessions have may have that many.
func (s *Session) fits(a *limit.Account, open, most int, of Scope) (dialect.Code, *dialect.Error) {
	if left := a.Banned(s.shard.now); left > 0 {
		return dialect.CloseBanned, banned(left)
	}
	if most > 0 && open > most {
		return dialect.CloseLimitReached, dialect.Errorf(dialect.LimitReached, "there are %d sessions of this %v, as many as may be: end one, or come back later", most, of)
	}
	return 0, nil
}

// checkOut gives back what checkIn and answerFor took.
func (s *Session) checkOut() {
	now := s.shard.node.elapsed()
	if s.share.from != nil {
		s.share.from.Close(now)
	}
	if s.share.user != nil {
		s.share.user.Close(now)
	}
	s.share.from, s.share.user = nil, nil
}

// expel tells err and closes with a code.
func (s *Session) expel(code dialect.Code, err *dialect.Error) {
	s.fail(dialect.NoID, "", err)
	s.close(code, "")
}

func banned(left time.Duration) *dialect.Error {
	err := dialect.Banned.Err()
	err.RetryAfter = left
	return err
}

// strike closes a session that was refused too often. Where that has happened before, its user, or else its address, is
// shut out.
func (s *Session) strike() {
	node := s.shard.node
	q, banFor := node.quotas, node.cfg.Limits.Rates.BanFor
	account, limits, of, open := (*limit.Account)(nil), q.user, OfUser, 0
	switch {
	case s.share.user != nil:
		account = &s.share.user.Account
	case s.share.from != nil:
		account, limits, of, open = &s.share.from.Account, q.address, OfAddress, s.share.from.Open()
	}
	if account == nil || banFor <= 0 || open > sharedSessions || account.Take(limits, limit.Strikes, s.shard.now, 1) == 0 {
		s.close(dialect.CloseRateLimited, "")
		return
	}
	account.Ban(s.shard.now + banFor)
	q.bans[of].Add(1)
	s.expel(dialect.CloseBanned, banned(banFor))
}
