package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"hocket.dev/dialect"
	"hocket.dev/internal/session"
)

// connections tells who comes and goes.
func (c *Collector) connections(e emitter) {
	sessions := int64(0)
	for _, n := range c.counters() {
		sessions += n.Sessions.Load()
	}
	e.gauge("hocket_sessions", "Sessions on this node.", float64(sessions))
	e.counter("hocket_handshakes_total", "Handshakes that succeeded.", c.s.Handshakes())
	for reason, n := range c.s.Refusals() {
		e.counter("hocket_handshakes_refused_total", "Handshakes that were refused, by reason.", n, "reason", reason)
	}
	closes := make(map[string]uint64)
	for code, n := range c.s.Closes() {
		closes[closeLabel(code)] += n
	}
	for code, n := range closes {
		e.counter("hocket_closes_total", "Connections that have ended, by close code; 1006 is one that broke.", n, "code", code)
	}
	accepting := 0.0
	if c.s.Accepting() {
		accepting = 1
	}
	e.gauge("hocket_accepting", "1 while new sessions are taken, 0 while the node drains.", accepting)
}

// closeLabel is a close code, or "other" for one that only a client can have made up.
func closeLabel(code int) string {
	if code >= 1000 && code <= 1015 || dialect.Code(code).Info().Action != "" {
		return strconv.Itoa(code)
	}
	return "other"
}

// messages tells what sessions say and are told.
func (c *Collector) messages(e emitter) {
	var in, out, deliveries, bytesIn, bytesOut, publishes, duplicates, calls, errors uint64
	var latency, lag histogram
	for _, n := range c.counters() {
		in += n.MessagesIn.Load()
		out += n.MessagesOut.Load()
		deliveries += n.Deliveries.Load()
		bytesIn += n.BytesIn.Load()
		bytesOut += n.BytesOut.Load()
		publishes += n.Publishes.Load()
		duplicates += n.Duplicates.Load()
		calls += n.Calls.Load()
		errors += n.Errors.Load()
		n.LatencyMS.AddTo(&latency.counts, &latency.sum)
		n.Lag.AddTo(&lag.counts, &lag.sum)
	}
	e.counter("hocket_messages_in_total", "Messages from clients.", in)
	e.counter("hocket_messages_out_total", "Messages to clients: entries of channels, and replies, notices and errors.", out+deliveries)
	e.counter("hocket_bytes_in_total", "Bytes of messages from clients.", bytesIn)
	e.counter("hocket_bytes_out_total", "Bytes of messages to clients, with their frames.", bytesOut)
	e.counter("hocket_deliveries_total", "Entries of channels sent to subscribers.", deliveries)
	e.counter("hocket_publishes_total", publishesHelp, publishes, "by", "client")
	e.counter("hocket_publishes_total", publishesHelp, c.s.Node.Publishes.Load(), "by", "server")
	e.counter("hocket_publish_duplicates_total", duplicatesHelp, duplicates, "by", "client")
	e.counter("hocket_publish_duplicates_total", duplicatesHelp, c.s.Node.Duplicates.Load(), "by", "server")
	e.counter("hocket_calls_total", "Calls of methods.", calls)
	e.counter("hocket_errors_total", "Errors told to clients.", errors)
	e.histogram("hocket_delivery_latency_seconds",
		"Time from the publication of an entry, by the broker's clock in whole milliseconds, to its write to a live subscriber; one of 16 writes is measured.",
		&latency, &session.LatencyBounds, 1e-3)
	e.histogram("hocket_lag_entries",
		"Entries that were due to a live subscriber when it was written to, those written included; one of 16 writes is measured.",
		&lag, &session.LagBounds, 1)
}

// compressed tells what compression does.
func (c *Collector) compressed(e emitter) {
	for _, n := range c.s.Compressed() {
		e.counter("hocket_compressed_messages_total",
			"Messages that were compressed: those from clients, and those made for clients, once for all that share one.",
			n.Messages, "direction", n.Direction)
		e.counter("hocket_compressed_plain_bytes_total", "Bytes of these messages before compression.", n.BytesPlain, "direction", n.Direction)
		e.counter("hocket_compressed_bytes_total", "Bytes of these messages after compression.", n.BytesPacked, "direction", n.Direction)
	}
}

const (
	publishesHelp  = "Publishes that the log has acknowledged, duplicates included."
	duplicatesHelp = "Publishes that had been applied before."
)

func (c *Collector) counters() (all []*session.Counters) {
	for i := range c.s.Loops.Len() {
		all = append(all, &c.s.Node.Shard(i).Counters)
	}
	return all
}

// hub tells what is held of the channels that are followed here.
func (c *Collector) hub(e emitter) {
	s := c.s.Hub.Stats()
	e.gauge("hocket_channels", "Channels that are followed on this node.", float64(s.Channels))
	e.gauge("hocket_cursors", "Cursors in them: one per subscription, and one per presence that is followed.", float64(s.Cursors))
	e.gauge("hocket_window_bytes", "Bytes of entries held in windows.", float64(s.WindowBytes))
	e.gauge("hocket_frame_bytes", "Bytes of frames held for subscribers.", float64(s.FrameBytes))
	e.counter("hocket_gaps_total", "Gaps told to subscribers.", s.Gaps)
	for pattern, n := range s.Overflows {
		for action, count := range map[string]uint64{"gap": n.Gap, "disconnect": n.Disconnect, "refill": n.Refill, "latest": n.Latest} {
			e.counter("hocket_overflows_total", overflowsHelp, count, "rule", pattern, "action", action)
		}
	}
	e.counter("hocket_recovered_total", recoveredHelp, s.Recovered, "result", "complete")
	e.counter("hocket_recovered_total", recoveredHelp, s.Unrecovered, "result", "incomplete")
	e.counter("hocket_broker_reads_total", "Reads of the broker for windows and subscribers.", s.Reads)
	e.counter("hocket_entries_found_total", "Live entries that the broker had not delivered and that were read instead.", s.Found)
}

const overflowsHelp = "What was done with subscribers that had been left behind, by the pattern of the channel's rule (empty for the fallback) and action."

const recoveredHelp = "Subscriptions that resumed at a position: complete when no entry was missing, else incomplete."

// loops tells how busy the event loops are.
func (c *Collector) loops(e emitter) {
	for i := range c.s.Loops.Len() {
		s, loop := c.s.Loops.Loop(i).Stats(), strconv.Itoa(i)
		e.counter("hocket_loop_turns_total", "Turns of a loop.", s.Turns, "loop", loop)
		e.counter("hocket_loop_posted_total", "Functions posted to a loop that have run.", s.Posted, "loop", loop)
		e.seconds("hocket_loop_busy_seconds_total", "Time a loop has spent in turns, not waiting.", s.Busy, "loop", loop)
		e.gauge("hocket_loop_longest_turn_seconds", "The longest turn since the node began.", s.Longest.Seconds(), "loop", loop)
		e.gauge("hocket_loop_connections", "Connections of a loop.", float64(s.Conns), "loop", loop)
	}
}

// server tells of what happens beside the loops.
func (c *Collector) server(e emitter) {
	running, most := c.s.Tasks()
	e.gauge("hocket_tasks", "Tasks under way: reads of the broker for requests, and calls of methods.", float64(running))
	e.gauge("hocket_tasks_limit", "Tasks that may be under way at once; beyond it requests are answered with busy.", float64(most))
	for _, r := range c.s.Requests() {
		e.counter("hocket_api_requests_total", "Requests of the API for back ends, by method and HTTP status.", r.Count,
			"method", r.Method, "status", strconv.Itoa(r.Status))
	}
	for name, n := range c.s.KeyUses() {
		e.counter("hocket_api_key_uses_total", "Requests that an API key has let in, by the key's name.", n, "key", name)
	}
}

// questions tells what the back end is asked.
func (c *Collector) questions(e emitter) {
	for _, q := range c.s.Questions() {
		for outcome, n := range q.ByOutcome {
			e.counter("hocket_hook_requests_total", "Questions to the back end, by hook and outcome.", n, "hook", q.Hook, "outcome", outcome)
		}
		var h histogram
		q.DurationMS.AddTo(&h.counts, &h.sum)
		e.histogram("hocket_hook_duration_seconds", "Time from a question to its answer, or to the end of the wait for one.",
			&h, &session.LatencyBounds, 1e-3, "hook", q.Hook)
	}
}

var _ prometheus.Collector = (*Collector)(nil)
