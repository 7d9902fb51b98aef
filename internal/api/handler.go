package api

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/session"
)

// Path is where a Handler is to be mounted.
const Path = "/api/v1/"

// MaxBody is how many bytes a request may have.
const MaxBody = 1 << 20

// Config says how a Handler works. Its keys are set by SetKeys.
type Config struct {
	Node *session.Node
	// Failed is told of each request with a key that is not known, and says how long its address has to wait before it may
	// show another; nil lets everybody try.
	Failed func(r *http.Request) (wait time.Duration)
	// Open lets everybody in but pages of other origins. Without it and without keys the API is closed.
	Open bool
	// Issue makes a ticket; nil where there are none.
	Issue func(ctx context.Context, t *Ticket) (ticket string, expires time.Time, err *dialect.Error)
	// Info is what the method info tells.
	Info func() Info
	// Timeout is how long a request may wait for the log; 0 means 10 s.
	Timeout time.Duration
}

// Handler serves the API.
type Handler struct {
	cfg     Config
	keys    atomic.Pointer[ring]
	foreign *http.CrossOriginProtection

	mu       sync.Mutex
	requests map[Outcome]uint64 // guarded by mu
	uses     map[string]uint64  // guarded by mu: by the name of the key
}

// Outcome is what requests are counted by.
type Outcome struct {
	Method string // of the API, "unknown" for any other
	Status int    // of HTTP
}

const unknown = "unknown"

// method appends its result, one JSON value, to dst.
type method func(h *Handler, ctx context.Context, dst, body []byte) ([]byte, *dialect.Error)

// methods are the methods there are; those without a function are promised by the protocol and not there yet.
var methods = map[string]method{
	"publish":   (*Handler).publish,
	"broadcast": (*Handler).broadcast,
	"batch":     (*Handler).batch,
	"history":   (*Handler).history,
	"state":     (*Handler).state,
	"presence":  (*Handler).presence,
	"channels":  (*Handler).channels,
	"remove":    (*Handler).remove,
	"send":      (*Handler).send,
	"info":      (*Handler).info,

	"tickets":    (*Handler).tickets,
	"revoke":     (*Handler).revoke,
	"disconnect": (*Handler).disconnect,

	"sessions": nil, "call": nil, "subscribe": nil, "unsubscribe": nil,
}

// New makes a Handler.
func New(cfg Config) *Handler {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	h := &Handler{
		cfg: cfg, foreign: http.NewCrossOriginProtection(), requests: make(map[Outcome]uint64), uses: make(map[string]uint64),
	}
	h.keys.Store(new(ring))
	return h
}

// Requests counts the requests that have been answered.
func (h *Handler) Requests() map[Outcome]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.requests)
}

// KeyUses counts the requests that keys have let in, by the keys' names.
func (h *Handler) KeyUses() map[string]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.uses)
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, Path)
	do, known := methods[name]
	if !known {
		name = unknown
	}
	status := h.serve(w, r, name, do)
	h.mu.Lock()
	h.requests[Outcome{name, status}]++
	h.mu.Unlock()
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, name string, do method) (status int) {
	scope, other := scopeOf[name]
	if !other && name != unknown {
		scope = name
	}
	g, err := h.admit(r, scope)
	if err != nil {
		return fail(w, err)
	}
	switch {
	case name == unknown:
		return fail(w, dialect.Errorf(dialect.NotFound, "there is no such method: the API has %s", available()))
	case do == nil:
		return fail(w, dialect.Errorf(dialect.NotSupported, "this server does not support this method yet: the API has %s", available()))
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return write(w, http.StatusMethodNotAllowed, appendFailure(nil,
			dialect.Errorf(dialect.InvalidMessage, "a method of the API is asked for with POST")))
	}
	body, err := readBody(w, r)
	if err != nil {
		return fail(w, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.Timeout)
	defer cancel()
	if g != nil {
		ctx = context.WithValue(ctx, grantKey{}, g)
	}
	answer, err := do(h, ctx, []byte(`{"result":`), body)
	if err != nil {
		return fail(w, err)
	}
	return write(w, http.StatusOK, append(answer, '}'))
}

// available lists the methods there are.
func available() string {
	var names []string
	for name, do := range methods {
		if do != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// readBody reads a request's body; none is an object without fields. Content-Type is not looked at: what parses as JSON
// is JSON.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *dialect.Error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, dialect.Errorf(dialect.TooLarge, "a request may have at most %d bytes", large.Limit)
	case err != nil:
		return nil, dialect.Errorf(dialect.InvalidMessage, "the body of the request could not be read to its end")
	case len(body) == 0:
		return []byte("{}"), nil
	}
	return body, nil
}
