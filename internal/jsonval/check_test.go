package jsonval

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

const depth = 128

func TestCheckAcceptsEveryKindOfValue(t *testing.T) {
	for _, text := range []string{
		`null`, `true`, `false`, `0`, `-0`, `12`, `-1.5e+10`, `1E5`, `""`, `"ä\u00e4\ud83d\ude00\uFFFD\n\/"`, "\"\u2028\x7f\"",
		`[]`, `{}`, `[1,[2,[]],{"a":{}}]`, " {\"a\" : 1 ,\r\n\t\"b\":2 } ", `{"":null}`,
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

func TestWhatReadersTakeDifferentlyIsRefused(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{"a":1,"b":2,"a":1}`, `the name "a" stands twice in one object at byte 13`},
		{`{"a":1,"\u0061":2}`, `the name "\u0061" stands twice in one object at byte 7`},
		{`{"":1,"":2}`, `the name "" stands twice in one object at byte 6`},
		{`{"a":1,"a\u0000":2,"a\u0000":3}`, `the name "a\u0000" stands twice in one object at byte 19`},
		{`[{"middling":1,"middling":2}]`, `the name "middling" stands twice in one object at byte 15`},
		{`{"a name of many a word":1,"a name of many a wor\u0064":2}`, `the name "a name of many a wor\u0064" stands twice in one object at byte 27`},
		{`{"ä":1,"\u00e4":2}`, `the name "\u00e4" stands twice in one object at byte 8`},
		{`{"__proto__":null}`, `the name __proto__, by which JavaScript may change what an object inherits, is not taken at byte 1`},
		{`{"a":[{"b":{"\u005f_proto\u005F_":{"admin":true}}}]}`, `the name __proto__, by which JavaScript may change what an object inherits, is not taken at byte 12`},
		{`["\ud83d"]`, `half of a surrogate pair stands alone at byte 2`},
		{`["\ude00\ud83d"]`, `half of a surrogate pair stands alone at byte 2`},
		{`"x\ud83d\u0041"`, `half of a surrogate pair stands alone at byte 2`},
		{`"\ud83d\ud83d\ude00"`, `half of a surrogate pair stands alone at byte 1`},
		{`{"\uD83D\n":1}`, `half of a surrogate pair stands alone at byte 2`},
		{`{"` + strings.Repeat("n", MaxName+1) + `":1}`, `a name of more than 1024 bytes at byte 1`},
		{`[-` + strings.Repeat("9", MaxNumber) + `]`, `a number of more than 1024 bytes at byte 1`},
		{`{"` + strings.Repeat("ä", 40) + `":1,"` + strings.Repeat("ä", 40) + `":1}`, `the name "` + strings.Repeat("ä", 32) + `… stands twice in one object at byte 86`},
	} {
		err := Check([]byte(test.text), depth)
		var e *Error
		if !errors.As(err, &e) || e.Error() != test.want || !e.Refused || e.TooDeep {
			t.Errorf("Check(%s) = %v, want %s", test.text, err, test.want)
		}
	}
	for _, text := range []string{
		`[{"a":{"a":1}},{"a":[{"a":2}]}]`, `{"a":1,"A":2,"a ":3,"":4,"\u0000":5}`, `{"aaaaaaaa":1,"aaaaaaaaa":2,"aaaaaaa":3}`,
		`{"__proto":1,"__proto___":2,"proto":"__proto__"}`, `"\\ud83d"`, `{"` + strings.Repeat("n", MaxName) + `":` + strings.Repeat("9", MaxNumber) + `}`,
	} {
		if err := Check([]byte(text), depth); err != nil {
			t.Errorf("Check(%s) = %v", text, err)
		}
	}
}

// object writes an object of n fields whose names have so many bytes at least, and then one with the name again.
func object(n, length int, again string) []byte {
	b := []byte("{")
	for i := range n {
		b = fmt.Appendf(b, `"%0*x":%d,`, length, i, i)
	}
	return fmt.Appendf(b, `%q:0}`, again)
}

func TestOneNameAmongManyIsFound(t *testing.T) {
	for _, length := range []int{1, 7, 8, 16, 17, 40} {
		for _, n := range []int{1, 11, 12, 13, 95, 96, 97, 400, MaxFields - 1} {
			if n > 400 && length != 8 {
				continue
			}
			if err := Check(object(n, length, "other"), depth); err != nil {
				t.Fatalf("%d names of %d bytes: %v", n, length, err)
			}
			again := fmt.Sprintf("%0*x", length, n/2)
			err := Check(object(n, length, again), depth)
			if want := fmt.Sprintf("the name %q stands twice in one object", again); err == nil || err.(*Error).Problem != want {
				t.Fatalf("%d names of %d bytes: %v, want %s", n, length, err, want)
			}
		}
	}
	err := Check(object(MaxFields, 1, "other"), depth)
	if err == nil || err.(*Error).Problem != "an object of more than 10000 fields" {
		t.Error(err)
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	for _, p := range benchPayloads {
		text := []byte(p.text)
		if n := testing.AllocsPerRun(100, func() { _ = Check(text, depth) }); n > 0.5 { // the collector may empty the pool
			t.Errorf("%s: %v allocations", p.name, n)
		}
	}
}

// accepted tells the same as Check by other means.
func accepted(b []byte) bool {
	if !json.Valid(b) || !utf8.Valid(b) || loneSurrogate(string(b)) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	type level struct {
		names map[string]bool // nil for an array
		value bool            // the next string is no name
	}
	levels := []level{{}}
	for {
		token, err := d.Token()
		if err != nil {
			return err == io.EOF
		}
		at := &levels[len(levels)-1]
		if name, ok := token.(string); ok && at.names != nil && !at.value {
			if at.names[name] || name == "__proto__" {
				return false
			}
			at.names[name], at.value = true, true
			continue
		}
		at.value = false
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{names: map[string]bool{}})
		case json.Delim('['):
			levels = append(levels, level{})
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
			levels[len(levels)-1].value = false
		}
	}
}

// loneSurrogate says whether JSON has half of a surrogate pair in it.
func loneSurrogate(s string) bool {
	var units []uint16 // what is no escape of a unit is a letter
	for len(s) > 0 {
		switch {
		case strings.HasPrefix(s, `\u`):
			u, _ := strconv.ParseUint(s[2:6], 16, 16)
			units = append(units, uint16(u))
			s = s[6:]
		case s[0] == '\\':
			units = append(units, 'x')
			s = s[2:]
		default:
			units = append(units, 'x')
			s = s[1:]
		}
	}
	for i := 0; i < len(units); i++ {
		if !utf16.IsSurrogate(rune(units[i])) {
			continue
		}
		if i+1 == len(units) || utf16.DecodeRune(rune(units[i]), rune(units[i+1])) == utf8.RuneError {
			return true
		}
		i++
	}
	return false
}

// FuzzCheck compares Check with encoding/json, and Fields with Check.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e3,true,false,null,"x\u00e4\n"],"b":{}}`, `{"a":1,"a":2}`, `[1,]`, `"\ud800"`, "\"\xff\"", ` 0 `, `{"\u0061":01}`,
		`{"a":{"a":1},"b":[{"a":1,"\u0061":2}]}`, `{"middling":1,"middlinG":2,"a long name indeed":3}`, `{"__prot\u006f__":1}`,
		`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11,"l":12,"m":13,"n":14,"o":15,"m":16}`, `"\ud83d\ude00\\ud83d"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > MaxName {
			return // the bounds have tests of their own
		}
		err := Check(b, 1000)
		if want := accepted(b); (err == nil) != want {
			t.Fatalf("Check(%q) = %v, encoding/json says %v", b, err, want)
		}
		if err != nil && (err.(*Error).Offset < 0 || err.(*Error).Offset > len(b)) {
			t.Fatalf("Check(%q) = %v: no such byte", b, err)
		}
		if err != nil && !err.(*Error).Refused && json.Valid(b) && utf8.Valid(b) {
			t.Fatalf("Check(%q) = %v, but it is JSON", b, err)
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
