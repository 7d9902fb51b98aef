package config

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decodeDocument has into take what stands in the document. The package yaml could do it too, but would name neither the
// field nor every wrong line.
func decodeDocument(document *yaml.Node, d *decoder, into func(*decoder, *yaml.Node) error) error {
	if document.Kind == 0 {
		return nil // an empty file: all defaults
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil
	}
	return into(d, root)
}

// A decoder walks a document and a struct side by side, and notes which path stands on which line.
type decoder struct {
	at  lines
	dir string // that files named in the document are in
}

// wrong makes an error about a node.
func wrong(n *yaml.Node, path, format string, args ...any) error {
	return &Error{Line: n.Line, Field: path, Err: fmt.Errorf(format, args...)}
}

// A shorthand is a struct that may also be written as a single text.
type shorthand interface{ setText(string) }

// value decodes n into v. tag is that of the field that v is, or is an element of.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) error {
	d.at[path] = n.Line
	if n.Kind == yaml.AliasNode {
		return wrong(n, path, "refers to another value by *: write the value out")
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return wrong(n, path, "has no value: give it one, or leave the line out")
	}
	if s, ok := v.Addr().Interface().(*Schema); ok {
		return s.read(d, n, path)
	}
	switch _, isText := v.Addr().Interface().(encoding.TextUnmarshaler); {
	case isText:
		return d.scalar(n, v, path, tag)
	case v.Kind() == reflect.Struct:
		if short, ok := v.Addr().Interface().(shorthand); ok && n.Kind == yaml.ScalarNode {
			short.setText(n.Value)
			return nil
		}
		return d.mapping(n, v, path, tag)
	case v.Kind() == reflect.Slice:
		return d.list(n, v, path, tag)
	default:
		return d.scalar(n, v, path, tag)
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) error {
	if n.Kind != yaml.MappingNode {
		return wrong(n, path, "must hold names and values, such as %s: …", firstName(v.Type()))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, child := n.Content[i], n.Content[i+1]
		full := join(path, name.Value)
		field, v, ok := find(v, name.Value)
		if !ok && path != "" && holdsSecret(v.Type()) {
			return wrong(name, path, "there is no such setting, or a text that needs quotes; here can be %s", strings.Join(namesOf(v.Type()), ", "))
		}
		if !ok {
			if tag.Get("secret") != "" {
				full = path // what has come into the place of a name may be the secret
			}
			return wrong(name, full, "there is no such setting; here can be %s", strings.Join(namesOf(v.Type()), ", "))
		}
		if line, twice := seen[name.Value]; twice {
			return wrong(name, full, "stands here a second time, after line %d", line)
		}
		seen[name.Value] = name.Line
		if err := d.value(child, v, full, field.Tag); err != nil {
			return err
		}
		d.at[full] = name.Line
	}
	return nil
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) error {
	if n.Kind != yaml.SequenceNode {
		return wrong(n, path, "must be a list: one line for each, beginning with \"- \"")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, child := range n.Content {
		fillDefaults(v.Index(i).Addr().Interface())
		if err := d.value(child, v.Index(i), fmt.Sprintf("%s[%d]", path, i), tag); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) error {
	if n.Kind != yaml.ScalarNode {
		return wrong(n, path, "must be a single value")
	}
	if v.Kind() == reflect.Bool && n.Tag != "!!bool" { // "yes" in quotes is text
		return wrong(n, path, "%q must be true or false", n.Value)
	}
	err := set(v, n.Value, tag)
	switch {
	case err == nil:
		return nil
	case tag.Get("secret") != "":
		return wrong(n, path, "is no text")
	default:
		return wrong(n, path, "%w", err)
	}
}

var (
	errDuration = errors.New("is no duration: write it like 90s, 10m or 1h30m")
	errNumber   = errors.New("is no whole number")
)

// set puts a value as written into v. The error repeats it.
func set(v reflect.Value, text string, tag reflect.StructTag) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	var err error
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = text
		return nil
	case *bool:
		*p, err = strconv.ParseBool(text)
		return err
	case *time.Duration:
		if *p, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("%q %w", text, errDuration)
		}
	case *Bytes:
		if *p, err = parseBytes(text); err != nil {
			return err
		}
	case *int:
		if *p, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("%q %w", text, errNumber)
		}
	default:
		panic(fmt.Sprintf("config: no way to read a %s", v.Type()))
	}
	return checkRange(v, text, tag)
}

// checkRange refuses numbers below the field's smallest, which is 0 when it names none, and above its largest.
func checkRange(v reflect.Value, text string, tag reflect.StructTag) error {
	least, most := tag.Get("min"), tag.Get("max")
	switch {
	case v.Int() < bound(v.Type(), least):
		return fmt.Errorf("%q is less than %s", text, cmp.Or(least, "0"))
	case most != "" && v.Int() > bound(v.Type(), most):
		return fmt.Errorf("%q is more than %s", text, most)
	}
	return nil
}

// bound reads a number that a tag names, 0 when it names none.
func bound(t reflect.Type, text string) int64 {
	v := reflect.New(t).Elem()
	if text == "" {
		return 0
	}
	if err := set(v, text, ""); err != nil {
		panic("config: " + err.Error())
	}
	return v.Int()
}

// fillDefaults sets every field of a struct that names a default.
func fillDefaults(p any) {
	v := reflect.ValueOf(p).Elem()
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		if text, ok := field.Tag.Lookup("default"); ok {
			if err := set(v.Field(i), text, ""); err != nil {
				panic(fmt.Sprintf("config: default of %s: %v", field.Name, err))
			}
		} else {
			fillDefaults(v.Field(i).Addr().Interface())
		}
	}
}

// find returns the field with this name, and its value. When there is none, v is the struct that was searched.
func find(v reflect.Value, name string) (reflect.StructField, reflect.Value, bool) {
	for _, field := range reflect.VisibleFields(v.Type()) {
		if field.Tag.Get("name") == name {
			return field, v.FieldByIndex(field.Index), true
		}
	}
	return reflect.StructField{}, v, false
}

// holdsSecret says that a text beside the fields of a struct may be part of a secret that was written without quotes.
func holdsSecret(t reflect.Type) bool {
	return slices.ContainsFunc(reflect.VisibleFields(t), func(field reflect.StructField) bool {
		return field.Tag.Get("secret") != "" && field.Type.Kind() == reflect.String
	})
}

// namesOf lists the fields of a struct as written in a file, in order.
func namesOf(t reflect.Type) []string {
	var names []string
	for _, field := range reflect.VisibleFields(t) {
		if name := field.Tag.Get("name"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func firstName(t reflect.Type) string { return namesOf(t)[0] }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
