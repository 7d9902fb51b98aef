//go:build linux

package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	readyTimeout = time.Minute
	stopTimeout  = 5 * time.Second
	readyPoll    = 20 * time.Millisecond
	maxLog       = 2000 // bytes of a failed server's log that are shown
)

// starter starts servers.
type starter struct {
	settings settings
	dir      string            // holds what servers log
	bin      string            // holds what was built
	hocket   string            // the hocket binary, "" when no scenario needs it
	versions map[string]string // of what was measured, by server
	missing  map[string]bool   // servers that cannot be started here
}

// newStarter builds the programs that the scenarios need. What this machine cannot run
// is left out, with a notice.
func newStarter(ctx context.Context, s settings, chosen []scenario, notice io.Writer) (*starter, error) {
	dir, err := os.MkdirTemp("", "hocket-bench-")
	if err != nil {
		return nil, err
	}
	st := &starter{settings: s, dir: dir, bin: cmp.Or(s.bin, dir), hocket: s.hocket, versions: make(map[string]string), missing: make(map[string]bool)}
	var wanted []string
	var programs []string
	for _, sc := range chosen {
		wanted = append(wanted, sc.servers...)
		if sc.elsewhere {
			programs = append(programs, publisher)
		}
	}
	slices.Sort(wanted)
	if err := st.prepare(ctx, slices.Compact(wanted), programs, notice); err != nil {
		st.cleanup()
		return nil, err
	}
	return st, nil
}

// publisher is the program that publishes where the generator does not.
const publisher = "./publisher"

// prepare builds programs and the servers that are wanted.
func (st *starter) prepare(ctx context.Context, wanted, programs []string, notice io.Writer) error {
	for _, name := range wanted {
		sv, ok := find(name)
		switch {
		case !ok:
			return fmt.Errorf("there is no server %q", name)
		case sv.program != "":
			programs = append(programs, "./"+sv.program)
		}
	}
	slices.Sort(programs)
	if programs = slices.Compact(programs); len(programs) > 0 {
		build := exec.CommandContext(ctx, "go", append([]string{"build", "-o", st.bin + "/"}, programs...)...)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s (bench runs in its own directory): %w\n%s", strings.Join(programs, " "), err, out)
		}
	}
	for _, name := range wanted {
		sv, _ := find(name)
		switch {
		case family(name) == hocket:
			if err := st.prepareHocket(ctx); err != nil {
				return err
			}
		case name == nodeWS:
			if err := st.prepareNode(ctx); err != nil {
				st.missing[name] = true
				fmt.Fprintf(notice, "%s is left out: %v\n", name, err)
			}
		case sv.module != "":
			st.versions[name] = moduleVersion(st.binary(sv), sv.module)
		}
	}
	return nil
}

// prepareHocket builds hocket from the module above, unless a binary was given, and
// asks it for its version.
func (st *starter) prepareHocket(ctx context.Context) error {
	if st.hocket == "" {
		st.hocket = filepath.Join(st.bin, "hocket")
		build := exec.CommandContext(ctx, "go", "build", "-C", "..", "-o", st.hocket, "./cmd/hocket")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build ../cmd/hocket: %w\n%s", err, out)
		}
	}
	version, err := exec.CommandContext(ctx, st.hocket, "version").Output()
	if err != nil {
		return fmt.Errorf("%s version: %w", st.hocket, err)
	}
	first, _, _ := strings.Cut(string(version), "\n")
	st.versions[hocket] = strings.TrimPrefix(first, "hocket ")
	return nil
}

// sdk is where the packages for Node are installed, and pinned.
const sdk = "../sdk/js"

// prepareNode looks for Node and its package ws.
func (st *starter) prepareNode(ctx context.Context) error {
	b, err := os.ReadFile(sdk + "/node_modules/ws/package.json")
	if err != nil {
		return errors.New("needs Node 20 or later, and npm ci in " + sdk)
	}
	var ws struct{ Version string }
	if err := json.Unmarshal(b, &ws); err != nil {
		return err
	}
	node, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return fmt.Errorf("needs Node 20 or later: %w", err)
	}
	st.versions[nodeWS] = ws.Version + " on Node " + strings.TrimSpace(string(node))
	return nil
}

// available returns those of the servers that can be started.
func (st *starter) available(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return st.missing[name] })
}

// binary is where a server's program was built.
func (st *starter) binary(sv server) string { return filepath.Join(st.bin, path.Base(sv.program)) }

// cleanup removes what the run leaves behind.
func (st *starter) cleanup() { os.RemoveAll(st.dir) }

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	addr string   // host and port
	log  *os.File // what it writes to standard error
}

// start starts a server and returns when it takes connections.
func (st *starter) start(ctx context.Context, sv server, deflate bool) (*process, error) {
	if family(sv.name) == hocket {
		return st.startHocket(ctx, sv.args)
	}
	args := append([]string{"-addr", "127.0.0.1:0"}, sv.args...)
	if deflate {
		args = append(args, "-compress")
	}
	if sv.name == nodeWS {
		cmd := exec.Command("node", append([]string{"peers/ws/server.mjs"}, args...)...)
		cmd.Env = append(os.Environ(), "WS_FROM="+sdk+"/package.json")
		return st.startPeer(cmd)
	}
	return st.startPeer(exec.Command(st.binary(sv), args...))
}

// startPeer starts a server that tells its address on the first line of its output; one
// that fails closes its output instead.
func (st *starter) startPeer(cmd *exec.Cmd) (*process, error) {
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := st.launch(cmd)
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, p.failed(err)
	}
	p.addr = strings.TrimSpace(line)
	return p, nil
}

// configuration is what hocket-serve is configured with, in hocket.yaml.
const configuration = "anonymous: true\n"

// startHocket starts hocket on a free port and asks until it is ready.
func (st *starter) startHocket(ctx context.Context, args []string) (*process, error) {
	if err := os.WriteFile(filepath.Join(st.dir, "hocket.yaml"), []byte(configuration), 0o600); err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(st.hocket)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Dir = st.dir
	p, err := st.launch(cmd)
	if err != nil {
		return nil, err
	}
	if err := p.awaitReady(ctx); err != nil {
		return nil, p.failed(err)
	}
	return p, nil
}

// launch starts cmd, on the server's core when servers are pinned. Its log goes to a
// file, so that nobody has to read along. It dies with this process.
func (st *starter) launch(cmd *exec.Cmd) (*process, error) {
	log, err := os.CreateTemp(st.dir, "log-")
	if err != nil {
		return nil, err
	}
	cmd.Stderr = log
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if st.settings.pin {
		err = startOn(cmd, st.settings.serverCPU)
	} else {
		err = cmd.Start()
	}
	if err != nil {
		log.Close()
		return nil, err
	}
	return &process{cmd: cmd, log: log}, nil
}

// failed ends a server that did not start, and returns err with the end of its log.
func (p *process) failed(err error) error {
	p.stop()
	return p.explain(err)
}

// explain returns err with the end of the server's log.
func (p *process) explain(err error) error {
	log, readErr := os.ReadFile(p.log.Name())
	if readErr != nil || len(log) == 0 {
		return err
	}
	return fmt.Errorf("%w\n%s", err, log[max(0, len(log)-maxLog):])
}

// listening is where hocket says which port it was given.
var listening = regexp.MustCompile(`ws://(\S+)/v1/ws`)

// awaitReady returns when the server has said where it is and /readyz answers 200.
func (p *process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		if log, err := os.ReadFile(p.log.Name()); err != nil {
			return err
		} else if m := listening.FindSubmatch(log); m != nil {
			p.addr = string(m[1])
			if p.ready(ctx) {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("it did not become ready")
		}
	}
}

// ready reports whether /readyz answers 200.
func (p *process) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return response.StatusCode == http.StatusOK
}

// stop ends the server.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(stopTimeout, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	p.cmd.Wait()
	p.log.Close()
}
