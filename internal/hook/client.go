package hook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Kind says what is asked.
type Kind uint8

// The kinds of questions.
const (
	Authenticate Kind = iota // who a client is
	Subscribe                // whether a session may follow a channel
	Publish                  // whether, and what, a session may publish
)

var kinds = [...]string{Authenticate: "authenticate", Subscribe: "subscribe", Publish: "publish"}

// String returns the name as written in a configuration.
func (k Kind) String() string { return kinds[k] }

// WhenDown says what holds while the back end cannot be asked.
type WhenDown uint8

// The values of WhenDown.
const (
	Deny  WhenDown = iota // nothing is allowed, and clients are told to try again later
	Allow                 // everything is that is permitted without asking
)

var whenDown = [...]string{Deny: "deny", Allow: "allow"}

// String returns the name as written in a configuration.
func (w WhenDown) String() string { return whenDown[w] }

// MarshalText returns the name as written in a configuration.
func (w WhenDown) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText takes "deny" or "allow".
func (w *WhenDown) UnmarshalText(text []byte) error {
	i := slices.Index(whenDown[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is none of deny, allow", text)
	}
	*w = WhenDown(i)
	return nil
}

// Hook is where the questions of one kind go.
type Hook struct {
	URL      string // "" for nowhere
	WhenDown WhenDown
}

// Config says whom to ask, and how.
type Config struct {
	Node  string // told to the back end
	Agent string // the User-Agent

	Authenticate Hook // WhenDown is Deny: nobody comes in unasked
	Subscribe    Hook
	Publish      Hook

	Secrets    [][]byte       // that sign, two at most: while one takes the place of another. At least MinSecret bytes each
	Timeout    time.Duration  // until an answer has to be there, whole; 0 means DefaultTimeout
	Concurrent int            // questions of one kind under way at once; 0 means DefaultConcurrent. Beyond it they fail with "busy"
	Listed     []netip.Prefix // networks that may be asked although they are not public, or without TLS
	Forward    []string       // headers of the handshake that the back end is told with Authenticate

	Roots    *x509.CertPool   // of certificates; nil means the system's
	Resolver *net.Resolver    // of names; nil means the system's
	Now      func() time.Time // nil means time.Now
	Log      *slog.Logger     // of failures, never of what was asked; nil means slog.Default
}

// The defaults and bounds of a Config.
const (
	DefaultTimeout    = 3 * time.Second
	DefaultConcurrent = 128
	MinSecret         = 16 // bytes
	MaxSecrets        = 2
	maxForward        = 32
	idleFor           = 90 * time.Second // a connection is kept
)

// Client asks. It implements session.Asker.
type Client struct {
	cfg       Config
	endpoints [len(kinds)]*endpoint // nil where nobody is to be asked
}

// endpoint is where the questions of one kind go.
type endpoint struct {
	Counters

	url       string
	whenDown  WhenDown
	slots     chan struct{}
	transport *http.Transport
	circuit   circuit
	told      told
}

// New makes a Client. It connects to nobody yet. The error says what is wrong with cfg, and repeats no URL: there may be a
// secret in it.
func New(cfg Config) (*Client, error) {
	cfg.setDefaults()
	c := &Client{cfg: cfg}
	for k, h := range [...]Hook{Authenticate: cfg.Authenticate, Subscribe: cfg.Subscribe, Publish: cfg.Publish} {
		if h.URL == "" {
			continue
		}
		if err := CheckURL(h.URL, cfg.Listed); err != nil {
			return nil, fmt.Errorf("%s: url: %w", Kind(k), err)
		}
		c.endpoints[k] = &endpoint{
			url: h.URL, whenDown: h.WhenDown, slots: make(chan struct{}, cfg.Concurrent), transport: cfg.transport(isPlain(h.URL)),
		}
	}
	if cfg.Authenticate.WhenDown != Deny {
		return nil, errors.New("authenticate: when_down can only be deny: who a client is, nobody else can say")
	}
	if c.endpoints != [len(kinds)]*endpoint{} {
		if err := checkSecrets(cfg.Secrets); err != nil {
			return nil, err
		}
	}
	if err := CheckForward(cfg.Forward); err != nil {
		return nil, err
	}
	c.cfg.Forward = make([]string, len(cfg.Forward))
	for i, name := range cfg.Forward {
		c.cfg.Forward[i] = http.CanonicalHeaderKey(name)
	}
	return c, nil
}

func (c *Config) setDefaults() {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Concurrent <= 0 {
		c.Concurrent = DefaultConcurrent
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

// CheckURL tells what is wrong with a URL that is to be asked, as far as can be told before names are resolved. listed are the
// networks that may be asked although they are not public. The error repeats nothing of the URL.
func CheckURL(text string, listed []netip.Prefix) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is none: write it like https://app.example.com/hocket")
	case u.User != nil:
		return errors.New("holds a name or password: questions are signed instead")
	case u.Fragment != "":
		return errors.New("holds a fragment, which is never sent")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return checkAddress(a, isPlain(text), listed)
	}
	if isPlain(text) && len(listed) == 0 {
		return errPlain
	}
	return nil
}

// isPlain tells whether a URL is one without TLS.
func isPlain(url string) bool { return !strings.HasPrefix(strings.ToLower(url), "https:") }

func checkSecrets(secrets [][]byte) error {
	if len(secrets) == 0 || len(secrets) > MaxSecrets {
		return fmt.Errorf("there must be 1 or %d secrets to sign with, not %d", MaxSecrets, len(secrets))
	}
	for _, s := range secrets {
		if len(s) < MinSecret {
			return fmt.Errorf("a secret must have at least %d bytes", MinSecret)
		}
	}
	return nil
}

// CheckForward tells what is wrong with a list of headers to forward.
func CheckForward(names []string) error {
	if len(names) > maxForward {
		return fmt.Errorf("at most %d headers can be forwarded", maxForward)
	}
	for _, name := range names {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Authorization", "Cookie", "Sec-Websocket-Protocol":
			return fmt.Errorf("the header %s is not forwarded: the proof in it is, as token or cookie", name)
		}
	}
	return nil
}

// transport makes connections for one kind of question, so that one cannot take those of another. They are of HTTP/1.1: with
// as many as there are questions at once, none waits behind another.
func (c *Config) transport(plain bool) *http.Transport {
	return &http.Transport{
		DialContext:            c.dialer(plain).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    c.Timeout,
		DisableCompression:     true,
		MaxConnsPerHost:        c.Concurrent,
		MaxIdleConnsPerHost:    c.Concurrent,
		IdleConnTimeout:        idleFor,
		MaxResponseHeaderBytes: 16 << 10,
	}
}

// Has tells whether there is somebody to ask.
func (c *Client) Has(k Kind) bool { return c.endpoints[k] != nil }

// Close ends the connections that are kept. Nobody may be asking.
func (c *Client) Close() {
	for _, e := range c.endpoints {
		if e != nil {
			e.transport.CloseIdleConnections()
		}
	}
}
