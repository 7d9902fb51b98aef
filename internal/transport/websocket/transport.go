package websocket

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/connect"
	"hocket.dev/internal/loop"
	"hocket.dev/internal/loop/listen"
	"hocket.dev/internal/session"
	"hocket.dev/wire"
)

// tokenPrefix begins the subprotocol entry in which a browser carries a token.
const tokenPrefix = "hocket.token." // #nosec G101 -- what stands before one

// Config says how a Transport works.
type Config struct {
	Node     *session.Node
	Loops    *loop.Group
	Dialects []dialect.Dialect // the first one serves clients that ask for no subprotocol
	// AllowOrigin decides whether a page may connect, before anything else; origin is "" where the request names none. It may
	// take out of the request what the page has no right to, such as cookies.
	AllowOrigin func(r *http.Request, origin string) bool
	// Proof finds what a handshake proves of its client, nil for nothing; token is that among its subprotocols, "" for none.
	Proof func(r *http.Request, token string) *session.Proof
	// Address finds the address of the client of a request, which may have come through proxies. nil takes RemoteAddr.
	Address     func(r *http.Request) string
	PingEvery   time.Duration // between pings; whole seconds up to 4 minutes
	PongTimeout time.Duration // for the answer; whole seconds up to 4 minutes
	// Compression accepts the offers of clients of permessage-deflate (RFC 7692), CompressFrom is how many bytes a
	// message has at least that is compressed for them.
	Compression  bool
	CompressFrom int
}

// Transport answers WebSocket handshakes and brings their connections to sessions. It may be used from any goroutine.
type Transport struct {
	cfg      Config
	limits   wire.Limits
	framings framings // of those that compress
	draining atomic.Bool

	inflations []inflation // each belongs to the loop of its index

	Handshakes atomic.Uint64 // that succeeded
	Deflated   Compressed    // messages made for clients: an entry once for all that share it
	Inflated   Compressed    // messages of clients

	mu       sync.Mutex
	refusals map[string]uint64 // by reason
	closes   map[int]uint64    // by code
}

// bufferFactor is how much larger than a message may be a frame is that is still read, and thrown away, so that the
// client learns what was wrong. Beyond it the connection is closed with 1009. With the usual limit a payload of 1 MiB is told.
const bufferFactor = 17

// maxFrame bounds all messages, whatever the limits say.
const maxFrame = 1 << 30

// New makes a Transport.
func New(cfg Config) *Transport {
	t := &Transport{
		cfg: cfg,
		limits: wire.Limits{
			MessageBytes: min(bufferFactor*cfg.Node.Limits().MessageBytes, maxFrame),
			Fragments:    1 << 14,
		},
		inflations: make([]inflation, cfg.Loops.Len()),
		refusals:   make(map[string]uint64),
		closes:     make(map[int]uint64),
	}
	t.framings = newFramings(cfg.CompressFrom, &t.Deflated)
	return t
}

// Drain refuses handshakes from now on.
func (t *Transport) Drain() { t.draining.Store(true) }

// Refusals counts refused handshakes by reason.
func (t *Transport) Refusals() map[string]uint64 { return copyOf(t, t.refusals) }

// Closes counts ended connections by close code, 1006 for those without one.
func (t *Transport) Closes() map[int]uint64 { return copyOf(t, t.closes) }

func copyOf[K comparable](t *Transport, m map[K]uint64) map[K]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := make(map[K]uint64, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func (t *Transport) countClose(code int) {
	t.mu.Lock()
	t.closes[code]++
	t.mu.Unlock()
}

// A verdict is what comes of a handshake.
type verdict struct {
	key, protocol string
	deflate       *wire.Deflate // nil without compression
	session       session.Handshake
}

// response answers the handshake.
func (v *verdict) response() []byte {
	return wire.Response{Key: v.key, Protocol: v.protocol, Deflate: v.deflate}.AppendTo(nil)
}

// A refusal is the HTTP response to a request that becomes no WebSocket.
type refusal struct {
	status  int
	reason  string // for the counter
	code    dialect.Code
	message string
	header  map[string][]string
}

// ServeHTTP answers a handshake. It returns as soon as the connection belongs to a loop, over HTTP/2 when it has ended.
func (t *Transport) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, no := t.judge(r)
	if no != nil {
		t.refuse(w, no)
		return
	}
	if connect.Is(r) {
		t.takeStream(w, r, v)
	} else {
		t.take(w, v)
	}
}

// Upgrade answers a handshake on the loop of p, for a listener that has read it without net/http. It returns false where
// the answer is a refusal, which is ServeHTTP's to give, unless there are too many of those.
func (t *Transport) Upgrade(p *listen.Pending, r *http.Request) bool {
	v, no := t.judge(r)
	if no != nil && no.crowded() {
		t.count(no.reason)
		p.Refuse(no.response())
		return true
	}
	if no != nil {
		return false
	}
	c := t.newConn(&v)
	if p.Accept(v.response(), &c.Conn, c) {
		c.open(v.session, nil)
	} else {
		t.count("write")
	}
	return true
}

// judge decides about a handshake.
func (t *Transport) judge(r *http.Request) (verdict, *refusal) {
	if from := r.Header.Get("Origin"); !t.cfg.AllowOrigin(r, from) {
		why := "pages of " + strconv.Quote(from) + " may not connect: list the origin in the configuration"
		if n := len(r.Header.Values("Origin")); n > 1 {
			why = fmt.Sprintf("the header Origin stands %d times: a request comes from one page, or from none", n)
		}
		return verdict{}, &refusal{http.StatusForbidden, "origin", dialect.OriginNotAllowed, why, nil}
	}
	up, refused := parse(r)
	if refused != nil {
		return verdict{}, &refusal{refused.Status, refused.Reason, dialect.BadHandshake, refused.Message, refused.Header}
	}
	if t.draining.Load() {
		return verdict{}, &refusal{http.StatusServiceUnavailable, "draining", dialect.Draining, "the server shuts down",
			http.Header{"Retry-After": {"1"}}}
	}
	if no := t.admit(r); no != nil {
		return verdict{}, no
	}
	offered, token, err := readProtocols(up.Protocols)
	if err != nil {
		return verdict{}, &refusal{http.StatusBadRequest, "bad_token", dialect.BadHandshake, err.Error(), nil}
	}
	deflate, framing := t.agree(up.Extensions)
	h := session.Handshake{
		Framing: framing,
		Proof:   t.cfg.Proof(r, token),
		Address: r.RemoteAddr,
	}
	t.from(&h, r)
	d, protocol := t.choose(offered)
	h.Codec, h.Commands, h.Err = d.Open(dialect.Handshake{Subprotocol: protocol, Query: r.URL.Query()})
	return verdict{key: up.Key, protocol: protocol, deflate: deflate, session: h}, nil
}

// readProtocols tells apart the subprotocols and the token among what the client offers.
func readProtocols(entries []string) (offered []string, token string, err error) {
	for _, p := range entries {
		t, is := strings.CutPrefix(p, tokenPrefix)
		switch {
		case !is:
			offered = append(offered, p)
		case t == "":
			return nil, "", errors.New("the token in Sec-WebSocket-Protocol is empty")
		case token != "":
			return nil, "", errors.New("Sec-WebSocket-Protocol holds two tokens")
		case strings.ContainsFunc(t, notToken):
			return nil, "", errors.New("the token in Sec-WebSocket-Protocol holds a character that is none of base64url, '.', '-', '_', '~'")
		default:
			token = t
		}
	}
	if token != "" && len(offered) == 0 {
		return nil, "", errors.New("Sec-WebSocket-Protocol names a token, but no hocket.v1 protocol that could be answered")
	}
	return offered, token, nil
}

// notToken tells what cannot stand in a token.
func notToken(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._~", c))
}

// choose selects the dialect by the first subprotocol, in the dialects' order, that the client offers.
func (t *Transport) choose(offered []string) (dialect.Dialect, string) {
	for _, d := range t.cfg.Dialects {
		for _, p := range d.Subprotocols() {
			for _, o := range offered {
				if o == p {
					return d, p
				}
			}
		}
	}
	return t.cfg.Dialects[0], ""
}

// take completes the handshake and gives the connection to a loop.
func (t *Transport) take(w http.ResponseWriter, v verdict) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		t.refuse(w, &refusal{http.StatusInternalServerError, "no_hijack", dialect.Internal,
			"the connection cannot be taken over: a middleware hides http.Hijacker", nil})
		return
	}
	nc, rw, err := hijacker.Hijack()
	if err != nil {
		t.refuse(w, &refusal{http.StatusInternalServerError, "no_hijack", dialect.Internal, "the connection cannot be taken over", nil})
		return
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered()) // what the client has sent after its request
	early = append([]byte(nil), early...)
	nc.SetDeadline(time.Now().Add(t.cfg.PongTimeout)) // a fresh socket takes the response at once
	if _, err := nc.Write(v.response()); err != nil {
		t.count("write")
		nc.Close()
		return
	}
	nc.SetDeadline(time.Time{})
	t.attach(nc, v, early)
}

// newConn makes the connection of a handshake, which has yet to be given to a loop.
func (t *Transport) newConn(v *verdict) *conn {
	c := &conn{t: t, dec: wire.NewDecoder(wire.Server, &t.limits)}
	if v.deflate != nil {
		c.dec.AllowDeflate()
	}
	v.session.Line = c
	return c
}

// attach gives the connection to a loop.
func (t *Transport) attach(nc net.Conn, v verdict, early []byte) {
	l := t.cfg.Loops.Next()
	c := t.newConn(&v)
	posted := l.Post(func() {
		if err := l.Attach(&c.Conn, nc, c); err != nil {
			t.count("attach")
			return
		}
		c.open(v.session, early)
	})
	if !posted {
		t.count("draining")
		nc.Close()
	}
}

// open begins the session on the loop, with what the client has sent behind its handshake.
func (c *conn) open(h session.Handshake, early []byte) {
	t := c.t
	t.Handshakes.Add(1)
	shard := t.cfg.Node.Shard(c.Loop().Index())
	c.wait(t.cfg.PingEvery/2 + shard.Draw(t.cfg.PingEvery/2+1)) // staggered
	c.session = shard.Open(h)
	if t.draining.Load() { // since judge has looked, and maybe since Node.DrainSessions has
		c.session.Drain(0)
	}
	if len(early) > 0 {
		c.take(early)
	}
}

// ticks is d in the seconds of an alarm, at least one.
func ticks(d time.Duration) uint8 {
	return uint8(min(max(d.Round(time.Second)/time.Second, 1), 255))
}

func (t *Transport) count(reason string) {
	t.mu.Lock()
	t.refusals[reason]++
	t.mu.Unlock()
}

// refuse answers a handshake with an HTTP status and the reason as JSON, as the API does.
func (t *Transport) refuse(w http.ResponseWriter, no *refusal) {
	t.count(no.reason)
	for k, v := range no.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Vary", "Origin")
	w.WriteHeader(no.status)
	w.Write(no.body())
}

// body is the reason as JSON.
func (no *refusal) body() []byte {
	type told struct {
		Code    dialect.Code `json:"code"`
		Name    string       `json:"name"`
		Reason  string       `json:"reason"`
		Message string       `json:"message"`
	}
	b, _ := json.Marshal(map[string]told{"error": {no.code, no.code.Info().Name, no.reason, no.message}}) // nothing in it can fail
	return append(b, '\n')
}
