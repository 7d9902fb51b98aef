package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"hocket.dev/internal/rule"
)

// A Key opens the API, or the part of it that its scopes name. It prints as its name: the key itself appears in no log.
type Key struct {
	Name   string   // for metrics and errors: letters, digits, ".", "_" and "-", at most 64; "" counts as "unnamed". Several may share one
	Key    string   `json:"-"` // without white space; at least 16 bytes, and random, if others can reach the API
	Scopes []string // what it opens, such as "publish", "read:chat:*", or "*" for everything
}

// unnamed is what a key without a name is called.
const unnamed = "unnamed"

// maxKeyName is how many bytes the name of a key may have.
const maxKeyName = 64

// String returns the key's name.
func (k Key) String() string {
	if k.Name == "" {
		return unnamed
	}
	return k.Name
}

// GoString returns the key's name.
func (k Key) GoString() string { return "api.Key(" + k.String() + ")" }

// LogValue returns the key's name.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// A KeyError says which of several keys is wrong, and why. It does not repeat the key.
type KeyError struct {
	Index int    // from 0
	Field string // "name", "key" or "scopes"
	Err   error
}

// Error returns a sentence like `key 2: scopes: …`.
func (e *KeyError) Error() string { return fmt.Sprintf("key %d: %s %v", e.Index+1, e.Field, e.Err) }

// Unwrap returns the reason.
func (e *KeyError) Unwrap() error { return e.Err }

// CheckKeys tells what is wrong with keys. The error is a *KeyError.
func CheckKeys(keys []Key) error {
	_, err := newRing(keys)
	return err
}

var (
	errName      = fmt.Errorf("must have at most %d letters, digits, '.', '_' and '-'", maxKeyName)
	errKey       = errors.New("is empty, or holds what is no visible ASCII character")
	errTwice     = errors.New("is that of another entry")
	errNoScopes  = errors.New(`must be listed: what the key opens, such as "publish" or "read:chat:*", or "*" for everything`)
	errUserScope = errors.New("holds {user}, who is nobody here")
)

// A ring holds keys, ready to be compared.
type ring []grant

// A grant is a key and what it opens.
type grant struct {
	digest digest
	name   string
	scopes []scope
}

// digest stands for a key, so that comparing takes the same time whatever the lengths.
type digest [sha256.Size]byte

func digestOf(key string) digest { return sha256.Sum256([]byte(key)) }

func newRing(keys []Key) (ring, error) {
	var r ring
	seen := make(map[digest]bool, len(keys))
	for i, k := range keys {
		g := grant{digest: digestOf(k.Key), name: k.String()}
		switch {
		case len(g.name) > maxKeyName || strings.ContainsFunc(g.name, notInName):
			return nil, &KeyError{i, "name", errName}
		case k.Key == "" || strings.ContainsFunc(k.Key, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
			return nil, &KeyError{i, "key", errKey}
		case seen[g.digest]:
			return nil, &KeyError{i, "key", errTwice}
		case len(k.Scopes) == 0:
			return nil, &KeyError{i, "scopes", errNoScopes}
		}
		seen[g.digest] = true
		for _, text := range k.Scopes {
			s, err := parseScope(text)
			if err != nil {
				return nil, &KeyError{i, "scopes", fmt.Errorf("%q %w", text, err)}
			}
			g.scopes = append(g.scopes, s)
		}
		r = append(r, g)
	}
	return r, nil
}

func notInName(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
}

// find returns the grant of a key, nil where there is none. It looks at all of them, so that the time does not tell which one
// it was.
func (r ring) find(key string) *grant {
	given, at := digestOf(key), -1
	for i := range r {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(given[:], r[i].digest[:]), i, at)
	}
	if at < 0 {
		return nil
	}
	return &r[at]
}

// A scope is a verb, on all channels or on those that a pattern matches.
type scope struct {
	verb    string // "*" for all
	pattern rule.Pattern
	limited bool // to the pattern
}

// Scopes beside the names of methods.
const (
	scopeAll     = "*"
	scopePublish = "publish" // publish, broadcast and batch
	scopeRead    = "read"    // history, state, presence and channels
)

// scopeOf says which scope a method asks for, where it is not that of its own name; "" for none.
var scopeOf = map[string]string{
	"broadcast": scopePublish, "batch": scopePublish, "info": "",
	"history": scopeRead, "state": scopeRead, "presence": scopeRead, "channels": scopeRead,
}

// onChannels are the scopes that a pattern may limit.
var onChannels = []string{scopePublish, scopeRead, "remove"}

// scopes lists what a scope may be.
func scopes() []string {
	all := []string{scopeRead, "metrics", "console"}
	for name := range methods {
		if _, other := scopeOf[name]; !other {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return append([]string{scopeAll}, all...)
}

func parseScope(text string) (s scope, err error) {
	verb, pattern, limited := strings.Cut(text, ":")
	s.verb, s.limited = verb, limited
	switch {
	case !slices.Contains(scopes(), verb):
		return s, fmt.Errorf("is no scope: there are %s", strings.Join(scopes(), ", "))
	case !limited:
		return s, nil
	case !slices.Contains(onChannels, verb):
		return s, fmt.Errorf("is of no channel: leave out what follows %s", verb)
	}
	if s.pattern, err = rule.ParsePattern(pattern); err == nil && s.pattern.HasUser() {
		err = errUserScope
	}
	return s, err
}

// opens tells whether the key has a scope for a verb at all; "" asks for none.
func (g *grant) opens(verb string) bool {
	return verb == "" || slices.ContainsFunc(g.scopes, func(s scope) bool { return s.verb == scopeAll || s.verb == verb })
}

// covers tells whether the key has a scope for a verb on a channel, or with "" on all channels.
func (g *grant) covers(verb, channel string) bool {
	return slices.ContainsFunc(g.scopes, func(s scope) bool {
		return s.verb == scopeAll || s.verb == verb && (!s.limited || s.pattern.Match(channel))
	})
}
