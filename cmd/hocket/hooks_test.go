package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hocket.dev"
)

// TestHooksOfAConfiguration asks a back end that knows the secret of the environment.
func TestHooksOfAConfiguration(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := hocket.VerifyHook(r, body, []byte("the secret of the environment"), time.Now()); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, `{"deny":{"message":"not now"}}`)
	}))
	t.Cleanup(app.Close)
	text := `
anonymous: true
channels: [{pattern: "chat:*", ask: [publish]}]
hooks:
  publish: {url: "` + app.URL + `/?key=in-the-url"}
  allow_addresses: [127.0.0.1]
`
	cmd := command("serve", "--listen", "127.0.0.1:0", "--config", write(t, text))
	cmd.Env = append(cmd.Env, "HOCKET_HOOK_SECRET=the secret of the environment, the one before it")
	n := start(t, cmd)
	c := connect(t, n)
	c.want(`{"type":"connected"`)
	c.send(`{"type":"publish","id":1,"channel":"chat:a","payload":1}`)
	c.want(`{"type":"error","id":1,"channel":"chat:a","error":{"code":1403,"name":"permission_denied","message":"not now"`)
	app.Close()
	c.send(`{"type":"publish","id":2,"channel":"chat:a","payload":1}`)
	c.want(`{"type":"error","id":2,"channel":"chat:a","error":{"code":1504`)
	if out := n.Output(); strings.Contains(out, "in-the-url") || strings.Contains(out, "the secret") {
		t.Errorf("something secret was written:\n%s", out)
	}

	r := execute(t, command("serve", "--listen", "127.0.0.1:0", "--config", write(t, text)))
	if r.code != 2 || !strings.Contains(r.err, "there is no secret to sign questions with") || strings.Contains(r.err, "in-the-url") {
		t.Errorf("without a secret: %d %s", r.code, r.err)
	}
}
