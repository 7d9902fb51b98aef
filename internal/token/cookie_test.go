package token

import (
	"strings"
	"testing"
)

func TestSessionCookie(t *testing.T) {
	for _, test := range []struct {
		headers []string
		secure  bool
		want    string
		found   bool
	}{
		{nil, true, "", false},
		{[]string{""}, true, "", false},
		{[]string{"__Host-hocket_session=a.b.c"}, true, "a.b.c", true},
		{[]string{"x=1; __Host-hocket_session=a.b.c; y=2"}, true, "a.b.c", true},
		{[]string{"x=1", "y=2;__Host-hocket_session=a=b"}, true, "a=b", true},
		{[]string{"\t__Host-hocket_session=\"a.b.c\" ;"}, true, "a.b.c", true},
		{[]string{`__Host-hocket_session="`}, true, `"`, true},
		{[]string{"__Host-hocket_session="}, true, "", false},
		{[]string{`__Host-hocket_session=""; hocket_session=a`}, false, "a", true},
		{[]string{"__Host-hocket_session"}, true, "", false},
		{[]string{"__host-hocket_session=a"}, true, "", false},
		{[]string{"x__Host-hocket_session=a; y=__Host-hocket_session=a"}, true, "", false},
		{[]string{`x="; __Host-hocket_session=a"`}, true, `a"`, true}, // RFC 6265bis: a semicolon ends a pair, in quotation marks too
		{[]string{"hocket_session=tossed"}, true, "", false},
		{[]string{"hocket_session=tossed; __Host-hocket_session=own"}, true, "own", true},
		{[]string{"__Host-hocket_session=a"}, false, "a", true}, // browsers take localhost for secure
		{[]string{"hocket_session=plain; __Host-hocket_session=own"}, false, "own", true},
		{[]string{"hocket_session=a; hocket_session=b; __Host-hocket_session=own"}, true, "own", true},
		{[]string{"hocket_session=a"}, false, "a", true},
	} {
		got, found, err := FindCookie(test.headers, test.secure)
		if got != test.want || found != test.found || err != nil {
			t.Errorf("%q over TLS %v: %q, %v, %v", test.headers, test.secure, got, found, err)
		}
	}
	for part, headers := range map[string][]string{
		"stands twice":          {"hocket_session=a; hocket_session=a"},
		"twice":                 {"hocket_session=a", "hocket_session=b"},
		"more than 16384 bytes": {strings.Repeat("x", 16<<10), "y"},
		"more than 180 cookies": {strings.Repeat("a=b;", 180)},
	} {
		got, found, err := FindCookie(headers, false)
		wantReason(t, err, Malformed, part)
		if got != "" || found {
			t.Errorf("%q all the same", got)
		}
	}
}
