package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// dialFunc opens a network connection.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// proxy returns the proxy for t, nil for none.
func (t target) proxy(opts *DialOptions) (*url.URL, error) {
	choose := opts.Proxy
	if choose == nil {
		if opts.NetDial != nil {
			return nil, nil
		}
		choose = http.ProxyFromEnvironment
	}
	u := *t.url
	u.Scheme, u.User = "http", nil
	if t.secure {
		u.Scheme = "https"
	}
	proxy, err := choose(&http.Request{Method: http.MethodGet, URL: &u, Host: u.Host})
	if err != nil {
		return nil, fmt.Errorf("choose a proxy: %w", err)
	}
	return proxy, nil
}

// dialProxy opens a connection to address by way of a proxy.
func dialProxy(ctx context.Context, dial dialFunc, proxy *url.URL, address string, config *tls.Config) (net.Conn, error) {
	var tunnel func(nc net.Conn, user *url.Userinfo, address string) error
	var port string
	switch proxy.Scheme {
	case "http":
		tunnel, port = connectHTTP, "80"
	case "https":
		tunnel, port = connectHTTP, "443"
	case "socks5", "socks5h":
		tunnel, port = connectSOCKS, "1080"
	default:
		return nil, fmt.Errorf("the proxy %s has the scheme %q, want http, https, socks5 or socks5h", proxy.Redacted(), proxy.Scheme)
	}
	if proxy.Port() != "" {
		port = proxy.Port()
	}
	nc, err := dial(ctx, "tcp", net.JoinHostPort(proxy.Hostname(), port))
	if err == nil && proxy.Scheme == "https" {
		nc, err = secure(ctx, nc, config, proxy.Hostname())
	}
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", proxy.Redacted(), err)
	}
	release := interrupt(ctx, nc, net.Conn.SetDeadline)
	err = tunnel(nc, proxy.User, address)
	release()
	if err != nil {
		_ = nc.Close() // the tunnel's error is the one to report
		return nil, fmt.Errorf("proxy %s: %w", proxy.Redacted(), blame(ctx, err))
	}
	return nc, nil
}

// connectHTTP asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6).
func connectHTTP(nc net.Conn, user *url.Userinfo, address string) error {
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if user != nil {
		password, _ := user.Password()
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(nc, request+"\r\n"); err != nil {
		return err
	}
	br := bufio.NewReader(&io.LimitedReader{R: nc, N: maxResponseBytes})
	response, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	switch {
	case err != nil:
		return err
	case response.StatusCode/100 != 2:
		keepBody(response)
		return &HandshakeError{response, fmt.Errorf("CONNECT was answered with status %s", response.Status)}
	case br.Buffered() > 0:
		return errors.New("bytes came through the tunnel before any were sent")
	}
	return nil
}
