package rule

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func compile(t testing.TB, patterns ...string) *Set {
	t.Helper()
	rules := make([]Rule, len(patterns))
	for i, p := range patterns {
		rules[i].Pattern = p
	}
	s, err := Compile(rules, Rule{Pattern: "(fallback)"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFirstRuleThatMatchesWins(t *testing.T) {
	s := compile(t, "chat:vip", "chat:*", "*:log", "chat:>", "$presence:chat:*", "stock")
	for channel, want := range map[string]string{
		"chat:vip":           "chat:vip",
		"chat:lobby":         "chat:*",
		"chat:log":           "chat:*",
		"game:log":           "*:log",
		"chat:a:b":           "chat:>",
		"chat":               "(fallback)",
		"$presence:chat:vip": "$presence:chat:*",
		"$presence:game:vip": "(fallback)",
		"stock":              "stock",
		"stocks":             "(fallback)",
	} {
		if got := s.For(channel).Pattern; got != want {
			t.Errorf("rule for %q is %q, want %q", channel, got, want)
		}
	}
}

func TestCompileNamesTheRuleAndTheField(t *testing.T) {
	ok := Rule{Pattern: "a"}
	bad := func(change func(*Rule)) Rule {
		r := Rule{Pattern: "b"}
		change(&r)
		return r
	}
	for _, test := range []struct {
		rules    []Rule
		fallback Rule
		index    int
		field    string
		sentence string
	}{
		{[]Rule{ok, {}}, Rule{}, 1, "pattern", "rule 1: pattern: name is empty"},
		{[]Rule{ok, {Pattern: "c::d"}}, Rule{}, 1, "pattern", "segment at byte 2 is empty"},
		{[]Rule{ok, {Pattern: "inbox:{user}"}}, Rule{}, 1, "pattern", "use *"},
		{[]Rule{ok, {Pattern: "b"}, ok}, Rule{}, 2, "pattern", "is the same as that of rule 0"},
		{[]Rule{bad(func(r *Rule) { r.History.Count = -1 })}, Rule{}, 0, "history.count", "negative"},
		{[]Rule{bad(func(r *Rule) { r.History.Bytes = -1 })}, Rule{}, 0, "history.bytes", "negative"},
		{[]Rule{bad(func(r *Rule) { r.History.Age = -time.Second })}, Rule{}, 0, "history.age", "negative"},
		{[]Rule{bad(func(r *Rule) { r.History.Deletes = -1 })}, Rule{}, 0, "history.deletes", "negative"},
		{[]Rule{bad(func(r *Rule) { r.Sample = -time.Second })}, Rule{}, 0, "sample", "negative"},
		{[]Rule{bad(func(r *Rule) { r.Ask = CanSubscribe | CanHistory })}, Rule{}, 0, "ask", "subscribe and publish"},
		{[]Rule{bad(func(r *Rule) { r.E2E, r.Schema = true, "{}" })}, Rule{}, 0, "schema", "not together with e2e"},
		{[]Rule{bad(func(r *Rule) { r.Publish = 9 })}, Rule{}, 0, "publish", "unknown (9)"},
		{[]Rule{bad(func(r *Rule) { r.Overflow = 9 })}, Rule{}, 0, "overflow", "unknown (9)"},
		{nil, Rule{History: History{Count: -1}}, -1, "history.count", "fallback rule: history.count: is negative"},
	} {
		_, err := Compile(test.rules, test.fallback)
		var e *Error
		if !errors.As(err, &e) || e.Index != test.index || e.Field != test.field || !strings.Contains(err.Error(), test.sentence) {
			t.Errorf("error is %q, want rule %d, field %s, %q", err, test.index, test.field, test.sentence)
		}
	}
}

func TestCompileKeepsACopy(t *testing.T) {
	rules := []Rule{{Pattern: "a", Presence: true}}
	s, err := Compile(rules, Rule{})
	if err != nil {
		t.Fatal(err)
	}
	rules[0].Presence = false
	if !s.For("a").Presence {
		t.Error("a change of the caller's rules changed the set")
	}
}

func TestNamesOfValuesAreReadBack(t *testing.T) {
	for _, o := range []Overflow{OverflowGap, OverflowDisconnect, OverflowRefill, OverflowLatest} {
		var back Overflow
		text, _ := o.MarshalText()
		if err := back.UnmarshalText(text); err != nil || back != o {
			t.Errorf("%v is read back as %v, %v", o, back, err)
		}
	}
	for _, p := range []Publishers{Clients, Server} {
		var back Publishers
		text, _ := p.MarshalText()
		if err := back.UnmarshalText(text); err != nil || back != p {
			t.Errorf("%v is read back as %v, %v", p, back, err)
		}
	}
	if _, err := ParseOverflow("Gap"); err == nil || !strings.Contains(err.Error(), `"Gap" is none of gap, disconnect`) {
		t.Errorf("error for an unknown overflow rule is %v", err)
	}
	if _, err := ParsePublishers(""); err == nil {
		t.Error("no publishers at all are accepted")
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	s := compile(t, "chat:*", "*:log", ">")
	if n := testing.AllocsPerRun(100, func() {
		if CheckChannel("chat:lobby:ä") != nil || s.For("chat:lobby:ä").Pattern != ">" {
			t.Error("unexpected result")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFor(b *testing.B) {
	patterns := make([]string, 300)
	for i := range patterns {
		patterns[i] = fmt.Sprintf("app%d:*:log", i)
	}
	s := compile(b, append(patterns, "chat:*")...)
	for b.Loop() {
		s.For("chat:lobby")
	}
}
