package dialect

//go:generate go run ../internal/gen/errors

import (
	"fmt"
	"time"

	"hocket.dev/broker"
)

// Code is the stable number of an error or of a close. 1100 to 9999 are errors of Hocket, from spec/errors.json;
// an application's own begin at 10000; 4000 to 4299 close a connection.
type Code int

// Info is what the catalogue says of a Code.
type Info struct {
	Name     string // stable, lower case with underscores
	Sentence string // for people
	HTTP     int    // the status the API answers with; 0 for a close
	Retry    bool   // the same request may succeed later; for a close: reconnect
	Action   Action // what a client does after a close; "" for an error
}

// Action is what a client does after a close, as spec/errors.json names it.
type Action string

// The actions after a close.
const (
	ActionReconnect Action = "reconnect" // connect again with the same token
	ActionToken     Action = "token"     // get a new token, then connect again
	ActionStop      Action = "stop"      // do not connect again
)

// Info looks c up in the catalogue. A code that is not in it has the zero Info.
func (c Code) Info() Info { return catalogue[c] }

// Error is an error with a stable code, as clients and back ends see it.
type Error struct {
	Code       Code
	Name       string
	Message    string        // one sentence: what was wrong, where, what would be right
	RetryAfter time.Duration // 0: no advice
	// Position goes with Conflict: the newest entry of the key, or of the channel; nil elsewhere.
	Position *broker.Position
}

// Errorf makes the error c of the catalogue with a message of its own.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Name: c.Info().Name, Message: fmt.Sprintf(format, args...)}
}

// Err makes the error c with the sentence of the catalogue.
func (c Code) Err() *Error {
	info := c.Info()
	return &Error{Code: c, Name: info.Name, Message: info.Sentence}
}

// Error names the error and its message.
func (e *Error) Error() string { return e.Name + ": " + e.Message }
