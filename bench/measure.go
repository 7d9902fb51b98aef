//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"hocket.dev/bench/generator"
)

// measure runs the scenarios and writes what came of them.
func measure(ctx context.Context, s settings, chosen []scenario, out, progress io.Writer) error {
	st, err := newStarter(ctx, s, chosen, progress)
	if err != nil {
		return err
	}
	defer st.cleanup()
	if s.pin {
		unpin, err := pinSelf(s.loadCPU)
		if err != nil {
			return err
		}
		defer unpin()
	}
	report := newReport(s, st)
	if !s.json {
		report.writeHead(out)
	}
	for _, sc := range chosen {
		if sc.servers = st.available(sc.servers); len(sc.servers) == 0 {
			continue
		}
		all, err := runScenario(ctx, s, sc, st, progress)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
		table := newTable(s, sc, all)
		report.Tables = append(report.Tables, table)
		if !s.json {
			table.write(out)
		}
	}
	if s.json {
		return report.writeJSON(out)
	}
	report.writeLimits(out)
	return nil
}

// runScenario runs the rounds of one scenario, every server in each.
func runScenario(ctx context.Context, s settings, sc scenario, st *starter, progress io.Writer) (results, error) {
	all := make(results)
	for round := range sc.roundsOf(s) {
		for _, name := range sc.servers {
			result, err := runOnce(ctx, s, sc, name, st)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", name, round+1, err)
			}
			all[name] = append(all[name], result)
			fmt.Fprintf(progress, "%s round %d %-12s", sc.name, round+1, name)
			for _, m := range sc.metrics {
				fmt.Fprintf(progress, "  %s %s", m.name, m.format(m.of(result)))
			}
			if result.Late > 0 {
				fmt.Fprintf(progress, "  (%d publishes went out late: the machine was busy)", result.Late)
			}
			fmt.Fprintln(progress)
		}
	}
	return all, nil
}

// runOnce starts a server, makes one run against it, and ends it.
func runOnce(ctx context.Context, s settings, sc scenario, name string, st *starter) (generator.Result, error) {
	sv, _ := find(name) // scenarios name servers there are: a test holds that
	deflate := sc.deflate && !sv.plain
	p, err := st.start(ctx, sv, deflate)
	if err != nil {
		return generator.Result{}, fmt.Errorf("start: %w", err)
	}
	defer p.stop()
	target := generator.Target{Addr: p.addr, PID: p.cmd.Process.Pid, Dialect: sv.dialect, Deflate: deflate, Stats: sv.stats()}
	if sc.elsewhere {
		target.Publisher = filepath.Join(st.bin, filepath.Base(publisher))
	}
	if sc.second {
		other, err := st.start(ctx, sv, deflate)
		if err != nil {
			return generator.Result{}, fmt.Errorf("start another: %w", err)
		}
		defer other.stop()
		target.Idle = other.addr
	}
	result, err := generator.Run(ctx, target, sc.work(s, sc.size(s)))
	if err != nil {
		return result, p.explain(err)
	}
	return result, nil
}
