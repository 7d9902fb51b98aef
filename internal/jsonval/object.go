package jsonval

import "bytes"

// Object walks the fields of a JSON object, in the order in which they are written, and checks the text on the way. No
// name comes twice.
type Object struct {
	b        []byte
	i        int // the index to go on from
	depth    int
	name     []byte
	value    []byte
	seen     names
	begun    bool
	finished bool
	err      *Error
}

// Fields returns an Object over b, which need not have been checked, with white space around it allowed. Arrays and
// objects may be nested at most maxDepth deep, the object itself included.
func Fields(b []byte, maxDepth int) Object { return Object{b: b, depth: maxDepth} }

// Next steps to the next field and says whether there is one. After it has said no, Err says whether that is because
// of an error; before that the rest of the text has not been looked at.
func (o *Object) Next() bool {
	if o.finished {
		return false
	}
	if !o.begun {
		o.begun = true
		if !o.open() {
			return false
		}
	} else {
		o.i = skipSpace(o.b, o.i)
		if o.i >= len(o.b) || o.b[o.i] != ',' && o.b[o.i] != '}' {
			return o.fail(unexpected(o.b, o.i, "',' or '}' after a field"))
		}
		o.i++
		if o.b[o.i-1] == '}' {
			return o.close()
		}
		o.i = skipSpace(o.b, o.i)
	}
	return o.field()
}

// open steps into the object and says whether a field follows.
func (o *Object) open() bool {
	o.i = skipSpace(o.b, 0)
	if o.i >= len(o.b) || o.b[o.i] != '{' {
		return o.fail(unexpected(o.b, o.i, "an object"))
	}
	if o.depth <= 0 {
		return o.fail(tooDeep(o.i))
	}
	o.i = skipSpace(o.b, o.i+1)
	if o.i < len(o.b) && o.b[o.i] == '}' {
		o.i++
		return o.close()
	}
	return true
}

func (o *Object) close() bool {
	o.finished = true
	o.seen.free()
	if err := checkEnd(o.b, o.i); err != nil {
		return o.fail(err)
	}
	return false
}

func (o *Object) fail(err *Error) bool {
	o.finished, o.err = true, err
	o.name, o.value = nil, nil
	return false
}

// field checks the field at o.i.
func (o *Object) field() bool {
	start := o.i
	end, value, err := skipName(o.b, start, &o.seen)
	if err != nil {
		return o.fail(err)
	}
	if o.i, err = skipValue(o.b, value, o.depth-1); err != nil {
		return o.fail(err)
	}
	o.name, o.value = o.b[start+1:end-1], o.b[value:o.i:o.i]
	if bytes.IndexByte(o.name, '\\') >= 0 {
		o.name = appendUnescaped(nil, o.name)
	}
	return true
}

// Name returns the field's name with its escapes resolved. It is valid until the text changes and must not be
// modified.
func (o *Object) Name() []byte { return o.name }

// Value returns the field's value, one checked JSON value without white space around it. It is a part of the text.
func (o *Object) Value() []byte { return o.value }

// Err returns what is wrong with the text, an [*Error], or nil. It speaks for the whole text only once Next has said
// that there is no further field.
func (o *Object) Err() error {
	if o.err == nil {
		return nil
	}
	return o.err
}
