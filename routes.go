package hocket

import (
	"encoding/json"
	"net/http"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/api"
	"hocket.dev/internal/metrics"
	"hocket.dev/internal/transport/websocket"
)

// routes says which path is served by what.
func (s *Server) routes() {
	s.mux.Handle(webSocketPath, s.websocket)
	s.mux.HandleFunc("/v1/info", s.forPages(http.MethodGet, s.info))
	s.mux.Handle(api.Path, s.api)
	s.mux.Handle("GET /metrics", s.api.Guard("metrics", metrics.New(s.sources())))
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	s.mux.HandleFunc("GET /readyz", s.ready)
	s.mux.HandleFunc("/v1/", nothing)
	s.mux.HandleFunc("/api/", nothing)
}

// nothing answers programs that ask for a path which is not there, in the form of every other refusal.
func nothing(w http.ResponseWriter, _ *http.Request) {
	refuse(w, dialect.Errorf(dialect.NotFound,
		"there is nothing at this path: clients have %s and /v1/info, back ends %s", webSocketPath, api.Path))
}

// ServeHTTP serves the paths of Hocket: /v1, /api/v1, /healthz, /readyz and /metrics.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// apiInfo tells back ends what this node is and has.
func (s *Server) apiInfo() api.Info {
	return api.Info{
		Node: s.cfg.Node, Version: Version, UptimeMS: time.Since(s.began).Milliseconds(),
		Sessions: s.Sessions(), Channels: int(s.hub.Stats().Channels), Features: s.node.Features(),
	}
}

// sources are where the metrics come from.
func (s *Server) sources() metrics.Sources {
	return metrics.Sources{
		Version: Version, Node: s.node, Hub: s.hub, Loops: s.loops,
		Handshakes: s.websocket.Handshakes.Load, Refusals: s.websocket.Refusals, Closes: s.websocket.Closes,
		Requests: func() (all []metrics.Requests) {
			for o, n := range s.api.Requests() {
				all = append(all, metrics.Requests{Method: o.Method, Status: o.Status, Count: n})
			}
			return all
		},
		KeyUses: s.api.KeyUses,
		Compressed: func() []metrics.Compressed {
			return []metrics.Compressed{
				compressed("in", &s.websocket.Inflated), compressed("out", &s.websocket.Deflated),
			}
		},
		Questions: s.gate.asker.questions,
		Tasks:     s.tasks.counts, Accepting: func() bool { return !s.draining.Load() },
	}
}

// compressed gives the transport's counters the form of metrics.
func compressed(direction string, c *websocket.Compressed) metrics.Compressed {
	return metrics.Compressed{
		Direction: direction, Messages: c.Messages.Load(), BytesPlain: c.BytesPlain.Load(), BytesPacked: c.BytesPacked.Load(),
	}
}

// info tells clients what this server speaks.
func (s *Server) info(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store") // whether it accepts sessions may change at any time
	json.NewEncoder(w).Encode(map[string]any{
		"name": "hocket", "version": Version, "protocols": []string{"hocket.v1.json"},
		"transports": []string{"websocket"}, "features": s.node.Features(),
		"accepting": !s.draining.Load() && s.node.HasPlace(),
	})
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	switch {
	case s.draining.Load():
		answer(w, http.StatusServiceUnavailable, "draining")
	case s.brokerErr.Load() != nil:
		answer(w, http.StatusServiceUnavailable, "degraded")
	default:
		answer(w, http.StatusOK, "ready")
	}
}

func answer(w http.ResponseWriter, status int, word string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(word + "\n"))
}
