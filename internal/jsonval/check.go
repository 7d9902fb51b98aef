package jsonval

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of what stands in a text, beside that of its depth. A string is bounded by the text alone.
const (
	MaxName   = 1024   // bytes of a field's name, as it is written
	MaxNumber = 1024   // bytes of a number: every float64 can be written out in full
	MaxFields = 10_000 // of one object
)

// Error says what is wrong with a text, and where.
type Error struct {
	Offset  int    // the byte at which it is, counted from 0; the text's length when the text ends too early
	Problem string // for people; quotes one byte of the text, or at most 64 of a name
	Refused bool   // up to this byte the text may be JSON, but is none that is taken here
	TooDeep bool   // it is refused for being nested deeper than allowed
}

// Error names the problem and the byte.
func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Problem, e.Offset) }

// Check returns nil when b is exactly one JSON value that every reader takes for the same, as the package says, white space
// around it allowed, in which arrays and objects are nested at most maxDepth deep. Otherwise the error is an [*Error].
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
	if i < len(b) && b[i] > ' ' {
		return i
	}
	return skipSpaces(b, i)
}

func skipSpaces(b []byte, i int) int {
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
	var seen names
	for {
		_, v, err := skipName(b, i, &seen)
		if err != nil {
			return v, err
		}
		if i, err = skipValue(b, v, depth-1); err != nil {
			return i, err
		}
		if i = skipSpace(b, i); i >= len(b) || b[i] != ',' && b[i] != '}' {
			return i, unexpected(b, i, "',' or '}' after a field")
		}
		i++
		if b[i-1] == '}' {
			seen.free()
			return i, nil
		}
		i = skipSpace(b, i)
	}
}

// skipName checks a field's name at b[i] and the colon after it. It returns the index after the name's closing
// quotation mark and that of the value.
func skipName(b []byte, i int, seen *names) (end, value int, err *Error) {
	if end, err = seen.skipName(b, i); err != nil {
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

// oddBytes returns a word whose lowest bit that is set is the top one of the first byte of w, lowest first, that does not
// stand for itself in a string; 0 where all eight do.
func oddBytes(w uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^'"'*ones, w^'\\'*ones
	return (w | (w - ' '*ones) | (quote - ones) | (slash - ones)) & tops
}

// skipPlain returns the index of the first byte from i on that does not stand for itself in a string.
func skipPlain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if odd := oddBytes(binary.LittleEndian.Uint64(b[i:])); odd != 0 {
			return i + bits.TrailingZeros64(odd)/8
		}
	}
	for i < len(b) && plain[b[i]] {
		i++
	}
	return i
}

// skipString checks the string whose opening quotation mark is b[i].
func skipString(b []byte, i int) (int, *Error) {
	i++
	for {
		i = skipPlain(b, i)
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

// skipEscape checks the escape whose backslash is b[i], or both of a surrogate pair.
func skipEscape(b []byte, i int) (int, *Error) {
	i++
	if i >= len(b) {
		return i, &Error{Offset: i, Problem: "the text ends within a string"}
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1, nil
	case 'u':
		if end, err := skipHex4(b, i+1); err != nil || !utf16.IsSurrogate(hex4(b[i+1:])) {
			return end, err
		}
		return skipPair(b, i-1)
	}
	return i, unexpected(b, i, `one of "\/bfnrtu after a backslash`)
}

func skipHex4(b []byte, i int) (int, *Error) {
	for n := i; n < i+4; n++ {
		if n >= len(b) || hexValue(b[n]) < 0 {
			return n, unexpected(b, n, "four hexadecimal digits after \\u")
		}
	}
	return i + 4, nil
}

// skipPair checks that the escape at b[i], one of a surrogate, is a high one that a low one follows. JavaScript alone would
// take another: what is no character, UTF-8 cannot say.
func skipPair(b []byte, i int) (int, *Error) {
	alone := refused(i, "half of a surrogate pair stands alone")
	next := i + len(`\ud800`)
	if next+1 >= len(b) || b[next] != '\\' || b[next+1] != 'u' {
		return i, alone
	}
	end, err := skipHex4(b, next+2)
	if err == nil && utf16.DecodeRune(hex4(b[i+2:]), hex4(b[next+2:])) == utf8.RuneError {
		return i, alone
	}
	return end, err
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
	start := i
	if b[i] == '-' {
		i++
	}
	whole := i
	i = skipDigits(b, i)
	if i > whole && b[whole] == '0' {
		i = whole + 1 // no digit may follow; whoever reads on will say so
	}
	ok := i > whole
	if ok && i < len(b) && b[i] == '.' {
		fraction := i + 1
		i = skipDigits(b, fraction)
		ok = i > fraction
	}
	if ok && i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exponent := i
		i = skipDigits(b, exponent)
		ok = i > exponent
	}
	switch {
	case !ok:
		return i, unexpected(b, i, "a digit")
	case i-start > MaxNumber:
		return start, refused(start, fmt.Sprintf("a number of more than %d bytes", MaxNumber))
	}
	return i, nil
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
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

func refused(i int, problem string) *Error { return &Error{Offset: i, Problem: problem, Refused: true} }

func tooDeep(i int) *Error {
	return &Error{Offset: i, Problem: "arrays and objects are nested too deep", Refused: true, TooDeep: true}
}
