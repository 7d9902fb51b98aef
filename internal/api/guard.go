package api

import (
	"context"
	"net/http"
	"strings"

	"hocket.dev/dialect"
)

// SetKeys has the API opened by these keys from now on, and by no others. The error is a *KeyError, and changes nothing.
func (h *Handler) SetKeys(keys []Key) error {
	r, err := newRing(keys)
	if err == nil {
		h.keys.Store(&r)
	}
	return err
}

// Guard lets only those through to next who have the scope.
func (h *Handler) Guard(scope string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := h.admit(r, scope); err != nil {
			fail(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit tells what is wrong with a request that may not come in. The grant is that of its key, nil where none is needed.
func (h *Handler) admit(r *http.Request, scope string) (*grant, *dialect.Error) {
	if h.cfg.Open {
		// Nobody proves anything here, so whatever a browser is made to send by a page from elsewhere would be obeyed.
		if h.foreign.Check(r) != nil {
			return nil, dialect.Errorf(dialect.OriginNotAllowed, "pages of other origins may not use the API")
		}
		return nil, nil
	}
	keys := *h.keys.Load()
	if len(keys) == 0 {
		return nil, dialect.Errorf(dialect.Unauthenticated, "the API is closed: the configuration has no API key")
	}
	if len(r.Header["Authorization"]) > 1 {
		return nil, dialect.Errorf(dialect.Unauthenticated, "the API key stands twice: send one Authorization")
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, dialect.Errorf(dialect.Unauthenticated, "the API key is missing: send Authorization: Bearer <api key>")
	}
	g := keys.find(strings.TrimSpace(key))
	switch {
	case g == nil:
		return nil, h.unknown(r)
	case !g.opens(scope):
		return nil, g.missing(scope)
	}
	h.mu.Lock()
	h.uses[g.name]++
	h.mu.Unlock()
	return g, nil
}

// unknown is what a key is told that there is not. A key that is known is never kept waiting: that it can be long and random
// is what keeps it from being guessed, and who shares an address with a guesser must not be locked out by it.
func (h *Handler) unknown(r *http.Request) *dialect.Error {
	if h.cfg.Failed != nil {
		if wait := h.cfg.Failed(r); wait > 0 {
			err := dialect.Errorf(dialect.RateLimited, "too many keys from your address that are not known")
			err.RetryAfter = wait
			return err
		}
	}
	return dialect.Errorf(dialect.Unauthenticated, "the API key is not known")
}

func (g *grant) missing(scope string) *dialect.Error {
	return dialect.Errorf(dialect.MissingScope, "the API key %s has not the scope %s", g.name, scope)
}

// grantKey is where the context of a request has its grant.
type grantKey struct{}

// permit tells what is wrong with a channel that the key of a request may not do this to.
func permit(ctx context.Context, scope, channel string) *dialect.Error {
	g, ok := ctx.Value(grantKey{}).(*grant)
	switch {
	case !ok || g.covers(scope, channel):
		return nil
	case channel == "":
		return dialect.Errorf(dialect.MissingScope, "the API key %s has not the scope %s for all channels", g.name, scope)
	}
	return g.missing(scope + ":" + channel)
}
