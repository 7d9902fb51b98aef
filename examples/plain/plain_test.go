// Package plain holds clients that know nothing of Hocket: a WebSocket and JSON by hand.
package plain

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"hocket.dev/internal/testproc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts the server as a user would and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "hocket")
	if out, err := exec.Command("go", "build", "-o", binary, "hocket.dev/cmd/hocket").CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	address := fmt.Sprintf("127.0.0.1:%d", testproc.FreePort(t))
	testproc.Start(t, binary, "serve", "--dev", "--listen", address)
	testproc.Until(t, "the server to be ready", func() bool {
		resp, err := http.Get("http://" + address + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return address
}

func TestPlainClientsTalk(t *testing.T) {
	address := serve(t)
	url := "ws://" + address + "/v1/ws"
	t.Run("Python's websockets", func(t *testing.T) {
		python := python(t)
		run(t, "ada read: hi ada\n", exec.Command(python, "chat.py", url))
	})
	t.Run("the ws package for Node", func(t *testing.T) {
		sdk, err := filepath.Abs("../../sdk/js/package.json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(sdk), "node_modules", "ws")); err != nil {
			t.Skip("needs the packages of the SDK: npm ci in sdk/js, with Node 20 or later")
		}
		cmd := exec.Command("node", "chat.mjs", url)
		cmd.Env = append(os.Environ(), "WS_FROM="+sdk)
		run(t, "ada read: hi ada\n", cmd)
	})
	t.Run("curl", func(t *testing.T) {
		if _, err := exec.LookPath("curl"); err != nil {
			t.Skip("needs the package curl")
		}
		out := run(t, "", exec.Command("curl", "-sS", "-d", `{"channel":"chat:curl","payload":{"text":"hi"}}`,
			"http://"+address+"/api/v1/publish"))
		if !strings.HasPrefix(out, `{"result":{"epoch":"`) {
			t.Errorf("publish answered %s", out)
		}
		out = run(t, "", exec.Command("curl", "-sS", "-d", `{"channel":"chat:curl"}`, "http://"+address+"/api/v1/history"))
		if !strings.Contains(out, `"payload":{"text":"hi"}`) {
			t.Errorf("history answered %s", out)
		}
	})
}

// python finds an interpreter that has the websockets package: Debian's before any other.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(name, "-c", "import websockets").Run() == nil {
			return name
		}
	}
	t.Skip("needs the package python3-websockets")
	return ""
}

// run runs a client to its end and returns what it printed, which is to be want unless that is "".
func run(t *testing.T, want string, cmd *exec.Cmd) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, errs.String())
	}
	if want != "" && out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	return out.String()
}
