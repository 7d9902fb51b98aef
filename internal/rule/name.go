package rule

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"hocket.dev/internal/jsonval"
)

// MaxName is how long a channel name or a pattern may be, in bytes.
const MaxName = 255

// Reason says what is wrong with a name or a pattern.
type Reason uint8

// The reasons. At in NameError says where.
const (
	Empty           Reason = iota + 1 // the name has no bytes
	TooLong                           // it has more than MaxName bytes
	NotUTF8                           // a byte begins no UTF-8 sequence
	Control                           // there is a control character
	Space                             // there is white space
	Wildcard                          // there is a "*" or ">" in a name
	EmptySegment                      // two ":" in a row, or one at either end
	Rest                              // ">" in a pattern is not the last segment
	PartialUser                       // "{user}" in a pattern is no whole segment
	PartialWildcard                   // "*" or ">" in a pattern is no whole segment
	Inherited                         // it is "__proto__"
)

// A NameError says what is wrong with a name or a pattern, and where.
type NameError struct {
	Reason Reason
	At     int    // the offset of the first offending byte; the length for TooLong
	Name   string // what was checked
}

// Error returns a sentence that says what is wrong, where, and what would be right.
func (e *NameError) Error() string {
	switch e.Reason {
	case Empty:
		return "name is empty; it needs 1 to 255 bytes"
	case TooLong:
		return fmt.Sprintf("name has %d bytes; at most %d are allowed", e.At, MaxName)
	case NotUTF8:
		return fmt.Sprintf("name is not valid UTF-8 at byte %d", e.At)
	case Control:
		return fmt.Sprintf("name has a control character (%U) at byte %d", e.char(), e.At)
	case Space:
		return fmt.Sprintf("name has white space (%U) at byte %d", e.char(), e.At)
	case Wildcard:
		return fmt.Sprintf("%q at byte %d can only stand in a pattern, as a whole segment", e.char(), e.At)
	case EmptySegment:
		return fmt.Sprintf("segment at byte %d is empty; segments are separated by one \":\"", e.At)
	case Rest:
		return fmt.Sprintf("\">\" at byte %d is not the last segment of the pattern", e.At)
	case PartialUser:
		return fmt.Sprintf("\"{user}\" at byte %d is not a whole segment of the pattern", e.At)
	case PartialWildcard:
		return fmt.Sprintf("%q at byte %d is not a whole segment of the pattern", e.char(), e.At)
	case Inherited:
		return "name " + jsonval.NotTaken
	}
	return "name is not allowed"
}

func (e *NameError) char() rune {
	r, _ := utf8.DecodeRuneInString(e.Name[e.At:])
	return r
}

// CheckChannel tells whether name can be a channel's: 1 to 255 bytes of UTF-8 without control characters, white space,
// "*" or ">", in segments separated by ":" of which none is empty; and not "__proto__", by which JavaScript may change what an
// object inherits. The error is a *NameError.
func CheckChannel(name string) error {
	if err := checkText(name); err != nil {
		return err
	}
	if i := strings.IndexAny(name, "*>"); i >= 0 {
		return &NameError{Wildcard, i, name}
	}
	if name == jsonval.Proto {
		return &NameError{Inherited, 0, name}
	}
	return nil
}

// IsReserved tells whether only the server may write the channel: its name begins with "$".
func IsReserved(name string) bool { return strings.HasPrefix(name, "$") }

// IsPattern tells whether name can only be a pattern: it holds "*" or ">". It may be a wrong one.
func IsPattern(name string) bool { return strings.ContainsAny(name, "*>") }

// checkText checks what names and patterns have in common.
func checkText(s string) error {
	if s == "" {
		return &NameError{Empty, 0, s}
	}
	if len(s) > MaxName {
		return &NameError{TooLong, len(s), s}
	}
	start := 0 // of the segment
	for i := 0; i < len(s); {
		c, n := rune(s[i]), 1
		if c >= utf8.RuneSelf {
			c, n = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case c == utf8.RuneError && n == 1:
			return &NameError{NotUTF8, i, s}
		case c == ':':
			if i == start {
				return &NameError{EmptySegment, i, s}
			}
			start = i + 1
		case unicode.IsSpace(c): // before control characters, since tab and line feed are both
			return &NameError{Space, i, s}
		case unicode.IsControl(c):
			return &NameError{Control, i, s}
		}
		i += n
	}
	if start == len(s) {
		return &NameError{EmptySegment, start, s}
	}
	return nil
}
