package hocket

import (
	"fmt"
	"net/http"
	"net/netip"

	"hocket.dev/internal/clientaddr"
	"hocket.dev/internal/limit"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
)

// Rate is how much may pass: Count in each Per on average, and Burst at once; the zero value is no limit.
type Rate = limit.Rate

// ParseRate takes a rate as a configuration file has it, such as "100/s" or "20/s burst 200"; "off" is no limit.
func ParseRate(s string) (Rate, error) { return limit.ParseRate(s) }

// Rates bound how much clients do in a time; the zero value of each is no limit.
type Rates = session.Rates

// Taking is how much a session, a user or an address may take of what clients do.
type Taking = session.Taking

// RuleRates bound what sessions do in the channels of a Rule.
type RuleRates = rule.Rates

// What happens to a request for which the rates of a channel's rule have no room.
const (
	AtLimitReject = rule.Reject // it is answered with an error
	AtLimitSlow   = rule.Slow   // it is carried out, and the session is not read until there is room again
)

// ClientHeader says in which header of a request proxies name the client.
type ClientHeader = clientaddr.Header

// The headers in which proxies name the client.
const (
	ClientHeaderNone          = clientaddr.None          // the client is who has connected
	ClientHeaderForwarded     = clientaddr.Forwarded     // Forwarded, RFC 7239
	ClientHeaderXForwardedFor = clientaddr.XForwardedFor // X-Forwarded-For
)

// finder makes what finds the addresses of clients behind proxies, and checks what is said about limits.
func (c *Config) finder() (f clientaddr.Finder, err error) {
	if f.Trusted, err = clientaddr.ParseNetworks(c.TrustedProxies); err != nil {
		return f, fmt.Errorf("hocket: TrustedProxies: %w", err)
	}
	f.Header = c.ClientHeader
	switch named := len(f.Trusted) > 0; {
	case f.Header != clientaddr.None && !named:
		return f, fmt.Errorf("hocket: ClientHeader: no proxy is trusted to name clients: list them in TrustedProxies")
	case c.ProxyProtocol && !named:
		return f, fmt.Errorf("hocket: ProxyProtocol: no proxy is trusted to name clients: list them in TrustedProxies")
	}
	if err := c.Limits.Rates.Check(); err != nil {
		return f, fmt.Errorf("hocket: Limits.Rates: %w", err)
	}
	return f, nil
}

// clientAddress finds the address of the client of a request.
func (s *Server) clientAddress(r *http.Request) string {
	if s.gate.clients.Header == clientaddr.None && !s.cfg.ProxyProtocol && (r.Header["X-Forwarded-For"] != nil || r.Header["Forwarded"] != nil) &&
		s.forwardedTold.CompareAndSwap(false, true) {
		s.cfg.Log.Warn("a request names its client in a header, and is not believed: if a proxy sends it, all its clients count as one address until trusted_proxies and client_header name the two",
			"from", r.RemoteAddr)
	}
	return s.gate.clients.Find(r.RemoteAddr, r.Header)
}

// proxiesOf tells whether connections begin with a header of the PROXY protocol, and whose; nil where they do not.
func (s *Server) proxiesOf() func(netip.Addr) bool {
	if !s.cfg.ProxyProtocol {
		return nil
	}
	return s.gate.clients.Trusted.Contain
}
