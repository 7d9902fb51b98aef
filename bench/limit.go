//go:build linux

package main

import (
	"math"
	"slices"

	"hocket.dev/bench/generator"
)

// limit is something the project promises about a scenario: a value that is at most so
// much.
type limit struct {
	text  string
	most  float64
	value func(results, metric) float64 // NaN when a server it needs was not measured
}

func atMost(text string, most float64, value func(results, metric) float64) limit {
	return limit{text, most, value}
}

// verdict says whether a limit held. A value that could not be measured is neither.
func (l limit) verdict(value float64) string {
	switch {
	case math.IsNaN(value):
		return "not measured"
	case value <= l.most:
		return "held"
	}
	return "missed"
}

// results are the rounds of a scenario by server.
type results map[string][]generator.Result

// figure is the median of the scenario's first metric.
func figure(name string) func(results, metric) float64 {
	return func(all results, m metric) float64 { return median(all.values(name, m)) }
}

// figureOf is the median of a metric.
func figureOf(name string, m metric) func(results, metric) float64 {
	return func(all results, _ metric) float64 { return median(all.values(name, m)) }
}

// allocations is the median of what a delivery allocates.
func allocations(name string) func(results, metric) float64 {
	return func(all results, _ metric) float64 { return median(all.values(name, allocs)) }
}

// ratio compares a server with others: the median of the ratios of each round, and of
// those the largest. Others that were not measured are left out.
func ratio(name string, others ...string) func(results, metric) float64 {
	return func(all results, m metric) float64 {
		var ratios []float64
		for _, other := range others {
			if r := all.ratio(name, other, m); !math.IsNaN(r) {
				ratios = append(ratios, r)
			}
		}
		if len(ratios) == 0 {
			return math.NaN()
		}
		return slices.Max(ratios)
	}
}

// wireRatio is ratio for the bytes on the wire.
func wireRatio(name, other string) func(results, metric) float64 {
	return func(all results, _ metric) float64 { return all.ratio(name, other, onWire) }
}

// ratio returns the median over the rounds of what a server's figure is of another's,
// NaN when one of them was not measured.
func (all results) ratio(name, other string, m metric) float64 {
	a, b := all[name], all[other]
	var v []float64
	for i := range min(len(a), len(b)) {
		v = append(v, m.of(a[i])/m.of(b[i]))
	}
	return median(v)
}

// values returns one figure of every round.
func (all results) values(name string, m metric) (v []float64) {
	for _, r := range all[name] {
		v = append(v, m.of(r))
	}
	return v
}

// median returns the middle, NaN of nothing.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
