package session

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// What an envelope of end-to-end encryption holds, in characters of base64url. spec/protocol.md has its form.
const (
	maxKid      = 64 // bytes
	sealedIV    = 16 // 12 bytes
	minSealed   = 23 // the format, one byte, and the tag of 16
	sealedDepth = 1
)

// checkSealed tells whether a payload can be one that is encrypted: that it is, only who has the key can tell. It keeps a
// program that forgot to encrypt from being heard.
func checkSealed(channel string, op broker.Op, format broker.Format, payload []byte) *dialect.Error {
	if op == broker.Append {
		return dialect.Errorf(dialect.NotSupported, "nothing can be appended on %s: its payloads are encrypted end to end, and the server cannot join them", channel)
	}
	err := errors.New("it is no JSON")
	if format == broker.JSON {
		err = readSealed(payload)
	}
	if err != nil {
		return dialect.Errorf(dialect.NotEncrypted, "the payloads of %s are encrypted end to end, and this one is not: %v", channel, err)
	}
	return nil
}

// readSealed says what is wrong with an envelope.
func readSealed(payload []byte) error {
	fields := 0
	o := jsonval.Fields(payload, sealedDepth)
	for o.Next() {
		if err := readSealedField(string(o.Name()), o.Value()); err != nil {
			return err
		}
		fields++
	}
	if o.Err() != nil || fields != 4 {
		return errors.New(`it must be an object with "e2e", "kid", "iv" and "data"`)
	}
	return nil
}

// readSealedField says what is wrong with one field, whose name comes once.
func readSealedField(name string, v []byte) error {
	text, isText := jsonval.String(v)
	switch {
	case name == "e2e" && string(v) == "1":
	case name == "e2e":
		return errors.New("e2e must be 1")
	case name == "kid" && isText && len(text) >= 1 && len(text) <= maxKid:
	case name == "kid":
		return fmt.Errorf("kid must be a string of 1 to %d bytes", maxKid)
	case name == "iv" && isText && len(text) == sealedIV && isBase64URL(text):
	case name == "iv":
		return errors.New("iv must be 12 bytes in base64url without padding")
	case name == "data" && isText && len(text) >= minSealed && isBase64URL(text):
	case name == "data":
		return errors.New("data must be 17 bytes or more in base64url without padding")
	default:
		return errors.New("it may have no other field: everybody could read that")
	}
	return nil
}

// isBase64URL tells whether s is written as RFC 4648 §5 says, without padding, in the one way there is.
func isBase64URL(s string) bool {
	n := base64.RawURLEncoding.DecodedLen(len(s))
	_, err := base64.RawURLEncoding.Strict().Decode(make([]byte, n), []byte(s))
	return err == nil && !strings.ContainsAny(s, "\r\n") // which the decoder passes over
}
