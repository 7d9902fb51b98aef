package rule

import (
	"fmt"
	"strings"
)

// Verbs is a set of what may be done in a channel, or with a method.
type Verbs uint8

// The verbs of a client.
const (
	CanSubscribe Verbs = 1 << iota // follow a channel, and catch up with what its log keeps
	CanPublish                     // append to a channel's log
	CanHistory                     // read a channel's log and state without following it
	CanPresence                    // be a member of a channel, and see who is
	CanCall                        // call a method

	CanNothing    Verbs = 0
	CanEverything       = CanSubscribe | CanPublish | CanHistory | CanPresence | CanCall
)

var verbNames = [...]string{"subscribe", "publish", "history", "presence", "call"}

// Has tells whether all of w are in the set.
func (v Verbs) Has(w Verbs) bool { return v&w == w }

// String returns the names as written in a configuration, joined by ", ".
func (v Verbs) String() string { return strings.Join(v.Names(), ", ") }

// Names returns the names as written in a configuration.
func (v Verbs) Names() []string {
	names := []string{}
	for i, name := range verbNames {
		if v.Has(1 << i) {
			names = append(names, name)
		}
	}
	return names
}

// ParseVerb takes "subscribe", "publish", "history", "presence", "call", or "*" for all of them.
func ParseVerb(s string) (Verbs, error) {
	if s == "*" {
		return CanEverything, nil
	}
	for i, name := range verbNames {
		if name == s {
			return 1 << i, nil
		}
	}
	return CanNothing, fmt.Errorf("%q is no verb: there are %s and *", s, strings.Join(verbNames[:], ", "))
}

// MarshalText returns the names as written in a configuration.
func (v Verbs) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText takes one name as written in a configuration.
func (v *Verbs) UnmarshalText(text []byte) (err error) {
	*v, err = ParseVerb(string(text))
	return err
}
