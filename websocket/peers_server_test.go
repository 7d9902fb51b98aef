package websocket

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
)

// errands is a server for peers. A text message tells it what to do:
//
//	/close 4001 the reason    closes
//	/drop                     ends the connection without a word
//	/flood 100                sends so many messages of 64 KiB, as fast as they are taken, and then "done"
//	/flood                    the same, but on loops until no more are taken, and ten more once they are
//
// Every other message comes back.
type errands struct {
	url     string
	ended   chan error    // how each connection ended, as the server was told
	stalled chan struct{} // holds something once an endless flood has met a full socket; on loops only
}

// errandWays are the ways a server can get hold of its connections.
var errandWays = map[string]func(*testing.T, *errands, AcceptOptions) (url string){
	"goroutines": func(t *testing.T, e *errands, opts AcceptOptions) string {
		return serve(t, &opts, e.run)
	},
	"loops behind net.http": func(t *testing.T, e *errands, opts AcceptOptions) string {
		return newServer(t, e, ServerOptions{AcceptOptions: opts, MaxMessageBytes: errandBytes}).listen(t)
	},
	"loops with their listener": func(t *testing.T, e *errands, opts AcceptOptions) string {
		return newServer(t, e, ServerOptions{AcceptOptions: opts, MaxMessageBytes: errandBytes}).listenItself(t)
	},
}

const (
	errandBytes = 4 << 20 // the longest message the server takes
	floodBytes  = 64 << 10
)

func startErrands(t *testing.T, way string, opts AcceptOptions) *errands {
	t.Helper()
	return startErrandsBy(t, errandWays[way], opts)
}

func startErrandsBy(t *testing.T, start func(*testing.T, *errands, AcceptOptions) string, opts AcceptOptions) *errands {
	t.Helper()
	e := &errands{ended: make(chan error, 1000), stalled: make(chan struct{}, 1)}
	e.url = start(t, e, opts)
	return e
}

// flood is message i of a flood.
func flood(i int) string { return strings.Repeat(fmt.Sprintf("%08d", i), floodBytes/8) }

// An errand is what a message asks for.
type errand struct {
	verb   string
	number int
	reason string
}

func parseErrand(typ MessageType, p []byte) (e errand) {
	if typ == Text && strings.HasPrefix(string(p[:min(len(p), 1)]), "/") {
		words := strings.SplitN(string(p), " ", 3)
		if e.verb = words[0]; len(words) > 1 {
			_, _ = fmt.Sscan(words[1], &e.number)
		}
		if len(words) > 2 {
			e.reason = words[2]
		}
	}
	return e
}

// run serves a Conn.
func (e *errands) run(ctx context.Context, c *Conn) {
	c.SetReadLimit(errandBytes)
	for {
		typ, msg, err := c.Read(ctx)
		if err != nil {
			e.ended <- err
			return
		}
		switch what := parseErrand(typ, msg); what.verb {
		case "/close":
			e.ended <- c.Close(CloseCode(what.number), what.reason)
			return
		case "/drop":
			e.ended <- c.CloseNow()
			return
		case "/flood":
			for i := 0; i < cmp.Or(what.number, 100) && err == nil; i++ {
				err = c.Write(ctx, Text, []byte(flood(i)))
			}
			if err == nil {
				err = c.Write(ctx, Text, []byte("done"))
			}
		default:
			err = c.Write(ctx, typ, msg)
		}
		if err != nil {
			e.ended <- err
			return
		}
	}
}

func (e *errands) Open(*Socket, *http.Request) {}

func (e *errands) Message(s *Socket, typ MessageType, p []byte) {
	switch what := parseErrand(typ, p); what.verb {
	case "/close":
		_ = s.Close(CloseCode(what.number), what.reason)
	case "/drop":
		s.CloseNow()
	case "/flood":
		s.Data = &progress{end: cmp.Or(what.number, math.MaxInt)}
		e.Writable(s)
	default:
		_ = s.Write(typ, p)
	}
}

// progress is how far a flood is.
type progress struct{ next, end int }

// Writable goes on with a flood.
func (e *errands) Writable(s *Socket) {
	at, ok := s.Data.(*progress)
	if !ok {
		return
	}
	for ; at.next < at.end; at.next++ {
		if s.Write(Text, []byte(flood(at.next))) != nil {
			if at.end == math.MaxInt {
				at.end = at.next + 10
				e.stalled <- struct{}{}
			}
			return
		}
	}
	if s.Write(Text, []byte("done")) == nil {
		s.Data = nil
	}
}

func (e *errands) Close(_ *Socket, err error) { e.ended <- err }
