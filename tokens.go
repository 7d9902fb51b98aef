package hocket

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"hocket.dev/internal/jwks"
	"hocket.dev/internal/token"
)

// Tokens says which signed tokens (JSON Web Tokens, RFC 7519) prove who a client is. Without any key none does.
type Tokens struct {
	// Keys verify tokens.
	Keys []TokenKey
	// JWKS is the URL of a key set (RFC 7517): https, or http on this machine. It is fetched again as its Cache-Control says,
	// every minute to every hour, and when a token is signed with a key that is not known, at most every 10 s. While it fails,
	// what is known is used for 24 hours.
	JWKS string
	// JWKSInsecure allows JWKS to be http on other machines: for networks in which nobody else can answer in their place.
	JWKSInsecure bool
	// Audience are the names of this server, of which a token must have one as "aud". Without any, tokens that have one are refused.
	Audience []string
	// Issuers are those whose tokens are accepted, by "iss". Without any, everybody's who has a key.
	Issuers []string
	// Leeway is by how much clocks may differ; 0 means 30 s, less means none, and 5 minutes is the most.
	Leeway time.Duration
	// Endless accepts tokens without "exp".
	Endless bool
}

// A TokenKey verifies tokens. Exactly one of Secret and Public is set.
type TokenKey struct {
	// ID is what tokens name as "kid". A key without one is for every token that names no other.
	ID string
	// Algorithm is the only one that the key is for, such as "RS256"; "" means all that fit it.
	Algorithm string
	// Secret is shared with who signs (HS256, HS384, HS512): at least 32 random bytes, as they are or as base64 behind "base64:".
	Secret string
	// Public is the public key of who signs: in PEM, also in a certificate, or as a JWK or JWK set, with its own ids.
	Public []byte
}

// TokenClaims is what a token says of its bearer.
type TokenClaims = token.Claims

// A TokenSigner signs tokens, for back ends in Go: others use any library for JSON Web Tokens.
type TokenSigner = token.Signer

// NewTokenSigner returns a signer. key is a secret of at least 32 random bytes, as they are or as base64 behind "base64:", for HS256; or
// a private key in PEM: RSA for RS256, EC for ES256, ES384 or ES512, Ed25519 for EdDSA. keyID is the "kid" of the tokens, "" for
// none.
func NewTokenSigner(key []byte, keyID string) (*TokenSigner, error) {
	return token.ParseSigner(key, keyID)
}

// keys returns what verifies tokens by t. It says which key is wrong, and nothing of the key.
func (k *TokenKey) keys() ([]token.Key, error) {
	var keys []token.Key
	var err error
	switch {
	case (k.Secret == "") == (len(k.Public) == 0):
		return nil, errors.New("a key has either a secret or a public key")
	case k.Secret != "":
		keys = make([]token.Key, 1)
		keys[0], err = token.ParseSecret(k.Secret)
	default:
		keys, err = token.ParseKeys(k.Public)
	}
	if err != nil {
		return nil, err
	}
	if k.ID != "" && len(keys) > 1 {
		return nil, errors.New("there are several keys for one id")
	}
	for i := range keys {
		if k.ID != "" {
			if keys[i], err = keys[i].Named(k.ID); err != nil {
				return nil, err
			}
		}
		if k.Algorithm != "" {
			if keys[i], err = keys[i].For(k.Algorithm); err != nil {
				return nil, err
			}
		}
	}
	return keys, nil
}

// Check says what is wrong with a key. It repeats nothing of it.
func (k *TokenKey) Check() error {
	_, err := k.keys()
	return err
}

// readTokenKeys returns what verifies tokens by any of the keys.
func readTokenKeys(keys []TokenKey) (all []token.Key, err error) {
	for i := range keys {
		some, err := keys[i].keys()
		if err != nil {
			return nil, fmt.Errorf("hocket: Tokens.Keys[%d]: %w", i, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// SetTokenKeys exchanges the keys of Config.Tokens for others; those of a JWKS stay. Sessions that were admitted by a key that is
// gone go on until their tokens expire or are revoked. The error says which key is wrong, or that Config.Tokens named
// neither keys nor a JWKS, and leaves those there were.
func (s *Server) SetTokenKeys(keys []TokenKey) error {
	if s.gate.verifier == nil {
		return errors.New("hocket: Tokens: no token is checked, since there were no keys at the start")
	}
	all, err := readTokenKeys(keys)
	if err != nil {
		return err
	}
	if err := s.gate.verifier.Exchange(all); err != nil {
		return fmt.Errorf("hocket: Tokens: %w", err)
	}
	return nil
}

// open returns what checks tokens: a verifier, nil when there is no key; and a source of further keys that is to be run, nil
// when there is no URL.
func (t *Tokens) open(log *slog.Logger) (*token.Verifier, *jwks.Source, error) {
	if len(t.Keys) == 0 && t.JWKS == "" {
		return nil, nil, nil
	}
	cfg := token.Config{Audience: t.Audience, Issuer: t.Issuers, Leeway: t.Leeway, Endless: t.Endless}
	var err error
	if cfg.Keys, err = readTokenKeys(t.Keys); err != nil {
		return nil, nil, err
	}
	verifier, err := token.NewVerifier(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("hocket: Tokens: %w", err)
	}
	if t.JWKS == "" {
		return verifier, nil, nil
	}
	source, err := jwks.New(jwks.Config{URL: t.JWKS, Insecure: t.JWKSInsecure, Verifier: verifier, Log: log})
	if err != nil {
		return nil, nil, fmt.Errorf("hocket: Tokens: %w", err)
	}
	return verifier, source, nil
}
