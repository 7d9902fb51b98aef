package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/internal/testproc"
)

// binary is the program under test, built once as a user would.
var binary string

func TestMain(m *testing.M) {
	if runtime.GOOS == "windows" {
		fmt.Println("these tests stop the program with signals")
		return
	}
	dir, err := os.MkdirTemp("", "hocket")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "hocket")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// command is a run of the program without the environment of whoever runs the tests.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	return cmd
}

// A result is what a run that has ended wrote.
type result struct {
	code     int
	out, err string
}

// execute runs the program until it ends.
func execute(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	_ = cmd.Wait() // how it ended is in ProcessState
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// A node is a server that runs.
type node struct {
	*testproc.Process
	http string // such as 127.0.0.1:40123
}

func (n *node) ws() string { return "ws://" + n.http + "/v1/ws" }

const sigterm = syscall.SIGTERM

var listening = regexp.MustCompile(`wss?://(\S+)/v1/ws`)

// start starts a server on a port of its own and waits until it says where it is.
func start(t *testing.T, cmd *exec.Cmd) *node {
	t.Helper()
	n := &node{Process: testproc.StartCmd(t, cmd)}
	testproc.Until(t, "the server to say where it is", func() bool {
		m := listening.FindStringSubmatch(n.Output())
		if m != nil {
			n.http = m[1]
		}
		return m != nil
	})
	return n
}

func startDev(t *testing.T) *node {
	t.Helper()
	return start(t, command("serve", "--dev", "--listen", "127.0.0.1:0"))
}

// write makes a configuration file.
func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "hocket.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What cannot begin says why in one sentence, and exits with 2.
func TestWhatCannotBegin(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().String()
	wrong := write(t, "anonymous: true\nchannels:\n  - pattern: chat:*\n    history: {count: many}\n")
	missing := filepath.Join(t.TempDir(), "none.yaml")
	weak := write(t, "listen: ':0'\ninsecure: true\napi_keys: [long-and-random-enough, {name: shop, key: s3cre, scopes: [read]}]")
	listens := write(t, `listen: ":0"`)
	unsigned := write(t, `hooks: {authenticate: {url: "https://app.example.com/hocket"}}`)
	other := write(t, "api_keys_file: "+missing+"\n")
	const needsItsOwn = ": each needs an address of its own"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"serve", "--dev", "--listen", port},
			port + " is in use by another program: stop that, or choose another address with --listen"},
		{[]string{"serve", "--listen", "nonsense"},
			`cannot listen on "nonsense": address nonsense: missing port in address`},
		{[]string{"serve", "--dev", "--listen", ":8000"},
			`--dev opens access to everybody, so it listens on this machine's own address only, such as 127.0.0.1:8000, not on ":8000"`},
		{[]string{"serve", "--dev", "--listen", "192.0.2.1:8000"},
			`--dev opens access to everybody, so it listens on this machine's own address only, such as 127.0.0.1:8000, not on "192.0.2.1:8000"`},
		{[]string{"serve", "--dev", "--config", listens},
			`--dev opens access to everybody, so it listens on this machine's own address only, such as 127.0.0.1:8000, not on ":0"`},
		{[]string{"serve", "--config", wrong}, wrong + `:4: channels[0].history.count: "many" is no whole number`},
		{[]string{"serve", "--config", missing}, missing + ": cannot be read: no such file or directory"},
		{[]string{"serve", "--config", weak}, "API key 2 of 2 (shop) has 5 bytes: where others can reach the API, one has at least 16, such as openssl rand -hex 16 makes"},
		{[]string{"serve", "--config", other}, "api_keys_file: " + missing + ": cannot be read: no such file or directory"},
		{[]string{"serve", "--config", unsigned},
			"hooks: there is no secret to sign questions with: give one of at least 16 bytes, such as openssl rand -hex 16 makes, as hooks.secrets or as HOCKET_HOOK_SECRET"},
		{[]string{"serve", "--listen", "127.0.0.1:1", "--admin", "127.0.0.1:1"}, "--listen and --admin are both 127.0.0.1:1" + needsItsOwn},
		{[]string{"serve", "--insecure", "--listen", ":1", "--admin", "127.0.0.1:1"}, "--listen :1 and --admin 127.0.0.1:1 overlap" + needsItsOwn},
		{[]string{"serve", "--tls-cert", "c", "--tls-key", "k", "--listen", "[::1]:1", "--redirect", "[::1]:1"}, "--listen and --redirect are both [::1]:1" + needsItsOwn},
		{[]string{"serve", "--tls-cert", "c", "--tls-key", "k", "--admin", "127.0.0.1:1", "--redirect", "127.0.0.1:1"}, "--admin and --redirect are both 127.0.0.1:1" + needsItsOwn},
		{[]string{"serve", "--log", "xml"}, `--log must be one of "text","json" but got "xml" (see hocket --help)`},
		{[]string{"srve"}, `unexpected argument srve, did you mean "serve"? (see hocket --help)`},
		{[]string{"pub", "a"}, `expected "<data>" (see hocket --help)`},
		{[]string{"sub"}, `expected "<channel> ..." (see hocket --help)`},
		{[]string{"sub", "--last", "1", "--state", "a"}, `--last and --state can't be used together (see hocket --help)`},
	} {
		r := execute(t, command(test.args...))
		if r.code != exitUsage || lastLine(r.err) != "hocket: "+test.want {
			t.Errorf("hocket %v: exit code %d\n have %s\n want hocket: %s", test.args, r.code, r.err, test.want)
		}
	}
}

func lastLine(s string) string {
	s = strings.TrimSuffix(s, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func TestVersionAndHelp(t *testing.T) {
	if r := execute(t, command("version")); r.code != 0 || !strings.HasPrefix(r.out, "hocket 0.") {
		t.Errorf("%+v", r)
	}
	help := execute(t, command("--help"))
	for _, word := range []string{"serve", "sub", "pub", "call", "bench", "version", "Exit codes", "hocket serve --dev"} {
		if help.code != 0 || !strings.Contains(help.out, word) {
			t.Errorf("the help does not tell of %s:\n%s", word, help.out)
		}
	}
	for _, name := range []string{"serve", "sub", "pub", "call", "bench"} {
		if r := execute(t, command(name, "--help")); r.code != 0 || !strings.Contains(r.out, "Examples:") {
			t.Errorf("hocket %s --help has no examples:\n%s", name, r.out)
		}
	}
	if r := execute(t, command("serve", "--help")); !strings.Contains(r.out, "HOCKET_API_KEYS") {
		t.Errorf("the environment is not told of:\n%s", r.out)
	}
}

func TestSignalsEndTheServer(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		n := startDev(t)
		c := connect(t, n)
		c.want(`{"type":"connected"`)
		began := time.Now()
		if err := n.Signal(sig); err != nil {
			t.Fatal(err)
		}
		c.want(`{"type":"reconnect"`)
		if code := c.closed(); code != 4000 {
			t.Errorf("closed with %d, want 4000", code)
		}
		if code := n.ExitCode(t); code != 0 {
			t.Errorf("%v: exit code %d", sig, code)
		}
		if took := time.Since(began); took > 20*time.Second { // about a second where the machine is not busy
			t.Errorf("%v: it took %v, far more than the time to drain", sig, took)
		}
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	n := start(t, command("serve", "--dev", "--listen", "127.0.0.1:0", "--config", write(t, "drain: 1h")))
	c := connect(t, n)
	c.want(`{"type":"connected"`)
	n.Signal(syscall.SIGTERM)
	testproc.Until(t, "the server to stop", func() bool { return strings.Contains(n.Output(), "msg=stopping") })
	n.Signal(syscall.SIGTERM)
	if code := n.ExitCode(t); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
}
