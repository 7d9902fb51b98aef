//go:build linux

package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/load"
)

// TestMain lets the test binary be the servers that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "peer" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestEveryScenario makes a small round of everything and looks for its table.
func TestEveryScenario(t *testing.T) {
	var out, progress bytes.Buffer
	quick := []string{"-rounds", "2", "-connections", "20", "-messages", "5", "-settle", "1ms", "-pin=false", "-peers"}
	for _, args := range []string{"hocket,gorilla,gorilla-chat,floor fanout20 saturate latency", "hocket,gorilla idle"} {
		if err := run(append(quick, strings.Fields(args)...), &out, &progress); err != nil {
			t.Fatalf("%v\n%s", err, &progress)
		}
	}
	for _, want := range []string{
		"gorilla/websocket ",
		"**idle**", "**fanout20**", "**saturate**", "**latency**",
		"| server | server CPU per delivered message | spread | to gorilla | p50 | p99 |",
		"| hocket | ", "| gorilla | ", "| gorilla-chat | ", "| floor | ", "Medians; rounds: 2.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, &out)
		}
	}
	if got := strings.Count(progress.String(), "\n"); got != (3*4+2)*2 {
		t.Errorf("%d rounds reported, want 28:\n%s", got, &progress)
	}
}

func TestPinnedRound(t *testing.T) {
	if err := run([]string{"-rounds", "1", "-connections", "2", "-messages", "2", "-pin", "-server-cpu", "0", "-load-cpu", "0", "-peers", "gorilla", "latency"}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
}

func TestWrongCommandLines(t *testing.T) {
	tests := []struct{ args, want string }{
		{"nowhere", `no scenario "nowhere"`},
		{"-peers gorila", `no server "gorila"`},
		{"-rounds 0", "rounds"},
		{"peer nothing", `no server "nothing"`},
		{"-hocket /nonexistent latency", "/nonexistent"},
	}
	for _, tt := range tests {
		err := run(strings.Fields(tt.args), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("bench %s: error %v, want one about %q", tt.args, err, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	rounds := func(cpu ...time.Duration) (all []load.Result) {
		for _, c := range cpu {
			all = append(all, load.Result{Connections: 5000, Delivered: 1000, Server: &load.Usage{CPU: c * 1000}})
		}
		return all
	}
	sc := scenario{name: "x", title: "%s of them", peers: []string{hocket, gorilla}, metrics: []metric{cpuPerDelivery}}
	var out bytes.Buffer
	writeTable(&out, sc, results{
		hocket:  rounds(6*time.Microsecond, 4*time.Microsecond, 5*time.Microsecond),
		gorilla: rounds(8*time.Microsecond, 12*time.Microsecond),
	})
	want := `
**x**: 5,000 of them. Medians; rounds: 3.

| server | server CPU per delivered message | spread | to gorilla |
|---|---:|---:|---:|
| hocket | 5.00 µs | 4.00–6.00 | 0.50 |
| gorilla | 10.00 µs | 8.00–12.00 | 1.00 |
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &out, want)
	}
}
