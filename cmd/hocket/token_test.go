package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hocket.dev/internal/token"
)

const testKeys = "../../internal/token/testdata/"

func TestTokenCommand(t *testing.T) {
	secret := execute(t, command("token", "--new-secret"))
	if secret.code != 0 || len(secret.out) != 65 || execute(t, command("token", "--new-secret")).out == secret.out {
		t.Fatalf("%+v", secret)
	}
	path := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(path, []byte(secret.out), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := token.ParseSecret(secret.out)
	if err != nil {
		t.Fatal(err)
	}
	r := execute(t, command("token", "--secret-file", path, "--user", "ada", "--can", "chat:*=subscribe,publish", "--can", "chat:*=call", "--can", "a=b=call,calls 5/s burst 20",
		"--info", `{"name":"Ada"}`, "--ttl", "15m", "--id", "t1", "--issuer", "me", "--audience", "chat", "--audience", "news"))
	v, err := token.NewVerifier(token.Config{Keys: []token.Key{key}, Audience: []string{"news"}, Issuer: []string{"me"}})
	if err != nil {
		t.Fatal(err)
	}
	claims, err := v.Verify(strings.TrimSuffix(r.out, "\n"), time.Now())
	if err != nil || r.code != 0 {
		t.Fatalf("%+v: %v", r, err)
	}
	if claims.Expires.Sub(claims.Issued) != 15*time.Minute || time.Since(claims.Issued).Abs() > time.Minute {
		t.Errorf("it holds from %v to %v", claims.Issued, claims.Expires)
	}
	want := map[string][]string{"chat:*": {"subscribe", "publish", "call"}, "a=b": {"call", "calls 5/s burst 20"}}
	if diff := cmp.Diff(want, claims.Capabilities); diff != "" || claims.User != "ada" || claims.ID != "t1" || string(claims.Info) != `{"name":"Ada"}` {
		t.Errorf("claims %+v\n%s", claims, diff)
	}
}

func TestTokenCommandWithAPrivateKey(t *testing.T) {
	text, err := os.ReadFile(testKeys + "ed25519.pub.pem")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := token.NewVerifier(token.Config{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	r := execute(t, command("token", "--key-file", testKeys+"ed25519.pem"))
	if claims, err := v.Verify(strings.TrimSpace(r.out), time.Now()); err != nil || claims.User != "" || claims.Capabilities != nil {
		t.Errorf("%+v: %+v, %v", r, claims, err)
	}
}

func TestTokenCommandRefuses(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short.txt")
	if err := os.WriteFile(short, []byte("MARKED"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := []string{"--key-file", testKeys + "p256.pem"}
	for part, args := range map[string][]string{
		"it takes --secret-file or --key-file": nil,
		"can't be used together":               {"--secret-file", "x", "--key-file", "y"},
		"cannot be read: no such file":         {"--secret-file", "/nowhere/at/all"},
		"goes with --key-file":                 {"--secret-file", testKeys + "p256.pem"},
		"a secret with --secret-file":          {"--key-file", short},
		"at least 32":                          {"--secret-file", short},
		"is no private key":                    {"--key-file", testKeys + "p256.pub.pem"},
		"user may not hold":                    append(key, "--user", "a:b"),
		"write it like":                        append(key, "--can", "chat:*"),
		"a verb is missing":                    append(key, "--can", "chat:*="),
		"is not a whole segment":               append(key, "--can", "chat*=call"),
		"is no verb":                           append(key, "--can", "chat:*=read"),
		"is no rate: write it like":            append(key, "--can", "chat:*=publish,publishes 5"),
		"--info is no JSON":                    append(key, "--info", "{"),
		"more than nothing":                    append(key, "--ttl=-1s"),
	} {
		r := execute(t, command(append([]string{"token"}, args...)...))
		if r.code != exitUsage || r.out != "" || !strings.Contains(r.err, part) || strings.Contains(r.err, "MARKED") || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%v: %+v, want %q", args, r, part)
		}
	}
}
