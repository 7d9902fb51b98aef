package hocket

import (
	"net/http"
	"net/netip"
	"time"

	"hocket.dev/internal/clientaddr"
	"hocket.dev/internal/limit"
)

// guessing is how often an address may show a key of the API that is not known: often enough for a back end with an old key
// to say so in its log, seldom enough that no key is ever guessed.
var guessing = limit.Rate{Count: 10, Per: time.Minute, Burst: 20}

// guessers is how many addresses are remembered that have shown such keys.
const guessers = 1 << 14

// guesses are the keys of the API that were shown and are not known.
type guesses struct {
	began     time.Time
	limits    *limit.Limits
	addresses *limit.Table[netip.Addr]
}

func newGuesses() *guesses {
	rates := limit.Rates{limit.Calls: guessing}
	return &guesses{began: time.Now(), limits: rates.Limits(), addresses: limit.NewTable[netip.Addr](guessers)}
}

// wrong counts a wrong key of an address, and tells how long it has to wait before it may show another; 0 for not at all.
func (g *guesses) wrong(address string) time.Duration {
	at, ok := clientaddr.Parse(address)
	if !ok {
		return 0
	}
	now := time.Since(g.began)
	e, _ := g.addresses.Open(limit.Address(at), now)
	defer e.Close(now)
	return e.Take(g.limits, limit.Calls, now, 1)
}

// sweep forgets addresses that have waited long enough.
func (g *guesses) sweep() { g.addresses.Sweep(time.Since(g.began)) }

// keyFailed is api.Config.Failed.
func (s *Server) keyFailed(r *http.Request) time.Duration { return s.guesses.wrong(s.clientAddress(r)) }
