//go:build linux

package main

import (
	"bytes"
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
	connections int // 0: what the scenario says
	warmup      time.Duration
	duration    time.Duration
	first       int           // connections opened and closed before memory is read
	pause       time.Duration // after those
	settle      time.Duration
	back        time.Duration // over which those who were cut off come back
	quick       bool
	json        bool
	into        string   // a Markdown file to write to
	peers       []string // families; nil for all
	hocket      string
	bin         string
	pin         bool
	serverCPU   int
	loadCPU     int
}

// quickly changes the figures that say how much is done, but not those that were given.
func (s *settings) quickly(given map[string]bool) {
	s.first = 50
	for name, set := range map[string]func(){
		"rounds":   func() { s.rounds = 1 },
		"warmup":   func() { s.warmup = 50 * time.Millisecond },
		"duration": func() { s.duration = 200 * time.Millisecond },
		"pause":    func() { s.pause = 50 * time.Millisecond },
		"settle":   func() { s.settle = 50 * time.Millisecond },
		"back":     func() { s.back = 200 * time.Millisecond },
	} {
		if !given[name] {
			set()
		}
	}
}

// times says how long a round is.
func (s *settings) times() string {
	return fmt.Sprintf("Rounds of %v after %v of warm-up; memory is read %v after the last handshake.", s.duration, s.warmup, s.settle)
}

// run is the program without its exit code.
func run(args []string, out, progress io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, chosen, err := parse(args, progress)
	if err != nil {
		return err
	}
	if s.into == "" {
		return measure(ctx, s, chosen, out, progress)
	}
	var text bytes.Buffer
	if _, err := splice(s.into, nil); err != nil {
		return err // rather now than after an hour
	}
	if err := measure(ctx, s, chosen, io.MultiWriter(out, &text), progress); err != nil {
		return err
	}
	file, err := splice(s.into, text.Bytes())
	if err != nil {
		return err
	}
	return os.WriteFile(s.into, file, 0o644)
}

// parse reads the command line.
func parse(args []string, usage io.Writer) (settings, []scenario, error) {
	s := settings{first: 1000}
	var peers string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(usage)
	f.IntVar(&s.rounds, "rounds", 5, "rounds of each scenario; 2 at most for idle ones, which take long and vary little")
	f.IntVar(&s.connections, "connections", 0, "connections, instead of what the scenario says")
	f.DurationVar(&s.warmup, "warmup", time.Second, "how long each round runs before it is measured")
	f.DurationVar(&s.duration, "duration", 4*time.Second, "how long each round is measured")
	f.DurationVar(&s.pause, "pause", 6*time.Second, "how long after the first connections were closed idle memory is read first")
	f.DurationVar(&s.settle, "settle", 30*time.Second, "how long connections have been idle when memory is read")
	f.DurationVar(&s.back, "back", 5*time.Second, "how long those who were cut off take to come back")
	f.BoolVar(&s.quick, "quick", false, "one short round with few connections: shows that everything works, the figures mean nothing")
	f.BoolVar(&s.json, "json", false, "write JSON, with every round, instead of Markdown")
	f.StringVar(&s.into, "into", "", "Markdown file in which the output replaces what stands between the lines "+beginMark+" and "+endMark)
	f.StringVar(&peers, "peers", "", "servers to compare, separated by commas, instead of all that a scenario has: "+strings.Join(families(), ", "))
	f.StringVar(&s.hocket, "hocket", "", "hocket binary to measure; empty builds ../cmd/hocket")
	f.StringVar(&s.bin, "bin", "", "directory in which the programs of the servers are built, and kept; empty is one for this run")
	f.BoolVar(&s.pin, "pin", runtime.NumCPU() > 1, "keep the server on one core and the generator on another")
	f.IntVar(&s.serverCPU, "server-cpu", 0, "the server's core")
	f.IntVar(&s.loadCPU, "load-cpu", 1, "the generator's core")
	f.Usage = func() {
		fmt.Fprintln(usage, "usage: bench [flags] [scenario…]\n\nscenarios (echo is all that begin with echo-):")
		for _, sc := range scenarios() {
			fmt.Fprintf(usage, "  %-15s %s\n", sc.name, sc.describe(sc.connections))
		}
		fmt.Fprintln(usage, "\nflags:")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return settings{}, nil, err
	}
	if s.quick {
		given := map[string]bool{}
		f.Visit(func(f *flag.Flag) { given[f.Name] = true })
		s.quickly(given)
	}
	if s.into != "" && (s.json || s.quick) {
		return settings{}, nil, errors.New("into: neither JSON nor figures that mean nothing belong into a page")
	}
	if s.rounds < 1 {
		return settings{}, nil, fmt.Errorf("rounds: %d is not a number of rounds, give 1 or more", s.rounds)
	}
	if peers != "" {
		s.peers = strings.Split(peers, ",")
	}
	chosen, err := choose(f.Args(), s.peers)
	return s, chosen, err
}

// choose returns the scenarios named, all when none is, with the servers asked for.
func choose(names, peers []string) (chosen []scenario, err error) {
	all := scenarios()
	if len(names) == 0 {
		chosen = all
	}
	for _, name := range names {
		some := named(all, func(s string) bool { return s == name })
		if some == nil {
			some = named(all, func(s string) bool { return strings.HasPrefix(s, name+"-") })
		}
		if some == nil {
			return nil, fmt.Errorf("there is no scenario %q; see bench -help", name)
		}
		chosen = append(chosen, some...)
	}
	for _, peer := range peers {
		if !slices.Contains(families(), peer) {
			return nil, fmt.Errorf("there is no server %q, only %s", peer, strings.Join(families(), ", "))
		}
	}
	if peers == nil {
		return chosen, nil
	}
	for i := range chosen {
		chosen[i].servers = slices.DeleteFunc(slices.Clone(chosen[i].servers), func(name string) bool {
			return !slices.Contains(peers, family(name))
		})
	}
	return slices.DeleteFunc(chosen, func(sc scenario) bool { return len(sc.servers) == 0 }), nil
}

// named returns the scenarios whose name is one that is wanted.
func named(all []scenario, wanted func(string) bool) (some []scenario) {
	for _, sc := range all {
		if wanted(sc.name) {
			some = append(some, sc)
		}
	}
	return some
}

// families returns the names for -peers.
func families() (names []string) {
	for _, s := range servers() {
		if name := family(s.name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
