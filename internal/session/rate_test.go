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

func rate(t testing.TB, text string) limit.Rate {
	t.Helper()
	r, err := limit.ParseRate(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rated is a world with these rates.
func rated(t testing.TB, change func(*Rates)) *world {
	t.Helper()
	return newWorld(t, func(c *Config) { change(&c.Limits.Rates) })
}

// inChannels is a world whose channels have these rates.
func inChannels(t testing.TB, rates rule.Rates) *world {
	t.Helper()
	return newWorld(t, func(c *Config) {
		rules, err := rule.Compile(nil, rule.Rule{History: rule.History{Count: 1000}, Rates: rates})
		if err != nil {
			t.Fatal(err)
		}
		c.Rules = rules
	})
}

func publishes(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf(`{"type":"publish","id":%d,"channel":"a","payload":%d}`, i, i))
	}
	return all
}

func (c *client) wantReplies(from, to int) {
	c.w.t.Helper()
	var parts []string
	for i := from; i < to; i++ {
		parts = append(parts, fmt.Sprintf(`"type":"reply","id":%d`, i))
	}
	c.want(parts...)
}

func (w *world) entries(channel string) string {
	w.t.Helper()
	page, err := w.node.History(w.t.Context(), channel, &dialect.HistoryArgs{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, e := range page.Entries {
		all = append(all, string(e.Payload))
	}
	return strings.Join(all, " ")
}

func TestWhatIsTooMuchIsRefusedAndTheRestStays(t *testing.T) {
	w := rated(t, func(r *Rates) { r.Session.Publishes = rate(t, "10/s burst 3") })
	c := w.connect()
	c.send(publishes(0, 5)...)
	c.want(`"id":0`, `"id":1`, `"id":2`,
		`"type":"error","id":3,"channel":"a","error":{"code":1429,"name":"rate_limited","message":"too many publishes of this session: wait 100ms","retry_after_ms":100`,
		`"type":"error","id":4`)
	w.pass(100 * time.Millisecond)
	c.send(publishes(5, 7)...)
	c.want(`"type":"reply","id":5`, `"type":"error","id":6`)
	if got := w.entries("a"); got != "0 1 2 5" {
		t.Errorf("the log has %s", got)
	}
	if n := w.node.Refused(OfSession, limit.Publishes); n != 3 {
		t.Errorf("%d were counted as refused", n)
	}
}

// A message for which there is no room is answered request by request, as the protocol says.
func TestEachRequestOfAMessageThatIsTooMuchIsAnswered(t *testing.T) {
	w := rated(t, func(r *Rates) { r.Session.Messages = rate(t, "1/s burst 2") })
	c := w.connect()
	c.send(`{"type":"ping","id":1}`, `{"type":"subscribe","id":2,"channel":"a"}`)
	c.want(`"type":"pong"`, `"type":"reply","id":2`)
	c.send(`{"type":"subscribe","id":3,"channel":"b"}`, `{"type":"ping","id":4}`, `{`)
	c.want(`"id":3,"channel":"b","error":{"code":1429,"name":"rate_limited","message":"too many messages of this session: wait 1s","retry_after_ms":1000`, `"id":4,"error":{"code":1429`,
		`"type":"error","error":{"code":1429`)
	if len(c.subs) != 1 {
		t.Errorf("there are %d subscriptions", len(c.subs))
	}
}

func TestBytesSubscribesAndCallsAreLimited(t *testing.T) {
	w := rated(t, func(r *Rates) {
		r.Session = Taking{Bytes: rate(t, "1KiB/s burst 4KiB"), Subscribes: rate(t, "1/s burst 2"), Calls: rate(t, "1/s")}
	})
	w.methods["m"] = func(context.Context, Call) ([]byte, error) { return nil, nil }
	c := w.connect()
	c.send(`{"type":"subscribe","id":1,"channel":"a"}`, `{"type":"subscribe","id":2,"channel":"b"}`, `{"type":"subscribe","id":3,"channel":"c"}`)
	c.want(`too many subscribes of this session: wait 1s`, `"reply","id":1`, `"reply","id":2`)
	c.send(`{"type":"call","id":1,"method":"m"}`, `{"type":"call","id":2,"method":"m"}`)
	c.want(`"id":2,"error":{"code":1429`, `"type":"reply","id":1`)
	large := `{"type":"publish","id":1,"channel":"a","payload":"` + strings.Repeat("x", 3800) + `"}`
	c.send(large, large)
	c.want(`"reply"`, `too many bytes of this session`, `"type":"message"`)
	w.pass(4 * time.Second)
	c.send(large, large)
	c.want(`"reply"`, `too many bytes of this session`, `"type":"message"`)
}

// A message that waits for a subscription of the same channel is counted once.
func TestARequestThatHasToWaitIsCountedOnce(t *testing.T) {
	w := rated(t, func(r *Rates) { r.Session.Publishes = rate(t, "1/s burst 2") })
	c := w.connect()
	c.Receive([]byte(`{"type":"subscribe","id":"s","channel":"a","payload":{"from":{"last":5}}}`))
	for _, m := range publishes(1, 3) {
		c.Receive([]byte(m))
	}
	w.settle()
	if got := strings.Join(c.take(), "\n"); strings.Contains(got, "error") || w.entries("a") != "1 2" {
		t.Errorf("the log has %s after\n%s", w.entries("a"), got)
	}
}

func TestSessionsOfAnAddressShareItsRate(t *testing.T) {
	w := newWorld(t, func(c *Config) { addLoop(c); c.Limits.Rates.Address.Publishes = rate(t, "1/s burst 3") })
	a, b := w.connect(), w.dialOn(1)
	b.want(`"connected"`)
	a.send(publishes(0, 2)...)
	a.wantReplies(0, 2)
	b.send(publishes(2, 4)...)
	b.want(`"reply"`, `too many publishes of this address: wait 1s`)
	other := w.dialFrom("198.51.100.7:1")
	other.want(`"connected"`)
	other.send(publishes(4, 7)...)
	other.wantReplies(4, 7)
	// Coming back is of no use.
	b.Closed(1000, "")
	b = w.connect()
	b.send(publishes(7, 8)...)
	b.want(`too many publishes of this address`)
}

// The network of 64 bits is what one subscriber has.
func TestAnIPv6NetworkIsOneAddress(t *testing.T) {
	w := rated(t, func(r *Rates) { r.Address.Publishes = rate(t, "1/s burst 2") })
	for i, refused := range []bool{false, false, true} {
		c := w.dialFrom(fmt.Sprintf("[2001:db8:1:2::%d]:443", i+1))
		c.want(`"connected"`)
		c.send(publishes(i, i+1)...)
		if got := c.take()[0]; strings.Contains(got, "rate_limited") != refused {
			t.Errorf("%d: %s", i, got)
		}
	}
}

func TestSessionsOfAUserShareItsRate(t *testing.T) {
	w := rated(t, func(r *Rates) { r.User.Publishes = rate(t, "1/s burst 3") })
	a, b := w.connect(), w.dialFrom("198.51.100.7:1")
	b.want(`"connected"`)
	for _, c := range []*client{a, b} {
		if _, err := c.answerFor("ada"); err != nil {
			t.Fatal(err)
		}
	}
	a.send(publishes(0, 2)...)
	a.wantReplies(0, 2)
	b.send(publishes(2, 4)...)
	b.want(`"reply"`, `too many publishes of this user: wait 1s`)
	a.Closed(1000, "")
	b.Closed(1000, "")
	w.pass(3 * time.Second)
	w.node.Tick()
	if n := w.node.Accounts(OfUser); n != 0 {
		t.Errorf("%d users are remembered", n)
	}
}

// A name that nobody has proved is no reason to count for another.
func TestANameWithoutProofSharesNothing(t *testing.T) {
	w := rated(t, func(r *Rates) { r.User.Publishes = rate(t, "1/m") })
	for range 2 {
		c := w.connect()
		c.send(`{"type":"connect","id":0,"payload":{"user":"ada"}}`)
		c.send(publishes(1, 2)...)
		c.want(`"reply"`, `"type":"reply","id":1`)
	}
}

func TestARuleRejects(t *testing.T) {
	w := inChannels(t, rule.Rates{Publishes: rate(t, "1/s burst 2"), Subscribes: rate(t, "1/s"), Bytes: rate(t, "100/s burst 100")})
	a, b := w.connect(), w.connect()
	a.send(publishes(0, 3)...)
	a.want(`"reply"`, `"reply"`, `"channel":"a","error":{"code":1429,"name":"rate_limited","message":"too many publishes in this channel: wait 1s","retry_after_ms":1000`)
	b.send(publishes(3, 4)...) // each has its own
	b.wantReplies(3, 4)
	b.send(`{"type":"publish","id":5,"channel":"a","payload":"` + strings.Repeat("x", 100) + `"}`)
	b.want(`too many bytes in this channel`)
	a.send(`{"type":"subscribe","id":1,"channel":"a"}`, `{"type":"subscribe","id":2,"channel":"b"}`)
	a.want(`"channel":"b","error":{"code":1429,"name":"rate_limited","message":"too many subscribes in this channel`, `"reply","id":1`)
	if n := w.node.Refused(OfRule, limit.Publishes); n != 1 {
		t.Errorf("%d were counted", n)
	}
}

func TestARuleLimitsAllTogether(t *testing.T) {
	w := inChannels(t, rule.Rates{TotalPublishes: rate(t, "1/s burst 3")})
	a, b := w.connect(), w.connect()
	a.send(publishes(0, 2)...)
	a.wantReplies(0, 2)
	b.send(publishes(2, 4)...)
	b.want(`"reply"`, `too many publishes in this channel`)
}

// Where the rule says slow, nothing is refused: the session is not read until there is room.
func TestARuleSlowsDown(t *testing.T) {
	w := inChannels(t, rule.Rates{Publishes: rate(t, "10/s burst 2"), AtLimit: rule.Slow})
	c := w.connect()
	c.send(publishes(0, 2)...)
	if !c.reading || c.Paused() {
		t.Fatal("a burst slows it down")
	}
	c.send(publishes(2, 4)...)
	if c.reading || !c.Paused() || c.Full() {
		t.Fatal("it is read on, or taken for one that does not take its answers")
	}
	c.wantReplies(0, 4)
	if c.reading {
		t.Error("taking its answers speeds it up")
	}
	w.pass(100 * time.Millisecond)
	if c.reading {
		t.Error("it is read before there is room for both")
	}
	w.pass(100 * time.Millisecond)
	if !c.reading {
		t.Error("it is not read when there is room")
	}
	if got := w.entries("a"); got != "0 1 2 3" {
		t.Errorf("the log has %s", got)
	}
	if n := w.node.Refused(OfRule, limit.Publishes); n != 0 {
		t.Errorf("%d were counted as refused", n)
	}
}

func TestWhatWouldTakeTooLongIsRefusedThoughTheRuleSaysSlow(t *testing.T) {
	w := inChannels(t, rule.Rates{Publishes: rate(t, "1/8s"), AtLimit: rule.Slow})
	c := w.connect()
	c.send(publishes(0, 3)...)
	c.want(`"reply"`, `"reply"`, `"retry_after_ms":16000`)
	c.Closed(1006, "") // in the middle of the pause
	w.pass(10 * time.Second)
}

func TestWhatTheTransportAnswersCountsToo(t *testing.T) {
	w := rated(t, func(r *Rates) { r.Session.Messages, r.Refusals = rate(t, "1/s burst 3"), rate(t, "2/m") })
	c := w.connect()
	c.TooLarge(c.MessageBytes())
	c.Session.Reject(dialect.Errorf(dialect.InvalidMessage, "no"))
	if !c.Ration(100) || c.Ration(100) {
		t.Error("a ping is not counted")
	}
	c.TooLarge(c.MessageBytes())
	c.want("too_large", "invalid_message", "rate_limited", "rate_limited")
	c.Session.Reject(dialect.Errorf(dialect.InvalidMessage, "no"))
	c.want("rate_limited")
	c.wantClosed(dialect.CloseRateLimited)
	if c.Ration(1) {
		t.Error("a session that is closing goes on")
	}
}

// What is far too large counts as what would have had room in it, in what is taken and in what is refused.
func TestAHugeMessageCountsAsMany(t *testing.T) {
	w := rated(t, func(r *Rates) { r.Session.Messages, r.Refusals = rate(t, "1/s burst 20"), rate(t, "20/m") })
	c := w.connect()
	c.TooLarge(16 * c.MessageBytes())
	c.TooLarge(16 * c.MessageBytes())
	c.want("too_large", "rate_limited")
	c.TooLarge(4*c.MessageBytes() + 1)
	c.want("rate_limited")
	c.wantClosed(dialect.CloseRateLimited)
}

func TestAQuietSessionHoldsNothingForItsRates(t *testing.T) {
	w := rated(t, func(r *Rates) { r.Session.Messages = rate(t, "1/s burst 10") })
	c := w.connect()
	c.send(publishes(0, 3)...)
	w.pass(2 * time.Second)
	if c.Heartbeat(); c.share.meter == nil {
		t.Error("what it has taken was forgotten before its bucket was full")
	}
	w.pass(time.Second)
	if c.Heartbeat(); c.share.meter != nil {
		t.Error("it holds a meter")
	}
}

func TestRatesAllocateNothing(t *testing.T) {
	w := everywhere(t)
	c := w.connect()
	if _, err := c.answerFor("ada"); err != nil {
		t.Fatal(err)
	}
	r := w.node.cfg.Rules.For("a")
	command := &dialect.Command{Verb: dialect.Publish, Channel: "a", Payload: make([]byte, 100)}
	if n := testing.AllocsPerRun(100, func() {
		if c.incoming(1, 200).wait > 0 || c.refused(command, r) {
			t.Fatal("refused")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// everywhere is a world with limits of all kinds, which nobody reaches.
func everywhere(t testing.TB) *world {
	t.Helper()
	w := inChannels(t, rule.Rates{Publishes: rate(t, "900000000/s"), Bytes: rate(t, "512GiB/s"), TotalPublishes: rate(t, "900000000/s"), TotalBytes: rate(t, "512GiB/s")})
	much := Taking{rate(t, "900000000/s"), rate(t, "512GiB/s"), rate(t, "900000000/s"), rate(t, "900000000/s"), rate(t, "900000000/s")}
	w.node.cfg.Limits.Rates = Rates{Session: much, User: much, Address: much}
	w.node.quotas = newQuotas(&w.node.cfg)
	return w
}

// BenchmarkRatedPublish compares a publish to a channel without subscribers with and without limits.
func BenchmarkRatedPublish(b *testing.B) {
	for _, limited := range []bool{false, true} {
		b.Run(fmt.Sprintf("limited=%v", limited), func(b *testing.B) {
			w := newWorld(b, func(*Config) {})
			if limited {
				w = everywhere(b)
			}
			w.node.cfg.Now = time.Now
			w.node.quotas.began = time.Now()
			c := w.connect()
			if _, err := c.answerFor("ada"); err != nil {
				b.Fatal(err)
			}
			message := []byte(`{"type":"publish","channel":"a","payload":{"text":"hello, world","from":"the benchmark"}}`)
			b.ReportAllocs()
			for b.Loop() {
				if limited { // as if each message came in a read of its own
					c.Tick()
				}
				c.Session.Receive(message)
			}
		})
	}
}

// BenchmarkRates is what limits of all kinds cost a publish.
func BenchmarkRates(b *testing.B) {
	w := everywhere(b)
	w.node.cfg.Now = time.Now
	w.node.quotas.began = time.Now()
	c := w.connect()
	if _, err := c.answerFor("ada"); err != nil {
		b.Fatal(err)
	}
	r := w.node.cfg.Rules.For("a")
	command := &dialect.Command{Verb: dialect.Publish, Channel: "a", Payload: make([]byte, 100)}
	for b.Loop() {
		c.Tick()
		if c.incoming(1, 200).wait > 0 || c.refused(command, r) {
			b.Fatal("refused")
		}
	}
}

// What one limit refuses is not taken from the others.
func TestARefusalTakesNothing(t *testing.T) {
	of := rule.Rates{Publishes: rate(t, "1/s"), Bytes: rate(t, "1KiB/s")}
	for name, test := range map[string]struct {
		change func(*Rates)
		rule   rule.Rates
	}{
		"the address":  {change: func(r *Rates) { r.Address.Publishes = rate(t, "1/s") }},
		"the user":     {change: func(r *Rates) { r.User.Publishes = rate(t, "1/s") }},
		"the rule":     {change: func(*Rates) {}, rule: of},
		"with a share": {change: func(r *Rates) { r.Address.Publishes = rate(t, "1/s"); r.User.Publishes = rate(t, "1/m burst 3") }},
	} {
		t.Run(name, func(t *testing.T) {
			w := inChannels(t, test.rule)
			w.node.cfg.Limits.Rates.Session.Publishes = rate(t, "1/m burst 3")
			test.change(&w.node.cfg.Limits.Rates)
			w.node.quotas = newQuotas(&w.node.cfg)
			c := w.connect()
			if _, err := c.answerFor("ada"); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				c.send(publishes(10*i, 10*i+5)...)
				c.want(`"reply"`, "rate_limited", "rate_limited", "rate_limited", "rate_limited")
				w.pass(time.Second)
			}
			c.send(publishes(30, 31)...)
			c.want("rate_limited")
		})
	}
}

func TestAMessageWithTooManyBytesIsNotCounted(t *testing.T) {
	w := rated(t, func(r *Rates) {
		r.Session.Messages, r.Session.Bytes = rate(t, "1/m burst 3"), rate(t, "100/m burst 1000")
	})
	c := w.connect()
	large := `{"type":"ping","id":"` + strings.Repeat("x", 930) + `"}`
	c.send(large, large, large, large, `{"type":"ping"}`, `{"type":"ping"}`, `{"type":"ping"}`)
	got := strings.Join(c.take(), "\n")
	if strings.Count(got, "too many bytes") != 3 || strings.Count(got, `"pong"`) != 2 || strings.Count(got, "too many messages") != 1 {
		t.Errorf("it is told\n%s", got)
	}
}
