// Command testrun runs `go test -json` with the arguments it is given and prints what a person wants to read: one line
// for each package, everything a failed test said, and at the end each skipped test with its reason, because a skip
// that nobody sees is a test that nobody has.
//
//	go run ./internal/testrun [-skips FILE] -- -race ./...
//
// With -skips the skipped tests are also written to FILE, one line each. The exit code is that of go test.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	skips := flag.String("skips", "", "write the skipped tests to this `file`")
	flag.Parse()
	code, err := run(os.Stdout, *skips, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(out io.Writer, skips string, args []string) (int, error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	stream, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	r := newReport(out)
	readErr := r.read(stream)
	if readErr != nil {
		_, _ = io.Copy(io.Discard, stream) // or go test would block on a full pipe
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if readErr != nil {
		return 0, readErr
	}
	r.printSkips()
	if skips != "" {
		if err := os.WriteFile(skips, []byte(strings.Join(r.skipped, "")), 0o644); err != nil {
			return 0, err
		}
	}
	return cmd.ProcessState.ExitCode(), nil
}
