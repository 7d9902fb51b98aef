package websocket

import (
	"context"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A curl that has WebSocket prints what the server says. Most have none (Debian 12's 7.88, for example); then there is
// nothing to test, and nothing that installing a package would change.
func TestCurlAsClient(t *testing.T) {
	about, err := exec.Command("curl", "--version").Output()
	if err != nil {
		t.Skip("needs the package curl")
	}
	version, _, _ := strings.Cut(string(about), "\n")
	if !speaksWebSocket(string(about)) {
		t.Logf("no WebSocket in %s", version)
		return
	}
	const greeting = "hello, curl"
	greet := &program{open: func(s *Socket, _ *http.Request) {
		_ = s.Write(Text, []byte(greeting))
		_ = s.Close(CloseNormal, "")
	}}
	for name, url := range map[string]string{
		"goroutines": serve(t, nil, func(ctx context.Context, c *Conn) {
			_ = c.Write(ctx, Text, []byte(greeting))
			_ = c.Close(CloseNormal, "")
		}),
		"loops behind net/http":     newServer(t, greet, ServerOptions{}).listen(t),
		"loops with their listener": newServer(t, greet, ServerOptions{}).listenItself(t),
	} {
		// How curl ends when the server closes is its own affair, and differs between versions.
		out, err := exec.Command("curl", "--silent", "--show-error", "--no-buffer", "--noproxy", "*", "--max-time", "60", url+"/").CombinedOutput()
		if !strings.HasPrefix(string(out), greeting) {
			t.Errorf("%s: %s says %q (%v), want %q", name, version, out, err, greeting)
		}
	}
}

// speaksWebSocket reads what curl --version says.
func speaksWebSocket(about string) bool {
	_, protocols, _ := strings.Cut(about, "\nProtocols:")
	protocols, _, _ = strings.Cut(protocols, "\n")
	return slices.Contains(strings.Fields(protocols), "ws")
}
