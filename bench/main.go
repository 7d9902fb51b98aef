//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	rounds      int
	connections int
	duration    time.Duration
	settle      time.Duration
	messages    int // 0: as many as duration allows
	peers       string
	hocket      string
	pin         bool
	serverCPU   int
	loadCPU     int
}

// run is the program without its exit code. As "peer NAME" it is a server that is
// measured; otherwise it measures.
func run(args []string, out, progress io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 2 && args[0] == "peer" {
		return servePeer(ctx, args[1], out)
	}
	s, scenarios, err := parse(args, progress)
	if err != nil {
		return err
	}
	return measure(ctx, s, scenarios, out, progress)
}

// parse reads the command line.
func parse(args []string, usage io.Writer) (settings, []scenario, error) {
	var s settings
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(usage)
	f.IntVar(&s.rounds, "rounds", 5, "rounds of each scenario; 3 at most for idle, which varies little")
	f.IntVar(&s.connections, "connections", 0, "subscribers, instead of what the scenario says")
	f.DurationVar(&s.duration, "duration", 5*time.Second, "how long each round publishes, after a second of warm-up")
	f.DurationVar(&s.settle, "settle", 8*time.Second, "how long connections have been idle when memory is read")
	f.IntVar(&s.messages, "messages", 0, "end a round after so many publishes, without warm-up: for a quick look")
	f.StringVar(&s.peers, "peers", "", "servers to compare, separated by commas, instead of what the scenario says: hocket, gorilla, gorilla-chat, floor")
	f.StringVar(&s.hocket, "hocket", "", "hocket binary to measure; empty builds ../cmd/hocket")
	f.BoolVar(&s.pin, "pin", runtime.NumCPU() > 1, "keep the server on one core and the generator on another")
	f.IntVar(&s.serverCPU, "server-cpu", 0, "the server's core")
	f.IntVar(&s.loadCPU, "load-cpu", 1, "the generator's core")
	f.Usage = func() {
		fmt.Fprintln(usage, "usage: bench [flags] [scenario…]")
		for _, sc := range scenarios() {
			fmt.Fprintf(usage, "  %-9s %s\n", sc.name, sc.describe(sc.options.Connections))
		}
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return settings{}, nil, err
	}
	if s.rounds < 1 {
		return settings{}, nil, fmt.Errorf("rounds: %d is not a number of rounds, give 1 or more", s.rounds)
	}
	chosen, err := choose(f.Args(), s.peers)
	return s, chosen, err
}

// choose returns the scenarios named, all when none is, with their peers replaced
// when others are asked for.
func choose(names []string, peers string) ([]scenario, error) {
	all := scenarios()
	chosen := all
	if len(names) > 0 {
		chosen = nil
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(sc scenario) bool { return sc.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q; see bench -help", name)
		}
		chosen = append(chosen, all[i])
	}
	if peers == "" {
		return chosen, nil
	}
	for i := range chosen {
		chosen[i].peers = strings.Split(peers, ",")
		for _, p := range chosen[i].peers {
			if !slices.Contains(peerNames, p) {
				return nil, fmt.Errorf("there is no server %q, only %s", p, strings.Join(peerNames, ", "))
			}
		}
	}
	return chosen, nil
}
