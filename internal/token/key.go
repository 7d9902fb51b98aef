package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Bounds of keys.
const (
	minSecret  = 32   // bytes: RFC 7518 §3.2 for HS256. A longer hash makes a secret of 256 bits no weaker, so it may have that too
	maxSecret  = 1024 // bytes
	minRSABits = 2048 // RFC 7518 §3.3
	maxRSABits = 8192 // a check costs some 40 times as much as with 2,048, and more beyond
)

// methods are the algorithms there are here, by name. "none" is not among them.
var methods = map[string]jwt.SigningMethod{
	"HS256": jwt.SigningMethodHS256, "HS384": jwt.SigningMethodHS384, "HS512": jwt.SigningMethodHS512,
	"RS256": jwt.SigningMethodRS256, "RS384": jwt.SigningMethodRS384, "RS512": jwt.SigningMethodRS512,
	"PS256": jwt.SigningMethodPS256, "PS384": jwt.SigningMethodPS384, "PS512": jwt.SigningMethodPS512,
	"ES256": jwt.SigningMethodES256, "ES384": jwt.SigningMethodES384, "ES512": jwt.SigningMethodES512,
	"EdDSA": jwt.SigningMethodEdDSA, "Ed25519": jwt.SigningMethodEdDSA, // see edwards
}

// A Key verifies tokens: a secret, or somebody's public key. It knows the algorithms it may be used with, and prints as
// its id alone.
type Key struct {
	id         string
	algorithms []string // never empty
	material   any      // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey, as methods take them
}

// ID returns the key id, "" when it has none.
func (k Key) ID() string { return k.id }

// Algorithms returns the names of the algorithms that the key may be used with.
func (k Key) Algorithms() []string { return slices.Clone(k.algorithms) }

// String tells nothing but the key id.
func (k Key) String() string { return fmt.Sprintf("key %q", k.id) }

// GoString tells nothing but the key id.
func (k Key) GoString() string { return k.String() }

// Named returns the key with another id. A key with an id is used for tokens that name it, and for those that name none;
// a key without one is used for every token that names no other key.
func (k Key) Named(id string) (Key, error) {
	if len(id) > maxID {
		return Key{}, fmt.Errorf("a key id may have at most %d bytes", maxID)
	}
	k.id = id
	return k, nil
}

// For returns the key for one of its algorithms alone.
func (k Key) For(algorithm string) (Key, error) {
	if !k.fits(algorithm) {
		return Key{}, fmt.Errorf("the key is not for this algorithm; it is for %s", strings.Join(k.algorithms, ", "))
	}
	if k.algorithms = []string{algorithm}; slices.Contains(edwards, algorithm) {
		k.algorithms = edwards
	}
	return k, nil
}

// edwards are the two names of one algorithm (RFC 8037 §3.1, RFC 9864 §2.2).
var edwards = []string{"EdDSA", "Ed25519"}

func (k Key) fits(algorithm string) bool { return slices.Contains(k.algorithms, algorithm) }

// Secret returns a key for HMAC (HS256, HS384, HS512) without an id. secret has at least 32 bytes, which must be random:
// who can guess it can be anybody. What is a public key in any common form is refused, since everybody knows it.
func Secret(secret []byte) (Key, error) {
	switch {
	case len(secret) < minSecret:
		return Key{}, fmt.Errorf("the secret has %d bytes; it needs at least %d that are random", len(secret), minSecret)
	case len(secret) > maxSecret:
		return Key{}, fmt.Errorf("the secret has %d bytes; at most %d are allowed", len(secret), maxSecret)
	case isPublic(secret):
		return Key{}, errors.New("the secret is a public key or a certificate, which is no secret: give it as a key, not as a secret")
	}
	return Key{algorithms: []string{"HS256", "HS384", "HS512"}, material: bytes.Clone(secret)}, nil
}

// isPublic recognises the forms in which keys are handed around: PEM, JWK, SSH and DER.
func isPublic(secret []byte) bool {
	text := bytes.TrimSpace(secret)
	if bytes.Contains(text, []byte("-----BEGIN ")) || bytes.HasPrefix(text, []byte("ssh-")) || bytes.HasPrefix(text, []byte("ecdsa-")) ||
		bytes.HasPrefix(text, []byte("{")) && bytes.Contains(text, []byte(`"kty"`)) {
		return true
	}
	if _, err := x509.ParsePKIXPublicKey(secret); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PublicKey(secret); err == nil {
		return true
	}
	_, err := x509.ParseCertificate(secret)
	return err == nil
}

// ParseSecret reads a secret as it stands in a file or a configuration: "base64:" and base64 of either alphabet, with or
// without padding; or the bytes as they are, without white space around them.
func ParseSecret(text string) (Key, error) {
	text = strings.TrimSpace(text)
	coded, ok := strings.CutPrefix(text, "base64:")
	if !ok {
		return Secret([]byte(text))
	}
	coded = strings.NewReplacer("+", "-", "/", "_", "\n", "", "\r", "").Replace(strings.TrimRight(coded, "="))
	secret, err := base64.RawURLEncoding.DecodeString(coded)
	if err != nil {
		return Key{}, errors.New("the secret is no base64")
	}
	return Secret(secret)
}

// Public returns a key without an id for a public key of the standard library: *rsa.PublicKey of 2048 to 8192 bits,
// *ecdsa.PublicKey on P-256, P-384 or P-521, ed25519.PublicKey.
func Public(public any) (Key, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if err := checkRSA(p); err != nil {
			return Key{}, err
		}
		return Key{algorithms: []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, material: p}, nil
	case *ecdsa.PublicKey:
		if _, err := p.Bytes(); err != nil { // it is no point of the curve
			return Key{}, errors.New("the EC key is none")
		}
		algorithm, ok := curveAlgorithms[p.Curve]
		if !ok {
			return Key{}, errors.New("the EC key is on a curve that is not supported: P-256, P-384 and P-521 are")
		}
		return Key{algorithms: []string{algorithm}, material: p}, nil
	case ed25519.PublicKey:
		if len(p) != ed25519.PublicKeySize {
			return Key{}, errors.New("the Ed25519 key has the wrong length")
		}
		return Key{algorithms: edwards, material: p}, nil
	}
	return Key{}, errors.New("the key is of a kind that is not supported: RSA, EC and Ed25519 are")
}

// curveAlgorithms says which one algorithm goes with a curve (RFC 7518 §3.4).
var curveAlgorithms = map[elliptic.Curve]string{elliptic.P256(): "ES256", elliptic.P384(): "ES384", elliptic.P521(): "ES512"}

// checkRSA refuses what would verify anything, or take long to.
func checkRSA(p *rsa.PublicKey) error {
	if bits := p.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("the RSA key has %d bits; %d to %d are allowed", bits, minRSABits, maxRSABits)
	}
	if p.N.Bit(0) == 0 || p.E < 3 || p.E%2 == 0 { // with an exponent of 1 everybody can sign
		return errors.New("the RSA key is none")
	}
	return nil
}
