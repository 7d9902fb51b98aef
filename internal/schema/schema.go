package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	place    = "hocket:///schema" // as which the library knows a schema
	spares   = 8                  // copies that are kept
	maxPower = 400                // of ten in a number: more than any float64 has
)

// ErrSteps says that a payload takes more steps to check than were given.
var ErrSteps = errors.New("schema: too many steps")

// Steps is how many steps the check of a payload of so many bytes is worth: what a schema that does not branch without end
// needs, many times over.
func Steps(size int) int { return 1000 + 8*size }

// A Schema is a JSON Schema made ready.
type Schema struct {
	document any

	mu   sync.Mutex
	free []*copied // that no check uses now
}

// A copied is a schema compiled for one check at a time.
type copied struct {
	schema *jsonschema.Schema
	left   int  // steps
	brief  bool // patterns take steps too
}

// Compile makes a Schema of its JSON. The error says what is wrong, and where by a JSON pointer.
func Compile(text string) (*Schema, error) {
	document, err := read([]byte(text))
	if err != nil {
		return nil, err
	}
	s := &Schema{document: document}
	c, err := s.compile()
	if err != nil {
		return nil, err
	}
	s.free = append(s.free, c)
	return s, nil
}

// read makes values of JSON.
func read(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("is no JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("is no JSON: something follows the value")
	}
	if at, ok := writable(v); !ok {
		return nil, &Mismatch{pointer(at), fmt.Sprintf("must be a number between 1e-%d and 1e%d, whatever its sign", maxPower, maxPower)}
	}
	return v, nil
}

// writable tells whether every number can be written out in digits, as the library does, and else where one cannot.
func writable(v any) (at []string, ok bool) {
	switch v := v.(type) {
	case json.Number:
		_, power, there := strings.Cut(strings.ToLower(string(v)), "e")
		n, err := strconv.Atoi(power)
		return nil, !there || err == nil && n <= maxPower && n >= -maxPower
	case []any:
		for i, element := range v {
			if at, ok := writable(element); !ok {
				return append([]string{strconv.Itoa(i)}, at...), false
			}
		}
	case map[string]any:
		for name, value := range v {
			if at, ok := writable(value); !ok {
				return append([]string{name}, at...), false
			}
		}
	}
	return nil, true
}

// compile makes a copy for one more check.
func (s *Schema) compile() (*copied, error) {
	c := new(copied)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine(c.pattern)
	compiler.RegisterVocabulary(&jsonschema.Vocabulary{
		URL: "hocket:///steps",
		Compile: func(*jsonschema.CompilerContext, map[string]any) (jsonschema.SchemaExt, error) {
			return c, nil
		},
	})
	compiler.AssertVocabs()
	err := compiler.AddResource(place, s.document)
	if err == nil {
		c.schema, err = compiler.Compile(place)
	}
	if err != nil {
		return nil, compileError(err)
	}
	return c, nil
}

// Validate implements jsonschema.SchemaExt: it counts a step.
func (c *copied) Validate(*jsonschema.ValidatorContext, any) { c.step(1) }

func (c *copied) step(n int) {
	if c.left -= n; c.left < 0 {
		panic(ErrSteps) // the library knows no other way to stop
	}
}

// noLoader has nothing to load.
type noLoader struct{}

var errForeign = errors.New("a schema refers only to itself: what it needs belongs into its $defs")

// Load implements jsonschema.URLLoader.
func (noLoader) Load(string) (any, error) { return nil, errForeign }

// compileError says what is wrong with a schema in words that do not depend on where it was read from.
func compileError(err error) error {
	var invalid *jsonschema.SchemaValidationError
	var mismatch *jsonschema.ValidationError
	var foreign *jsonschema.LoadURLError
	switch {
	case errors.As(err, &invalid) && errors.As(invalid.Err, &mismatch):
		return newMismatch(mismatch)
	case errors.As(err, &foreign) && errors.Is(foreign.Err, errForeign):
		return fmt.Errorf("refers to %s: %w", strings.TrimPrefix(foreign.URL, "hocket:///"), errForeign)
	}
	return errors.New(strings.ReplaceAll(err.Error(), place, ""))
}

// Check tells whether a payload, which must be JSON, fits, and takes so many steps at most. Where those are fewer than Steps, what is
// held to patterns takes steps as well: as long as a text is, a pattern may take a thousand times longer than another. The error
// is a *Mismatch, or ErrSteps.
func (s *Schema) Check(payload []byte, steps int) error {
	v, err := read(payload)
	if err != nil {
		return err
	}
	c, err := s.take()
	if err != nil {
		return err
	}
	defer s.give(c)
	c.left, c.brief = steps, steps < Steps(len(payload))
	return c.check(v)
}

func (s *Schema) take() (*copied, error) {
	if c := s.spare(); c != nil {
		return c, nil
	}
	return s.compile() // which takes a while: nobody waits for it
}

// spare takes a copy that no check uses; nil for none.
func (s *Schema) spare() *copied {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free)
	if n == 0 {
		return nil
	}
	c := s.free[n-1]
	s.free = s.free[:n-1]
	return c
}

func (s *Schema) give(c *copied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) < spares {
		s.free = append(s.free, c)
	}
}

func (c *copied) check(v any) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case ErrSteps:
			err = ErrSteps
		default: // the library's, on what a stranger has sent: it costs the payload and no more
			err = &Mismatch{"", "cannot be checked"}
		}
	}()
	var mismatch *jsonschema.ValidationError
	if err := c.schema.Validate(v); errors.As(err, &mismatch) {
		return newMismatch(mismatch)
	}
	return nil
}
