package connect

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// lingerFor is how long a stream that was closed on this side waits for the server to end
// its own, before it is reset.
const lingerFor = time.Second

// errOver is the error of a Write to a stream that is no longer there.
var errOver = errors.New("the stream has ended")

// A Body is the body of the request that opens a stream, made with NewBody. Its Read and
// Close are the HTTP client's to call.
type Body struct {
	chunks chan []byte   // what is to be sent
	taken  chan struct{} // it was; of capacity one
	ended  chan struct{} // closed when nothing more comes
	closed chan struct{} // closed when nothing more is wanted

	endOnce, closeOnce sync.Once

	mu  sync.Mutex
	cur []byte // the rest of a chunk
	due bool   // its writer waits for the word that it was sent
}

// NewBody returns an empty body that waits for what [Conn.Write] brings.
func NewBody() *Body {
	return &Body{
		chunks: make(chan []byte), taken: make(chan struct{}, 1),
		ended: make(chan struct{}), closed: make(chan struct{}),
	}
}

// Read implements io.Reader for the HTTP client. One that asks for more has sent what it
// had.
func (b *Body) Read(p []byte) (int, error) {
	if n := b.next(p); n > 0 {
		return n, nil
	}
	select {
	case chunk := <-b.chunks:
		b.mu.Lock()
		b.cur, b.due = chunk, true
		b.mu.Unlock()
		return b.next(p), nil
	case <-b.ended:
		return 0, io.EOF
	case <-b.closed:
		return 0, errOver
	}
}

// next copies from the chunk that is being sent; 0 when there is none.
func (b *Body) next(p []byte) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := copy(p, b.cur)
	b.cur = b.cur[n:]
	if n == 0 && b.due {
		b.due = false
		b.taken <- struct{}{}
	}
	return n
}

// Close implements io.Closer for the HTTP client, which wants no more.
func (b *Body) Close() error {
	b.closeOnce.Do(func() { close(b.closed) })
	return nil
}

// send hands over a chunk and waits until it is sent. It does not keep p.
func (b *Body) send(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	select {
	case b.chunks <- p:
	case <-b.closed:
		return 0, errOver
	}
	select {
	case <-b.taken:
		return len(p), nil
	case <-b.closed:
		b.mu.Lock()
		b.cur, b.due = nil, false
		b.mu.Unlock()
		return 0, errOver
	}
}

// Open returns the stream of a request with body whose response has come. cancel ends the
// request. The addresses may be nil.
func Open(body *Body, response io.ReadCloser, cancel func(), local, remote net.Addr) *Conn {
	return newConn(&opened{body, response, cancel}, local, remote)
}

// opened is the client's side of a stream.
type opened struct {
	body     *Body
	response io.ReadCloser
	cancel   func()
}

// Read implements link.
func (o *opened) Read(p []byte) (int, error) { return o.response.Read(p) }

// Write implements link.
func (o *opened) Write(p []byte) (int, error) { return o.body.send(p) }

// end implements link: END_STREAM now, and a reset if the server does not end its side.
func (o *opened) end() {
	o.body.endOnce.Do(func() { close(o.body.ended) })
	time.AfterFunc(lingerFor, o.abort) // does nothing to a stream that has ended
}

// abort implements link: the request's end resets the stream with CANCEL (RFC 8441 §5).
func (o *opened) abort() {
	_ = o.body.Close() // never fails
	o.cancel()
	_ = o.response.Close() // the stream is given up
}
