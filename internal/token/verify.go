package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"hocket.dev/internal/jsonval"
)

// MaxBytes is how long a token may be.
const MaxBytes = 8 << 10

// Bounds and defaults of a Verifier.
const (
	DefaultLeeway = 30 * time.Second
	MaxLeeway     = 5 * time.Minute

	maxTries = 8 // keys that a token without "kid" is tried with
)

// Config says which tokens are accepted.
type Config struct {
	// Keys verify tokens, whatever comes by Rotate; at most MaxKeys. Exchange puts others in their place.
	Keys []Key
	// Audience are the names of this server: a token for somebody else is refused. When it is empty, so is every token that
	// has an "aud" (RFC 7519 §4.1.3).
	Audience []string
	// Issuer are those whose tokens are accepted; when it is empty, anybody's who has the key.
	Issuer []string
	// Leeway is by how much clocks may differ. 0 means DefaultLeeway, less means none; at most MaxLeeway.
	Leeway time.Duration
	// Endless accepts tokens without "exp". They hold until they are revoked, or the key is.
	Endless bool
}

// A Verifier checks tokens.
type Verifier struct {
	cfg     Config // set once, but for its keys, which are in fixed
	fixed   atomic.Pointer[[]Key]
	rotated atomic.Pointer[[]Key]
}

// NewVerifier returns a Verifier. It may have no key: then no token holds until Rotate brings some.
func NewVerifier(cfg Config) (*Verifier, error) {
	switch {
	case cfg.Leeway == 0:
		cfg.Leeway = DefaultLeeway
	case cfg.Leeway > MaxLeeway:
		return nil, fmt.Errorf("token: the leeway is %v; at most %v are allowed", cfg.Leeway, MaxLeeway)
	}
	cfg.Leeway = max(0, cfg.Leeway)
	if slices.Contains(cfg.Audience, "") || slices.Contains(cfg.Issuer, "") {
		return nil, errors.New("token: an audience or issuer is empty")
	}
	if err := checkKeys(cfg.Keys); err != nil {
		return nil, err
	}
	keys := slices.Clone(cfg.Keys)
	cfg.Keys, cfg.Audience, cfg.Issuer = nil, slices.Clone(cfg.Audience), slices.Clone(cfg.Issuer)
	v := &Verifier{cfg: cfg}
	v.fixed.Store(&keys)
	v.rotated.Store(new([]Key))
	return v, nil
}

func checkKeys(keys []Key) error {
	if len(keys) > MaxKeys {
		return fmt.Errorf("token: there are %d keys; at most %d are allowed", len(keys), MaxKeys)
	}
	if slices.ContainsFunc(keys, func(k Key) bool { return k.material == nil }) {
		return errors.New("token: a key is none")
	}
	return nil
}

// Rotate puts keys, at most MaxKeys, in the place of those of the call before. The keys of the Config stay. Calls of Verify
// that are under way end with the keys they began with.
func (v *Verifier) Rotate(keys []Key) error { return exchange(&v.rotated, keys) }

// Exchange puts keys, at most MaxKeys, in the place of those of the Config, as Rotate does with its own.
func (v *Verifier) Exchange(keys []Key) error { return exchange(&v.fixed, keys) }

func exchange(to *atomic.Pointer[[]Key], keys []Key) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	keys = slices.Clone(keys)
	to.Store(&keys)
	return nil
}

// Leeway returns by how much clocks may differ: a token holds so much longer than it says.
func (v *Verifier) Leeway() time.Duration { return v.cfg.Leeway }

// Verify checks a token and returns what it says. The error is an *Error, and the claims are then empty. Its NewerKeys tells
// whether a newer key set, given to Rotate, may let the same token pass.
func (v *Verifier) Verify(text string, now time.Time) (Claims, error) {
	c, err := v.verify(text, now)
	if err != nil {
		return Claims{}, err
	}
	return c, nil
}

func (v *Verifier) verify(text string, now time.Time) (c Claims, err *Error) {
	t, err := split(text)
	if err != nil {
		return c, err
	}
	h, err := parseHeader(t.header)
	if err != nil {
		return c, err
	}
	if err = v.checkSignature(&h, &t); err != nil {
		return c, err
	}
	if c, err = parseClaims(t.payload); err != nil {
		return c, err
	}
	return c, v.judge(&c, now)
}

// parts are those of a token in the compact form (RFC 7515 §7.1).
type parts struct {
	header, payload, signature []byte
	signed                     string // what the signature is of
}

var errParts = fail(Malformed, "the token is not of the form header.payload.signature in base64url without padding")

func split(text string) (t parts, _ *Error) {
	if len(text) > MaxBytes {
		return t, fail(Malformed, "the token has more than %d bytes", MaxBytes)
	}
	if strings.Count(text, ".") != 2 {
		return t, errParts
	}
	dot := strings.LastIndexByte(text, '.')
	t.signed = text[:dot]
	header, payload, _ := strings.Cut(t.signed, ".")
	for _, part := range []struct {
		to   *[]byte
		text string
	}{{&t.header, header}, {&t.payload, payload}, {&t.signature, text[dot+1:]}} {
		b, err := decode(part.text)
		if err != nil {
			return parts{}, errParts
		}
		*part.to = b
	}
	return t, nil
}

// A header says how a token is signed.
type header struct {
	algorithm string
	keyID     string
	hasKeyID  bool
}

// parseHeader reads what counts of the header (RFC 7515 §4). Keys that a token brings along or points to do not.
func parseHeader(text []byte) (h header, _ *Error) {
	err := members(text, "header", Malformed, func(name string, v []byte) *Error {
		switch name {
		case "alg":
			s, _ := jsonval.String(v)
			if _, known := methods[s]; !known {
				return fail(Algorithm, "the token's algorithm is not accepted: HS, RS, PS and ES with 256, 384 or 512, and EdDSA are")
			}
			h.algorithm = s
		case "kid":
			s, ok := jsonval.String(v)
			if !ok || len(s) > maxID {
				return fail(Malformed, `"kid" of the header must be a string of at most %d bytes`, maxID)
			}
			h.keyID, h.hasKeyID = s, true
		case "typ":
			// A token of another type, such as a logout token, says something else with the same claims (RFC 8725 §3.11).
			s, _ := jsonval.String(v)
			if s = strings.TrimPrefix(strings.ToLower(s), "application/"); s != "jwt" && s != "at+jwt" {
				return fail(Malformed, `the token is of another type than "JWT"`)
			}
		case "crit":
			return fail(Malformed, `the token needs extensions ("crit") that are not understood`)
		}
		return nil
	})
	if err == nil && h.algorithm == "" {
		err = fail(Malformed, `the header has no "alg"`)
	}
	return h, err
}

// checkSignature verifies the token with a key that it may be signed with.
func (v *Verifier) checkSignature(h *header, t *parts) *Error {
	var named, nameless, fitting []Key // by the id they have, by having none; those to try
	for _, keys := range [...][]Key{*v.fixed.Load(), *v.rotated.Load()} {
		for _, k := range keys {
			switch {
			case k.id == "":
				nameless = append(nameless, k)
			case !h.hasKeyID || k.id == h.keyID:
				named = append(named, k)
			}
		}
	}
	candidates := named
	if !h.hasKeyID {
		candidates = append(named, nameless...)
	} else if len(named) == 0 {
		candidates = nameless
	}
	for _, k := range candidates {
		if k.fits(h.algorithm) {
			fitting = append(fitting, k)
		}
	}
	for _, k := range fitting[:min(len(fitting), maxTries)] {
		if methods[h.algorithm].Verify(t.signed, t.signature, k.material) == nil {
			return nil
		}
	}
	if h.hasKeyID && len(named) == 0 || len(candidates) == 0 {
		return &Error{Reason: UnknownKey, KeyID: h.keyID, problem: unsigned, newer: true}
	}
	// What is published holds no secrets, so it is no use to look there for another one.
	e := &Error{Reason: Signature, problem: unsigned, newer: !h.hasKeyID && !strings.HasPrefix(h.algorithm, "HS")}
	if len(fitting) == 0 {
		e.Reason = Algorithm
	}
	return e
}

// unsigned is one sentence for all that is wrong with a signature, so that nobody can ask which keys there are.
const unsigned = "the token is not signed with a key of this server, or was changed since"

// judge says whether the token holds here and now.
func (v *Verifier) judge(c *Claims, now time.Time) *Error {
	leeway := v.cfg.Leeway
	switch {
	case c.Expires.IsZero() && !v.cfg.Endless:
		return fail(BadClaim, `the token has no "exp": give it an end`)
	case !c.Expires.IsZero() && !now.Before(c.Expires.Add(leeway)):
		return fail(Expired, "the token has expired")
	case now.Add(leeway).Before(c.NotBefore):
		return fail(NotYetValid, "the token is not valid yet")
	case now.Add(leeway).Before(c.Issued):
		return fail(NotYetValid, "the token was issued in the future")
	case len(v.cfg.Issuer) > 0 && !slices.Contains(v.cfg.Issuer, c.Issuer):
		return fail(Issuer, `the token's issuer ("iss") is not accepted`)
	case len(v.cfg.Audience) == 0 && len(c.Audience) > 0:
		return fail(Audience, `the token is for an audience ("aud"), and this server is told of none that it is`)
	case len(v.cfg.Audience) > 0 && len(c.Audience) == 0:
		return fail(Audience, `the token has no audience ("aud"): it has to name this server`)
	case len(v.cfg.Audience) > 0 && !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(v.cfg.Audience, a) }):
		return fail(Audience, `the token is for another audience ("aud")`)
	}
	return nil
}
