package token

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// FuzzVerify holds that whatever holds here has been signed with the secret, and holds for another reader too.
func FuzzVerify(f *testing.F) {
	good := must(signer(f, "secret", "k").Sign(full))(f)
	f.Add(good)
	f.Add(say(f, payload))
	f.Add(forge(f, `{"alg":"none"}`, payload))
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add("..")
	k := key(f, "secret")
	v := verifier(f, Config{Keys: []Key{k, key(f, "p256"), key(f, "ed25519")}, Audience: []string{"a"}})
	f.Fuzz(func(t *testing.T, text string) {
		c, err := v.Verify(text, now)
		if err != nil {
			if e := new(Error); !errors.As(err, &e) || e.Reason == 0 || e.Error() == "" || c.User != "" || c.Capabilities != nil {
				t.Fatalf("%q: %v with %+v", text, err, c)
			}
			return
		}
		if _, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return k.material, nil }, jwt.WithoutClaimsValidation()); err != nil {
			t.Fatalf("%q holds, but for another reader: %v", text, err)
		}
	})
}

// FuzzClaims holds that what is read can be written, and is then read as the same.
func FuzzClaims(f *testing.F) {
	f.Add(appendClaims(nil, &full))
	f.Add([]byte(`{"exp":1.9e9,"capabilities":{"a":["b"],"\u0063":[]},"info":[{}],"aud":"x"}`))
	f.Add([]byte(`{"sub":"\ud800","exp":-0}`))
	f.Add([]byte(`{"exp":1.9,"nbf":1795000000.123,"iat":253402300799}`))
	f.Add([]byte(`{"capabilities":{"` + strings.Repeat(`\b\f`, 127) + `":[]}}`))
	f.Add([]byte(`{"capabilities":{"chat:*":["publish","publishes 5/s burst 20","bytes 64KiB\/s","at_limit slow"],"a b":["calls 1/24h"]}}`))
	f.Add([]byte(`{"address":"::ffff:1.2.3.4","origin":"null","jti":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseClaims(text)
		if err != nil {
			return
		}
		first := appendClaims(nil, &c)
		again, err := parseClaims(first)
		if err != nil {
			t.Fatalf("%q is read, but not what it is written as, %q: %v", text, first, err)
		}
		if second := appendClaims(nil, &again); string(second) != string(first) {
			t.Fatalf("%q is written as %q, and that as %q", text, first, second)
		}
		if c.User != again.User || c.ID != again.ID || string(c.Info) != string(again.Info) || len(c.Capabilities) != len(again.Capabilities) {
			t.Fatalf("%+v becomes %+v", c, again)
		}
	})
}

// FuzzKeys holds that keys that are read can be used, and that no text is read for long.
func FuzzKeys(f *testing.F) {
	for _, name := range []string{"rsa.pub.pem", "p256.crt.pem", "ed25519.pub.pem", "p256.pem"} {
		f.Add(read(f, name))
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"` + strings.Repeat("A", 43) + `","kid":"x","alg":"HS256"}]}`))
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, parse := range []func([]byte) ([]Key, error){ParseKeys, ParsePublished} {
			keys, err := parse(text)
			if (err == nil) != (len(keys) > 0) || len(keys) > MaxKeys {
				t.Fatalf("%q: %d keys, %v", text, len(keys), err)
			}
			for _, k := range keys {
				if methods[k.algorithms[0]].Verify("a.b", make([]byte, 64), k.material) == nil {
					t.Fatalf("%q verifies anything", text)
				}
			}
		}
	})
}

// FuzzTicket holds that a ticket has one spelling.
func FuzzTicket(f *testing.F) {
	f.Add(NewTicket().Text())
	f.Add("hkt_" + strings.Repeat("A", 42) + "B")
	f.Add("hkt_" + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, text string) {
		ticket, err := ParseTicket(text)
		if err != nil {
			if ticket != (Ticket{}) || err != errTicket {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if ticket.Text() != text {
			t.Fatalf("%q is read as %q", text, ticket.Text())
		}
	})
}

// FuzzGrant holds that whatever is kept is read without harm, and what can be read can be written.
func FuzzGrant(f *testing.F) {
	f.Add(must(AppendGrant(nil, full))(f))
	f.Add([]byte("\x01{}"))
	f.Add([]byte("\x01" + `{"sub":"ada","capabilities":{"bot:*":["publish","publishes 100/s burst 500","bytes off"]}}`))
	f.Add([]byte("\x02{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseGrant(b)
		if err != nil {
			return
		}
		if _, err := AppendGrant(nil, c); err != nil && len(b) < MaxGrantBytes/8 { // what is escaped becomes longer
			t.Fatalf("%q is read, but cannot be written: %v", b, err)
		}
	})
}

// FuzzCookie holds that cookies are found where net/http finds them, when they are tokens.
func FuzzCookie(f *testing.F) {
	f.Add("a=b; hocket_session=x.y-z_; c", true)
	f.Add("__Host-hocket_session=\"x\";__Host-hocket_session=y", true)
	f.Add(";;=;hocket_session", false)
	f.Add("__Host-hocket_session; hocket_session=x", false)
	f.Fuzz(func(t *testing.T, header string, secure bool) {
		text, found, err := FindCookie([]string{header}, secure)
		if err != nil && (found || text != "") || !found && text != "" {
			t.Fatalf("%q: %q, %v, %v", header, text, found, err)
		}
		if strings.ContainsAny(header, "\r\n") {
			return // no header holds a line break
		}
		theirs := valuesOf(header, SecureCookie)
		if !secure && len(theirs) == 0 {
			theirs = valuesOf(header, PlainCookie)
		}
		if found && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == "" {
			if len(theirs) != 1 || theirs[0] != text {
				t.Fatalf("%q: %q here, %v there", header, text, theirs)
			}
		}
		if !found && err == nil && len(theirs) != 0 {
			t.Fatalf("%q: none here, %v there", header, theirs)
		}
	})
}

// valuesOf are those of the cookies of one name, as net/http finds them. Empty ones are left out: there, a name without "=" is a
// cookie too.
func valuesOf(header, name string) (values []string) {
	for _, c := range (&http.Request{Header: http.Header{"Cookie": {header}}}).CookiesNamed(name) {
		if c.Value != "" {
			values = append(values, c.Value)
		}
	}
	return values
}
