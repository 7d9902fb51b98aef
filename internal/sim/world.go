package sim

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"hocket.dev"
)

// A world is one seed: a node after the other, an engine, and clients.
type world struct {
	seed    uint64
	profile profile
	truth   *truth
	engine  *engine
	clerk   clerk
	start   time.Time
	everybody
	mu       sync.Mutex // guards all below
	house    *house     // nil while there is no node
	links    uint64
	lines    []*link // of all connections
	calmed   bool
	probedAt time.Duration // when all was quiet, and something was published once more; 0 before
	ending   bool
	story    []event
	broken   []violation
	runs     []*run
	sent     []*publication
	readings []*reading
	states   []*stateReading
	members  []*memberReading
	listings []listing
	views    []view
	lives    []*lifetime
	watches  []*watch
	gathered []gathering

	attendants []attendant

	ephemeral map[string]bool // what was published so, by text

	// writers are the lifetimes in which actors have published, by text; nil for what was sent in several.
	writers map[string]*lifetime
	counts  Counts
}

// everybody are the goroutines of clients.
type everybody struct{ acting sync.WaitGroup }

// An event is something that was seen.
type event struct {
	at        time.Duration
	who, what string
}

// A violation is a promise that was broken.
type violation struct {
	who, what string
	at        time.Duration // when it was seen, as far as is known
	about     string        // a channel, or a session
}

// Counts are what was run.
type Counts struct {
	Seeds, Sessions, Messages, Publishes, Violations uint64
}

func (w *world) now() time.Duration { return time.Since(w.start) }

// note writes into the story.
func (w *world) note(who, what string) {
	at := w.now()
	w.mu.Lock()
	w.story = append(w.story, event{at, who, what})
	w.mu.Unlock()
}

// fault tells a broken promise.
func (w *world) fault(about, who string, at time.Duration, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, violation{who, fmt.Sprintf(format, args...), at, about})
}

// A house is a node with its HTTP server.
type house struct {
	srv    *hocket.Server
	http   *http.Server
	conns  chan net.Conn
	gone   chan struct{}
	served chan struct{}
}

// open starts a node.
func (w *world) open() error {
	srv, err := hocket.New(hocket.Config{
		Node: node, Secret: []byte("the same for every node"), Anonymous: true, Portable: true, Loops: w.profile.loops, KeepMemory: true, OpenAPI: true,
		Broker: w.engine, Log: slog.New(slog.DiscardHandler), Drain: drain,
		PingEvery: pingEvery, PongTimeout: pongTimeout, WindowBytes: w.profile.windowBytes,
		Channels: w.profile.rules, Compression: w.profile.compression, Limits: w.profile.limits,
	})
	if err != nil {
		return err
	}
	h := &house{
		srv: srv, http: &http.Server{Handler: srv}, conns: make(chan net.Conn), gone: make(chan struct{}),
		served: make(chan struct{}),
	}
	go func() {
		defer close(h.served)
		_ = h.http.Serve(h)
	}()
	w.mu.Lock()
	w.house = h
	w.mu.Unlock()
	return nil
}

const (
	node        = "n1"
	pingEvery   = 5 * time.Second
	pongTimeout = 3 * time.Second
)

// Accept implements net.Listener, as the methods below.
func (h *house) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.gone:
		return nil, net.ErrClosed
	}
}

func (h *house) Close() error   { return nil }
func (h *house) Addr() net.Addr { return address }

// shut ends the node, as SIGTERM does. Nobody gets through to it meanwhile.
func (w *world) shut() {
	w.mu.Lock()
	h := w.house
	w.house = nil
	w.mu.Unlock()
	_ = h.srv.Close(context.Background())
	close(h.gone)
	_ = h.http.Close()
	<-h.served
}

// crash ends the node as a power cut does: every line breaks, and nothing it says comes to the engine any more.
func (w *world) crash() {
	w.engine.detach()
	w.mu.Lock()
	lines := w.lines
	w.lines = nil
	w.mu.Unlock()
	for _, l := range lines {
		l.cut()
	}
	w.shut()
}

// dial opens a connection to the node, of a quality, of which the seed decides what becomes.
func (w *world) dial(q quality) (*end, *link, error) {
	w.mu.Lock()
	w.links++
	d := throw(w.seed, "link", w.links)
	calmed := w.calmed
	w.mu.Unlock()
	time.Sleep(d.time(q.delay[0], q.delay[1]))
	w.mu.Lock()
	h := w.house
	w.mu.Unlock()
	if h == nil {
		return nil, nil, syscall.ECONNREFUSED
	}
	if calmed {
		q.pieces = 0
	}
	l, client, server := newLink(d, q)
	w.set(func() { w.lines = append(w.lines, l) })
	select {
	case h.conns <- server:
	case <-h.gone:
		return nil, nil, syscall.ECONNREFUSED
	}
	if !calmed {
		w.doom(&d, l, client)
	}
	return client, l, nil
}

// doom decides what befalls a link, and when.
func (w *world) doom(d *dice, l *link, client *end) {
	if !d.chance(w.profile.doomed) {
		return
	}
	at, lasts := d.time(time.Millisecond, 6*time.Second), d.time(time.Millisecond, 4*time.Second)
	kind := d.n(6)
	time.AfterFunc(at, func() {
		w.mu.Lock()
		calmed := w.calmed
		w.mu.Unlock()
		if calmed {
			return
		}
		switch kind {
		case 0:
			l.cut()
		case 1:
			l.vanish()
		case 2:
			_ = client.CloseWrite()
		default:
			l.stall(kind != 3, kind != 4, lasts)
		}
	})
}
