//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: it needs Linux: CPU time and memory of the servers come from /proc")
	os.Exit(1)
}
