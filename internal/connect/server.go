package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// errReturned is the error of a Write for which the stream is no longer there.
var errReturned = errors.New("the stream has ended, or its handler has returned")

// Is reports whether a request came by CONNECT over HTTP/2 or later, so that it may open a
// stream.
func Is(r *http.Request) bool { return r.ProtoMajor >= 2 && r.Method == http.MethodConnect }

// Accept answers an extended CONNECT with status 200 and the headers, and returns the
// stream. The stream ends when the handler returns, so a handler closes it, or has others
// do so, and calls [Conn.Wait].
//
// An error that is http.ErrNotSupported means that nothing has been answered yet: a
// middleware hides the http.ResponseController's methods.
func Accept(w http.ResponseWriter, r *http.Request, header map[string][]string) (*Conn, error) {
	control := http.NewResponseController(w)
	// The HTTP server's timeouts are for requests.
	if err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})); err != nil {
		return nil, fmt.Errorf("take over the stream: %w", err)
	}
	maps.Copy(w.Header(), header)
	w.WriteHeader(http.StatusOK)
	if err := control.Flush(); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	s := &served{w: w, control: control, body: r.Body}
	s.forget = context.AfterFunc(r.Context(), func() { s.gone.Store(true) })
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return newConn(s, local, remoteAddr(r.RemoteAddr)), nil
}

// remoteAddr returns the address in a request, nil for what is none.
func remoteAddr(s string) net.Addr {
	at, err := netip.ParseAddrPort(s)
	if err != nil {
		return nil
	}
	return net.TCPAddrFromAddrPort(at)
}

// served is the server's side of a stream.
type served struct {
	w       http.ResponseWriter
	control *http.ResponseController
	body    io.ReadCloser
	forget  func() bool
	gone    atomic.Bool // the request's context has ended: w may be no more
}

// Read implements link.
func (s *served) Read(p []byte) (int, error) { return s.body.Read(p) }

// Write implements link. A handler that returns while others write has made a mistake, for
// which net/http panics; here it costs the connection.
func (s *served) Write(p []byte) (n int, err error) {
	defer func() {
		if recover() != nil {
			n, err = 0, errReturned
		}
	}()
	if s.gone.Load() {
		return 0, errReturned
	}
	if n, err = s.w.Write(p); err == nil {
		err = s.control.Flush()
	}
	return n, err
}

// end implements link. The handler's return ends the stream; here reading ends.
func (s *served) end() {
	s.forget()
	_ = s.body.Close() // never fails
}

// abort implements link: a write deadline in the past resets the stream. As with Write, a
// handler that has returned meanwhile costs no more than the connection: here it would be
// the process, because abort is also called by timers.
func (s *served) abort() {
	defer s.end()
	defer func() { _ = recover() }()
	if !s.gone.Load() {
		_ = s.control.SetWriteDeadline(time.Unix(1, 0)) // it worked in Accept
	}
}
