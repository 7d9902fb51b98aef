package websocket

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"hocket.dev/internal/connect"
	"hocket.dev/wire"
)

// ErrNoHTTP2 is in the error of [Dial] with [DialOptions].HTTP2 when the server, or what
// stands between, does not speak HTTP/2 or does not allow WebSockets over it. A program may
// then dial without.
var ErrNoHTTP2 = errors.New("no WebSocket over HTTP/2 there (RFC 8441 §3)")

// How a network connection over HTTP/2 that Dial opens is watched: when nothing has come for
// so long the server is asked, and has so long to answer. The server's side is advised the
// same, by package http2.
const (
	http2PingEvery   = 25 * time.Second
	http2PongTimeout = 10 * time.Second
)

// byHTTP reports whether an http.Client sends the handshake.
func (o *DialOptions) byHTTP() bool { return o.HTTPClient != nil || o.HTTP2 }

// check refuses options that contradict each other, or the protocol.
func (o *DialOptions) check() error {
	if o.HTTPClient != nil && (o.TLS != nil || o.NetDial != nil || o.Proxy != nil) {
		return errors.New("with HTTPClient its Transport says what TLS, NetDial and Proxy would say: leave them out")
	}
	if err := o.Compression.check(); err != nil {
		return err
	}
	return wire.CheckProtocols(o.Subprotocols)
}

// httpClient returns the client for one handshake. Redirects are ours to follow: of a
// CONNECT it would make a GET.
func (o *DialOptions) httpClient(t target) *http.Client {
	var client http.Client
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	} else {
		client.Transport = o.transport(t)
	}
	client.Timeout = 0 // it would go on beyond the handshake; run bounds that
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// transport returns one that speaks HTTP/2 alone, for one connection.
func (o *DialOptions) transport(t target) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(t.secure)
	protocols.SetUnencryptedHTTP2(!t.secure)
	proxy := o.Proxy
	if proxy == nil && o.NetDial == nil {
		proxy = http.ProxyFromEnvironment
	}
	return &http.Transport{
		Proxy: proxy, DialContext: o.NetDial, TLSClientConfig: o.TLS.Clone(), Protocols: protocols,
		// What net/http itself writes has no other end where the network has gone.
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: http2PingEvery, PingTimeout: http2PongTimeout, WriteByteTimeout: http2PingEvery + http2PongTimeout,
		},
		DisableKeepAlives: true, // the network connection ends with its one stream
	}
}

// An attempt is one handshake by way of an http.Client.
type attempt struct {
	target  target
	opts    *DialOptions
	request wire.Request
	http    *http.Request // without its context, which run adds
	body    *connect.Body // over HTTP/2, else nil
	end     func()        // ends the request, and with it the stream

	mu    sync.Mutex
	nc    net.Conn // the network connection, as far as the Transport has said
	other bool     // it does not speak HTTP/2
}

// newAttempt makes the request.
func newAttempt(t target, opts *DialOptions, header http.Header) *attempt {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	x := &attempt{target: t, opts: opts, request: t.request(wire.EncodeKey(nonce), opts, header)}
	u := *t.url
	u.Scheme, u.User, u.Fragment, u.RawFragment = "http", nil, "", "" // RFC 8441 §5: http for ws, https for wss
	if t.secure {
		u.Scheme = "https"
	}
	if u.Path == "" {
		u.Path = "/" // §5: the :path must not be empty
	}
	x.http = &http.Request{Method: http.MethodGet, URL: &u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if !opts.HTTP2 {
		x.http.Header = x.request.UpgradeHeader()
		return x
	}
	x.body = connect.NewBody()
	x.http.Method, x.http.Body, x.http.ContentLength = http.MethodConnect, x.body, -1
	x.http.Header = x.request.ConnectHeader()
	x.http.Header.Set("Accept-Encoding", "identity") // what comes back are frames, for nobody to unzip
	return x
}

// run sends it and judges the answer. Its body has been used then.
func (x *attempt) run(ctx context.Context) (*Conn, *http.Response, error) {
	if client := x.opts.HTTPClient; client != nil && client.Timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, client.Timeout)
		defer cancel()
		ctx = limited
	}
	// The request's context lives as long as the stream, ctx as long as the handshake.
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	x.end = func() {
		cancel()
		if x.body != nil {
			_ = x.body.Close() // over HTTP/1.1 net/http goes on waiting for more of it; never fails
		}
	}
	x.http = x.http.WithContext(httptrace.WithClientTrace(whole, &httptrace.ClientTrace{GotConn: x.gotConn}))
	release := context.AfterFunc(ctx, x.end)
	c, response, err := x.do(ctx)
	if !release() && err == nil {
		_ = c.CloseNow() // the end of ctx has taken the stream along
		err = context.Cause(ctx)
	}
	if err == nil {
		return c, response, nil
	}
	x.end()
	err = fmt.Errorf("websocket: dial %s: %w", x.target.address, blame(ctx, err))
	if response != nil {
		err = &HandshakeError{response, err}
	}
	return nil, response, err
}

// gotConn learns of the network connection, before the request is sent.
//
// It is also the place for the pseudo-header: net/http's HTTP/2 client takes :protocol from
// the headers, but its Transport refuses the name when the request comes in.
func (x *attempt) gotConn(info httptrace.GotConnInfo) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.nc = info.Conn
	if x.body == nil {
		return
	}
	secured, ok := info.Conn.(interface{ ConnectionState() tls.ConnectionState })
	if x.target.secure && (!ok || secured.ConnectionState().NegotiatedProtocol != "h2") || !x.target.secure && x.speaksHTTP1() {
		x.other = true
		x.end()
		return
	}
	x.http.Header[":protocol"] = []string{"websocket"} // RFC 8441 §5
}

// speaksHTTP1 reports whether an unencrypted connection of the Transport is for HTTP/1.1,
// which it is unless nothing but HTTP/2 is allowed.
func (x *attempt) speaksHTTP1() bool {
	if x.opts.HTTPClient == nil {
		return false
	}
	transport := x.opts.HTTPClient.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	t, ok := transport.(*http.Transport)
	return ok && (t.Protocols == nil || t.Protocols.HTTP1() || !t.Protocols.UnencryptedHTTP2())
}

func (x *attempt) isOther() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.other
}

// do sends the request and judges the response.
func (x *attempt) do(ctx context.Context) (*Conn, *http.Response, error) {
	response, err := x.opts.httpClient(x.target).Do(x.http)
	if err != nil {
		if response != nil {
			x.discard(response.Body) // of a redirect without a Location; the error says it
		}
		return nil, nil, x.explain(ctx, err)
	}
	if x.isOther() { // and was quick to answer what was meant for HTTP/2
		x.discard(response.Body)
		return nil, nil, x.explain(ctx, nil)
	}
	answer, err := x.check(response)
	if err == nil {
		var nc net.Conn
		if nc, err = x.take(response); err == nil {
			response.Body = http.NoBody // what follows are frames
			c := newConn(nc, wire.Client, answer.Protocol, nil)
			c.compress(answer.Deflate, x.opts.Compression)
			c.limitPending(x.opts.Pending)
			c.keepAlive(x.opts.KeepAlive)
			return c, response, nil
		}
	}
	body := response.Body
	if x.accepted(response.StatusCode) {
		response.Body = http.NoBody // behind it may be a live stream, of which no beginning need ever come
	} else {
		keepBody(response)
	}
	x.discard(body) // its beginning is kept
	return nil, response, err
}

// discard closes the body of a response that opens no stream.
func (x *attempt) discard(body io.Closer) {
	if x.body == nil {
		_ = body.Close()
		return
	}
	x.end()
	// Closing waits for the network where there is something unread: net/http gives back the
	// connection's flow control behind whoever writes, which is the end of this stream.
	go func() { _ = body.Close() }()
}

// accepted reports whether a response with this status accepts the handshake, rightly or not,
// so that its body is the stream.
func (x *attempt) accepted(status int) bool {
	if x.body != nil {
		return status/100 == 2 // RFC 8441 §5, RFC 9110 §9.3.6
	}
	return status == http.StatusSwitchingProtocols
}

func (x *attempt) check(response *http.Response) (wire.Answer, error) {
	if x.body != nil {
		return x.request.CheckConnect(response.StatusCode, response.Header)
	}
	return x.request.Check(response.StatusCode, response.Header)
}

// explain says what kept a request from being answered.
func (x *attempt) explain(ctx context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // it repeats the URL
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case x.isOther():
		return fmt.Errorf("the connection is for HTTP/1.1: %w", ErrNoHTTP2)
	case x.body != nil && strings.Contains(err.Error(), "extended connect not supported"): // net/http keeps the error to itself
		return fmt.Errorf("%w: %w", ErrNoHTTP2, err)
	}
	return err
}

// take makes a connection of the response to a handshake that was accepted.
func (x *attempt) take(response *http.Response) (net.Conn, error) {
	x.mu.Lock()
	nc := x.nc
	x.mu.Unlock()
	var local, remote net.Addr
	if nc != nil {
		local, remote = nc.LocalAddr(), nc.RemoteAddr()
	}
	if x.body != nil {
		return connect.Open(x.body, response.Body, x.end, local, remote), nil
	}
	stream, ok := response.Body.(io.ReadWriteCloser)
	switch {
	case !ok:
		return nil, errors.New("the HTTPClient's Transport gives no connection with status 101: the body is no io.Writer")
	case nc != nil:
		return &upgraded{nc, stream}, nil
	}
	return connect.Wrap(stream), nil
}

// upgraded is the connection of a response with status 101. Its bytes go through the body,
// which has what came behind the response, deadlines to the network connection, which is
// ours now.
type upgraded struct {
	net.Conn
	body io.ReadWriteCloser
}

// Read reads from the body.
func (u *upgraded) Read(p []byte) (int, error) { return u.body.Read(p) }

// Write writes to the body.
func (u *upgraded) Write(p []byte) (int, error) { return u.body.Write(p) }

// Close closes the body.
func (u *upgraded) Close() error { return u.body.Close() }

// CloseWrite ends writing, where the network connection can.
func (u *upgraded) CloseWrite() error {
	if half, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
