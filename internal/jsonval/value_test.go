package jsonval

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFieldsAreHandedOutAsTheyStand(t *testing.T) {
	text := []byte(" { \"type\" : \"a\" , \"p\\u0061y\":[1, {\"x\":2} ],\"score\":-1.50 }\n")
	var got []string
	o := Fields(text, depth)
	for o.Next() {
		got = append(got, string(o.Name())+"="+string(o.Value()))
	}
	if o.Err() != nil {
		t.Fatal(o.Err())
	}
	if want := `type="a" pay=[1, {"x":2} ] score=-1.50`; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAppendingToAValueLeavesTheTextAlone(t *testing.T) {
	text := []byte(`{"a":1,"b":2}`)
	o := Fields(text, depth)
	o.Next()
	_ = append(o.Value(), 'x')
	if string(text) != `{"a":1,"b":2}` {
		t.Errorf("the text became %s", text)
	}
}

func TestFieldsRefusesWhatIsNoObject(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{``, `expected an object, but the text ends at byte 0`},
		{` [1]`, `expected an object, not '[' at byte 1`},
		{`{}{}`, `expected nothing after the value, not '{' at byte 2`},
		{`{"a":1} 2`, `expected nothing after the value, not '2' at byte 8`},
		{`{"a":1 "b":2}`, `expected ',' or '}' after a field, not '"' at byte 7`},
		{`{"a":[}`, `expected a value, not '}' at byte 6`},
	} {
		o := Fields([]byte(test.text), depth)
		for o.Next() {
		}
		if o.Err() == nil || o.Err().Error() != test.want {
			t.Errorf("Fields(%s): %v, want %s", test.text, o.Err(), test.want)
		}
		if o.Next() || o.Value() != nil {
			t.Errorf("Fields(%s) goes on after its error", test.text)
		}
	}
	var e *Error
	o := Fields([]byte(`{"a":{}}`), 1)
	if o.Next() || !errors.As(o.Err(), &e) || !e.TooDeep {
		t.Errorf("two levels where one is allowed: %v", o.Err())
	}
}

func TestString(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`""`, ""},
		{`"aä"`, "aä"},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{`"\u0041\u00e4\u20AC\ud83d\ude00!"`, "Aä€😀!"},
		{`"\ufffd\\ud83d"`, "\ufffd\\ud83d"},
	} {
		got, ok := String([]byte(test.text))
		if !ok || got != test.want {
			t.Errorf("String(%s) = %q, %v", test.text, got, ok)
		}
	}
	for _, text := range []string{`1`, `{}`, `null`, ``} {
		if got, ok := String([]byte(text)); ok {
			t.Errorf("String(%s) = %q", text, got)
		}
	}
}

func TestUint(t *testing.T) {
	const most = 1<<53 - 1
	for text, want := range map[string]uint64{"0": 0, "7": 7, "9007199254740991": most} {
		if got, ok := Uint([]byte(text), most); !ok || got != want {
			t.Errorf("Uint(%s) = %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-1", "-0", "1.0", "1e3", `"1"`, "null", "9007199254740992", "18446744073709551617", "99999999999999999999999"} {
		if got, ok := Uint([]byte(text), most); ok {
			t.Errorf("Uint(%s) = %d", text, got)
		}
	}
}

func TestIsInteger(t *testing.T) {
	for v, want := range map[string]bool{
		"0": true, "-1": true, "9007199254740993": true, "123456789012345678901234567890": true,
		"1.0": false, "1e3": false, "-": false, "": false, `"1"`: false, "null": false, "true": false, "{}": false,
	} {
		if got := IsInteger([]byte(v)); got != want {
			t.Errorf("%s: %v", v, got)
		}
	}
}

func TestNumbersAreWrittenShort(t *testing.T) {
	for v, want := range map[string]string{
		"0": "0", "-0": "-0", "12.50": "12.5", "1e3": "1000", "1E21": "1e+21", "123456789012345680000": "123456789012345680000",
		"0.000001": "0.000001", "1e-7": "1e-07", "-7": "-7", "1e-400": "0",
	} {
		f, ok := Float([]byte(v))
		if got := string(AppendFloat(nil, f)); !ok || got != want {
			t.Errorf("%s became %s, want %s", v, got, want)
		}
	}
	if f, ok := Float([]byte("-1e999")); !ok || !math.IsInf(f, -1) {
		t.Errorf("what is too large became %v", f)
	}
	for _, v := range []string{"", `"1"`, "true", "null", "[]", "Infinity"} {
		if f, ok := Float([]byte(v)); ok {
			t.Errorf("%q became %v", v, f)
		}
	}
}

func TestElements(t *testing.T) {
	for _, test := range []struct {
		v    string
		most int
		want string
	}{
		{`[]`, 9, ``}, {`[ ]`, 9, ``}, {`[1]`, 9, `1`}, {`[ "a,]" , [2,{"b":[]}] ,null ]`, 9, `"a,]"|[2,{"b":[]}]|null`},
		{`[1,2,3]`, 2, `1|2`}, {`{"a":1}`, 9, ``}, {`1`, 9, ``}, {``, 9, ``},
	} {
		if got := string(bytes.Join(Elements([]byte(test.v), test.most), []byte("|"))); got != test.want {
			t.Errorf("%s: %s, want %s", test.v, got, test.want)
		}
	}
}

func TestKindAndBool(t *testing.T) {
	for text, want := range map[string]string{
		`"a"`: "a string", `{}`: "an object", `[]`: "an array", `true`: "a truth value", `false`: "a truth value", `null`: "null", `-1`: "a number",
	} {
		if got := Kind([]byte(text)); got != want {
			t.Errorf("Kind(%s) = %s", text, got)
		}
		if b, ok := Bool([]byte(text)); ok != (want == "a truth value") || b != (text == "true") {
			t.Errorf("Bool(%s) = %v, %v", text, b, ok)
		}
	}
}

func TestAppendString(t *testing.T) {
	for _, test := range []struct{ s, want string }{
		{"", `""`},
		{"aä😀</script>", `"aä😀</script>"`},
		{"\"\\\n\r\t\x00\x1f\x7f", `"\"\\\n\r\t\u0000\u001f` + "\x7f\""},
		{"\b\f", `"\b\f"`},
		{"a\u2028b\u2029", `"a\u2028b\u2029"`},
		{"\xffa\xe2\x80", "\"\ufffda\ufffd\ufffd\""},
		{"\ufffd", "\"\ufffd\""},
	} {
		if got := string(AppendString([]byte("x"), test.s)); got != "x"+test.want {
			t.Errorf("AppendString(%q) = %s, want %s", test.s, got[1:], test.want)
		}
	}
}

// FuzzString holds that a string comes back as it was written, that encoding/json reads what AppendString writes, and
// that String reads what encoding/json reads.
func FuzzString(f *testing.F) {
	f.Add("aä\"\\\u2028\x00\xff😀", `"\ud83d\ude00\ud800\u0041"`)
	f.Fuzz(func(t *testing.T, s, text string) {
		written := AppendString(nil, s)
		var want string
		if err := json.Unmarshal(written, &want); err != nil || Check(written, 0) != nil {
			t.Fatalf("AppendString(%q) = %s: %v, %v", s, written, err, Check(written, 0))
		}
		if got, ok := String(written); !ok || got != want || utf8.ValidString(s) && got != s {
			t.Fatalf("%q came back as %q, by encoding/json as %q", s, got, want)
		}
		if Check([]byte(text), 0) != nil || text[0] != '"' || text[len(text)-1] != '"' { // there may be white space around it
			return
		}
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if got, ok := String([]byte(text)); !ok || got != want {
			t.Fatalf("String(%s) = %q, want %q", text, got, want)
		}
	})
}

// FuzzFields compares the fields with what encoding/json makes of the object.
func FuzzFields(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":"x","a":[2],"\u0062":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := make(map[string]string)
		o := Fields(b, 1000)
		for o.Next() {
			got[string(o.Name())] = string(o.Value())
		}
		if o.Err() != nil {
			return
		}
		var raw map[string]json.RawMessage
		if err := json.Unmarshal(b, &raw); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		want := make(map[string]string)
		for name, value := range raw {
			want[name] = string(value)
		}
		if !maps.Equal(got, want) {
			t.Fatalf("%q has the fields %v, want %v", b, got, want)
		}
	})
}
