//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
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
	self     string // this program
	hocket   string // the hocket binary, "" when no scenario needs it
	version  string // what it calls itself
	dir      string // holds what was built, and what servers log
}

// newStarter prepares what the scenarios need: hocket is built if it is among the
// servers and none was given.
func newStarter(ctx context.Context, s settings, scenarios []scenario) (*starter, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	st := &starter{settings: s, self: self, hocket: s.hocket}
	if st.dir, err = os.MkdirTemp("", "hocket-bench-"); err != nil {
		return nil, err
	}
	wanted := func(sc scenario) bool { return slices.Contains(sc.peers, hocket) }
	if slices.ContainsFunc(scenarios, wanted) {
		err = st.prepareHocket(ctx)
	}
	if err != nil {
		st.cleanup()
		return nil, err
	}
	return st, nil
}

// prepareHocket builds hocket from the module above, unless a binary was given, and
// asks it for its version.
func (st *starter) prepareHocket(ctx context.Context) error {
	if st.hocket == "" {
		st.hocket = filepath.Join(st.dir, "hocket")
		build := exec.CommandContext(ctx, "go", "build", "-C", "..", "-o", st.hocket, "./cmd/hocket")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build ../cmd/hocket: %w\n%s", err, out)
		}
	}
	version, err := exec.CommandContext(ctx, st.hocket, "version").Output()
	if err != nil {
		return fmt.Errorf("%s version: %w", st.hocket, err)
	}
	st.version, _, _ = strings.Cut(string(version), "\n")
	return nil
}

// cleanup removes what was built.
func (st *starter) cleanup() { os.RemoveAll(st.dir) }

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	addr string   // host and port
	log  *os.File // what it writes to standard error
}

// start starts a server and returns when it takes connections.
func (st *starter) start(ctx context.Context, peer string) (p *process, err error) {
	if peer == hocket {
		p, err = st.startHocket(ctx)
	} else {
		p, err = st.startPeer(peer)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", peer, err)
	}
	return p, nil
}

// startPeer starts this program as another server. The first line of its output is
// its address; a server that fails closes its output instead.
func (st *starter) startPeer(peer string) (*process, error) {
	cmd := exec.Command(st.self, "peer", peer)
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

// startHocket starts hocket on a free port and asks until it is ready.
func (st *starter) startHocket(ctx context.Context) (*process, error) {
	p, err := st.launch(exec.Command(st.hocket, "serve", "--dev", "--listen", "127.0.0.1:0"))
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
