//go:build linux

package generator

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Publishing is what a process does that publishes for [Storm] and does nothing else, so that what a publish waits for is the
// server and not a generator with 18,000 connections. It has a subscriber and a publisher in each room, and takes the times
// when something came from the kernel.
type Publishing struct {
	Rooms int
	Rate  float64 // publishes per second to each room
	Bytes int     // of payload
}

// publishingPriority is the nice value of that process, where the system grants it: it computes for some microseconds at a
// time, and shares a core with the generator, which is to delay no publish.
const publishingPriority = -20

// Publish subscribes to every room, says so by a line on out, and publishes until in ends. When every publish has been
// answered and received it writes what became of them to out. All of it goes to and from the process that runs [Storm].
func Publish(ctx context.Context, target Target, p Publishing, in io.Reader, out io.Writer) error {
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, publishingPriority)
	l, err := newLoop(ctx, target)
	if err != nil {
		return err
	}
	defer l.close()
	l.stamps = new(stamps)
	r := &fanout{
		Fanout: Fanout{Subscribers: p.Rooms, Rooms: p.Rooms, Rate: p.Rate, Bytes: p.Bytes}, loop: l,
		trace: &trace{Rooms: make([]int, p.Rooms)},
	}
	if err := r.join(); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, publisherReady); err != nil {
		return err
	}
	var over atomic.Bool
	go func() { // it ends with in, which is this process's own
		_, _ = io.Copy(io.Discard, in)
		over.Store(true)
	}()
	if err := r.paced(func(time.Time) bool { return over.Load() }); err != nil {
		return err
	}
	if err := l.until(r.answered); err != nil {
		return err
	}
	r.trace.Late = r.late
	return json.NewEncoder(out).Encode(r.trace)
}

// publisherReady is the line that says that publishing begins.
const publisherReady = "ready"

// answered tells whether every publish has its answer.
func (r *fanout) answered() bool {
	for _, room := range r.rooms {
		if len(room.publisher.owner.(*publisher).open) > 0 {
			return false
		}
	}
	return true
}

// A remote is a process in which Publish runs.
type remote struct {
	cmd   *exec.Cmd
	in    io.Closer
	ended chan struct{} // closed when it has
	trace trace         // valid then
	err   error         // valid then
}

// publishElsewhere starts the process and returns when it begins to publish. Somebody has to wait for its end.
func publishElsewhere(l *loop, p Publishing) (*remote, error) {
	cmd := exec.CommandContext(l.ctx, l.target.Publisher, "-addr", l.target.Addr, "-rooms", strconv.Itoa(p.Rooms),
		"-rate", strconv.FormatFloat(p.Rate, 'g', -1, 64), "-bytes", strconv.Itoa(p.Bytes))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil {
		return nil, fmt.Errorf("publisher: %w", errors.Join(err, cmd.Wait()))
	} else if line != publisherReady+"\n" {
		return nil, fmt.Errorf("publisher: it says %q", line)
	}
	r := &remote{cmd: cmd, in: in, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		err := json.NewDecoder(lines).Decode(&r.trace)
		r.err = errors.Join(err, cmd.Wait())
	}()
	return r, nil
}

// stop ends publishing. over reports when all is told.
func (r *remote) stop() { r.in.Close() }

func (r *remote) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// kill ends the process, whatever it does, and waits for its end.
func (r *remote) kill() {
	_ = r.cmd.Process.Kill()
	<-r.ended
}
