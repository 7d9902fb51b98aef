//go:build linux

package main

import (
	"slices"
	"strings"

	"hocket.dev/bench/generator"
)

// server is one that can be measured, with the flags it is started with. Several may be
// the same program.
type server struct {
	name    string
	program string   // the Go package, below bench; "" for hocket, hocket-serve and ws
	args    []string // beside -addr and -compress
	module  string   // whose version is told
	plain   bool     // does not compress, where others do
	dialect generator.Dialect
}

const (
	srv        = "srv"
	srvNetHTTP = "srv-nethttp"
	srvPlain   = "srv-plain"
	floor      = "floor"
	floor16    = "floor-16"
	floorClose = "floor-close"
	gorilla    = "gorilla"
	coder      = "coder"
	gws        = "gws"
	gobwas     = "gobwas"
	nbio       = "nbio"
	nodeWS     = "ws"
	hocket     = "hocket"
	// hocketServe is hocket as it is configured by default, but for clients without proof: with all its limits.
	hocketServe = "hocket-serve"
	centrifuge  = "centrifuge"
)

// servers lists all of them.
func servers() []server {
	return []server{
		{name: srv, program: "srv"},
		{name: srvNetHTTP, program: "srv", args: []string{"-via", "nethttp"}},
		{name: srvPlain, program: "srv", plain: true},
		{name: floor, program: "peers/floor", plain: true},
		{name: floor16, program: "peers/floor", args: []string{"-frames", "16"}, plain: true},
		{name: floorClose, program: "peers/floor", args: []string{"-close"}, plain: true},
		{name: gorilla, program: "peers/gorilla", module: "github.com/gorilla/websocket"},
		{name: coder, program: "peers/coder", module: "github.com/coder/websocket"},
		{name: gws, program: "peers/gws", module: "github.com/lxzan/gws"},
		{name: gobwas, program: "peers/gobwas", module: "github.com/gobwas/ws"},
		{name: nbio, program: "peers/nbio", module: "github.com/lesismal/nbio"},
		{name: nodeWS},
		{name: hocket, args: []string{"--dev"}, dialect: generator.Hocket},
		{name: hocketServe, args: []string{"--config", "hocket.yaml"}, dialect: generator.Hocket},
		{name: centrifuge, program: "peers/centrifuge", module: "github.com/centrifugal/centrifuge", dialect: generator.Centrifuge},
	}
}

// goroutinePeers have a goroutine for each connection.
var goroutinePeers = []string{gorilla, coder, gws}

// find returns the server of a name.
func find(name string) (server, bool) {
	all := servers()
	i := slices.IndexFunc(all, func(s server) bool { return s.name == name })
	if i < 0 {
		return server{}, false
	}
	return all[i], true
}

// family is the part of a name that -peers asks for: srv means srv-nethttp, too.
func family(name string) string {
	name, _, _ = strings.Cut(name, "-")
	return name
}

// stats reports whether the server answers /stats.
func (s server) stats() bool { return s.program == "srv" }
