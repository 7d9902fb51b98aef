package schema

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func compile(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func check(s *Schema, payload string) error { return s.Check([]byte(payload), Steps(len(payload))) }

const person = `{
	"type": "object", "required": ["name", "age"], "additionalProperties": false, "maxProperties": 6,
	"properties": {
		"name": {"type": "string", "minLength": 1, "maxLength": 10, "pattern": "^[A-Z]"},
		"age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150, "multipleOf": 0.5},
		"mail": {"format": "email"},
		"kind": {"enum": ["a", 1, null, {"x": [1]}, "b"]},
		"tags": {"type": "array", "minItems": 1, "maxItems": 3, "uniqueItems": true, "items": {"$ref": "#/$defs/tag"}, "contains": {"const": "x"}},
		"a/b~c": {"anyOf": [{"type": "string"}, {"type": "null"}], "not": {"const": "no"}},
		"one": {"oneOf": [{"minimum": 1}, {"minimum": 2}]}
	},
	"dependentRequired": {"mail": ["kind"]},
	"$defs": {"tag": {"type": ["string", "null"], "maxLength": 4}}
}`

func TestAPayloadThatDoesNotFitIsToldWhere(t *testing.T) {
	s := compile(t, person)
	for _, test := range []struct{ payload, want string }{
		{`{"name":"Ada","age":36,"kind":{"x":[1.0]},"tags":["x",null],"a/b~c":null,"one":1}`, ``},
		{`[]`, `must be of type object, not array`},
		{`{}`, `lacks "name", "age"`},
		{`{"name":"Ada","age":1,"extra":1,"__more":2}`, `may not have "__more", "extra"`},
		{`{"name":"","age":1}`, `at /name: must have at least 1 characters, not 0`},
		{`{"name":"Adelheid Popp","age":1}`, `at /name: must have at most 10 characters, not 13`},
		{`{"name":"ada","age":1}`, `at /name: must match the pattern ^[A-Z]`},
		{`{"name":"Ada","age":-1}`, `at /age: must be at least 0`},
		{`{"name":"Ada","age":150}`, `at /age: must be less than 150`},
		{`{"name":"Ada","age":1.5}`, `at /age: must be of type integer, not number`},
		{`{"name":"Ada","age":1,"mail":"nobody","kind":"a"}`, `at /mail: must have the format email`},
		{`{"name":"Ada","age":1,"mail":"a@b.example"}`, `lacks "kind", which "mail" needs`},
		{`{"name":"Ada","age":1,"kind":2}`, `at /kind: must be one of "a", 1, null, {"x":[1]} and 1 more`},
		{`{"name":"Ada","age":1,"tags":[]}`, `at /tags: holds no element that has to be there (contains)`},
		{`{"name":"Ada","age":1,"tags":["x","x"]}`, `at /tags: must not hold the same twice, as at 0 and 1`},
		{`{"name":"Ada","age":1,"tags":["x","b",3]}`, `at /tags/2: must be of type null or string, not number`},
		{`{"name":"Ada","age":1,"a/b~c":"no"}`, `at /a~1b~0c: is what it must not be (not)`},
		{`{"name":"Ada","age":1,"a/b~c":1}`, `at /a~1b~0c: fits none of the alternatives (anyOf)`},
		{`{"name":"Ada","age":1,"one":2}`, `at /one: fits more than one of the alternatives (oneOf)`},
		{`{"name":"Ada","age":1e401}`, `at /age: must be a number between 1e-400 and 1e400, whatever its sign`},
	} {
		for range 5 { // maps have no order, errors do
			err := check(s, test.payload)
			switch {
			case test.want == "" && err == nil:
			case err == nil || err.Error() != test.want:
				t.Fatalf("%s: %v, want %s", test.payload, err, test.want)
			}
		}
	}
}

// Where one alternative alone is for values of that type, as the one beside null is for all others, it is told what it lacks.
func TestTheAlternativeThatWasMeantIsTold(t *testing.T) {
	s := compile(t, `{"properties": {
		"maybe": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["a"], "properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}}]},
		"one": {"oneOf": [{"type": "string", "maxLength": 2}, {"$ref": "#/$defs/list"}]},
		"two": {"anyOf": [{"type": "string", "maxLength": 2}, {"type": "string", "format": "email"}, {"type": "null"}]},
		"deep": {"anyOf": [{"properties": {"a": {"type": "string"}}}, {"type": "null"}]}
	}, "$defs": {"list": {"type": "array", "items": {"type": "integer"}}}}`)
	for payload, want := range map[string]string{
		`{"maybe":{}}`:        `at /maybe: lacks "a"`,
		`{"maybe":{"a":"x"}}`: `at /maybe/a: fits none of the alternatives (anyOf)`,
		`{"maybe":1}`:         `at /maybe: fits none of the alternatives (anyOf)`,
		`{"one":"abc"}`:       `at /one: must have at most 2 characters, not 3`,
		`{"one":[1,"x"]}`:     `at /one/1: must be of type integer, not string`,
		`{"two":"abc"}`:       `at /two: fits none of the alternatives (anyOf)`,
		`{"deep":{"a":1}}`:    `at /deep/a: must be of type string, not number`,
	} {
		if err := check(s, payload); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", payload, err, want)
		}
	}
}

// An error is short, whatever is sent.
func TestErrorsRepeatLittle(t *testing.T) {
	s := compile(t, `{"additionalProperties":{"additionalProperties":{"type":"string","pattern":"`+strings.Repeat("x", 500)+`","format":"email"}}, "maxProperties":1}`)
	long := strings.Repeat("ä~/", 1000)
	for _, payload := range []string{
		`{"` + long + `":{"` + long + `":"` + long + `"}}`, `{"` + long + `":{"a":1}}`, `{"a":1,"` + long + `":2}`,
	} {
		err := check(s, payload)
		if err == nil || len(err.Error()) > 300 {
			t.Errorf("%v", err)
		}
	}
	s = compile(t, `{"additionalProperties":false}`)
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf(`"%d%s":1`, i, long))
	}
	if err := check(s, "{"+strings.Join(many, ",")+"}"); err == nil || len(err.Error()) > 400 {
		t.Errorf("%.500v", err)
	}
}

func TestASchemaThatIsNoneIsToldWhere(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{"type":`, `is no JSON: unexpected EOF`},
		{`{} {}`, `is no JSON: something follows the value`},
		{`[]`, `must be of type boolean or object, not array`},
		{`{"properties":{"a":{"type":"text"}}}`, `at /properties/a/type: must be one of "array", "boolean", "integer", "null" and 3 more`},
		{`{"properties":{"a":{"minLength":-1}}}`, `at /properties/a/minLength: must be at least 0`},
		{`{"properties":{"a":{"pattern":"("}}}`, `at /properties/a/pattern: must have the format regex`},
		{`{"$ref":"#/$defs/none"}`, `json-pointer in "#/$defs/none" not found`},
		{`{"$ref":"https://schemas.example/a.json"}`, `refers to https://schemas.example/a.json: ` + errForeign.Error()},
		{`{"$ref":"common.json#/a"}`, `refers to common.json: ` + errForeign.Error()},
		{`{"$ref":"file:///etc/passwd"}`, `refers to file:///etc/passwd: ` + errForeign.Error()},
		{`{"$schema":"https://schemas.example/draft"}`, `refers to https://schemas.example/draft: ` + errForeign.Error()},
		{`{"minimum":1e999999999}`, `at /minimum: must be a number between 1e-400 and 1e400, whatever its sign`},
	} {
		_, err := Compile(test.text)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", test.text, err, test.want)
		}
	}
	for _, text := range []string{
		`true`, `{}`, `{"$schema":"http://json-schema.org/draft-07/schema#","dependencies":{"a":["b"]}}`, `{"$ref":"#"}`,
		`{"$id":"https://schemas.example/a.json","$ref":"a.json#/$defs/b","$defs":{"b":{"type":"null"}}}`,
	} {
		compile(t, text)
	}
}

// Numbers that take a gigabyte to write out are no numbers to count with.
func TestHugeNumbersCostNothing(t *testing.T) {
	s := compile(t, `{"items":{"type":"integer","minimum":1,"multipleOf":3}}`)
	for _, number := range []string{`1e999999999`, `1E-999999999`, `-1e+401`, `1e99999999999999999999`} {
		if err := check(s, `[1,[`+number+`]]`); err == nil || !strings.HasPrefix(err.Error(), "at /1/0: must be a number between") {
			t.Errorf("%s: %v", number, err)
		}
	}
	if err := check(s, `[3e400]`); err != nil {
		t.Error(err)
	}
}

// A tree whose node may be of two kinds, each with a child, can be tried in 2^depth ways.
func TestACheckEnds(t *testing.T) {
	for _, text := range []string{
		`{"$defs":{"node":{"anyOf":[{"properties":{"a":{"$ref":"#/$defs/node"}},"required":["x"]},{"properties":{"a":{"$ref":"#/$defs/node"}},"required":["y"]}]}},"$ref":"#/$defs/node"}`,
		`{"not":{"$ref":"#/$defs/node"},"$defs":{"node":{"type":"object","anyOf":[{"properties":{"a":{"$ref":"#/$defs/node"}}},{"patternProperties":{".":{"$ref":"#/$defs/node"}}}]}}}`,
		`{"$defs":{"node":{"allOf":[{"properties":{"a":{"$ref":"#/$defs/node"}}},{"patternProperties":{".":{"$ref":"#/$defs/node"}}}]}},"$ref":"#/$defs/node"}`,
	} {
		s := compile(t, text)
		deep := strings.Repeat(`{"a":`, 120) + `1` + strings.Repeat(`}`, 120)
		if err := check(s, deep); !errors.Is(err, ErrSteps) {
			t.Errorf("%s: %v", text, err)
		}
		if err := check(s, `{"a":{"a":{"x":1}}}`); errors.Is(err, ErrSteps) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFewStepsAreEnoughForOrdinaryPayloads(t *testing.T) {
	s := compile(t, person)
	payload := []byte(`{"name":"Ada","age":36,"kind":"a","tags":["x",null],"a/b~c":null,"one":1}`)
	if err := s.Check(payload, 50); err != nil {
		t.Error(err)
	}
	if err := s.Check(payload, 3); !errors.Is(err, ErrSteps) {
		t.Error(err)
	}
}

func TestASchemaIsForAllGoroutines(t *testing.T) {
	s := compile(t, person)
	var group sync.WaitGroup
	for i := range 4 * spares {
		group.Go(func() {
			for j := range 20 {
				payload := fmt.Sprintf(`{"name":"Ada","age":%d}`, 140+i+j)
				if err := check(s, payload); (err != nil) != (140+i+j >= 150) {
					t.Errorf("%s: %v", payload, err)
				}
			}
		})
	}
	group.Wait()
	if len(s.free) > spares {
		t.Errorf("%d copies are kept", len(s.free))
	}
}

// FuzzCheck gives any schema any payload: nothing panics, and what is told is short.
func FuzzCheck(f *testing.F) {
	f.Add(person, `{"name":"Ada","age":1e3,"tags":[1,{"a":[]}]}`)
	f.Add(`{"$ref":"#"}`, `1`)
	f.Add(`{"$dynamicRef":"#x","$defs":{"x":{"$dynamicAnchor":"x","unevaluatedProperties":false}}}`, `{"a":1}`)
	f.Fuzz(func(t *testing.T, text, payload string) {
		s, err := Compile(text)
		if err != nil {
			return
		}
		err = s.Check([]byte(payload), 10_000)
		var m *Mismatch
		if errors.As(err, &m) && len(m.Pointer)+len(m.Problem) > 600 {
			t.Errorf("%v", err)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	s := compile(b, person)
	for name, payload := range map[string]string{
		"small": `{"name":"Ada","age":36,"kind":"a","tags":["x",null]}`,
		"wrong": `{"name":"Ada","age":-36,"kind":"a","tags":["x",null]}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				check(s, payload)
			}
		})
	}
	for name, item := range map[string]string{"array": `1`, "wrong": `""`} {
		list := compile(b, `{"items":{"anyOf":[{"type":"integer","minimum":0},{"type":"null"},{"type":"boolean"}]}}`)
		for _, size := range []int{2 << 10, 64 << 10} {
			payload := "[" + strings.Repeat(item+",", size/(len(item)+1)) + "null]"
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				for b.Loop() {
					check(list, payload)
				}
			})
		}
	}
}

// A pattern that takes long for a short text is no matter of a moment, which many such texts would take from everybody.
func TestPatternsTakeSteps(t *testing.T) {
	s := compile(t, `{"pattern":"^(a|aa|aaa)+(b|[a-z]{0,500}){0,2}$"}`)
	payload := []byte(`"` + strings.Repeat("a", 1000) + `!"`)
	if err := s.Check(payload, 200); err != ErrSteps {
		t.Errorf("a brief check: %v", err)
	}
	var mismatch *Mismatch
	if err := s.Check(payload, Steps(len(payload))); !errors.As(err, &mismatch) {
		t.Errorf("a whole check: %v", err)
	}
	if err := compile(t, `{"pattern":"^[A-Z][a-z ]*$"}`).Check([]byte(`"A`+strings.Repeat("a", 1000)+`"`), 200); err != nil {
		t.Errorf("an ordinary pattern: %v", err)
	}
}
