package session

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/limit"
	"hocket.dev/internal/rule"
)

// lists are capabilities as they are written.
type lists = map[string][]string

// often makes a grant of capabilities with limits.
func often(t testing.TB, user string, of lists) *Grant {
	t.Helper()
	c, err := rule.ParseCapabilities(of, user)
	if err != nil {
		t.Fatal(err)
	}
	return &Grant{User: user, Capabilities: c, Issued: time.UnixMilli(1_795_000_000_000 - 60_000)}
}

// to publishes one number after another to a channel.
func to(channel string, from, to int) (all []string) {
	for _, m := range publishes(from, to) {
		all = append(all, strings.Replace(m, `"channel":"a"`, fmt.Sprintf(`"channel":%q`, channel), 1))
	}
	return all
}

// renew shows another token in place.
func (c *client) renew(token string) {
	c.w.t.Helper()
	c.send(fmt.Sprintf(`{"type":"connect","id":"r","payload":{"token":%q}}`, token))
	c.want(`"type":"reply","id":"r"`)
}

func TestACapabilityLimitsWhatItAllows(t *testing.T) {
	w := closedDoors(t, grants{"t": often(t, "ada", lists{
		"chat:*": {"publish", "publishes 5/s burst 2", "bytes 100/s"}, "bot:*": {"publish", "publishes 100/s burst 4"}, "free": {"publish"},
	})})
	c, other := w.proven("t"), w.proven("t")
	c.send(to("chat:a", 0, 1)...)
	c.send(to("chat:b", 1, 3)...) // the channels of a pattern share it
	c.want(`"reply","id":0`, `"reply","id":1`,
		`"type":"error","id":2,"channel":"chat:b","error":{"code":1429,"name":"rate_limited","message":"too many publishes under a capability of this client: wait 200ms","retry_after_ms":200`)
	c.send(to("bot:a", 0, 5)...)
	c.want(`"reply"`, `"reply"`, `"reply"`, `"reply"`, `wait 10ms`)
	c.send(to("free", 0, 20)...)
	c.wantReplies(0, 20)
	other.send(to("chat:a", 3, 5)...) // each session has its own
	other.wantReplies(3, 5)
	w.pass(200 * time.Millisecond)
	c.send(to("chat:a", 5, 7)...)
	c.want(`"reply","id":5`, `"error","id":6`)
	w.pass(time.Second)
	large := `{"type":"publish","id":8,"channel":"chat:a","payload":"` + strings.Repeat("x", 80) + `"}`
	c.send(large, large)
	c.want(`"reply","id":8`, `too many bytes under a capability`)
	for kind, want := range map[limit.Kind]uint64{limit.Publishes: 3, limit.Bytes: 1} {
		if n := w.node.Refused(OfCapability, kind); n != want {
			t.Errorf("%d were counted as refused for %v, want %d", n, kind, want)
		}
	}
	if n := w.node.Refused(OfRule, limit.Publishes); n != 0 {
		t.Errorf("%d were counted as the rule's", n)
	}
	if got := w.entries("chat:a"); !strings.HasPrefix(got, "0 3 4 5 ") {
		t.Errorf("the log has %s", got)
	}
}

func TestSubscribesAndCallsAreLimitedByCapabilities(t *testing.T) {
	w := closedDoors(t, grants{"t": often(t, "ada", lists{
		"chat:*": {"subscribe", "subscribes 1/s burst 2"}, "sum": {"call", "calls 1/s"}, "other": {"call"},
	})})
	w.methods["sum"] = func(context.Context, Call) ([]byte, error) { return []byte("3"), nil }
	w.methods["other"] = w.methods["sum"]
	c := w.proven("t")
	c.subscribe("chat:a", `{}`)
	c.subscribe("chat:b", `{}`)
	c.send(`{"type":"subscribe","id":1,"channel":"chat:c"}`)
	c.want(`"channel":"chat:c","error":{"code":1429,"name":"rate_limited","message":"too many subscribes under a capability of this client: wait 1s"`)
	c.send(`{"type":"call","id":1,"method":"sum"}`, `{"type":"call","id":2,"method":"sum"}`, `{"type":"call","id":3,"method":"other"}`)
	c.want(`"id":2,"error":{"code":1429,"name":"rate_limited","message":"too many calls under a capability of this client: wait 1s"`, `"reply","id":1`, `"reply","id":3`)
	if n := w.node.Refused(OfCapability, limit.Calls); n != 1 {
		t.Errorf("%d calls were counted", n)
	}
}

// A limit holds for what its pattern matches, whatever allows it: another capability, a rule, or that everybody may do everything.
func TestTheTightestLimitHolds(t *testing.T) {
	w := closedDoors(t, grants{
		"two":  often(t, "ada", lists{"chat:*": {"publish", "publishes 1/s burst 3"}, "chat:lobby": {"publish", "publishes 1/s burst 2"}, ">": {"bytes 1MiB/s"}}),
		"none": often(t, "bob", lists{"talk": {"publishes 1/s"}}),
	}, rule.Rule{Pattern: "talk", Allow: rule.CanPublish, History: rule.History{Count: 10}},
		rule.Rule{Pattern: "chat:slow", History: rule.History{Count: 10}, Rates: rule.Rates{Publishes: rate(t, "1/m")}})
	c := w.proven("two")
	c.send(to("chat:lobby", 0, 3)...)
	c.want(`"reply"`, `"reply"`, `under a capability of this client: wait 1s`) // which has taken nothing from the other
	c.send(to("chat:other", 0, 2)...)
	c.want(`"reply"`, `under a capability`)
	w.pass(3 * time.Second)
	c.send(to("chat:slow", 0, 2)...)
	c.want(`"reply"`, `in this channel: wait 1m0s`)

	bob := w.proven("none")
	bob.send(to("talk", 0, 2)...)
	bob.want(`"reply"`, `under a capability`)
	w.node.cfg.Anonymous = true
	bob.send(to("talk", 2, 3)...)
	bob.want(`under a capability`)

	w = closedDoors(t, grants{"t": often(t, "ada", lists{"a": {"publish", "publishes 1/s burst 2"}})})
	w.node.cfg.Limits.Rates.Session.Publishes = rate(t, "1/h burst 3")
	w.node.quotas = newQuotas(&w.node.cfg)
	c = w.proven("t")
	c.send(publishes(0, 3)...)
	c.want(`"reply"`, `"reply"`, `under a capability`) // which has taken nothing from the session
	w.pass(2 * time.Second)
	c.send(publishes(3, 5)...)
	c.want(`"reply"`, `of this session: wait 59m58s`)
}

// What a capability refuses, the others in the channel do not pay for.
func TestWhatACapabilityRefusesIsNoLossToOthers(t *testing.T) {
	w := closedDoors(t, grants{
		"few": often(t, "ada", lists{"chat:*": {"publish", "publishes 1/h"}, ">": {"bytes 1MiB/s"}}), "free": often(t, "bob", lists{"chat:*": {"publish"}}),
	}, rule.Rule{Pattern: "chat:*", History: rule.History{Count: 10}, Rates: rule.Rates{TotalPublishes: rate(t, "1/h burst 3"), TotalBytes: rate(t, "1/h burst 30")}})
	few, free := w.proven("few"), w.proven("free")
	few.send(to("chat:a", 0, 9)...)
	if got := few.take(); len(got) != 9 || w.node.Refused(OfCapability, limit.Publishes) != 8 {
		t.Errorf("told %s", got)
	}
	free.send(to("chat:a", 10, 13)...)
	free.want(`"reply"`, `"reply"`, `too many publishes in this channel`)
	// Nor do the capabilities pay for what the rule refuses.
	w.pass(2 * time.Hour)
	free.send(to("chat:a", 20, 22)...)
	free.wantReplies(20, 22)
	few.send(to("chat:a", 30, 31)...)
	few.want(`in this channel: wait 1h0m0s`)
	w.pass(time.Hour)
	few.send(to("chat:a", 31, 32)...)
	few.wantReplies(31, 32)
}

func TestACapabilitySlowsDown(t *testing.T) {
	w := closedDoors(t, grants{
		"slow":  often(t, "ada", lists{"a": {"publish", "publishes 10/s burst 2", "at_limit slow"}}),
		"mixed": often(t, "bob", lists{"a": {"publish", "publishes 10/s burst 2", "at_limit slow"}, ">": {"publishes 20/s burst 3"}}),
		"far":   often(t, "eve", lists{"a": {"publish", "publishes 1/11s", "at_limit slow"}}),
	})
	c := w.proven("slow")
	c.send(publishes(0, 3)...)
	c.wantReplies(0, 3)
	if c.reading {
		t.Error("it is read on")
	}
	w.pass(100 * time.Millisecond)
	if !c.reading {
		t.Error("it is not read when there is room")
	}

	mixed := w.proven("mixed") // what one rejects is rejected, and not taken from the one that slows down
	mixed.send(publishes(0, 4)...)
	mixed.want(`"reply"`, `"reply"`, `"reply"`, `wait 50ms`)
	w.pass(100 * time.Millisecond)
	if !mixed.reading {
		t.Error("what was rejected slows down")
	}

	far := w.proven("far")
	far.send(publishes(0, 2)...)
	far.want(`"reply"`, `wait 11s`)
	if n := w.node.Refused(OfCapability, limit.Publishes); n != 2 {
		t.Errorf("%d were counted as refused", n)
	}
}

func TestARenewedTokenRefillsNothing(t *testing.T) {
	w := closedDoors(t, grants{
		"a": often(t, "ada", lists{"chat:*": {"publish", "publishes 1/s burst 4"}}), "b": often(t, "ada", lists{"chat:*": {"publish", "publishes 1/s burst 4"}}),
		"more": often(t, "ada", lists{"chat:*": {"publish", "publishes 10/s burst 6"}}),
		"none": often(t, "ada", lists{"other": {"publish"}}),
		"free": often(t, "ada", lists{"chat:*": {"publish"}}),
	})
	c := w.proven("a")
	c.send(to("chat:a", 0, 4)...)
	c.wantReplies(0, 4)
	for _, token := range []string{"a", "b", "none", "a"} {
		c.renew(token)
	}
	c.send(to("chat:a", 4, 5)...)
	c.want(`wait 1s`)
	c.renew("more") // four are taken of six
	c.send(to("chat:a", 5, 8)...)
	c.want(`"reply"`, `"reply"`, `wait 100ms`)
	c.renew("a") // six are taken of four
	c.send(to("chat:a", 8, 9)...)
	c.want(`wait 3s`)
	w.pass(time.Second)
	c.renew("free")
	c.send(to("chat:a", 9, 30)...)
	c.wantReplies(9, 30)
	c.renew("a")
	c.send(to("chat:a", 30, 31)...)
	c.want(`wait 2s`)
	// A token that is refused changes nothing.
	c.send(`{"type":"connect","id":"r","payload":{"token":"more","user":"bob"}}`)
	c.want(`"type":"error","id":"r"`)
	c.send(to("chat:a", 31, 32)...)
	c.want(`wait 2s`)
}

func TestASessionRemembersSoManyCapabilities(t *testing.T) {
	known := grants{}
	for i := range 3 * keptRated {
		known[fmt.Sprint(i)] = often(t, "ada", lists{fmt.Sprint("chat:", i): {"publish", fmt.Sprintf("publishes 1/%ds", 100+i)}})
	}
	w := closedDoors(t, known)
	c := w.proven("0")
	for i := range 3 * keptRated {
		c.renew(fmt.Sprint(i))
		c.send(to(fmt.Sprint("chat:", i), i, i+1)...)
		c.wantReplies(i, i+1)
	}
	if n := len(c.share.meter.rules); n != keptRated {
		t.Errorf("it remembers %d", n)
	}
	last := 3*keptRated - 1
	c.send(to(fmt.Sprint("chat:", last), 0, 1)...)
	c.want(`under a capability`)
	w.pass(time.Duration(100+last) * time.Second)
	if c.Heartbeat(); c.share.meter != nil {
		t.Error("it holds a meter when all is full")
	}
}

// What the back end gives when it is asked has limits of its own, beside those of the token.
func TestWhatTheBackEndGivesIsLimited(t *testing.T) {
	w, a := inquiring(t, func(c *Config) {
		c.Anonymous, c.Authenticator = false, grants{"t": often(t, "ada", lists{"ask:*": {"subscribe"}, "talk": {"publish", "publishes 1/s burst 5"}})}
	})
	give := func(channel string, verbs ...string) {
		a.onSubscribe(channel, func(SubscribeQuestion) (SubscribeAnswer, *dialect.Error) {
			return SubscribeAnswer{Capabilities: lists{"talk": verbs}}, nil
		})
	}
	give("ask:a", "publish", "publishes 1/s burst 2")
	give("ask:b", "publish", "publishes 1/s burst 3")
	give("ask:c", "publishes off")
	give("ask:d", "publishes fast")
	c := w.proven("t")
	c.subscribe("ask:a", `{}`)
	c.send(to("talk", 0, 3)...)
	c.want(`"reply"`, `"reply"`, `under a capability of this client: wait 1s`)
	c.subscribe("ask:b", `{}`)
	c.send(to("talk", 3, 5)...)
	c.want(`"reply"`, `under a capability`)
	c.subscribe("ask:c", `{}`)
	c.send(to("talk", 5, 8)...)
	c.want(`"reply"`, `"reply"`, `under a capability`) // of the token
	c.send(`{"type":"subscribe","id":1,"channel":"ask:d"}`)
	c.want(`"code":1500`)
	if log := w.log.String(); !strings.Contains(log, `is no rate`) {
		t.Errorf("the log does not say what is wrong:\n%s", log)
	}
}

func TestLimitsOfCapabilitiesAllocateNothing(t *testing.T) {
	w := closedDoors(t, grants{"t": often(t, "ada", lists{
		"chat:*": {"publish", "publishes 900000000/s", "bytes 512GiB/s"}, ">": {"publishes 900000000/s"}, "other": {"publish", "publishes 1/s"},
	})})
	c := w.proven("t")
	r := w.node.cfg.Rules.For("chat:a")
	command := &dialect.Command{Verb: dialect.Publish, Channel: "chat:a", Payload: make([]byte, 100)}
	if n := testing.AllocsPerRun(100, func() {
		if c.incoming(1, 200).wait > 0 || c.refused(command, r) {
			t.Fatal("refused")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
