package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"hocket.dev/internal/config"
)

// authorities vouch for clients: the certificates in a file, which may change while the server runs. A changed file that cannot
// be used is reported, and the one before it stays.
type authorities struct {
	file string
	log  *slog.Logger
	now  func() time.Time

	mu     sync.Mutex
	config *tls.Config // guarded by mu, with all below: of handshakes from now on
	seen   os.FileInfo // the file as it was when it was read last, with success or not; nil for none
	lookAt time.Time   // when the next handshake looks
}

// newAuthorities reads those who vouch for clients, who are asked for a certificate in handshakes that are otherwise by base. The
// error is one sentence.
func newAuthorities(base *tls.Config, set *config.TLS, log *slog.Logger) (*authorities, error) {
	asking := base.Clone()
	asking.ClientAuth = tls.VerifyClientCertIfGiven
	if set.ClientAuth == config.ClientRequire {
		asking.ClientAuth = tls.RequireAndVerifyClientCert
	}
	// A resumed session would go on as it was, whatever authorities have been taken away since.
	asking.SessionTicketsDisabled = true
	a := &authorities{file: set.ClientCA, log: log, now: time.Now, config: asking}
	a.lookAt = a.now().Add(lookEvery)
	return a, a.read()
}

// ask is for a listener.
func (a *authorities) ask() *tls.Config {
	config := a.config.Clone()
	config.GetConfigForClient = a.get
	return config
}

// get implements tls.Config.GetConfigForClient.
func (a *authorities) get(*tls.ClientHelloInfo) (*tls.Config, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.now(); !now.Before(a.lookAt) {
		a.lookAt = now.Add(lookEvery)
		if info, _ := os.Stat(a.file); !same(info, a.seen) { // why it cannot be looked at, reading says
			a.look()
		}
	}
	return a.config, nil
}

// look reads the file when it has changed. mu is held.
func (a *authorities) look() {
	if err := a.read(); err != nil {
		a.log.Warn("the changed authorities of clients cannot be used; those before them stay", "error", err)
		return
	}
	a.log.Info("the authorities of clients were read again")
}

func (a *authorities) read() error {
	a.seen, _ = os.Stat(a.file)
	text, err := readPEM("file of client authorities", a.file)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return fmt.Errorf("the file of client authorities %s holds no certificate in PEM", a.file)
	}
	next := a.config.Clone()
	next.ClientCAs = pool
	a.config = next
	return nil
}
