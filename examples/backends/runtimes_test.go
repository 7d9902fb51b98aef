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
	for _, b := range backEnds {
		lines := 0
		err := filepath.WalkDir(b.folder, func(path string, entry os.DirEntry, err error) error {
			if name := entry.Name(); name == "obj" || name == "bin" || name == "target" {
				return filepath.SkipDir // what was built
			}
			switch filepath.Ext(path) {
			case ".go", ".mjs", ".py", ".php", ".java", ".cs":
				lines += strings.Count(read(t, path), "\n")
			}
			return err
		})
		if err != nil || lines == 0 || lines >= 120 {
			t.Errorf("%s has %d lines, want less than 120: %v", b.folder, lines, err)
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

// django returns a Python that has Django. That of the system has it when the package python3-django is installed.
func django(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import django.conf").Run() == nil {
			return python
		}
	}
	t.Skip("needs Python with Django: install python3-django")
	return ""
}

// spring returns Maven once it has what the back end stands on.
func spring(t *testing.T) string {
	t.Helper()
	mvn := program(t, "mvn")
	resolve := exec.Command(mvn, "-q", "-B", "dependency:resolve")
	resolve.Dir = "spring"
	if out, err := resolve.CombinedOutput(); err != nil {
		line, _, _ := strings.Cut(string(out), "\n")
		t.Skipf("needs Maven's central repository: %v: %s", err, line)
	}
	return mvn
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
