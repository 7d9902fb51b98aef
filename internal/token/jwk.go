package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"hocket.dev/internal/jsonval"
)

// source says where a key set comes from.
type source uint8

const (
	local     source = iota // from whoever runs the server
	published               // from a URL that anybody may read
)

// errNotForUs marks a key that is no mistake: it is for something else, or newer than this program.
var errNotForUs = errors.New("the key is not for signatures, or of a kind that is not known")

// parseSet reads a JWK set (RFC 7517 §5), or one JWK.
func parseSet(text []byte, from source) ([]Key, error) {
	var set []byte
	single := false
	if err := members(text, "key set", Malformed, func(name string, v []byte) *Error {
		switch name {
		case "keys":
			set = v
		case "kty":
			single = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	list := [][]byte{text}
	if !single {
		if len(set) == 0 || set[0] != '[' {
			return nil, errors.New(`the key set has no list "keys"`)
		}
		list = jsonval.Elements(set, MaxKeys+1)
	}
	if len(list) > MaxKeys {
		return nil, fmt.Errorf("the key set has more than %d keys", MaxKeys)
	}
	var keys []Key
	for i, text := range list {
		switch key, err := parseJWK(text, from); {
		case err == nil:
			keys = append(keys, key)
		case from == local && !errors.Is(err, errNotForUs):
			return nil, fmt.Errorf("key %d of the set: %w", i, err)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set has no key that can be used to verify tokens")
	}
	return keys, nil
}

// A jwk is a key as written. Those of its members that are text in base64 are decoded when they are used.
type jwk struct {
	text    map[string]string // kty, kid, use, alg, crv, n, e, x, y, k
	ops     []string
	hasOps  bool
	private bool // it has a member that only a private key has
}

func parseJWK(text []byte, from source) (Key, error) {
	j := jwk{text: make(map[string]string)}
	if err := members(text, "key", Malformed, j.set); err != nil {
		return Key{}, err
	}
	if use := j.text["use"]; use != "" && use != "sig" || j.hasOps && !slices.Contains(j.ops, "verify") {
		return Key{}, errNotForUs
	}
	if j.private {
		return Key{}, errors.New("it has its private parts: leave them out, a server that only verifies needs none")
	}
	key, err := j.key(from)
	if err != nil {
		return Key{}, err
	}
	if algorithm, has := j.text["alg"]; has {
		if _, known := methods[algorithm]; !known {
			return Key{}, errNotForUs
		}
		if key, err = key.For(algorithm); err != nil {
			return Key{}, err
		}
	}
	return key.Named(j.text["kid"])
}

func (j *jwk) set(name string, v []byte) *Error {
	switch name {
	case "kty", "kid", "use", "alg", "crv", "n", "e", "x", "y", "k":
		s, ok := jsonval.String(v)
		if !ok {
			return fail(Malformed, "member %q of the key must be a string", name)
		}
		j.text[name] = s
	case "d", "p", "q", "dp", "dq", "qi", "oth":
		j.private = true
	case "key_ops":
		j.hasOps = true
		for _, v := range jsonval.Elements(v, 16) {
			op, _ := jsonval.String(v)
			j.ops = append(j.ops, op)
		}
	}
	return nil
}

// key makes the key out of its parameters (RFC 7518 §6, RFC 8037 §2).
func (j *jwk) key(from source) (Key, error) {
	switch j.text["kty"] {
	case "RSA":
		n, e := j.bytes("n"), j.bytes("e")
		exponent := new(big.Int).SetBytes(e)
		if len(n) > maxRSABits/8+1 || len(e) > 8 || exponent.BitLen() > 31 {
			return Key{}, errors.New("the RSA key is none, or too long")
		}
		return Public(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())})
	case "EC":
		curve, ok := curves[j.text["crv"]]
		if !ok {
			return Key{}, errNotForUs
		}
		size := (curve.Params().BitSize + 7) / 8
		x, y := j.bytes("x"), j.bytes("y")
		if len(x) != size || len(y) != size {
			return Key{}, errors.New("the EC key is none")
		}
		public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y)) // SEC 1 §2.3.3
		if err != nil {
			return Key{}, errors.New("the EC key is none")
		}
		return Public(public)
	case "OKP":
		if j.text["crv"] != "Ed25519" {
			return Key{}, errNotForUs
		}
		return Public(ed25519.PublicKey(j.bytes("x")))
	case "oct":
		if from == published {
			return Key{}, errors.New("it is a secret that everybody can read")
		}
		return Secret(j.bytes("k"))
	}
	return Key{}, errNotForUs
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// bytes returns what a member holds in base64, nil when it is none.
func (j *jwk) bytes(name string) []byte {
	b, err := decode(j.text[name])
	if err != nil {
		return nil
	}
	return b
}

// decode reads base64url without padding, of which every text has one spelling only: the standard decoder passes over line
// breaks.
func decode(s string) ([]byte, error) {
	for i := range len(s) {
		if s[i] == '\n' || s[i] == '\r' {
			return nil, base64.CorruptInputError(i)
		}
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
