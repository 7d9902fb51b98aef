package origin

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"
)

func TestSchemeAndClearText(t *testing.T) {
	some := Proxies{Networks: []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("10.0.0.0/8"),
	}}
	passOn := some
	passOn.PassOn = true
	for _, test := range []struct {
		proxies Proxies
		from    string
		tls     bool
		said    []string
		scheme  string
		clear   bool
	}{
		{Proxies{}, "192.0.2.1:1", false, nil, "", false},
		{Proxies{}, "192.0.2.1:1", false, []string{"http"}, "", false},
		{Proxies{}, "192.0.2.1:1", true, nil, "https", false},
		{some, "192.0.2.1:1", false, []string{"https"}, "https", false},
		{some, "192.0.2.1:1", false, []string{"HTTPS, https"}, "https", false},
		{some, "192.0.2.1:1", false, []string{"https", "http"}, "http", true},
		{some, "192.0.2.1:1", false, []string{"https,"}, "http", true},
		{some, "192.0.2.1:1", false, []string{""}, "http", true},
		{some, "192.0.2.1:1", false, nil, "", false},
		{some, "192.0.2.1:1", true, nil, "https", false},
		{some, "192.0.2.1:1", true, []string{"http"}, "http", true},
		{some, "[::ffff:192.0.2.1]:1", false, []string{"http"}, "http", true},
		{some, "[2001:db8::1]:1", false, []string{"https"}, "https", false},
		{some, "[2001:db8::1%eth0]:1", false, []string{"https"}, "https", false},
		{some, "[2001:db8::2]:1", false, []string{"https"}, "http", true},
		{some, "10.9.9.9:1", false, []string{"https"}, "https", false},
		{some, "192.0.3.1:1", false, []string{"https"}, "http", true},
		{some, "192.0.3.1:1", true, []string{"http"}, "https", false},
		{some, "127.0.0.1:1", false, nil, "http", false},
		{some, "[::ffff:127.0.0.1]:1", false, nil, "http", false},
		{some, "[::1]:1", false, nil, "http", false},
		{some, "nonsense", false, nil, "http", true},
		{passOn, "198.51.100.7:1", false, []string{"https"}, "", false},
		{passOn, "192.0.2.1:1", false, []string{"http"}, "", false},
		{passOn, "198.51.100.7:1", true, []string{"http"}, "https", false},
	} {
		r := &http.Request{RemoteAddr: test.from, Header: http.Header{}}
		if test.said != nil {
			r.Header["X-Forwarded-Proto"] = test.said
		}
		if test.tls {
			r.TLS = new(tls.ConnectionState)
		}
		if scheme, clear := test.proxies.Scheme(r), test.proxies.InClear(r); scheme != test.scheme || clear != test.clear {
			t.Errorf("%+v: %q, %v", test, scheme, clear)
		}
	}
}
