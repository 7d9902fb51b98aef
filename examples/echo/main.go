// Command echo sends back every WebSocket message it receives: as a server with a goroutine
// for each connection or on event loops, or as the client that the Autobahn test suite
// tests. docs/conformance.md says how to point the suite at it.
//
//	go run ./examples/echo -compression on
//	go run ./examples/echo -loops -compression on
//	go run ./examples/echo -suite ws://localhost:9001 -compression takeover
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"hocket.dev/websocket"
)

// settings are the command line.
type settings struct {
	listen      string
	loops       bool
	portable    bool
	suite       string
	agent       string
	maxBytes    int64
	compression websocket.Compression
}

func main() {
	s, err := parse()
	if err == nil {
		err = s.run(context.Background())
	}
	if err != nil {
		log.Fatal(err)
	}
}

func parse() (settings, error) {
	var s settings
	var compression string
	flag.StringVar(&s.listen, "listen", "localhost:9001", "address to serve")
	flag.BoolVar(&s.loops, "loops", false, "serve on event loops instead of a goroutine for each connection")
	flag.BoolVar(&s.portable, "portable", false, "with -loops: the driver of systems without epoll")
	flag.StringVar(&s.suite, "suite", "", "serve nothing, and go through the cases of the fuzzing server at this ws URL")
	flag.StringVar(&s.agent, "agent", "hocket", "with -suite: the name in its reports")
	flag.Int64Var(&s.maxBytes, "max-bytes", 32<<20, "the largest message, in bytes")
	flag.StringVar(&compression, "compression", "off", "off, on, or takeover")
	flag.Parse()
	modes := map[string]websocket.CompressionMode{
		"off": websocket.CompressionOff, "on": websocket.CompressionOn, "takeover": websocket.CompressionTakeover,
	}
	mode, ok := modes[compression]
	if !ok {
		return s, fmt.Errorf("-compression is off, on, or takeover, not %q", compression)
	}
	s.compression = websocket.Compression{Mode: mode}
	return s, nil
}

func (s settings) run(ctx context.Context) error {
	switch {
	case s.suite != "":
		return s.goThroughSuite(ctx)
	case s.loops:
		server, err := websocket.NewServer(onLoops{}, &websocket.ServerOptions{
			AcceptOptions: websocket.AcceptOptions{Compression: s.compression},
			Portable:      s.portable, MaxMessageBytes: s.maxBytes,
		})
		if err != nil {
			return err
		}
		return s.serve(server)
	}
	return s.serve(http.HandlerFunc(s.accept))
}

// serve gives a client that says nothing ten seconds.
func (s settings) serve(h http.Handler) error {
	web := &http.Server{Addr: s.listen, Handler: h, ReadHeaderTimeout: 10 * time.Second}
	return web.ListenAndServe()
}

// accept is the server with a goroutine for each connection.
func (s settings) accept(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Compression: s.compression})
	if err != nil {
		return // Accept has answered the request
	}
	s.echo(r.Context(), c)
}

// echo sends back what comes until the connection ends, and ends it.
func (s settings) echo(ctx context.Context, c *websocket.Conn) {
	defer c.CloseNow()
	c.SetReadLimit(s.maxBytes)
	for msg, err := range c.Messages(ctx) {
		if err != nil || c.Write(ctx, msg.Type, msg.Data) != nil {
			return // the peer has been told what it did wrong, or is gone
		}
	}
}
