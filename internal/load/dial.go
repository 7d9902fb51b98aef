package load

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"hocket.dev/wire"
)

// handshakeTimeout bounds connecting and the opening handshake of one connection.
const handshakeTimeout = 10 * time.Second

// dialer opens connections one after another.
type dialer struct {
	opts    Options
	sources []*net.TCPAddr
	buf     *bufio.Reader
	opened  int
}

// newDialer returns a dialer for the addresses in opts.
func newDialer(opts Options, to address) (*dialer, error) {
	sources, err := opts.sources(to)
	if err != nil {
		return nil, err
	}
	return &dialer{opts: opts, sources: sources, buf: bufio.NewReaderSize(nil, 4096)}, nil
}

// open connects, completes the handshake, and returns the connection with the bytes
// that came behind the handshake, which are the caller's to keep.
func (d *dialer) open(ctx context.Context, to address) (nc net.Conn, rest []byte, err error) {
	nc, err = d.connect(ctx, to)
	if err != nil {
		return nil, nil, err
	}
	d.opened++
	plain := nc
	stop := context.AfterFunc(ctx, func() { plain.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	nc.SetDeadline(time.Now().Add(handshakeTimeout))
	if to.name != "" {
		nc = tls.Client(nc, &tls.Config{ServerName: to.name, InsecureSkipVerify: d.opts.Insecure, NextProtos: []string{"http/1.1"}}) // #nosec G402 -- where it is asked for, by --insecure
	}
	rest, err = d.handshake(nc, to)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	if !stop() {
		nc.Close()
		return nil, nil, context.Cause(ctx)
	}
	nc.SetDeadline(time.Time{})
	return nc, rest, nil
}

// connect opens the socket, from the next of the source addresses.
func (d *dialer) connect(ctx context.Context, to address) (net.Conn, error) {
	if d.opts.dial != nil {
		return d.opts.dial(d.opened)
	}
	dial := net.Dialer{Timeout: handshakeTimeout, KeepAlive: -1}
	if n := len(d.sources); n > 0 {
		dial.LocalAddr = d.sources[d.opened%n]
	}
	nc, err := dial.DialContext(ctx, "tcp", to.hostPort)
	if err != nil {
		return nil, err
	}
	// With a lingering close the ports of a run stay taken for a minute; its
	// sessions say goodbye by a close frame, so nothing is lost by a reset.
	nc.(*net.TCPConn).SetLinger(0)
	return nc, nil
}

// handshake asks for the WebSocket and checks the answer.
func (d *dialer) handshake(nc net.Conn, to address) (rest []byte, err error) {
	var nonce [16]byte
	rand.Read(nonce[:])
	key := wire.EncodeKey(nonce)
	request := wire.AppendRequest(nil, wire.Request{Host: to.host, Target: to.target, Key: key})
	if _, err := nc.Write(request); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	d.buf.Reset(nc)
	response, err := http.ReadResponse(d.buf, nil)
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	if _, err := wire.CheckResponse(response.StatusCode, response.Header, key, nil); err != nil {
		return nil, err
	}
	rest, err = d.buf.Peek(d.buf.Buffered())
	return append([]byte(nil), rest...), err
}
