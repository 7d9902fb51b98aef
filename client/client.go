package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	randv2 "math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/websocket"
)

const (
	maxOpen        = 32       // requests sent and not answered; a server allows 64 by default
	maxMessage     = 16 << 20 // bytes of one message from the server
	dialTimeout    = 15 * time.Second
	stableAfter    = 10 * time.Second // a connection that lasted so long makes delays start small again
	heartbeatGrace = 10 * time.Second // how much later than expected a heartbeat may come
	longerDelay    = 3                // the attempt from which delays grow after "rate_limited"

	invalidPayload    = int(dialect.InvalidPayload)
	tooLarge          = int(dialect.TooLarge)
	alreadySubscribed = int(dialect.AlreadySubscribed)
	notSupported      = int(dialect.NotSupported)
)

// Options change what a Client does. nil and the zero value are the same.
type Options struct {
	// User and Info name the user, where the server lets clients name themselves. Info is shown in presence, as JSON; SetInfo
	// changes it.
	User string
	Info any
	// Token gets a token, such as from a back end or a file: a proof of identity that is good until it expires. It is called as
	// Ticket is. A connection that ends because its token has expired is made again, with another one. nil connects without.
	Token func(ctx context.Context) (string, error)
	// Ticket gets a ticket, such as from a back end: a proof of identity that is good for one connection, so it is called before
	// every attempt to connect, on the Client's own goroutine, and by Dial. ctx ends with the attempt, after 15 s. Its error is
	// one of the attempt. After a ticket that was refused one other is asked for, except by Dial. nil connects without.
	Ticket func(ctx context.Context) (string, error)
	// ClientID is the name under which the log remembers what was published, at most 64 bytes; "" means a random one.
	// Who sets it keeps it unique, and starts a new one with every process.
	ClientID string

	// MinDelay bounds the first delay before a new connection, 500 ms when 0; the bound doubles with every failure, up to
	// MaxDelay, 20 s when 0. The delay is drawn evenly from 0 to the bound.
	MinDelay, MaxDelay time.Duration
	// MaxWaiting is how many requests may wait to be sent, while there is no connection or the server is slow; 0 means
	// 1,000. Beyond it requests fail with ErrQueueFull.
	MaxWaiting int
	// EventBuffer is how many events wait for NextEvent; 0 means 100. When it is full the oldest is dropped, and the next one that
	// is read says how many were (Event.Missed).
	EventBuffer int

	// NoCompression does not offer compression (permessage-deflate, RFC 7692). It is offered otherwise, as browsers do, and
	// the server decides: where it agrees, messages of 512 bytes and more are compressed in both directions, each by itself,
	// so a connection needs no memory for it.
	NoCompression bool

	// E2E encrypts payloads end to end; nil leaves them in clear text.
	E2E *E2E

	// OnConnection is told when the connection is there (nil), and when it is lost and why. It is called on the Client's
	// own goroutine and must not block.
	OnConnection func(lost error)

	// Header, TLS and NetDial are those of websocket.DialOptions.
	Header  http.Header
	TLS     *tls.Config
	NetDial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Client is a session with a server that outlives its connections.
type Client struct {
	opts  Options
	vault vault
	dice  *randv2.Rand // draws delays; guarded by mu
	stop  context.CancelFunc
	ended chan struct{} // closed when the client's goroutines are gone

	eventNews chan struct{} // holds one when there is an event to read

	// guarded by mu
	mu     sync.Mutex
	url    string
	err    error // why the client has ended
	link   *link // nil while there is no connection that is ready
	lastID uint64
	seq    uint64
	queue  []*request // to be sent, in order
	open   map[uint64]*request
	subs   map[string]*Subscription
	who    Member   // what the server calls this session
	can    []string // the server's features
	limit  int      // bytes a message to the server may have; 0 for any number

	info               json.RawMessage // what the server knows of this client, or is told first; nil for nothing
	sentInfo, nextInfo *newInfo        // under way; to be told after it. nil when there is none

	events       []Event
	missedEvents int // before the first of events
}

// Dial connects to a server, such as "ws://127.0.0.1:8000/v1/ws", and returns when the server has admitted the session.
// ctx bounds only that. The error is an *Error when a Hocket server has refused, else what the network said.
func Dial(ctx context.Context, url string, opts *Options) (*Client, error) {
	c := &Client{
		url: url, ended: make(chan struct{}), dice: newDice(), eventNews: make(chan struct{}, 1),
		open: make(map[uint64]*request), subs: make(map[string]*Subscription),
	}
	if opts != nil {
		c.opts = *opts
	}
	c.vault.e2e = c.opts.E2E
	setDefault(&c.opts.MinDelay, 500*time.Millisecond)
	setDefault(&c.opts.MaxDelay, 20*time.Second)
	setDefault(&c.opts.MaxWaiting, 1000)
	setDefault(&c.opts.EventBuffer, 100)
	setDefault(&c.opts.ClientID, randomID())
	info, err := marshal(c.opts.Info)
	if err != nil {
		return nil, err
	}
	if string(info) != "null" {
		c.info = info
	}
	first, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	c.who, c.can = first.who, first.can
	running, stop := context.WithCancel(context.Background())
	c.stop = stop
	go c.run(running, first)
	return c, nil
}

// Session returns the public name of the session, as it stands in a Message's From and in presence. A server keeps it
// when the connection is a new one.
func (c *Client) Session() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.who.Session
}

// User returns who the server says we are, "" when that is nobody in particular.
func (c *Client) User() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.who.User
}

// Features returns what the server can and has on, such as "history" or "tokens"; the protocol lists the names.
func (c *Client) Features() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.can)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// newDice makes a source of delays that is a client's own, and is seeded by crypto/rand, so that a simulation can repeat them.
func newDice() *randv2.Rand {
	var seed [32]byte
	rand.Read(seed[:])
	return randv2.New(randv2.NewChaCha8(seed)) // #nosec G404 -- seeded by crypto/rand, for delays
}

// draw gives a time from 0 to bound, which is not included. The caller holds the lock.
func (c *Client) draw(bound time.Duration) time.Duration {
	return time.Duration(c.dice.Int64N(int64(bound)))
}

func randomID() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Close ends the session and everything that waits for it. It blocks until the server has answered the close, at most
// 5 s, and the client's goroutines have ended. It always returns nil, so that it can be deferred.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	c.stop()
	<-c.ended
	return nil
}

// run serves one connection after another.
func (c *Client) run(ctx context.Context, l *link) {
	defer close(c.ended)
	attempt := 0
	for {
		began := time.Now()
		err := c.serve(ctx, l)
		refused := false // whether a new proof was
		if time.Since(began) >= stableAfter {
			attempt = 0
		}
		for {
			if (c.opts.Ticket != nil || c.opts.Token != nil) && !refused && needsProof(err) {
				refused, err = true, nil
			}
			if c.over(ctx, err) {
				return
			}
			if rateLimited(err) {
				attempt = max(attempt, longerDelay)
			}
			if !wait(ctx, c.delay(l, attempt)) {
				return
			}
			attempt++
			dialing, cancel := context.WithTimeout(ctx, dialTimeout)
			l, err = c.connect(dialing)
			cancel()
			if err == nil {
				break
			}
		}
	}
}

// serve puts a connection to work until it is lost.
func (c *Client) serve(ctx context.Context, l *link) error {
	c.attach(l)
	c.told(nil)
	err := l.run(ctx, c)
	c.detach(l)
	if ctx.Err() == nil {
		c.told(err)
	}
	if e := final(err, l.said); e != nil {
		return e
	}
	return err
}

func (c *Client) told(lost error) {
	if c.opts.OnConnection != nil {
		c.opts.OnConnection(lost)
	}
}

// over tells whether err, or the program, ends the client for good.
func (c *Client) over(ctx context.Context, err error) bool {
	var e *Error
	if errors.As(err, &e) && !e.retryable() {
		c.fail(e)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil || ctx.Err() != nil
}

func rateLimited(err error) bool {
	var closed *websocket.CloseError
	return errors.As(err, &closed) && closed.Code == websocket.CloseCode(dialect.CloseRateLimited)
}

// delay says how long to wait before the next attempt. l is the last connection, which may have been asked to wait;
// nil when there was none since.
func (c *Client) delay(l *link, attempt int) time.Duration {
	if l != nil && l.goAway != nil {
		return time.Duration(l.goAway.AfterMS) * time.Millisecond
	}
	bound := c.opts.MaxDelay
	if d := c.opts.MinDelay << min(attempt, 30); d > 0 && d < bound { // d overflows when MinDelay is days
		bound = d
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draw(bound)
}

// wait answers false when ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fail ends the client: what waits is answered with err.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	c.endInfo(err)
	for _, r := range c.unanswered() {
		_, sent := c.open[r.id]
		r.unanswered = r.unanswered || sent
		r.answer(nil, err)
	}
	c.queue = nil
	clear(c.open)
	for _, s := range c.subs {
		s.end(err)
	}
	clear(c.subs)
	c.wakeEvents()
}
