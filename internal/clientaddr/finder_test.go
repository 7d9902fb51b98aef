package clientaddr

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func networks(t testing.TB, texts ...string) (n Networks) {
	t.Helper()
	for _, text := range texts {
		p, err := ParseNetwork(text)
		if err != nil {
			t.Fatal(err)
		}
		n = append(n, p)
	}
	return n
}

func TestNetworksAreReadInEveryForm(t *testing.T) {
	n := networks(t, "10.0.0.0/8", "192.0.2.7", "::ffff:198.51.100.0/120", "2001:db8::/32", "::ffff:203.0.113.9")
	for address, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "11.1.2.3": false,
		"192.0.2.7": true, "192.0.2.8": false, "198.51.100.200": true, "198.51.101.1": false,
		"2001:db8:1::1": true, "2001:db9::1": false, "203.0.113.9": true, "203.0.113.8": false, "2001:db8::1%eth0": true,
	} {
		if got := n.Contain(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is contained: %v", address, got)
		}
	}
	for text, want := range map[string]string{
		"":              "neither a network",
		"localhost":     "neither a network",
		"10.0.0.1/8":    "the network is 10.0.0.0/8",
		"10.0.0.0/33":   "is no network",
		"10/8":          "is no network",
		"fe80::1%eth0":  "neither a network",
		"10.0.0.0:8000": "neither a network",
	} {
		if p, err := ParseNetwork(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}

func TestTheClientIsTheLastOneThatIsNotTrusted(t *testing.T) {
	trusted := networks(t, "10.0.0.0/8", "2001:db8:5::/48")
	for _, test := range []struct {
		what   string
		header Header
		peer   string
		lines  []string
		want   string
	}{
		{"no header is looked at", None, "10.0.0.1:5", []string{"192.0.2.1"}, "10.0.0.1:5"},
		{"the peer is not trusted", XForwardedFor, "192.0.2.9:5", []string{"198.51.100.1"}, "192.0.2.9:5"},
		{"the peer is no address", XForwardedFor, "@", []string{"198.51.100.1"}, "@"},
		{"there is no header", XForwardedFor, "10.0.0.1:5", nil, "10.0.0.1:5"},
		{"one proxy", XForwardedFor, "10.0.0.1:5", []string{"192.0.2.1"}, "192.0.2.1"},
		{"what the client wrote is passed on", XForwardedFor, "10.0.0.1:5", []string{"6.6.6.6, 192.0.2.1"}, "192.0.2.1"},
		{"in a line of its own", XForwardedFor, "10.0.0.1:5", []string{"6.6.6.6", "192.0.2.1"}, "192.0.2.1"},
		{"the client names a trusted one", XForwardedFor, "10.0.0.1:5", []string{"10.9.9.9, 192.0.2.1"}, "192.0.2.1"},
		{"two proxies", XForwardedFor, "10.0.0.1:5", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"two proxies and two lines", XForwardedFor, "10.0.0.1:5", []string{"6.6.6.6,192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		{"only proxies", XForwardedFor, "10.0.0.1:5", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"no address", XForwardedFor, "10.0.0.1:5", []string{"192.0.2.1, unknown"}, "10.0.0.1:5"},
		{"no address before a proxy", XForwardedFor, "10.0.0.1:5", []string{"unknown, 10.0.0.2"}, "10.0.0.2"},
		{"nothing", XForwardedFor, "10.0.0.1:5", []string{""}, "10.0.0.1:5"},
		{"with a port", XForwardedFor, "10.0.0.1:5", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{"IPv6", XForwardedFor, "10.0.0.1:5", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", XForwardedFor, "10.0.0.1:5", []string{" [2001:db8::1] "}, "2001:db8::1"},
		{"IPv6 with a port", XForwardedFor, "[2001:db8:5::1]:5", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{"IPv4 as IPv6", XForwardedFor, "[::ffff:10.0.0.1]:5", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},

		{"the other header", Forwarded, "10.0.0.1:5", nil, "10.0.0.1:5"},
		{"RFC 7239 §4", Forwarded, "10.0.0.1:5", []string{`for="_gazonk"`}, "10.0.0.1:5"},
		{"RFC 7239 §4", Forwarded, "10.0.0.1:5", []string{`For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17"},
		{"RFC 7239 §4", Forwarded, "10.0.0.1:5", []string{`for=192.0.2.60;proto=http;by=203.0.113.43`}, "192.0.2.60"},
		{"RFC 7239 §4", Forwarded, "10.0.0.1:5", []string{`for=192.0.2.43, for=198.51.100.17`}, "198.51.100.17"},
		{"a quoted port", Forwarded, "10.0.0.1:5", []string{`for="192.0.2.43:47011"`}, "192.0.2.43"},
		{"an element without for", Forwarded, "10.0.0.1:5", []string{`for=192.0.2.43, proto=http`}, "10.0.0.1:5"},
		{"empty elements", Forwarded, "10.0.0.1:5", []string{`for=192.0.2.43, `}, "10.0.0.1:5"},
		{"empty parameters", Forwarded, "10.0.0.1:5", []string{`;for=192.0.2.43; ;`}, "192.0.2.43"},
		{"what the client wrote is passed on", Forwarded, "10.0.0.1:5", []string{`for=6.6.6.6`, `for=192.0.2.1`}, "192.0.2.1"},
		{"two proxies", Forwarded, "10.0.0.1:5", []string{`for=6.6.6.6, for=192.0.2.1;proto=https, for=10.0.0.2`}, "192.0.2.1"},
		{"twice in an element", Forwarded, "10.0.0.1:5", []string{`for=6.6.6.6;for=192.0.2.1`}, "10.0.0.1:5"},
		{"unknown", Forwarded, "10.0.0.1:5", []string{`for=unknown`}, "10.0.0.1:5"},
		// A client that opens a quotation wants to hide what its proxy adds. It is then counted as the proxy.
		{"an open quotation", Forwarded, "10.0.0.1:5", []string{`for=6.6.6.6;x=", for=192.0.2.1`}, "10.0.0.1:5"},
		{"an open quotation that is closed", Forwarded, "10.0.0.1:5", []string{`for=6.6.6.6;x=", for="[2001:db8::1]:80"`}, "10.0.0.1:5"},
		{"an open escape", Forwarded, "10.0.0.1:5", []string{`for=6.6.6.6;x="\, for="192.0.2.1:80"`}, "10.0.0.1:5"},
		{"an open quotation in a line of its own", Forwarded, "10.0.0.1:5", []string{`for=6.6.6.6;x="`, `for=192.0.2.1`}, "192.0.2.1"},
	} {
		other := map[Header]string{Forwarded: "X-Forwarded-For", XForwardedFor: "Forwarded", None: "Forwarded"}[test.header]
		h := http.Header{other: {"for=6.6.6.6", "6.6.6.6"}}
		if test.lines != nil {
			h[map[Header]string{Forwarded: "Forwarded", XForwardedFor: "X-Forwarded-For", None: "X-Forwarded-For"}[test.header]] = test.lines
		}
		f := Finder{Trusted: trusted, Header: test.header}
		if got := f.Find(test.peer, h); got != test.want {
			t.Errorf("%s: %s from %s with %q is %s, want %s", test.what, test.header, test.peer, test.lines, got, test.want)
		}
	}
}

func TestTheZeroFinderTrustsNobody(t *testing.T) {
	for _, f := range []Finder{{}, {Header: XForwardedFor}, {Trusted: networks(t, "0.0.0.0/0")}} {
		if got := f.Find("192.0.2.1:5", http.Header{"X-Forwarded-For": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}}); got != "192.0.2.1:5" {
			t.Errorf("%+v finds %s", f, got)
		}
	}
}

func TestHeadersAreReadBack(t *testing.T) {
	for _, h := range []Header{None, Forwarded, XForwardedFor} {
		var back Header
		text, _ := h.MarshalText()
		if err := back.UnmarshalText(text); err != nil || back != h {
			t.Errorf("%v is read back as %v, %v", h, back, err)
		}
	}
	var h Header
	if err := h.UnmarshalText([]byte("X-Forwarded-For")); err == nil || !strings.Contains(err.Error(), "none of none, forwarded, x_forwarded_for") {
		t.Error(err)
	}
}

// Whatever a client writes into the header, its proxy has the last word: what is found is what the proxy wrote behind
// it, or the proxy itself.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"", "6.6.6.6", "for=6.6.6.6", `for="`, `for=6.6.6.6;x="\`, `,,`, "10.0.0.9", `for="[::1]:80"`, "for=10.0.0.9,"} {
		f.Add(seed)
	}
	trusted := networks(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, written string) {
		for header, added := range map[Header][]string{
			XForwardedFor: {"192.0.2.1", "192.0.2.1, 10.0.0.2"},
			Forwarded:     {"for=192.0.2.1", `for="192.0.2.1:80";proto=https`, "for=192.0.2.1, for=10.0.0.2"},
		} {
			finder := Finder{Trusted: trusted, Header: header}
			name := headers[header].header
			for _, own := range added {
				if got := finder.Find("10.0.0.1:5", map[string][]string{name: {written, own}}); got != "192.0.2.1" {
					t.Fatalf("%q and %q in two lines: %s", written, own, got)
				}
				got := finder.Find("10.0.0.1:5", map[string][]string{name: {written + ", " + own}})
				if got != "192.0.2.1" && got != "10.0.0.1:5" {
					t.Fatalf("%q and %q in one line: %s", written, own, got)
				}
			}
			if got := finder.Find("192.0.2.9:5", map[string][]string{name: {written}}); got != "192.0.2.9:5" {
				t.Fatalf("%q of a client is believed: %s", written, got)
			}
		}
	})
}
