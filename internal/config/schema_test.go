package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASchemaIsWrittenInYAML(t *testing.T) {
	for _, test := range []struct{ yaml, want string }{
		{"true", "true"},
		{"{}", "{}"},
		{"{\"type\": [\"string\", 'null'], minimum: 0x10, maximum: 1.50, const: null, enum: [yes, 1_000, 2001-02-03, ~, \"\\u2028\"]}",
			`{"type":["string","null"],"minimum":16,"maximum":1.5,"const":null,"enum":["yes",1000,"2001-02-03",null,"\u2028"]}`},
		{"\n    properties:\n      1: {pattern: ^a$}\n      a/b: false", `{"properties":{"1":{"pattern":"^a$"},"a/b":false}}`},
	} {
		f, err := read(t, "fallback:\n  schema: "+test.yaml)
		if err != nil || string(f.Fallback.Schema) != test.want {
			t.Errorf("%s: %v\n have %s\n want %s", test.yaml, err, f.Fallback.Schema, test.want)
		}
	}
}

func TestASchemaIsReadFromItsFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "hocket.yaml")
	for name, text := range map[string]string{
		"hocket.yaml": "channels: [{pattern: a, schema: schemas/a.json}]", "schemas/a.json": `{"type": "object"}` + "\n",
		"empty.json": "", "wrong.json": `{"type": "objekt"}`, "large.json": strings.Repeat(" ", maxSchemaBytes+1),
	} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := Default()
	if err := Read(file, &f); err != nil || f.Channels[0].Schema != `{"type": "object"}`+"\n" {
		t.Errorf("%q, %v", f.Channels[0].Schema, err)
	}
	for name, want := range map[string]string{
		"none.json":  `: fallback.schema: "none.json" cannot be read: no such file or directory`,
		"empty.json": `: fallback.schema: "empty.json" is empty`,
		"large.json": `: fallback.schema: "large.json" has more than 1048576 bytes`,
		"wrong.json": `: fallback.schema: at /type: must be one of "array", "boolean", "integer", "null" and 3 more`,
	} {
		if err := parse(file, []byte("fallback:\n  schema: "+name), &f); err == nil || err.Error() != file+":2"+want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsOfASchemaNameTheLine(t *testing.T) {
	const rule = "channels:\n- pattern: a\n- pattern: b\n  schema:\n    type: object\n"
	for _, test := range []struct{ text, want string }{
		{"    properties:\n      text:\n        type: text", `:8: channels[1].schema: at /properties/text/type: must be one of "array", "boolean", "integer", "null" and 3 more`},
		{"    required: text", `:6: channels[1].schema: at /required: must be of type array, not string`},
		{"    type: object", `:6: channels[1].schema#/type: stands here a second time, after line 5`},
		{"    const: .nan", `:6: channels[1].schema#/const: ".nan" is nothing that JSON has`},
		{"    $defs: {a: &a {}, b: *a}", `:6: channels[1].schema#/$defs/b: refers to another value by *: write the value out`},
		{"    $ref: https://schemas.example/a", `:4: channels[1].schema: refers to https://schemas.example/a: a schema refers only to itself: what it needs belongs into its $defs`},
		{"    const: {__proto__: 1}", `:4: channels[1].schema: is not JSON that everybody reads alike: the name __proto__, by which JavaScript may change what an object inherits, is not taken at byte 26`},
	} {
		if _, err := read(t, rule+test.text); err == nil || err.Error() != "hocket.yaml"+test.want {
			t.Errorf("%s: %v", test.text, err)
		}
	}
}
