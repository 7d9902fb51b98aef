package listen

import (
	"crypto/tls"
	"crypto/x509"
)

// yield returns a copy of a config for handshakes that have a turn, which its functions give up while they run: they are the
// program's and may take as long as they like. One that has a certificate issued, as autocert does, waits for a handshake of the
// authority's on this very listener.
func (h *handshakes) yield(config *tls.Config) *tls.Config {
	c := config.Clone()
	if choose := c.GetConfigForClient; choose != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := aside(h, func() (*tls.Config, error) { return choose(hello) })
			if chosen != nil {
				// The copy has the keys for session tickets that the program has set. crypto/tls makes none for it: where there
				// are none it uses those of c.
				chosen = h.yield(chosen)
			}
			return chosen, err
		}
	}
	if get := c.GetCertificate; get != nil {
		c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return aside(h, func() (*tls.Certificate, error) { return get(hello) })
		}
	}
	if get := c.GetEncryptedClientHelloKeys; get != nil {
		c.GetEncryptedClientHelloKeys = func(hello *tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) {
			return aside(h, func() ([]tls.EncryptedClientHelloKey, error) { return get(hello) })
		}
	}
	h.yieldToVerify(c)
	h.yieldForTickets(c)
	return c
}

func (h *handshakes) yieldToVerify(c *tls.Config) {
	if verify := c.VerifyPeerCertificate; verify != nil {
		c.VerifyPeerCertificate = func(raw [][]byte, chains [][]*x509.Certificate) error {
			_, err := aside(h, func() (struct{}, error) { return struct{}{}, verify(raw, chains) })
			return err
		}
	}
	if verify := c.VerifyConnection; verify != nil {
		c.VerifyConnection = func(s tls.ConnectionState) error {
			_, err := aside(h, func() (struct{}, error) { return struct{}{}, verify(s) })
			return err
		}
	}
}

func (h *handshakes) yieldForTickets(c *tls.Config) {
	if wrap := c.WrapSession; wrap != nil {
		c.WrapSession = func(s tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
			return aside(h, func() ([]byte, error) { return wrap(s, session) })
		}
	}
	if unwrap := c.UnwrapSession; unwrap != nil {
		c.UnwrapSession = func(identity []byte, s tls.ConnectionState) (*tls.SessionState, error) {
			return aside(h, func() (*tls.SessionState, error) { return unwrap(identity, s) })
		}
	}
}

// aside calls a function of the program's without the turn that its handshake has, and without close waiting for it. Whose turn
// it is makes no difference, so nothing has to find the connection, which the functions that verify are not told of.
func aside[T any](h *handshakes, call func() (T, error)) (T, error) {
	h.leave()
	<-h.turns
	defer func() { // in a panic too: who recovers gives up a turn
		h.turns <- struct{}{}
		h.comeBack()
	}()
	return call()
}

func (h *handshakes) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away++
	h.quiet.Broadcast()
}

func (h *handshakes) comeBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away--
}
