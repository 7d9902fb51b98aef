package native

import (
	"slices"
	"strings"

	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// maxFilterValues is how many values of one tag a filter may let pass.
const maxFilterValues = 16

const filterForm = `filter must be an object of tags, each with a value or an array of values, as in {"lang":"en","kind":["a","b"]}`

// decodeFilter reads which tags the entries of a subscription have to carry. null and an object without fields are no
// filter.
func decodeFilter(v []byte) (dialect.Filter, *dialect.Error) {
	if v[0] != '{' {
		return nil, dialect.Errorf(dialect.InvalidMessage, "%s, not %s", filterForm, excerpt(v))
	}
	var f dialect.Filter
	for o := jsonval.Fields(v, maxDepth); o.Next(); {
		name := string(o.Name())
		if len(name) == 0 || len(name) > maxTagName {
			return nil, dialect.Errorf(dialect.InvalidMessage,
				"the name of a tag in filter must have 1 to %d bytes, not %d", maxTagName, len(name))
		}
		values, err := decodeFilterValues(name, o.Value())
		if err != nil {
			return nil, err
		}
		tag := dialect.FilterTag{Name: name, Values: values}
		at, _ := slices.BinarySearchFunc(f, name, func(t dialect.FilterTag, name string) int { return strings.Compare(t.Name, name) })
		if f = slices.Insert(f, at, tag); len(f) > maxTags {
			return nil, dialect.Errorf(dialect.InvalidMessage, "filter may name at most %d tags", maxTags)
		}
	}
	return f, nil
}

// decodeFilterValues reads the values of one tag that pass: sorted, each once.
func decodeFilterValues(name string, v []byte) (values []string, err *dialect.Error) {
	elements := [][]byte{v}
	if v[0] == '[' {
		if elements = jsonval.Elements(v, maxFilterValues+1); len(elements) == 0 || len(elements) > maxFilterValues {
			return nil, dialect.Errorf(dialect.InvalidMessage, "the tag %s in filter must have 1 to %d values", excerptOf(name), maxFilterValues)
		}
	}
	for _, e := range elements {
		value, ok := jsonval.String(e)
		if !ok || len(value) > maxTagValue {
			return nil, dialect.Errorf(dialect.InvalidMessage,
				"the tag %s in filter must have strings of at most %d bytes, not %s", excerptOf(name), maxTagValue, excerpt(e))
		}
		values = append(values, value)
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}
