package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"unicode/utf8"

	"hocket.dev/internal/jsonval"
)

// A Signer signs tokens with one key and algorithm.
type Signer struct {
	key       Key // what verifies the tokens: of one algorithm
	algorithm string
	material  any // []byte, *rsa.PrivateKey, *ecdsa.PrivateKey or ed25519.PrivateKey, as methods take them
}

// NewSigner returns a signer. private is a secret for HS256, given as the Key that Secret or ParseSecret returns; or a private
// key of the standard library: *rsa.PrivateKey for RS256, *ecdsa.PrivateKey for ES256, ES384 or ES512 as its curve says,
// ed25519.PrivateKey for EdDSA. keyID is the "kid" that tokens name; "" for none.
func NewSigner(private any, keyID string) (*Signer, error) {
	key, isKey := private.(Key)
	if secret, ok := key.material.([]byte); isKey && ok {
		private = secret
	} else {
		signer, ok := private.(crypto.Signer)
		if !ok {
			return nil, errors.New("token: it takes a secret or a private key to sign")
		}
		var err error
		if key, err = Public(signer.Public()); err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
	}
	switch private.(type) {
	case []byte, *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
	default:
		return nil, errors.New("token: private keys are RSA, EC or Ed25519 keys of the standard library")
	}
	key, err := key.Named(keyID)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	algorithm := key.algorithms[0]
	key, err = key.For(algorithm)
	return &Signer{key, algorithm, private}, err
}

// ParseSigner reads a private key in PEM, or a secret as ParseSecret does.
func ParseSigner(text []byte, keyID string) (*Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		key, err := ParseSecret(string(text))
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		return NewSigner(key, keyID)
	}
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, errors.New("token: the PEM block is no private key; an encrypted one must be decrypted first")
	}
	if err != nil {
		return nil, errors.New("token: the PEM block does not hold the private key it says")
	}
	return NewSigner(private, keyID)
}

// Key returns what verifies the tokens.
func (s *Signer) Key() Key { return s.key }

// Sign returns a token with these claims. What a Verifier would refuse by itself, such as a user with a ":", is an error, but
// times are the caller's matter.
func (s *Signer) Sign(c Claims) (string, error) {
	text, err := checkedClaims(nil, &c)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	h := writer{[]byte("{")}
	h.text("alg", s.algorithm)
	h.text("typ", "JWT")
	h.text("kid", s.key.id)
	signed := base64.RawURLEncoding.EncodeToString(append(h.b, '}')) + "." + base64.RawURLEncoding.EncodeToString(text)
	signature, err := methods[s.algorithm].Sign(signed, s.material)
	if err != nil {
		return "", fmt.Errorf("token: sign: %w", err)
	}
	signed += "." + base64.RawURLEncoding.EncodeToString(signature)
	if len(signed) > MaxBytes {
		return "", fmt.Errorf("token: the token has %d bytes; at most %d are allowed", len(signed), MaxBytes)
	}
	return signed, nil
}

// checkedClaims appends the claims to dst, if they are such as can be read again.
func checkedClaims(dst []byte, c *Claims) ([]byte, error) {
	if c.Info != nil && jsonval.Check(c.Info, maxDepth-1) != nil {
		return nil, errors.New("the info is not one JSON value, or nested too deep")
	}
	for pattern := range c.Capabilities {
		if !utf8.ValidString(pattern) { // or two could be written as one
			return nil, errors.New("a pattern is not valid UTF-8")
		}
	}
	start := len(dst)
	dst = appendClaims(dst, c)
	if _, err := parseClaims(dst[start:]); err != nil {
		return nil, err
	}
	return dst, nil
}
