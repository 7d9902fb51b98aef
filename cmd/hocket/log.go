package main

import (
	"fmt"
	"io"
	"log/slog"
	"unicode"
	"unicode/utf16"
)

// handler writes the log, in which nothing that clients say moves the cursor of a terminal or turns text around.
func handler(format string, w io.Writer) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(plainWriter{w}, nil)
	}
	return slog.NewTextHandler(w, nil) // quotes what does not print
}

// A plainWriter escapes in lines of JSON what does not print. slog leaves that as it is but for ASCII's first 32 characters;
// outside of its texts JSON has none of it.
type plainWriter struct{ w io.Writer }

// Write takes whole lines.
func (p plainWriter) Write(b []byte) (int, error) {
	line := make([]byte, 0, len(b))
	for _, r := range string(b) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			line = append(line, string(r)...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			line = fmt.Appendf(line, `\u%04x\u%04x`, high, low)
		default:
			line = fmt.Appendf(line, `\u%04x`, r)
		}
	}
	if _, err := p.w.Write(line); err != nil {
		return 0, err
	}
	return len(b), nil
}
