package jsonval

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

const depth = 128

func TestCheckAcceptsEveryKindOfValue(t *testing.T) {
	for _, text := range []string{
		`null`, `true`, `false`, `0`, `-0`, `12`, `-1.5e+10`, `1E5`, `""`, `"ä\u00e4\ud83d\ude00\ud800\n\/"`, "\"\u2028\x7f\"",
		`[]`, `{}`, `[1,[2,[]],{"a":{}}]`, " {\"a\" : 1 ,\r\n\t\"a\":2 } ", `{"":null}`,
	} {
		if err := Check([]byte(text), depth); err != nil {
			t.Errorf("Check(%s) = %v", text, err)
		}
	}
}

func TestCheckSaysWhatIsWrongAndWhere(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{``, `expected a value, but the text ends at byte 0`},
		{`  `, `expected a value, but the text ends at byte 2`},
		{`{} x`, `expected nothing after the value, not 'x' at byte 3`},
		{`01`, `expected nothing after the value, not '1' at byte 1`},
		{`-`, `expected a digit, but the text ends at byte 1`},
		{`1.`, `expected a digit, but the text ends at byte 2`},
		{`1e+x`, `expected a digit, not 'x' at byte 3`},
		{`+1`, `expected a value, not '+' at byte 0`},
		{`nul`, `expected the word null, but the text ends at byte 3`},
		{`truE`, `expected the word true, not 'E' at byte 3`},
		{`[1,]`, `expected a value, not ']' at byte 3`},
		{`[1 2]`, `expected ',' or ']' after an element, not '2' at byte 3`},
		{`{"a":1,}`, `expected a field's name in quotation marks, not '}' at byte 7`},
		{`{a:1}`, `expected a field's name in quotation marks, not 'a' at byte 1`},
		{`{"a" 1}`, `expected ':' after a field's name, not '1' at byte 5`},
		{`{"a":1;}`, `expected ',' or '}' after a field, not ';' at byte 6`},
		{`{"a":1`, `expected ',' or '}' after a field, but the text ends at byte 6`},
		{`"a`, `the text ends within a string at byte 2`},
		{`"\`, `the text ends within a string at byte 2`},
		{`"\x"`, `expected one of "\/bfnrtu after a backslash, not 'x' at byte 2`},
		{`"\u00g0"`, `expected four hexadecimal digits after \u, not 'g' at byte 5`},
		{`"\u00`, `expected four hexadecimal digits after \u, but the text ends at byte 5`},
		{"\"a\nb\"", `a control character that must be written \u000a at byte 2`},
		{"\"\xff\"", `invalid UTF-8 at byte 1`},
		{"\"\xed\xa0\x80\"", `invalid UTF-8 at byte 1`},
		{"\ufeff{}", `expected a value, not 0xef at byte 0`},
		{"\x00", `expected a value, not 0x00 at byte 0`},
	} {
		err := Check([]byte(test.text), depth)
		var e *Error
		if !errors.As(err, &e) || e.Error() != test.want {
			t.Errorf("Check(%q) = %v, want %s", test.text, err, test.want)
		}
	}
}

func TestCheckBoundsTheDepth(t *testing.T) {
	nested := func(n int) []byte { return []byte(strings.Repeat(`[{"a":`, n/2) + "1" + strings.Repeat("}]", n/2)) }
	if err := Check(nested(depth), depth); err != nil {
		t.Errorf("depth %d: %v", depth, err)
	}
	var e *Error
	if err := Check(nested(depth+2), depth); !errors.As(err, &e) || !e.TooDeep || e.Offset != 6*depth/2 {
		t.Errorf("depth %d: %v", depth+2, err)
	}
	if err := Check([]byte(strings.Repeat("[", 1<<20)), depth); !errors.As(err, &e) || !e.TooDeep {
		t.Errorf("a million brackets: %v", err)
	}
}

// FuzzCheck compares Check with encoding/json, and Fields with Check.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e3,true,false,null,"x\u00e4\n"],"b":{}}`, `{"a":1,"a":2}`, `[1,]`, `"\ud800"`, "\"\xff\"", ` 0 `, `{"\u0061":01}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := Check(b, 1000)
		if want := json.Valid(b) && utf8.Valid(b); (err == nil) != want {
			t.Fatalf("Check(%q) = %v, encoding/json says %v", b, err, want)
		}
		if err != nil && (err.(*Error).Offset < 0 || err.(*Error).Offset > len(b)) {
			t.Fatalf("Check(%q) = %v: no such byte", b, err)
		}
		o := Fields(b, 1000)
		for o.Next() {
			if err := Check(o.Value(), 1000); err != nil {
				t.Fatalf("%q has the value %q: %v", b, o.Value(), err)
			}
		}
		if want := err == nil && strings.TrimLeft(string(b), " \t\r\n")[0] == '{'; (o.Err() == nil) != want {
			t.Fatalf("Fields(%q) = %v, want %v", b, o.Err(), want)
		}
	})
}
