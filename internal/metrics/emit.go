package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hocket.dev/internal/session"
)

// emitter sends metrics with labels in pairs of name and value.
type emitter struct{ out chan<- prometheus.Metric }

func (e emitter) counter(name, help string, v uint64, labels ...string) {
	e.emit(prometheus.CounterValue, name, help, float64(v), labels)
}

func (e emitter) seconds(name, help string, v time.Duration, labels ...string) {
	e.emit(prometheus.CounterValue, name, help, v.Seconds(), labels)
}

func (e emitter) gauge(name, help string, v float64, labels ...string) {
	e.emit(prometheus.GaugeValue, name, help, v, labels)
}

func (e emitter) emit(typ prometheus.ValueType, name, help string, v float64, labels []string) {
	names, values := split(labels)
	e.out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), typ, v, values...)
}

// split takes pairs apart.
func split(labels []string) (names, values []string) {
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	return names, values
}

// histogram is what a session.Histogram of every loop add up to.
type histogram struct {
	counts [len(session.Bounds{}) + 1]uint64
	sum    uint64
}

// histogram emits h, whose bounds are in units of the given size.
func (e emitter) histogram(name, help string, h *histogram, bounds *session.Bounds, unit float64, labels ...string) {
	buckets, total := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, bound := range bounds {
		total += h.counts[i]
		buckets[float64(bound)*unit] = total // Prometheus wants what is at or below the bound
	}
	total += h.counts[len(bounds)]
	names, values := split(labels)
	e.out <- prometheus.MustNewConstHistogram(prometheus.NewDesc(name, help, names, nil), total, float64(h.sum)*unit, buckets, values...)
}
