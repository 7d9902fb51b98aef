package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hocket.dev"
	"hocket.dev/internal/config"
	"hocket.dev/internal/testproc"
)

// putKeys puts a file of keys into its place.
func putKeys(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// Keys are exchanged by writing their file anew, and no key gets into the log.
func TestKeysAreExchangedWithoutARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	putKeys(t, path, "- {name: shop, key: s3cret-old, scopes: [publish]}\n")
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--config", write(t, "api_keys: [s3cret-fixed]\napi_keys_file: "+path+"\n")))
	status := func(key string) int {
		s, _ := get(t, n, "/api/v1/info", func(r *http.Request) {
			r.Method = http.MethodPost
			r.Header.Set("Authorization", "Bearer "+key)
		})
		return s
	}
	if a, b := status("s3cret-fixed"), status("s3cret-old"); a != 200 || b != 200 {
		t.Errorf("at first: %d and %d", a, b)
	}
	putKeys(t, path, "- s3cret-new\n")
	testproc.Until(t, "the new key to be taken", func() bool { return status("s3cret-new") == 200 })
	if a, b := status("s3cret-fixed"), status("s3cret-old"); a != 200 || b != 401 && b != 429 { // this machine has tried many
		t.Errorf("after the exchange: %d and %d", a, b)
	}
	if strings.Contains(n.Output(), "s3cret") || !strings.Contains(n.Output(), "key=shop") {
		t.Errorf("the log tells a key, or nothing of short ones:\n%s", n.Output())
	}
}

// A file of keys that cannot be used is told of once, and changes nothing.
func TestFileOfKeysThatBreaks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	putKeys(t, path, "- s3cret-and-long-enough\n")
	k := gatherKeys(&config.File{APIKeysFile: path}, " of-the-environment-a , of-the-environment-b,", false)
	if keys, err := k.read(); err != nil || len(keys) != 3 {
		t.Fatalf("%v, %v", keys, err)
	}
	var log strings.Builder
	var now []hocket.APIKey
	look := func() {
		k.look(func(keys []hocket.APIKey) error { now = keys; return nil }, slog.New(slog.NewTextHandler(&log, nil)))
	}
	broken := []string{"- s3cret-short", "- {s3cret: x}", "", "- [", "- s3cret, with white space"}
	for _, text := range broken {
		putKeys(t, path, text)
		look()
		look()
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	look()
	look()
	if n := strings.Count(log.String(), "cannot be used"); now != nil || n != len(broken)+1 || strings.Contains(log.String(), "s3cret") {
		t.Errorf("%v were taken, and it was told %d times:\n%s", now, n, log.String())
	}
	putKeys(t, path, "- {name: a, key: s3cret-and-long-enough, scopes: [read]}\n- another-that-is-long-enough\n")
	look()
	if got := fmt.Sprint(now); got != "[unnamed unnamed a unnamed]" {
		t.Errorf("%s were taken", got)
	}
	refused := fmt.Errorf("refused")
	putKeys(t, path, "- yet-another-that-is-long-enough\n")
	k.look(func([]hocket.APIKey) error { return refused }, slog.New(slog.NewTextHandler(&log, nil)))
	if !strings.Contains(log.String(), "error=refused") {
		t.Error(log.String())
	}
}
