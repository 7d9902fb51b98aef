package broker

// Join appends to dst what a payload becomes when others, of the same format, are appended to it in turn as [Append] does:
// JSON strings become one string, other formats follow on each other.
func Join(dst []byte, f Format, payloads ...[]byte) []byte {
	if len(payloads) == 0 {
		return dst
	}
	dst = append(dst, open(f, payloads[0])...)
	for _, p := range payloads[1:] {
		dst = append(dst, content(f, p)...)
	}
	if f == JSON {
		dst = append(dst, '"')
	}
	return dst
}
