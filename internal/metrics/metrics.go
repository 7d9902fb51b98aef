package metrics

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hocket.dev/internal/hub"
	"hocket.dev/internal/loop"
	"hocket.dev/internal/session"
)

// Sources are where the numbers come from. Functions are called at every scrape; those of packages on this floor are
// given as functions because packages of one floor do not know each other.
type Sources struct {
	Version    string
	Node       *session.Node
	Hub        *hub.Hub
	Loops      *loop.Group
	Handshakes func() uint64            // that succeeded
	Refusals   func() map[string]uint64 // of handshakes, by reason
	Closes     func() map[int]uint64    // of connections, by code
	Requests   func() []Requests        // of the API
	KeyUses    func() map[string]uint64 // of the API, by the key's name
	Compressed func() []Compressed
	Tasks      func() (running, most int)
	Accepting  func() bool // new sessions
	Questions  func() []Questions
}

// Questions counts those to the back end of one kind.
type Questions struct {
	Hook       string
	ByOutcome  map[string]uint64
	DurationMS *session.Histogram // of session.LatencyBounds
}

// Requests counts requests of the API.
type Requests struct {
	Method string
	Status int
	Count  uint64
}

// Compressed counts compressed messages in one direction.
type Compressed struct {
	Direction   string // "in" from clients, "out" to them
	Messages    uint64
	BytesPlain  uint64 // before compression
	BytesPacked uint64 // after it
}

// New makes the handler that is scraped. It has a registry of its own, with the collectors of Go and of the process.
func New(s Sources) http.Handler {
	r := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hocket_build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": s.Version, "go_version": runtime.Version()},
	})
	info.Set(1)
	r.MustRegister(info, &Collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// Collector implements prometheus.Collector.
type Collector struct{ s Sources }

// Describe implements prometheus.Collector. It describes nothing: which reasons and codes there are shows only in use.
func (c *Collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. Each number is exact; together they need not be of the same moment.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	e := emitter{out}
	c.connections(e)
	c.messages(e)
	c.compressed(e)
	c.hub(e)
	c.loops(e)
	c.server(e)
	c.limits(e)
	c.questions(e)
}
