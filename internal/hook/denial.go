package hook

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

const (
	maxMessage = 512 // bytes; more is cut off
	maxName    = 64  // bytes
	maxRetry   = 24 * time.Hour

	// An application's own codes.
	leastOwn = 10_000
	mostOwn  = 999_999
)

// refusals are what clients are told where the back end does not say more, and denials what it may say.
var (
	refusals = [...]dialect.Code{
		Authenticate: dialect.Unauthenticated, Subscribe: dialect.PermissionDenied, Publish: dialect.PermissionDenied,
	}
	denials = [...][]dialect.Code{
		Authenticate: {dialect.Unauthenticated, dialect.PermissionDenied, dialect.TokenExpired, dialect.Revoked},
		Subscribe:    {dialect.PermissionDenied},
		Publish:      {dialect.PermissionDenied},
	}
)

// parseDenial reads what stands behind "deny": what the client is told.
func parseDenial(v []byte, k Kind) (*dialect.Error, error) {
	if v[0] != '{' {
		return nil, wrong("deny", "an object", v)
	}
	var code, name, message, retry []byte
	for o := jsonval.Fields(v, maxDepth); o.Next(); {
		if v := o.Value(); !jsonval.IsNull(v) {
			switch string(o.Name()) {
			case "code":
				code = v
			case "name":
				name = v
			case "message":
				message = v
			case "retry_after_ms":
				retry = v
			}
		}
	}
	e, err := parseCode(code, name, k)
	if err != nil {
		return nil, err
	}
	if message != nil {
		s, ok := jsonval.String(message)
		if !ok {
			return nil, wrong("deny.message", "a string", message)
		}
		if s = clean(s); s != "" {
			e.Message = s
		}
	}
	if retry != nil {
		ms, ok := jsonval.Uint(retry, uint64(maxRetry.Milliseconds()))
		if !ok {
			return nil, wrong("deny.retry_after_ms", "a whole number of at most one day", retry)
		}
		e.RetryAfter = time.Duration(ms) * time.Millisecond
	}
	return e, nil
}

// parseCode reads the code, and the name that goes with one of the application's own.
func parseCode(code, name []byte, k Kind) (*dialect.Error, error) {
	if code == nil {
		return refusals[k].Err(), nil
	}
	n, ok := jsonval.Uint(code, mostOwn)
	switch {
	case ok && slices.Contains(denials[k], dialect.Code(n)):
		return dialect.Code(n).Err(), nil
	case !ok || n < leastOwn:
		return nil, fmt.Errorf("deny.code must be one of %v, or one of the application's own, from %d to %d", denials[k], leastOwn, mostOwn)
	}
	e := &dialect.Error{Code: dialect.Code(n), Name: "refused", Message: refusals[k].Info().Sentence}
	if name != nil {
		if e.Name, ok = jsonval.String(name); !ok || !isName(e.Name) {
			return nil, wrong("deny.name", fmt.Sprintf("1 to %d lower-case letters, digits and _", maxName), name)
		}
	}
	return e, nil
}

func isName(s string) bool {
	return s != "" && len(s) <= maxName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// clean makes a text one line of at most maxMessage bytes.
func clean(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s))
	if len(s) <= maxMessage {
		return s
	}
	end := maxMessage
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
