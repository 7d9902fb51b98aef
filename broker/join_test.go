package broker

import "testing"

func TestJoin(t *testing.T) {
	for _, test := range []struct {
		format Format
		in     []string
		want   string
	}{
		{JSON, nil, `-`},
		{JSON, []string{`"a"`}, `-"a"`},
		{JSON, []string{` "a\"" `, `""`, `"b"`}, `-"a\"b"`},
		{Text, []string{"a", "", `"b"`}, `-a"b"`},
		{Binary, []string{"\x00", "\xff"}, "-\x00\xff"},
	} {
		var in [][]byte
		for _, s := range test.in {
			in = append(in, []byte(s))
		}
		if got := string(Join([]byte("-"), test.format, in...)); got != test.want {
			t.Errorf("%q becomes %q, want %q", test.in, got, test.want)
		}
	}
}
