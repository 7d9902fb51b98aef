package wire

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseExtensions(t *testing.T) {
	p := func(name string) Param { return Param{Name: name} }
	v := func(name, value string) Param { return Param{name, value, true} }
	tests := []struct {
		in   []string
		want []Extension
	}{
		{nil, nil},
		{[]string{"", " , ,"}, nil},
		{[]string{"foo"}, []Extension{{"foo", nil}}},
		{[]string{"foo, bar; baz=2"}, []Extension{{"foo", nil}, {"bar", []Param{v("baz", "2")}}}},
		{[]string{"foo", "bar; baz=2"}, []Extension{{"foo", nil}, {"bar", []Param{v("baz", "2")}}}},
		{[]string{"a ;\tb = c ; d;b=\"e\" , f"}, []Extension{{"a", []Param{v("b", "c"), p("d"), v("b", "e")}}, {"f", nil}}},
		{[]string{`a; b="\c\d"`}, []Extension{{"a", []Param{v("b", "cd")}}}},
	}
	for _, tt := range tests {
		got, err := ParseExtensions(tt.in)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", tt.in, err, diff)
		}
	}
}

// §9.1: what does not fit the grammar fails the handshake.
func TestParseExtensionsRefuses(t *testing.T) {
	for _, in := range []string{
		";", "; a", "a;", "a; ;b", "a; =b", "a; b=", "a b", "a; b c", "a; b=c d", "a/b", "a; b=(", `"a"`,
		`a; b="`, `a; b="c`, `a; b=""`, `a; b="c d"`, `a; b="c,d"`, `a; b="c"d`, `a; b="c\`, "a; b\x00", "é",
	} {
		if got, err := ParseExtensions([]string{in}); err == nil || !strings.Contains(err.Error(), "§9.1") {
			t.Errorf("%q gave %v, %v", in, got, err)
		}
	}
}

// FuzzParseExtensions holds that no header makes the parser panic, and that what it
// accepted says the same when it is written down and read again.
func FuzzParseExtensions(f *testing.F) {
	for _, seed := range []string{"foo, bar; baz=2", `permessage-deflate; client_max_window_bits; server_max_window_bits="10"`, `a; b="\c`, ",,;", "a;b;b=c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, err := ParseExtensions([]string{header})
		if err != nil {
			return
		}
		var items []string
		for _, e := range got {
			items = append(items, e.String())
			if d, err := ParseDeflate(e, true); err == nil {
				again, err := ParseExtensions([]string{d.String()})
				if err != nil {
					t.Fatal(err)
				}
				if same, err := ParseDeflate(again[0], true); err != nil || same != d {
					t.Fatalf("%q: %+v, written and read %+v, %v", header, d, same, err)
				}
			}
		}
		again, err := ParseExtensions([]string{strings.Join(items, ",")})
		if diff := cmp.Diff(got, again); diff != "" || err != nil {
			t.Fatalf("%q: %v\n%s", header, err, diff)
		}
	})
}
