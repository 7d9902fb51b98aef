package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"hocket.dev"
	"hocket.dev/internal/clientaddr"
	"hocket.dev/internal/config"
	"hocket.dev/internal/hook"
	"hocket.dev/internal/origin"
)

// serveCmd runs a server until it is told to stop.
type serveCmd struct {
	Listen   string   `placeholder:"ADDR" help:"Address to listen on (default 127.0.0.1:8000). Port 0 takes any free port."`
	Config   string   `placeholder:"FILE" help:"Configuration in YAML; docs/configuration.md describes it."`
	TLSCert  string   `name:"tls-cert" placeholder:"FILE" help:"Certificate in PEM: serves https and wss. A renewed one is taken up without a restart."`
	TLSKey   string   `name:"tls-key" placeholder:"FILE" help:"The private key of the certificate, in PEM."`
	ACME     []string `name:"acme" sep:"none" placeholder:"DOMAIN" help:"Gets certificates for this domain from Let's Encrypt, whose terms are so agreed to, listens on :443, and sends people on from :80. May be given several times."`
	Redirect string   `placeholder:"ADDR" help:"Address, such as :80, where people are sent on to https."`
	Admin    string   `placeholder:"ADDR" help:"Another address, such as 127.0.0.1:8001, for the API and metrics, which are then not to be found at that for clients."`
	Insecure bool     `help:"Allows clear text on other addresses than this machine's own."`
	Dev      bool     `help:"For development: everybody who reaches this machine's own address may connect, publish and use the API; every channel keeps 1,000 entries for 10 minutes; ticker:demo ticks; echo and time can be called."`
	Log      string   `placeholder:"FORMAT" enum:"text,json" default:"text" help:"How the log is written to standard error: text or json (default text)."`
}

// Help is the second part of `hocket serve --help`.
func (serveCmd) Help() string {
	return `Without --dev clients prove who they are, with a token or a ticket for example, and may do what that or the rules of channels allow: docs/tokens.md. Where the configuration says "anonymous: true" everybody may do all that no rule forbids.

SIGHUP reads the keys of the configuration file again, api_keys and those of tokens; the log says which other settings have changed, which hold from the next start on. The files that it names for keys and certificates are read again by themselves.

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
  hocket serve --acme rt.example.com --config hocket.yaml
  hocket serve --listen :443 --redirect :80 --tls-cert fullchain.pem --tls-key privkey.pem --config hocket.yaml
  HOCKET_API_KEYS=$(openssl rand -hex 16) hocket serve --config hocket.yaml`
}

// Run runs the server until ctx ends.
func (c *serveCmd) Run(ctx context.Context, std streams) error {
	set, err := c.settings()
	if err != nil {
		return err
	}
	log := slog.New(handler(c.Log, std.err))
	secure, err := set.encryption(log)
	if err != nil {
		return &usageError{err}
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
	fronts, err := set.open(srv, secure)
	if err != nil {
		srv.Close(ctx)
		return err
	}
	announce(log, set)
	defer c.readAgain(ctx, set, srv, log)()
	greet(std.out, set)
	defer secure.renew(ctx)()
	return serve(ctx, fronts, srv, set)
}

// settings are what a server is started with.
type settings struct {
	listen   string
	redirect string // "" without
	admin    string // "" where clients and back ends share an address
	tls      config.TLS
	acme     config.ACME
	insecure bool
	proxies  origin.Proxies
	dev      bool
	keys     *apiKeys
	tokens   *tokenKeys
	file     config.File // what all this was made of
	visitors *visitors
	hocket   hocket.Config
}

// read reads the configuration file over the defaults.
func (c *serveCmd) read() (file config.File, err error) {
	file = config.Default()
	if c.Dev {
		openForDev(&file)
	}
	if c.Config != "" {
		err = config.Read(c.Config, &file)
	}
	return file, err
}

// settings gathers defaults, file, flags and environment; the later wins.
func (c *serveCmd) settings() (*settings, error) {
	file, err := c.read()
	if err != nil {
		return nil, &usageError{err}
	}
	set := &settings{
		file: file, tokens: &tokenKeys{settings: &file.Tokens},
		listen: cmp.Or(c.Listen, file.Listen), redirect: cmp.Or(c.Redirect, file.Redirect), admin: cmp.Or(c.Admin, file.Admin.Listen),
		insecure: c.Insecure || file.Insecure, tls: file.TLS, acme: file.ACME, dev: c.Dev, hocket: file.Hocket(),
	}
	set.tls.Cert, set.tls.Key = cmp.Or(c.TLSCert, set.tls.Cert), cmp.Or(c.TLSKey, set.tls.Key)
	if len(c.ACME) > 0 {
		set.acme.Domains = c.ACME
	}
	if len(set.acme.Domains) > 0 { // the authority comes to these
		if c.Listen == "" && !file.Names("listen") {
			set.listen = ":443"
		}
		set.redirect = cmp.Or(set.redirect, ":80")
	}
	set.proxies.PassOn = file.ProxyProtocol
	set.proxies.Networks, _ = clientaddr.ParseNetworks(file.TrustedProxies) // config.Read has checked them
	if c.Dev {
		for _, at := range []string{set.listen, cmp.Or(set.admin, set.listen)} {
			if !isLoopback(at) {
				return nil, usagef("--dev opens access to everybody, so it listens on this machine's own address only, such as 127.0.0.1:8000, not on %q", at)
			}
		}
		addDemo(&set.hocket, &file)
	} else {
		setCapacity(&set.hocket, &file)
	}
	set.hocket.Hooks.Secrets = append(set.hocket.Hooks.Secrets, hookSecrets(os.Getenv("HOCKET_HOOK_SECRET"))...)
	set.visitors = newVisitors(&set.proxies)
	set.keys = set.gatherKeys(&file)
	if set.hocket.Keys, err = set.keys.read(); err != nil {
		return nil, &usageError{err}
	}
	if set.hocket.Tokens, err = set.tokens.read(); err != nil {
		return nil, &usageError{err}
	}
	return set, set.check()
}

// gatherKeys takes the keys of the API that a file and the environment name.
func (s *settings) gatherKeys(file *config.File) *apiKeys {
	return gatherKeys(file, os.Getenv("HOCKET_API_KEYS"), isLoopback(cmp.Or(s.admin, s.listen)))
}

// check tells which settings do not go together.
func (s *settings) check() error {
	if s.redirect == "none" {
		s.redirect = ""
	}
	switch {
	case (s.tls.Cert == "") != (s.tls.Key == ""):
		return usagef("a certificate and its key belong together: give both --tls-cert and --tls-key")
	case s.tls.Cert != "" && len(s.acme.Domains) > 0:
		return usagef("a certificate comes from --tls-cert or from --acme: leave out one of them")
	case !s.encrypted() && s.redirect != "":
		return usagef("redirect sends people on to https, but there is no certificate to speak it with: give one, or leave redirect out")
	case !s.encrypted() && s.tls.ClientCA != "":
		return usagef("tls.client_ca asks clients for certificates, but the server has none itself: give it one, or leave client_ca out")
	}
	if err := s.checkAddresses(); err != nil {
		return err
	}
	if err := s.checkHooks(); err != nil {
		return err
	}
	for _, domain := range s.acme.Domains {
		if err := config.CheckDomain(domain); err != nil {
			return usagef("--acme: %q %w", domain, err)
		}
	}
	return s.checkClear()
}

// checkAddresses wants another address for each listener: the system would tell of a second one only that the address is in use.
func (s *settings) checkAddresses() error {
	type address struct{ flag, at string }
	all := []address{{"--listen", s.listen}, {"--admin", s.admin}, {"--redirect", s.redirect}}
	for i, a := range all {
		for _, b := range all[i+1:] {
			switch {
			case !overlap(a.at, b.at):
			case a.at == b.at:
				return usagef("%s and %s are both %s: each needs an address of its own", a.flag, b.flag, a.at)
			default:
				return usagef("%s %s and %s %s overlap: each needs an address of its own", a.flag, a.at, b.flag, b.at)
			}
		}
	}
	return nil
}

// overlap tells whether two addresses have one port, and the same host or all of them.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || port(a) == 0 {
		return false
	}
	return hostA == hostB || isEvery(hostA) || isEvery(hostB)
}

// isEvery tells whether a host stands for all interfaces.
func isEvery(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// checkHooks looks at the secrets of the file and the environment together.
func (s *settings) checkHooks() error {
	h := &s.hocket.Hooks
	switch n := len(h.Secrets); {
	case h.Authenticate.URL == "" && h.Subscribe.URL == "" && h.Publish.URL == "":
		return nil
	case n == 0:
		return usagef("hooks: there is no secret to sign questions with: give one of at least %d bytes, such as openssl rand -hex 16 makes, "+
			"as hooks.secrets or as HOCKET_HOOK_SECRET", hook.MinSecret)
	case n > hook.MaxSecrets:
		return usagef("hooks: there are %d secrets to sign questions with, those of hooks.secrets and HOCKET_HOOK_SECRET together: "+
			"give one, or two while one takes the place of the other", n)
	}
	if i := slices.IndexFunc(h.Secrets, func(s string) bool { return len(s) < hook.MinSecret }); i >= 0 { // those of the file have been looked at
		return usagef("HOCKET_HOOK_SECRET: a secret of %d bytes is too short: it needs at least %d, such as openssl rand -hex 16 makes", len(h.Secrets[i]), hook.MinSecret)
	}
	return nil
}

// encrypted tells whether the server speaks TLS.
func (s *settings) encrypted() bool { return s.tls.Cert != "" || len(s.acme.Domains) > 0 }

// hookSecrets takes apart those of the environment, separated by commas.
func hookSecrets(environment string) (all []string) {
	for secret := range strings.SplitSeq(environment, ",") {
		if secret = strings.TrimSpace(secret); secret != "" {
			all = append(all, secret)
		}
	}
	return all
}

// allowProcessors sets one processor more than there are: event loops wait in system calls that keep theirs, and with
// all of them kept a round trip through net/http takes milliseconds instead of microseconds.
func allowProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

// listen opens the address that a flag gives. The error is one sentence.
func listen(addr, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, usagef("%s is in use by another program: stop that, or choose another address with %s", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return nil, usagef("listening on %s is not permitted: choose a port above 1023 with %s", addr, flag)
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
