package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"

	"hocket.dev/wire"
)

const (
	maxResponseBytes = 64 << 10 // of the response's header, against a server that never ends it
	maxRefusalBytes  = 1 << 10  // of the body of a response that refuses
)

// DialOptions change what [Dial] does. nil and the zero value are the same.
type DialOptions struct {
	// Subprotocols are offered to the server, the favourite first. Each is a token and stands
	// once (RFC 6455 §4.1), or Dial returns an error and connects to nobody.
	Subprotocols []string
	// Header is sent with the request, for example Authorization, Cookie or Origin. Host
	// and the handshake's own headers are not taken from it.
	Header http.Header
	// TLS is used for wss; nil means the system's roots and the name in the URL.
	TLS *tls.Config
	// NetDial opens the network connection; nil is that of a net.Dialer. Here a program
	// chooses its own address, or a Unix socket.
	NetDial func(ctx context.Context, network, address string) (net.Conn, error)
	// Proxy returns the proxy for a request, nil for none. Its URL's scheme is http or https
	// (a tunnel by CONNECT), socks5 or socks5h (the proxy resolves the name, with both); a
	// user in it is sent to the proxy. A nil Proxy is http.ProxyFromEnvironment, which
	// reads HTTP_PROXY for ws, HTTPS_PROXY for wss, and NO_PROXY; or no proxy where NetDial
	// is set. The request has only its URL, with http for ws and https for wss.
	Proxy func(*http.Request) (*url.URL, error)
	// MaxRedirects is how many redirects are followed; 0 refuses all. None is followed from
	// wss to ws; to another host Authorization, Cookie and the URL's user are not sent.
	MaxRedirects int
	// HTTPClient sends the handshake; nil is none: Dial does it itself. Of its fields
	// Transport opens the connection, with its own TLS, dialing and proxies, so that TLS,
	// NetDial and Proxy here must be nil; Jar gives and takes cookies; Timeout bounds the
	// handshake alone; CheckRedirect is asked before each redirect that MaxRedirects allows,
	// and its errors refuse it. A Transport must answer status 101 with a body that is an
	// io.Writer, as http.Transport does; one that does not report the network connection
	// to httptrace costs a goroutine for each Read that waits.
	HTTPClient *http.Client
	// HTTP2 makes the connection a stream of an HTTP/2 connection (RFC 8441). The error has
	// [ErrNoHTTP2] when the server does not allow that. For ws the server must speak HTTP/2
	// without TLS, as http.Server does when its Protocols say so.
	//
	// Without HTTPClient each Dial opens a network connection, which ends when the server
	// answers nothing for 35 s, or takes nothing of what is written. With it the Transport is to
	// be an http.Transport, or another that reports to httptrace and does not copy the
	// request; it must speak HTTP/2 with the server, for ws nothing else, and as many
	// WebSockets and requests share a network connection as the server allows. Its HTTP2
	// should set SendPingTimeout, PingTimeout and WriteByteTimeout (25, 10 and 35 s are what
	// Dial itself takes): without them a connection whose network has gone keeps its
	// goroutines until the system gives it up.
	HTTP2 bool
	// Compression of messages, where the server agrees; none by default.
	Compression Compression
	// KeepAlive finds servers that have vanished; off by default.
	KeepAlive KeepAlive
	// Pending lets messages wait to be sent; none do by default.
	Pending Pending
}

// Dial connects to a WebSocket server. The URL's scheme is ws or wss, or http or https
// with the same meaning; a user in it is sent as basic authorization. ctx bounds the
// handshake, not the connection.
//
// The response is the server's answer, nil when there was none. When the server
// refused, the error is a [*HandshakeError] that holds it, too; its body then has the first
// KiB, and need not be closed.
func Dial(ctx context.Context, rawURL string, opts *DialOptions) (*Conn, *http.Response, error) {
	if opts == nil {
		opts = &DialOptions{}
	}
	target, err := parseTarget(rawURL)
	if err == nil {
		err = opts.check()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("websocket: dial: %w", err)
	}
	d := dialing{target: target, opts: opts, header: opts.Header}
	for followed := 0; ; followed++ {
		c, response, err := d.try(ctx)
		if err == nil || response == nil || followed >= opts.MaxRedirects || !redirects(response) {
			return c, response, err
		}
		from := d.target.address
		if err := d.follow(response); err != nil {
			return nil, response, &HandshakeError{response, fmt.Errorf("websocket: dial %s: %w", from, err)}
		}
	}
}

// dialing is a call of Dial on its way through redirects.
type dialing struct {
	target target
	opts   *DialOptions
	header http.Header     // what may be sent to the target
	next   *attempt        // to be made by an http.Client; nil unless there is one
	via    []*http.Request // those it has sent
}

// try connects to the target.
func (d *dialing) try(ctx context.Context) (*Conn, *http.Response, error) {
	if !d.opts.byHTTP() {
		return d.target.dial(ctx, d.opts, d.header)
	}
	if d.next == nil {
		d.next = newAttempt(d.target, d.opts, d.header)
	}
	return d.next.run(ctx)
}

// follow turns to where a redirect leads, if the program allows it.
func (d *dialing) follow(response *http.Response) error {
	var err error
	if d.target, d.header, err = d.target.follow(response, d.header); err != nil || d.next == nil {
		return err
	}
	d.via = append(d.via, d.next.http)
	d.next = newAttempt(d.target, d.opts, d.header)
	if client := d.opts.HTTPClient; client != nil && client.CheckRedirect != nil {
		return client.CheckRedirect(d.next.http, d.via)
	}
	return nil
}

// dial connects to one address, and sends header with the request.
func (t target) dial(ctx context.Context, opts *DialOptions, header http.Header) (*Conn, *http.Response, error) {
	nc, err := t.connect(ctx, opts)
	if err != nil {
		return nil, nil, fmt.Errorf("websocket: dial %s: %w", t.address, err)
	}
	c, response, err := t.handshake(ctx, nc, opts, header)
	if err == nil {
		return c, response, nil
	}
	_ = nc.Close() // the handshake's error is the one to report
	err = fmt.Errorf("websocket: dial %s: %w", t.address, err)
	if response != nil {
		err = &HandshakeError{response, err}
	}
	return nil, response, err
}

// target is where a URL leads.
type target struct {
	url     *url.URL
	secure  bool
	address string // host:port
}

func parseTarget(rawURL string) (target, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return target{}, err
	}
	t := target{url: u}
	port := "80"
	switch u.Scheme {
	case "ws", "http":
	case "wss", "https":
		t.secure, port = true, "443"
	default:
		return target{}, fmt.Errorf("the URL's scheme is %q, want ws or wss", u.Scheme)
	}
	if u.Hostname() == "" {
		return target{}, errors.New("the URL names no host") // it may hold a ticket
	}
	if u.Port() != "" {
		port = u.Port()
	}
	t.address = net.JoinHostPort(u.Hostname(), port)
	return t, nil
}

// connect opens the connection and, for wss, TLS on it.
func (t target) connect(ctx context.Context, opts *DialOptions) (net.Conn, error) {
	dial := opts.NetDial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	proxy, err := t.proxy(opts)
	if err != nil {
		return nil, err
	}
	var nc net.Conn
	if proxy != nil {
		nc, err = dialProxy(ctx, dial, proxy, t.address, opts.TLS)
	} else {
		nc, err = dial(ctx, "tcp", t.address)
	}
	if err != nil || !t.secure {
		return nc, err
	}
	return secure(ctx, nc, opts.TLS, t.url.Hostname())
}

// secure opens TLS on a connection, which it closes when that fails.
func secure(ctx context.Context, nc net.Conn, config *tls.Config, name string) (net.Conn, error) {
	config = config.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName = name
	}
	config.NextProtos = []string{"http/1.1"} // §4.1 needs HTTP/1.1, so nothing else is offered
	secured := tls.Client(nc, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return secured, nil
}

// handshake sends the request and judges the response.
func (t target) handshake(ctx context.Context, nc net.Conn, opts *DialOptions, header http.Header) (*Conn, *http.Response, error) {
	release := interrupt(ctx, nc, net.Conn.SetDeadline)
	defer release()
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := wire.EncodeKey(nonce)
	request := t.request(key, opts, header)
	if _, err := nc.Write(wire.AppendRequest(nil, request)); err != nil {
		return nil, nil, blame(ctx, err)
	}
	limited := &io.LimitedReader{R: nc, N: maxResponseBytes}
	br := bufio.NewReader(limited)
	response, err := http.ReadResponse(br, &http.Request{Method: http.MethodGet, URL: t.url})
	if err != nil {
		return nil, nil, blame(ctx, err)
	}
	answer, err := request.Check(response.StatusCode, response.Header)
	if err != nil {
		keepBody(response)
		return nil, response, err
	}
	response.Body = http.NoBody // what follows are frames
	pending, _ := br.Peek(br.Buffered())
	c := newConn(nc, wire.Client, answer.Protocol, slices.Clone(pending))
	c.compress(answer.Deflate, opts.Compression)
	c.limitPending(opts.Pending)
	c.keepAlive(opts.KeepAlive)
	return c, response, nil
}

// request returns the handshake request.
func (t target) request(key string, opts *DialOptions, header http.Header) wire.Request {
	if user := t.url.User; user != nil && header.Get("Authorization") == "" {
		password, _ := user.Password()
		header = header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	return wire.Request{
		Host: t.url.Host, Target: t.url.RequestURI(), Key: key,
		Protocols: opts.Subprotocols, Header: header, Deflate: opts.Compression.offers(),
	}
}

// keepBody replaces the body of a refusal, which ends with the connection, by its
// beginning.
func keepBody(response *http.Response) {
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusalBytes)) // as much as there is
	response.Body = io.NopCloser(bytes.NewReader(body))
}

// blame names ctx instead of the deadline it set.
func blame(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
