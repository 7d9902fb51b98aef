package tidy

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// checkFileLength names files that hold more than one story.
func checkFileLength(f file) []string {
	if !f.has(".go", ".ts", ".js", ".mjs", ".css", ".html", ".sh", ".py") || f.isGenerated() {
		return nil
	}
	if n := bytes.Count(f.text, []byte("\n")); n > maxFileLines {
		return []string{fmt.Sprintf("%s: %d lines, more than %d: it tells two stories, split it", f.name, n, maxFileLines)}
	}
	return nil
}

var (
	// Directories of one person's machine. The words are cut in two so that this file passes.
	machinePaths = regexp.MustCompile(`/(root` + `/\w|home/` + `\w|Users/` + `\w)`)
	leftovers    = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	resolved     = regexp.MustCompile(`"resolved": "(https?://[^/"]+)`)
)

// checkText names what belongs to the machine a file was written on, and notes left for later.
func checkText(f file) []string {
	var faults []string
	for i, line := range strings.Split(string(f.text), "\n") {
		if m := machinePaths.FindString(line); m != "" {
			faults = append(faults, fmt.Sprintf("%s:%d: %q is a path of one machine", f.name, i+1, m))
		}
		if m := leftovers.FindString(line); m != "" && f.has(".go", ".ts", ".js", ".mjs", ".md", "Makefile") {
			faults = append(faults, fmt.Sprintf("%s:%d: %s: finish it or write an issue", f.name, i+1, m))
		}
		if m := resolved.FindStringSubmatch(line); m != nil {
			faults = append(faults, fmt.Sprintf("%s:%d: the lock file names the host %s, which others may not reach: npm needs none", f.name, i+1, m[1]))
		}
	}
	return faults
}
