package tidy

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// file is one text file of the repository.
type file struct {
	name string // slash-separated, below the root
	text []byte
}

// generated is the line by which the go command and linters know a file that no one edits.
var generated = regexp.MustCompile(`(?m)^(//|#|/\*|<!--).*Code generated .* DO NOT EDIT\.`)

// isGenerated looks at the head of the file only.
func (f file) isGenerated() bool { return generated.Match(f.text[:min(len(f.text), 1024)]) }

func (f file) has(suffixes ...string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(f.name, s) {
			return true
		}
	}
	return false
}

func (f file) isTest() bool { return f.has("_test.go") }

// dir is the directory the file stands in, "." for the root.
func (f file) dir() string { return filepath.ToSlash(filepath.Dir(filepath.FromSlash(f.name))) }

// readTree reads every text file below root that is written or generated here: not what was installed, built or is
// hidden.
func readTree(root string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && skipDir(d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || d.Name() == ".git" { // a file where the tree is a worktree of another
			return nil
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // another test's temporary file went while we looked
		}
		if err != nil {
			return err
		}
		if bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
			return nil
		}
		name, err := filepath.Rel(root, path)
		files = append(files, file{filepath.ToSlash(name), text})
		return err
	})
	return files, err
}

func skipDir(name string) bool {
	switch name {
	case ".ci", ".github":
		return false
	case "node_modules", "dist", "bin", "testdata", "test-results":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// findRoot is the directory of the main module: the tests run two below it.
func findRoot() (string, error) { return filepath.Abs(filepath.Join("..", "..")) }
