// Package config reads the file that `hocket serve --config` is given. docs/configuration.md, which a test makes from
// the structs here, describes it.
//
//	file := config.Default()
//	if err := config.Read("hocket.yaml", &file); err != nil {
//		return err // hocket.yaml:7: channels[0].history.age: "10 minutes" is no duration: write it like 90s, 10m or 1h30m
//	}
//	srv, err := hocket.New(file.Hocket())
//
// Every field has its name, default and meaning in one place, the tags of its struct. What the file holds beyond them is
// refused, never ignored: a setting that is misspelled would otherwise silently not hold. Values of fields that are
// secret never appear in an error. Flags and environment are the command's matter.
package config

//go:generate go test . -run TestReferencePage -update
