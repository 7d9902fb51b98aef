//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"hocket.dev/bench/generator"
)

// report is everything a run of bench has to say; its JSON is the output of -json.
type report struct {
	Machine  machine
	Versions map[string]string // of the servers
	Pinned   bool
	Quick    bool
	Times    string // of a round
	Tables   []table
}

// table is what came of one scenario.
type table struct {
	Name    string
	Title   string
	Rounds  int
	Metrics []string // names with units
	Rows    []row
	Limits  []outcome
	metrics []metric
}

// row is one server's.
type row struct {
	Server  string
	Medians []number // by metric
	Lowest  number   // round, of the first metric
	Highest number
	OfFloor number // median of the ratios of each round; null without
	OfSrv   number
	Rounds  []round
}

// round is one run, as the generator has told it.
type round struct {
	Done          int
	ElapsedNS     int64
	CPUNS         int64
	RSS           number
	WireBytes     int64
	PayloadBytes  int64
	AllocsPerDone number
	LatePublishes int
	P50NS, P99NS  int64
}

// outcome is whether a limit held.
type outcome struct {
	Limit   string
	AtMost  number
	Value   number
	Verdict string // held, missed, or not measured
}

// number is a float that is null in JSON when it is none.
type number float64

// MarshalJSON writes null for what could not be measured.
func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return json.Marshal(f)
	}
	return []byte("null"), nil
}

// newReport begins a report.
func newReport(s settings, st *starter) *report {
	return &report{Machine: thisMachine(), Versions: st.versions, Pinned: s.pin, Quick: s.quick, Times: s.times()}
}

// newTable works out medians, ratios and limits.
func newTable(s settings, sc scenario, all results) table {
	t := table{Name: sc.name, Title: sc.describe(sc.size(s)), metrics: sc.metrics}
	for _, m := range sc.metrics {
		t.Metrics = append(t.Metrics, strings.TrimSpace(m.name+" "+m.unit))
	}
	first := sc.metrics[0]
	base := floor
	if i := slices.IndexFunc(sc.servers, func(name string) bool { return family(name) == floor }); i >= 0 {
		base = sc.servers[i]
	}
	for _, name := range sc.servers {
		values := all.values(name, first)
		r := row{
			Server: name, Lowest: number(slices.Min(values)), Highest: number(slices.Max(values)),
			OfFloor: number(all.ratio(name, base, first)), OfSrv: number(all.ratio(name, sc.servers[0], first)),
		}
		for _, m := range sc.metrics {
			r.Medians = append(r.Medians, number(median(all.values(name, m))))
		}
		for _, one := range all[name] {
			r.Rounds = append(r.Rounds, newRound(one))
		}
		t.Rounds = max(t.Rounds, len(r.Rounds))
		t.Rows = append(t.Rows, r)
	}
	for _, l := range sc.limits {
		v := l.value(all, first)
		t.Limits = append(t.Limits, outcome{l.text, number(l.most), number(v), l.verdict(v)})
	}
	return t
}

func newRound(r generator.Result) round {
	return round{
		r.Done, r.Elapsed.Nanoseconds(), r.CPU.Nanoseconds(), number(r.RSS), r.Wire, r.Payload,
		number(r.Allocs), r.Late, r.P50.Nanoseconds(), r.P99.Nanoseconds(),
	}
}

// writeHead says where and with what the figures were taken.
func (r *report) writeHead(w io.Writer) {
	fmt.Fprintf(w, "%s. ", r.Machine)
	var versions []string
	for name, version := range r.Versions {
		versions = append(versions, name+" "+version)
	}
	if slices.Sort(versions); len(versions) > 0 {
		fmt.Fprintf(w, "%s. ", strings.Join(versions, ", "))
	}
	if r.Pinned {
		fmt.Fprint(w, "Server and generator on a core each. ")
	}
	fmt.Fprintln(w, r.Times+" Servers ran in turn in every round; figures are medians, the spread is from the lowest to the highest round, ratios are medians of each round's. Every byte was checked.")
	if r.Quick {
		fmt.Fprintln(w, "\n**A quick look: these figures mean nothing.**")
	}
}

// write writes the table and its limits as Markdown.
func (t table) write(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n%s. Rounds: %d.\n\n", t.Name, t.Title, t.Rounds)
	first := t.metrics[0]
	reference := t.Rows[0].Server
	fmt.Fprintf(w, "| server | %s | spread | of the floor | of %s |", first.name, reference)
	for _, m := range t.metrics[1:] {
		fmt.Fprintf(w, " %s |", m.name)
	}
	fmt.Fprintln(w, "\n|---|"+strings.Repeat("---:|", 4+len(t.metrics)-1))
	for _, r := range t.Rows {
		fmt.Fprintf(w, "| %s | %s | %s–%s | %s | %s |", r.Server, first.format(float64(r.Medians[0])),
			first.number(float64(r.Lowest)), first.number(float64(r.Highest)), twoDigits(r.OfFloor), twoDigits(r.OfSrv))
		for i, m := range t.metrics[1:] {
			fmt.Fprintf(w, " %s |", m.format(float64(r.Medians[i+1])))
		}
		fmt.Fprintln(w)
	}
	if len(t.Limits) == 0 {
		return
	}
	fmt.Fprintln(w)
	for _, o := range t.Limits {
		o.write(w, "- ")
	}
}

// write writes one line about a limit.
func (o outcome) write(w io.Writer, begin string) {
	fmt.Fprintf(w, "%s%s: %s, at most %s: **%s**\n", begin, o.Limit, significant(o.Value), significant(o.AtMost), o.Verdict)
}

// writeLimits writes all limits again, in one place.
func (r *report) writeLimits(w io.Writer) {
	fmt.Fprint(w, "\n### What was promised\n\n")
	for _, t := range r.Tables {
		for _, o := range t.Limits {
			o.write(w, "- "+t.Name+": ")
		}
	}
}

// writeJSON writes everything.
func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(r)
}

// number writes a figure without its unit.
func (m metric) number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case m.digits == 0:
		return thousands(v)
	}
	return fmt.Sprintf("%.*f", m.digits, v)
}

// format writes a figure with its unit.
func (m metric) format(v float64) string { return strings.TrimSpace(m.number(v) + " " + m.unit) }

// twoDigits writes a ratio.
func twoDigits(v number) string {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(v))
}

// significant writes a value or a limit with as many digits as matter.
func significant(v number) string {
	switch f := float64(v); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "–"
	case math.Abs(f) >= 10:
		return thousands(f)
	case math.Abs(f) >= 0.1:
		return fmt.Sprintf("%.3f", f)
	default:
		return fmt.Sprintf("%.4f", f)
	}
}
