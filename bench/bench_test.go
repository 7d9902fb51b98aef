//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/bench/generator"
)

// bin is where the tests build the servers, once for all.
var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "hocket-bench-test-"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(bin)
		os.Exit(code)
	}))
}

// small is the smallest look at everything: the generator checks every byte, so that a
// run without an error is a proof.
var small = []string{
	"-quick", "-connections", "8", "-warmup", "1ms", "-duration", "20ms", "-pause", "1ms", "-settle", "1ms", "-pin=false",
}

// look runs bench and returns what it wrote.
func look(t *testing.T, args ...string) (out, progress string) {
	t.Helper()
	var o, p bytes.Buffer
	if err := run(slices.Concat(small, []string{"-bin", bin}, args), &o, &p); err != nil {
		t.Fatalf("bench %s: %v\n%s", strings.Join(args, " "), err, &p)
	}
	return o.String(), p.String()
}

// TestEveryServer has each server, which are programs of their own, echo and publish,
// compressed and not.
func TestEveryServer(t *testing.T) {
	names := []string{"echo-16", "idle-deflate", "fanout-rooms", "fanout-deflate", "server-fanout"}
	_, progress := look(t, names...)
	chosen, err := choose(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range chosen {
		for _, name := range sc.servers {
			done := fmt.Sprintf("%s round 1 %-12s ", sc.name, name)
			if !strings.Contains(progress, done) && !strings.Contains(progress, name+" is left out") {
				t.Errorf("%s has not run with %s:\n%s", sc.name, name, progress)
			}
		}
	}
}

// TestEveryScenario runs all of them with few servers, and looks for what they promise.
func TestEveryScenario(t *testing.T) {
	out, progress := look(t, "-peers", "srv,hocket")
	for _, sc := range scenarios() {
		if !strings.Contains(out, "### "+sc.name+"\n") || !strings.Contains(progress, sc.name+" round 1") {
			t.Errorf("%s was not run", sc.name)
		}
		for _, l := range sc.limits {
			if !strings.Contains(out, "- "+sc.name+": "+l.text+": ") {
				t.Errorf("%s: nothing is said about %q", sc.name, l.text)
			}
		}
	}
	if !strings.Contains(out, "- fanout: of gorilla with prepared messages: –, at most 0.700: **not measured**\n") {
		t.Errorf("gorilla was not asked for:\n%s", out)
	}
}

func TestJSON(t *testing.T) {
	out, _ := look(t, "-json", "-rounds", "2", "-peers", "floor", "fanout")
	var r struct {
		Machine struct{ Processor string }
		Tables  []struct {
			Rows []struct {
				Server  string
				Medians []*float64
				Rounds  []struct{ Done int }
			}
			Limits []struct{ Verdict string }
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	row := r.Tables[0].Rows[0]
	if r.Machine.Processor == "" || row.Server != floor || *row.Medians[0] <= 0 || row.Medians[3] != nil || len(row.Rounds) != 2 {
		t.Errorf("got:\n%s", out)
	}
}

func TestInto(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	const around = "before\n%s\n%s%s\nafter\n"
	if err := os.WriteFile(page, fmt.Appendf(nil, around, beginMark, "old\n", endMark), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := splice(page, []byte("new\n"))
	if want := fmt.Sprintf(around, beginMark, "new\n", endMark); err != nil || string(file) != want {
		t.Errorf("%v, got:\n%s\nwant:\n%s", err, file, want)
	}
	if _, err := splice("../docs/performance.md", nil); err != nil {
		t.Error(err)
	}
	if _, err := splice("../README.md", nil); err == nil {
		t.Error("a page without the marks would be changed")
	}
}

func TestPinned(t *testing.T) {
	look(t, "-pin", "-server-cpu", "0", "-load-cpu", "0", "-peers", "floor", "echo-1")
}

func TestWrongCommandLines(t *testing.T) {
	tests := []struct{ args, want string }{
		{"nowhere", `no scenario "nowhere"`},
		{"-peers gorila", `no server "gorila"`},
		{"-rounds 0", "rounds"},
		{"-quick -into x", "into"},
		{"-into /nonexistent", "/nonexistent"},
		{"-hocket /nonexistent -peers hocket server-calm", "/nonexistent"},
	}
	for _, tt := range tests {
		err := run(strings.Fields(tt.args), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("bench %s: error %v, want one about %q", tt.args, err, tt.want)
		}
	}
}

func TestChoose(t *testing.T) {
	chosen, err := choose([]string{"echo", "fanout", "handshakes"}, []string{"srv", "floor"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, sc := range chosen {
		got = append(got, sc.name+": "+strings.Join(sc.servers, " "))
	}
	want := []string{
		"echo-1: srv floor", "echo-16: srv floor", "echo-1-1k: srv floor", "echo-16-1k: srv floor",
		"fanout: srv floor", "handshakes: srv srv-nethttp floor-close",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestScenariosNameServers keeps names in step.
func TestScenariosNameServers(t *testing.T) {
	for _, sc := range scenarios() {
		for _, name := range sc.servers {
			if _, ok := find(name); !ok {
				t.Errorf("%s: there is no server %q", sc.name, name)
			}
		}
	}
}

// rounds are runs of 1,000 deliveries that took so many microseconds each.
func rounds(cpu ...time.Duration) (all []generator.Result) {
	for _, c := range cpu {
		all = append(all, generator.Result{Done: 1000, CPU: c * time.Millisecond, Allocs: 0.002})
	}
	return all
}

func TestTable(t *testing.T) {
	all := results{srv: rounds(6, 4, 5), floor: rounds(4, 4, 5), gorilla: rounds(8, 12, 10)}
	sc := scenario{
		name: "x", title: "%s of them", connections: 5000,
		servers: []string{srv, floor, gorilla}, metrics: []metric{cpu("message"), allocs},
		limits: []limit{
			atMost("of the floor", 1.1, ratio(srv, floor)),
			atMost("of any", 0.4, ratio(srv, gorilla, floor, coder)),
			atMost("of coder", 1, ratio(srv, coder)),
			atMost("allocations", 0.01, allocations(srv)),
		},
	}
	var out bytes.Buffer
	newTable(settings{}, sc, all).write(&out)
	want := `
### x

5,000 of them. Rounds: 3.

| server | server CPU per message | spread | of the floor | of srv | allocations per message |
|---|---:|---:|---:|---:|---:|
| srv | 5.00 µs | 4.00–6.00 | 1.00 | 1.00 | 0.0020 |
| floor | 4.00 µs | 4.00–5.00 | 1.00 | 1.00 | 0.0020 |
| gorilla | 10.00 µs | 8.00–12.00 | 2.00 | 2.00 | 0.0020 |

- of the floor: 1.000, at most 1.100: **held**
- of any: 1.000, at most 0.400: **missed**
- of coder: –, at most 1.000: **not measured**
- allocations: 0.0020, at most 0.0100: **held**
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &out, want)
	}
}

// TestRatioIsOfEachRound tells the median of ratios from the ratio of medians: a round
// that was slow for all of them must not count.
func TestRatioIsOfEachRound(t *testing.T) {
	all := results{srv: rounds(1, 20, 3), floor: rounds(2, 10, 4)} // 0.5, 2, 0.75
	if got := all.ratio(srv, floor, cpu("")); got != 0.75 {
		t.Errorf("the ratio is %v, want 0.75", got)
	}
	if got := all.ratio(srv, coder, cpu("")); !math.IsNaN(got) {
		t.Errorf("the ratio to what was not measured is %v", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("the median is %v, want 2.5", got)
	}
}

func TestThousands(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999.6: "1,000", 18000: "18,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := thousands(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}
