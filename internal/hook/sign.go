package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a question.
const (
	TimestampHeader = "Hocket-Timestamp" // when it was signed, Unix milliseconds
	SignatureHeader = "Hocket-Signature" // "v1=" and the HMAC-SHA256 in hexadecimal, one for each secret, separated by commas
)

// MaxAge is how old, or how far ahead, the timestamp of a question may be.
const MaxAge = 5 * time.Minute

// maxSignatures are looked at: one for each secret in force.
const maxSignatures = 4

// What is wrong with a question, as Verify says it. The errors repeat nothing of it.
var (
	ErrTimestamp = errors.New("hook: the timestamp is missing, too old or too far ahead")
	ErrSignature = errors.New("hook: the signature is missing or not one of this secret")
)

// sum is the HMAC of a timestamp and a body, joined by ".".
func sum(secret []byte, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(timestamp))
	h.Write([]byte{'.'})
	h.Write(body)
	return h.Sum(nil)
}

// sign sets the headers of a question.
func sign(header http.Header, secrets [][]byte, body []byte, now time.Time) {
	timestamp := strconv.FormatInt(now.UnixMilli(), 10)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		signatures[i] = "v1=" + hex.EncodeToString(sum(secret, timestamp, body))
	}
	header.Set(TimestampHeader, timestamp)
	header.Set(SignatureHeader, strings.Join(signatures, ","))
}

// Verify returns nil when a question was signed with the secret not more than MaxAge ago. body is that of the request, byte for
// byte. The error is ErrTimestamp or ErrSignature.
func Verify(header http.Header, body, secret []byte, now time.Time) error {
	timestamp := header.Get(TimestampHeader)
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.UnixMilli(ms)).Abs() > MaxAge {
		return ErrTimestamp
	}
	if len(secret) == 0 { // anybody could sign with it
		return ErrSignature
	}
	want := sum(secret, timestamp, body)
	for i, signature := range strings.SplitN(header.Get(SignatureHeader), ",", maxSignatures+1) {
		text, ok := strings.CutPrefix(strings.TrimSpace(signature), "v1=")
		if got, err := hex.DecodeString(text); ok && err == nil && i < maxSignatures && hmac.Equal(got, want) {
			return nil
		}
	}
	return ErrSignature
}
