package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"hocket.dev"
	"hocket.dev/internal/acme"
	"hocket.dev/internal/sys"
)

// encryption is what the server needs to speak TLS.
type encryption struct {
	clients *tls.Config            // for clients
	others  *tls.Config            // for back ends and operators, who are not asked for certificates
	covers  func(host string) bool // whether there is a certificate for a host
	acme    *acme.Manager          // nil where the certificate is in a file
}

// encryption gets ready, nil where the server speaks no TLS. The error is one sentence.
func (s *settings) encryption(log *slog.Logger) (e *encryption, err error) {
	if !s.encrypted() {
		return nil, nil
	}
	config := modernTLS(os.Getenv("GODEBUG"))
	e = &encryption{clients: config, others: config}
	if s.tls.Cert != "" {
		cert, err := loadCertificate(s.tls.Cert, s.tls.Key, log)
		if err != nil {
			return nil, err
		}
		config.GetCertificate, e.covers = cert.get, cert.covers
	} else {
		if e.acme, err = s.authority(log); err != nil {
			return nil, err
		}
		config.GetCertificate, e.covers = e.acme.GetCertificate, e.acme.Covers
	}
	if s.tls.ClientCA != "" {
		clients, err := newAuthorities(config, &s.tls, log)
		if err != nil {
			return nil, err
		}
		e.clients = clients.ask()
	}
	if e.acme != nil {
		e.clients = e.acme.Answer(e.clients)
	}
	return e, nil
}

// authority is who gives certificates for the domains of acme.
func (s *settings) authority(log *slog.Logger) (*acme.Manager, error) {
	storage := s.acme.Storage
	if storage == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("acme.storage must name a directory for the certificates: this user has no home (%w)", err)
		}
		storage = filepath.Join(home, ".local", "share", "hocket", "acme")
	}
	return acme.New(acme.Config{
		Domains: s.acme.Domains, Email: s.acme.Email, Directory: s.acme.Directory, CAFile: s.acme.CAFile, Storage: storage, Log: log,
	})
}

// renew gets certificates until stop is called, which waits for the end of that.
func (e *encryption) renew(ctx context.Context) (stop func()) {
	if e == nil || e.acme == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.acme.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// open listens on all addresses, and puts where it does into s. secure is nil where the server speaks no TLS.
func (s *settings) open(srv *hocket.Server, secure *encryption) (fronts []front, err error) {
	defer func() {
		if err != nil {
			for _, f := range fronts {
				f.listener.Close()
			}
		}
	}()
	l, err := listen(s.listen, "--listen")
	if err != nil {
		return nil, err
	}
	s.listen = l.Addr().String()
	if secure != nil {
		l = srv.ListenerTLS(l, secure.clients)
	} else {
		l = srv.Listener(l, s.admit)
	}
	fronts = append(fronts, front{l, webServer(clientRoutes(srv, s), s)})
	if s.admin != "" {
		l, err := s.openAdmin(secure)
		if err != nil {
			return fronts, err
		}
		fronts = append(fronts, front{l, webServer(adminRoutes(srv, s), s)})
	}
	if s.redirect != "" {
		l, err := listen(s.redirect, "--redirect")
		if err != nil {
			return fronts, err
		}
		s.redirect = l.Addr().String()
		fronts = append(fronts, front{sys.NewListener(l, s.hocket.Log), webServer(s.sendOn(secure), s)})
	}
	if secure != nil && secure.acme != nil {
		secure.acme.Listen(port(s.listen), port(s.redirect))
	}
	return fronts, nil
}

// openAdmin listens for back ends and operators: under TLS where they are on other machines, and never by asking them for
// certificates, because they have keys.
func (s *settings) openAdmin(secure *encryption) (net.Listener, error) {
	l, err := listen(s.admin, "--admin")
	if err != nil {
		return nil, err
	}
	private := isLoopback(s.admin)
	s.admin = l.Addr().String()
	l = sys.NewListener(l, s.hocket.Log)
	if secure != nil && !private {
		return tls.NewListener(l, secure.others), nil
	}
	return l, nil
}

// sendOn is what answers on the address of redirect.
func (s *settings) sendOn(secure *encryption) http.Handler {
	to := ""
	if n := port(s.listen); n != 443 {
		to = strconv.Itoa(n)
	}
	h := refuseClear(to, secure.covers)
	if secure.acme != nil {
		h = secure.acme.Challenge(h)
	}
	return h
}

// port is that of an address; 0 where there is none.
func port(address string) int {
	_, text, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(text)
	return n
}
