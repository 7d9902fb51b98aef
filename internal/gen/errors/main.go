// Command errors makes what Go, TypeScript and people read about errors from the one list in spec/errors.json:
//
//	dialect/errors_gen.go       the constants and the catalogue
//	sdk/js/src/errors.gen.ts    the same for the SDK
//	docs/errors.md              the reference page
//
// It runs from anywhere inside the repository and writes a file only when its content changes. A test compares the
// files with a fresh run, so a list that was edited without `make generate` does not pass.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen/errors:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := findRoot()
	if err != nil {
		return err
	}
	files, err := generate(root)
	if err != nil {
		return err
	}
	for name, want := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, want) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			return err
		}
		fmt.Println("wrote", name)
	}
	return nil
}

// generate makes the content of every generated file, keyed by its slash-separated path below root.
func generate(root string) (map[string][]byte, error) {
	list, err := readCatalogue(filepath.Join(root, "spec", "errors.json"))
	if err != nil {
		return nil, err
	}
	goFile, err := renderGo(list)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"dialect/errors_gen.go":    goFile,
		"sdk/js/src/errors.gen.ts": renderTS(list),
		"docs/errors.md":           renderDocs(list),
	}, nil
}

// findRoot walks up from the working directory to the directory of the module hocket.dev: spec/ lies beside its go.mod.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "spec", "errors.json")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no spec/errors.json in this directory or above it")
		}
		dir = parent
	}
}
