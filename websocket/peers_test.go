package websocket

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hocket.dev/internal/testproc"
)

// peer is a program in testdata that speaks WebSocket by another library.
type peer struct {
	name    string
	command func(t *testing.T, args ...string) *exec.Cmd
	// options are the program's own for the parameters of permessage-deflate.
	options func(p parameters) any
}

// parameters are what a peer offers as a client, or insists on as a server.
type parameters struct {
	off                        bool
	serverAlone, clientAlone   bool // no context takeover
	serverWindow, clientWindow int
}

var peers = []peer{
	{"ws for Node", nodePeer, func(p parameters) any {
		if p.off {
			return false
		}
		o := map[string]any{"threshold": 0}
		set(o, p, "serverNoContextTakeover", "clientNoContextTakeover", "serverMaxWindowBits", "clientMaxWindowBits")
		return o
	}},
	{"websockets for Python", pythonPeer, func(p parameters) any {
		if p.off {
			return nil
		}
		o := map[string]any{}
		set(o, p, "server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits", "client_max_window_bits")
		return o
	}},
}

// set fills in parameters under their names.
func set(o map[string]any, p parameters, serverAlone, clientAlone, serverWindow, clientWindow string) {
	if p.serverAlone {
		o[serverAlone] = true
	}
	if p.clientAlone {
		o[clientAlone] = true
	}
	if p.serverWindow != 0 {
		o[serverWindow] = p.serverWindow
	}
	if p.clientWindow != 0 {
		o[clientWindow] = p.clientWindow
	}
}

func nodePeer(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	sdk, err := filepath.Abs("../sdk/js/package.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(sdk), "node_modules", "ws")); err != nil {
		t.Skip("needs the packages of the SDK: npm ci in sdk/js, with Node 20 or later")
	}
	cmd := exec.Command("node", append([]string{"testdata/peer.mjs"}, args...)...)
	cmd.Env = append(os.Environ(), "WS_FROM="+sdk)
	return cmd
}

func pythonPeer(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} { // Debian's before any other
		if exec.Command(name, "-c", "import websockets").Run() == nil {
			return exec.Command(name, append([]string{"testdata/peer.py"}, args...)...)
		}
	}
	t.Skip("needs the package python3-websockets")
	return nil
}

func (p peer) encode(t *testing.T, o parameters) string {
	t.Helper()
	b, err := json.Marshal(p.options(o))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// matrix is what the peers are tried with.
var matrix = map[string]parameters{
	"off":           {off: true},
	"on":            {},
	"alone":         {serverAlone: true, clientAlone: true},
	"small windows": {serverWindow: 9, clientWindow: 9},
	"mixed":         {serverAlone: true, serverWindow: 10, clientWindow: 12},
}

// Other libraries' clients understand this server, and every message comes back. What they offer is tried on
// goroutines, as all ways share the negotiation; the loops are met without compression and with all of it.
func TestPeersAsClients(t *testing.T) {
	for _, p := range peers {
		for name, o := range matrix {
			for _, mode := range []CompressionMode{CompressionOff, CompressionOn, CompressionTakeover} {
				if o.off && mode != CompressionOn || !o.off && mode == CompressionOff && name != "on" {
					continue // without compression there is nothing to tell apart
				}
				for way := range errandWays {
					if way != "goroutines" && !o.off && (name != "on" || mode == CompressionOff) {
						continue
					}
					t.Run(fmt.Sprintf("%s %s, mode %d, %s", p.name, name, mode, way), func(t *testing.T) {
						t.Parallel()
						p.dial(t, way, o, mode)
					})
				}
			}
		}
	}
}

// dial has the peer talk to a server of the given way.
func (p peer) dial(t *testing.T, way string, o parameters, mode CompressionMode) {
	t.Helper()
	e := startErrands(t, way, AcceptOptions{Compression: Compression{Mode: mode, Threshold: 1}})
	out, err := p.command(t, "dial", p.encode(t, o), e.url).CombinedOutput()
	said, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "ok")
	if err != nil || !ok {
		t.Fatalf("%v: %s", err, out)
	}
	if compressed := mode != CompressionOff && !o.off; compressed != (said != "") {
		t.Errorf("it agreed on %q", said)
	}
	if end := endOf(<-e.ended); !strings.HasPrefix(end, "1000 ") {
		t.Errorf("the server saw the connection end with %q, want 1000", end)
	}
}

// And this client theirs.
func TestPeersAsServers(t *testing.T) {
	for _, p := range peers {
		for name, o := range matrix {
			t.Run(p.name+" "+name, func(t *testing.T) {
				t.Parallel()
				process := testproc.StartCmd(t, p.command(t, "serve", p.encode(t, o)))
				var port int
				testproc.Until(t, "the peer to listen", func() bool {
					_, err := fmt.Sscanf(process.Output(), "port %d\n", &port)
					return err == nil
				})
				for _, mode := range []CompressionMode{CompressionOff, CompressionOn, CompressionTakeover} {
					c := dial(t, fmt.Sprintf("ws://127.0.0.1:%d", port), &DialOptions{Compression: Compression{Mode: mode, Threshold: 1}})
					if compressed := mode != CompressionOff && !o.off; compressed != (c.deflate != nil) {
						t.Errorf("mode %d: compression %v", mode, c.deflate)
					}
					for i, n := range []int{0, 1, 100, 1000, 5000, 5000, 70_000, 300_000} {
						msg := prose(uint64(i/2), n)
						c.say(t, Text, msg)
						c.want(t, Text, msg)
						c.say(t, Binary, msg)
						c.want(t, Binary, msg)
					}
					if err := c.Close(CloseNormal, "done"); err != nil {
						t.Errorf("mode %d: %v", mode, err)
					}
				}
			})
		}
	}
}
