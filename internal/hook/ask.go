package hook

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
)

// maxAnswer is how long an answer may be, in bytes.
const maxAnswer = 64 << 10

// Authenticate asks who a client is. It blocks until there is an answer or ctx ends.
func (c *Client) Authenticate(ctx context.Context, p *session.Proof) (*session.Grant, *dialect.Error) {
	began := c.cfg.Now() // what is revoked from now on concerns it
	var g *session.Grant
	_, err := c.ask(ctx, Authenticate, func(b []byte) []byte { return c.appendProof(b, p) }, func(a *answer) error {
		capabilities, err := rule.ParseCapabilities(a.capabilities, a.user)
		g = &session.Grant{
			User: a.user, Info: a.info, Capabilities: capabilities, Expires: a.expires, Issued: began, Token: a.token,
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// Subscribe implements session.Asker.
func (c *Client) Subscribe(ctx context.Context, q session.SubscribeQuestion) (session.SubscribeAnswer, *dialect.Error) {
	a, err := c.ask(ctx, Subscribe, func(b []byte) []byte { return appendSubscribe(b, &q) }, func(a *answer) error {
		_, err := rule.ParseCapabilities(a.capabilities, q.User)
		return err
	})
	if err != nil {
		return session.SubscribeAnswer{}, err
	}
	return session.SubscribeAnswer{Capabilities: a.capabilities, Info: a.info}, nil
}

// Publish implements session.Asker.
func (c *Client) Publish(ctx context.Context, q session.PublishQuestion) (session.PublishAnswer, *dialect.Error) {
	a, err := c.ask(ctx, Publish, func(b []byte) []byte { return appendPublish(b, &q) }, func(*answer) error { return nil })
	if err != nil {
		return session.PublishAnswer{}, err
	}
	return session.PublishAnswer{Payload: a.payload, Format: a.format, Tags: a.tags}, nil
}

// ask puts a question of a kind: what add appends to its beginning. check is asked about an answer that allows. The error is
// what the client is told.
func (c *Client) ask(ctx context.Context, k Kind, add func([]byte) []byte, check func(*answer) error) (*answer, *dialect.Error) {
	e := c.endpoints[k]
	if e == nil {
		return nil, dialect.Errorf(dialect.NotSupported, "this server has nobody to ask about that")
	}
	id := rand.Text()
	a, err := c.exchange(ctx, e, k, id, append(add(c.begin(k, id)), '}'))
	if err == nil && a.allow {
		if wrong := check(a); wrong != nil {
			err = &failure{Invalid, wrong}
		}
	}
	outcome := Allowed
	var failed *failure
	switch {
	case errors.As(err, &failed):
		outcome = failed.outcome
	case !a.allow:
		outcome = Denied
	}
	e.ByOutcome[outcome].Add(1)
	switch outcome {
	case Allowed:
		return a, nil
	case Denied:
		return nil, a.refused
	case Busy:
		return nil, wait(dialect.Errorf(dialect.Busy, "the server asks its back end too much at once: try again later"))
	case Down, Invalid:
		c.complain(e, k, failed)
	}
	if outcome == Down && e.whenDown == Allow {
		return &answer{allow: true}, nil
	}
	return nil, wait(dialect.Errorf(dialect.Unavailable, "the back end that decides this cannot be asked now: try again later"))
}

func wait(e *dialect.Error) *dialect.Error {
	e.RetryAfter = retryAfter
	return e
}

// failure says why there is no answer.
type failure struct {
	outcome Outcome
	err     error
}

// Error says what happened, without what was asked.
func (f *failure) Error() string { return f.err.Error() }

var (
	errBusy      = &failure{Busy, errors.New("too many questions are under way")}
	errOpen      = &failure{Down, errors.New("there was no answer to the last questions, so this one was not asked")}
	errCancelled = &failure{Cancelled, context.Canceled}
)

// exchange asks and reads the answer. The error is a *failure.
func (c *Client) exchange(ctx context.Context, e *endpoint, k Kind, id string, question []byte) (*answer, error) {
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	default:
		return nil, errBusy
	}
	if !e.circuit.ready(c.cfg.Now()) {
		return nil, errOpen
	}
	client, began := ctx, c.cfg.Now()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	status, b, err := c.post(ctx, e, id, question)
	now := c.cfg.Now()
	e.DurationMS.Observe(&session.LatencyBounds, uint64(max(0, now.Sub(began).Milliseconds())))
	switch {
	case err == nil:
		e.circuit.answered()
	case errors.Is(err, errInternal), errors.Is(err, errPlain), errors.Is(err, errLong):
		return nil, &failure{Invalid, err}
	case errors.Is(client.Err(), context.Canceled):
		return nil, errCancelled
	default:
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("there was no whole answer within %v", c.cfg.Timeout)
		}
		e.circuit.unanswered(now)
		return nil, &failure{Down, err}
	}
	switch {
	case status >= 500 || status == http.StatusTooManyRequests:
		return nil, &failure{Down, fmt.Errorf("the answer has status %d", status)}
	case status != http.StatusOK:
		return nil, &failure{Invalid, fmt.Errorf("the answer has status %d, not 200; redirects are not followed", status)}
	}
	a, err := parse(b, k)
	if err != nil {
		return nil, &failure{Invalid, fmt.Errorf("the answer %w", err)}
	}
	return a, nil
}

var errLong = fmt.Errorf("the answer has more than %d bytes", maxAnswer)

// post sends a question and returns the status and the body of what is answered. The error does not hold the URL.
func (c *Client) post(ctx context.Context, e *endpoint, id string, question []byte) (status int, b []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(question))
	if err != nil {
		return 0, nil, withoutURL(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", c.cfg.Agent)
	r.Header.Set("Idempotency-Key", id) // net/http asks again where a connection that was kept has been closed
	sign(r.Header, c.cfg.Secrets, question, c.cfg.Now())
	response, err := e.transport.RoundTrip(r) // unlike a Client it follows no redirects and keeps no cookies
	if err != nil {
		return 0, nil, withoutURL(err)
	}
	defer response.Body.Close()
	b, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
	case len(b) > maxAnswer:
		err = errLong
	default:
		err = ctx.Err() // a server that is told by the end of the connection can end its answer before that is closed
	}
	return response.StatusCode, b, err
}

// withoutURL leaves out the URL, in which there may be a secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// complain tells the log of a failure, once a second at most.
func (c *Client) complain(e *endpoint, k Kind, f *failure) {
	if skipped, ok := e.told.now(c.cfg.Now()); ok {
		c.cfg.Log.Error("the back end could not be asked", slog.String("hook", k.String()), slog.String("outcome", f.outcome.String()),
			slog.Any("error", f.err), slog.Uint64("more", skipped))
	}
}
