package session

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/limit"
)

// abuse sends more than is answered.
func (c *client) abuse() {
	c.send(publishes(0, 100)...)
	c.take()
}

func TestWhoGoesOnIsClosedAndThenShutOut(t *testing.T) {
	w := rated(t, func(r *Rates) {
		*r = Rates{Session: Taking{Publishes: rate(t, "1/s")}, Refusals: rate(t, "50/10s"), Strikes: rate(t, "1/10m"), BanFor: time.Minute}
	})
	c := w.connect()
	c.send(publishes(0, 50)...)
	if got := c.take(); len(got) != 50 || c.code != 0 {
		t.Fatalf("%d answers, closed with %d", len(got), c.code)
	}
	c.send(publishes(50, 53)...)
	if got := c.take(); len(got) != 2 || !strings.Contains(got[1], `"id":51`) {
		t.Errorf("it is told\n%s", strings.Join(got, "\n"))
	}
	c.wantClosed(dialect.CloseRateLimited)
	c.Closed(4003, "")

	c = w.connect()
	c.abuse()
	c.wantClosed(dialect.CloseBanned)
	c.Closed(4202, "")
	c = w.dial()
	c.want(`"type":"error","error":{"code":1431,"name":"banned","message":"The user or the address is shut out for a while: wait retry_after_ms.","retry_after_ms":60000`)
	c.wantClosed(dialect.CloseBanned)
	c.Closed(4202, "")
	if n := w.node.Bans(OfAddress); n != 1 {
		t.Errorf("%d bans were counted", n)
	}
	other := w.dialFrom("198.51.100.7:1")
	other.want(`"connected"`)

	w.pass(time.Minute)
	c = w.connect()
	c.abuse()
	c.wantClosed(dialect.CloseBanned) // it is remembered
	c.Closed(4202, "")
	w.pass(10 * time.Minute)
	c = w.connect()
	c.abuse()
	c.wantClosed(dialect.CloseRateLimited)
}

func TestAUserIsShutOutWhereverItComesFrom(t *testing.T) {
	w := rated(t, func(r *Rates) {
		*r = Rates{Session: Taking{Publishes: rate(t, "1/s")}, Refusals: rate(t, "10/10s"), Strikes: rate(t, "1/10m"), BanFor: time.Minute}
	})
	for i, want := range []dialect.Code{dialect.CloseRateLimited, dialect.CloseBanned} {
		c := w.dialFrom(fmt.Sprintf("192.0.2.%d:1", i+1))
		if _, err := c.answerFor("mallory"); err != nil {
			t.Fatal(err)
		}
		c.abuse()
		c.wantClosed(want)
		c.Closed(int(want), "")
	}
	c := w.dialFrom("192.0.2.9:1")
	if code, err := c.answerFor("mallory"); err == nil || code != dialect.CloseBanned {
		t.Errorf("code %d, %v", code, err)
	}
	if _, err := w.dialFrom("192.0.2.2:1").answerFor("ada"); err != nil {
		t.Errorf("another user at the same address: %v", err)
	}
}

// One who misbehaves among many behind one address does not have them all shut out.
func TestAnAddressThatManyShareIsNotShutOut(t *testing.T) {
	w := rated(t, func(r *Rates) {
		*r = Rates{Session: Taking{Publishes: rate(t, "1/s")}, Refusals: rate(t, "10/10s"), Strikes: rate(t, "1/10m"), BanFor: time.Minute}
	})
	for range sharedSessions {
		w.connect()
	}
	for range 3 {
		c := w.connect()
		c.abuse()
		c.wantClosed(dialect.CloseRateLimited)
		c.Closed(4003, "")
	}
	w.connect()
}

func TestSessionsOfAnAddressAndOfAUserAreCounted(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.SessionsPerAddress, c.Limits.SessionsPerUser = 2, 1 })
	a := w.connect()
	w.connect()
	c := w.dial()
	c.want(`"code":1430,"name":"limit_reached","message":"there are 2 sessions of this address, as many as may be: end one, or come back later"`)
	c.wantClosed(dialect.CloseLimitReached)
	c.Closed(4006, "")
	a.Closed(1000, "")
	b := w.connect()

	if _, err := b.answerFor("ada"); err != nil {
		t.Fatal(err)
	}
	other := w.dialFrom("198.51.100.7:1")
	if code, err := other.answerFor("ada"); err == nil || code != dialect.CloseLimitReached {
		t.Errorf("code %d, %v", code, err)
	}
}

func TestTheOldestWithoutProofMakesRoom(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Anonymous, c.Limits.Unproved = false, 3 })
	var all []*client
	for range 5 {
		all = append(all, w.dial())
	}
	for i, c := range all {
		want := dialect.Code(0)
		if i < 2 {
			want = dialect.CloseRateLimited
			c.want(`"code":1503,"name":"busy","message":"too many clients have not proved who they are: come back later","retry_after_ms":1000`)
		}
		c.wantClosed(want)
	}
	all[3].Closed(1006, "")
	all[0].Closed(4003, "")
	w.dial()
	all[2].wantClosed(0)
	w.pass(10 * time.Second)
	all[4].wantClosed(dialect.CloseUnauthenticated)
	for _, c := range all {
		c.Closed(4200, "")
	}
	if n := w.node.Shard(0).unproved.Len(); n != 1 {
		t.Errorf("%d are waited for", n)
	}
}

func TestWithoutProofLittleIsTaken(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Anonymous, c.Limits.UnprovedBytes = false, 1000 })
	c := w.dial()
	if n := c.MessageBytes(); n != 1000 {
		t.Errorf("a message may have %d bytes", n)
	}
	message := `{"type":"ping","id":"` + strings.Repeat("x", 900) + `"}`
	c.send(message, message, message, message)
	c.wantClosed(0)
	c.take()
	c.send(message)
	c.want(`"code":1401`)
	c.wantClosed(dialect.CloseUnauthenticated)
	w = newWorld(t, func(*Config) {})
	if n := w.connect().MessageBytes(); n != 64<<10 {
		t.Errorf("with proof a message may have %d bytes", n)
	}
}

// Who is shut out and comes again and again is soon refused before it has a session.
func TestWhoIsShutOutIsNotToldOverAndOver(t *testing.T) {
	w := rated(t, func(r *Rates) { r.AddressHandshakes = rate(t, "10/s burst 250") })
	banned, honest := "192.0.2.1:5", "192.0.2.2:5"
	w.node.quotas.addresses.Look(netip.MustParseAddr("192.0.2.1"), 0, func(a *limit.Account, _ int) { a.Ban(time.Minute) })
	for i := range 250 {
		if err := w.node.Knock(honest); err != nil {
			t.Fatalf("handshake %d: %v", i, err)
		}
		if err := w.node.Knock(banned); (err != nil) != (i >= 2) {
			t.Fatalf("handshake %d of who is shut out: %v", i, err)
		}
	}
}
