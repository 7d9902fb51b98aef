package websocket

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"hocket.dev/internal/connect"
	"hocket.dev/wire"
)

// AcceptOptions change what [Accept] does. nil and the zero value are the same.
type AcceptOptions struct {
	// Subprotocols are the ones this server speaks. The first that the client offers is
	// chosen, in the client's order; none when there is no match.
	Subprotocols []string
	// OriginPatterns are origins that may connect besides the server's own. A pattern is
	// matched by path.Match, in any case, against the origin's host and port, or against
	// scheme://host:port when it holds "://": "example.com", "*.example.com",
	// "https://*.example.com", "localhost:*". "*" allows every origin but "null".
	OriginPatterns []string
	// InsecureSkipOriginCheck lets pages of every origin connect with the cookies of
	// their visitors. It is safe only where no cookie or address proves who one is.
	InsecureSkipOriginCheck bool
	// Header is sent with the response, for example Set-Cookie.
	Header http.Header
	// Compression of messages, where the client offers it; none by default.
	Compression Compression
	// KeepAlive finds peers that have vanished; off by default.
	KeepAlive KeepAlive
	// Pending lets messages wait to be sent; none do by default.
	Pending Pending
}

// Accept answers a WebSocket handshake and takes the connection over from the HTTP
// server. By default a request with an Origin, as browsers send it, is accepted only when
// that is the request's own Host.
//
// When the error is not nil the request has been answered: with the status of the
// [*wire.Refusal] for what is no handshake, 403 for an origin, 500 when the
// ResponseWriter cannot be taken over. Once it is nil, w and r.Body must not be used;
// r.Context ends when the handler returns.
//
// Over HTTP/2 (RFC 8441) the connection is a stream of an HTTP/2 connection, which ends
// when the handler returns: there the handler must stay until Close or CloseNow has
// returned, which wait for every write that is under way. http.Server offers that only where
// package hocket.dev/websocket/http2 is imported, or the environment has
// GODEBUG=http2xconnect=1. The request's method is then CONNECT: a handler in an
// http.ServeMux is registered as "/ws", since "GET /ws" answers it with status 405.
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (*Conn, error) {
	if opts == nil {
		opts = &AcceptOptions{}
	}
	var response wire.Response
	if refusal := opts.judge(r, &response); refusal != nil {
		refuse(w, refusal)
		return nil, refusal
	}
	nc, pending, err := take(w, r, &response)
	if err == nil && !connect.Is(r) {
		err = respond(nc, response.AppendTo(nil))
	}
	if err != nil {
		return nil, fmt.Errorf("websocket: accept: %w", err)
	}
	c := newConn(nc, wire.Server, response.Protocol, pending)
	c.compress(response.Deflate, opts.Compression)
	c.limitPending(opts.Pending)
	c.keepAlive(opts.KeepAlive)
	return c, nil
}

// judge decides whether a request is a handshake that is accepted, and with which response.
func (o *AcceptOptions) judge(r *http.Request, response *wire.Response) *wire.Refusal {
	var up wire.Upgrade
	refusal := parse(r, &up)
	if refusal == nil {
		refusal = o.checkOrigin(up.Origin, r.Host)
	}
	if refusal == nil {
		response.Key = up.Key
		response.Protocol = chooseProtocol(up.Protocols, o.Subprotocols)
		response.Deflate = o.Compression.accept(up.Extensions)
		response.Header = o.Header
	}
	return refusal
}

// parse reads a handshake, over whatever HTTP it came.
func parse(r *http.Request, up *wire.Upgrade) (refusal *wire.Refusal) {
	if connect.Is(r) {
		*up, refusal = wire.ParseConnect(r.Method, r.Host, r.Header)
	} else {
		*up, refusal = wire.ParseUpgrade(r.Method, r.ProtoMajor, r.ProtoMinor, r.Host, r.Header)
	}
	return refusal
}

// refuse answers what is no handshake.
func refuse(w http.ResponseWriter, refusal *wire.Refusal) {
	maps.Copy(w.Header(), refusal.Header)
	http.Error(w, refusal.Message, refusal.Status)
}

// take returns the connection of a handshake, with what was received behind the request, or
// answers that this is not possible. A stream of HTTP/2 has been answered; on any other
// connection, which has the deadlines of the HTTP server, the response is still to be sent.
func take(w http.ResponseWriter, r *http.Request, response *wire.Response) (nc net.Conn, pending []byte, err error) {
	if connect.Is(r) {
		stream, err := connect.Accept(w, r, response.ConnectHeader())
		if err == nil {
			return stream, nil, nil
		}
		if errors.Is(err, http.ErrNotSupported) {
			http.Error(w, "this server cannot take over the stream", http.StatusInternalServerError)
		}
		return nil, nil, err
	}
	nc, pending, err = hijack(w)
	if err != nil {
		http.Error(w, "this server cannot take over the connection", http.StatusInternalServerError)
		return nil, nil, err
	}
	return nc, pending, nil
}

// checkOrigin decides whether a page of this origin may connect. Programs send none.
func (o *AcceptOptions) checkOrigin(origin, host string) *wire.Refusal {
	if origin == "" || o.InsecureSkipOriginCheck {
		return nil
	}
	if u, err := url.Parse(origin); err == nil && u.Host != "" {
		if strings.EqualFold(u.Host, host) {
			return nil
		}
		for _, pattern := range o.OriginPatterns {
			if matchOrigin(pattern, u) {
				return nil
			}
		}
	}
	return &wire.Refusal{
		Status: http.StatusForbidden, Reason: "origin",
		Message: fmt.Sprintf("pages of the origin %q may not connect to %q", origin, host),
	}
}

// matchOrigin reports whether pattern allows origin. A pattern that is malformed allows
// nothing.
func matchOrigin(pattern string, origin *url.URL) bool {
	name := origin.Host
	if strings.Contains(pattern, "://") {
		name = origin.Scheme + "://" + origin.Host
	}
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name))
	return ok && err == nil
}

// chooseProtocol returns the first subprotocol offered that is spoken here.
func chooseProtocol(offered, spoken []string) string {
	for _, p := range offered {
		if slices.Contains(spoken, p) {
			return p
		}
	}
	return ""
}

// hijack takes the connection over, with what was received behind the request.
func hijack(w http.ResponseWriter) (nc net.Conn, pending []byte, err error) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	// The bufio.Reader is left behind: what it holds is at most its buffer.
	pending, err = rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		return nil, nil, errors.Join(err, nc.Close())
	}
	return nc, slices.Clone(pending), nil
}

// respond writes the response of a handshake, and closes nc when that fails.
func respond(nc net.Conn, response []byte) error {
	err := nc.SetDeadline(time.Now().Add(closeTimeout))
	if err == nil {
		_, err = nc.Write(response)
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{}) // the HTTP server's timeouts are not ours
	}
	if err != nil {
		return errors.Join(err, nc.Close())
	}
	return nil
}
