//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// writeMachine says where and with what the figures were taken.
func writeMachine(w io.Writer, s settings, version string) {
	fmt.Fprintf(w, "%s, %d cores, Linux %s, %s; ", processor(), runtime.NumCPU(), kernel(), runtime.Version())
	if version != "" {
		fmt.Fprintf(w, "%s, ", version)
	}
	fmt.Fprintf(w, "gorilla/websocket %s. ", moduleVersion("github.com/gorilla/websocket"))
	if s.pin {
		fmt.Fprint(w, "Server and generator on a core each. ")
	}
	fmt.Fprintln(w, "Servers ran in turn in every round; the spread is from the lowest to the highest round.")
	fmt.Fprintln(w, "Every message was checked to arrive once, in order and byte for byte. "+
		"Hocket's messages carry an envelope around the payload, the other servers' do not.")
}

// writeTable writes the medians of a scenario.
func writeTable(w io.Writer, sc scenario, all results) {
	first := sc.metrics[0]
	rounds := all[sc.peers[0]]
	fmt.Fprintf(w, "\n**%s**: %s. Medians; rounds: %d.\n\n", sc.name, sc.describe(rounds[0].Connections), len(rounds))
	fmt.Fprintf(w, "| server | %s | spread | to gorilla |", first.name)
	for _, m := range sc.metrics[1:] {
		fmt.Fprintf(w, " %s |", m.name)
	}
	fmt.Fprintln(w, "\n|---|"+strings.Repeat("---:|", 3+len(sc.metrics)-1))
	for _, peer := range sc.peers {
		v := values(all[peer], first)
		ratio := "–"
		if base := all[gorilla]; base != nil {
			ratio = fmt.Sprintf("%.2f", median(v)/median(values(base, first)))
		}
		fmt.Fprintf(w, "| %s | %s | %s–%s | %s |", peer, first.format(median(v)), first.number(v[0]), first.number(v[len(v)-1]), ratio)
		for _, m := range sc.metrics[1:] {
			fmt.Fprintf(w, " %s |", m.format(median(values(all[peer], m))))
		}
		fmt.Fprintln(w)
	}
}

// number writes a figure without its unit.
func (m metric) number(v float64) string { return fmt.Sprintf("%.*f", m.digit, v) }

// format writes a figure with its unit.
func (m metric) format(v float64) string { return strings.TrimSpace(m.number(v) + " " + m.unit) }

// processor returns the name of the processor.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range bytes.Lines(info) {
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// kernel returns the version of the kernel, as far as it is a number.
func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	return release
}

// moduleVersion returns the version of a module this program was built with.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == path {
				return dep.Version
			}
		}
	}
	return "of unknown version"
}
