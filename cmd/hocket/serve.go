package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"hocket.dev"
	"hocket.dev/internal/config"
	"hocket.dev/internal/playground"
	"hocket.dev/internal/sys"
)

// serveCmd runs a server until it is told to stop.
type serveCmd struct {
	Listen  string `placeholder:"ADDR" help:"Address to listen on (default 127.0.0.1:8000). Port 0 takes any free port."`
	Config  string `placeholder:"FILE" help:"Configuration in YAML; docs/configuration.md describes it."`
	TLSCert string `name:"tls-cert" placeholder:"FILE" help:"Certificate in PEM: serves https and wss. A renewed one is taken up without a restart."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" help:"The private key of the certificate, in PEM."`
	Dev     bool   `help:"For development: everybody who reaches this machine's own address may connect, publish and use the API; every channel keeps 1,000 entries for 10 minutes; ticker:demo ticks; echo and time can be called."`
	Log     string `enum:"text,json" default:"text" help:"How the log is written to standard error: text or json (default text)."`
}

// Help is the second part of `hocket serve --help`.
func (serveCmd) Help() string {
	return `Without --dev clients are admitted only where the configuration says "anonymous: true".

SIGINT or SIGTERM ends the server: it takes no new sessions, tells clients to come back, and exits with 0. A second signal ends it at once.

Environment:
  HOCKET_API_KEYS     keys for the API of back ends, separated by commas, beside those of the file
  HOCKET_HOOK_SECRET  signs the questions to the back end: one, or two separated by a comma, beside those of the file
  GODEBUG             http2xconnect=0 takes no WebSockets over HTTP/2: each costs more memory than one over HTTP/1.1;
                      http2server=0 speaks no HTTP/2 at all
  GOMAXPROCS          processors to use (default: one more than there are, since event loops keep theirs busy)

Examples:
  hocket serve --dev
  hocket serve --dev --listen localhost:9000
  hocket serve --listen :443 --tls-cert fullchain.pem --tls-key privkey.pem --config hocket.yaml
  HOCKET_API_KEYS=$(openssl rand -hex 16) hocket serve --config hocket.yaml`
}

// Run runs the server until ctx ends.
func (c *serveCmd) Run(ctx context.Context, std streams) error {
	set, err := c.settings()
	if err != nil {
		return err
	}
	log := slog.New(handler(c.Log, std.err))
	var cert *certificate
	if set.tls != (config.TLS{}) {
		if cert, err = loadCertificate(set.tls.Cert, set.tls.Key, log); err != nil {
			return &usageError{err}
		}
	}
	allowProcessors()
	set.hocket.Log = log
	srv, err := hocket.New(set.hocket)
	if err != nil {
		return &usageError{err}
	}
	if c.Dev {
		startDemo(ctx, srv)
	}
	listener, err := listen(set.listen)
	if err != nil {
		srv.Close(ctx)
		return err
	}
	announce(log, set)
	if set.keys.file != "" {
		go set.keys.watch(ctx, srv.SetAPIKeys, log)
	}
	var own net.Listener
	if cert != nil {
		own = srv.ListenerTLS(listener, cert.config(os.Getenv("GODEBUG")))
	} else {
		own = srv.Listener(listener, admit(set))
	}
	set.listen = listener.Addr().String()
	greet(std.out, set)
	return serve(ctx, own, srv, routes(srv, set), set)
}

// settings are what a server is started with.
type settings struct {
	listen string
	tls    config.TLS // zero without
	dev    bool
	keys   *apiKeys
	hocket hocket.Config
}

// settings gathers defaults, file, flags and environment; the later wins.
func (c *serveCmd) settings() (*settings, error) {
	file := config.Default()
	if c.Dev {
		openForDev(&file)
	}
	if c.Config != "" {
		if err := config.Read(c.Config, &file); err != nil {
			return nil, &usageError{err}
		}
	}
	set := &settings{listen: cmp.Or(c.Listen, file.Listen), dev: c.Dev, hocket: file.Hocket()}
	set.tls = config.TLS{Cert: cmp.Or(c.TLSCert, file.TLS.Cert), Key: cmp.Or(c.TLSKey, file.TLS.Key)}
	if (set.tls.Cert == "") != (set.tls.Key == "") {
		return nil, usagef("a certificate and its key belong together: give both --tls-cert and --tls-key")
	}
	if c.Dev {
		if !isLoopback(set.listen) {
			return nil, usagef("--dev opens access to everybody, so it listens on this machine's own address only, such as 127.0.0.1:8000, not on %q", set.listen)
		}
		addDemo(&set.hocket, &file)
	}
	set.hocket.Hooks.Secrets = append(set.hocket.Hooks.Secrets, hookSecrets(os.Getenv("HOCKET_HOOK_SECRET"))...)
	set.keys = gatherKeys(&file, os.Getenv("HOCKET_API_KEYS"), isLoopback(set.listen))
	var err error
	if set.hocket.Keys, err = set.keys.read(); err != nil {
		return nil, &usageError{err}
	}
	return set, nil
}

// hookSecrets takes apart those of the environment, separated by commas.
func hookSecrets(environment string) (all []string) {
	for secret := range strings.SplitSeq(environment, ",") {
		if secret = strings.TrimSpace(secret); secret != "" {
			all = append(all, secret)
		}
	}
	return all
}

func handler(format string, w io.Writer) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(w, nil)
	}
	return slog.NewTextHandler(w, nil)
}

// allowProcessors sets one processor more than there are: event loops wait in system calls that keep theirs, and with
// all of them kept a round trip through net/http takes milliseconds instead of microseconds.
func allowProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

// listen opens the address. The error is one sentence.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, usagef("%s is in use by another program: stop that, or choose another address with --listen", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, usagef("listening on %s is not permitted: choose a port above 1023 with --listen", addr)
	default:
		return nil, usagef("cannot listen on %q: %w", addr, reason(err))
	}
}

// reason leaves out the words of net that repeat the address.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// announce writes into the log what an operator has to know about this start.
func announce(log *slog.Logger, set *settings) {
	files, err := sys.RaiseFileLimit()
	if err != nil {
		log.Warn("the open-file limit stays", "error", err)
	}
	if files > 0 {
		log.Info("open files", "limit", files, "sessions", sessionsFor(files))
	}
	switch {
	case set.dev:
		log.Warn("access is open (--dev): everybody who reaches this machine's own address may connect, publish and use the API")
	case set.hocket.Anonymous:
		log.Warn("clients are admitted without proof of who they are (anonymous: true)")
	case set.hocket.Hooks.Authenticate.URL != "":
		log.Info("the back end is asked who clients are")
	default:
		log.Warn("no client is admitted: this version checks no tokens, and the configuration does not say anonymous: true")
	}
	if !set.dev && len(set.hocket.Keys) == 0 {
		log.Info("the API for back ends is closed: there is no API key")
	}
	warnOfShort(set.hocket.Keys, log)
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
	if set.tls != (config.TLS{}) {
		secure = "s"
	}
	fmt.Fprintf(w, "Hocket %s is running.\n\n", hocket.Version)
	if set.dev || set.hocket.Anonymous {
		fmt.Fprintf(w, "  Page       http%s://%s/\n", secure, at)
	}
	fmt.Fprintf(w, "  WebSocket  ws%s://%s/v1/ws\n", secure, at)
	fmt.Fprintf(w, "  API        http%s://%s/api/v1/  (%s)\n\n", secure, at, key)
	fmt.Fprintf(w, "Stop it with Ctrl+C.\n")
}

// address turns an address that means every interface into one that a browser can open.
func address(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// routes puts what this program serves around what the library does.
func routes(srv *hocket.Server, set *settings) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/v1/", "/api/", "/healthz", "/readyz", "/metrics"} {
		mux.Handle(path, srv)
	}
	if set.dev || set.hocket.Anonymous { // the page has no way to prove who looks at it
		mux.Handle("/", playground.Handler())
	}
	if set.dev {
		return onlyThisMachine(mux)
	}
	return mux
}

// admit decides about handshakes that do not come through routes, as that would.
func admit(set *settings) func(*http.Request) bool {
	if !set.dev {
		return nil
	}
	return func(r *http.Request) bool { return isLoopback(r.Host) }
}

// serve answers requests until ctx ends, and then ends everything.
func serve(ctx context.Context, l net.Listener, srv *hocket.Server, h http.Handler, set *settings) error {
	web := webServer(h, set)
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	var failed error
	select {
	case <-ctx.Done():
		set.hocket.Log.Info("stopping")
	case err := <-ended:
		failed = fmt.Errorf("serve: %w", err)
	}
	l.Close()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), set.hocket.Drain+500*time.Millisecond)
	defer cancel()
	// The loops wait for what their streams of HTTP/2 are writing, and one whose client takes nothing ends with its connection.
	// They give what can be written a second.
	cut := time.AfterFunc(set.hocket.Drain+2*time.Second, func() { web.Close() })
	defer cut.Stop()
	srv.Close(stopping)
	if err := web.Shutdown(stopping); err != nil {
		web.Close() // requests that hang
	}
	set.hocket.Log.Info("stopped")
	return failed
}
