package websocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"hocket.dev/internal/connect"
	"hocket.dev/internal/loop"
	"hocket.dev/wire"
)

// A Handler is a program's side of the sockets of a [Server]. All methods are called on
// the socket's loop, one at a time for each loop, so what belongs to one loop needs no
// lock. They must not block: a loop serves thousands. A method that panics costs that
// one socket, whose Close is called with a [*PanicError].
type Handler interface {
	// Open comes first. r is the request of the handshake, without a body, and must not be
	// kept beyond the call.
	Open(s *Socket, r *http.Request)
	// Message brings one whole message. p may be modified, and is valid until Message
	// returns; of [Text] it is valid UTF-8.
	Message(s *Socket, typ MessageType, p []byte)
	// Writable follows a write that was answered with [ErrPendingFull] under [PendingWait],
	// once half of the pending bytes and more have been sent.
	Writable(s *Socket)
	// Close comes last, exactly once for each Open, when the connection has ended. err is
	// nil when the program closed and the peer answered; a [*CloseError] when the peer
	// closed or was lost; a [*wire.Error] when it broke a rule; [ErrPendingFull] when it
	// was closed by [PendingClose]; a [*PanicError]; net.ErrClosed after Server.Close.
	Close(s *Socket, err error)
}

// PanicError is the error with which a socket ends whose [Handler] has panicked. Its
// Value is what was given to panic, Stack where.
type PanicError = loop.PanicError

// ServerOptions change what a [Server] does. nil and the zero value are the same.
type ServerOptions struct {
	// AcceptOptions are those of [Accept]. There are at most 255 subprotocols; the times of
	// KeepAlive are rounded to whole seconds, 255 at most, and its first ping comes earlier,
	// so that those of many sockets are spread. Pending is not used: MaxPendingBytes and
	// PendingPolicy are.
	AcceptOptions
	// Loops is the number of event loops; 0 is max(1, GOMAXPROCS-1). A program with
	// nothing else to do wants GOMAXPROCS to be one more than there are cores, since a
	// waiting loop holds on to one. Where waves of handshakes come through net/http, and the
	// loops are not busy otherwise, it is better left alone: each then takes a fifth less.
	Loops int
	// Portable serves each connection by a goroutine that reads, which is what systems
	// other than Linux do in any case, so that testing/synctest can be used.
	Portable bool
	// MaxMessageBytes is how many bytes a received message may have. 0 is
	// [DefaultReadLimit], less than 0 no limit. A message over it ends the connection with
	// [CloseTooBig] as soon as a frame announces it.
	MaxMessageBytes int64
	// MaxPendingBytes is how many bytes may wait to be sent to one socket before
	// PendingPolicy decides about the next message. 0 is 1 MiB. A message is taken whole
	// or not at all, so that the last one taken may go beyond it by its own size.
	MaxPendingBytes int
	// PendingPolicy says what becomes of a message for a socket that is full.
	PendingPolicy PendingPolicy
	// KeepMemory turns off that memory is given back to the system, at the cost of two
	// collections, some seconds after a wave of a thousand sockets or more that came or went.
	KeepMemory bool
}

// defaultPendingBytes is what [ServerOptions].MaxPendingBytes is when it is 0.
const defaultPendingBytes = 1 << 20

// Server serves WebSockets on event loops: on Linux an idle one is a descriptor and 100
// bytes, without goroutine or buffer, unless [CompressionTakeover] was asked for. It is an http.Handler that takes the connection
// of each handshake over from the HTTP server. A connection that is no *net.TCPConn or
// *net.UnixConn, nor under TLS behind Server.ListenerTLS, is served by a goroutine of its
// own behind the same interface; a stream of HTTP/2 (RFC 8441) by two, its handler's and
// one that reads.
//
// What a handler writes during a turn of its loop goes out in that turn, when all that
// was ready has been read, by one system call for each socket: a batch of pipelined
// requests is answered at once.
//
// Its methods may be called from any goroutine but those of its own loops.
type Server struct {
	opts     ServerOptions
	handler  Handler
	limits   wire.Limits
	pingTick uint8 // 0 for none
	pongTick uint8
	loops    *loop.Group
	shards   []*shard
	trim     trimmer
	sockets  atomic.Int64
	arriving atomic.Int64 // handshakes in ServeHTTP, and connections on the way to their loops
	closing  atomic.Bool
}

// NewServer starts a server for h. It runs until Close. The error is about opts, or the
// system's when there are no descriptors left for the loops.
func NewServer(h Handler, opts *ServerOptions) (*Server, error) {
	s := &Server{handler: h}
	if opts != nil {
		s.opts = *opts
	}
	if err := s.setDefaults(); err != nil {
		return nil, fmt.Errorf("websocket: server: %w", err)
	}
	var err error
	s.loops, err = loop.New(loop.Config{Loops: s.opts.Loops, Portable: s.opts.Portable})
	if err != nil {
		return nil, fmt.Errorf("websocket: server: %w", err)
	}
	for i := range s.loops.Len() {
		s.shards = append(s.shards, newShard(s, s.loops.Loop(i)))
	}
	return s, nil
}

func (s *Server) setDefaults() error {
	o := &s.opts
	if o.MaxMessageBytes == 0 {
		o.MaxMessageBytes = DefaultReadLimit
	}
	s.limits.MessageBytes = max(o.MaxMessageBytes, 0)
	if o.MaxPendingBytes <= 0 {
		o.MaxPendingBytes = defaultPendingBytes
	}
	if every := o.KeepAlive.PingEvery; every > 0 {
		s.pingTick, s.pongTick = ticks(every), ticks(cmp.Or(o.KeepAlive.PongTimeout, every))
	}
	if o.Compression.Threshold <= 0 {
		o.Compression.Threshold = DefaultCompressionThreshold
	}
	switch {
	case len(o.Subprotocols) > 255:
		return fmt.Errorf("%d subprotocols, at most 255 are possible", len(o.Subprotocols))
	case o.PendingPolicy > PendingClose:
		return fmt.Errorf("there is no pending policy %d", o.PendingPolicy)
	}
	return o.Compression.check()
}

// ticks is d in the seconds of an alarm, at least one.
func ticks(d time.Duration) uint8 {
	return uint8(min(max(d.Round(time.Second)/time.Second, 1), 255))
}

// ServeHTTP answers a handshake, as [Accept] does, and returns as soon as the connection
// belongs to a loop; over HTTP/2, where the connection is a stream that ends with the
// handler, when the connection has ended.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Shutdown sets closing first and counts second; here it is the other way round, so that none is answered and then missed.
	s.arriving.Add(1)
	defer s.arriving.Add(-1)
	if s.closing.Load() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the server shuts down", http.StatusServiceUnavailable)
		return
	}
	a := &accepted{request: r}
	if refusal := s.opts.judge(r, &a.response); refusal != nil {
		refuse(w, refusal)
		return
	}
	nc, early, err := take(w, r, &a.response)
	if err != nil {
		return // it was answered, or the client has gone
	}
	a.early = early
	stream, answered := nc.(*connect.Conn)
	if answered {
		a.answered = true
		stream.ReadDirectly()
	}
	s.attach(nc, a)
	if answered {
		stream.Wait()
	}
}

// accepted is a handshake to which the server agrees.
type accepted struct {
	request  *http.Request
	response wire.Response
	answered bool   // the response has been sent
	early    []byte // what was received behind the request
}

// attach gives the connection of a handshake to the loop with the fewest. If a response is
// owed, the loop sends it, where that costs no deadline.
func (s *Server) attach(nc net.Conn, a *accepted) {
	s.arriving.Add(1)
	sh := s.shards[s.loops.Next().Index()]
	posted := sh.loop.Post(func() {
		defer s.arriving.Add(-1)
		so := sh.newSocket(a.response)
		if err := sh.loop.Attach(&so.conn, nc, (*driver)(so)); err != nil {
			return
		}
		if !a.answered {
			so.respond(a.response)
		}
		so.begin(a.request, a.early)
		if s.closing.Load() {
			_ = so.Close(CloseGoingAway, "") // it came in at the last moment: goAway may have passed
		}
	})
	if !posted {
		s.arriving.Add(-1)
		_ = nc.Close() // the server was closed meanwhile
	}
}

// Loops returns the number of event loops.
func (s *Server) Loops() int { return s.loops.Len() }

// Post has fn run on loop i, 0 ≤ i < Loops. It never blocks; functions of one goroutine
// run in the order it posted them. It returns false, and fn will not run, once the
// server is closed. It may also be called from a loop.
func (s *Server) Post(i int, fn func()) bool { return s.loops.Loop(i).Post(fn) }

// Sockets counts the sockets.
func (s *Server) Sockets() int { return int(s.sockets.Load()) }

// Shutdown closes properly: no handshake is accepted any more, every socket is closed
// with [CloseGoingAway], and when all peers have answered, or ctx ends, the server is
// closed. The error is ctx's cause when it ended first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closing.Store(true)
	for _, sh := range s.shards {
		sh.loop.Post(sh.goAway)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var err error
	for s.arriving.Load()+s.sockets.Load() > 0 && err == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			err = fmt.Errorf("websocket: shutdown: %w", context.Cause(ctx))
		}
	}
	return errors.Join(err, s.Close())
}

// Close ends every socket at once, without a close frame, and returns when all
// goroutines of the server have ended. It returns nil.
//
// What is being written over HTTP/2 to a network connection that takes nothing ends with
// that connection alone, so Close and Shutdown wait until the http.Server's Close or its
// WriteByteTimeout ends it; the page of package http2 says more.
func (s *Server) Close() error {
	s.closing.Store(true)
	s.loops.Close()
	s.trim.stop()
	return nil
}
