package hocket

import (
	"encoding/json"
	"net/http"

	"hocket.dev/dialect"
	"hocket.dev/internal/origin"
)

// judgeOrigin decides about the page that a request comes from, before anything else. Cookies that a foreign page may have had
// sent are taken out of the request, so that nobody takes them for a proof.
func (s *Server) judgeOrigin(r *http.Request) origin.Verdict {
	verdict := s.gate.origins.Judge(r.Header, origin.Own{Scheme: s.gate.proxies.Scheme(r), Host: r.Host})
	if verdict == origin.Cookieless {
		r.Header.Del("Cookie")
	}
	return verdict
}

// allowOrigin is judgeOrigin for handshakes.
func (s *Server) allowOrigin(r *http.Request, _ string) bool {
	return s.judgeOrigin(r) != origin.Refused
}

// forPages serves a path that pages may ask for with one method, beside OPTIONS: pages of the origins that may connect can
// read what it answers (CORS), others are refused.
func (s *Server) forPages(method string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Add("Vary", "Origin")
		verdict := s.judgeOrigin(r)
		if verdict == origin.Refused {
			refuse(w, dialect.Errorf(dialect.OriginNotAllowed, "pages of another origin may not ask this server: list theirs in the configuration"))
			return
		}
		if from := r.Header.Get("Origin"); from != "" {
			header.Set("Access-Control-Allow-Origin", from)
			if verdict == origin.Admitted {
				header.Set("Access-Control-Allow-Credentials", "true")
			}
		}
		switch {
		case r.Method == method || r.Method == http.MethodHead && method == http.MethodGet:
			next(w, r)
		case r.Method == http.MethodOptions:
			preflight(w, r, method)
		default:
			header.Set("Allow", method+", "+http.MethodOptions)
			refuseAs(w, http.StatusMethodNotAllowed, dialect.Errorf(dialect.InvalidMessage, "this can only be asked for with %s", method))
		}
	}
}

// preflight tells a browser what a page may send.
func preflight(w http.ResponseWriter, r *http.Request, method string) {
	header := w.Header()
	header.Set("Allow", method+", "+http.MethodOptions)
	if r.Header.Get("Access-Control-Request-Method") != "" {
		header.Set("Access-Control-Allow-Methods", method)
		header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		header.Set("Access-Control-Max-Age", "600") // browsers take no more than some hours, and a list may change
	}
	w.WriteHeader(http.StatusNoContent)
}

// refuse answers with an error, as the API and handshakes do.
func refuse(w http.ResponseWriter, err *dialect.Error) { refuseAs(w, err.Code.Info().HTTP, err) }

// refuseAs is refuse with another status than that of the error's code.
func refuseAs(w http.ResponseWriter, status int, err *dialect.Error) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	type told struct {
		Code    dialect.Code `json:"code"`
		Name    string       `json:"name"`
		Message string       `json:"message"`
	}
	json.NewEncoder(w).Encode(map[string]told{"error": {err.Code, err.Name, err.Message}})
}
