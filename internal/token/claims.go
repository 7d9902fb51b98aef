package token

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/rule"
)

// Bounds of claims.
const (
	maxDepth        = 32  // of arrays and objects, the claims themselves included
	maxID           = 255 // bytes of "jti", "iss", an audience, a pattern or an origin
	maxAudiences    = 32
	maxCapabilities = rule.MaxCapabilities
	maxVerbs        = 32 // of one pattern
)

// latest is the end of the year 9999, in seconds: no date lies beyond it.
const latest = 253402300799

// Claims is what a proof says of its bearer.
type Claims struct {
	ID   string // "jti": the name by which it can be revoked; "" when it has none
	User string // "sub", which rule.CheckUser has let pass; "" for no one in particular
	Info []byte // "info": one checked JSON value; nil for none
	// Capabilities is "capabilities": verbs by pattern, and limits such as "publishes 5/s burst 20" among them, as written. It
	// is nil when the claim is absent, which is not the same as empty: then nothing is permitted.
	Capabilities map[string][]string

	Issuer    string    // "iss"
	Audience  []string  // "aud"
	Issued    time.Time // "iat"; zero when absent
	NotBefore time.Time // "nbf"; zero when absent
	Expires   time.Time // "exp"; zero when absent

	Address netip.Addr // "address": the one that the bearer comes from; the zero value for any
	Origin  string     // "origin": that of the page that the bearer comes from; "" for any
}

// CheckPlace says whether the bearer may come from this address and origin. The error is an *Error with the reason
// Elsewhere. An IPv4 address that is written as an IPv6 one is the same.
func (c *Claims) CheckPlace(address netip.Addr, origin string) error {
	if c.Address.IsValid() && c.Address != address.Unmap().WithZone("") {
		return fail(Elsewhere, "the proof is bound to another address")
	}
	if c.Origin != "" && c.Origin != origin {
		return fail(Elsewhere, "the proof is bound to another origin")
	}
	return nil
}

// members hands out the members of a JSON object. jsonval sees to it that none stands twice.
func members(text []byte, what string, r Reason, each func(name string, value []byte) *Error) *Error {
	o := jsonval.Fields(text, maxDepth)
	for o.Next() {
		if err := each(string(o.Name()), o.Value()); err != nil {
			return err
		}
	}
	if o.Err() != nil {
		return fail(r, "the %s is not one JSON object, has two members of one name, or is nested too deep", what)
	}
	return nil
}

// parseClaims reads the claims of a token, or of a grant.
func parseClaims(text []byte) (c Claims, _ *Error) {
	err := members(text, "payload", BadClaim, c.set)
	if err != nil {
		return Claims{}, err
	}
	return c, nil
}

// set takes over one claim. Those that are not known are left out.
func (c *Claims) set(name string, v []byte) *Error {
	switch name {
	case "jti":
		return setText(&c.ID, name, v)
	case "sub":
		return setUser(&c.User, v)
	case "info":
		if !jsonval.IsNull(v) {
			c.Info = bytes.Clone(v)
		}
	case "capabilities":
		return c.setCapabilities(v)
	case "iss":
		return setText(&c.Issuer, name, v)
	case "aud":
		return c.setAudience(v)
	case "iat":
		return setTime(&c.Issued, name, v)
	case "nbf":
		return setTime(&c.NotBefore, name, v)
	case "exp":
		return setTime(&c.Expires, name, v)
	case "address":
		return c.setAddress(v)
	case "origin":
		return setText(&c.Origin, name, v)
	}
	return nil
}

func setText(to *string, name string, v []byte) *Error {
	s, ok := jsonval.String(v)
	if !ok || len(s) > maxID {
		return fail(BadClaim, "claim %q must be a string of at most %d bytes", name, maxID)
	}
	*to = s
	return nil
}

func setUser(to *string, v []byte) *Error {
	s, ok := jsonval.String(v)
	if !ok {
		return fail(BadClaim, `claim "sub" must be a string`)
	}
	if err := rule.CheckUser(s); err != nil {
		return fail(BadClaim, `claim "sub": %v`, err)
	}
	*to = s
	return nil
}

// setTime takes seconds since 1970, with a fraction if need be (RFC 7519 §2, NumericDate), to the nearest millisecond: what is
// written in decimals is a little less or more in binary.
func setTime(to *time.Time, name string, v []byte) *Error {
	f, ok := jsonval.Float(v)
	if !ok || !(f >= 0 && f <= latest) { // written so that it refuses what is no number too
		return fail(BadClaim, "claim %q must be a number of seconds since 1970, up to the year 9999", name)
	}
	*to = time.UnixMilli(int64(math.Round(f * 1000)))
	return nil
}

func (c *Claims) setAudience(v []byte) *Error {
	list := [][]byte{v}
	if v[0] == '[' {
		list = jsonval.Elements(v, maxAudiences+1)
	}
	if len(list) > maxAudiences {
		return fail(BadClaim, `claim "aud" may have at most %d elements`, maxAudiences)
	}
	c.Audience = make([]string, len(list))
	for i, v := range list {
		if err := setText(&c.Audience[i], "aud", v); err != nil {
			return err
		}
	}
	return nil
}

func (c *Claims) setCapabilities(v []byte) *Error {
	c.Capabilities = make(map[string][]string)
	return members(v, `claim "capabilities"`, BadClaim, func(pattern string, verbs []byte) *Error {
		if len(c.Capabilities) == maxCapabilities {
			return fail(BadClaim, `claim "capabilities" may have at most %d patterns`, maxCapabilities)
		}
		list := jsonval.Elements(verbs, maxVerbs+1)
		if len(pattern) > maxID || verbs[0] != '[' || len(list) > maxVerbs {
			return fail(BadClaim, `claim "capabilities" must hold lists of at most %d verbs by pattern`, maxVerbs)
		}
		c.Capabilities[pattern] = make([]string, len(list))
		for i, v := range list {
			if err := setText(&c.Capabilities[pattern][i], "capabilities", v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Claims) setAddress(v []byte) *Error {
	s, ok := jsonval.String(v)
	a, err := netip.ParseAddr(s)
	if !ok || err != nil || a.Zone() != "" {
		return fail(BadClaim, `claim "address" must be an IP address`)
	}
	c.Address = a.Unmap()
	return nil
}

// appendClaims appends the claims as a JSON object, always the same for the same claims.
func appendClaims(dst []byte, c *Claims) []byte {
	w := writer{append(dst, '{')}
	w.text("iss", c.Issuer)
	w.text("sub", c.User)
	switch len(c.Audience) {
	case 0:
	case 1:
		w.text("aud", c.Audience[0])
	default:
		w.name("aud")
		w.list(c.Audience)
	}
	w.time("exp", c.Expires)
	w.time("nbf", c.NotBefore)
	w.time("iat", c.Issued)
	w.text("jti", c.ID)
	if c.Info != nil {
		w.name("info")
		w.b = append(w.b, c.Info...)
	}
	if c.Capabilities != nil {
		w.name("capabilities")
		w.capabilities(c.Capabilities)
	}
	if c.Address.IsValid() {
		w.text("address", c.Address.String())
	}
	w.text("origin", c.Origin)
	return append(w.b, '}')
}

// A writer appends the members of a JSON object.
type writer struct{ b []byte }

func (w *writer) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(jsonval.AppendString(w.b, name), ':')
}

// text leaves out what is empty.
func (w *writer) text(name, s string) {
	if s != "" {
		w.name(name)
		w.b = jsonval.AppendString(w.b, s)
	}
}

// time leaves out the zero time. Fractions of a second are kept to the millisecond.
func (w *writer) time(name string, t time.Time) {
	if !t.IsZero() {
		w.name(name)
		w.b = jsonval.AppendFloat(w.b, float64(t.UnixMilli())/1000)
	}
}

func (w *writer) list(list []string) {
	w.b = append(w.b, '[')
	for i, s := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = jsonval.AppendString(w.b, s)
	}
	w.b = append(w.b, ']')
}

func (w *writer) capabilities(m map[string][]string) {
	patterns := make([]string, 0, len(m))
	for pattern := range m {
		patterns = append(patterns, pattern)
	}
	slices.SortFunc(patterns, strings.Compare)
	w.b = append(w.b, '{')
	for _, pattern := range patterns {
		w.name(pattern)
		w.list(m[pattern])
	}
	w.b = append(w.b, '}')
}
