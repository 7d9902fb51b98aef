package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"

	"hocket.dev"
	"hocket.dev/internal/sys"
)

// announce writes into the log what an operator has to know about this start.
func announce(log *slog.Logger, set *settings) {
	files, err := sys.RaiseFileLimit()
	if err != nil {
		log.Warn("the open-file limit stays", "error", err)
	}
	if files > 0 {
		sessions := cmp.Or(uint64(set.hocket.Limits.Sessions), sessionsFor(files))
		log.Info("open files", "limit", files, "sessions", sessions)
		if sessions > sessionsFor(files) {
			log.Warn("limits.sessions is more than open files have room for, and who comes when they are used up gets no answer: raise their limit (ulimit -n, "+
				"LimitNOFILE), or take limits.sessions down", "limit", files, "room", sessionsFor(files))
		}
	}
	switch {
	case set.dev:
		log.Warn("access is open (--dev): everybody who reaches this machine's own address may connect, publish and use the API")
	case set.hocket.Anonymous:
		log.Warn("clients are admitted without proof of who they are (anonymous: true)")
	case set.hocket.Hooks.Authenticate.URL != "":
		log.Info("the back end is asked who clients are")
	case set.admitsSomebody():
	default:
		log.Warn("clients are admitted with tickets of the API alone: the configuration names no keys of tokens, and does not say anonymous: true")
	}
	if !set.dev && len(set.hocket.Keys) == 0 {
		log.Info("the API for back ends is closed: there is no API key")
	}
	warnOfShort(set.hocket.Keys, log)
}

// admitsSomebody tells whether clients get in by another way than a ticket: by a token, a certificate, or what a rule opens to all.
func (s *settings) admitsSomebody() bool {
	opens := func(r hocket.Rule) bool { return r.AllowAnonymous != 0 }
	return len(s.hocket.Tokens.Keys) > 0 || s.hocket.Tokens.JWKS != "" || s.hocket.CertificateUser != "" ||
		opens(s.hocket.Fallback) || slices.ContainsFunc(s.hocket.Channels, opens)
}

// reservedFiles is how many descriptors are not for sessions: listener, event loops, standard streams, requests of the
// API under way.
const reservedFiles = 64

func sessionsFor(files uint64) uint64 { return files - min(files, reservedFiles) }

// greet says where everything is.
func greet(w io.Writer, set *settings) {
	at := address(set.listen)
	key := "with one of the API keys"
	if set.hocket.OpenAPI {
		key = "no key needed"
	} else if len(set.hocket.Keys) == 0 {
		key = "closed: no API key is set"
	}
	secure := ""
	if set.encrypted() {
		secure = "s"
	}
	fmt.Fprintf(w, "Hocket %s is running.\n\n", hocket.Version)
	if set.dev || set.hocket.Anonymous {
		fmt.Fprintf(w, "  Page       http%s://%s/\n", secure, at)
	}
	fmt.Fprintf(w, "  WebSocket  ws%s://%s/v1/ws\n", secure, at)
	if set.admin != "" {
		if at = address(set.admin); isLoopback(set.admin) {
			secure = ""
		}
	}
	fmt.Fprintf(w, "  API        http%s://%s/api/v1/  (%s)\n", secure, at, key)
	if set.redirect != "" {
		fmt.Fprintf(w, "  Redirect   http://%s/\n", address(set.redirect))
	}
	fmt.Fprintf(w, "\nStop it with Ctrl+C.\n")
}

// address turns an address that means every interface into one that a browser can open.
func address(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if isEvery(host) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
