package main

import (
	"context"
	"encoding/json"

	"hocket.dev/internal/load"
)

// benchCmd loads a server and measures it.
type benchCmd struct {
	load.Options `embed:""`
	JSON         bool `name:"json" help:"Print the result as JSON instead of a table; durations are nanoseconds."`
}

// Help is the second part of `hocket bench --help`.
func (benchCmd) Help() string {
	return `Opens connections from several loopback addresses, subscribes them, publishes at a rate or in a closed loop, checks that every message reaches every subscriber once, in order and unchanged, and prints rates, percentiles of the time from publish to receipt, and with --pid what the server used. The exit code is 1 if a single message was missing, doubled, out of order or changed.

Examples:
  hocket bench ws://127.0.0.1:8000/v1/ws
  hocket bench -n 5000 -r 20 -d 30s --pid $(pgrep -f 'hocket serve') ws://127.0.0.1:8000/v1/ws
  hocket bench --closed -n 100 ws://127.0.0.1:8000/v1/ws
  hocket bench --idle -n 15000 --pid $(pgrep -f 'hocket serve') ws://127.0.0.1:8000/v1/ws`
}

// Run makes one run.
func (b *benchCmd) Run(ctx context.Context, std streams) error {
	result, err := load.Run(ctx, b.Options)
	if err != nil {
		return err
	}
	if b.JSON {
		encoder := json.NewEncoder(std.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(result)
	} else {
		err = result.WriteText(std.out)
	}
	if err != nil {
		return err
	}
	return result.Err()
}
