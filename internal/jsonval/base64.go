package jsonval

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Base64 returns the bytes that s means: base64 as in RFC 4648 §4, with padding, and in the one way that there is to write
// them, so without line breaks and with zeros for the bits that are left over. The error tells where it is none, and repeats
// nothing of it.
func Base64(s string) ([]byte, error) {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 { // which package base64 skips, even where it is strict
		return nil, fmt.Errorf("there is a line break at byte %d", i)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err == nil {
		return b, nil
	}
	if _, err := base64.StdEncoding.DecodeString(s); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("the character before the padding, at byte %d, has bits that belong to no byte", len(strings.TrimRight(s, "="))-1)
}
