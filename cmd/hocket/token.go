package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"hocket.dev"
	"hocket.dev/internal/rule"
)

// tokenCmd prints a signed token.
type tokenCmd struct {
	SecretFile string `name:"secret-file" xor:"key" placeholder:"FILE" help:"Sign with the secret in this file (HS256)."`
	KeyFile    string `name:"key-file" xor:"key" placeholder:"FILE" help:"Sign with the private key in this file, in PEM: RSA (RS256), EC (ES256, ES384, ES512) or Ed25519 (EdDSA)."`
	NewSecret  bool   `name:"new-secret" xor:"key" help:"Print a new secret, and nothing else."`
	KeyID      string `name:"key-id" placeholder:"ID" help:"Name of the key (kid)."`

	User     string        `placeholder:"NAME" help:"Who the token is for (sub); no one in particular without it."`
	Can      []string      `sep:"none" placeholder:"PATTERN=VERBS" help:"What its bearer may do on which channels, such as 'chat:*=subscribe,publish', and how often, such as 'chat:*=publishes 5/s'; can be repeated."`
	Info     string        `placeholder:"JSON" help:"What others are told of its bearer."`
	TTL      time.Duration `name:"ttl" default:"1h" placeholder:"TIME" help:"How long it holds (default 1h)."`
	ID       string        `name:"id" placeholder:"ID" help:"Name by which it can be revoked (jti)."`
	Issuer   string        `placeholder:"NAME" help:"Who issues it (iss)."`
	Audience []string      `placeholder:"NAME" help:"Whom it is for (aud); can be repeated."`
}

// Help is the second part of `hocket token --help`.
func (tokenCmd) Help() string {
	return `For development and scripts: a back end signs tokens itself, with any library for JSON Web Tokens. Whoever has the secret can be anybody, so keep its file to yourself.

Examples:
  hocket token --new-secret > secret.txt
  hocket token --secret-file secret.txt --user ada --can 'chat:*=subscribe,publish' --can 'news=subscribe'
  hocket token --secret-file secret.txt --user ada --can 'chat:*=subscribe,publish,publishes 5/s burst 20'
  hocket token --key-file issuer.pem --key-id 2027-01 --user ada --audience chat.example.com --ttl 15m`
}

// Run prints the token.
func (c *tokenCmd) Run(_ context.Context, std streams) error {
	if c.NewSecret {
		// The text itself is the secret, so that every library takes the same bytes.
		var random [48]byte
		rand.Read(random[:])
		_, err := fmt.Fprintln(std.out, base64.RawURLEncoding.EncodeToString(random[:]))
		return err
	}
	signer, err := c.signer()
	if err != nil {
		return &usageError{err}
	}
	claims, err := c.claims(time.Now())
	if err != nil {
		return &usageError{err}
	}
	text, err := signer.Sign(claims)
	if err != nil {
		return &usageError{err}
	}
	_, err = fmt.Fprintln(std.out, text)
	return err
}

func (c *tokenCmd) signer() (*hocket.TokenSigner, error) {
	path := c.SecretFile + c.KeyFile // kong lets only one of them be given
	if path == "" {
		return nil, errors.New("it takes --secret-file or --key-file to sign; --new-secret prints a secret")
	}
	key, err := os.ReadFile(path)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	if isPEM := strings.Contains(string(key), "-----BEGIN "); isPEM != (c.KeyFile != "") {
		return nil, fmt.Errorf("%s: a private key in PEM goes with --key-file, a secret with --secret-file", path)
	}
	signer, err := hocket.NewTokenSigner(key, c.KeyID)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return signer, nil
}

func (c *tokenCmd) claims(now time.Time) (hocket.TokenClaims, error) {
	claims := hocket.TokenClaims{
		ID: c.ID, User: c.User, Issuer: c.Issuer, Audience: c.Audience,
		Issued: now.Truncate(time.Second), Expires: now.Truncate(time.Second).Add(c.TTL),
	}
	if c.TTL <= 0 {
		return claims, errors.New("--ttl must be more than nothing")
	}
	if c.Info != "" {
		if claims.Info = []byte(c.Info); !json.Valid(claims.Info) {
			return claims, errors.New("--info is no JSON")
		}
	}
	for _, can := range c.Can {
		at := strings.LastIndexByte(can, '=') // a channel may hold one
		if at < 0 {
			return claims, fmt.Errorf("--can %q: write it like 'chat:*=subscribe,publish'", can)
		}
		pattern, verbs := can[:at], strings.Split(can[at+1:], ",")
		if _, err := rule.ParsePattern(pattern); err != nil {
			return claims, fmt.Errorf("--can %q: %w", can, err)
		}
		if slices.Contains(verbs, "") {
			return claims, fmt.Errorf("--can %q: a verb is missing", can)
		}
		if claims.Capabilities == nil {
			claims.Capabilities = make(map[string][]string)
		}
		claims.Capabilities[pattern] = append(claims.Capabilities[pattern], verbs...)
	}
	if _, err := rule.ParseCapabilities(claims.Capabilities, ""); err != nil {
		return claims, fmt.Errorf("--can: %w", err)
	}
	return claims, nil
}
