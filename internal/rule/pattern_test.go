package rule

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

func pattern(t testing.TB, s string) Pattern {
	t.Helper()
	p, err := ParsePattern(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return p
}

func TestPatterns(t *testing.T) {
	for _, test := range []struct{ pattern, matches, not string }{
		{"chat:lobby", "chat:lobby", "chat chat:lobby:a chat:lobb lobby"},
		{"chat:*", "chat:lobby chat:$x", "chat chat:a:b talk:a"},
		{"*:log", "a:log chat:log", "log a:b:log $a:log"},
		{"*", "a chat", "a:b $a"},
		{"a:*:c", "a:b:c", "a:c a:b:b:c a:b"},
		{"chat:>", "chat:a chat:a:b:c", "chat talk:a $chat:a"},
		{"chat:*:>", "chat:a:b chat:a:b:c", "chat:a chat"},
		{">", "a a:b chat:lobby:1", "$presence:a $"},
		{"*:>", "a:b a:b:c", "a $a:b"},
		{"$presence:*", "$presence:a", "$presence:a:b presence:a"},
		{"$presence:>", "$presence:a:b", "$presence $channels:a"},
	} {
		p := pattern(t, test.pattern)
		if p.String() != test.pattern {
			t.Errorf("%q is written back as %q", test.pattern, p)
		}
		for _, channel := range strings.Fields(test.matches) {
			if !p.Match(channel) {
				t.Errorf("%q does not match %q", test.pattern, channel)
			}
		}
		for _, channel := range strings.Fields(test.not) {
			if p.Match(channel) {
				t.Errorf("%q matches %q", test.pattern, channel)
			}
		}
	}
	if (Pattern{}).Match("a") || (Pattern{}).Match("") || pattern(t, ">").Match("") {
		t.Error("the zero pattern or the empty name match")
	}
}

func TestUserIsOneLiteralSegment(t *testing.T) {
	inbox := pattern(t, "inbox:{user}")
	for _, test := range []struct {
		p             Pattern
		channel, user string
		want          bool
	}{
		{inbox, "inbox:ada", "ada", true},
		{inbox, "inbox:bob", "ada", false},
		{inbox, "inbox:ada:x", "ada", false},
		{inbox, "inbox:a:b", "a:b", false},
		{inbox, "inbox:ada", "*", false},
		{inbox, "inbox:ada", "", false},
		{inbox, "inbox:{user}", "", false},
		{inbox, "inbox:{user}", "{user}", true},
		{pattern(t, "{user}:>"), "$sys:a", "$sys", false},
		{pattern(t, "{user}:>"), "ada:a:b", "ada", true},
		{pattern(t, "$presence:{user}"), "$presence:ada", "ada", true},
	} {
		if got := test.p.MatchUser(test.channel, test.user); got != test.want {
			t.Errorf("%q matches %q for user %q: %v", test.p, test.channel, test.user, got)
		}
	}
	if inbox.Match("inbox:{user}") || !inbox.HasUser() || pattern(t, "a:*").HasUser() {
		t.Error("{user} matches without a user, or is not seen")
	}
}

func TestWrongPatterns(t *testing.T) {
	for _, test := range []struct {
		pattern string
		reason  Reason
		at      int
	}{
		{"", Empty, 0},
		{strings.Repeat("a", 256), TooLong, 256},
		{"a b:*", Space, 1},
		{"a:", EmptySegment, 2},
		{"a:b*", PartialWildcard, 3},
		{"**", PartialWildcard, 0},
		{"a>", PartialWildcard, 1},
		{"a:>:b", Rest, 2},
		{">:a", Rest, 0},
		{"a:x{user}", PartialUser, 3},
		{"{user}s", PartialUser, 0},
	} {
		var e *NameError
		_, err := ParsePattern(test.pattern)
		if !errors.As(err, &e) || e.Reason != test.reason || e.At != test.at {
			t.Errorf("%q: %v, want reason %d at %d", test.pattern, err, test.reason, test.at)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("chat:*", "chat:lobby", "ada")
	f.Add("a:>", "a:b:c", "")
	f.Add(">", "$a", "")
	f.Add("inbox:{user}", "inbox:ada", "ada")
	f.Add("*:b:>", "a:b:c", ".*")
	f.Fuzz(func(t *testing.T, text, channel, user string) {
		p, err := ParsePattern(text)
		if err != nil || CheckChannel(channel) != nil {
			return
		}
		if got, want := p.MatchUser(channel, user), naiveMatch(text, channel, user); got != want {
			t.Errorf("%q matches %q for user %q: %v, want %v", text, channel, user, got, want)
		}
		s, err := Compile([]Rule{{Pattern: text}}, Rule{})
		if err == nil && (s.For(channel).Pattern != "") != p.Match(channel) {
			t.Errorf("rule %q for %q does not agree with the pattern", text, channel)
		}
	})
}

// naiveMatch says what patterns mean by way of a regular expression.
func naiveMatch(text, channel, user string) bool {
	if strings.HasPrefix(channel, "$") && !strings.HasPrefix(text, "$") {
		return false
	}
	var parts []string
	for _, segment := range strings.Split(text, ":") {
		switch {
		case segment == "*":
			parts = append(parts, "[^:]+")
		case segment == ">":
			parts = append(parts, "[^:]+(:[^:]+)*")
		case segment == "{user}" && (user == "" || strings.Contains(user, ":")):
			return false
		case segment == "{user}":
			parts = append(parts, regexp.QuoteMeta(user))
		default:
			parts = append(parts, regexp.QuoteMeta(segment))
		}
	}
	matched, err := regexp.MatchString("^(?s:"+strings.Join(parts, ":")+")$", channel)
	return err == nil && matched
}
