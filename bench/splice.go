//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
)

// The lines between which a page holds what bench wrote last.
const (
	beginMark = "<!-- begin bench -->"
	endMark   = "<!-- end bench -->"
)

// splice returns a page with text in the place of what stands between the marks.
func splice(name string, text []byte) ([]byte, error) {
	page, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	before, rest, ok := bytes.Cut(page, []byte(beginMark+"\n"))
	_, after, closed := bytes.Cut(rest, []byte(endMark+"\n"))
	if !ok || !closed {
		return nil, fmt.Errorf("%s has no lines %s and %s", name, beginMark, endMark)
	}
	return fmt.Appendf(nil, "%s%s\n%s%s\n%s", before, beginMark, text, endMark, after), nil
}
