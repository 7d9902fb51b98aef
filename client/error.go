package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/websocket"
)

// An Error is what the server, or the client itself, answers a request with. errors.Is compares code and name.
type Error struct {
	// Code is that of docs/errors.md; 4000 to 4299 when the server closed the connection for good. 0 is an error of
	// this package, such as ErrClosed.
	Code int
	Name string // stable, like "permission_denied"
	// Message is for people.
	Message string
	// RetryAfter is how long the server asks to wait; 0 for no advice.
	RetryAfter time.Duration
}

// Errors of this package.
var (
	// ErrClosed says that the Client or the Subscription has been closed.
	ErrClosed = &Error{Name: "closed", Message: "closed by this program"}
	// ErrConnectionLost answers a call whose connection was lost: whether the method has run is not known. Publishes do
	// not get it, they are sent again.
	ErrConnectionLost = &Error{Name: "connection_lost", Message: "the connection was lost before the answer came"}
	// ErrQueueFull says that as many requests wait to be sent as Options.MaxWaiting lets. The server was not asked; when it has
	// too much to do itself, it says "busy".
	ErrQueueFull = &Error{Name: "queue_full", Message: "too many requests wait to be sent"}
)

// Error returns name and message.
func (e *Error) Error() string { return e.Name + ": " + e.Message }

// Is makes errors with the same code and name equal for errors.Is.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Name == e.Name
}

// retryable tells whether the same request may succeed later.
func (e *Error) retryable() bool { return dialect.Code(e.Code).Info().Retry }

// A ConflictError answers a publish whose Expect does not hold. Nothing was published. It wraps an *Error.
type ConflictError struct {
	// Position is that of the newest entry of the key, or of the channel; its Offset is 0 where there is none. It is what
	// to expect the next time.
	Position
	err *Error
}

// Error returns name and message.
func (e *ConflictError) Error() string { return e.err.Error() }

// Unwrap returns the *Error.
func (e *ConflictError) Unwrap() error { return e.err }

// An UnknownOutcomeError answers a publish that has failed although it may have been applied: the server lost its log while it
// published, or an attempt before the last one was not answered. It wraps the *Error of the last attempt. To repeat such a
// publish without doubling it give it an IdempotencyKey.
type UnknownOutcomeError struct{ err *Error }

// Error returns name and message.
func (e *UnknownOutcomeError) Error() string { return e.err.Error() + " (it may have been published)" }

// Unwrap returns the *Error.
func (e *UnknownOutcomeError) Unwrap() error { return e.err }

// outcome is what a publish is answered with. unanswered says that an attempt at it, before the one that err answers or even
// that one, was sent and has no answer.
func outcome(err error, unanswered bool) error {
	e, ok := err.(*Error)
	if !ok { // a conflict: it is looked for after duplicates
		return err
	}
	switch dialect.Code(e.Code) {
	case dialect.Conflict:
		return err
	case dialect.Unavailable, dialect.Timeout, dialect.Internal: // the server does not know either
		unanswered = true
	}
	if unanswered {
		return &UnknownOutcomeError{e}
	}
	return err
}

// wireError is an error as it stands in a message.
type wireError struct {
	Code         int     `json:"code"`
	Name         string  `json:"name"`
	Message      string  `json:"message"`
	RetryAfterMS int64   `json:"retry_after_ms"`
	Epoch        string  `json:"epoch"`
	Offset       *uint64 `json:"offset"`
}

// answer is the error as it answers a request.
func (w *wireError) answer() error {
	if w.Code == int(dialect.Conflict) && w.Offset != nil {
		return &ConflictError{Position{w.Epoch, *w.Offset}, w.error()}
	}
	return w.error()
}

func (w *wireError) error() *Error {
	return &Error{w.Code, w.Name, w.Message, time.Duration(w.RetryAfterMS) * time.Millisecond}
}

// refusal explains why a handshake failed. The server's own words are in the response, if it is a Hocket server.
func refusal(url string, response *http.Response, err error) error {
	if response != nil && response.Body != nil {
		var body struct {
			Error *wireError `json:"error"`
		}
		if json.NewDecoder(response.Body).Decode(&body) == nil && body.Error != nil {
			return body.Error.error()
		}
	}
	return fmt.Errorf("client: connect to %s: %w", url, err)
}

// needsProof tells whether the server wants a new proof of identity: a token or ticket that was good no longer is, or this one was not.
func needsProof(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch dialect.Code(e.Code) {
	case dialect.Unauthenticated, dialect.TokenExpired, dialect.Revoked,
		dialect.CloseUnauthenticated, dialect.CloseTokenExpired, dialect.CloseRevoked:
		return true
	}
	return false
}

// final returns the error of a close that says not to come back, nil for one after which to reconnect. What the server
// said before, as an error that belongs to no request, explains it better than a close code.
func final(err error, said *Error) *Error {
	var closed *websocket.CloseError
	if !errors.As(err, &closed) {
		return nil
	}
	code := int(closed.Code)
	if code < 4100 || code > 4299 { // §Closing: codes are read by their range
		return nil
	}
	if said != nil {
		return said
	}
	e := &Error{Code: code, Name: closed.Reason, Message: dialect.Code(code).Info().Sentence}
	if name := dialect.Code(code).Info().Name; name != "" {
		e.Name = name
	}
	return e
}
