// Package peer is what the servers that Hocket is compared with have in common and what
// no library is measured by: the command line, and the list of who is in which room. What
// they offer is described by package main of bench/srv.
package peer

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
)

// Greeting is what a subscriber is sent once it is in its room.
const Greeting = "ready"

// Main reads the command line, listens, tells the address on the first line of the
// output, and serves until the process is ended.
func Main(serve func(l net.Listener, compress bool) error) {
	MainAt(func(addr string, compress bool) error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		fmt.Println(l.Addr())
		return serve(l, compress)
	})
}

// MainAt is Main for a library that listens itself; serve has to print the address.
func MainAt(serve func(addr string, compress bool) error) {
	addr := flag.String("addr", "127.0.0.1:8000", "address to listen on")
	compress := flag.Bool("compress", false, "agree to permessage-deflate")
	flag.Parse()
	if err := serve(*addr, *compress); err != nil {
		slog.Error("serve", "error", err)
		os.Exit(1)
	}
}

// Rooms says which connections are in which room. Its zero value is empty. Its methods
// may be called from any goroutine.
type Rooms[C comparable] struct {
	mu    sync.RWMutex
	rooms map[string]map[C]struct{}
}

// Join adds a connection to a room.
func (r *Rooms[C]) Join(room string, c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rooms == nil {
		r.rooms = make(map[string]map[C]struct{})
	}
	if r.rooms[room] == nil {
		r.rooms[room] = make(map[C]struct{})
	}
	r.rooms[room][c] = struct{}{}
}

// Leave takes a connection off a room. One that is not in it changes nothing.
func (r *Rooms[C]) Leave(room string, c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rooms[room], c)
}

// Each calls send with every connection of a room. send must not call Join or Leave.
func (r *Rooms[C]) Each(room string, send func(C)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for c := range r.rooms[room] {
		send(c)
	}
}
