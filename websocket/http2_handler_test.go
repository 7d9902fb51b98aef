package websocket

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowStream is the http.ResponseWriter of a stream whose client takes nothing. What is being
// written when it is reset does not end before the test says so.
type slowStream struct {
	header  http.Header
	reset   chan struct{}
	once    sync.Once
	release chan struct{}
}

func (s *slowStream) Header() http.Header             { return s.header }
func (s *slowStream) WriteHeader(int)                 {}
func (s *slowStream) FlushError() error               { return nil }
func (s *slowStream) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline resets the stream when the deadline has passed, as net/http's does.
func (s *slowStream) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		s.once.Do(func() { close(s.reset) })
	}
	return nil
}

func (s *slowStream) Write([]byte) (int, error) {
	<-s.reset
	<-s.release
	return 0, errors.New("reset")
}

// accept answers the handshake of the stream.
func (s *slowStream) accept(t *testing.T, opts *AcceptOptions) *Conn {
	t.Helper()
	body, _ := io.Pipe()
	r := httptest.NewRequest(http.MethodConnect, "https://example.com/", body)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	r.Header = http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}}
	c, err := Accept(s, r, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A handler that has closed its Conn may return: none of the goroutines that write uses the
// http.ResponseWriter any more, which net/http then uses for another request.
func TestHTTP2CloseWaitsForWriters(t *testing.T) {
	closes := map[string]func(*Conn) error{
		"Close":    func(c *Conn) error { return c.Close(CloseNormal, "") },
		"CloseNow": (*Conn).CloseNow,
	}
	write := func(t *testing.T, c *Conn) {
		if err := c.Write(t.Context(), Text, []byte("nobody takes it")); err != nil {
			t.Fatal(err)
		}
	}
	writers := map[string]struct {
		opts  AcceptOptions
		begin func(*testing.T, *Conn)
		lasts time.Duration // until the write is under way
	}{
		"pending": {AcceptOptions{Pending: Pending{MaxPendingBytes: 1}}, write, 0},
		"giving up": {AcceptOptions{Pending: Pending{MaxPendingBytes: 1, Policy: PendingClose}}, func(t *testing.T, c *Conn) {
			write(t, c)
			if err := c.Write(t.Context(), Text, []byte("too much")); !errors.Is(err, ErrPendingFull) {
				t.Fatal(err)
			}
		}, lingerTimeout},
		"keep-alive": {AcceptOptions{KeepAlive: KeepAlive{PingEvery: time.Minute}}, func(*testing.T, *Conn) {}, time.Minute},
	}
	for name, w := range writers {
		for how, end := range closes {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &slowStream{header: http.Header{}, reset: make(chan struct{}), release: make(chan struct{})}
					c := s.accept(t, &w.opts)
					w.begin(t, c)
					time.Sleep(w.lasts)
					synctest.Wait()
					closed := make(chan struct{})
					go func() {
						_ = end(c)
						close(closed)
					}()
					<-s.reset
					time.Sleep(closeTimeout) // all that Close waits for otherwise
					synctest.Wait()
					select {
					case <-closed:
						t.Error("the handler may return, and somebody still writes")
					default:
					}
					close(s.release)
					<-closed
				})
			})
		}
	}
}

// What package http2 says about the mux.
func TestHTTP2Mux(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/any", handler(nil, echo))
	mux.Handle("GET /get", handler(nil, echo))
	s, opts := serveHTTP2(t, mux)
	c := dial(t, s.URL+"/any", opts)
	c.say(t, Text, "hello")
	c.want(t, Text, "hello")
	if _, response, _ := Dial(t.Context(), s.URL+"/get", opts); response == nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("answered %v, want 405", response)
	}
}

// A network connection that Dial opens for itself is given up when its network has gone.
func TestHTTP2NetworkIsWatched(t *testing.T) {
	set := new(DialOptions).transport(target{secure: true}).HTTP2
	if set == nil || set.SendPingTimeout <= 0 || set.PingTimeout <= 0 || set.WriteByteTimeout <= 0 {
		t.Errorf("%+v, want every timeout set", set)
	}
}
