package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hocket.dev"
	"hocket.dev/internal/limit"
	"hocket.dev/internal/rule"
)

func per(count int64, per time.Duration, burst int64) limit.Rate {
	return limit.Rate{Count: count, Per: per, Burst: burst}
}

func TestHocketGetsEveryLimit(t *testing.T) {
	f, err := read(t, `
trusted_proxies: [10.0.0.0/8, "2001:db8::1"]
client_header: forwarded
proxy_protocol: true
channels: [{pattern: a, rate: {publishes: 1/s, bytes: 2KiB/s, subscribes: 3/s, total_publishes: 4/s, total_bytes: 5/s, at_limit: slow}}]
fallback: {rate: {publishes: 6/m burst 60}}
limits:
  sessions: 1
  sessions_per_user: 2
  sessions_per_address: 3
  unproved: 4
  unproved_bytes: 5KiB
  rates:
    session: {messages: 1/s, bytes: 2/s, subscribes: 3/s, publishes: 4/s, calls: 5/s}
    user: {messages: 6/s, bytes: 7/s, subscribes: 8/s, publishes: 9/s, calls: 10/s}
    address: {handshakes: 11/s, messages: 12/s, bytes: 13/s, subscribes: 14/s, publishes: 15/s, calls: "off"}
    handshakes: 16/s
    refusals: 17/m
    strikes: 18/h
    ban_for: 19m
`)
	if err != nil {
		t.Fatal(err)
	}
	have := f.Hocket()
	s := func(n int64) limit.Rate { return per(n, time.Second, 0) }
	rates := hocket.Rates{
		Session:    hocket.Taking{Messages: s(1), Bytes: s(2), Subscribes: s(3), Publishes: s(4), Calls: s(5)},
		User:       hocket.Taking{Messages: s(6), Bytes: s(7), Subscribes: s(8), Publishes: s(9), Calls: s(10)},
		Address:    hocket.Taking{Messages: s(12), Bytes: s(13), Subscribes: s(14), Publishes: s(15)},
		Handshakes: s(16), AddressHandshakes: s(11),
		Refusals: per(17, time.Minute, 0), Strikes: per(18, time.Hour, 0), BanFor: 19 * time.Minute,
	}
	if diff := cmp.Diff(rates, have.Limits.Rates); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	l := have.Limits
	if l.Sessions != 1 || l.SessionsPerUser != 2 || l.SessionsPerAddress != 3 || l.Unproved != 4 || l.UnprovedBytes != 5<<10 {
		t.Errorf("%+v", l)
	}
	of := hocket.RuleRates{Publishes: s(1), Bytes: s(2048), Subscribes: s(3), TotalPublishes: s(4), TotalBytes: s(5), AtLimit: rule.Slow}
	if diff := cmp.Diff(of, have.Channels[0].Rates); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if have.Fallback.Rates.Publishes != per(6, time.Minute, 60) {
		t.Errorf("%+v", have.Fallback.Rates)
	}
	if len(have.TrustedProxies) != 2 || have.ClientHeader != hocket.ClientHeaderForwarded || !have.ProxyProtocol {
		t.Errorf("%v %v %v", have.TrustedProxies, have.ClientHeader, have.ProxyProtocol)
	}
}

// What the defaults say is right, and leaves a session room for all the subscriptions it may have when it comes back.
func TestTheDefaultLimitsFitTogether(t *testing.T) {
	f := Default()
	c := f.Hocket()
	if err := c.Limits.Rates.Check(); err != nil {
		t.Error(err)
	}
	session := c.Limits.Rates.Session
	if n := int64(c.Limits.Subscriptions); session.Subscribes.Burst < n || session.Messages.Burst < n {
		t.Errorf("a session with %d subscriptions is refused when it comes back", n)
	}
	f.Limits.OpenRates()
	if diff := cmp.Diff(hocket.Rates{}, f.Hocket().Limits.Rates, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("limits that are taken away: -want +got:\n%s", diff)
	}
}

func TestErrorsAboutLimits(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"limits: {rates: {session: {messages: fast}}}", `hocket.yaml:1: limits.rates.session.messages: "fast" is no rate: write it like 100/s`},
		{"limits:\n  rates:\n    strikes: 0/m", `hocket.yaml:3: limits.rates.strikes: "0/m" holds a number that is not from 1 to`},
		{"limits: {rates: {clients: {}}}", `here can be session, user, address, handshakes, refusals, strikes, ban_for`},
		{"fallback: {rate: {at_limit: wait}}", `hocket.yaml:1: fallback.rate.at_limit: "wait" is none of reject, slow`},
		{"client_header: X-Forwarded-For", `hocket.yaml:1: client_header: "X-Forwarded-For" is none of none, forwarded, x_forwarded_for`},
		{"client_header: x_forwarded_for", `hocket.yaml:1: client_header: is believed of nobody: name the proxies as trusted_proxies`},
		{"proxy_protocol: true", `hocket.yaml:1: proxy_protocol: is believed of nobody`},
		{"trusted_proxies: [10.0.0.0/8, proxy]", `hocket.yaml:1: trusted_proxies[1]: "proxy" is neither a network`},
	} {
		if _, err := read(t, test.text); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v\nwant %s", test.text, err, test.want)
		}
	}
}
