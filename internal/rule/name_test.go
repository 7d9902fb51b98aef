package rule

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestChannelNames(t *testing.T) {
	long := strings.Repeat("x", MaxName)
	for _, name := range []string{
		"a", "chat:lobby", "$presence:chat:lobby", "a:b:c:d", "größe", "日本:東京", "{user}", "a-b_c.d/e", "$", long,
		"emoji:😀", "\uFFFD",
	} {
		if err := CheckChannel(name); err != nil {
			t.Errorf("%q is refused: %v", name, err)
		}
	}
	for _, test := range []struct {
		name     string
		reason   Reason
		at       int
		sentence string
	}{
		{"", Empty, 0, "name is empty; it needs 1 to 255 bytes"},
		{long + "y", TooLong, 256, "name has 256 bytes; at most 255 are allowed"},
		{"ab\xffc", NotUTF8, 2, "name is not valid UTF-8 at byte 2"},
		{"a\xed\xa0\x80", NotUTF8, 1, "name is not valid UTF-8 at byte 1"},
		{"ä\x00", Control, 2, "name has a control character (U+0000) at byte 2"},
		{"a\x7f", Control, 1, "name has a control character (U+007F) at byte 1"},
		{"a\u0080", Control, 1, "name has a control character (U+0080) at byte 1"},
		{"a b", Space, 1, "name has white space (U+0020) at byte 1"},
		{"a\n", Space, 1, "name has white space (U+000A) at byte 1"},
		{"a\u00a0", Space, 1, "name has white space (U+00A0) at byte 1"},
		{"a\u2028", Space, 1, "name has white space (U+2028) at byte 1"},
		{"chat:*", Wildcard, 5, "'*' at byte 5 can only stand in a pattern, as a whole segment"},
		{"__proto__", Inherited, 0, "name __proto__, by which JavaScript may change what an object inherits, is not taken"},
		{"chat:a>", Wildcard, 6, "'>' at byte 6 can only stand in a pattern, as a whole segment"},
		{":a", EmptySegment, 0, `segment at byte 0 is empty; segments are separated by one ":"`},
		{"a::b", EmptySegment, 2, `segment at byte 2 is empty; segments are separated by one ":"`},
		{"a:", EmptySegment, 2, `segment at byte 2 is empty; segments are separated by one ":"`},
		{":", EmptySegment, 0, `segment at byte 0 is empty; segments are separated by one ":"`},
	} {
		var e *NameError
		err := CheckChannel(test.name)
		if !errors.As(err, &e) || e.Reason != test.reason || e.At != test.at || err.Error() != test.sentence {
			t.Errorf("%q: %v, want %q (reason %d at %d)", test.name, err, test.sentence, test.reason, test.at)
		}
	}
}

func TestReservedNamesBeginWithADollar(t *testing.T) {
	if !IsReserved("$presence:a") || IsReserved("a:$b") || IsReserved("") {
		t.Error("wrong")
	}
}

func TestNamesWithWildcardsArePatterns(t *testing.T) {
	for name, want := range map[string]bool{"a:*": true, ">": true, "a:>": true, "a*": true, "a": false, "{user}": false} {
		if IsPattern(name) != want {
			t.Errorf("IsPattern(%q) is %v", name, !want)
		}
	}
}

func FuzzCheckChannel(f *testing.F) {
	for _, seed := range []string{"", "a:b", "a::b", "a:", "*", "x>", "\x00", " ", "ä\xff", strings.Repeat("é", 128)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, want := CheckChannel(name) == nil, naiveCheck(name); got != want {
			t.Errorf("%q accepted: %v, want %v", name, got, want)
		}
		if err := CheckChannel(name); err != nil && err.Error() == "" {
			t.Errorf("%q: error without a sentence", name)
		}
		// A name is also the pattern that matches itself alone, but for {user}.
		if p, err := ParsePattern(name); naiveCheck(name) && !strings.Contains(name, userSegment) {
			if err != nil || !p.Match(name) || p.Match(name+":x") || p.Match("x"+name) {
				t.Errorf("%q as pattern: %v", name, err)
			}
		}
	})
}

// naiveCheck says the rule for names as the protocol does, one condition after another.
func naiveCheck(name string) bool {
	if len(name) < 1 || len(name) > 255 || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if unicode.IsControl(r) || unicode.IsSpace(r) || r == '*' || r == '>' {
			return false
		}
	}
	for _, segment := range strings.Split(name, ":") {
		if segment == "" {
			return false
		}
	}
	return true
}
