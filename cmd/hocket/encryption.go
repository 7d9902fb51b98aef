package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"

	"hocket.dev"
	"hocket.dev/internal/sys"
)

// encryption is what the server needs to speak TLS.
type encryption struct {
	config *tls.Config            // for clients
	plain  *tls.Config            // the same, but clients are not asked for certificates
	covers func(host string) bool // whether there is a certificate for a host
}

// encryption gets the certificate ready, nil where the server speaks no TLS. The error is one sentence.
func (s *settings) encryption(log *slog.Logger) (*encryption, error) {
	if !s.encrypted() {
		return nil, nil
	}
	cert, err := loadCertificate(s.tls.Cert, s.tls.Key, log)
	if err != nil {
		return nil, err
	}
	e := &encryption{config: modernTLS(os.Getenv("GODEBUG")), covers: cert.covers}
	e.config.GetCertificate = cert.get
	e.plain = e.config
	if s.tls.ClientCA != "" {
		e.config, err = askClients(e.config, &s.tls, log)
	}
	return e, err
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
		l = srv.ListenerTLS(l, secure.config)
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
		fronts = append(fronts, front{l, webServer(s.sendOn(secure), s)})
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
		return tls.NewListener(l, secure.plain), nil
	}
	return l, nil
}

// sendOn is what answers on the address of redirect.
func (s *settings) sendOn(secure *encryption) http.Handler {
	_, port, err := net.SplitHostPort(s.listen)
	if err != nil || port == "443" {
		port = ""
	}
	return refuseClear(port, secure.covers)
}
