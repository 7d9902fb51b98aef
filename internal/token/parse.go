package token

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// MaxKeyBytes is how long a text with keys may be.
const MaxKeyBytes = 1 << 20

// MaxKeys is how many keys one text may hold, and how many a Verifier has of each sort.
const MaxKeys = 64

// ParseKeys reads keys to verify with: public keys or one certificate in PEM, or a JWK or JWK set (RFC 7517), which may hold
// secrets too ("oct"). A private key is refused: a server that only verifies needs none, and who has it can be anybody.
// Keys of a set that are not for signatures, or of a kind that is not known, are left out. There is at least one key
// when the error is nil.
//
// Of a certificate only the key counts, not who has signed it nor until when: whoever names the file trusts the key.
func ParseKeys(text []byte) ([]Key, error) {
	if len(text) > MaxKeyBytes {
		return nil, fmt.Errorf("the keys have more than %d bytes", MaxKeyBytes)
	}
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseSet(trimmed, local)
	}
	return parsePEM(text)
}

// ParsePublished reads a JWK set as it is fetched from a URL. What must not stand there is left out, since it is no
// longer secret: secrets and keys with their private parts. So is what is not understood (RFC 7517 §5). There is at least one
// key when the error is nil.
func ParsePublished(text []byte) ([]Key, error) {
	if len(text) > MaxKeyBytes {
		return nil, fmt.Errorf("the keys have more than %d bytes", MaxKeyBytes)
	}
	return parseSet(text, published)
}

func parsePEM(text []byte) ([]Key, error) {
	var keys []Key
	certificates := 0
	blocks := bytes.Count(text, []byte("-----BEGIN "))
	if blocks == 0 {
		return nil, errors.New("there is no key: give PEM (-----BEGIN PUBLIC KEY-----) or a JWK set in JSON")
	}
	if blocks > MaxKeys {
		return nil, fmt.Errorf("there are more than %d keys", MaxKeys)
	}
	for range blocks {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, errors.New("a PEM block is damaged")
		}
		if block.Type == "CERTIFICATE" {
			certificates++
		}
		key, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if certificates > 1 {
		return nil, errors.New("there are several certificates: give the one whose key signs tokens, without those of its authorities")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (Key, error) {
	var public any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = certificate.PublicKey
		}
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return Key{}, errors.New("there is a private key: give the server the public one alone (openssl pkey -pubout)")
	default:
		return Key{}, errors.New("a PEM block is neither PUBLIC KEY, RSA PUBLIC KEY nor CERTIFICATE")
	}
	if err != nil {
		return Key{}, errors.New("a PEM block does not hold the key it says")
	}
	return Public(public)
}
