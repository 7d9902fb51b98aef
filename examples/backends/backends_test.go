// Package backends tests that each back end in the folders beside it does what README.md says, against a real server.
package backends

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/client"
	"hocket.dev/internal/testproc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// all asks for the back ends too that CI leaves out.
var all = os.Getenv("HOCKET_EXAMPLES") == "all"

// A backEnd is one of the folders.
type backEnd struct {
	folder string
	ci     bool // whether it is tested without being asked for
	// command is how it is run. Go programs are in bin.
	command func(t *testing.T, bin string) []string
}

var backEnds = []backEnd{
	{"go", true, func(_ *testing.T, bin string) []string { return []string{filepath.Join(bin, "go")} }},
	{"node", true, func(t *testing.T, _ string) []string { return []string{program(t, "node"), "server.mjs"} }},
	{"django", false, func(t *testing.T, _ string) []string { return []string{django(t), "server.py"} }},
	{"php", false, func(t *testing.T, _ string) []string {
		return []string{"sh", "-c", "exec " + program(t, "php") + " -S 127.0.0.1:$PORT server.php"}
	}},
	{"spring", false, func(t *testing.T, _ string) []string { return []string{spring(t), "-q", "-B", "spring-boot:run"} }},
	{"csharp", false, func(t *testing.T, _ string) []string { return []string{program(t, "dotnet"), "run"} }},
}

func TestBackends(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "hocket.dev/cmd/hocket", "./go").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, b := range backEnds {
		if !b.ci && !all {
			continue
		}
		t.Run(b.folder, func(t *testing.T) {
			t.Parallel()
			args := b.command(t, bin)
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Dir = b.folder
			tellStory(t, start(t, filepath.Join(bin, "hocket"), cmd))
		})
	}
}

// A pair is a server and the back end that it asks.
type pair struct {
	server, backend string // addresses
	secret          []byte // that hooks are signed with
}

func tellStory(t *testing.T, p *pair) {
	if page := p.get(t, "/"); !strings.Contains(page, "/ticket") {
		t.Errorf("the page is %q", page)
	}

	var ticket string
	ada, err := client.Dial(t.Context(), p.ws(), &client.Options{Ticket: func(context.Context) (string, error) {
		ticket = p.get(t, "/ticket?user=ada")
		return ticket, nil
	}})
	if err != nil {
		t.Fatalf("with a ticket: %v", err)
	}
	defer ada.Close()
	var refused *client.Error
	if again, err := client.Dial(t.Context(), p.ws()+"?ticket="+ticket, nil); !errors.As(err, &refused) || refused.Name != "unauthenticated" {
		t.Errorf("with the same ticket: %v, %v", again, err)
	}

	token := p.get(t, "/token?user=bob")
	bob, err := client.Dial(t.Context(), p.ws(), &client.Options{Header: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		t.Fatalf("with a token: %v", err)
	}
	defer bob.Close()
	if ada.User() != "ada" || bob.User() != "bob" {
		t.Errorf("they are %q and %q", ada.User(), bob.User())
	}

	lobby, err := ada.Subscribe(t.Context(), "chat:lobby", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status := p.post(t, "/say?user=bob", `{"text":"grüße, darn \"back\" end"}`, http.Header{"Content-Type": {"application/json"}}); status/100 != 2 {
		t.Errorf("say: %d", status)
	}
	wantPayload(t, lobby, `{"from":"bob","text":"grüße, darn \"back\" end"}`)

	if _, err := bob.Subscribe(t.Context(), "chat:staff", nil); !errors.As(err, &refused) || refused.Code != 10001 || refused.Name != "staff_only" {
		t.Errorf("the hook says of chat:staff: %v", err)
	}
	if _, err := bob.Publish(t.Context(), "chat:lobby", map[string]string{"from": "ada", "text": "darn it"}, nil); err != nil {
		t.Errorf("publish: %v", err)
	}
	wantPayload(t, lobby, `{"from":"bob","text":"d**n it"}`)

	p.wantSignatures(t)
}

// wantSignatures shows that the back end answers what Hocket has signed just now, and nothing else.
func (p *pair) wantSignatures(t *testing.T) {
	t.Helper()
	const body = `{"hook":"subscribe","id":"1","node":"n1","session":"s1","user":"ada","channel":"chat:lobby"}`
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	old := strconv.FormatInt(time.Now().Add(-time.Hour).UnixMilli(), 10)
	other := "v1=" + strings.Repeat("0", 64)
	for _, test := range []struct {
		what, timestamp, signature string
		status                     int
	}{
		{"its own", now, p.sign(now, body), http.StatusOK},
		{"one of two secrets", now, other + "," + p.sign(now, body), http.StatusOK},
		{"another secret", now, other, http.StatusUnauthorized},
		{"a part of it", now, p.sign(now, body)[:20], http.StatusUnauthorized},
		{"another body", now, p.sign(now, body+" "), http.StatusUnauthorized},
		{"an hour ago", old, p.sign(old, body), http.StatusUnauthorized},
		{"another time", now, p.sign(old, body), http.StatusUnauthorized},
		{"no time", "", p.sign("", body), http.StatusUnauthorized},
		{"no signature", now, "", http.StatusUnauthorized},
	} {
		header := http.Header{
			"Content-Type": {"application/json"}, "Hocket-Timestamp": {test.timestamp}, "Hocket-Signature": {test.signature},
		}
		if status := p.post(t, "/hook", body, header); status != test.status {
			t.Errorf("a question signed with %s is answered with %d, want %d", test.what, status, test.status)
		}
	}
	if status := p.post(t, "/hook", body, http.Header{"Content-Type": {"application/json"}}); status != http.StatusUnauthorized {
		t.Errorf("a question without any header is answered with %d", status)
	}
}

func (p *pair) sign(timestamp, body string) string {
	h := hmac.New(sha256.New, p.secret)
	io.WriteString(h, timestamp+"."+body)
	return "v1=" + hex.EncodeToString(h.Sum(nil))
}

func wantPayload(t *testing.T, s *client.Subscription, want string) {
	t.Helper()
	m, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if have := inOrder(t, m.Payload); have != inOrder(t, []byte(want)) {
		t.Errorf("message %s, want %s", have, want)
	}
}

func (p *pair) ws() string { return "ws://" + p.server + "/v1/ws" }

// browser leaves no connection open.
var browser = http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (p *pair) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := browser.Get("http://" + p.backend + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v\n%s", path, resp.Status, err, body)
	}
	return string(body)
}

func (p *pair) post(t *testing.T, path, body string, header http.Header) (status int) {
	t.Helper()
	req, err := http.NewRequest("POST", "http://"+p.backend+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

var listening = regexp.MustCompile(`ws://(\S+)/v1/ws`)

// start starts the server as README.md says, but on ports of its own, and then the back end.
func start(t *testing.T, server string, backend *exec.Cmd) *pair {
	t.Helper()
	port := testproc.FreePort(t)
	p := &pair{backend: fmt.Sprintf("127.0.0.1:%d", port)}
	config := strings.ReplaceAll(read(t, "hocket.yaml"), "127.0.0.1:9000", p.backend)
	path := filepath.Join(t.TempDir(), "hocket.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	hocket := testproc.Start(t, server, "serve", "--config", path, "--listen", "127.0.0.1:0")
	testproc.Until(t, "the server to say where it is", func() bool {
		m := listening.FindStringSubmatch(hocket.Output())
		if m != nil {
			p.server = m[1]
		}
		return m != nil
	})
	backend.Env = os.Environ()
	for line := range strings.Lines(read(t, "example.env")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "PORT":
			value = strconv.Itoa(port)
		case "HOCKET_URL":
			value = "http://" + p.server
		case "HOCKET_HOOK_SECRET":
			p.secret = []byte(value)
		}
		backend.Env = append(backend.Env, name+"="+value)
	}
	process := testproc.StartCmd(t, backend)
	testproc.Until(t, "the back end to answer", func() bool {
		select {
		case <-process.Ended():
			t.Fatal("the back end has ended")
		default:
		}
		resp, err := browser.Get("http://" + p.backend + "/")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return true
	})
	return p
}
