package rule

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func capabilities(t testing.TB, user, text string) *Capabilities {
	t.Helper()
	lists := make(map[string][]string)
	for _, one := range strings.Fields(text) {
		p, verbs, _ := strings.Cut(one, "=")
		lists[p] = strings.Split(verbs, ",")
	}
	c, err := ParseCapabilities(lists, user)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCapabilities(t *testing.T) {
	c := capabilities(t, "ada", "chat:*=subscribe chat:lobby=publish,history inbox:{user}=* board:>=publish:cursor:{user},publish:note:*")
	for _, test := range []struct {
		verbs Verbs
		name  string
		want  bool
	}{
		{CanSubscribe, "chat:a", true},
		{CanSubscribe, "chat:a:b", false},
		{CanSubscribe, "chat-admin", false},
		{CanPublish, "chat:a", false},
		{CanSubscribe | CanPublish | CanHistory, "chat:lobby", true},
		{CanSubscribe | CanPresence, "chat:lobby", false},
		{CanEverything, "inbox:ada", true},
		{CanSubscribe, "inbox:{user}", false},
		{CanSubscribe, "inbox:bob", false},
		{CanSubscribe, "$presence:chat:a", false},
		{CanPublish, "board:1", false},
	} {
		if c.Allow(test.verbs, test.name) != test.want {
			t.Errorf("%s in %s: %v", test.verbs, test.name, !test.want)
		}
	}
	for _, test := range []struct {
		channel, key string
		want         bool
	}{
		{"board:1", "cursor:ada", true},
		{"board:1:2", "note:7", true},
		{"board:1", "cursor:bob", false},
		{"board:1", "note:7:8", false},
		{"board:1", "", false},
		{"chat:lobby", "any thing", true},
		{"chat:a", "cursor:ada", false},
	} {
		if c.AllowKey(test.channel, test.key) != test.want {
			t.Errorf("publish to %q of %s: %v", test.key, test.channel, !test.want)
		}
	}
	var nobody *Capabilities
	if nobody.Allow(CanSubscribe, "a") || nobody.AllowKey("a", "b") || nobody.Lists() != nil {
		t.Error("who has no capabilities may do something")
	}
	if again, err := ParseCapabilities(c.Lists(), "ada"); err != nil || !again.AllowKey("board:1", "cursor:ada") {
		t.Errorf("%v is not read again: %v", c.Lists(), err)
	}
}

func TestWrongCapabilities(t *testing.T) {
	many := make(map[string][]string)
	for i := range MaxCapabilities + 1 {
		many["a"+strings.Repeat("b", i)] = nil
	}
	for _, test := range []struct {
		lists map[string][]string
		want  string
	}{
		{map[string][]string{"chat:**": {"*"}}, `capability "chat:**": '*' at`},
		{map[string][]string{"chat:*": {"read"}}, `"read" is no verb: there are subscribe, publish, history, presence, call and *`},
		{map[string][]string{"chat:*": {"publish:a:>:b"}}, `"publish:a:>:b": keys: ">" at byte 2`},
		{map[string][]string{"": {"*"}}, "name is empty"},
		{many, "there are 101 patterns"},
		{map[string][]string{"a": strings.Fields(strings.Repeat("publish:a ", MaxKeyPatterns+1))}, "more than 20 patterns of keys"},
	} {
		if _, err := ParseCapabilities(test.lists, ""); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v\nwant %s", test.lists, err, test.want)
		}
	}
}

// TestMatchersAgreeWithPatterns has what is made ready for one user match what the pattern does.
func TestMatchersAgreeWithPatterns(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "ab", "*", "{user}", "$p", "ada", "{", "x{user}"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(segment, 1, 4).Draw(t, "pattern"), ":")
		if rapid.Bool().Draw(t, "rest") {
			text += ":>"
		}
		if rapid.IntRange(0, 9).Draw(t, "all") == 0 {
			text = ">"
		}
		p, err := ParsePattern(text)
		if err != nil {
			t.Skip(err)
		}
		user := rapid.SampledFrom([]string{"", "ada", "a", "{user}"}).Draw(t, "user")
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "ab", "$p", "ada", "{", "{user}"}), 1, 5).Draw(t, "name"), ":")
		g := grant{pattern: p, names: p.matcherOf(user)}
		if got, want := g.match(name, user), p.MatchUser(name, user); got != want {
			t.Fatalf("%q matches %q for %q: %v", text, name, user, got)
		}
	})
}

// TestExplanationsAgree has Explain decide as the rest does, whatever it says.
func TestExplanationsAgree(t *testing.T) {
	set, err := Compile([]Rule{
		{Pattern: "news:*", Publish: Server, AllowAnonymous: CanSubscribe, Allow: CanHistory},
		{Pattern: "talk:>", Allow: CanPublish | CanPresence, Presence: true},
	}, Rule{})
	if err != nil {
		t.Fatal(err)
	}
	sets := []*Capabilities{
		nil, capabilities(t, "ada", "news:*=* talk:a=subscribe"), capabilities(t, "ada", "talk:*=publish:k:{user} sum=call"),
		capabilities(t, "", "talk:a=* other=publish,call"),
	}
	pick := rapid.SampledFrom(sets)
	rapid.Check(t, func(t *rapid.T) {
		a := Access{rapid.Bool().Draw(t, "open"), rapid.Bool().Draw(t, "proven"), pick.Draw(t, "own"), pick.Draw(t, "given"), pick.Draw(t, "barred"), pick.Draw(t, "calls")}
		verb := Verbs(1) << rapid.IntRange(0, 4).Draw(t, "verb")
		name := rapid.SampledFrom([]string{"news:a", "talk:a", "talk:a:b", "other", "sum"}).Draw(t, "name")
		key := rapid.SampledFrom([]string{"", "k:ada", "k:bob"}).Draw(t, "key")
		want := a.May(verb, name, set.For(name))
		switch verb {
		case CanCall:
			want = a.MayCall(name)
		case CanPresence:
			want = want && set.For(name).Presence
		case CanPublish:
			want = a.MayPublish(name, key, set.For(name))
		}
		if got, why := a.Explain(verb, name, key, set); got != want || why == "" {
			t.Fatalf("%v, because %s; but %v", got, why, want)
		}
	})
}

func TestWhatTheBackEndGivesNeedsNoProof(t *testing.T) {
	a := Access{Given: capabilities(t, "", "a=subscribe b=publish:k sum=call news=publish"), Barred: capabilities(t, "", "c=*")}
	r, server := &Rule{}, &Rule{Publish: Server}
	if !a.May(CanSubscribe, "a", r) || !a.MayPublish("b", "k", r) || !a.MayCall("sum") {
		t.Error("what was given is not allowed")
	}
	if a.May(CanPublish, "a", r) || a.MayPublish("b", "", r) || a.MayPublish("b", "l", r) || a.MayPublish("news", "", server) || a.MayCall("other") {
		t.Error("more is allowed than was given")
	}
	a.Barred = capabilities(t, "", "a=* b=* sum=*")
	if a.May(CanSubscribe, "a", r) || a.MayPublish("b", "k", r) || a.MayCall("sum") {
		t.Error("what was revoked is allowed")
	}
}

func TestWider(t *testing.T) {
	c := capabilities(t, "ada", "a=subscribe,publish:k b=publish")
	wide, err := c.Wider(map[string][]string{"a": {"publish:k", "publish:l", "subscribe"}, "inbox:{user}": {"*"}}, "ada")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"a": {"subscribe", "publish:k", "publish:l"}, "b": {"publish"}, "inbox:{user}": {"subscribe", "publish", "history", "presence", "call"},
	}
	if diff := cmp.Diff(want, wide.Lists()); diff != "" {
		t.Error(diff)
	}
	if !wide.Allow(CanSubscribe, "inbox:ada") || wide.Allow(CanSubscribe, "inbox:bob") || c.Allow(CanSubscribe, "inbox:ada") {
		t.Error("they are not those of the user, or what was widened was changed")
	}
	if wide, err = (*Capabilities)(nil).Wider(map[string][]string{"a": {"call"}}, ""); err != nil || !wide.Allow(CanCall, "a") {
		t.Errorf("nothing was not widened: %v", err)
	}
	many := make(map[string][]string)
	for i := range MaxCapabilities - 1 {
		many[strings.Repeat("c", i+1)] = []string{"call"}
	}
	if _, err := c.Wider(many, "ada"); err == nil {
		t.Error("there may be more than there may")
	}
}

func TestADecisionAllocatesNothing(t *testing.T) {
	c := capabilities(t, "ada", "a:*=subscribe b:>=publish chat:*=subscribe,publish inbox:{user}=*")
	r := &Rule{}
	if n := testing.AllocsPerRun(100, func() {
		if !(Access{Proven: true, Own: c}).MayPublish("chat:lobby", "", r) {
			t.Fatal("not allowed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecision(b *testing.B) {
	c := capabilities(b, "ada", "a:*=subscribe b:>=publish chat:*=subscribe,publish inbox:{user}=*")
	r := &Rule{}
	for b.Loop() {
		if !(Access{Proven: true, Own: c}).MayPublish("chat:lobby", "", r) {
			b.Fatal("not allowed")
		}
	}
}
