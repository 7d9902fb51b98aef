package client

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// E2E has a Client encrypt what it publishes and decrypt what it gets, by AES-256-GCM with keys the server does not have.
// docs/e2e.md says what that protects and what not.
type E2E struct {
	// Covers tells which channels are encrypted; nil means all. On these nothing is published in clear text, and what comes
	// in clear text, or was made for another channel or key, is not taken for a payload. It must be the same at all times.
	Covers func(channel string) bool
	// Key gives the key with the name kid, or where kid is "" the one to encrypt with now. Without one it gives a zero
	// E2EKey, or says why. It is called when a key is needed and not known yet, and for every publish; it may block until
	// ctx ends.
	Key func(ctx context.Context, channel, kid string) (E2EKey, error)
}

// E2EKey is a key and its name.
type E2EKey struct {
	ID  string // 1 to 64 bytes, which everybody can read. A new key has a new one
	Key []byte // 32 bytes, random
}

// Errors of end-to-end encryption.
var (
	// ErrNoKey says that there is no key to encrypt or decrypt with. A subscription ends with it whose channel is encrypted
	// where Options.E2E does not cover it.
	ErrNoKey = &Error{Name: "no_key", Message: "there is no key for this channel"}
	// ErrUnreadable says that a payload has not been made for this place with this key: it was changed, moved or never
	// encrypted.
	ErrUnreadable = &Error{Name: "unreadable", Message: "the payload is not one that was encrypted for this channel and key"}
)

const (
	maxKid       = 64
	keyBytes     = 32
	maxCiphers   = 1000 // that are kept
	keyTimeout   = 10 * time.Second
	sealedJSON   = 0 // the first byte of what is encrypted
	sealedBinary = 1
)

// An envelope is a payload that is encrypted.
type envelope struct {
	E2E  int    `json:"e2e"` // the version: 1
	Kid  string `json:"kid"`
	IV   string `json:"iv"`
	Data string `json:"data"`
}

// base64URL is as RFC 4648 §5 says, without padding.
var base64URL = base64.RawURLEncoding.Strict()

// place is what a payload is bound to.
type place struct{ channel, key, op string }

// binding is the additional data: each part with its length before it, so that no two places are the same.
func (p place) binding(kid string) []byte {
	var b []byte
	for _, part := range []string{"hocket-e2e-1", p.channel, p.key, p.op, kid} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

// seal encrypts a payload, with an iv of 12 bytes that is used once.
func (p place) seal(aead cipher.AEAD, kid string, iv, payload []byte, binary bool) json.RawMessage {
	format := byte(sealedJSON)
	if binary {
		format = sealedBinary
	}
	data := aead.Seal(nil, iv, append([]byte{format}, payload...), p.binding(kid))
	b, _ := json.Marshal(envelope{1, kid, base64URL.EncodeToString(iv), base64URL.EncodeToString(data)}) // cannot fail
	return b
}

// open decrypts a payload.
func (p place) open(aead cipher.AEAD, e *envelope) (payload []byte, binary bool, err error) {
	iv, errIV := base64URL.DecodeString(e.IV)
	data, errData := base64URL.DecodeString(e.Data)
	if errIV != nil || errData != nil || strings.ContainsAny(e.IV+e.Data, "\r\n") || len(iv) != aead.NonceSize() {
		return nil, false, ErrUnreadable
	}
	text, err := aead.Open(nil, iv, data, p.binding(e.Kid))
	if err != nil || len(text) == 0 {
		return nil, false, ErrUnreadable
	}
	switch payload := text[1:]; {
	case text[0] == sealedBinary:
		return payload, true, nil
	case text[0] == sealedJSON && json.Valid(payload):
		return payload, false, nil
	}
	return nil, false, ErrUnreadable
}

// vault has the keys of a client, by channel and name.
type vault struct {
	e2e *E2E // nil for none

	mu      sync.Mutex
	ciphers map[[2]string]cipher.AEAD
}

func (v *vault) covers(channel string) bool {
	return v.e2e != nil && (v.e2e.Covers == nil || v.e2e.Covers(channel))
}

// current gives what to encrypt with.
func (v *vault) current(ctx context.Context, channel string) (kid string, aead cipher.AEAD, err error) {
	k, err := v.ask(ctx, channel, "")
	if err != nil {
		return "", nil, err
	}
	aead, err = v.keep(channel, k)
	return k.ID, aead, err
}

// named gives what to decrypt with.
func (v *vault) named(ctx context.Context, channel, kid string) (cipher.AEAD, error) {
	v.mu.Lock()
	aead := v.ciphers[[2]string{channel, kid}]
	v.mu.Unlock()
	if aead != nil {
		return aead, nil
	}
	k, err := v.ask(ctx, channel, kid)
	switch {
	case err != nil:
		return nil, err
	case k.ID != kid:
		return nil, fmt.Errorf("client: E2E.Key of %s was asked for %q and gave %q: %w", channel, kid, k.ID, ErrNoKey)
	}
	return v.keep(channel, k)
}

func (v *vault) ask(ctx context.Context, channel, kid string) (E2EKey, error) {
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	k, err := v.e2e.Key(ctx, channel, kid)
	switch {
	case err != nil:
		return k, fmt.Errorf("client: key of %s: %w: %w", channel, ErrNoKey, err)
	case k.Key == nil:
		return k, ErrNoKey
	case len(k.Key) != keyBytes || k.ID == "" || len(k.ID) > maxKid:
		return k, fmt.Errorf("client: a key of %s has a name of 1 to %d bytes and %d bytes: %w", channel, maxKid, keyBytes, ErrNoKey)
	}
	return k, nil
}

// keep makes a cipher and remembers it. It has always the same key under a name.
func (v *vault) keep(channel string, k E2EKey) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.Key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ciphers == nil || len(v.ciphers) >= maxCiphers {
		v.ciphers = make(map[[2]string]cipher.AEAD)
	}
	v.ciphers[[2]string{channel, k.ID}] = aead
	return aead, nil
}

// seal encrypts what a request to publish has for its payload, where its channel is covered.
func (c *Client) seal(ctx context.Context, o *outgoing) error {
	if !c.vault.covers(o.Channel) || len(o.Payload) == 0 {
		return nil
	}
	p := place{o.Channel, o.Key, o.Op}
	switch o.Op {
	case "":
		p.op = "set"
	case "append":
		return errNoAppend(o.Channel)
	}
	kid, aead, err := c.vault.current(ctx, o.Channel)
	if err != nil {
		return err
	}
	payload := []byte(o.Payload)
	binary := o.Encoding != ""
	if binary {
		var text string
		if json.Unmarshal(payload, &text) == nil {
			payload, _ = base64.StdEncoding.DecodeString(text) // written by us
		}
	}
	iv := make([]byte, aead.NonceSize())
	rand.Read(iv)
	o.Payload, o.Encoding = p.seal(aead, kid, iv, payload, binary), ""
	return nil
}

func errNoAppend(channel string) *Error {
	return &Error{Code: notSupported, Name: "not_supported",
		Message: fmt.Sprintf("nothing can be appended on %s: the server cannot join what is encrypted", channel)}
}

// unseal decrypts the payload of m, where its channel is covered, or sets m.Err. Its error is ctx's.
func (c *Client) unseal(ctx context.Context, m *Message) error {
	if m.Kind != Entry || !c.vault.covers(m.Channel) || m.Op == "delete" && (len(m.Payload) == 0 || string(m.Payload) == "null") {
		return nil
	}
	var e envelope
	sealed := m.Payload
	m.Payload = nil
	if m.Binary || len(sealed) == 0 || json.Unmarshal(sealed, &e) != nil || e.E2E != 1 || e.Kid == "" || len(e.Kid) > maxKid {
		m.Err, m.Binary = ErrUnreadable, false
		return nil
	}
	aead, err := c.vault.named(ctx, m.Channel, e.Kid)
	if err == nil {
		m.Payload, m.Binary, err = place{m.Channel, m.Key, m.Op}.open(aead, &e)
	}
	if err != nil && ctx.Err() != nil {
		m.Payload = sealed // for another time
		return ctx.Err()
	}
	m.Err = err
	return nil
}

// readable is m with its payload decrypted, for who has no context.
func (c *Client) readable(m Message) Message {
	if m.Channel == "" {
		return m // of a key that is not there
	}
	_ = c.unseal(context.Background(), &m) // whose Err is nil
	return m
}
