// Package hocket is a real-time server as a library: channels, presence, history and calls over WebSocket.
//
// Every channel is a log, every subscriber a cursor. A [Server] is an http.Handler:
//
//	srv, err := hocket.New(hocket.Config{Anonymous: true})
//	...
//	defer srv.Close(context.Background())
//	srv.Handle("price.get", func(ctx context.Context, c hocket.Call) (any, error) { return 42, nil })
//	http.ListenAndServe("localhost:8000", srv)
//
// and a back end publishes from any goroutine:
//
//	srv.Publish(ctx, "ticker:BTC", map[string]any{"price": 64000})
//
// Some types are those of the package that they belong to, such as [Rule] and [Limits]: docs/api.txt lists their fields and
// methods, and go doc hocket.dev/internal/rule Rule says what they mean.
//
// This package wires the floors below and decides nothing; ARCHITECTURE.md has the map.
package hocket

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
	"hocket.dev/internal/api"
	"hocket.dev/internal/hub"
	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/loop"
	"hocket.dev/internal/schema"
	"hocket.dev/internal/session"
	"hocket.dev/internal/transport/websocket"
)

// Version is the version of this release.
const Version = "0.1.0-dev"

// Server is one node. Its methods may be called from any goroutine.
type Server struct {
	cfg       Config
	gate      gate
	broker    broker.Broker
	hub       *hub.Hub
	loops     *loop.Group
	node      *session.Node
	websocket *websocket.Transport
	api       *api.Handler
	mux       *http.ServeMux
	guesses   *guesses
	tasks     *tasks

	forwardedTold atomic.Bool // the log was told of a header that is not believed

	methodSchemas map[string]*schema.Schema

	methods   sync.RWMutex
	byName    map[string]session.Method
	stop      context.CancelFunc
	running   sync.WaitGroup // the broker and the clock
	closing   sync.Once
	draining  atomic.Bool
	brokerErr atomic.Pointer[error] // why the broker has ended
	began     time.Time

	refusedConns atomic.Uint64 // for want of a descriptor
	refusedTold  atomic.Int64  // when the log was told, in Unix seconds
	unnamedTold  atomic.Int64  // when the log was told of a connection whose client nobody names, in Unix seconds
}

// New starts a node. It returns when the broker answers, at the latest after 10 seconds, and the node runs until Close.
// The error says what is wrong with cfg, or why the node cannot start.
func New(cfg Config) (*Server, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	gate, err := newGate(&cfg)
	if err != nil {
		return nil, err
	}
	methodSchemas, err := compileMethodSchemas(cfg.MethodSchemas)
	if err != nil {
		return nil, err
	}
	loops, err := loop.New(loop.Config{Loops: cfg.Loops, Portable: cfg.Portable, OnPanic: func(v any, stack []byte) {
		cfg.Log.Error("a function on a loop panicked", "panic", v, "stack", string(stack))
	}})
	if err != nil {
		return nil, fmt.Errorf("hocket: start loops: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, gate: gate, methodSchemas: methodSchemas, broker: cfg.Broker, loops: loops, stop: stop,
		tasks:  newTasks(ctx, cfg.Tasks),
		byName: make(map[string]session.Method), mux: http.NewServeMux(), guesses: newGuesses(), began: time.Now(),
	}
	s.wire()
	s.start(ctx)
	if err := s.awaitBroker(ctx); err != nil {
		s.Close(ctx)
		return nil, err
	}
	s.node.Start()
	return s, nil
}

// wire puts the floors together.
func (s *Server) wire() {
	hubLoops := make([]hub.Loop, s.loops.Len())
	sessionLoops := make([]session.Loop, s.loops.Len())
	for i := range hubLoops {
		l := s.loops.Loop(i)
		hubLoops[i], sessionLoops[i] = timedLoop{l}, timedLoop{l}
	}
	s.hub = hub.New(hub.Config{
		Broker: s.broker, Loops: hubLoops, Task: s.tasks.run, BudgetBytes: s.cfg.WindowBytes,
	})
	s.node = session.NewNode(session.Config{
		Name: s.cfg.Node, Secret: s.cfg.Secret, Broker: s.broker, Hub: s.hub, Rules: s.gate.rules, Schemas: s.gate.schemas, Method: s.method,
		Authenticator: s.gate.auth, Asker: s.gate.asker, Calls: s.gate.calls,
		Anonymous: s.cfg.Anonymous, Task: s.tasks.run, Now: time.Now, Log: s.cfg.Log, Limits: s.cfg.Limits,
		PingEvery: s.cfg.PingEvery, Drain: s.cfg.Drain, Loops: sessionLoops, Features: s.gate.features(&s.cfg),
		Elapsed: func() time.Duration { return time.Since(s.began) },
	})
	s.websocket = websocket.New(websocket.Config{
		Node: s.node, Loops: s.loops, Dialects: []dialect.Dialect{native.New()},
		AllowOrigin: s.allowOrigin, Proof: s.gate.auth.Proof, PingEvery: s.cfg.PingEvery, PongTimeout: s.cfg.PongTimeout,
		Compression: s.cfg.Compression, CompressFrom: s.cfg.CompressionMinBytes,
		Address: s.clientAddress,
	})
	s.api = api.New(api.Config{Node: s.node, Open: s.cfg.OpenAPI, Issue: s.gate.issuer(), Failed: s.keyFailed, Info: s.apiInfo})
	s.api.SetKeys(s.cfg.Keys) // setDefaults has checked them
	s.routes()
}

// timedLoop gives a loop's timers the form that the hub and sessions use.
type timedLoop struct{ *loop.Loop }

// After implements hub.Loop and session.Loop.
func (l timedLoop) After(d time.Duration, fn func()) (stop func()) {
	t := l.Loop.After(d, fn)
	return func() { t.Stop() }
}

// start runs the broker and the clock until ctx ends.
func (s *Server) start(ctx context.Context) {
	s.running.Add(2)
	go func() {
		defer s.running.Done()
		if err := s.broker.Run(ctx, s.hub); err != nil && ctx.Err() == nil {
			s.brokerErr.Store(&err)
			s.cfg.Log.Error("the broker has ended", "error", err)
		}
	}()
	if s.gate.keys != nil {
		s.running.Go(func() { s.gate.keys.Run(ctx) })
	}
	go func() {
		defer s.running.Done()
		s.tick(ctx)
	}()
}

// tick is the node's clock, until ctx ends.
func (s *Server) tick(ctx context.Context) {
	second, often := time.NewTicker(time.Second), time.NewTicker(headroomEvery)
	defer second.Stop()
	defer often.Stop()
	if s.cfg.KeepMemory {
		often.Stop()
	}
	s.hub.Tick(time.Now())
	var room headroom
	defer room.end()
	var trim trimmer
	for {
		select {
		case now := <-second.C:
			s.hub.Tick(now)
			s.guesses.sweep()
			s.node.Tick()
			if opened, ended := s.openedAndEnded(); !s.cfg.KeepMemory && !room.holds() {
				trim.tick(now, opened+ended)
			}
		case now := <-often.C:
			_, ended := s.openedAndEnded()
			room.tick(now, ended)
		case <-ctx.Done():
			return
		}
	}
}

// openedAndEnded counts the sessions there have been, and those of them that have ended.
func (s *Server) openedAndEnded() (opened, ended uint64) {
	there := uint64(s.Sessions()) // first: each of them has been counted as opened before
	opened = s.websocket.Handshakes.Load()
	return opened, opened - there
}

// awaitBroker returns when the broker answers.
func (s *Server) awaitBroker(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		_, err := s.broker.Heads(ctx, nil)
		if err == nil {
			return nil
		}
		if failed := s.brokerErr.Load(); failed != nil {
			return fmt.Errorf("hocket: start broker: %w", *failed)
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("hocket: start broker: %w", err)
		}
	}
}

// Handle registers a method that clients may call by name. fn runs on a goroutine of its own until ctx ends, which is
// when the caller has gone or has waited long enough; its result is sent as JSON. An *Error is told to the caller as it
// is, any other error as "internal". A panic closes the caller's session. Registering a name again replaces the method,
// nil removes it.
func (s *Server) Handle(name string, fn func(ctx context.Context, c Call) (any, error)) {
	s.methods.Lock()
	defer s.methods.Unlock()
	if fn == nil {
		delete(s.byName, name)
		return
	}
	fits := s.methodSchemas[name]
	s.byName[name] = func(ctx context.Context, c session.Call) ([]byte, error) {
		if fits != nil {
			if err := session.CheckCall(fits, &c); err != nil {
				return nil, err
			}
		}
		v, err := fn(ctx, c)
		if err != nil {
			return nil, err
		}
		b, err := marshal(v)
		if err == nil {
			err = jsonval.Check(b, maxDepth) // a json.RawMessage may come from anywhere
		}
		return b, err
	}
}

// SetAPIKeys exchanges the keys of the HTTP API, those of Config included, for others. The error says which of them is wrong, and
// leaves those there were.
func (s *Server) SetAPIKeys(keys []APIKey) error {
	if err := s.api.SetKeys(keys); err != nil {
		return fmt.Errorf("hocket: API keys: %w", err)
	}
	return nil
}

// compileMethodSchemas makes the schemas of methods ready, in the order of their names, so that the same error comes first.
func compileMethodSchemas(texts map[string]string) (map[string]*schema.Schema, error) {
	compiled := make(map[string]*schema.Schema, len(texts))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		var err error
		if compiled[name], err = session.CompileSchema(texts[name]); err != nil {
			return nil, fmt.Errorf("hocket: schema of the method %q: %w", name, err)
		}
	}
	return compiled, nil
}

func (s *Server) method(name string) session.Method {
	s.methods.RLock()
	defer s.methods.RUnlock()
	return s.byName[name]
}

// Close ends the node: handshakes are refused, clients are told to come back, and everything the node has started ends.
// It waits for clients to go for Config.Drain, or until ctx ends. Closing again waits for the same end.
//
// A session over HTTP/2 whose network connection takes nothing ends with that connection alone: http.Server.Close ends it, and so does
// WriteByteTimeout in http.Server.HTTP2. Close waits for that.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Do(func() {
		s.draining.Store(true)
		s.websocket.Drain()
		s.node.DrainSessions()
		s.awaitSessions(ctx)
		s.hub.Close()
		s.loops.Close() // the leaves of the last members are published here
		s.stop()
		s.tasks.wait()
		s.gate.asker.client.Close()
	})
	s.running.Wait()
	return nil
}

// awaitSessions waits until all sessions have gone, or the time for that is over.
func (s *Server) awaitSessions(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Drain)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.Sessions() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sessions counts the sessions of this node.
func (s *Server) Sessions() int {
	n := int64(0)
	for i := range s.loops.Len() {
		n += s.node.Shard(i).Counters.Sessions.Load()
	}
	return int(n)
}
