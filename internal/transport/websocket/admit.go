package websocket

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/session"
)

// admit looks whether there is room for a client, whoever it is.
func (t *Transport) admit(r *http.Request) *refusal {
	err := t.cfg.Node.Knock(t.address(r))
	if err == nil {
		return nil
	}
	reason := "busy"
	if err.Code == dialect.RateLimited {
		reason = "rate_limited"
	}
	return &refusal{err.Code.Info().HTTP, reason, err.Code, err.Message, http.Header{"Retry-After": {retryAfter(err.RetryAfter)}}}
}

// address is that of the client.
func (t *Transport) address(r *http.Request) string {
	if t.cfg.Address == nil {
		return r.RemoteAddr
	}
	return t.cfg.Address(r)
}

// retryAfter is d in the whole seconds of the header Retry-After, at least one.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(int(math.Ceil(d.Seconds())), 1))
}

// from tells the session who the client is.
func (t *Transport) from(h *session.Handshake, r *http.Request) {
	if h.Address = t.address(r); h.Proof != nil {
		h.Proof.Address = h.Address
	}
}

// crowded tells whether a refusal is for want of room: then it is not worth handing the connection to net/http.
func (no *refusal) crowded() bool { return no.reason == "busy" || no.reason == "rate_limited" }

// response is what a refusal says over HTTP/1.1, on a connection that is closed then.
func (no *refusal) response() []byte {
	body := no.body()
	b := append([]byte("HTTP/1.1 "), strconv.Itoa(no.status)...)
	b = append(append(append(b, ' '), http.StatusText(no.status)...), "\r\n"...)
	for name, values := range no.header {
		for _, v := range values {
			b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
		}
	}
	b = append(b, "Content-Type: application/json\r\nConnection: close\r\nContent-Length: "...)
	b = append(strconv.AppendInt(b, int64(len(body)), 10), "\r\n\r\n"...)
	return append(b, body...)
}
