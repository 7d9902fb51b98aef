// Package metrics shows a node's counters to Prometheus.
//
// The floors below count with plain numbers and know nothing of it; a [Collector] reads them when somebody asks. No label
// has a value that a client can choose, so the number of series does not grow with use. docs/metrics.md explains each.
//
//	mux.Handle("GET /metrics", metrics.New(metrics.Sources{Version: version, Node: node, …}))
//
// Everything here may be used from any goroutine.
package metrics
