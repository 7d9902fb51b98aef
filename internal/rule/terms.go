package rule

import (
	"errors"
	"fmt"
	"strings"

	"hocket.dev/internal/limit"
)

// terms are what a capability says about how often, as it is read.
type terms struct {
	rates   limit.Rates
	atLimit AtLimit
	said    map[string]bool // nil for nothing
}

const atLimitWord = "at_limit"

// termKinds are what a capability can limit. The words are those of a rule, and of limit.Kind.
var termKinds = [...]limit.Kind{limit.Publishes, limit.Bytes, limit.Subscribes, limit.Calls}

// cutTerm takes a limit apart: "publishes 5/s burst 20" or "at_limit slow". ok is false for a verb, which holds no space.
func cutTerm(text string) (word, value string, ok bool) { return strings.Cut(text, " ") }

// set takes over one limit. The error goes on after its text.
func (t *terms) set(word, value string) error {
	if t.said[word] {
		return fmt.Errorf("comes after another limit of %s", word)
	}
	if t.said == nil {
		t.said = make(map[string]bool)
	}
	t.said[word] = true
	if word == atLimitWord {
		a, err := ParseAtLimit(value)
		if t.atLimit = a; err != nil {
			return fmt.Errorf("is no limit: %w", err)
		}
		return nil
	}
	for _, kind := range termKinds {
		if kind.String() == word {
			r, err := limit.ParseRate(value)
			if t.rates[kind] = r; err != nil {
				return fmt.Errorf("is no limit: %w", err)
			}
			return nil
		}
	}
	return errors.New(`is neither a verb nor a limit: limits are of publishes, bytes, subscribes or calls, as in "publishes 5/s burst 20", and at_limit may follow`)
}

// rated makes the limits of a capability ready for use, nil where there are none.
func (t *terms) rated(pattern string) (*Rated, error) {
	switch {
	case len(t.said) == 1 && t.said[atLimitWord]:
		return nil, errors.New("at_limit says what happens at a limit, and there is none")
	case t.rates == limit.Rates{}:
		return nil, nil
	}
	return &Rated{Session: t.rates.Limits(), AtLimit: t.atLimit, Capability: pattern}, nil
}

// terms are the limits of a capability in words, as ParseCapabilities takes them.
func (r *Rated) terms() (words []string) {
	for _, kind := range termKinds {
		if l := &r.Session[kind]; l.On() {
			words = append(words, kind.String()+" "+l.Rate().String())
		}
	}
	if r.AtLimit != Reject {
		words = append(words, atLimitWord+" "+r.AtLimit.String())
	}
	return words
}

// rate finds out which capabilities have limits.
func (c *Capabilities) rate() error {
	for i := range c.grants {
		if g := &c.grants[i]; g.rated != nil {
			c.rated = append(c.rated, g)
		}
	}
	if len(c.rated) > MaxRated {
		return fmt.Errorf("there are %d patterns with limits; at most %d are allowed", len(c.rated), MaxRated)
	}
	return nil
}

// Limited tells whether there are limits.
func (c *Capabilities) Limited() bool { return c != nil && len(c.rated) > 0 }

// AppendRated appends the limits that hold for something of a kind, limit.Publishes, limit.Subscribes or limit.Calls, that is done
// with name: a channel or a method. They hold whatever allows it.
func (c *Capabilities) AppendRated(dst []*Rated, kind limit.Kind, name string) []*Rated {
	if c == nil {
		return dst
	}
	for _, g := range c.rated {
		l := g.rated.Session
		if (l[kind].On() || kind == limit.Publishes && l[limit.Bytes].On()) && g.match(name, c.user) {
			dst = append(dst, g.rated)
		}
	}
	return dst
}

// Limits tells how often the client may do verb, which is one, with name: which rates of the channel's rule and of capabilities
// hold, such as `publishes 5/s burst 20 by the capability "chat:*"`.
func (a Access) Limits(verb Verbs, name string, set *Set) (texts []string) {
	kinds := map[Verbs][]limit.Kind{
		CanSubscribe: {limit.Subscribes}, CanPublish: {limit.Publishes, limit.Bytes}, CanCall: {limit.Calls},
	}[verb]
	if kinds == nil {
		return nil
	}
	var all []*Rated
	if a.Proven {
		all = a.Own.AppendRated(all, kinds[0], name)
	}
	all = a.Given.AppendRated(all, kinds[0], name)
	for _, r := range all {
		texts = r.explain(texts, kinds, fmt.Sprintf("the capability %q", r.Capability))
	}
	if r := set.For(name); verb != CanCall && r.Rated() != nil {
		texts = r.Rated().explain(texts, kinds, r.title())
	}
	return texts
}

// explain appends the rates of some kinds.
func (r *Rated) explain(texts []string, kinds []limit.Kind, by string) []string {
	if r.AtLimit == Slow {
		by += ", which slows down"
	}
	for _, kind := range kinds {
		if l := &r.Session[kind]; l.On() {
			texts = append(texts, fmt.Sprintf("%v %v by %s", kind, l.Rate(), by))
		}
		if r.Total != nil && r.Total[kind].On() {
			texts = append(texts, fmt.Sprintf("total_%v %v by %s", kind, r.Total[kind].Rate(), by))
		}
	}
	return texts
}
