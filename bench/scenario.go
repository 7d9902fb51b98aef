//go:build linux

package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"hocket.dev/bench/generator"
)

// scenario is one question asked of several servers.
type scenario struct {
	name        string
	title       string // with a place for the number of connections
	connections int
	servers     []string
	deflate     bool // with permessage-deflate
	idle        bool // takes long and varies little
	second      bool // wants another server beside, on which nothing else happens
	elsewhere   bool // a process of its own publishes
	work        func(s settings, connections int) generator.Work
	metrics     []metric // the first is the one with spread and ratios
	limits      []limit
}

// metric is one figure of a run.
type metric struct {
	name   string
	unit   string
	of     func(generator.Result) float64
	digits int // behind the point
}

var (
	cpu = func(of string) metric {
		return metric{"server CPU per " + of, "µs", func(r generator.Result) float64 {
			return float64(r.CPU.Nanoseconds()) / 1e3 / float64(r.Done)
		}, 2}
	}
	rate = func(of string) metric {
		return metric{of + " a second", "", func(r generator.Result) float64 { return float64(r.Done) / r.Elapsed.Seconds() }, 0}
	}
	memory = metric{"RSS per connection", "B", func(r generator.Result) float64 { return r.RSS }, 0}
	onWire = metric{"bytes on the wire of 1 of payload", "", func(r generator.Result) float64 { return float64(r.Wire) / float64(r.Payload) }, 3}
	allocs = metric{"allocations per message", "", func(r generator.Result) float64 { return r.Allocs }, 4}
	p50    = metric{"p50", "ms", func(r generator.Result) float64 { return milliseconds(r.P50) }, 2}
	p99    = metric{"p99", "ms", func(r generator.Result) float64 { return milliseconds(r.P99) }, 2}

	calmP99       = metric{"p99 before", "ms", func(r generator.Result) float64 { return milliseconds(r.Calm) }, 2}
	answer        = metric{"publish to answer, p99", "ms", func(r generator.Result) float64 { return milliseconds(r.Answer) }, 2}
	calmAnswer    = metric{"the same before", "ms", func(r generator.Result) float64 { return milliseconds(r.CalmAnswer) }, 2}
	ofCalm        = metric{"p99 of that before", "", func(r generator.Result) float64 { return float64(r.P99) / float64(r.Calm) }, 2}
	ofCalmAnswer  = metric{"of that before", "", func(r generator.Result) float64 { return float64(r.Answer) / float64(r.CalmAnswer) }, 2}
	publishes     = metric{"publishes", "", func(r generator.Result) float64 { return float64(r.Publishes) }, 0}
	calmPublishes = metric{"publishes before", "", func(r generator.Result) float64 { return float64(r.CalmPublishes) }, 0}
)

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// libraries are compared everywhere, in this order.
var libraries = []string{srv, floor, gobwas, nbio, gws, gorilla, coder, nodeWS}

// compressing are those of them that compress as they are used here.
var compressing = []string{srv, srvPlain, floor, nbio, gws, gorilla, coder, nodeWS}

// scenarios lists all of them.
func scenarios() []scenario {
	return concat(idleScenarios(), handshakeScenarios(), echoScenarios(), fanoutScenarios(), wholeServers())
}

func concat(parts ...[]scenario) (all []scenario) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func idleScenarios() []scenario {
	work := func(s settings, n int) generator.Work {
		return generator.Idle{Connections: n, First: s.first, Pause: s.pause, Settle: s.settle}
	}
	const title = "%s connections that have echoed one message%s and say nothing: RSS, less RSS after 1,000 others were opened, used and closed"
	limits := []limit{atMost("RSS per connection", 200, figure(srv))}
	return []scenario{
		{name: "idle", title: fmt.Sprintf(title, "%s", ""), connections: 18_000, servers: libraries, idle: true, work: work, metrics: []metric{memory}, limits: limits},
		{name: "idle-deflate", title: fmt.Sprintf(title, "%s", ", compressed"), connections: 18_000, idle: true, deflate: true,
			servers: []string{srv, nbio, gws, gorilla, coder, nodeWS}, work: work, metrics: []metric{memory}, limits: limits},
	}
}

func handshakeScenarios() []scenario {
	return []scenario{{
		name:        "handshakes",
		title:       "connections opened and closed as soon as the handshake is answered, %s under way",
		connections: 32,
		servers:     []string{srv, srvNetHTTP, floorClose, gobwas, nbio, gws, gorilla, coder, nodeWS},
		work: func(s settings, n int) generator.Work {
			return generator.Handshakes{Open: n, Warmup: s.warmup, Duration: s.duration}
		},
		metrics: []metric{cpu("handshake"), rate("handshakes")},
		limits: []limit{
			atMost("through net/http, of the floor", 1.6, ratio(srvNetHTTP, floorClose)),
			atMost("through the own listener, of the floor", 1.2, ratio(srv, floorClose)),
		},
	}}
}

func echoScenarios() (all []scenario) {
	for _, size := range []int{128, 1024} {
		for _, flight := range []int{1, 16} {
			name := "echo-" + strconv.Itoa(flight)
			if size != 128 {
				name += "-1k"
			}
			limits := []limit{
				atMost("of the best peer with a goroutine per connection", 0.80, ratio(srv, goroutinePeers...)),
				atMost("of the floor", 1.08, ratio(srv, floor)),
			}
			if flight > 1 {
				limits = []limit{atMost("of any peer with a goroutine per connection", 1.0/12, ratio(srv, goroutinePeers...))}
			}
			all = append(all, scenario{
				name: name, connections: 200, servers: libraries,
				title: fmt.Sprintf("%%s connections echo %d bytes, %d in flight on each", size, flight),
				work: func(s settings, n int) generator.Work {
					return generator.Echo{Connections: n, Flight: flight, Bytes: size, Warmup: s.warmup, Duration: s.duration}
				},
				metrics: []metric{cpu("echo"), rate("echoes"), p50, p99},
				limits:  limits,
			})
		}
	}
	return all
}

// fanout returns the work of a scenario at 20 publishes per second.
func fanout(rooms int, book bool) func(s settings, n int) generator.Work {
	return func(s settings, n int) generator.Work {
		return generator.Fanout{Subscribers: n, Rooms: rooms, Rate: 20, Bytes: 128, Book: book, Warmup: s.warmup, Duration: s.duration}
	}
}

// saturate returns the work of a scenario without pauses.
func saturate(s settings, n int) generator.Work {
	return generator.Fanout{Subscribers: n, Open: 64, Bytes: 128, Warmup: s.warmup, Duration: s.duration}
}

func fanoutScenarios() []scenario {
	perMessage := []metric{cpu("delivered message"), p50, p99, allocs}
	none := atMost("allocations per delivered message", 0.01, allocations(srv))
	return []scenario{
		{
			name: "fanout", title: "one room, %s subscribers, 128 bytes, 20 publishes a second", connections: 5000,
			servers: libraries, work: fanout(1, false), metrics: perMessage,
			limits: []limit{
				atMost("of the floor", 1.11, ratio(srv, floor)),
				atMost("of gorilla with prepared messages", 0.70, ratio(srv, gorilla)),
				none,
			},
		},
		{
			name: "fanout-rooms", title: "64 rooms, %s subscribers in all, 128 bytes, 20 publishes a second to each room", connections: 5000,
			servers: libraries, work: fanout(64, false), metrics: perMessage,
		},
		{
			name: "saturate", title: "one room, %s subscribers, 128 bytes, as fast as delivery allows with 64 publishes under way", connections: 1000,
			servers: []string{srv, floor16, floor, gobwas, nbio, gws, gorilla, coder, nodeWS}, work: saturate,
			metrics: []metric{cpu("delivered message"), rate("deliveries"), p50, p99, allocs},
			limits: []limit{
				atMost("of the floor that writes 16 frames per call", 2, ratio(srv, floor16)),
				atMost("of any peer with a goroutine per connection", 0.12, ratio(srv, goroutinePeers...)),
				none,
			},
		},
		{
			name: "fanout-deflate", title: "one room, %s subscribers, order books of 1 KiB, compressed, 20 publishes a second", connections: 5000,
			servers: compressing, deflate: true, work: fanout(1, true),
			metrics: []metric{cpu("delivered message"), onWire, p50, p99, allocs},
			limits: []limit{
				atMost("of the same without compression", 1.15, ratio(srv, srvPlain)),
				atMost("bytes on the wire of 1 uncompressed", 0.42, wireRatio(srv, srvPlain)),
				none,
			},
		},
	}
}

// wholeServers compares Hocket with another real-time server, both with channels,
// envelopes and positions, and with what the bare libraries cost.
func wholeServers() []scenario {
	both := []string{hocket, centrifuge, gorilla, floor}
	return []scenario{
		{
			name: "server-idle", title: "%s sessions, each subscribed to one channel: RSS as for idle", connections: 18_000, idle: true,
			servers: []string{hocket, centrifuge}, metrics: []metric{memory},
			work: func(s settings, n int) generator.Work {
				return generator.Idle{Connections: n, First: s.first, Pause: s.pause, Settle: s.settle}
			},
		},
		{
			name: "server-fanout", title: "one channel, %s subscribers, 128 bytes, 20 publishes a second", connections: 5000,
			servers: both, work: fanout(1, false), metrics: []metric{cpu("delivered message"), p50, p99},
		},
		{
			name: "server-saturate", title: "one channel, %s subscribers, 128 bytes, as fast as delivery allows with 64 publishes under way", connections: 1000,
			servers: []string{hocket, centrifuge, gorilla, floor16}, work: saturate,
			metrics: []metric{cpu("delivered message"), rate("deliveries"), p50, p99},
		},
		{
			name: "server-storm", connections: 18_000, elsewhere: true,
			title:   "18 channels, %s subscribers cut off at once that come back within 5 s, 4 publishes a second to each channel: publish to its answer, and to its receipt by subscribers that were not cut off",
			servers: []string{hocket},
			metrics: []metric{p99, calmP99, ofCalm, answer, calmAnswer, ofCalmAnswer, publishes, calmPublishes, {"reads of the broker", "", func(r generator.Result) float64 { return r.Reads }, 0}, cpu("delivered message")},
			work: func(s settings, n int) generator.Work {
				return generator.Storm{Subscribers: n, Rooms: 18, Rate: 4, Bytes: 128, Warmup: 6 * s.warmup, Calm: s.back, Back: s.back}
			},
			limits: []limit{
				atMost("from publish to receipt in the storm, of the calm", 3, figureOf(hocket, ofCalm)),
				atMost("from publish to answer in the storm, of the calm", 3, figureOf(hocket, ofCalmAnswer)),
				atMost("reads of the broker by a storm", 100, figureOf(hocket, metric{of: func(r generator.Result) float64 { return r.Reads }})),
			},
		},
		{
			name: "server-stalled", connections: 9000,
			title:   "18 channels, %s subscribers that read, and then as many beside them that do not, 1 KiB, 4 publishes a second to each channel",
			servers: []string{hocket},
			metrics: []metric{p99, calmP99, ofCalm, {"RSS per stalled connection", "B", memory.of, 0},
				{"memory of the kernel for sockets per stalled connection", "B", func(r generator.Result) float64 { return r.Kernel }, 0}, cpu("delivered message")},
			work: func(s settings, n int) generator.Work {
				return generator.Stalled{Reading: n, Stalled: n, Rooms: 18, Rate: 4, Bytes: 1024, Warmup: s.warmup, Duration: 2 * s.duration}
			},
			limits: []limit{atMost("RSS per stalled connection", 2048, figureOf(hocket, memory))},
		},
		{
			name: "server-flood", connections: 1000, second: true,
			title:   "20 channels, %s subscribers, 128 bytes, 5 publishes a second to each channel, while one client sends as fast as it can and comes back whenever it is closed: to this server, and before to another one that is idle",
			servers: []string{hocketServe},
			metrics: []metric{p99, calmP99, ofCalm, {"messages of the flood", "", func(r generator.Result) float64 { return float64(r.Flooded) }, 0}, cpu("delivered message")},
			work: func(s settings, n int) generator.Work {
				return generator.Flood{Subscribers: n, Rooms: 20, Rate: 5, Bytes: 128, Warmup: s.warmup, Duration: s.duration}
			},
			limits: []limit{atMost("from publish to receipt beside a flood, of the calm", 1.5, figureOf(hocketServe, ofCalm))},
		},
		{
			name: "server-calm", title: "one channel, %s subscribers, 128 bytes, 50 publishes a second: publish to receipt", connections: 10,
			servers: both, metrics: []metric{{p50.name, p50.unit, p50.of, 3}, {p99.name, p99.unit, p99.of, 3}},
			work: func(s settings, n int) generator.Work {
				return generator.Fanout{Subscribers: n, Rate: 50, Bytes: 128, Warmup: s.warmup, Duration: s.duration}
			},
		},
	}
}

// describe returns the title for so many connections.
func (sc scenario) describe(connections int) string {
	return fmt.Sprintf(sc.title, thousands(float64(connections)))
}

// thousands writes a whole number with commas.
func thousands(v float64) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		s = "-" + s
	}
	return s
}

// size is how many connections a run of sc has by the flags.
func (sc scenario) size(s settings) int {
	switch {
	case s.connections > 0:
		return s.connections
	case s.quick:
		return max(sc.connections/50, min(sc.connections, 64))
	}
	return sc.connections
}

// roundsOf returns how often sc is run.
func (sc scenario) roundsOf(s settings) int {
	if sc.idle {
		return min(s.rounds, 2)
	}
	return s.rounds
}
