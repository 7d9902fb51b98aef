// Package rule says what a channel may be called, what a pattern of names matches, and which settings a channel has.
//
// A name is 1 to 255 bytes of UTF-8 in segments separated by ":". A pattern is a name in which "*" stands for one
// segment, ":>" at the end for the rest, and "{user}" for the segment that is the user's id. One matcher serves channel
// rules, capabilities and subscriptions, so that a pattern means the same wherever it is written:
//
//	set, err := rule.Compile([]rule.Rule{
//		{Pattern: "chat:*", History: rule.History{Count: 1000, Age: 10 * time.Minute}, Presence: true},
//		{Pattern: "ticker:>", Publish: rule.Server},
//	}, rule.Rule{})
//	set.For("chat:lobby").Presence // true
//
// The package only computes. Everything in it may be used from any goroutine.
package rule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Rule holds the settings of the channels its pattern matches.
type Rule struct {
	Pattern  string     // see ParsePattern; "{user}" is not allowed, since a channel's settings are the same for all
	History  History    // what the log keeps
	Presence bool       // whether clients may be members and watch them
	Publish  Publishers // who may publish, of those that are permitted to
	// Allow are the verbs that every client may do who has proved who it is, whatever its own capabilities; AllowAnonymous
	// those that everybody may do, without proof too. CanCall means nothing here.
	Allow          Verbs
	AllowAnonymous Verbs
	// Ask are the verbs that the back end is asked about where they are permitted: CanSubscribe and CanPublish can be.
	Ask      Verbs
	Overflow Overflow // what happens to a subscriber whom the log's window has left behind
	// Sample is the least time between two entries of one key that a subscriber is sent: of those that come sooner only
	// the latest is, as a Set of the whole value. Entries without a key count as one key. 0 sends all.
	Sample time.Duration
	// PresenceGrace is how long a member whose connection was lost stays one, so that it can come back without a leave and
	// a join. 0 means 10 s, a negative value none.
	PresenceGrace time.Duration
	// Schema is the JSON Schema, in JSON, that every payload has to fit, also what an append adds to a value; what is no JSON
	// does not. "" lets all pass.
	Schema string
	// E2E says that clients encrypt payloads end to end: only envelopes of e2e are taken, which the server cannot read, and
	// nothing is appended to them. Such a rule has no Schema.
	E2E bool

	Rates Rates // what sessions may do here, and how often

	limits *Rated // by Compile
}

// History says how much a channel's log keeps. Each bound that is not 0 holds by itself; a Count of 0 keeps nothing.
type History struct {
	Count int           // entries
	Bytes int64         // of payloads and what belongs to them; 0: no bound of its own
	Age   time.Duration // since publication; 0: no bound of its own
	// Deletes is how long it is remembered that a key was deleted, for who resumes a state; 0 means 10 minutes. It does not
	// depend on the other bounds.
	Deletes time.Duration
}

// Publishers says who may publish.
type Publishers uint8

// The values of Publishers.
const (
	Clients Publishers = iota // clients that are permitted to, and the server
	Server                    // the server alone
)

var publishers = []string{Clients: "clients", Server: "server"}

// String returns the name as written in a configuration.
func (p Publishers) String() string { return nameOf(publishers, int(p)) }

// MarshalText returns the name as written in a configuration.
func (p Publishers) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes the name as written in a configuration.
func (p *Publishers) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePublishers(string(text))
	return err
}

// ParsePublishers takes "clients" or "server".
func ParsePublishers(s string) (Publishers, error) {
	i, err := parseName(publishers, s)
	return Publishers(i), err
}

// Overflow says what happens to a subscriber whose cursor the channel's window has left behind.
type Overflow uint8

// The values of Overflow.
const (
	OverflowGap        Overflow = iota // it goes on with the oldest entry there is, and is told what it missed
	OverflowDisconnect                 // its connection is closed
	OverflowRefill                     // it is filled up from history when its socket drains
	OverflowLatest                     // it gets the latest entry of each key
)

var overflows = []string{
	OverflowGap: "gap", OverflowDisconnect: "disconnect", OverflowRefill: "refill", OverflowLatest: "latest",
}

// String returns the name as written in a configuration.
func (o Overflow) String() string { return nameOf(overflows, int(o)) }

// MarshalText returns the name as written in a configuration.
func (o Overflow) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText takes the name as written in a configuration.
func (o *Overflow) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOverflow(string(text))
	return err
}

// ParseOverflow takes "gap", "disconnect", "refill" or "latest".
func ParseOverflow(s string) (Overflow, error) {
	i, err := parseName(overflows, s)
	return Overflow(i), err
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown (%d)", i)
}

func parseName(names []string, s string) (int, error) {
	for i, name := range names {
		if name == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%q is none of %s", s, strings.Join(names, ", "))
}

// An Error says which rule is wrong, in which field, and why.
type Error struct {
	Index int    // into the rules given to Compile; -1 is the fallback
	Field string // as written in a configuration, like "history.count"
	Err   error
}

// Error returns a sentence like `rule 3: history.count: is negative`. Rules are counted from 0.
func (e *Error) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("fallback rule: %s: %v", e.Field, e.Err)
	}
	return fmt.Sprintf("rule %d: %s: %v", e.Index, e.Field, e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// A Set is a list of rules made ready for lookup.
type Set struct {
	rules    []Rule
	patterns []Pattern
	fallback Rule
	first    map[string][]int32 // rules whose pattern begins with this literal segment, in order
	any      []int32            // rules whose pattern begins with "*" or ">", in order
	admits   bool               // a rule allows something to clients without proof
	rated    int                // rules that limit something
	asks     Verbs              // those that the back end is asked about by any rule
}

// Compile checks rules and makes a Set of a copy of them. fallback holds for channels that no rule matches; its Pattern
// is ignored. The error is an *Error.
func Compile(rules []Rule, fallback Rule) (*Set, error) {
	if err := fallback.check(-1); err != nil {
		return nil, err
	}
	s := &Set{rules: append([]Rule(nil), rules...), fallback: fallback, first: make(map[string][]int32)}
	s.admits, s.asks = fallback.AllowAnonymous != CanNothing, fallback.Ask
	seen := make(map[string]int, len(rules))
	for i, r := range s.rules {
		p, err := ParsePattern(r.Pattern)
		if err == nil && p.HasUser() {
			err = errors.New("{user} stands for nothing here, because a channel's settings are the same for all users; use *")
		}
		if j, twice := seen[r.Pattern]; err == nil && twice {
			err = fmt.Errorf("is the same as that of rule %d, which comes first", j)
		}
		if err != nil {
			return nil, &Error{i, "pattern", err}
		}
		if err := r.check(i); err != nil {
			return nil, err
		}
		seen[r.Pattern] = i
		s.admits, s.asks = s.admits || r.AllowAnonymous != CanNothing, s.asks|r.Ask
		s.patterns = append(s.patterns, p)
		if segment, _, _ := strings.Cut(r.Pattern, ":"); segment == "*" || segment == ">" {
			s.any = append(s.any, int32(i))
		} else {
			s.first[segment] = append(s.first[segment], int32(i))
		}
		s.rate(&s.rules[i])
	}
	s.rate(&s.fallback)
	return s, nil
}

// check checks all fields but the pattern.
func (r *Rule) check(index int) error {
	switch negative := errors.New("is negative"); {
	case r.History.Count < 0:
		return &Error{index, "history.count", negative}
	case r.History.Bytes < 0:
		return &Error{index, "history.bytes", negative}
	case r.History.Age < 0:
		return &Error{index, "history.age", negative}
	case r.History.Deletes < 0:
		return &Error{index, "history.deletes", negative}
	case r.E2E && r.Schema != "":
		return &Error{index, "schema", errors.New("goes not together with e2e: the server cannot read what it would check")}
	case r.Sample < 0:
		return &Error{index, "sample", negative}
	case callsAlone(r.Allow):
		return &Error{index, "allow", errCalls}
	case callsAlone(r.AllowAnonymous):
		return &Error{index, "allow_anonymous", errCalls}
	case r.Ask&^(CanSubscribe|CanPublish) != CanNothing:
		return &Error{index, "ask", errors.New("the back end can be asked about subscribe and publish")}
	case int(r.Publish) >= len(publishers):
		return &Error{index, "publish", errors.New(r.Publish.String())}
	case int(r.Overflow) >= len(overflows):
		return &Error{index, "overflow", errors.New(r.Overflow.String())}
	}
	return r.Rates.check(index)
}

// callsAlone tells whether calls are meant, which no rule of channels can allow, and not just everything.
func callsAlone(v Verbs) bool { return v.Has(CanCall) && v != CanEverything }

var errCalls = errors.New("calls are not of channels: list the methods that may be called under allow_calls")

// Anonymous tells whether any rule allows something to clients without proof.
func (s *Set) Anonymous() bool { return s.admits }

// Asks returns the verbs that the back end is asked about by any rule.
func (s *Set) Asks() Verbs { return s.asks }

// For returns the first rule whose pattern matches the channel, else the fallback. It is to be read only.
func (s *Set) For(channel string) *Rule {
	segment, _, _ := strings.Cut(channel, ":")
	literal, any := s.first[segment], s.any
	for len(literal) > 0 || len(any) > 0 {
		// The two lists are merged by index, since the first rule written wins.
		var i int32
		if len(any) == 0 || len(literal) > 0 && literal[0] < any[0] {
			i, literal = literal[0], literal[1:]
		} else {
			i, any = any[0], any[1:]
		}
		if s.patterns[i].Match(channel) {
			return &s.rules[i]
		}
	}
	return &s.fallback
}
