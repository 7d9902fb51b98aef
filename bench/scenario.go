//go:build linux

package main

import (
	"fmt"
	"strconv"
	"time"

	"hocket.dev/internal/load"
)

// The servers that can be compared.
const (
	hocket  = "hocket"
	gorilla = "gorilla"
	chat    = "gorilla-chat"
	floor   = "floor"
)

var peerNames = []string{hocket, gorilla, chat, floor}

// scenario is one question asked of several servers.
type scenario struct {
	name    string
	title   string // with a place for the number of subscribers
	peers   []string
	options load.Options // what all servers get; URL, PID and the kind of server are added
	metrics []metric     // the first is the one with spread and ratio
}

// metric is one figure of a run.
type metric struct {
	name  string
	unit  string
	of    func(load.Result) float64
	digit int // digits after the point
}

var (
	cpuPerDelivery = metric{"server CPU per delivered message", "µs", func(r load.Result) float64 {
		return float64(r.Server.CPU.Nanoseconds()) / 1e3 / max(float64(r.Delivered), 1)
	}, 2}
	deliveries = metric{"deliveries per second", "", func(r load.Result) float64 { return r.DeliveryRate() }, 0}
	memory     = metric{"RSS per connection", "B", func(r load.Result) float64 { return float64(r.Server.PerConnection) }, 0}
	openings   = metric{"connections opened per second", "", func(r load.Result) float64 {
		return float64(r.Connections) / max(r.Opening.Seconds(), 1e-9)
	}, 0}
	p50 = metric{"p50", "ms", func(r load.Result) float64 { return milliseconds(r.Latency.P50) }, 3}
	p99 = metric{"p99", "ms", func(r load.Result) float64 { return milliseconds(r.Latency.P99) }, 3}
)

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// scenarios lists all of them.
func scenarios() []scenario {
	return []scenario{
		{
			name:    "idle",
			title:   "%s sessions, each subscribed to one channel, opened one after another: RSS 8 s after the last, less RSS with 200 open, per session opened in between",
			peers:   []string{hocket, gorilla},
			options: load.Options{Connections: 15_000, Idle: true},
			metrics: []metric{memory},
		},
		{
			name:    "fanout20",
			title:   "1 publisher, %s subscribers, 128-byte payload, 20 publishes per second",
			peers:   []string{hocket, gorilla, chat, floor},
			options: load.Options{Connections: 5000, Rate: 20},
			metrics: []metric{cpuPerDelivery, p50, p99},
		},
		{
			name:    "saturate",
			title:   "1 publisher, %s subscribers, 128-byte payload, as fast as delivery allows with 64 publishes on their way",
			peers:   []string{hocket, gorilla},
			options: load.Options{Connections: 1000, Closed: true},
			metrics: []metric{cpuPerDelivery, deliveries, p50, p99},
		},
		{
			name:    "latency",
			title:   "calm: 1 publisher, %s subscribers, 128-byte payload, 50 publishes per second, publish to receipt",
			peers:   []string{hocket, gorilla, floor},
			options: load.Options{Connections: 10, Rate: 50},
			metrics: []metric{p50, p99},
		},
	}
}

// describe returns the title for so many subscribers.
func (sc scenario) describe(connections int) string {
	n := strconv.Itoa(connections)
	if len(n) > 3 {
		n = n[:len(n)-3] + "," + n[len(n)-3:]
	}
	return fmt.Sprintf(sc.title, n)
}

// adapt returns the options of a round of sc by the flags.
func (sc scenario) adapt(s settings) load.Options {
	o := sc.options
	if s.connections > 0 {
		o.Connections = s.connections
	}
	o.Duration, o.Settle, o.Messages = s.duration, s.settle, s.messages
	if s.messages > 0 {
		o.Warmup = -1
	}
	return o
}

// roundsOf returns how often sc is run.
func (sc scenario) roundsOf(s settings) int {
	if sc.options.Idle {
		return min(s.rounds, 3)
	}
	return s.rounds
}
