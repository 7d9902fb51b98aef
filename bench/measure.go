//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"hocket.dev/internal/load"
)

// measure runs the scenarios and writes a table for each.
func measure(ctx context.Context, s settings, scenarios []scenario, out, progress io.Writer) error {
	starter, err := newStarter(ctx, s, scenarios)
	if err != nil {
		return err
	}
	defer starter.cleanup()
	if s.pin {
		unpin, err := pinSelf(s.loadCPU)
		if err != nil {
			return err
		}
		defer unpin()
	}
	writeMachine(out, s, starter.version)
	for _, sc := range scenarios {
		rounds, err := runScenario(ctx, s, sc, starter, progress)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
		writeTable(out, sc, rounds)
	}
	return nil
}

// results are the figures of one scenario, by server, a result for each round.
type results map[string][]load.Result

// runScenario runs the rounds of one scenario, every server in each.
func runScenario(ctx context.Context, s settings, sc scenario, st *starter, progress io.Writer) (results, error) {
	all := make(results)
	for round := range sc.roundsOf(s) {
		for _, peer := range sc.peers {
			result, err := runOnce(ctx, sc.adapt(s), peer, st)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", peer, round+1, err)
			}
			all[peer] = append(all[peer], result)
			fmt.Fprintf(progress, "%s round %d %-8s", sc.name, round+1, peer)
			for _, m := range sc.metrics {
				fmt.Fprintf(progress, "  %s %s", m.name, m.format(m.of(result)))
			}
			if result.Late > 0 {
				fmt.Fprintf(progress, "  (%d of %d publishes went out late: the machine was busy)", result.Late, result.Published)
			}
			fmt.Fprintln(progress)
		}
	}
	return all, nil
}

// runOnce starts a server, makes one run against it, and ends it.
func runOnce(ctx context.Context, o load.Options, peer string, st *starter) (load.Result, error) {
	p, err := st.start(ctx, peer)
	if err != nil {
		return load.Result{}, err
	}
	defer p.stop()
	o.PID = p.cmd.Process.Pid
	if peer == hocket {
		o.URL = "ws://" + p.addr + "/v1/ws"
	} else {
		o.URL, o.PublishURL, o.Bare = "ws://"+p.addr+"/ws", "ws://"+p.addr+"/pub", true
	}
	result, err := load.Run(ctx, o)
	if err != nil {
		return result, err
	}
	return result, result.Err()
}

// values returns one figure of every round, smallest first.
func values(rounds []load.Result, m metric) []float64 {
	var v []float64
	for _, r := range rounds {
		v = append(v, m.of(r))
	}
	slices.Sort(v)
	return v
}

// median returns the middle of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
