package rule

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"hocket.dev/internal/jsonval"
)

// MaxUser is how long the id of a user may be, in bytes.
const MaxUser = 255

var (
	errUserLength = errors.New("user may have at most 255 bytes")
	errUserText   = errors.New("user may not hold ':', '*', '>' or control characters")
	errUserProto  = errors.New("user " + jsonval.NotTaken)
)

// CheckUser tells whether user can be the id of a user: at most 255 bytes of UTF-8 without ":", "*", ">" and control
// characters, and not "__proto__". So it is one literal segment wherever a pattern says "{user}". "" stands for no one in particular. The error
// repeats nothing of the id.
func CheckUser(user string) error {
	switch {
	case len(user) > MaxUser:
		return errUserLength
	case !utf8.ValidString(user) || strings.ContainsFunc(user, badInUser):
		return errUserText
	case user == jsonval.Proto:
		return errUserProto
	}
	return nil
}

// badInUser holds U+FFFD for bad too: it is what half of a surrogate pair is read as, and two ids must not become one.
func badInUser(r rune) bool {
	return r == ':' || r == '*' || r == '>' || r == utf8.RuneError || unicode.IsControl(r)
}
