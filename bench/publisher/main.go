//go:build linux

// Command publisher publishes to a Hocket server for the storm of bench, which starts it: see generator.Publishing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"hocket.dev/bench/generator"
)

func main() {
	target := generator.Target{Dialect: generator.Hocket}
	var p generator.Publishing
	flag.StringVar(&target.Addr, "addr", "", "IPv4 address and port of the server")
	flag.IntVar(&p.Rooms, "rooms", 1, "rooms to publish to")
	flag.Float64Var(&p.Rate, "rate", 1, "publishes per second to each room")
	flag.IntVar(&p.Bytes, "bytes", 128, "bytes of each payload")
	flag.Parse()
	if err := generator.Publish(context.Background(), target, p, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "publisher:", err)
		os.Exit(1)
	}
}
