package rule

import (
	"errors"
	"fmt"

	"hocket.dev/internal/limit"
)

// Rates bound what sessions do in the channels of a rule. The zero value of each is no limit.
type Rates struct {
	// Of each session.
	Publishes  limit.Rate
	Bytes      limit.Rate // of the payloads
	Subscribes limit.Rate
	// Of all sessions of a node together.
	TotalPublishes limit.Rate
	TotalBytes     limit.Rate

	AtLimit AtLimit
}

// AtLimit says what happens to a request for which the Rates of its rule have no room.
type AtLimit uint8

// The values of AtLimit.
const (
	// Reject answers with an error.
	Reject AtLimit = iota
	// Slow carries the request out and does not read the session until there is room again, where that is soon; else it
	// answers with an error, too.
	Slow
)

var atLimits = []string{Reject: "reject", Slow: "slow"}

// String returns the name as written in a configuration.
func (a AtLimit) String() string { return nameOf(atLimits, int(a)) }

// MarshalText returns the name as written in a configuration.
func (a AtLimit) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText takes the name as written in a configuration.
func (a *AtLimit) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAtLimit(string(text))
	return err
}

// ParseAtLimit takes "reject" or "slow".
func ParseAtLimit(s string) (AtLimit, error) {
	i, err := parseName(atLimits, s)
	return AtLimit(i), err
}

// check checks the rates of the rule at index.
func (r *Rates) check(index int) error {
	for _, of := range []struct {
		field string
		rate  limit.Rate
	}{
		{"publishes", r.Publishes}, {"bytes", r.Bytes}, {"subscribes", r.Subscribes},
		{"total_publishes", r.TotalPublishes}, {"total_bytes", r.TotalBytes},
	} {
		if err := of.rate.Check(); err != nil {
			return &Error{index, "rate." + of.field, fmt.Errorf("%s %w", of.rate, err)}
		}
	}
	if int(r.AtLimit) >= len(atLimits) {
		return &Error{index, "rate.at_limit", errors.New(r.AtLimit.String())}
	}
	return nil
}

// Rated are rates made ready for use: those of a rule, or of a capability.
type Rated struct {
	Session *limit.Limits // of each session
	AtLimit AtLimit

	// Of a rule: where it stands among those of the Set that limit something, for what a node keeps of each; and the
	// limits of all sessions together, nil for none.
	Index int
	Total *limit.Limits

	// Of a capability: its pattern as written, "" where the rates are those of a rule; and whether it was given when the
	// back end was asked, see Capabilities.Wider.
	Capability string
	Given      bool
}

// rated makes r ready for use, nil where it limits nothing.
func (r *Rates) rated(index int) *Rated {
	if (*r == Rates{AtLimit: r.AtLimit}) {
		return nil
	}
	session := limit.Rates{limit.Publishes: r.Publishes, limit.Bytes: r.Bytes, limit.Subscribes: r.Subscribes}
	rated := &Rated{Index: index, Session: session.Limits(), AtLimit: r.AtLimit}
	if total := (limit.Rates{limit.Publishes: r.TotalPublishes, limit.Bytes: r.TotalBytes}); total != (limit.Rates{}) {
		rated.Total = total.Limits()
	}
	return rated
}

// rate makes the rates of a rule ready for use.
func (s *Set) rate(r *Rule) {
	if r.limits = r.Rates.rated(s.rated); r.limits != nil {
		s.rated++
	}
}

// Rated returns the rule's Rates ready for use, nil where it limits nothing. The rule is one of a Set.
func (r *Rule) Rated() *Rated { return r.limits }

// Rated counts the rules that limit something.
func (s *Set) Rated() int { return s.rated }
