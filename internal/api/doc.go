// Package api is the HTTP API for back ends: POST /api/v1/<method> with a JSON object, answered by {"result":…} or
// {"error":{"code","name","message"}}. docs/api.md is its manual.
//
//	h := api.New(api.Config{Node: node, Info: info})
//	err := h.SetKeys([]api.Key{{Name: "shop", Key: secret, Scopes: []string{"publish:order:*", "read"}}})
//	mux.Handle(api.Path, h)
//	mux.Handle("GET /metrics", h.Guard("metrics", metrics))
//
// The fields of a request have the names and the bounds they have in a client's message (dialect/native reads them), and
// what a channel holds is read through the same methods of session.Node that serve clients. A payload is passed on byte
// for byte. What the package adds is the way in: who may, how large, how long, and which HTTP status says what.
//
// It leaves out CORS on purpose: a key that opens everything does not belong into a page.
//
// A Handler may be used from any goroutine.
package api
