package native

import (
	"unicode/utf8"

	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// maxExcerpt is how many bytes of what a client wrote an error may repeat.
const maxExcerpt = 64

// excerpt shows v, one JSON value, in an error: as it is when it is short and simple, by its kind otherwise.
func excerpt(v []byte) string {
	if len(v) > 0 && (v[0] == '{' || v[0] == '[') {
		return jsonval.Kind(v)
	}
	return cut(string(v[:min(len(v), maxExcerpt+utf8.UTFMax)]))
}

// excerptOf shows a string that did not come as JSON, in quotation marks.
func excerptOf(s string) string {
	if len(s) > maxExcerpt {
		s = s[:maxExcerpt+1]
	}
	return cut(string(jsonval.AppendString(nil, s)))
}

// cut shortens s to maxExcerpt bytes, between two characters.
func cut(s string) string {
	if len(s) <= maxExcerpt {
		return s
	}
	n := maxExcerpt
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// absent says whether an optional field is not there. null counts as not there, because many JSON libraries write it
// for what is not set.
func absent(v []byte) bool { return v == nil || jsonval.IsNull(v) }

// text reads the string v of at least minimum and at most maximum bytes.
func text(code dialect.Code, name string, v []byte, minimum, maximum int) (string, *dialect.Error) {
	if len(v) == 0 || v[0] != '"' {
		return "", dialect.Errorf(code, "%s must be a string, not %s", name, excerpt(v))
	}
	s, _ := jsonval.String(v)
	if len(s) < minimum || len(s) > maximum {
		if minimum == 0 {
			return "", dialect.Errorf(code, "%s must have at most %d bytes, not %d", name, maximum, len(s))
		}
		return "", dialect.Errorf(code, "%s must have %d to %d bytes, not %d", name, minimum, maximum, len(s))
	}
	return s, nil
}

// identifier reads what a program may name a field after, as it does with the key of an entry: text that is not "__proto__".
func identifier(code dialect.Code, what string, v []byte, maximum int) (string, *dialect.Error) {
	s, err := text(code, what, v, 1, maximum)
	if err == nil && s == jsonval.Proto {
		return "", dialect.Errorf(code, "%s %s", what, jsonval.NotTaken)
	}
	return s, err
}

// whole reads the whole number v from minimum to maximum. What is no whole number is an error with the field's code,
// one outside the range InvalidRange, whatever the field.
func whole(code dialect.Code, name string, v []byte, minimum, maximum uint64) (uint64, *dialect.Error) {
	n, ok := jsonval.Uint(v, maximum)
	if !ok || n < minimum {
		if jsonval.IsInteger(v) {
			code = dialect.InvalidRange
		}
		return 0, dialect.Errorf(code, "%s must be a whole number from %d to %d, not %s", name, minimum, maximum, excerpt(v))
	}
	return n, nil
}

// truth reads an optional truth value.
func truth(name string, v []byte, otherwise bool) (bool, *dialect.Error) {
	if absent(v) {
		return otherwise, nil
	}
	b, ok := jsonval.Bool(v)
	if !ok {
		return otherwise, dialect.Errorf(dialect.InvalidMessage, "%s must be true or false, not %s", name, excerpt(v))
	}
	return b, nil
}

// arguments returns the fields of a request's payload, of which it may have none.
func arguments(verb string, payload []byte) (jsonval.Object, *dialect.Error) {
	if absent(payload) {
		payload = []byte("{}")
	}
	if payload[0] != '{' {
		return jsonval.Object{}, dialect.Errorf(dialect.InvalidPayload,
			"the payload of %s must be an object, not %s", verb, excerpt(payload))
	}
	return jsonval.Fields(payload, maxDepth), nil
}
