package jwks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"hocket.dev/internal/token"
)

const (
	// AskEvery is the least time between two fetches for tokens whose keys are not known, however many those are. The
	// regular fetches do not count, so the first such token after a while finds its key at once.
	AskEvery = 10 * time.Second
	// KeepFor is how long keys are used that cannot be fetched anew. It is looked at when a fetch has failed, every 5 minutes.
	KeepFor = 24 * time.Hour

	freshFor = 10 * time.Minute // where the answer does not say
	minFresh = time.Minute
	maxFresh = time.Hour // a key that was withdrawn is not used for longer
	maxRetry = 5 * time.Minute

	fetchTimeout = 10 * time.Second
	maxWaiting   = 256 // callers of Refresh at once: a URL that hangs must not hold all who could do something else
)

// Config says where keys are published.
type Config struct {
	// URL is that of the JWK set: https, or http on this machine.
	URL string
	// Insecure allows http to other machines. Who can change what they answer can be anybody.
	Insecure bool
	// Verifier gets the keys, by Rotate.
	Verifier *token.Verifier
	// Log is told when fetching fails, and when it works again. nil means slog.Default.
	Log *slog.Logger
	// Transport sends the requests. nil means one of the package's own.
	Transport http.RoundTripper
}

// A Source fetches keys.
type Source struct {
	cfg      Config // set once
	client   *http.Client
	askEvery time.Duration
	ask      chan struct{} // wakes Run; holds one

	mu       sync.Mutex
	asked    time.Time     // when a fetch was last asked for
	wanted   bool          // one is, and none has begun since
	fetching bool          // one is under way
	ended    chan struct{} // closed when the fetch under way, or else the next one, ends
	fetched  int           // how many have succeeded
	at       time.Time     // when the last one did
	err      error         // of the last one
	waiting  int           // callers of Refresh
	stopped  bool          // Run has returned
}

// ErrNotFetched is what Err answers until the first fetch has ended.
var ErrNotFetched = errors.New("jwks: the keys have not been fetched yet")

// CheckURL says what is wrong with the URL of a key set; insecure as in [Config]. It repeats nothing of it.
func CheckURL(text string, insecure bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("the URL is none: write it like https://issuer.example/.well-known/jwks.json")
	case u.User != nil:
		return errors.New("the URL holds a user or password; what is published needs none")
	case !secure(u) && !(insecure && u.Scheme == "http"):
		return errors.New("the URL must begin with https://, since keys from elsewhere could be anybody's; http:// is for this machine")
	}
	return nil
}

// New returns a Source, which fetches nothing before Run.
func New(cfg Config) (*Source, error) {
	if err := CheckURL(cfg.URL, cfg.Insecure); err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	if cfg.Transport == nil {
		cfg.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives: true, // the next fetch is minutes away
		}
	}
	s := &Source{cfg: cfg, askEvery: AskEvery, ask: make(chan struct{}, 1), ended: make(chan struct{}), err: ErrNotFetched}
	s.wanted = true
	s.ask <- struct{}{}
	s.client = &http.Client{Transport: cfg.Transport, Timeout: fetchTimeout, CheckRedirect: redirect}
	return s, nil
}

// secure says that what comes from u comes from who it says.
func secure(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

var errRedirect = errors.New("it leads to another host, or to too many others: name the last one")

// redirect follows to the same host, in the same manner, and no further than three times.
func redirect(to *http.Request, via []*http.Request) error {
	if from := via[0].URL; len(via) > 3 || to.URL.Scheme != from.Scheme || to.URL.Host != from.Host || to.URL.User != nil {
		return errRedirect
	}
	return nil
}

// Run fetches the keys, and again before they are too old, until ctx ends; then it returns nil. It may be called once. Where
// the URL fails, the keys that are known are used for KeepFor, and then none.
func (s *Source) Run(ctx context.Context) error {
	timer := time.NewTimer(freshFor)
	defer timer.Stop()
	defer s.stop()
	defer s.client.CloseIdleConnections()
	for retry := s.askEvery; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-s.ask:
			if !s.isWanted() { // a regular fetch has come first
				continue
			}
		}
		fresh, err := s.refetch(ctx)
		if err == nil {
			timer.Reset(fresh)
			retry = s.askEvery
		} else {
			timer.Reset(retry)
			retry = min(2*retry, maxRetry)
		}
	}
}

// stop lets go of those who wait.
func (s *Source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	close(s.ended)
}

func (s *Source) isWanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted
}

// refetch fetches once, and says for how long that will do.
func (s *Source) refetch(ctx context.Context) (time.Duration, error) {
	s.mu.Lock()
	s.wanted, s.fetching = false, true
	s.mu.Unlock()

	keys, fresh, err := s.fetch(ctx)
	if err == nil {
		err = s.cfg.Verifier.Rotate(keys)
	}

	s.mu.Lock()
	was := s.err
	if s.err = err; err == nil {
		s.fetched++
		s.at = time.Now()
	}
	expired := err != nil && s.fetched > 0 && time.Since(s.at) >= KeepFor
	s.fetching = false
	close(s.ended)
	s.ended = make(chan struct{})
	s.mu.Unlock()

	if expired {
		_ = s.cfg.Verifier.Rotate(nil) // none are not too many
	}
	s.report(ctx, was, err)
	return fresh, err
}

// report logs what has changed.
func (s *Source) report(ctx context.Context, was, err error) {
	switch known := was == nil || errors.Is(was, ErrNotFetched); {
	case ctx.Err() != nil:
	case err != nil && known:
		s.cfg.Log.Warn("the keys that verify tokens cannot be fetched; those that are known go on being used", "error", err)
	case err == nil && !known:
		s.cfg.Log.Info("the keys that verify tokens can be fetched again")
	}
}

// Err returns why the last fetch failed, nil when it did not.
func (s *Source) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Refresh fetches the keys now, and waits until they are there; it joins a fetch that is under way. It says whether a fetch has
// succeeded meanwhile. It does nothing where it has asked the URL within AskEvery, or 256 others wait.
func (s *Source) Refresh(ctx context.Context) bool { return s.refreshSince(ctx, s.count()) }

// refreshSince is Refresh for who has last looked at the keys when so many fetches had succeeded.
func (s *Source) refreshSince(ctx context.Context, fetched int) bool {
	ended := s.wait(fetched)
	if ended == nil {
		return s.count() > fetched
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	return s.fetched > fetched
}

// wait asks for a fetch, and returns what is closed when it has ended; nil where there is none to wait for.
func (s *Source) wait(fetched int) (ended <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.stopped || s.fetched > fetched || s.waiting >= maxWaiting:
		return nil
	case s.fetching || s.wanted: // it is joined
	case !s.asked.IsZero() && now.Sub(s.asked) < s.askEvery:
		return nil
	default:
		s.asked, s.wanted = now, true
		select {
		case s.ask <- struct{}{}:
		default: // what was asked before has not been heard yet
		}
	}
	s.waiting++
	return s.ended
}

func (s *Source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetched
}

// Verify is that of the Verifier, but where the token's key is not known, or the token names none and is signed with none that is
// known, it looks for it once, as Refresh does. So a token that is signed with a new key holds from the first time on, and one
// whose key is not known does not hold only when that is certain; else the error is token.ErrLater too, besides the *token.Error.
func (s *Source) Verify(ctx context.Context, text string, now time.Time) (token.Claims, error) {
	before := s.count()
	claims, err := s.cfg.Verifier.Verify(text, now)
	if !mayBeNewer(err) {
		return claims, err
	}
	if !s.refreshSince(ctx, before) {
		return claims, fmt.Errorf("%w: %w", token.ErrLater, err)
	}
	return s.cfg.Verifier.Verify(text, now)
}

func mayBeNewer(err error) bool {
	var e *token.Error
	return errors.As(err, &e) && e.NewerKeys()
}
