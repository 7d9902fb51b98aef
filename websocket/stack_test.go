//go:build !race

package websocket

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"unsafe"
)

// net/http calls a handler on a stack of 4 KiB. One that needs more has it copied to a larger one, which takes a tenth of the
// time of a handshake. So a handshake does with what is left, with all that browsers offer, but without middleware. The race
// detector needs more of it.
func TestHandshakeDoesWithItsStack(t *testing.T) {
	compression := Compression{Mode: CompressionOn}
	s := newServer(t, &program{}, ServerOptions{AcceptOptions: AcceptOptions{Subprotocols: []string{"b"}, Compression: compression}})
	moved := make(chan bool)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var mark byte
		before := uintptr(unsafe.Pointer(&mark))
		s.ServeHTTP(w, r)
		moved <- uintptr(unsafe.Pointer(&mark)) != before
	}))
	t.Cleanup(hs.Close)
	const handshakes = 100
	n := 0
	for range handshakes {
		dial(t, "ws"+hs.URL[len("http"):], &DialOptions{Subprotocols: []string{"a", "b"}, Compression: compression})
		if <-moved {
			n++
		}
	}
	if n > handshakes/2 { // the collector may copy some, too
		t.Errorf("the stack was copied in %d of %d handshakes", n, handshakes)
	}
}
