package backends

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each back end is short, so that it can be read at once.
func TestBackendsAreShort(t *testing.T) {
	lines := make(map[string]int) // by folder
	for _, pattern := range []string{"*/*.go", "*/*.mjs", "*/*.py", "*/*.php", "*/*.java", "*/*.cs"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			lines[filepath.Dir(path)] += strings.Count(read(t, path), "\n")
		}
	}
	for _, b := range backEnds {
		if n := lines[b.folder]; n == 0 || n >= 120 {
			t.Errorf("%s has %d lines, want less than 120", b.folder, n)
		}
	}
}

// program returns the path of a runtime.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s", name)
	}
	return path
}

// inOrder writes a JSON value with the members of objects in order.
func inOrder(t *testing.T, b []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	ordered, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(ordered)
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
