package main

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"hocket.dev/dialect"
	"hocket.dev/internal/origin"
)

// checkClear refuses to begin where passwords, tokens and messages would go over a network for everybody on the way to read.
func (s *settings) checkClear() error {
	if s.encrypted() || s.insecure || !s.proxies.None() {
		return nil
	}
	for _, at := range []string{s.listen, s.admin} {
		// Where it is no address, listening says what is wrong.
		if _, _, err := net.SplitHostPort(at); err == nil && !isLoopback(at) {
			return usagef("%s would be served in clear text: give it a certificate (--tls-cert and --tls-key, or --acme), name the proxy in "+
				"front of it that does (trusted_proxies), listen on this machine alone (127.0.0.1:8000), or say --insecure", at)
		}
	}
	return nil
}

// inClear tells whether a request has come in clear text although that is not allowed.
func (s *settings) inClear(r *http.Request) bool { return !s.insecure && s.proxies.InClear(r) }

// onlyEncrypted refuses what comes in clear text. Health checks pass: they come from nearby, and tell and learn nothing.
func (s *settings) onlyEncrypted(next http.Handler) http.Handler {
	refuse := refuseClear("", func(string) bool { return true })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.inClear(r) && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			refuse.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuseClear answers what has come in clear text: a person who looks for a page is sent to the same place under TLS; a program
// is told, because it has just sent its secrets and must not go on without noticing. port is that of https, "" for its own;
// serves tells whether there is a certificate for a host.
func refuseClear(port string, serves func(host string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, ok := origin.Host(r.Host)
		switch {
		case !isForPeople(r):
			tellTLS(w)
		case !ok || !serves(strings.Trim(host, "[]")):
			http.Error(w, "this server does not know the host that was asked for", http.StatusMisdirectedRequest)
		default:
			if port != "" {
				host += ":" + port
			}
			w.Header().Set("Location", "https://"+host+r.URL.RequestURI())
			w.WriteHeader(http.StatusPermanentRedirect)
		}
	})
}

// isForPeople tells whether a request is for a page, and no handshake.
func isForPeople(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Upgrade") != "" {
		return false
	}
	for _, programs := range []string{"/v1/", "/api/", "/metrics"} {
		if strings.HasPrefix(r.URL.Path, programs) {
			return false
		}
	}
	return strings.HasPrefix(r.URL.Path, "/")
}

func tellTLS(w http.ResponseWriter) {
	tell(w, dialect.Errorf(dialect.TLSRequired, "this server is reached under TLS only: use wss:// and https://"))
}

// tell answers with an error, as the API does.
func tell(w http.ResponseWriter, err *dialect.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(err.Code.Info().HTTP)
	type told struct {
		Code    dialect.Code `json:"code"`
		Name    string       `json:"name"`
		Message string       `json:"message"`
	}
	_ = json.NewEncoder(w).Encode(map[string]told{"error": {err.Code, err.Name, err.Message}}) // who has gone does not read it
}
