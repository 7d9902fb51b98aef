package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of `go test -json`, as `go doc test2json` describes it.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// report keeps what each running test says until it is known whether anyone wants to read it.
type report struct {
	out     io.Writer
	said    map[string]map[string]string // package, test: its output
	skipped []string                     // one line each
}

func newReport(out io.Writer) *report {
	return &report{out: out, said: map[string]map[string]string{}}
}

// read follows the stream to its end. A line that is no event (the go command itself failed) is passed on.
func (r *report) read(stream io.Reader) error {
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) == nil && e.Action != "" {
				r.take(e)
			} else {
				fmt.Fprint(r.out, line)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.out, e.Output)
	case e.Action == "output" && e.Test == "":
		if e.Output != "PASS\n" {
			fmt.Fprint(r.out, e.Output)
		}
	case e.Action == "output":
		if r.said[e.Package] == nil {
			r.said[e.Package] = map[string]string{}
		}
		r.said[e.Package][e.Test] += e.Output
	case e.Test == "" && e.Action == "fail":
		r.flush(e.Package)
	case e.Test == "":
	case e.Action == "fail":
		fmt.Fprint(r.out, r.said[e.Package][e.Test])
		delete(r.said[e.Package], e.Test)
	case e.Action == "skip":
		r.skipped = append(r.skipped, fmt.Sprintf("%s %s: %s\n", e.Package, e.Test, reason(r.said[e.Package][e.Test])))
		delete(r.said[e.Package], e.Test)
	case e.Action == "pass":
		delete(r.said[e.Package], e.Test)
	}
}

// flush prints what is left of a failed package: tests that neither passed nor failed, because the process ended.
func (r *report) flush(pkg string) {
	for _, test := range slices.Sorted(maps.Keys(r.said[pkg])) {
		fmt.Fprint(r.out, r.said[pkg][test])
	}
	delete(r.said, pkg)
}

func (r *report) printSkips() {
	if len(r.skipped) == 0 {
		return
	}
	fmt.Fprintf(r.out, "%d tests skipped:\n", len(r.skipped))
	for _, s := range r.skipped {
		fmt.Fprint(r.out, "  ", s)
	}
}

// reason is what a test gave to t.Skip: its output without the marks of the test runner and the place.
func reason(output string) string {
	var words []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if place, text, ok := strings.Cut(line, ": "); ok && strings.Contains(place, ".go:") {
			line = text
		}
		words = append(words, line)
	}
	if len(words) == 0 {
		return "no reason given"
	}
	return strings.Join(words, " ")
}
