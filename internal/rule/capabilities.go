package rule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds of Capabilities: each publish looks through them.
const (
	MaxCapabilities = 100 // patterns
	MaxKeyPatterns  = 20  // of one pattern
	MaxRated        = 20  // patterns with limits
)

// Capabilities say what somebody may do: verbs for patterns of channels, and of methods. They are never changed once
// made. nil is nobody's: it allows nothing.
type Capabilities struct {
	user   string
	grants []grant
	rated  []*grant // those with limits
}

type grant struct {
	pattern Pattern
	names   matcher
	verbs   Verbs
	keys    []Pattern // those that may be published to, where CanPublish is not in verbs
	rated   *Rated    // its limits, nil for none
}

// A matcher is a pattern of one user, made ready: nearly all are a text, or a text with a wildcard at its end, and are told
// apart by that text alone.
type matcher struct {
	prefix string // of what matches
	end    byte   // 0: nothing follows; '*': one segment; '>': one or more; '?': ask the pattern
}

func (p Pattern) matcherOf(user string) matcher {
	text := p.text
	if user != "" {
		text = strings.ReplaceAll(text, userSegment, user) // a user's id is one literal segment
	}
	i := strings.IndexAny(text, "*>{")
	switch {
	case i < 0:
		return matcher{text, 0}
	case i == len(text)-1 && i > 0 && text[i] != '{':
		return matcher{text[:i], text[i]}
	}
	return matcher{text[:i], '?'}
}

// match tells whether g is about name.
func (g *grant) match(name, user string) bool {
	m := &g.names
	if !strings.HasPrefix(name, m.prefix) {
		return false
	}
	switch rest := name[len(m.prefix):]; m.end {
	case 0:
		return rest == ""
	case '*':
		return rest != "" && strings.IndexByte(rest, ':') < 0
	case '>':
		return rest != ""
	}
	return g.pattern.MatchUser(name, user)
}

// ParseCapabilities makes Capabilities of a user, "" for one without a name, out of lists of verbs by pattern, as in
//
//	{"chat:*": ["subscribe", "publish", "publishes 5/s burst 20"], "inbox:{user}": ["*"], "board:7": ["subscribe", "publish:cursor:{user}"]}
//
// "publish:" and a pattern of keys allows to publish to those keys alone; the patterns are like those of channels.
// "{user}" stands for the user's id. What has a space in it is a limit, see Rated. The error names the pattern that is wrong.
func ParseCapabilities(lists map[string][]string, user string) (*Capabilities, error) {
	if len(lists) > MaxCapabilities {
		return nil, fmt.Errorf("there are %d patterns; at most %d are allowed", len(lists), MaxCapabilities)
	}
	c := &Capabilities{user: user}
	for _, text := range slices.Sorted(maps.Keys(lists)) {
		g, err := parseGrant(text, lists[text])
		g.names = g.pattern.matcherOf(user)
		if err != nil {
			return nil, fmt.Errorf("capability %q: %w", text, err)
		}
		c.grants = append(c.grants, g)
	}
	if err := c.rate(); err != nil {
		return nil, err
	}
	return c, nil
}

func parseGrant(text string, verbs []string) (g grant, err error) {
	if g.pattern, err = ParsePattern(text); err != nil {
		return g, err
	}
	var t terms
	for _, name := range verbs {
		if keys, ok := strings.CutPrefix(name, "publish:"); ok {
			p, err := ParsePattern(keys)
			if err != nil {
				return g, fmt.Errorf("%q: keys: %w", name, err)
			}
			if g.keys = append(g.keys, p); len(g.keys) > MaxKeyPatterns {
				return g, fmt.Errorf("there are more than %d patterns of keys", MaxKeyPatterns)
			}
			continue
		}
		if word, value, ok := cutTerm(name); ok {
			if err := t.set(word, value); err != nil {
				return g, fmt.Errorf("%q %w", name, err)
			}
			continue
		}
		v, err := ParseVerb(name)
		if err != nil {
			return g, err
		}
		g.verbs |= v
	}
	g.rated, err = t.rated(text)
	return g, err
}

// Wider returns Capabilities that allow what c does and what lists say, in the same words as those of ParseCapabilities, for the
// same user. A limit of lists takes the place of the one of the same pattern and word. c may be nil, and is not changed.
func (c *Capabilities) Wider(lists map[string][]string, user string) (*Capabilities, error) {
	wide, err := ParseCapabilities(lists, user)
	if all := c.Lists(); err == nil && all != nil {
		for pattern, verbs := range lists {
			for _, verb := range verbs {
				all[pattern] = withVerb(all[pattern], verb)
			}
		}
		wide, err = ParseCapabilities(all, user)
	}
	if err != nil {
		return nil, err
	}
	for _, g := range wide.rated {
		g.rated.Given = true
	}
	return wide, nil
}

// withVerb adds a verb, or a limit in place of another, to those of a pattern.
func withVerb(verbs []string, verb string) []string {
	word, _, limits := cutTerm(verb)
	if limits {
		verbs = slices.DeleteFunc(verbs, func(old string) bool {
			w, _, ok := cutTerm(old)
			return ok && w == word
		})
	}
	if slices.Contains(verbs, verb) {
		return verbs
	}
	return append(verbs, verb)
}

// Allow tells whether all of verbs are allowed for name, a channel or a method, by one pattern or several together.
func (c *Capabilities) Allow(verbs Verbs, name string) bool {
	if c == nil {
		return false
	}
	for i := range c.grants {
		g := &c.grants[i]
		if g.verbs&verbs != 0 && g.match(name, c.user) {
			if verbs &^= g.verbs; verbs == 0 {
				return true
			}
		}
	}
	return false
}

// AllowKey tells whether publishing to key of a channel is allowed; "" is an entry without one.
func (c *Capabilities) AllowKey(channel, key string) bool {
	_, ok := c.allowedKey(channel, key)
	return ok
}

func (c *Capabilities) allowedKey(channel, key string) (*grant, bool) {
	if c == nil {
		return nil, false
	}
	for i := range c.grants {
		g := &c.grants[i]
		if (g.verbs.Has(CanPublish) || g.allowsKey(key, c.user)) && g.match(channel, c.user) {
			return g, true
		}
	}
	return nil, false
}

func (g *grant) allowsKey(key, user string) bool {
	for _, p := range g.keys {
		if p.MatchUser(key, user) {
			return true
		}
	}
	return false
}

// Reason names the pattern that allows verb, which is one, for name and, of a publish, key. ok is false when none does.
func (c *Capabilities) Reason(verb Verbs, name, key string) (pattern string, ok bool) {
	if verb == CanPublish {
		g, ok := c.allowedKey(name, key)
		if !ok {
			return "", false
		}
		return g.pattern.String(), true
	}
	if c == nil {
		return "", false
	}
	for i := range c.grants {
		if g := &c.grants[i]; g.verbs.Has(verb) && g.match(name, c.user) {
			return g.pattern.String(), true
		}
	}
	return "", false
}

// Lists returns what ParseCapabilities takes: patterns with their verbs. Of nil Capabilities it is nil.
func (c *Capabilities) Lists() map[string][]string {
	if c == nil {
		return nil
	}
	lists := make(map[string][]string, len(c.grants))
	for _, g := range c.grants {
		verbs := g.verbs.Names()
		for _, p := range g.keys {
			verbs = append(verbs, "publish:"+p.String())
		}
		if g.rated != nil {
			verbs = append(verbs, g.rated.terms()...)
		}
		lists[g.pattern.String()] = verbs
	}
	return lists
}
