package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// The bounds of what an error repeats, in bytes.
const (
	maxPointer = 128
	maxShown   = 64 // of a value the schema names, or a name the payload has
	maxListed  = 4  // of names and values
)

// A Mismatch says where a value does not fit a schema, and why.
type Mismatch struct {
	Pointer string // a JSON pointer (RFC 6901), "" for the value as a whole; cut after 128 bytes
	Problem string // for people: what is wrong with what is there. Of the payload only names are repeated, and few
}

// Error names the place and the problem.
func (m *Mismatch) Error() string {
	if m.Pointer == "" {
		return m.Problem
	}
	return "at " + m.Pointer + ": " + m.Problem
}

// newMismatch tells of one of what the library has found: the one that stands first, so that it is always the same.
func newMismatch(e *jsonschema.ValidationError) *Mismatch {
	e = first(e)
	for {
		meant := theOneMeant(e)
		if meant == nil {
			return &Mismatch{pointer(e.InstanceLocation), problem(e.ErrorKind)}
		}
		e = first(meant)
	}
}

// first goes from an error to what has caused it, as long as that need not be told apart from other ways to fit.
func first(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	for len(e.Causes) > 0 && !alternatives(e.ErrorKind) {
		e = slices.MinFunc(e.Causes, earlier)
	}
	return e
}

// theOneMeant is what one of several alternatives lacks, where all others are for values of other types, as null is beside what may
// be left out; else nil.
func theOneMeant(e *jsonschema.ValidationError) (meant *jsonschema.ValidationError) {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
	default:
		return nil
	}
	for _, cause := range e.Causes {
		why := first(cause)
		if _, ofType := why.ErrorKind.(*kind.Type); ofType && len(why.InstanceLocation) == len(e.InstanceLocation) {
			continue
		}
		if meant != nil {
			return nil
		}
		meant = cause
	}
	return meant
}

// pointer writes a JSON pointer, as much of it as is shown.
func pointer(tokens []string) string {
	var b strings.Builder
	for _, token := range tokens {
		b.WriteString("/" + Escape(token))
	}
	return cut(b.String(), maxPointer)
}

// alternatives tells whether the causes of an error are each only one of several ways to fit.
func alternatives(k jsonschema.ErrorKind) bool {
	switch k.(type) {
	case *kind.AnyOf, *kind.OneOf, *kind.Contains, *kind.MinContains, *kind.PropertyNames:
		return true
	}
	return false
}

func earlier(a, b *jsonschema.ValidationError) int {
	return cmp.Or(
		slices.CompareFunc(a.InstanceLocation, b.InstanceLocation, func(a, b string) int {
			return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) // so indexes stand in their order
		}),
		cmp.Compare(a.SchemaURL, b.SchemaURL),
		slices.Compare(a.ErrorKind.KeywordPath(), b.ErrorKind.KeywordPath()),
	)
}

// problem says what is wrong with what stands there.
func problem(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be of type %s, not %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Const:
		return "must be " + show(k.Want)
	case *kind.Enum:
		return "must be one of " + list(k.Want, show)
	case *kind.Required:
		return "lacks " + list(k.Missing, quote)
	case *kind.DependentRequired:
		return fmt.Sprintf("lacks %s, which %s needs", list(k.Missing, quote), quote(k.Prop))
	case *kind.AdditionalProperties:
		slices.Sort(k.Properties)
		return "may not have " + list(k.Properties, quote)
	case *kind.PropertyNames:
		return fmt.Sprintf("may not have a field called %s", quote(k.Property))
	case *kind.FalseSchema:
		return "may not be here"
	case *kind.Pattern:
		return "must match the pattern " + cut(k.Want, maxShown)
	case *kind.Format:
		return "must have the format " + cut(k.Want, maxShown)
	case *kind.AnyOf:
		return "fits none of the alternatives (anyOf)"
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			return "fits more than one of the alternatives (oneOf)"
		}
		return "fits none of the alternatives (oneOf)"
	case *kind.Not:
		return "is what it must not be (not)"
	case *kind.UniqueItems:
		return fmt.Sprintf("must not hold the same twice, as at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "holds no element that has to be there (contains)"
	}
	if s := size(k); s != "" {
		return s
	}
	return cut(fmt.Sprintf("does not fit (%s)", strings.Join(k.KeywordPath(), "/")), maxPointer)
}

// size says what is wrong with a number or a length; "" where that is not what is wrong.
func size(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters, not %d", k.Want, k.Got)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters, not %d", k.Want, k.Got)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d elements, not %d", k.Want, k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d elements, not %d", k.Want, k.Got)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d fields, not %d", k.Want, k.Got)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d fields, not %d", k.Want, k.Got)
	case *kind.Minimum:
		return "must be at least " + decimal(k.Want)
	case *kind.Maximum:
		return "must be at most " + decimal(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be more than " + decimal(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + decimal(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + decimal(k.Want)
	}
	return ""
}

func decimal(r *big.Rat) string {
	f, _ := r.Float64()
	return fmt.Sprint(f)
}

// list shows the first few of many.
func list[T any](all []T, show func(T) string) string {
	var shown []string
	for i, v := range all {
		if i == maxListed {
			return strings.Join(shown, ", ") + fmt.Sprintf(" and %d more", len(all)-i)
		}
		shown = append(shown, show(v))
	}
	return strings.Join(shown, ", ")
}

// show writes a value of the schema as JSON.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "what the schema says"
	}
	return cut(string(b), maxShown)
}

func quote(name string) string { return cut(fmt.Sprintf("%q", name), maxShown) }

var escapes = strings.NewReplacer("~", "~0", "/", "~1")

// Escape makes a name a token of a JSON pointer (RFC 6901 §3).
func Escape(name string) string { return escapes.Replace(name) }

// cut bounds a text.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}
