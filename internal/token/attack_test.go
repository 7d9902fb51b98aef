package token

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Everything a server could have: keys of all kinds, with and without ids.
func allKeys(t testing.TB) *Verifier {
	t.Helper()
	var keys []Key
	for _, name := range []string{"secret", "rsa", "p256", "p384", "p521", "ed25519"} {
		keys = append(keys, key(t, name), must(key(t, name).Named(name))(t))
	}
	return verifier(t, Config{Keys: keys})
}

const payload = `{"sub":"admin","exp":1900000000}`

func TestNoneIsNoAlgorithm(t *testing.T) {
	v := allKeys(t)
	good := say(t, payload)
	for _, algorithm := range []string{"none", "None", "NONE", "nOnE", "none ", " none", "", "null", "\tnone", "HS256,none"} {
		h := encode(fmt.Sprintf(`{"alg":%q}`, algorithm))
		for _, signature := range []string{"", good[strings.LastIndexByte(good, '.')+1:]} {
			_, err := v.Verify(h+"."+encode(payload)+"."+signature, now)
			wantReason(t, err, Algorithm, "not accepted")
		}
	}
	for _, h := range []string{`{"alg":null}`, `{"alg":["HS256"]}`, `{"alg":0}`, `{"alg":{"HS256":1}}`, `{"alg":true}`} {
		_, err := v.Verify(forge(t, h, payload), now)
		wantReason(t, err, Algorithm, "not accepted")
	}
	_, err := v.Verify(forge(t, `{}`, payload), now)
	wantReason(t, err, Malformed, `no "alg"`)
}

// The public key is known to all, so a token whose HMAC is made with it must not hold, in whatever form it is taken.
func TestPublicKeyIsNoSecret(t *testing.T) {
	for _, name := range []string{"rsa", "p256", "ed25519"} {
		text := read(t, name+".pub.pem")
		v := verifier(t, Config{Keys: []Key{key(t, name)}})
		for _, secret := range [][]byte{text, bytes.TrimSpace(text), []byte(jwkOf(t, name, "")), {}} {
			for _, h := range []string{`{"alg":"HS256"}`, `{"alg":"HS256","kid":"rsa"}`, `{"alg":"HS512"}`} {
				signed := encode(h) + "." + encode(payload)
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(signed))
				if _, err := v.Verify(signed+"."+encode(string(mac.Sum(nil))), now); err == nil {
					t.Errorf("a token signed with the public %s key holds", name)
				}
			}
		}
	}
}

func TestAlgorithmsOfOtherKeys(t *testing.T) {
	v := allKeys(t)
	for _, signedBy := range []string{"secret", "rsa", "p256", "p384", "ed25519"} {
		s := signer(t, signedBy, "")
		for _, algorithm := range []string{"HS256", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA"} {
			for _, keyID := range []string{"", "secret", "rsa", "p256"} {
				h := fmt.Sprintf(`{"alg":%q,"kid":%q}`, algorithm, keyID)
				if keyID == "" {
					h = fmt.Sprintf(`{"alg":%q}`, algorithm)
				}
				signed := encode(h) + "." + encode(payload)
				signature := must(methods[s.algorithm].Sign(signed, s.material))(t)
				_, err := v.Verify(signed+"."+encode(string(signature)), now)
				right := s.key.fits(algorithm) && (keyID == "" || keyID == signedBy)
				if right != (err == nil) {
					t.Errorf("signed by %s with %s as %s of %q: %v", signedBy, s.algorithm, algorithm, keyID, err)
				}
			}
		}
	}
}

func TestSignaturesThatAreNone(t *testing.T) {
	v := allKeys(t)
	for _, name := range []string{"secret", "rsa", "p256", "p384", "p521", "ed25519"} {
		good := must(signer(t, name, name).Sign(Claims{User: "ada", Expires: now.Add(time.Hour)}))(t)
		must(v.Verify(good, now))(t)
		dot := strings.LastIndexByte(good, '.')
		signature := must(base64.RawURLEncoding.DecodeString(good[dot+1:]))(t)
		n := len(signature)
		flipped := bytes.Clone(signature)
		flipped[n/2] ^= 1
		for what, bad := range map[string][]byte{
			"empty": {}, "one byte": signature[:1], "truncated": signature[:n-1], "half": signature[:n/2], "overlong": append(bytes.Clone(signature), 0),
			"led by zero": append([]byte{0}, signature...), "twice": append(bytes.Clone(signature), signature...),
			"zero": make([]byte, n), "ones": bytes.Repeat([]byte{0xff}, n), "flipped": flipped,
			"r and s are 1":  append(append(make([]byte, n/2-1), 1), append(make([]byte, n/2-1), 1)...),
			"in DER, and 0s": {0x30, 6, 2, 1, 0, 2, 1, 0},
		} {
			_, err := v.Verify(good[:dot+1]+encode(string(bad)), now)
			if err == nil {
				t.Errorf("%s: a signature that is %s holds", name, what)
			} else {
				wantReason(t, err, Signature, unsigned)
			}
		}
	}
}

// Every bit counts: of header, payload and signature, and of their spelling.
func TestChangedTokens(t *testing.T) {
	v := allKeys(t)
	good := must(signer(t, "secret", "").Sign(Claims{User: "ada", Expires: now.Add(time.Hour)}))(t)
	for i := range good {
		for _, c := range []byte("AZaz09-_.=+/ \n\r\x00") {
			changed := good[:i] + string(c) + good[i+1:]
			inserted := good[:i] + string(c) + good[i:]
			for _, text := range []string{changed, inserted, good[:i]} {
				if text == good {
					continue
				}
				if _, err := v.Verify(text, now); err == nil {
					t.Fatalf("%q holds like %q", text, good)
				}
			}
		}
	}
	for _, text := range []string{"", ".", "..", "...", good + ".", "." + good, good + ".e30", strings.Replace(good, ".", "..", 1), " " + good, good + "\n", "Bearer " + good} {
		_, err := v.Verify(text, now)
		wantReason(t, err, Malformed, "")
	}
}

func TestKeysThatATokenBringsAreNotUsed(t *testing.T) {
	own := jwkOf(t, "secret", "")
	v := verifier(t, Config{Keys: []Key{must(key(t, "rsa").Named("rsa"))(t)}})
	for _, h := range []string{
		`{"alg":"HS256","jwk":` + own + `}`,
		`{"alg":"HS256","jku":"http://127.0.0.1:1/keys"}`,
		`{"alg":"HS256","x5u":"http://127.0.0.1:1/crt","x5c":["AAAA"],"x5t":"AA"}`,
		`{"alg":"HS256","jwk":` + own + `,"kid":"rsa"}`,
		`{"alg":"HS256","kid":"http://127.0.0.1:1/keys"}`,
	} {
		if _, err := v.Verify(forge(t, h, payload), now); err == nil {
			t.Errorf("%s decides", h)
		}
	}
}

func TestKeyIDsAreComparedAndNothingElse(t *testing.T) {
	v := verifier(t, Config{Keys: []Key{must(key(t, "secret").Named("k1"))(t)}})
	must(v.Verify(forge(t, `{"alg":"HS256","kid":"k1"}`, payload), now))(t)
	for _, id := range []string{
		"", "K1", "k1 ", "k1\\u0000", "k1/../k1", "../../../../dev/null", "/etc/passwd", "k1' OR '1'='1", "*", "%6b1", "k1\\u200b",
	} {
		_, err := v.Verify(forge(t, `{"alg":"HS256","kid":"`+id+`"}`, payload), now)
		wantReason(t, err, UnknownKey, unsigned)
	}
	for _, id := range []string{`7`, `null`, `["k1"]`, `{"k1":1}`, `"` + strings.Repeat("k", 256) + `"`} {
		_, err := v.Verify(forge(t, `{"alg":"HS256","kid":`+id+`}`, payload), now)
		wantReason(t, err, Malformed, `"kid" of the header must be a string`)
	}
}

func TestHeadersThatSaySomethingElse(t *testing.T) {
	v := allKeys(t)
	for h, part := range map[string]string{
		`{"alg":"HS256","crit":["exp"]}`:                  "extensions",
		`{"alg":"HS256","crit":[]}`:                       "extensions",
		`{"alg":"HS256","b64":false,"crit":["b64"]}`:      "extensions",
		`{"alg":"HS256","alg":"HS256"}`:                   "two members",
		`{"alg":"none","alg":"HS256"}`:                    "",
		`{"alg":"HS256","kid":"a","kid":"b"}`:             "two members",
		`{"alg":"HS256","\u0061lg":"none"}`:               "two members",
		`{"alg":"HS256","typ":"dpop+jwt"}`:                "another type",
		`{"alg":"HS256","typ":"logout+jwt"}`:              "another type",
		`{"alg":"HS256","typ":7}`:                         "another type",
		`["HS256"]`:                                       "not one JSON object",
		`{"alg":"HS256"} {}`:                              "not one JSON object",
		`{"alg":"HS256"`:                                  "not one JSON object",
		"\ufeff" + `{"alg":"HS256"}`:                      "not one JSON object",
		`{"alg":"HS256","x":"` + "\xff" + `"}`:            "not one JSON object",
		`{"alg":"HS256","x":` + strings.Repeat("[", 4000): "not one JSON object",
	} {
		if part == "" {
			if _, err := v.Verify(forge(t, h, payload), now); err == nil {
				t.Errorf("%s holds", h)
			}
			continue
		}
		_, err := v.Verify(forge(t, h, payload), now)
		wantReason(t, err, Malformed, part)
	}
	for _, h := range []string{`{"alg":"HS256","typ":"JWT"}`, `{"alg":"HS256","typ":"at+jwt"}`, `{"alg":"HS256","typ":"application/at+JWT"}`, ` {"typ":"jwt","alg":"HS256"} `} {
		must(v.Verify(forge(t, h, payload), now))(t)
	}
}

func TestBombs(t *testing.T) {
	v := allKeys(t)
	_, err := v.Verify(strings.Repeat("e30.", MaxBytes), now)
	wantReason(t, err, Malformed, "more than 8192 bytes")
	_, err = v.Verify(say(t, `{"exp":1900000000,"info":`+strings.Repeat("[", 4000)+strings.Repeat("]", 4000)+`}`), now)
	wantReason(t, err, Malformed, "more than 8192 bytes")
	for _, claims := range []string{
		strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
		strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000),
		`{"exp":1` + strings.Repeat("0", 4000) + `}`,
		`{"exp":1e` + strings.Repeat("9", 4000) + `}`,
		`{"exp":0.` + strings.Repeat("0", 4000) + `1e99}`,
		`"text"`, `null`, ``, `{"exp":1900000000}{}`, `{"exp":NaN}`, `{"exp":Infinity}`, `{"exp":0x7fffffff}`, `{"exp":01900000000}`,
	} {
		if _, err := v.Verify(say(t, claims), now); err == nil {
			t.Errorf("%.40s… holds", claims)
		}
	}
}

// No error tells anything of the token or of the keys, whatever is wrong.
func TestErrorsTellNothing(t *testing.T) {
	v := verifier(t, Config{Keys: []Key{must(key(t, "secret").Named("prod-7"))(t)}, Audience: []string{"internal-name"}, Issuer: []string{"hidden"}})
	const mark = "MARKED"
	for _, text := range []string{
		mark, mark + "." + mark + "." + mark, encode(mark) + ".." + encode(mark),
		forge(t, `{"alg":"`+mark+`"}`, payload), forge(t, `{"alg":"HS256","kid":"`+mark+`"}`, payload), forge(t, `{"alg":"HS256","typ":"`+mark+`"}`, payload),
		forge(t, `{"alg":"HS256","`+mark+`":1,"`+mark+`":2}`, payload),
		say(t, `{"sub":"`+mark+`:"}`), say(t, `{"exp":"`+mark+`"}`), say(t, `{"exp":1900000000,"iss":"`+mark+`"}`), say(t, `{"exp":1900000000,"iss":"hidden","aud":"`+mark+`"}`),
		say(t, `{"exp":1900000000,"capabilities":{"`+mark+`":7}}`), say(t, `{"exp":1900000000,"`+mark+`":1,"`+mark+`":2}`), say(t, `{`+mark),
	} {
		_, err := v.Verify(text, now)
		if err == nil {
			t.Fatal("it holds")
		}
		for _, secret := range []string{mark, encode(mark), secretText, "prod-7", "internal-name", "hidden"} {
			if strings.Contains(err.Error(), secret) || strings.Contains(fmt.Sprintf("%+v", err), secret) && secret != mark {
				t.Errorf("%q tells of %s", err, secret)
			}
		}
	}
}
