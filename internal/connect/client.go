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
	ready  chan struct{} // there is something to send; of capacity one
	taken  chan struct{} // it was; of capacity one
	last   chan struct{} // closed when nothing more comes
	closed chan struct{} // closed when nothing more is wanted

	lastOnce, closeOnce sync.Once

	mu    sync.Mutex
	cur   []byte // the rest of a chunk
	due   bool   // its writer waits for the word that it was sent
	given bool   // up on this side
}

// NewBody returns an empty body that waits for what [Conn.Write] brings.
func NewBody() *Body {
	return &Body{
		ready: make(chan struct{}, 1), taken: make(chan struct{}, 1),
		last: make(chan struct{}), closed: make(chan struct{}),
	}
}

// Read implements io.Reader for the HTTP client. One that asks for more has sent what it
// had.
func (b *Body) Read(p []byte) (int, error) {
	for {
		if n := b.next(p); n > 0 {
			return n, nil
		}
		select {
		case <-b.ready:
		case <-b.last:
			return 0, io.EOF
		case <-b.closed:
			return 0, errOver
		}
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
	if isClosed(b.closed) || isClosed(b.last) {
		return 0, errOver
	}
	b.mu.Lock()
	b.cur, b.due = p, true
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default: // left behind by a chunk that was taken without it
	}
	select {
	case <-b.taken:
		return len(p), nil
	case <-b.closed:
		return b.left(len(p))
	}
}

// left is the end of send when the client wants no more. What it has taken whole counts as
// sent, as it does when a kernel has taken it: it often has been, by a request whose answer
// ends the stream, and reading tells.
func (b *Body) left(n int) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	whole := len(b.cur) == 0 && !b.given
	b.cur, b.due = nil, false
	if whole {
		return n, nil
	}
	return 0, errOver
}

// giveUp is Close from this side.
func (b *Body) giveUp() {
	b.mu.Lock()
	b.given = true
	b.mu.Unlock()
	_ = b.Close() // never fails
}

// Open returns the stream of a request with body whose response has come. cancel ends the
// request. The addresses may be nil.
func Open(body *Body, response io.ReadCloser, cancel func(), local, remote net.Addr) *Conn {
	return newConn(&opened{body: body, response: response, cancel: cancel}, local, remote)
}

// opened is the client's side of a stream.
type opened struct {
	body     *Body
	response io.ReadCloser
	cancel   func()
	closing  sync.Once // of response
}

// Read implements link.
func (o *opened) Read(p []byte) (int, error) { return o.response.Read(p) }

// Write implements link.
func (o *opened) Write(p []byte) (int, error) { return o.body.send(p) }

// endWriting sends END_STREAM, behind which there are no writes.
func (o *opened) endWriting() { o.body.lastOnce.Do(func() { close(o.body.last) }) }

// end implements link: END_STREAM now, and a reset if the server does not end its side.
func (o *opened) end() {
	o.endWriting()
	time.AfterFunc(lingerFor, o.abort) // does nothing to a stream that has ended
}

// abort implements link: the request's end resets the stream with CANCEL (RFC 8441 §5).
func (o *opened) abort() {
	o.body.giveUp()
	o.cancel()
	// Close waits for the network where there is something unread: net/http gives back the
	// connection's flow control behind whoever writes. It ends with that, or with the connection.
	o.closing.Do(func() {
		go func() { _ = o.response.Close() }() // the stream is given up
	})
}
