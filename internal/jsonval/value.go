package jsonval

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions below take a checked JSON value without white space around it, as [Object.Value] returns it.

// String returns the string that v is, a copy with its escapes resolved, and whether v is a string.
func String(v []byte) (string, bool) {
	if len(v) < 2 || v[0] != '"' {
		return "", false
	}
	v = v[1 : len(v)-1]
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v), true
	}
	return string(appendUnescaped(make([]byte, 0, len(v)), v)), true
}

// Uint returns the whole number that v is, and whether v is one from 0 to maximum, written in digits only: 1.0 and
// 1e3 are none.
func Uint(v []byte, maximum uint64) (uint64, bool) {
	if len(v) == 0 || len(v) > 19 { // 19 digits always fit into 64 bits
		return 0, false
	}
	var n uint64
	for _, c := range v {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, n <= maximum
}

// IsInteger says whether v is a number without fraction and exponent, of whatever size and sign.
func IsInteger(v []byte) bool {
	v = bytes.TrimPrefix(v, []byte("-"))
	for _, c := range v {
		if !isDigit(c) {
			return false
		}
	}
	return len(v) > 0
}

// Float returns the number that v is, as near as it can be had, and whether v is one. It is infinite where v is too large.
func Float(v []byte) (float64, bool) {
	if len(v) == 0 || v[0] != '-' && !isDigit(v[0]) {
		return 0, false
	}
	f, _ := strconv.ParseFloat(string(v), 64) // v is checked, so an error is that of a number too large
	return f, true
}

// AppendFloat appends a finite number in the shortest digits that mean it, as JavaScript does but for the form of an
// exponent.
func AppendFloat(dst []byte, f float64) []byte {
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// Elements returns the elements of the array that v is, most of them at most, as parts of v; none when v is no array.
func Elements(v []byte, most int) (elements [][]byte) {
	if len(v) == 0 || v[0] != '[' {
		return nil
	}
	for i := skipSpace(v, 1); v[i] != ']' && len(elements) < most; {
		end, _ := skipValue(v, i, len(v)) // v is checked
		elements = append(elements, v[i:end:end])
		if i = skipSpace(v, end); v[i] == ',' {
			i = skipSpace(v, i+1)
		}
	}
	return elements
}

// Bool returns the truth value that v is, and whether v is one.
func Bool(v []byte) (value, ok bool) {
	switch string(v) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// IsNull says whether v is null.
func IsNull(v []byte) bool { return string(v) == "null" }

// Kind names what v is, with its article: "a string", "an object", "null".
func Kind(v []byte) string {
	if len(v) == 0 {
		return "nothing"
	}
	switch v[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a truth value"
	case 'n':
		return "null"
	}
	return "a number"
}

// appendUnescaped appends the string whose checked inside is in.
func appendUnescaped(dst, in []byte) []byte {
	for {
		n := bytes.IndexByte(in, '\\')
		if n < 0 {
			return append(dst, in...)
		}
		dst = append(dst, in[:n]...)
		c := in[n+1]
		in = in[n+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(in)
			in = in[4:]
			if utf16.IsSurrogate(r) { // a whole pair, since in is checked
				r = utf16.DecodeRune(r, hex4(in[2:]))
				in = in[6:]
			}
			dst = utf8.AppendRune(dst, r)
		default: // a quotation mark, a slash or a backslash
			dst = append(dst, c)
		}
	}
}

// hex4 reads four checked hexadecimal digits.
func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		r = r<<4 | rune(hexValue(c))
	}
	return r
}

// AppendString appends s as a JSON string. What is not UTF-8 in it becomes U+FFFD; the line separators U+2028 and
// U+2029 are escaped, so that the result is a JavaScript string too.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	done := 0 // s[:done] has been appended
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if n > 1 && r != '\u2028' && r != '\u2029' {
			i += n
			continue
		}
		dst = append(dst, s[done:i]...)
		dst = appendEscaped(dst, r)
		i += n
		done = i
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// appendEscaped writes r in the shortest way that JSON has: what was read within a bound shall not grow beyond it.
func appendEscaped(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case utf8.RuneError: // invalid UTF-8: a U+FFFD of the string itself is longer and stays as it is
		return utf8.AppendRune(dst, r)
	}
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}
