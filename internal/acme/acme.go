// Package acme gets certificates from an authority that speaks ACME (RFC 8555), such as Let's Encrypt, and renews them, by
// certmagic.
//
//	m, err := acme.New(acme.Config{Domains: []string{"rt.example.com"}, Storage: dir, Log: log})
//	l = tls.NewListener(l, m.Answer(&tls.Config{GetCertificate: m.GetCertificate}))
//	m.Listen(443, 80)
//	go m.Run(ctx)
//
// The authority asks the server itself whether a domain is its own: by a handshake of TLS with a protocol of its own
// (TLS-ALPN-01, RFC 8737), for which the config is that of Answer, and where there is an address for plain http by a request
// (HTTP-01), which Challenge answers. So Run comes after both listen. Until there is a certificate handshakes fail;
// certificates and the account are kept in a directory, which several servers may share.
//
// It is the only package that knows certmagic. A Manager may be used from any goroutine.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync/atomic"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Protocol is what the authority speaks in handshakes of TLS (RFC 8737 §6.2). No request comes by it.
const Protocol = "acme-tls/1"

// Config says how a Manager works.
type Config struct {
	// Domains are those to have certificates for, in lower case, each with one of its own.
	Domains []string
	// Email is where the authority writes to; "" for nowhere.
	Email string
	// Directory is the authority's address; "" is Let's Encrypt's.
	Directory string
	// CAFile holds the authorities, in PEM, that vouch for Directory itself; "" for those of the system.
	CAFile string
	// Storage is the directory for certificates, keys and the account.
	Storage string
	// Log is told of certificates that come, and why others do not.
	Log *slog.Logger
}

// Manager gets certificates and renews them.
type Manager struct {
	domains []string
	log     *slog.Logger
	cache   *certmagic.Cache
	certs   *certmagic.Config
	issuer  *certmagic.ACMEIssuer
	over    atomic.Bool // Run ends: nothing is logged any more
}

// New makes a Manager, which gets nothing before Run. The error is one sentence.
func New(cfg Config) (*Manager, error) {
	var roots *x509.CertPool
	if cfg.CAFile != "" {
		var err error
		if roots, err = readRoots(cfg.CAFile); err != nil {
			return nil, err
		}
	}
	m := &Manager{domains: cfg.Domains, log: cfg.Log}
	logger := zap.New(slogCore{log: cfg.Log, over: &m.over})
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		Logger:           logger,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.certs, nil },
	})
	m.certs = certmagic.New(m.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: cfg.Storage}, Logger: logger, OnEvent: m.tell,
	})
	m.issuer = certmagic.NewACMEIssuer(m.certs, certmagic.ACMEIssuer{
		CA: cfg.Directory, Email: cfg.Email, Agreed: true, TrustedRoots: roots, Logger: logger,
	})
	m.certs.Issuers = []certmagic.Issuer{m.issuer}
	return m, nil
}

func readRoots(name string) (*x509.CertPool, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, fmt.Errorf("the file of authorities %s cannot be read: %w", name, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the file of authorities %s holds no certificate in PEM", name)
	}
	return roots, nil
}

// Listen says where the server listens: under TLS, and for plain http where Challenge answers, 0 for nowhere. The authority comes
// to the ports 443 and 80, whatever they are here. It is called before anything else.
func (m *Manager) Listen(tlsPort, httpPort int) {
	m.issuer.AltTLSALPNPort, m.issuer.AltHTTPPort, m.issuer.DisableHTTPChallenge = tlsPort, httpPort, httpPort == 0
}

// Run gets what is missing and renews what ends, until ctx does. What is under way then goes on the next time.
func (m *Manager) Run(ctx context.Context) {
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	_ = m.certs.ManageAsync(working, m.domains) // what goes wrong goes to the log, as it does later
	<-ctx.Done()
	m.over.Store(true) // that what is broken off fails is no news
	cancel()
	m.cache.Stop()
	certmagic.CleanUpOwnLocks(context.WithoutCancel(ctx), zap.NewNop())
}

// GetCertificate implements tls.Config.GetCertificate.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return m.certs.GetCertificate(hello)
}

// Answer returns a copy of base that answers the authority, which is not asked for a certificate of its own.
func (m *Manager) Answer(base *tls.Config) *tls.Config {
	challenged := base.Clone()
	challenged.NextProtos, challenged.ClientAuth, challenged.GetConfigForClient = []string{Protocol}, tls.NoClientCert, nil
	config := base.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		switch {
		case slices.Equal(hello.SupportedProtos, challenged.NextProtos):
			return challenged, nil
		case base.GetConfigForClient != nil:
			return base.GetConfigForClient(hello)
		}
		return nil, nil
	}
	return config
}

// Challenge answers the authority where it asks by plain http, and passes all else on to next.
func (m *Manager) Challenge(next http.Handler) http.Handler {
	return m.issuer.HTTPChallengeHandler(next)
}

// Covers tells whether a host is one of the domains.
func (m *Manager) Covers(host string) bool { return slices.Contains(m.domains, host) }

// tell writes into the log what an operator has to know.
func (m *Manager) tell(_ context.Context, event string, data map[string]any) error {
	if m.over.Load() {
		return nil
	}
	switch event {
	case "cert_obtaining":
		m.log.Info("a certificate is being asked for", "domain", data["identifier"])
	case "cert_obtained":
		m.log.Info("a certificate has come", "domain", data["identifier"])
	case "cert_failed":
		m.log.Error("there is no certificate yet; it will be asked for again", "domain", data["identifier"], "error", data["error"])
	}
	return nil
}
