package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/schema"
)

// maxSchemaBytes is how large the file of a schema may be.
const maxSchemaBytes = 1 << 20

// A Schema is a JSON Schema, in JSON. A configuration has it in YAML, or names its file.
type Schema string

// read takes a schema as it is written: a group, true or false, or the name of a file.
func (s *Schema) read(d *decoder, n *yaml.Node, path string) error {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!bool" {
		b, err := d.appendJSON(nil, n, path+"#")
		*s = Schema(b)
		return err
	}
	name := filepath.FromSlash(n.Value)
	if !filepath.IsAbs(name) {
		name = filepath.Join(d.dir, name)
	}
	text, err := readSchema(name)
	if err != nil {
		return wrong(n, path, "%q %w", n.Value, err)
	}
	*s = Schema(text)
	return nil
}

func readSchema(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSchemaBytes+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", err)
	case len(text) > maxSchemaBytes:
		return "", fmt.Errorf("has more than %d bytes", maxSchemaBytes)
	case len(text) == 0:
		return "", errors.New("is empty")
	}
	return string(text), nil
}

// appendJSON writes YAML as JSON, and notes on which line what stands: path#pointer.
func (d *decoder) appendJSON(dst []byte, n *yaml.Node, path string) ([]byte, error) {
	d.at[path] = n.Line
	switch n.Kind {
	case yaml.MappingNode:
		return d.appendObject(dst, n, path)
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, element := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = d.appendJSON(dst, element, path+"/"+strconv.Itoa(i)); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case yaml.ScalarNode:
		return appendScalar(dst, n, path)
	}
	return nil, wrong(n, path, "refers to another value by *: write the value out")
}

func (d *decoder) appendObject(dst []byte, n *yaml.Node, path string) ([]byte, error) {
	dst = append(dst, '{')
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		full := path + "/" + schema.Escape(name.Value)
		if line, twice := seen[name.Value]; twice {
			return nil, wrong(name, full, "stands here a second time, after line %d", line)
		}
		if name.Kind != yaml.ScalarNode {
			return nil, wrong(name, path, "has a name that is none")
		}
		seen[name.Value] = name.Line
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(jsonval.AppendString(dst, name.Value), ':')
		var err error
		if dst, err = d.appendJSON(dst, n.Content[i+1], full); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendScalar(dst []byte, n *yaml.Node, path string) ([]byte, error) {
	switch n.Tag {
	case "!!null", "!!bool", "!!int", "!!float":
		var v any
		err := n.Decode(&v)
		b, failed := json.Marshal(v)
		if err != nil || failed != nil {
			return nil, wrong(n, path, "%q is nothing that JSON has", n.Value)
		}
		return append(dst, b...), nil
	}
	return jsonval.AppendString(dst, n.Value), nil
}

// schemaPlace is where the error of a rule's schema stands: the place in the schema, where it is written in the file, or else
// where the rule says schema.
func (f *File) schemaPlace(path string, e *rule.Error) string {
	var m *schema.Mismatch
	if !errors.As(e.Err, &m) {
		return path
	}
	for pointer := m.Pointer; pointer != ""; pointer = pointer[:strings.LastIndexByte(pointer, '/')] {
		if line, there := (*f.at)[path+"#"+pointer]; there {
			(*f.at)[path] = line
			break
		}
	}
	return path
}
