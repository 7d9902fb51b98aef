package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"hocket.dev/dialect"
)

// digest stands for a key, so that comparing takes the same time whatever the lengths.
type digest [sha256.Size]byte

func digestOf(key string) digest { return sha256.Sum256([]byte(key)) }

// Guard lets only those through to next who may use the API.
func (h *Handler) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.admit(r); err != nil {
			fail(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit tells what is wrong with a request that may not come in.
func (h *Handler) admit(r *http.Request) *dialect.Error {
	if h.cfg.Open {
		// Nobody proves anything here, so whatever a browser is made to send by a page from elsewhere would be obeyed.
		if h.foreign.Check(r) != nil {
			return dialect.Errorf(dialect.OriginNotAllowed, "pages of other origins may not use the API")
		}
		return nil
	}
	if len(h.keys) == 0 {
		return dialect.Errorf(dialect.Unauthenticated, "the API is closed: the configuration has no API key")
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return dialect.Errorf(dialect.Unauthenticated, "the API key is missing: send Authorization: Bearer <api key>")
	}
	given, known := digestOf(strings.TrimSpace(key)), 0
	for i := range h.keys { // to the end, so that the time does not tell which one it was
		known |= subtle.ConstantTimeCompare(given[:], h.keys[i][:])
	}
	if known == 0 {
		return dialect.Errorf(dialect.Unauthenticated, "the API key is not known")
	}
	return nil
}
