package main

import (
	"strings"
	"testing"
)

// TestCheckAccess asks about a token as somebody does whose page gets permission_denied.
func TestCheckAccess(t *testing.T) {
	file := write(t, `
tokens: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}
channels:
  - {pattern: news, allow_anonymous: [subscribe], publish: server}
  - {pattern: quiet, allow: ["*"]}
`)
	secret := write(t, "0123456789abcdef0123456789abcdef")
	token := strings.TrimSpace(execute(t, command("token", "--secret-file", secret, "--user", "ada", "--can", "chat:*=subscribe")).out)
	for _, test := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"--token", token, "chat:lobby"}, 0, `chat:lobby for "ada": subscribe yes (the capability "chat:*" allows it), publish no (no capability allows it, nor does the fallback rule), history no (no`},
		{[]string{"--token", "x", "chat:lobby"}, 0, "chat:lobby for the bearer of the token: nothing (the token is not of the form header.payload.signature in base64url without padding)\n"},
		{[]string{"chat:lobby"}, 0, "chat:lobby for a client without proof: nothing ("},
		{[]string{"--token", token, "--do", "subscribe", "chat:lobby"}, 0, `allowed: subscribe chat:lobby for "ada", because the capability "chat:*" allows it`},
		{[]string{"--token", token, "--do", "publish", "chat:lobby"}, 1, `denied: publish chat:lobby for "ada", because no capability allows it, nor does the fallback rule`},
		{[]string{"--token", token + "x", "--do", "publish", "chat:lobby"}, 1, `denied: publish chat:lobby for the bearer of the token, because the token`},
		{[]string{"--token", token, "--do", "presence", "quiet"}, 1, `denied: presence quiet for "ada", because the rule "quiet" keeps none`},
		{[]string{"--do", "subscribe", "news"}, 0, `allowed: subscribe news for a client without proof, because the rule "news" allows it to everybody`},
	} {
		r := execute(t, command(append([]string{"check", "access", "--config", file}, test.args...)...))
		if r.code != test.code || !strings.HasPrefix(r.out, test.out) || strings.Count(r.out, "\n") != 1 || r.err != "" {
			t.Errorf("%v: %+v\nwant %d %s", test.args[len(test.args)-1:], r, test.code, test.out)
		}
	}
	for part, args := range map[string][]string{
		"hocket: the channel's '*' at byte 5 can only stand in a pattern": {"chat:*"},
		"must be one of": {"--do", "read", "chat"},
		"cannot be read": {"--config", "/nowhere", "chat"},
	} {
		if r := execute(t, command(append([]string{"check", "access"}, args...)...)); r.code != exitUsage || !strings.Contains(r.err, part) || strings.Contains(r.err, "hocket: hocket:") || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%v: %+v, want %q", args, r, part)
		}
	}
}

// TestCheckAccessNamesTheHook asks about channels where the back end decides. Its secret is known to the server alone.
func TestCheckAccessNamesTheHook(t *testing.T) {
	file := write(t, `
anonymous: true
channels: [{pattern: "room:*", ask: [subscribe]}]
hooks: {subscribe: {url: "https://app.example.com/hocket"}}
`)
	const want = "allowed: subscribe room:a for a client without proof, because access is open to everybody (anonymous: true), then the subscribe hook at https://app.example.com decides\n"
	if r := execute(t, command("check", "access", "--config", file, "--do", "subscribe", "room:a")); r.code != 0 || r.out != want {
		t.Errorf("%+v\nwant %s", r, want)
	}
	if r := execute(t, command("check", "access", "--config", file, "room:a")); !strings.Contains(r.out, "decides), publish yes (access is open to everybody (anonymous: true)), history") {
		t.Errorf("%+v", r)
	}
}

// TestTalkingWithAToken publishes and subscribes where clients have to prove who they are.
func TestTalkingWithAToken(t *testing.T) {
	secret := write(t, "0123456789abcdef0123456789abcdef")
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--config", write(t, "tokens: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}\n")))
	token := strings.TrimSpace(execute(t, command("token", "--secret-file", secret, "--user", "ada", "--can", "chat:*=subscribe,publish")).out)
	if r := execute(t, command("pub", "--url", n.ws(), "--token", token, "chat:lobby", `"hello"`)); r.code != 0 {
		t.Errorf("with a token: %+v", r)
	}
	if r := execute(t, command("sub", "--url", n.ws(), "--token", token, "--last", "1", "-n", "1", "chat:lobby")); r.code != 0 || !strings.Contains(r.out, `"hello"`) || !strings.Contains(r.out, `"ada"`) {
		t.Errorf("with a token: %+v", r)
	}
	for _, refused := range [][]string{{"--token", token + "x"}, nil} {
		r := execute(t, command(append(append([]string{"pub", "--url", n.ws()}, refused...), "chat:lobby", "1")...))
		if r.code != exitFailed || !strings.Contains(r.err, "unauthenticated") || strings.Contains(r.err, token) {
			t.Errorf("%d words: %+v", len(refused), r)
		}
	}
}

// TestCheckAccessTellsLimits asks as somebody does whose page gets rate_limited.
func TestCheckAccessTellsLimits(t *testing.T) {
	file := write(t, `
tokens: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}
channels: [{pattern: "chat:*", rate: {publishes: 30/s, at_limit: slow}}]
`)
	secret := write(t, "0123456789abcdef0123456789abcdef")
	token := strings.TrimSpace(execute(t, command("token", "--secret-file", secret, "--user", "ada", "--can", "chat:*=subscribe,publish,publishes 5/s burst 20")).out)
	limits := `publishes 5/s burst 20 by the capability "chat:*"; publishes 30/s by the rule "chat:*", which slows down`
	for out, args := range map[string][]string{
		`allowed: publish chat:lobby for "ada", because the capability "chat:*" allows it; ` + limits + "\n":                                         {"--do", "publish", "chat:lobby"},
		`chat:lobby for "ada": subscribe yes (the capability "chat:*" allows it), publish yes (the capability "chat:*" allows it; ` + limits + `), `: {"chat:lobby"},
	} {
		if r := execute(t, command(append([]string{"check", "access", "--config", file, "--token", token}, args...)...)); r.code != 0 || !strings.HasPrefix(r.out, out) {
			t.Errorf("%v: %+v\nwant %s", args, r, out)
		}
	}
}
