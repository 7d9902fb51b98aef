package token

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ticketPrefix tells people, and programs that look for secrets where none should stand, what they see.
const ticketPrefix = "hkt_"

// ticketLength is that of a ticket in writing.
const ticketLength = len(ticketPrefix) + 43 // 256 bits in base64url

// MaxGrantBytes is how long a grant may be.
const MaxGrantBytes = 16 << 10

// grantFormat begins a grant. A reader knows this format and, once there is another, the one before.
const grantFormat = 1

// A Ticket is a proof that can be used once: 256 random bits. What it stands for is its grant, which is kept under Key; so
// whoever reads what is kept cannot make the ticket out of it. A Ticket prints as nothing that could be used.
type Ticket struct{ secret [32]byte }

// NewTicket returns a new ticket, of the system's randomness.
func NewTicket() Ticket {
	var t Ticket
	rand.Read(t.secret[:]) // never fails
	return t
}

// ParseTicket reads a ticket. The error is an *Error.
func ParseTicket(text string) (Ticket, error) {
	coded, ok := strings.CutPrefix(text, ticketPrefix)
	if !ok || len(text) != ticketLength {
		return Ticket{}, errTicket
	}
	b, err := decode(coded)
	if err != nil {
		return Ticket{}, errTicket
	}
	return Ticket{[32]byte(b)}, nil
}

var errTicket = fail(Malformed, "the ticket is none: it begins with %s and has %d characters", ticketPrefix, ticketLength)

// Text returns the ticket in writing, for its bearer alone.
func (t Ticket) Text() string {
	return ticketPrefix + base64.RawURLEncoding.EncodeToString(t.secret[:])
}

// Key returns the name under which the grant is kept, which is of the SHA-256 of the secret.
func (t Ticket) Key() string {
	sum := sha256.Sum256(t.secret[:])
	return "ticket:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Format tells nothing of the ticket, whatever the verb.
func (t Ticket) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("ticket")) }

// AppendGrant appends what a ticket stands for: the claims of its bearer. Expires is when the session ends, if it does; until when
// the ticket can be used is the keeper's matter. What could not be read again is an error.
func AppendGrant(dst []byte, c Claims) ([]byte, error) {
	start := len(dst)
	dst, err := checkedClaims(append(dst, grantFormat), &c)
	switch {
	case err != nil:
		return nil, fmt.Errorf("ticket: %w", err)
	case len(dst)-start > MaxGrantBytes:
		return nil, fmt.Errorf("ticket: its grant has %d bytes; at most %d are allowed", len(dst)-start, MaxGrantBytes)
	}
	return dst, nil
}

var errGrant = errors.New("ticket: what is kept for it is of a format that is not known")

// ParseGrant reads what AppendGrant wrote.
func ParseGrant(b []byte) (Claims, error) {
	text, ok := bytes.CutPrefix(b, []byte{grantFormat})
	if !ok || len(b) > MaxGrantBytes {
		return Claims{}, errGrant
	}
	c, err := parseClaims(text)
	if err != nil {
		return Claims{}, err
	}
	return c, nil
}
