package load

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Result is what a run measured. Counters and rates leave the warm-up out; Faults
// include it. Durations are nanoseconds in JSON, sizes bytes.
type Result struct {
	URL          string `json:"url"`
	Mode         string `json:"mode"` // "rate", "closed" or "idle"
	Connections  int    `json:"connections"`
	Channels     int    `json:"channels"`
	PayloadBytes int    `json:"payload_bytes"`

	Opening    time.Duration `json:"opening_ns"`    // opening and subscribing all connections, one after another
	Publishing time.Duration `json:"publishing_ns"` // from the end of the warm-up to the last publish
	Delivering time.Duration `json:"delivering_ns"` // from the end of the warm-up to the last delivery
	Published  uint64        `json:"published"`
	Delivered  uint64        `json:"delivered"` // each subscriber's copy counts
	Late       uint64        `json:"late"`      // publishes the generator sent more than 10 ms after their time

	Latency Latency `json:"latency"`
	Server  *Usage  `json:"server,omitempty"` // nil when its process was not given
	Faults  Faults  `json:"faults"`
}

// Latency summarizes the times from publish to receipt, over every copy of every
// message published after the warm-up.
type Latency struct {
	Count uint64        `json:"count"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
}

// Usage is what the server used.
type Usage struct {
	CPU            time.Duration `json:"cpu_ns"`               // user and system, while measuring
	CPUPerDelivery time.Duration `json:"cpu_per_delivery_ns"`  // CPU over Delivered
	RSSBefore      int64         `json:"rss_before"`           // before the connections were opened; with Idle, with the first 200 open
	RSSOpen        int64         `json:"rss_open"`             // with all of them subscribed; with Idle, after it settled
	PerConnection  int64         `json:"bytes_per_connection"` // the difference, over the connections opened in between
}

// newResult returns a result that says only what is run. o has its defaults.
func newResult(o Options) Result {
	r := Result{
		URL: o.URL, Mode: "rate",
		Connections: o.Connections, Channels: o.Channels, PayloadBytes: o.PayloadBytes,
	}
	switch {
	case o.Idle:
		r.Mode = "idle"
	case o.Closed:
		r.Mode = "closed"
	}
	if o.PID != 0 {
		r.Server = new(Usage)
	}
	return r
}

// setMemory notes what n connections took.
func (r *Result) setMemory(before, after Process, n int) {
	if r.Server != nil {
		r.Server.RSSBefore, r.Server.RSSOpen = before.RSS, after.RSS
		r.Server.PerConnection = (after.RSS - before.RSS) / int64(n)
	}
}

// set notes the time the server used for so many deliveries.
func (u *Usage) set(before, after Process, delivered uint64) {
	u.CPU = after.CPU - before.CPU
	if delivered > 0 {
		u.CPUPerDelivery = u.CPU / time.Duration(delivered)
	}
}

// summarize takes the figures of a histogram.
func summarize(h *Histogram) Latency {
	return Latency{
		Count: h.Count(), Mean: h.Mean(), Max: h.Max(),
		P50: h.Percentile(50), P90: h.Percentile(90), P99: h.Percentile(99), P999: h.Percentile(99.9),
	}
}

// PublishRate returns publishes per second.
func (r *Result) PublishRate() float64 { return perSecond(r.Published, r.Publishing) }

// DeliveryRate returns deliveries per second.
func (r *Result) DeliveryRate() float64 { return perSecond(r.Delivered, r.Delivering) }

func perSecond(n uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// Err returns nil when every message arrived as it should and every connection
// lived, and otherwise an error that says what went wrong first.
func (r *Result) Err() error {
	switch {
	case r.Faults.None():
		return nil
	case len(r.Faults.First) == 0:
		return errors.New("the run does not count: " + r.Faults.String())
	}
	return fmt.Errorf("the run does not count: %s; first: %s", r.Faults.String(), r.Faults.First[0])
}

// WriteText writes r as a table for people.
func (r *Result) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("server", "%s", r.URL)
	row("subscribers", "%d on %d channel(s), opened in %s (%.0f/s)", r.Connections, r.Channels, round(r.Opening), perSecond(uint64(r.Connections), r.Opening))
	if r.Mode != "idle" {
		r.writeTraffic(row)
	}
	if r.Server != nil {
		r.Server.write(row, r.Mode)
	}
	row("faults", "%s", r.Faults.String())
	for _, sentence := range r.Faults.First {
		row("", "%s", sentence)
	}
	return t.Flush()
}

// writeTraffic writes what was published and received.
func (r *Result) writeTraffic(row func(name, format string, args ...any)) {
	row("published", "%d of %d bytes in %s (%.1f/s)", r.Published, r.PayloadBytes, round(r.Publishing), r.PublishRate())
	if r.Late > 0 {
		row("late", "%d publishes went out more than 10 ms after their time: the generator was the bottleneck", r.Late)
	}
	row("delivered", "%d in %s (%.0f/s)", r.Delivered, round(r.Delivering), r.DeliveryRate())
	l := r.Latency
	row("latency", "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", round(l.P50), round(l.P90), round(l.P99), round(l.P999), round(l.Max))
}

// write writes what the server used.
func (u *Usage) write(row func(name, format string, args ...any), mode string) {
	if mode != "idle" {
		row("server CPU", "%s, %s per delivered message", round(u.CPU), round(u.CPUPerDelivery))
	}
	row("server memory", "%.1f MiB before, %.1f MiB open: %d bytes per connection", mebibytes(u.RSSBefore), mebibytes(u.RSSOpen), u.PerConnection)
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// round keeps three or four digits of d.
func round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	case d >= 10*time.Microsecond:
		return d.Round(time.Microsecond)
	}
	return d.Round(10 * time.Nanosecond)
}
