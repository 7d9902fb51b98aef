package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// maxDepth is how deep a request may be nested: as deep as a message, in the list of a batch.
const maxDepth = 128 + 2

// fields are those of a request that have been asked for. null counts as not there, because many JSON libraries write it
// for what is not set.
type fields map[string][]byte

// scan checks that body is one JSON object and keeps the fields called names.
func scan(body []byte, names ...string) (fields, *dialect.Error) {
	f := make(fields, len(names))
	o := jsonval.Fields(body, maxDepth)
	for o.Next() {
		for _, name := range names {
			if string(o.Name()) == name {
				f[name] = o.Value()
			}
		}
	}
	err := o.Err()
	var syntax *jsonval.Error
	switch {
	case err == nil:
		return f, nil
	case !errors.As(err, &syntax) || !syntax.Refused:
		return nil, dialect.Errorf(dialect.InvalidJSON, "the request must be one JSON object: %s", err)
	case syntax.TooDeep:
		return nil, dialect.Errorf(dialect.InvalidMessage, "the request is nested deeper than %d levels at byte %d", maxDepth, syntax.Offset)
	}
	return nil, dialect.Errorf(dialect.InvalidMessage, "the request is refused: %s", err)
}

func (f fields) has(name string) bool { return f[name] != nil && !jsonval.IsNull(f[name]) }

// text reads a string of 1 to most bytes; "" when it is not there.
func (f fields) text(code dialect.Code, name string, most int) (string, *dialect.Error) {
	if !f.has(name) {
		return "", nil
	}
	s, ok := jsonval.String(f[name])
	switch {
	case !ok:
		return "", dialect.Errorf(code, "%s must be a string, not %s", name, jsonval.Kind(f[name]))
	case len(s) == 0 || len(s) > most:
		return "", dialect.Errorf(code, "%s must have 1 to %d bytes, not %d", name, most, len(s))
	}
	return s, nil
}

// channel reads the name of a channel, which must be there. Whether it is well formed is for the node to say.
func (f fields) channel() (string, *dialect.Error) {
	if !f.has("channel") {
		return "", dialect.Errorf(dialect.InvalidChannel, "channel is missing")
	}
	s, ok := jsonval.String(f["channel"])
	if !ok {
		return "", dialect.Errorf(dialect.InvalidChannel, "channel must be a string, not %s", jsonval.Kind(f["channel"]))
	}
	return s, nil
}

// whole reads a whole number from least to most; 0 when it is not there.
func (f fields) whole(code dialect.Code, name string, least, most uint64) (uint64, *dialect.Error) {
	if !f.has(name) {
		return 0, nil
	}
	n, ok := jsonval.Uint(f[name], most)
	if !ok || n < least {
		if jsonval.IsInteger(f[name]) {
			code = dialect.InvalidRange
		}
		return 0, dialect.Errorf(code, "%s must be a whole number from %d to %d, not %s", name, least, most, excerpt(f[name]))
	}
	return n, nil
}

// list reads an array of 1 to most elements, which must be there. The elements are copies.
func (f fields) list(name, of string, most int) ([]json.RawMessage, *dialect.Error) {
	v := f[name]
	if len(v) == 0 || v[0] != '[' {
		return nil, dialect.Errorf(dialect.InvalidMessage, "%s must be an array of 1 to %d %s, not %s", name, most, of, jsonval.Kind(v))
	}
	var elements []json.RawMessage
	d := json.NewDecoder(bytes.NewReader(v)) // element by element: an array may have very many
	_, err := d.Token()
	for err == nil && d.More() && len(elements) <= most {
		var element json.RawMessage
		err = d.Decode(&element)
		elements = append(elements, element)
	}
	if n := len(elements); err != nil || n == 0 || n > most {
		return nil, dialect.Errorf(dialect.InvalidMessage, "%s must have 1 to %d %s", name, most, of)
	}
	return elements, nil
}

// excerpt shows a number or another small value as it is, and all else by its kind.
func excerpt(v []byte) string {
	if v[0] == '"' || len(v) > 32 || !utf8.Valid(v) || v[0] == '{' || v[0] == '[' {
		return jsonval.Kind(v)
	}
	return string(v)
}
