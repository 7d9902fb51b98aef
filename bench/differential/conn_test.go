package differential

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"time"
)

// errCut is how a connection ends whose input is used up: not by io.EOF, which some readers take for the end of a message.
var errCut = errors.New("the connection broke")

// A tape is a connection in memory whose peer has sent everything beforehand. Nothing on it blocks or takes time.
type tape struct {
	in  bytes.Reader
	out bytes.Buffer
}

func newTape(in []byte) *tape {
	t := &tape{}
	t.in.Reset(in)
	return t
}

func (t *tape) Read(p []byte) (int, error) {
	if t.in.Len() == 0 {
		return 0, errCut
	}
	return t.in.Read(p)
}

func (t *tape) Write(p []byte) (int, error) { return t.out.Write(p) }

func (t *tape) Close() error                     { return nil }
func (t *tape) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (t *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (t *tape) SetDeadline(time.Time) error      { return nil }
func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }

// A takeover is the ResponseWriter of a handshake on conn.
type takeover struct {
	conn   net.Conn
	header http.Header
	body   bytes.Buffer // of a refusal
}

func (w *takeover) Header() http.Header         { return w.header }
func (w *takeover) WriteHeader(int)             {}
func (w *takeover) Write(p []byte) (int, error) { return w.body.Write(p) }

func (w *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

// handshake is a client's request with the offer of extensions, "" for none.
func handshake(offer string) *http.Request {
	r := &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "example.org",
		Header: http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		},
	}
	if offer != "" {
		r.Header.Set("Sec-Websocket-Extensions", offer)
	}
	return r
}
