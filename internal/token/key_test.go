package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
)

func wantProblem(t *testing.T, what string, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: error is %v, want one with %q", what, err, part)
	}
}

func TestSecrets(t *testing.T) {
	raw := bytes.Repeat([]byte{0xfb, 0xef}, 16)
	want := must(Secret(raw))(t).material
	for _, text := range []string{
		"base64:" + base64.StdEncoding.EncodeToString(raw), "base64:" + base64.RawURLEncoding.EncodeToString(raw),
		" base64:" + base64.URLEncoding.EncodeToString(raw) + "\n", string(raw) + "\n",
	} {
		k := must(ParseSecret(text))(t)
		if !bytes.Equal(k.material.([]byte), want.([]byte)) || strings.Join(k.Algorithms(), " ") != "HS256 HS384 HS512" {
			t.Errorf("%q is read as %v for %v", text, k.material, k.Algorithms())
		}
	}
	pemText := read(t, "rsa.pub.pem")
	block, _ := pem.Decode(pemText)
	crt, _ := pem.Decode(read(t, "p256.crt.pem"))
	for what, test := range map[string]struct{ secret, part string }{
		"empty":       {"", "0 bytes"},
		"short":       {strings.Repeat("x", 31), "31 bytes; it needs at least 32"},
		"long":        {strings.Repeat("x", 1025), "at most 1024"},
		"padding":     {"base64:" + strings.Repeat("=", 44), "0 bytes"},
		"bad base64":  {"base64:" + strings.Repeat("!", 44), "no base64"},
		"PEM":         {string(pemText), "public key"},
		"coded PEM":   {"base64:" + base64.StdEncoding.EncodeToString(pemText), "public key"},
		"DER":         {string(block.Bytes), "public key"},
		"old DER":     {string(mustPKCS1(t)), "public key"},
		"certificate": {string(crt.Bytes), "public key"},
		"JWK":         {`{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"some name"}`, "public key"},
		"SSH":         {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO1", "public key"},
	} {
		_, err := ParseSecret(test.secret)
		wantProblem(t, what, err, test.part)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	k := must(must(ParseSecret(secretText))(t).Named("k1"))(t)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, v := range []any{k, &k, []Key{k}, Config{Keys: []Key{k}}} {
			if text := fmt.Sprintf(format, v); strings.Contains(text, "secret") || strings.Contains(text, fmt.Sprintf("%x", secretText)) {
				t.Errorf("%s prints %s", format, text)
			}
		}
	}
	if text, _ := json.Marshal([]any{k}); string(text) != "[{}]" {
		t.Errorf("as JSON: %s", text)
	}
}

func TestPublicKeysInPEM(t *testing.T) {
	for name, algorithms := range map[string]string{
		"rsa": "RS256 RS384 RS512 PS256 PS384 PS512", "p256": "ES256", "p384": "ES384", "p521": "ES512", "ed25519": "EdDSA Ed25519",
	} {
		if got := strings.Join(key(t, name).Algorithms(), " "); got != algorithms {
			t.Errorf("%s is for %s", name, got)
		}
	}
	crt := must(ParseKeys(read(t, "p256.crt.pem")))(t)
	if len(crt) != 1 || !crt[0].material.(*ecdsa.PublicKey).Equal(key(t, "p256").material.(*ecdsa.PublicKey)) {
		t.Error("the certificate's key is another one")
	}
	several := slices.Concat([]byte("the keys:\n"), read(t, "rsa.pub.pem"), read(t, "ed25519.pub.pem"))
	if keys := must(ParseKeys(several))(t); len(keys) != 2 {
		t.Errorf("%d keys in one text", len(keys))
	}
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: mustPKCS1(t)})
	must(ParseKeys(pkcs1))(t)

	broken := bytes.Replace(read(t, "rsa.pub.pem"), []byte("-----END PUBLIC"), []byte("-----END PUBLISH"), 1)
	for what, test := range map[string]struct {
		text []byte
		part string
	}{
		"nothing":      {nil, "no key"},
		"something":    {[]byte("ssh-rsa AAAA"), "no key"},
		"private":      {read(t, "rsa.pem"), "private key"},
		"both":         {slices.Concat(read(t, "rsa.pub.pem"), read(t, "p256.pem")), "private key"},
		"small":        {read(t, "rsa1024.pub.pem"), "1024 bits"},
		"foreign":      {read(t, "secp256k1.pub.pem"), "does not hold"},
		"damaged":      {slices.Concat(read(t, "p256.pub.pem"), broken), "damaged"},
		"chain":        {slices.Concat(read(t, "p256.crt.pem"), read(t, "p256.crt.pem")), "several certificates"},
		"unknown":      {pem.EncodeToMemory(&pem.Block{Type: "DH PARAMETERS", Bytes: []byte{1}}), "neither"},
		"another":      {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}}), "does not hold"},
		"many":         {bytes.Repeat(read(t, "ed25519.pub.pem"), MaxKeys+1), "more than 64"},
		"long":         {make([]byte, MaxKeyBytes+1), "more than"},
		"a JSON array": {[]byte(`[]`), "no key"},
	} {
		_, err := ParseKeys(test.text)
		wantProblem(t, what, err, test.part)
	}
}

func mustPKCS1(t *testing.T) []byte {
	t.Helper()
	// An RSA key in PKIX ends with the same key in PKCS #1, behind 24 bytes that name the algorithm.
	block, _ := pem.Decode(read(t, "rsa.pub.pem"))
	return block.Bytes[24:]
}

func TestKeysThatAreNone(t *testing.T) {
	n := key(t, "rsa").material.(*rsa.PublicKey).N
	for what, public := range map[string]any{
		"exponent 1":     &rsa.PublicKey{N: n, E: 1},
		"even exponent":  &rsa.PublicKey{N: n, E: 65536},
		"negative":       &rsa.PublicKey{N: n, E: -3},
		"even modulus":   &rsa.PublicKey{N: new(big.Int).Add(n, big.NewInt(1)), E: 3},
		"huge modulus":   &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int).Lsh(n, 7000), 0, 1), E: 3},
		"empty RSA":      &rsa.PublicKey{N: new(big.Int)},
		"another curve":  &must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))(t).PublicKey,
		"short Ed25519":  ed25519.PublicKey{1},
		"another kind":   "text",
		"a secret's key": []byte(secretText),
		"nil":            nil,
	} {
		if _, err := Public(public); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

func TestKeysForOneAlgorithm(t *testing.T) {
	k := must(key(t, "rsa").For("PS256"))(t)
	_, err := verifier(t, Config{Keys: []Key{k}}).Verify(must(signer(t, "rsa", "").Sign(full))(t), now)
	wantReason(t, err, Algorithm, unsigned)
	for _, algorithm := range []string{"HS256", "none", "", "rs256"} {
		if _, err := key(t, "rsa").For(algorithm); err == nil {
			t.Errorf("an RSA key is for %q", algorithm)
		}
	}
	if got := must(key(t, "ed25519").For("Ed25519"))(t).Algorithms(); len(got) != 2 {
		t.Errorf("one algorithm with two names is %v", got)
	}
	if _, err := k.Named(strings.Repeat("x", 256)); err == nil {
		t.Error("a long key id is accepted")
	}
}

// jwkOf writes a public key as a JWK, with more members behind it.
func jwkOf(t *testing.T, name, more string) string {
	t.Helper()
	e := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	switch p := key(t, name).material.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB"%s}`, e(p.N.Bytes()), more)
	case *ecdsa.PublicKey:
		point := must(p.Bytes())(t)[1:]
		return fmt.Sprintf(`{"kty":"EC","crv":%q,"x":%q,"y":%q%s}`, p.Curve.Params().Name, e(point[:len(point)/2]), e(point[len(point)/2:]), more)
	case ed25519.PublicKey:
		return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q%s}`, e(p), more)
	case []byte:
		return fmt.Sprintf(`{"kty":"oct","k":%q%s}`, e(p), more)
	}
	t.Fatal("no such key")
	return ""
}

func TestKeySets(t *testing.T) {
	var list []string
	for _, name := range []string{"rsa", "p256", "p384", "p521", "ed25519"} {
		list = append(list, jwkOf(t, name, `,"kid":"`+name+`","use":"sig","key_ops":["verify"],"x5c":["…"]`))
	}
	for _, parse := range []func([]byte) ([]Key, error){ParseKeys, ParsePublished} {
		keys := must(parse([]byte(`{"keys":[` + strings.Join(list, ",") + `],"more":1}`)))(t)
		v := verifier(t, Config{Keys: keys, Audience: []string{"a"}})
		for _, name := range []string{"rsa", "p256", "p384", "p521", "ed25519"} {
			must(v.Verify(must(signer(t, name, name).Sign(full))(t), now))(t)
		}
		if _, err := v.Verify(must(signer(t, "rsa", "p256").Sign(full))(t), now); err == nil {
			t.Error("a key verifies under the id of another")
		}
	}
}

func TestWhatIsLeftOutOfAKeySet(t *testing.T) {
	set := func(keys ...string) []byte { return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`) }
	good := jwkOf(t, "p256", `,"kid":"good"`)
	for what, test := range map[string]struct {
		key              string
		local, published bool // it is used; refused or left out otherwise
		problem          string
	}{
		"good":             {jwkOf(t, "rsa", ``), true, true, ""},
		"one algorithm":    {jwkOf(t, "rsa", `,"alg":"PS384"`), true, true, ""},
		"an unknown alg":   {jwkOf(t, "rsa", `,"alg":"RSA-OAEP"`), false, false, ""},
		"another's alg":    {jwkOf(t, "rsa", `,"alg":"HS256"`), false, false, "not for this algorithm"},
		"none":             {jwkOf(t, "rsa", `,"alg":"none"`), false, false, ""},
		"for encryption":   {jwkOf(t, "rsa", `,"use":"enc"`), false, false, ""},
		"to sign":          {jwkOf(t, "rsa", `,"key_ops":["sign"]`), false, false, ""},
		"for nothing":      {jwkOf(t, "rsa", `,"key_ops":[]`), false, false, ""},
		"private":          {jwkOf(t, "rsa", `,"d":"AQAB"`), false, false, "private parts"},
		"a secret":         {jwkOf(t, "secret", ``), true, false, ""},
		"a short secret":   {`{"kty":"oct","k":"c2VjcmV0"}`, false, false, "6 bytes"},
		"of a new kind":    {`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`, false, false, ""},
		"on another curve": {`{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`, false, false, ""},
		"to agree on keys": {`{"kty":"OKP","crv":"X25519","x":"AA"}`, false, false, ""},
		"off the curve":    {`{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 42) + `E","y":"` + strings.Repeat("A", 42) + `E"}`, false, false, "EC key is none"},
		"short":            {`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, false, false, "EC key is none"},
		"a small exponent": {strings.Replace(jwkOf(t, "rsa", ``), "AQAB", "AQ", 1), false, false, "RSA key is none"},
		"a huge exponent":  {strings.Replace(jwkOf(t, "rsa", ``), "AQAB", strings.Repeat("_", 11), 1), false, false, "RSA key is none"},
		"padded":           {strings.Replace(jwkOf(t, "ed25519", ``), `"}`, `="}`, 1), false, false, "wrong length"},
		"a numeric id":     {jwkOf(t, "rsa", `,"kid":7`), false, false, "must be a string"},
		"no object":        {`7`, false, false, "not one JSON object"},
	} {
		keys, err := ParseKeys(set(good, test.key))
		if test.problem != "" {
			wantProblem(t, what, err, test.problem)
		} else if err != nil || (len(keys) == 2) != test.local {
			t.Errorf("%s: %v, %v", what, keys, err)
		}
		if keys, err := ParsePublished(set(good, test.key)); err != nil || (len(keys) == 2) != test.published {
			t.Errorf("%s from a URL: %v, %v", what, keys, err)
		}
		if _, err := ParsePublished(set(test.key)); (err == nil) != test.published {
			t.Errorf("%s alone from a URL: %v", what, err)
		}
	}
	for what, text := range map[string]string{
		"twice a member": string(set(good, jwkOf(t, "rsa", `,"e":"Aw"`))), "no list": `{"keys":7}`, "nothing": `{}`, "empty": `{"keys":[]}`, "two lists": `{"keys":[` + good + `],"keys":[]}`, "HTML": `<html>`,
		"many": string(set(slices.Repeat([]string{good}, MaxKeys+1)...)), "cut": string(set(good)[:40]), "deep": `{"keys":` + strings.Repeat("[", 40),
		"long": string(set(good)) + strings.Repeat(" ", MaxKeyBytes),
	} {
		if keys, err := ParsePublished([]byte(text)); err == nil {
			t.Errorf("%s: %v", what, keys)
		}
	}
	must(ParseKeys([]byte(good)))(t)
}

func TestSigners(t *testing.T) {
	for what, test := range map[string]struct {
		text []byte
		part string
	}{
		"public":    {read(t, "rsa.pub.pem"), "no private key"},
		"short":     {[]byte("secret"), "6 bytes"},
		"damaged":   {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}), "does not hold"},
		"encrypted": {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}}), "encrypted"},
	} {
		_, err := ParseSigner(test.text, "")
		wantProblem(t, what, err, test.part)
	}
	for _, private := range []any{nil, "text", []byte(secretText), key(t, "rsa"), Key{}} {
		if _, err := NewSigner(private, ""); err == nil {
			t.Errorf("a %T signs", private)
		}
	}
	if _, err := ParseSigner([]byte(secretText), strings.Repeat("x", 256)); err == nil {
		t.Error("a long key id is accepted")
	}
}
