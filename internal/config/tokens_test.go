package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hocket.dev"
)

const secret = "a secret of the tests, which is long enough"

// keyFile writes a file and returns its path.
func keyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTokens(t *testing.T) {
	public, err := os.ReadFile("../token/testdata/rsa.pub.pem")
	if err != nil {
		t.Fatal(err)
	}
	f, err := read(t, fmt.Sprintf(`
tokens:
  keys:
    - {id: k1, secret: %q}
    - {secret_file: %q, algorithm: HS512}
    - {id: k3, file: %q}
  jwks: http://issuer.example/keys
  jwks_insecure: true
  audience: [chat, news]
  issuers: [me]
  leeway: 5s
  endless: true
`, secret, keyFile(t, secret+"\n"), keyFile(t, string(public))))
	if err != nil {
		t.Fatal(err)
	}
	have, err := f.Tokens.Hocket()
	if err != nil {
		t.Fatal(err)
	}
	want := hocket.Tokens{
		Keys: []hocket.TokenKey{{ID: "k1", Secret: secret}, {Algorithm: "HS512", Secret: secret + "\n"}, {ID: "k3", Public: public}},
		JWKS: "http://issuer.example/keys", JWKSInsecure: true,
		Audience: []string{"chat", "news"}, Issuers: []string{"me"}, Leeway: 5 * time.Second, Endless: true,
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	f = Default()
	if have, err := f.Tokens.Hocket(); err != nil || have.Leeway != 30*time.Second || have.Keys != nil || have.Endless {
		t.Errorf("by default: %+v, %v", have, err)
	}
	if f, err = read(t, "tokens: {leeway: 0s}"); err != nil {
		t.Fatal(err)
	}
	if have, err := f.Tokens.Hocket(); err != nil || have.Leeway >= 0 {
		t.Errorf("without leeway: %+v, %v", have, err)
	}
}

func TestWrongTokens(t *testing.T) {
	key := func(text string) string {
		return "tokens:\n  audience: [a]\n  keys:\n    - {secret: \"" + secret + "\"}\n    - " + text
	}
	for text, want := range map[string]string{
		key(`{id: k}`):                                                 "hocket.yaml:5: tokens.keys[1]: needs exactly one of",
		key(`{secret: MARKED, file: x}`):                               "hocket.yaml:5: tokens.keys[1]: needs exactly one of",
		key(`{secret: MARKED}`):                                        "tokens.keys[1]: the secret has 6 bytes; it needs at least 32",
		key(`{secret: [MARKED]}`):                                      "tokens.keys[1].secret: must be a single value",
		key(`{secret: "base64:!MARKED"}`):                              "tokens.keys[1]: the secret is no base64",
		key(`{secret_file: /nowhere/at/all}`):                          `tokens.keys[1]: "/nowhere/at/all" cannot be read: no such file`,
		key(`{file: ` + keyFile(t, "") + `}`):                          "is empty",
		key(`{file: ` + keyFile(t, "MARKED") + `}`):                    "tokens.keys[1]: there is no key",
		key(`{file: ../token/testdata/rsa.pem}`):                       "tokens.keys[1]: there is a private key",
		key(`{secret_file: ../token/testdata/rsa.pub.pem}`):            "tokens.keys[1]: the secret is a public key",
		key(`{file: ../token/testdata/rsa.pub.pem, algorithm: HS256}`): "tokens.keys[1]: the key is not for this algorithm",
		key(`{secret: a secret, MARKED with commas}`):                  "tokens.keys[1]: there is no such setting, or a text that needs quotes",
		key(`{file: .}`):                                               "cannot be read",
		"tokens: {jwks: MARKED}":                                       "hocket.yaml:1: tokens.jwks: the URL is none",
		"tokens: {jwks: http://issuer.example/keys}":                   "tokens.jwks: the URL must begin with https://",
		"tokens:\n  issuers: [a, \"\"]":                                "hocket.yaml:2: tokens.issuers[1]: is empty",
		"tokens: {leeway: 6m}":                                         "more than 5m",
		"tokens: {secret: x}":                                          "there is no such setting",
	} {
		_, err := read(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "MARKED") {
			t.Errorf("%s\nerror is %v, want one with %q", text, err, want)
		}
	}
}
