package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hocket.dev/internal/limit"
)

// limited makes capabilities of lists whose verbs hold spaces.
func limited(t testing.TB, user string, lists map[string][]string) *Capabilities {
	t.Helper()
	c, err := ParseCapabilities(lists, user)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bounds are the limits that hold for something, in words.
func bounds(c *Capabilities, kind limit.Kind, name string) (all []string) {
	for _, r := range c.AppendRated(nil, kind, name) {
		all = append(all, r.Capability+": "+strings.Join(r.terms(), ", "))
	}
	return all
}

func TestCapabilitiesHaveLimits(t *testing.T) {
	c := limited(t, "ada", map[string][]string{
		"chat:*":       {"subscribe", "publish", "publishes 5/s burst 20", "at_limit slow"},
		"chat:lobby":   {"bytes 64KiB/s", "subscribes 1/m"},
		"inbox:{user}": {"*", "publishes 1/s"},
		"price.get":    {"call", "calls 2/s"},
		"news":         {"subscribe", "publishes off"},
		"free:*":       {"publish"},
	})
	chat, lobby := "chat:*: publishes 5/s burst 20, at_limit slow", "chat:lobby: bytes 65536/s, subscribes 1/m"
	for _, test := range []struct {
		kind limit.Kind
		name string
		want []string
	}{
		{limit.Publishes, "chat:a", []string{chat}},
		{limit.Publishes, "chat:lobby", []string{chat, lobby}},
		{limit.Subscribes, "chat:lobby", []string{lobby}},
		{limit.Subscribes, "chat:a", nil},
		{limit.Calls, "chat:a", nil},
		{limit.Publishes, "inbox:ada", []string{"inbox:{user}: publishes 1/s"}},
		{limit.Publishes, "inbox:bob", nil},
		{limit.Calls, "price.get", []string{"price.get: calls 2/s"}},
		{limit.Publishes, "price.get", nil},
		{limit.Publishes, "news", nil},
		{limit.Publishes, "free:a", nil},
	} {
		if diff := cmp.Diff(test.want, bounds(c, test.kind, test.name)); diff != "" {
			t.Errorf("%v %s: %s", test.kind, test.name, diff)
		}
	}
	again := limited(t, "ada", c.Lists())
	if diff := cmp.Diff(c.Lists(), again.Lists()); diff != "" || len(again.rated) != 4 {
		t.Errorf("what is written is read as something else: %s", diff)
	}
	if !c.AllowKey("chat:a", "") || c.Allow(CanPublish, "news") {
		t.Error("limits change what is allowed")
	}
	var nobody *Capabilities
	if len(nobody.AppendRated(nil, limit.Publishes, "a")) != 0 {
		t.Error("nobody has limits")
	}
}

func TestWrongLimitsOfCapabilities(t *testing.T) {
	const other = "is neither a verb nor a limit: limits are of publishes, bytes, subscribes or calls"
	many := make(map[string][]string)
	for i := range MaxRated + 1 {
		many[fmt.Sprint("a", i)] = []string{"publishes 1/s"}
	}
	for want, lists := range map[string]map[string][]string{
		`capability "chat:*": "publishes 5" is no limit: "5" is no rate: write it like 100/s`: {"chat:*": {"publish", "publishes 5"}},
		`"publish 5/s" ` + other:                      {"chat:*": {"publish 5/s"}},
		`"messages 5/s" ` + other:                     {"chat:*": {"messages 5/s"}},
		`"total_bytes 5/s" ` + other:                  {"chat:*": {"total_bytes 5/s"}},
		`"publish " ` + other:                         {"chat:*": {"publish "}},
		`"publish:a 5/s": keys: name has white space`: {"chat:*": {"publish:a 5/s"}},
		`" 5/s" ` + other:                             {"chat:*": {" 5/s"}},
		`"bytes  5/s" is no limit`:                    {"chat:*": {"bytes  5/s"}},
		`"calls 0/s" is no limit: "0/s" holds a number that is not from 1 to`:           {"chat:*": {"calls 0/s"}},
		`"bytes 1/24h burst 1GiB" is no limit`:                                          {"chat:*": {"bytes 1/24h burst 1GiB"}},
		`"publishes 6/s" comes after another limit of publishes`:                        {"chat:*": {"publishes 5/s", "publishes 6/s"}},
		`"publishes 5/s" comes after another`:                                           {"chat:*": {"publishes off", "publishes 5/s"}},
		`"at_limit wait" is no limit: "wait" is none of reject, slow`:                   {"chat:*": {"publishes 5/s", "at_limit wait"}},
		`"at_limit slow" comes after another`:                                           {"chat:*": {"publishes 5/s", "at_limit slow", "at_limit slow"}},
		`capability "chat:*": at_limit says what happens at a limit, and there is none`: {"chat:*": {"publish", "at_limit slow"}},
		`there are 21 patterns with limits; at most 20 are allowed`:                     many,
	} {
		if c, err := ParseCapabilities(lists, ""); err == nil || c != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v\nwant %s", lists, err, want)
		}
	}
}

func TestWhatIsGivenLaterTakesThePlaceOfALimit(t *testing.T) {
	c := limited(t, "ada", map[string][]string{"a": {"publish", "publishes 1/s", "bytes 100/s", "at_limit slow"}, "b": {"publish", "publishes 1/s"}})
	wide, err := c.Wider(map[string][]string{"a": {"subscribe", "publishes 2/s", "at_limit reject"}, "b": {"publish", "publishes off"}, "c": {"calls 1/s"}}, "ada")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"a": {"subscribe", "publish", "publishes 2/s", "bytes 100/s"}, "b": {"publish"}, "c": {"calls 1/s"}}
	if diff := cmp.Diff(want, wide.Lists()); diff != "" {
		t.Error(diff)
	}
	for _, r := range wide.AppendRated(nil, limit.Publishes, "a") {
		if !r.Given || c.rated[0].rated.Given {
			t.Error("what is given is not told from what one has")
		}
	}
	for _, wrong := range [][]string{{"publishes 1"}, {"publishes 1/s", "publishes 2/s"}, {"at_limit slow"}} {
		if got, err := c.Wider(map[string][]string{"a": wrong}, "ada"); err == nil || got != nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestLimitsAreExplained(t *testing.T) {
	rate := limit.Rate{Count: 30, Per: 1e9}
	set, err := Compile([]Rule{
		{Pattern: "chat:*", Allow: CanSubscribe, Rates: Rates{Publishes: rate, TotalBytes: rate, Subscribes: rate, AtLimit: Slow}},
	}, Rule{})
	if err != nil {
		t.Fatal(err)
	}
	a := Access{
		Proven: true, Own: limited(t, "ada", map[string][]string{"chat:*": {"publish", "publishes 5/s burst 20", "bytes 1KiB/s"}, "sum": {"call", "calls 1/s"}}),
		Given: limited(t, "ada", map[string][]string{">": {"publishes 9/s", "at_limit slow"}}),
	}
	for _, test := range []struct {
		verb Verbs
		name string
		want string
	}{
		{CanPublish, "chat:a", `publishes 5/s burst 20 by the capability "chat:*"; bytes 1024/s by the capability "chat:*"; ` +
			`publishes 9/s by the capability ">", which slows down; ` +
			`publishes 30/s by the rule "chat:*", which slows down; total_bytes 30/s by the rule "chat:*", which slows down`},
		{CanSubscribe, "chat:a", `subscribes 30/s by the rule "chat:*", which slows down`},
		{CanCall, "sum", `calls 1/s by the capability "sum"`},
		{CanHistory, "chat:a", ""},
		{CanSubscribe, "other", ""},
	} {
		if got := strings.Join(a.Limits(test.verb, test.name, set), "; "); got != test.want {
			t.Errorf("%v %s: %s\nwant %s", test.verb, test.name, got, test.want)
		}
	}
}

func TestLookingForLimitsAllocatesNothing(t *testing.T) {
	c := limited(t, "ada", map[string][]string{"chat:*": {"publish", "publishes 5/s"}, ">": {"bytes 1MiB/s"}})
	all := make([]*Rated, 0, 4)
	if n := testing.AllocsPerRun(100, func() {
		if all = c.AppendRated(all[:0], limit.Publishes, "chat:lobby"); len(all) != 2 {
			t.Fatal(len(all))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzCapabilities holds that what is read is written as what is read again, and limits no more than it says.
func FuzzCapabilities(f *testing.F) {
	f.Add("chat:*", "publish", "publishes 5/s burst 20", "ada", "chat:lobby")
	f.Add("inbox:{user}", "*", "at_limit slow", "ada", "inbox:ada")
	f.Add(">", "bytes 1MiB/s burst 8MiB", "calls 1/24h", "", "price.get")
	f.Add("a", "publish:k 5/s", "publishes off", "", "a")
	f.Fuzz(func(t *testing.T, pattern, first, second, user, name string) {
		if CheckUser(user) != nil || CheckChannel(name) != nil {
			return
		}
		c, err := ParseCapabilities(map[string][]string{pattern: {first, second}}, user)
		if err != nil {
			return
		}
		again, err := ParseCapabilities(c.Lists(), user)
		if err != nil {
			t.Fatalf("%q is not read again: %v", c.Lists(), err)
		}
		if diff := cmp.Diff(c.Lists(), again.Lists()); diff != "" {
			t.Fatal(diff)
		}
		g := c.grants[0]
		for _, kind := range termKinds {
			if n := len(c.AppendRated(nil, kind, name)); n > 0 && (g.rated == nil || !g.pattern.MatchUser(name, user)) {
				t.Fatalf("%q %q %q limits %v of %q", pattern, first, second, kind, name)
			}
			if diff := cmp.Diff(bounds(c, kind, name), bounds(again, kind, name)); diff != "" {
				t.Fatal(diff)
			}
		}
		wide, err := (*Capabilities)(nil).Wider(c.Lists(), user)
		if err != nil || len(wide.rated) != len(c.rated) {
			t.Fatalf("what is given is not what it says: %v", err)
		}
	})
}
