package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"hocket.dev"
	"hocket.dev/internal/jwks"
	"hocket.dev/internal/token"
)

// Tokens say which signed tokens prove who a client is.
type Tokens struct {
	Keys         []TokenKey    `name:"keys" doc:"Keys that tokens are verified with: secrets and public keys."`
	JWKS         string        `name:"jwks" doc:"The URL of a key set, such as \"https://issuer.example/.well-known/jwks.json\". It is fetched again as its Cache-Control says, every minute to every hour, and when a token is signed with a key that is not known, at most every 10s. While it fails, what is known is used for 24h. http is for this machine only, unless jwks_insecure is true."`
	JWKSInsecure bool          `name:"jwks_insecure" default:"false" doc:"Allows jwks to be http on other machines. Whoever can answer in their place can be anybody."`
	Audience     []string      `name:"audience" doc:"The names of this server: a token must have one of them as \"aud\". Without any, tokens that have an \"aud\" are refused, since they are for somebody else."`
	Issuers      []string      `name:"issuers" doc:"Those whose tokens are accepted, by \"iss\"; without any, everybody's who has a key."`
	Leeway       time.Duration `name:"leeway" default:"30s" max:"5m" doc:"By how much clocks may differ: a token holds so much longer than it says, and so much earlier."`
	Endless      bool          `name:"endless" default:"false" doc:"Accepts tokens without \"exp\". They hold until they are revoked."`
}

// A TokenKey is a secret or a public key.
type TokenKey struct {
	ID         string `name:"id" doc:"What tokens name as \"kid\". A key without one is for every token that names no other."`
	Algorithm  string `name:"algorithm" doc:"The only one the key is for: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA. Without one, all that fit the key."`
	Secret     string `name:"secret" secret:"true" doc:"What is shared with who signs (HS256, HS384, HS512): at least 32 random bytes, as they are or as base64 behind \"base64:\"."`
	SecretFile string `name:"secret_file" doc:"The file that the secret stands in. It is read again when it changes."`
	File       string `name:"file" doc:"The file with the public key of who signs: PEM, also of a certificate, or a JWK or JWK set. It is read again when it changes."`
}

// Hocket returns the settings with what stands in the files that they name.
func (t *Tokens) Hocket() (hocket.Tokens, error) {
	leeway := t.Leeway
	if leeway == 0 {
		leeway = -1 // 0 means the default there
	}
	tokens := hocket.Tokens{JWKS: t.JWKS, JWKSInsecure: t.JWKSInsecure, Audience: t.Audience, Issuers: t.Issuers, Leeway: leeway, Endless: t.Endless}
	for i := range t.Keys {
		key, err := t.Keys[i].hocket()
		if err == nil {
			err = key.Check()
		}
		if err != nil {
			return hocket.Tokens{}, &Error{Field: fmt.Sprintf("tokens.keys[%d]", i), Err: err}
		}
		tokens.Keys = append(tokens.Keys, key)
	}
	return tokens, nil
}

// Files are the files that keys stand in.
func (t *Tokens) Files() (paths []string) {
	for i := range t.Keys {
		if path := t.Keys[i].SecretFile + t.Keys[i].File; path != "" { // checkTokens allows one of them
			paths = append(paths, path)
		}
	}
	return paths
}

func (k *TokenKey) hocket() (key hocket.TokenKey, err error) {
	key = hocket.TokenKey{ID: k.ID, Algorithm: k.Algorithm, Secret: k.Secret}
	given := 0
	for _, text := range []string{k.Secret, k.SecretFile, k.File} {
		if text != "" {
			given++
		}
	}
	switch {
	case given != 1:
		err = errors.New("needs exactly one of secret, secret_file and file")
	case k.SecretFile != "":
		var text []byte
		text, err = readKey(k.SecretFile)
		key.Secret = string(text)
	case k.File != "":
		key.Public, err = readKey(k.File)
	}
	return key, err
}

// readKey reads a file with a key, which is not empty and not longer than keys are.
func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, fmt.Errorf("%q cannot be read: %w", path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, token.MaxKeyBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q cannot be read: %w", path, err)
	case len(text) == 0:
		return nil, fmt.Errorf("%q is empty", path)
	}
	return text, nil
}

// checkTokens says what is wrong with them, and where in the file.
func (f *File) checkTokens() error {
	if f.Tokens.JWKS != "" {
		if err := jwks.CheckURL(f.Tokens.JWKS, f.Tokens.JWKSInsecure); err != nil {
			return f.fail("tokens.jwks", "%w", err)
		}
	}
	for name, list := range map[string][]string{"audience": f.Tokens.Audience, "issuers": f.Tokens.Issuers} {
		if i := slices.Index(list, ""); i >= 0 {
			return f.fail(fmt.Sprintf("tokens.%s[%d]", name, i), "is empty")
		}
	}
	_, err := f.Tokens.Hocket()
	var e *Error
	if errors.As(err, &e) {
		e.Line = (*f.at)[e.Field]
	}
	return err
}
