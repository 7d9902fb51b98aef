package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"hocket.dev"
	"hocket.dev/dialect"
	"hocket.dev/internal/acme"
	"hocket.dev/internal/playground"
)

// The paths of the library that are for clients, for back ends and operators, and for who looks after the process.
var (
	clientPaths = []string{"/v1/"}
	adminPaths  = []string{"/api/", "/metrics"}
	healthPaths = []string{"/healthz", "/readyz"}
)

// clientRoutes are what clients find: what the library serves for them and, where there is no other address for them, for back
// ends, and what this program has beside.
func clientRoutes(srv *hocket.Server, set *settings) http.Handler {
	mux := muxFor(srv, clientPaths, healthPaths)
	if set.admin == "" {
		mux = muxFor(srv, clientPaths, healthPaths, adminPaths)
	} else {
		mux.Handle("/api/", notHere("back ends have an address of their own"))
	}
	if set.dev || set.hocket.Anonymous { // the page has no way to prove who looks at it
		mux.Handle("/", playground.Handler())
	}
	return set.guard(mux)
}

// adminRoutes are what back ends and operators find at an address of their own.
func adminRoutes(srv *hocket.Server, set *settings) http.Handler {
	mux := muxFor(srv, adminPaths, healthPaths)
	mux.Handle("/v1/", notHere("clients have an address of their own"))
	return set.guard(mux)
}

// notHere answers programs at the address that is not for them as the library does where there is nothing.
func notHere(hint string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tell(w, dialect.Errorf(dialect.NotFound, "there is nothing at this path: %s", hint))
	})
}

func muxFor(h http.Handler, groups ...[]string) *http.ServeMux {
	mux := http.NewServeMux()
	for _, paths := range groups {
		for _, path := range paths {
			mux.Handle(path, h)
		}
	}
	return mux
}

// guard puts in front of h what holds for every path.
func (s *settings) guard(h http.Handler) http.Handler {
	if s.dev {
		h = onlyThisMachine(h)
	}
	return s.longTerm(s.onlyEncrypted(noChallenges(h)))
}

// noChallenges refuses requests on connections that are for the authority of acme: they may have been opened without the
// certificate that clients are asked for.
func noChallenges(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && r.TLS.NegotiatedProtocol == acme.Protocol {
			http.Error(w, "no request can come by this protocol", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit decides about handshakes that do not come through routes, as that would.
func (s *settings) admit(r *http.Request) bool {
	return !s.inClear(r) && (!s.dev || isLoopback(r.Host))
}

// A front is a listener and what answers there.
type front struct {
	listener net.Listener
	web      *http.Server
}

// serve answers requests until ctx ends, and then ends everything.
func serve(ctx context.Context, fronts []front, srv *hocket.Server, set *settings) error {
	ended := make(chan error, len(fronts))
	for _, f := range fronts {
		go func() { ended <- f.web.Serve(f.listener) }()
	}
	var failed error
	select {
	case <-ctx.Done():
		set.hocket.Log.Info("stopping")
	case err := <-ended:
		failed = fmt.Errorf("serve: %w", err)
	}
	stop(ctx, fronts, srv, set.hocket.Drain)
	set.hocket.Log.Info("stopped")
	return failed
}

// stop ends the server with all its fronts.
func stop(ctx context.Context, fronts []front, srv *hocket.Server, drain time.Duration) {
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain+500*time.Millisecond)
	defer cancel()
	for _, f := range fronts {
		f.listener.Close()
		// The loops wait for what their streams of HTTP/2 are writing, and one whose client takes nothing ends with its
		// connection. They give what can be written a second.
		cut := time.AfterFunc(drain+2*time.Second, func() { f.web.Close() })
		defer cut.Stop()
	}
	srv.Close(stopping)
	for _, f := range fronts {
		if err := f.web.Shutdown(stopping); err != nil {
			f.web.Close() // requests that hang
		}
	}
}
