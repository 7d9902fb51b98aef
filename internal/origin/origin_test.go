package origin

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func compile(t *testing.T, patterns ...string) *List {
	t.Helper()
	l, err := Compile(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func from(origin string) http.Header { return http.Header{"Origin": {origin}} }

func TestListedOrigins(t *testing.T) {
	l := compile(t, "https://app.example.com", "https://*.example.org", "http://localhost:*", "http://*.test:*", "http://[::1]:*",
		"https://port.example:8443", "capacitor://localhost", "HTTPS://UPPER.example", "http://plain.example:80")
	for origin, want := range map[string]Verdict{
		"https://app.example.com":        Admitted,
		"HTTPS://APP.EXAMPLE.COM":        Admitted,
		"https://app.example.com:443":    Admitted,
		"https://app.example.com:8443":   Refused,
		"http://app.example.com":         Refused,
		"https://app.example.com.":       Refused,
		"https://app.example.com.evil":   Refused,
		"https://evil-app.example.com":   Refused,
		"https://a.app.example.com":      Refused,
		"https://upper.example":          Admitted,
		"http://plain.example":           Admitted,
		"https://a.example.org":          Admitted,
		"https://xn--4ca.example.org":    Admitted,
		"https://a.b.example.org":        Refused, // one label
		"https://example.org":            Refused,
		"https://.example.org":           Refused,
		"https://evilexample.org":        Refused,
		"https://a.example.org:8443":     Refused,
		"https://a.example.org.evil":     Refused,
		"http://localhost":               Admitted,
		"http://localhost:5173":          Admitted,
		"http://localhost:0":             Refused,
		"http://localhost:":              Refused,
		"http://localhost:65536":         Refused,
		"http://localhost:1@evil":        Refused,
		"http://localhost.evil:1":        Refused,
		"https://localhost:5173":         Refused,
		"http://a.test:1":                Admitted,
		"http://a.b.test:1":              Refused,
		"http://[::1]:9":                 Admitted,
		"http://[0:0::1]:9":              Admitted,
		"http://[::1%lo]:9":              Refused,
		"http://[::1":                    Refused,
		"http://[127.0.0.1]:9":           Refused,
		"https://port.example:8443":      Admitted,
		"https://port.example":           Refused,
		"capacitor://localhost":          Admitted,
		"capacitor://localhost:1":        Refused,
		"https://app.example.com/":       Refused,
		"https://app.example.com?":       Refused,
		"https://app.example.com ":       Refused,
		"https://app.example.com\x00":    Refused,
		"https://user@app.example.com":   Refused,
		"https://app.example.com:44e1":   Refused,
		"https://app.example.com:+443":   Refused,
		"https://app.example.com,null":   Refused,
		"//app.example.com":              Refused,
		"app.example.com":                Refused,
		"wss://app.example.com":          Refused,
		"https://app.éxample.com":        Refused,
		"null":                           Refused,
		"*":                              Refused,
		"":                               Refused,
		"https://*.example.org":          Refused,
		"http://localhost:*":             Refused,
		"https://own.example":            Admitted,
		"https://own.example:443":        Admitted,
		"http://own.example":             Refused, // a page that anybody on its way may have written
		"http://own.example:443":         Refused,
		"https://own.example:8443":       Refused,
		"chrome-extension://own.example": Refused,
	} {
		if got := l.Judge(from(origin), Own{"https", "own.example"}); got != want {
			t.Errorf("%q: %v, want %v", origin, got, want)
		}
	}
}

// The server's own origin is known as well as the request says it.
func TestOwnOrigin(t *testing.T) {
	var l List
	for _, test := range []struct {
		own    Own
		origin string
		want   Verdict
	}{
		{Own{"http", "h:8000"}, "http://h:8000", Admitted},
		{Own{"http", "H:8000"}, "http://h:8000", Admitted},
		{Own{"http", "h:8000"}, "http://h:8001", Refused},
		{Own{"http", "h:8000"}, "http://h", Refused},
		{Own{"http", "h"}, "http://h", Admitted},
		{Own{"http", "h:80"}, "http://h", Admitted},
		{Own{"http", "h"}, "https://h", Refused},
		{Own{"https", "h:443"}, "https://h", Admitted},
		{Own{"", "h"}, "https://h", Admitted},
		{Own{"", "h"}, "http://h", Admitted},
		{Own{"", "h:443"}, "https://h", Admitted},
		{Own{"", "h:443"}, "http://h", Refused},
		{Own{"", "h"}, "http://h:8000", Refused},
		{Own{"", "[::1]:8"}, "http://[::1]:8", Admitted},
		{Own{"", "[::1]"}, "http://[::1]", Admitted},
		{Own{"", "h"}, "app://h", Refused},
		{Own{"", ""}, "http://", Refused},
		{Own{"", "h:"}, "http://h", Refused},
		{Own{"", "a b"}, "http://a b", Refused},
		{Own{"", "null"}, "null", Refused},
	} {
		if got := l.Judge(from(test.origin), test.own); got != test.want {
			t.Errorf("%q at %+v: %v, want %v", test.origin, test.own, got, test.want)
		}
	}
}

// Where no origin is named, Sec-Fetch-Site decides; where that is missing too, cookies do not count.
func TestWithoutOrigin(t *testing.T) {
	own := Own{"https", "own.example"}
	some, all, null := compile(t, "https://a.example"), compile(t, "*", "https://a.example"), compile(t, "null")
	for site, want := range map[string]Verdict{
		"": Cookieless, "same-origin": Admitted, "none": Admitted, "same-site": Refused, "cross-site": Refused, "new-site": Refused,
	} {
		h := http.Header{}
		if site != "" {
			h.Set("Sec-Fetch-Site", site)
		}
		if got := some.Judge(h, own); got != want {
			t.Errorf("Sec-Fetch-Site %q: %v, want %v", site, got, want)
		}
		if got := all.Judge(h, own); got != max(want, Cookieless) {
			t.Errorf("with *, Sec-Fetch-Site %q: %v", site, got)
		}
	}
	twice := http.Header{"Sec-Fetch-Site": {"same-origin", "cross-site"}}
	if got := some.Judge(twice, own); got != Refused {
		t.Errorf("two of Sec-Fetch-Site: %v", got)
	}
	for _, test := range []struct {
		list   *List
		origin string
		want   Verdict
	}{
		{all, "https://b.example", Cookieless}, {all, "https://a.example", Admitted}, {all, "https://own.example", Admitted},
		{all, "null", Refused}, {all, "nonsense", Refused}, {null, "null", Cookieless}, {null, "NULL", Refused}, {some, "null", Refused},
	} {
		if got := test.list.Judge(from(test.origin), own); got != test.want {
			t.Errorf("%q: %v, want %v", test.origin, got, test.want)
		}
	}
	if got := all.Judge(http.Header{"Origin": {"https://a.example", "https://a.example"}}, own); got != Refused {
		t.Errorf("two origins: %v", got)
	}
}

func TestListsThatAreWrong(t *testing.T) {
	for pattern, want := range map[string]string{
		"b":                        `"b" is no origin: write it like https://app.example.com, without a path`,
		"":                         `"" is no origin`,
		"https://a/":               "is no origin",
		"https://":                 "is no origin",
		"1http://a":                "is no origin",
		"https://u@a":              "is no origin",
		"wss://a":                  "names a socket",
		"https://a:0":              "has a port that is none",
		"https://a:":               "has a port that is none",
		"https://a:99999":          "has a port that is none",
		"https://a:8*":             "has a port that is none",
		"https://bücher.example":   "xn--",
		"https://a*.example":       `has a "*" where none can be`,
		"https://*.*.example":      `has a "*" where none can be`,
		"https://a.*.example":      `has a "*" where none can be`,
		"https://*":                `has a "*" where none can be`,
		"https://*..example":       `has a "*" where none can be`,
		"https://*.[::1]":          `has a "*" where none can be`,
		"*://a":                    "is no origin",
		"https://[::1":             "is no origin",
		"https://[1.2.3.4]":        "is no origin",
		"*.example.com":            "is no origin",
		"https://a.example.com:*:": "has a port that is none",
	} {
		_, err := Compile([]string{"https://ok", pattern})
		var e *Error
		if !errors.As(err, &e) || e.Index != 1 || e.Pattern != pattern || !strings.Contains(err.Error(), want) || errors.Unwrap(err) != e.Reason {
			t.Errorf("%q: %v, want %s", pattern, err, want)
		}
	}
}

func TestHost(t *testing.T) {
	for s, want := range map[string]string{
		"a.example": "a.example", "A.example:80": "a.example", "[::1]": "[::1]", "[0::1]:8": "[::1]", "1.2.3.4:5": "1.2.3.4",
		"": "", ":80": "", "a:": "", "a:b": "", "a/b": "", "a@b": "", "a\\b": "", "a b": "", "a\r\nb": "", "[::1": "", "a:0": "", "*": "", "::1": "",
	} {
		if got, ok := Host(s); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", s, got, ok)
		}
	}
}

// What a list admits, it admits by name: no text is taken for another origin than it is.
func FuzzJudge(f *testing.F) {
	for _, s := range []string{"https://app.example.com", "https://a.example.org:443", "http://localhost:1", "http://[::1]:9", "null", "https://x@app.example.com", "https://app.example.com:443/"} {
		f.Add(s, s)
	}
	l, err := Compile([]string{"https://app.example.com", "https://*.example.org", "http://localhost:*"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s, host string) {
		if l.Judge(from(s), Own{Scheme: "https", Host: "own.example"}) == Admitted {
			lower := strings.ToLower(s)
			name, _, _ := strings.Cut(strings.TrimPrefix(lower, "https://"), ":")
			named := strings.HasPrefix(lower, "https://") && (name == "app.example.com" || name == "own.example" ||
				strings.HasSuffix(name, ".example.org") && strings.Count(name, ".") == 2)
			local := lower == "http://localhost" || strings.HasPrefix(lower, "http://localhost:")
			if !named && !local || strings.ContainsAny(s, "/@?#") && strings.Count(s, "/") != 2 {
				t.Errorf("%q is admitted", s)
			}
		}
		if o, err := Parse(s); err == nil { // compiling takes what parsing does
			one, err := Compile([]string{s})
			if err != nil || !one.exact[o] {
				t.Errorf("%q is an origin, and none to list: %v", s, err)
			}
		}
		if l.Judge(from("https://"+host), Own{Host: "own.example"}) == Admitted {
			if strings.ContainsAny(host, "/@?# \x00") {
				t.Errorf("the host %q is admitted", host)
			}
		}
	})
}
