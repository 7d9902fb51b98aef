package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/internal/config"
	"hocket.dev/internal/testproc"
)

const (
	oldSecret = "an old secret, which is long enough"
	newSecret = "a new secret, which is long enough too"
)

// admits tells whether a node admits who has a token that is signed with a secret.
func admits(t *testing.T, n *node, secret string) bool {
	t.Helper()
	claims := fmt.Sprintf(`{"sub":"ada","exp":%d}`, time.Now().Add(time.Hour).Unix())
	msg, _ := knock(t, n, "", bearer(forge(`{"alg":"HS256"}`, claims, secret)), "127.0.0.1").first()
	return strings.Contains(msg, `"user":"ada"`)
}

// The secret of tokens is exchanged by writing its file anew; who is there by the one before stays.
func TestKeysOfTokensAreExchangedWithoutARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	putKeys(t, path, oldSecret)
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--config", write(t, "tokens: {keys: [{secret_file: "+path+"}]}\n")))
	claims := fmt.Sprintf(`{"sub":"bo","exp":%d}`, time.Now().Add(time.Hour).Unix())
	there := knock(t, n, "", bearer(forge(`{"alg":"HS256"}`, claims, oldSecret)), "127.0.0.1")
	there.want(`{"type":"connected"`)
	putKeys(t, path, newSecret)
	testproc.Until(t, "the new secret to be taken", func() bool { return admits(t, n, newSecret) })
	if admits(t, n, oldSecret) {
		t.Error("the old secret still opens")
	}
	there.send(`{"type":"ping","id":1}`)
	there.want(`{"type":"pong","id":1}`)
	if out := n.Output(); strings.Contains(out, "secret, which") || !strings.Contains(out, "keys of tokens were read again") {
		t.Errorf("the log tells a secret, or nothing:\n%s", out)
	}
}

// Files of keys that cannot be used are told of once, and change nothing.
func TestFilesOfTokenKeysThatBreak(t *testing.T) {
	dir := t.TempDir()
	secret, public := filepath.Join(dir, "secret"), filepath.Join(dir, "public.pem")
	rsa, err := os.ReadFile(testKeys + "rsa.pub.pem")
	if err != nil {
		t.Fatal(err)
	}
	putKeys(t, secret, oldSecret)
	putKeys(t, public, string(rsa))
	k := &tokenKeys{settings: &config.Tokens{Keys: []config.TokenKey{{SecretFile: secret}, {File: public}}}}
	if tokens, err := k.read(); err != nil || len(tokens.Keys) != 2 {
		t.Fatalf("%d keys, %v", len(tokens.Keys), err)
	}
	var log strings.Builder
	var now []hocket.TokenKey
	look := func() {
		k.look(func(keys []hocket.TokenKey) error { now = keys; return nil }, slog.New(slog.NewTextHandler(&log, nil)))
	}
	look() // nothing has changed
	broken := []string{"a short secret", "", string(rsa)}
	for _, text := range broken {
		putKeys(t, secret, text)
		look()
		look()
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	look()
	if n := strings.Count(log.String(), `error="tokens.keys[0]: `); now != nil || n != len(broken)+1 || strings.Contains(log.String(), "short") {
		t.Errorf("%d keys were taken, and it was told %d times:\n%s", len(now), n, log.String())
	}
	putKeys(t, secret, newSecret)
	look()
	if len(now) != 2 || now[0].Secret != newSecret || len(now[1].Public) != len(rsa) {
		t.Errorf("%d keys were taken", len(now))
	}
}

// SIGHUP has the keys of the configuration be read again. What else has changed is named and waits for a restart, and what is
// wrong changes nothing.
func TestTheConfigurationIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hocket.yaml")
	text := func(key, secret, more string) string {
		return fmt.Sprintf("api_keys: [%s]\ntokens: {keys: [{secret: %q}]}\n%s", key, secret, more)
	}
	putKeys(t, path, text("s3cret-of-the-old-shop", oldSecret, ""))
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--config", path))
	opens := func(key string) bool {
		status, _ := get(t, n, "/api/v1/info", func(r *http.Request) {
			r.Method = http.MethodPost
			r.Header.Set("Authorization", "Bearer "+key)
		})
		return status == http.StatusOK
	}
	again := func(told string) {
		t.Helper()
		if err := n.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		testproc.Until(t, told, func() bool { return strings.Contains(n.Output(), told) })
	}
	putKeys(t, path, text("s3cret-of-the-new-shop", "too short", ""))
	again("hocket.yaml:2: tokens.keys[0]: the secret has 9 bytes")
	if !opens("s3cret-of-the-old-shop") || opens("s3cret-of-the-new-shop") || !admits(t, n, oldSecret) {
		t.Error("a configuration that is wrong has changed something")
	}
	putKeys(t, path, text("s3cret-of-the-new-shop", newSecret, "limits: {subscriptions: 7}\nfallback: {allow: [publish]}\n"))
	again(`settings="fallback.allow, limits.subscriptions"`)
	if opens("s3cret-of-the-old-shop") || !opens("s3cret-of-the-new-shop") || admits(t, n, oldSecret) || !admits(t, n, newSecret) {
		t.Error("the keys are not those of the file")
	}
	if out := n.Output(); strings.Contains(out, "s3cret") || strings.Contains(out, "secret, which") {
		t.Errorf("the log tells a secret:\n%s", out)
	}
}
