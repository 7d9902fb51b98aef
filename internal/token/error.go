package token

import (
	"errors"
	"fmt"
)

// Reason says why a token does not hold.
type Reason uint8

// The reasons, in the order in which a token is looked at.
const (
	Malformed   Reason = iota + 1 // no token that is understood here
	Algorithm                     // its algorithm is none that is accepted, or none that the key it names is for
	UnknownKey                    // no key is known that it could be signed with
	Signature                     // the signature is not that of the key
	BadClaim                      // a claim is missing, or is not what it must be
	Expired                       // its time is over
	NotYetValid                   // its time has not come, or it was issued in the future
	Issuer                        // it comes from somebody else
	Audience                      // it is for somebody else
	Elsewhere                     // it is bound to another address or origin
)

var reasons = [...]string{
	Malformed: "malformed", Algorithm: "algorithm", UnknownKey: "unknown_key", Signature: "signature", BadClaim: "claim",
	Expired: "expired", NotYetValid: "not_yet_valid", Issuer: "issuer", Audience: "audience", Elsewhere: "elsewhere",
}

// String returns a short name, fit for a metric.
func (r Reason) String() string {
	if int(r) < len(reasons) && reasons[r] != "" {
		return reasons[r]
	}
	return fmt.Sprintf("reason_%d", uint8(r))
}

// An Error says why a token does not hold.
type Error struct {
	Reason Reason
	// KeyID is the "kid" of the token, with UnknownKey; "" when it has none. Whoever wrote the token chose it: it is not
	// part of the sentence, and is good for looking up a key only.
	KeyID   string
	problem string
	newer   bool
}

// NewerKeys tells whether a newer key set, given to Rotate, may let the same token pass: with UnknownKey, and where a token that
// names no key is signed with none of those that are known.
func (e *Error) NewerKeys() bool { return e.newer }

// Error returns a sentence for clients and logs. It repeats nothing of the token and tells nothing of the keys.
func (e *Error) Error() string { return e.problem }

func fail(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, problem: fmt.Sprintf(format, args...)}
}

// ErrLater is what who looks for the key of a token answers where that is not known and could not be looked for now: because its
// URL fails, or was asked for such a key a moment ago, or too many wait for it. The token may hold when it is shown again.
var ErrLater = errors.New("the keys that verify tokens cannot be had now: try again later")
