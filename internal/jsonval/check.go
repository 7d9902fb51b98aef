package jsonval

import (
	"fmt"
	"unicode/utf8"
)

// Error says what is wrong with a text that is not JSON, and where.
type Error struct {
	Offset  int    // the byte at which it is, counted from 0; the text's length when the text ends too early
	Problem string // for people; quotes at most one byte of the text
	TooDeep bool   // the text may be JSON, but is nested deeper than allowed
}

// Error names the problem and the byte.
func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Problem, e.Offset) }

// Check returns nil when b is exactly one JSON value in valid UTF-8, white space around it allowed, in which arrays
// and objects are nested at most maxDepth deep. Otherwise the error is an [*Error].
func Check(b []byte, maxDepth int) error {
	i := skipSpace(b, 0)
	i, err := skipValue(b, i, maxDepth)
	if err == nil {
		err = checkEnd(b, i)
	}
	if err != nil {
		return err
	}
	return nil
}

// checkEnd says whether only white space follows from i on.
func checkEnd(b []byte, i int) *Error {
	if i = skipSpace(b, i); i < len(b) {
		return unexpected(b, i, "nothing after the value")
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue checks the value that begins at b[i] and returns the index after it. depth is how many levels of arrays
// and objects may still open; it bounds the recursion.
func skipValue(b []byte, i, depth int) (int, *Error) {
	if i >= len(b) {
		return i, unexpected(b, i, "a value")
	}
	switch c := b[i]; c {
	case '"':
		return skipString(b, i)
	case '{':
		return skipObject(b, i, depth)
	case '[':
		return skipArray(b, i, depth)
	case 't':
		return skipWord(b, i, "true")
	case 'f':
		return skipWord(b, i, "false")
	case 'n':
		return skipWord(b, i, "null")
	default:
		if c == '-' || isDigit(c) {
			return skipNumber(b, i)
		}
		return i, unexpected(b, i, "a value")
	}
}

func skipObject(b []byte, i, depth int) (int, *Error) {
	if depth <= 0 {
		return i, tooDeep(i)
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		var err *Error
		if _, i, err = skipName(b, i); err != nil {
			return i, err
		}
		if i, err = skipValue(b, i, depth-1); err != nil {
			return i, err
		}
		if i = skipSpace(b, i); i >= len(b) || b[i] != ',' && b[i] != '}' {
			return i, unexpected(b, i, "',' or '}' after a field")
		}
		i++
		if b[i-1] == '}' {
			return i, nil
		}
		i = skipSpace(b, i)
	}
}

// skipName checks a field's name at b[i] and the colon after it. It returns the index after the name's closing
// quotation mark and that of the value.
func skipName(b []byte, i int) (end, value int, err *Error) {
	if i >= len(b) || b[i] != '"' {
		return i, i, unexpected(b, i, "a field's name in quotation marks")
	}
	if end, err = skipString(b, i); err != nil {
		return end, end, err
	}
	i = skipSpace(b, end)
	if i >= len(b) || b[i] != ':' {
		return end, i, unexpected(b, i, "':' after a field's name")
	}
	return end, skipSpace(b, i+1), nil
}

func skipArray(b []byte, i, depth int) (int, *Error) {
	if depth <= 0 {
		return i, tooDeep(i)
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		var err *Error
		if i, err = skipValue(b, i, depth-1); err != nil {
			return i, err
		}
		if i = skipSpace(b, i); i >= len(b) || b[i] != ',' && b[i] != ']' {
			return i, unexpected(b, i, "',' or ']' after an element")
		}
		i++
		if b[i-1] == ']' {
			return i, nil
		}
		i = skipSpace(b, i)
	}
}

// plain holds the bytes that stand for themselves in a string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// skipString checks the string whose opening quotation mark is b[i].
func skipString(b []byte, i int) (int, *Error) {
	i++
	for {
		for i < len(b) && plain[b[i]] {
			i++
		}
		if i >= len(b) {
			return i, &Error{Offset: i, Problem: "the text ends within a string"}
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			n, err := skipEscape(b, i)
			if err != nil {
				return n, err
			}
			i = n
		case c < 0x20:
			return i, &Error{Offset: i, Problem: fmt.Sprintf("a control character that must be written \\u%04x", c)}
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return i, &Error{Offset: i, Problem: "invalid UTF-8"}
			}
			i += n
		}
	}
}

// skipEscape checks the escape whose backslash is b[i]. Half of a surrogate pair is allowed, as in JSON.parse.
func skipEscape(b []byte, i int) (int, *Error) {
	i++
	if i >= len(b) {
		return i, &Error{Offset: i, Problem: "the text ends within a string"}
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1, nil
	case 'u':
		for n := i + 1; n <= i+4; n++ {
			if n >= len(b) || hexValue(b[n]) < 0 {
				return n, unexpected(b, n, "four hexadecimal digits after \\u")
			}
		}
		return i + 5, nil
	}
	return i, unexpected(b, i, `one of "\/bfnrtu after a backslash`)
}

func hexValue(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func skipWord(b []byte, i int, word string) (int, *Error) {
	for n := range len(word) {
		if i+n >= len(b) || b[i+n] != word[n] {
			return i + n, unexpected(b, i+n, "the word "+word)
		}
	}
	return i + len(word), nil
}

// skipNumber checks the number that begins at b[i] with a digit or a minus sign (RFC 8259 §6).
func skipNumber(b []byte, i int) (int, *Error) {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++ // no digit may follow; whoever reads on will say so
	} else {
		n, err := skipDigits(b, i)
		if err != nil {
			return n, err
		}
		i = n
	}
	if i < len(b) && b[i] == '.' {
		n, err := skipDigits(b, i+1)
		if err != nil {
			return n, err
		}
		i = n
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return skipDigits(b, i)
	}
	return i, nil
}

func skipDigits(b []byte, i int) (int, *Error) {
	if i >= len(b) || !isDigit(b[i]) {
		return i, unexpected(b, i, "a digit")
	}
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i, nil
}

// unexpected says what was to stand at b[i] and what does.
func unexpected(b []byte, i int, want string) *Error {
	if i >= len(b) {
		return &Error{Offset: len(b), Problem: "expected " + want + ", but the text ends"}
	}
	if c := b[i]; c < 0x20 || c >= 0x7f {
		return &Error{Offset: i, Problem: fmt.Sprintf("expected %s, not 0x%02x", want, c)}
	}
	return &Error{Offset: i, Problem: fmt.Sprintf("expected %s, not '%c'", want, b[i])}
}

func tooDeep(i int) *Error {
	return &Error{Offset: i, Problem: "arrays and objects are nested too deep", TooDeep: true}
}
