package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// lookEvery is how often handshakes look for a renewed certificate, at most.
const lookEvery = time.Second

// A certificate is a pair of files that may be renewed while the server runs: handshakes look whether they have changed. A
// renewed pair that cannot be used is reported, and the one before it served on.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu     sync.Mutex
	pair   *tls.Certificate // guarded by mu, with all below
	seen   [2]os.FileInfo   // the files as they were when they were read last, with success or not; nil for none
	lookAt time.Time        // when the next handshake looks
}

// loadCertificate reads a pair of files. The error is one sentence.
func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	c.lookAt = c.now().Add(lookEvery)
	c.seen = c.files()
	var err error
	c.pair, err = c.read()
	return c, err
}

// modernTLS is for a listener: TLS 1.3, and of 1.2 what is forward secret and authenticated throughout. godebug is the environment
// variable GODEBUG, which can turn off net/http's HTTP/2: it must not be offered then, because net/http closes such connections
// without a word.
func modernTLS(godebug string) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
	if setting(godebug, "http2server") == "0" {
		config.NextProtos = []string{"http/1.1"}
	}
	return config
}

// covers tells whether the certificate is for a host.
func (c *certificate) covers(host string) bool {
	pair, err := c.get(nil)
	return err == nil && pair.Leaf.VerifyHostname(host) == nil
}

// setting returns what GODEBUG says about name: name=value pairs with commas between, of which the last counts.
func setting(godebug, name string) (value string) {
	for pair := range strings.SplitSeq(godebug, ",") {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			value = v
		}
	}
	return value
}

// get implements tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); !now.Before(c.lookAt) {
		c.lookAt = now.Add(lookEvery)
		c.look()
	}
	return c.pair, nil
}

// look reads the files when they have changed. mu is held.
func (c *certificate) look() {
	files := c.files()
	if same(files[0], c.seen[0]) && same(files[1], c.seen[1]) {
		return
	}
	c.seen = files
	pair, err := c.read()
	if err != nil {
		c.log.Warn("the renewed certificate cannot be used; the one before it stays", "error", err)
		return
	}
	c.pair = pair
	c.log.Info("the certificate was renewed", "expires", pair.Leaf.NotAfter)
}

// files describes both; what cannot be looked at is nil, and reading it says why.
func (c *certificate) files() (f [2]os.FileInfo) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			f[i] = info
		}
	}
	return f
}

// same reports whether a file was neither written nor replaced.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func (c *certificate) read() (*tls.Certificate, error) {
	certPEM, err := readPEM("certificate", c.certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readPEM("key", c.keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s and the key %s cannot be used: %w", c.certFile, c.keyFile, err)
	}
	return &pair, nil
}

func readPEM(what, name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, fmt.Errorf("the %s %s cannot be read: %w", what, name, err)
	}
	return b, nil
}
