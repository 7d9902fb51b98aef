// Command srv is hocket.dev/websocket alone behind two jobs: it echoes, and it sends
// what is published to a room to everyone in it. It is the server that bench measures
// against other libraries, written as a program would be that holds many connections:
// nothing in it is there for the measurement but /stats.
//
//	go run ./srv -addr 127.0.0.1:8000
//
//	/echo          answers every message with itself
//	/sub?room=R    greets with the text "ready", then sends what is published to R
//	/pub?room=R    publishes every message to R
//	/stats         JSON: what the Go runtime has allocated so far
//
// With -via listener handshakes are answered on the event loops, with -via nethttp they
// go through net/http like everything else; -compress agrees to permessage-deflate. The
// first line of the output is the address, so that port 0 can be used.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"hocket.dev/websocket"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "address to listen on")
	via := flag.String("via", "listener", "how handshakes come in: listener or nethttp")
	compress := flag.Bool("compress", false, "agree to permessage-deflate")
	flag.Parse()
	if os.Getenv("GOMAXPROCS") == "" && *via == "listener" {
		runtime.GOMAXPROCS(runtime.NumCPU() + 1) // a waiting loop holds on to one: see websocket.ServerOptions
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *via, *compress); err != nil {
		slog.Error("srv", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr, via string, compress bool) error {
	opts := &websocket.ServerOptions{PendingPolicy: websocket.PendingClose} // who does not read holds up nobody
	if compress {
		opts.Compression.Mode = websocket.CompressionOn
	}
	rooms := new(rooms)
	sockets, err := websocket.NewServer(rooms, opts)
	if err != nil {
		return err
	}
	defer sockets.Close()
	rooms.serve(sockets)

	paths := []string{"/echo", "/sub", "/pub"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", stats)
	for _, path := range paths {
		mux.Handle(path, sockets)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	switch via {
	case "listener":
		l = sockets.Listener(l, paths...)
	case "nethttp":
	default:
		return fmt.Errorf("-via %s: there is only listener and nethttp", via)
	}
	fmt.Println(l.Addr())

	server := &http.Server{Handler: mux}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// stats answers with what was allocated, from which one sees what a message costs.
func stats(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	json.NewEncoder(w).Encode(map[string]uint64{"mallocs": m.Mallocs, "bytes": m.TotalAlloc})
}
