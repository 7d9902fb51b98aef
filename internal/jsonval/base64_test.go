package jsonval

import (
	"encoding/base64"
	"testing"
)

func TestBase64IsWrittenInOneWay(t *testing.T) {
	for s, want := range map[string]string{"": "", "AA==": "\x00", "AP8=": "\x00\xff", "AP+/": "\x00\xff\xbf"} {
		if b, err := Base64(s); err != nil || string(b) != want {
			t.Errorf("%q means %q, %v", s, b, err)
		}
	}
	for s, want := range map[string]string{
		"AP8":     "illegal base64 data at input byte 0",
		"AP-_":    "illegal base64 data at input byte 2",
		" AP8=":   "illegal base64 data at input byte 0",
		"AP8=AA":  "illegal base64 data at input byte 4",
		"AP\n8=":  "there is a line break at byte 2",
		"AP8=\r":  "there is a line break at byte 4",
		"\r\nAA=": "there is a line break at byte 0",
		"AB==":    "the character before the padding, at byte 1, has bits that belong to no byte",
		"AP9=":    "the character before the padding, at byte 2, has bits that belong to no byte",
	} {
		if b, err := Base64(s); err == nil || err.Error() != want || b != nil {
			t.Errorf("%q means %q, %v; want %s", s, b, err, want)
		}
	}
}

// What is read can be written, and is then what it was.
func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "AA==", "AB==", "AP8=", "AP\n8=", "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if b, err := Base64(s); err == nil && base64.StdEncoding.EncodeToString(b) != s {
			t.Errorf("%q means %q, which is written %q", s, b, base64.StdEncoding.EncodeToString(b))
		}
	})
}
