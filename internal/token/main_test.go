package token

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is when the tests take place.
var now = time.Unix(1_800_000_000, 0)

const secretText = "a secret of the tests, which is long enough"

func read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// key returns what verifies the tokens of a signer.
func key(t testing.TB, name string) Key {
	t.Helper()
	if name == "secret" {
		return must(ParseSecret(secretText))(t)
	}
	return must(ParseKeys(read(t, name+".pub.pem")))(t)[0]
}

// signer returns the signer of testdata with this name, or that with the secret.
func signer(t testing.TB, name, keyID string) *Signer {
	t.Helper()
	if name == "secret" {
		return must(NewSigner(key(t, name), keyID))(t)
	}
	return must(ParseSigner(read(t, name+".pem"), keyID))(t)
}

// must returns what a call returned, which may not have failed.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func verifier(t testing.TB, cfg Config) *Verifier {
	t.Helper()
	return must(NewVerifier(cfg))(t)
}

// forge makes a token of header and payload as they are written, signed with the secret.
func forge(t testing.TB, header, payload string) string {
	t.Helper()
	signed := encode(header) + "." + encode(payload)
	signature := must(methods["HS256"].Sign(signed, []byte(secretText)))(t)
	return signed + "." + encode(string(signature))
}

// say makes a token with this payload that is otherwise in order.
func say(t testing.TB, payload string) string {
	t.Helper()
	return forge(t, `{"alg":"HS256"}`, payload)
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// wantReason fails unless err is an *Error for this reason, with part in its sentence.
func wantReason(t testing.TB, err error, reason Reason, part string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != reason || !strings.Contains(e.Error(), part) {
		t.Errorf("error is %v, want one of reason %v with %q", err, reason, part)
	}
}
