package token

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var full = Claims{
	ID: "t1", User: "ada", Info: []byte(`{"name":"Ada"}`),
	Capabilities: map[string][]string{"chat:*": {"subscribe", "publish", "publishes 5/s burst 20", "at_limit slow"}, "news": {}},
	Issuer:       "https://issuer.example", Audience: []string{"a", "b"},
	Issued: now, NotBefore: now, Expires: now.Add(time.Hour + 500*time.Millisecond),
	Address: netip.MustParseAddr("192.0.2.7"), Origin: "https://app.example.com",
}

func same(t *testing.T, got, want Claims) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("claims differ (-want +got):\n%s", diff)
	}
}

func TestWhatIsSignedIsVerified(t *testing.T) {
	for _, test := range []struct{ name, algorithm string }{
		{"secret", "HS256"}, {"rsa", "RS256"}, {"p256", "ES256"}, {"p384", "ES384"}, {"p521", "ES512"}, {"ed25519", "EdDSA"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := must(signer(t, test.name, "k1").Sign(full))(t)
			v := verifier(t, Config{Keys: []Key{key(t, test.name)}, Audience: []string{"b"}, Issuer: []string{full.Issuer}})
			same(t, must(v.Verify(text, now))(t), full)

			parsed, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return key(t, test.name).material, nil },
				jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithAudience("a"), jwt.WithValidMethods([]string{test.algorithm}))
			if err != nil || parsed.Header["kid"] != "k1" || parsed.Header["typ"] != "JWT" {
				t.Errorf("another reader: %v, %v", err, parsed)
			}
		})
	}
}

func TestTokensOfAnotherSigner(t *testing.T) {
	for algorithm, method := range methods {
		if algorithm == "Ed25519" {
			continue // the library does not call it so
		}
		t.Run(algorithm, func(t *testing.T) {
			name := map[string]string{"HS": "secret", "RS": "rsa", "PS": "rsa", "ES": "p" + algorithm[2:], "Ed": "ed25519"}[algorithm[:2]]
			if name == "p512" {
				name = "p521"
			}
			text, err := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "ada", "exp": now.Unix() + 60}).SignedString(signer(t, name, "").material)
			if err != nil {
				t.Fatal(err)
			}
			c := must(verifier(t, Config{Keys: []Key{key(t, name)}}).Verify(text, now))(t)
			same(t, c, Claims{User: "ada", Expires: now.Add(time.Minute)})
		})
	}
}

// The examples of RFC 7515, appendices A.1 to A.3.
func TestTokensOfTheStandard(t *testing.T) {
	const payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	for _, test := range []struct{ name, header, signature, key string }{
		{"HS256", "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
			`{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`},
		{"RS256", "eyJhbGciOiJSUzI1NiJ9", "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
			`{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`},
		{"ES256", "eyJhbGciOiJFUzI1NiJ9", "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
			`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := verifier(t, Config{Keys: must(ParseKeys([]byte(test.key)))(t)})
			text := test.header + "." + payload + "." + test.signature
			end := time.Unix(1300819380, 0)
			same(t, must(v.Verify(text, end.Add(-time.Second)))(t), Claims{Issuer: "joe", Expires: end})
			_, err := v.Verify(text, now)
			wantReason(t, err, Expired, "expired")
		})
	}
}

// A key set and tokens made with Node's crypto, which shares nothing with ours: a key and a token of each algorithm.
func TestTokensOfNode(t *testing.T) {
	lines := strings.Fields(string(read(t, "node.txt")))
	v := verifier(t, Config{Keys: must(ParsePublished([]byte(lines[0])))(t)})
	for _, text := range lines[1:] {
		c := must(v.Verify(text, now))(t)
		want := Claims{User: c.User, Info: []byte(`{"a":"é"}`), Expires: time.Unix(1900000000, 5e8)}
		if same(t, c, want); methods[c.User] == nil {
			t.Errorf("%s is no algorithm", c.User)
		}
	}
	if len(lines) != 11 {
		t.Errorf("there are %d tokens", len(lines)-1)
	}
}

// The page for readers has a token that they can make themselves, and it holds.
func TestTokenOfTheManual(t *testing.T) {
	page := string(must(os.ReadFile("../../docs/tokens.md"))(t))
	secret := regexp.MustCompile(`(?m)^SECRET=(.+)$`).FindStringSubmatch(page)
	text := regexp.MustCompile(`(?m)^eyJ[\w-]+\.[\w-]+\.[\w-]+$`).FindString(page)
	if secret == nil || text == "" {
		t.Fatal("there is none")
	}
	v := verifier(t, Config{Keys: []Key{must(ParseSecret(secret[1]))(t)}})
	want := Claims{User: "ada", Capabilities: map[string][]string{"chat:*": {"subscribe", "publish"}}, Expires: time.Unix(4102444800, 0)}
	same(t, must(v.Verify(text, now))(t), want)
}

func TestTimesAndLeeway(t *testing.T) {
	at := func(name string, d time.Duration) string {
		end := `,"exp":1900000000`
		if name == "exp" {
			end = ""
		}
		return say(t, fmt.Sprintf(`{%q:%v%s}`, name, float64(now.Add(d).UnixMilli())/1000, end))
	}
	v := verifier(t, Config{Keys: []Key{key(t, "secret")}, Leeway: 10 * time.Second})
	strict := verifier(t, Config{Keys: []Key{key(t, "secret")}, Leeway: -1})
	for _, test := range []struct {
		name            string
		at              time.Duration
		lenient, strict Reason
	}{
		{"exp", time.Millisecond, 0, 0},
		{"exp", 0, 0, Expired},
		{"exp", -10*time.Second + time.Millisecond, 0, Expired},
		{"exp", -10 * time.Second, Expired, Expired},
		{"exp", -time.Hour, Expired, Expired},
		{"nbf", 0, 0, 0},
		{"nbf", 10 * time.Second, 0, NotYetValid},
		{"nbf", 10*time.Second + time.Millisecond, NotYetValid, NotYetValid},
		{"nbf", time.Hour, NotYetValid, NotYetValid},
		{"iat", 0, 0, 0},
		{"iat", 10 * time.Second, 0, NotYetValid},
		{"iat", time.Hour, NotYetValid, NotYetValid},
		{"iat", -time.Hour, 0, 0},
	} {
		for v, want := range map[*Verifier]Reason{v: test.lenient, strict: test.strict} {
			if _, err := v.Verify(at(test.name, test.at), now); want != 0 {
				wantReason(t, err, want, "token")
			} else if err != nil {
				t.Errorf("%s in %v with %v: %v", test.name, test.at, v.Leeway(), err)
			}
		}
	}
	if got := verifier(t, Config{}).Leeway(); got != DefaultLeeway {
		t.Errorf("the default leeway is %v", got)
	}
	if _, err := NewVerifier(Config{Leeway: MaxLeeway + 1}); err == nil {
		t.Error("a leeway of more than five minutes is accepted")
	}
}

func TestEndlessTokensAreForWhoAsks(t *testing.T) {
	_, err := verifier(t, Config{Keys: []Key{key(t, "secret")}}).Verify(say(t, `{"sub":"ada"}`), now)
	wantReason(t, err, BadClaim, `no "exp"`)
	c := must(verifier(t, Config{Keys: []Key{key(t, "secret")}, Endless: true}).Verify(say(t, `{"sub":"ada"}`), now))(t)
	same(t, c, Claims{User: "ada"})
}

func TestIssuerAndAudience(t *testing.T) {
	for _, test := range []struct {
		issuer, audience []string
		claims           string
		want             Reason
		says             string
	}{
		{nil, nil, ``, 0, ""},
		{nil, nil, `"iss":"anybody",`, 0, ""},
		{nil, nil, `"aud":"somebody",`, Audience, "is told of none"},
		{nil, nil, `"aud":[],`, 0, ""},
		{[]string{"i1", "i2"}, nil, `"iss":"i2",`, 0, ""},
		{[]string{"i1"}, nil, `"iss":"i2",`, Issuer, "issuer"},
		{[]string{"i1"}, nil, `"iss":"I1",`, Issuer, "issuer"},
		{[]string{"i1"}, nil, `"iss":"i1/",`, Issuer, "issuer"},
		{[]string{"i1"}, nil, ``, Issuer, "issuer"},
		{nil, []string{"a1", "a2"}, `"aud":"a2",`, 0, ""},
		{nil, []string{"a1"}, `"aud":["x","a1"],`, 0, ""},
		{nil, []string{"a1"}, `"aud":["x","a"],`, Audience, "another audience"},
		{nil, []string{"a1"}, `"aud":[],`, Audience, "no audience"},
		{nil, []string{"a1"}, ``, Audience, "no audience"},
	} {
		v := verifier(t, Config{Keys: []Key{key(t, "secret")}, Issuer: test.issuer, Audience: test.audience})
		if _, err := v.Verify(say(t, `{`+test.claims+`"exp":1900000000}`), now); test.want != 0 {
			wantReason(t, err, test.want, test.says)
		} else if err != nil {
			t.Errorf("%s with %v, %v: %v", test.claims, test.issuer, test.audience, err)
		}
	}
	for _, cfg := range []Config{{Issuer: []string{""}}, {Audience: []string{"a", ""}}} {
		if _, err := NewVerifier(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

func TestClaims(t *testing.T) {
	v := verifier(t, Config{Keys: []Key{key(t, "secret")}})
	for _, test := range []struct {
		claims string
		want   Claims
	}{
		{`"unknown":[{"a":1}]`, Claims{}},
		{`"sub":"","jti":""`, Claims{}},
		{`"info":null`, Claims{}},
		{`"info": [1, "é"] `, Claims{Info: []byte(`[1, "é"]`)}},
		{`"capabilities":{}`, Claims{Capabilities: map[string][]string{}}},
		{`"capabilities":{"a:*":[],">":["call"]}`, Claims{Capabilities: map[string][]string{"a:*": {}, ">": {"call"}}}},
		{`"iat":1.5e9,"nbf":1500000000.25`, Claims{Issued: time.Unix(15e8, 0), NotBefore: time.Unix(15e8, 25e7)}},
		{`"iat":0`, Claims{Issued: time.Unix(0, 0)}},
		{`"address":"::ffff:192.0.2.7"`, Claims{Address: netip.MustParseAddr("192.0.2.7")}},
		{`"\u0073ub":"a\u0064a"`, Claims{User: "ada"}},
	} {
		test.want.Expires = time.Unix(19e8, 0)
		same(t, must(v.Verify(say(t, `{"exp":1900000000,`+test.claims+`}`), now))(t), test.want)
	}
	for _, test := range []struct{ claims, part string }{
		{`"sub":7`, `"sub" must be a string`},
		{`"sub":null`, `"sub" must be a string`},
		{`"sub":"a:b"`, "user may not hold"},
		{`"sub":"*"`, "user may not hold"},
		{`"sub":"a\u0000"`, "user may not hold"},
		{`"sub":"\ud800"`, "not one JSON object"},
		{`"sub":"` + strings.Repeat("x", 256) + `"`, "at most 255 bytes"},
		{`"jti":1`, `"jti" must be a string`},
		{`"jti":"` + strings.Repeat("x", 256) + `"`, "at most 255 bytes"},
		{`"iss":["a"]`, `"iss" must be a string`},
		{`"aud":7`, `"aud" must be a string`},
		{`"aud":["a",7]`, `"aud" must be a string`},
		{`"aud":[` + strings.Repeat(`"a",`, 32) + `"a"]`, "at most 32"},
		{`"nbf":"1500000000"`, `"nbf" must be a number`},
		{`"iat":-1`, `"iat" must be a number`},
		{`"iat":1e400`, `"iat" must be a number`},
		{`"iat":253402300800`, `"iat" must be a number`},
		{`"nbf":99999999999999999999999999999999999999`, `"nbf" must be a number`},
		{`"iat":null`, `"iat" must be a number`},
		{`"iat":true`, `"iat" must be a number`},
		{`"capabilities":null`, "not one JSON object"},
		{`"capabilities":["chat:*"]`, "not one JSON object"},
		{`"capabilities":{"a":"publish"}`, "lists of at most"},
		{`"capabilities":{"a":null}`, "lists of at most"},
		{`"capabilities":{"a":[1]}`, "must be a string"},
		{`"capabilities":{"a":[],"\u0061":["publish"]}`, "two members of one name"},
		{`"capabilities":{"a":[` + strings.Repeat(`"x",`, 32) + `"x"]}`, "at most 32"},
		{`"capabilities":{"` + strings.Repeat("a", 256) + `":[]}`, "lists of at most"},
		{`"address":"example.com"`, "must be an IP address"},
		{`"address":"fe80::1%eth0"`, "must be an IP address"},
		{`"address":7`, "must be an IP address"},
		{`"origin":7`, "must be a string"},
		{`"sub":"a","sub":"b"`, "two members of one name"},
		{`"exp":1900000001`, "two members of one name"},
		{`"info":` + strings.Repeat("[", 32) + strings.Repeat("]", 32), "nested too deep"},
	} {
		_, err := v.Verify(say(t, `{"exp":1900000000,`+test.claims+`}`), now)
		wantReason(t, err, BadClaim, test.part)
	}
}

func TestEndMustBeANumber(t *testing.T) {
	v := verifier(t, Config{Keys: []Key{key(t, "secret")}})
	for _, exp := range []string{`"1900000000"`, `null`, `true`, `[1900000000]`, `-1`, `1e400`, `253402300800`, `"never"`} {
		_, err := v.Verify(say(t, `{"exp":`+exp+`}`), now)
		wantReason(t, err, BadClaim, `"exp" must be a number`)
	}
	if _, err := v.Verify(say(t, `{"exp":253402300799}`), now); err != nil {
		t.Error(err)
	}
}

func TestManyCapabilities(t *testing.T) {
	patterns := func(n int) []byte {
		m := map[string][]string{}
		for i := range n {
			m[fmt.Sprint("c", i)] = []string{}
		}
		text, _ := json.Marshal(map[string]any{"capabilities": m})
		return text
	}
	if _, err := parseClaims(patterns(maxCapabilities)); err != nil {
		t.Error(err)
	}
	_, err := parseClaims(patterns(maxCapabilities + 1))
	wantReason(t, err, BadClaim, "at most 100 patterns")
}

func TestProofsBoundToAPlace(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
	for _, test := range []struct {
		claims  Claims
		address netip.Addr
		origin  string
		ok      bool
	}{
		{Claims{}, a, "", true},
		{Claims{}, netip.Addr{}, "https://x", true},
		{Claims{Address: a}, a, "https://x", true},
		{Claims{Address: a}, netip.MustParseAddr("::ffff:192.0.2.7"), "", true},
		{Claims{Address: a}, b, "", false},
		{Claims{Address: a}, netip.Addr{}, "", false},
		{Claims{Origin: "https://x"}, a, "https://x", true},
		{Claims{Origin: "https://x"}, a, "https://y", false},
		{Claims{Origin: "https://x"}, a, "", false},
	} {
		err := test.claims.CheckPlace(test.address, test.origin)
		if test.ok != (err == nil) {
			t.Errorf("%+v from %v, %q: %v", test.claims, test.address, test.origin, err)
		}
		if err != nil {
			wantReason(t, err, Elsewhere, "bound to another")
		}
	}
}

func TestKeyIDPicksTheKey(t *testing.T) {
	named := func(name, id string) Key { return must(key(t, name).Named(id))(t) }
	sign := func(name, id string) string {
		return must(signer(t, name, id).Sign(Claims{Expires: now.Add(time.Hour)}))(t)
	}
	other := must(ParseSecret("another secret that is long enough"))(t)
	v := verifier(t, Config{Keys: []Key{named("rsa", "r"), named("p256", "e"), must(other.Named("s"))(t), key(t, "ed25519")}})
	for _, test := range []struct {
		signer, id string
		want       Reason
		newer      bool // whether a newer key set may let it pass
	}{
		{"rsa", "r", 0, false},
		{"rsa", "", 0, false},
		{"p256", "", 0, false},
		{"rsa", "e", Algorithm, false},
		{"secret", "r", Algorithm, false},
		{"secret", "s", Signature, false},
		{"secret", "", Signature, false},
		{"p384", "", Algorithm, true},
		{"rsa", "new", UnknownKey, true},
		{"ed25519", "any", 0, false}, // a key without an id is for every token that names no other key
		{"ed25519", "", 0, false},
		{"ed25519", "r", Algorithm, false},
	} {
		if _, err := v.Verify(sign(test.signer, test.id), now); test.want != 0 {
			wantReason(t, err, test.want, "")
			if newer := err.(*Error).NewerKeys(); newer != test.newer {
				t.Errorf("signed by %s as %q: newer keys may help: %v", test.signer, test.id, newer)
			}
		} else if err != nil {
			t.Errorf("signed by %s as %q: %v", test.signer, test.id, err)
		}
	}
}

// Without a key id a token costs eight tries at most, however many keys there are.
func TestTokensWithoutKeyIDAreTriedWithFewKeys(t *testing.T) {
	text := say(t, payload)
	keys := []Key{key(t, "secret")}
	for tries := 1; tries <= maxTries+1; tries++ {
		v := verifier(t, Config{Keys: append([]Key{key(t, "rsa")}, keys...)}) // those that do not fit cost nothing
		if _, err := v.Verify(text, now); tries > maxTries {
			wantReason(t, err, Signature, unsigned)
		} else if err != nil {
			t.Errorf("the key is the %dth: %v", tries, err)
		}
		other := must(ParseSecret(fmt.Sprintf("another secret, long enough, the %dth", tries)))(t)
		keys = append([]Key{other}, keys...)
	}
}

func TestConfigIsCopied(t *testing.T) {
	cfg := Config{Keys: []Key{key(t, "secret")}, Audience: []string{"a"}, Issuer: []string{full.Issuer}}
	v := verifier(t, cfg)
	cfg.Keys[0], cfg.Audience[0], cfg.Issuer[0] = Key{}, "x", "x"
	must(v.Verify(must(signer(t, "secret", "").Sign(full))(t), now))(t)
}

// Keys of the Config and those that are fetched are exchanged each by itself.
func TestExchange(t *testing.T) {
	v := verifier(t, Config{Keys: []Key{key(t, "p256")}})
	sign := func(name string) string {
		return must(signer(t, name, "").Sign(Claims{Expires: now.Add(time.Hour)}))(t)
	}
	if err := v.Rotate([]Key{key(t, "rsa")}); err != nil {
		t.Fatal(err)
	}
	given := []Key{key(t, "ed25519")}
	if err := v.Exchange(given); err != nil {
		t.Fatal(err)
	}
	given[0] = Key{}
	must(v.Verify(sign("ed25519"), now))(t)
	must(v.Verify(sign("rsa"), now))(t)
	_, err := v.Verify(sign("p256"), now)
	wantReason(t, err, Algorithm, unsigned)
	if v.Exchange([]Key{{}}) == nil {
		t.Error("a key that is none is accepted")
	}
	must(v.Verify(sign("ed25519"), now))(t)
}

func TestRotation(t *testing.T) {
	v := verifier(t, Config{Keys: []Key{key(t, "p256")}})
	text := must(signer(t, "rsa", "2027-01").Sign(Claims{Expires: now.Add(time.Hour)}))(t)
	_, err := v.Verify(text, now)
	wantReason(t, err, UnknownKey, unsigned)
	if e := err.(*Error); e.KeyID != "2027-01" || strings.Contains(e.Error(), "2027") {
		t.Errorf("key id is %q in %v", e.KeyID, e)
	}
	fetched := []Key{must(key(t, "rsa").Named("2027-01"))(t)}
	if err := v.Rotate(fetched); err != nil {
		t.Fatal(err)
	}
	fetched[0] = Key{}
	must(v.Verify(text, now))(t)
	must(v.Verify(must(signer(t, "p256", "").Sign(Claims{Expires: now.Add(time.Hour)}))(t), now))(t)
	if err := v.Rotate(nil); err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(text, now)
	wantReason(t, err, UnknownKey, "")
	if v.Rotate(make([]Key, MaxKeys+1)) == nil || v.Rotate([]Key{{}}) == nil {
		t.Error("too many keys, or one that is none, are accepted")
	}
	if _, err := NewVerifier(Config{Keys: []Key{{}}}); err == nil {
		t.Error("a key that is none is accepted")
	}
}

func TestWhatCannotBeSigned(t *testing.T) {
	s := signer(t, "secret", "")
	for what, c := range map[string]Claims{
		"user":    {User: "a:b"},
		"info":    {Info: []byte(`{"a":1} ` + `}`)},
		"empty":   {Info: []byte{}},
		"forged":  {Info: []byte(`1,"sub":"root"`)},
		"pattern": {Capabilities: map[string][]string{"\xff": nil, "\xfe": nil}},
		"time":    {Expires: time.Unix(math.MaxInt32*1000, 0)},
		"before":  {Issued: time.Unix(-1, 0)},
		"length":  {Info: []byte(`"` + strings.Repeat("x", MaxBytes) + `"`)},
		"id":      {ID: strings.Repeat("x", 256)},
	} {
		if text, err := s.Sign(c); err == nil {
			t.Errorf("%s: signed as %s", what, text)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, name := range []string{"secret", "rsa", "p256", "ed25519"} {
		b.Run(name, func(b *testing.B) {
			v := verifier(b, Config{Keys: []Key{key(b, name)}, Audience: []string{"a"}})
			text := must(signer(b, name, "").Sign(full))(b)
			for b.Loop() {
				if _, err := v.Verify(text, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
