package schema

import (
	"regexp"
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// matchPerStep is how many bytes of a text, times instructions of a pattern, are a step: each may take 16 ns, a step some 1.5 µs.
const matchPerStep = 100

// A pattern is a regular expression whose work is counted.
type pattern struct {
	*regexp.Regexp
	of   *copied
	size int // instructions
}

// pattern is a jsonschema.RegexpEngine.
func (c *copied) pattern(text string) (jsonschema.Regexp, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	return &pattern{re, c, len(program.Inst)}, nil
}

// MatchString implements jsonschema.Regexp.
func (p *pattern) MatchString(text string) bool {
	if p.of.brief {
		p.of.step(len(text) * p.size / matchPerStep)
	}
	return p.Regexp.MatchString(text)
}
