package websocket

import (
	"errors"
	"net/http"

	"hocket.dev/dialect"
	"hocket.dev/internal/connect"
	"hocket.dev/wire"
)

// parse reads a handshake, over whatever HTTP it came.
func parse(r *http.Request) (wire.Upgrade, *wire.Refusal) {
	if connect.Is(r) {
		return wire.ParseConnect(r.Method, r.Host, r.Header)
	}
	up, refused := wire.ParseUpgrade(r.Method, r.ProtoMajor, r.ProtoMinor, r.Host, r.Header)
	if refused == nil && (r.ContentLength != 0 || len(r.TransferEncoding) > 0) {
		// Where the body ends and the frames begin a proxy on the way may see otherwise.
		refused = &wire.Refusal{Status: http.StatusBadRequest, Reason: "body", Message: "a WebSocket handshake has no body: leave out Content-Length and Transfer-Encoding"}
	}
	return up, refused
}

// takeStream completes a handshake over HTTP/2 (RFC 8441). It returns when the connection has ended, because the stream
// ends with its handler.
func (t *Transport) takeStream(w http.ResponseWriter, r *http.Request, v verdict) {
	response := wire.Response{Protocol: v.protocol, Deflate: v.deflate}
	stream, err := connect.Accept(w, r, response.ConnectHeader())
	switch {
	case errors.Is(err, http.ErrNotSupported):
		t.refuse(w, &refusal{http.StatusInternalServerError, "no_stream", dialect.Internal,
			"the stream cannot be taken over: a middleware hides http.ResponseController", nil})
		return
	case err != nil:
		t.count("write")
		return
	}
	stream.ReadDirectly()
	t.attach(stream, v, nil)
	stream.Wait()
}
