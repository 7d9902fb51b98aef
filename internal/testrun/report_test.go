package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A module with a test of each kind is run for real: what counts is what the go command says today.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "go.mod", "module sample\n\ngo 1.26\n")
	write(t, dir, "good/a_test.go", `package good

import "testing"

func TestPasses(t *testing.T) { t.Log("unheard") }
func TestSkips(t *testing.T) { t.Skip("needs a moon") }
`)
	write(t, dir, "bad/a_test.go", `package bad

import "testing"

func TestFails(t *testing.T) {
	t.Run("inner", func(t *testing.T) { t.Error("the reason") })
}
func TestPanics(t *testing.T) { println("last words"); panic("out of luck") }
`)
	write(t, dir, "broken/a.go", "package broken\n\nvar x int = \"no\"\n")
	t.Chdir(dir)

	text, skips, code := testRun(t, dir, "./good")
	if code != 0 {
		t.Errorf("exit code %d for tests that pass", code)
	}
	wantText(t, text, "ok  \tsample/good", "1 tests skipped", "sample/good TestSkips: needs a moon")
	if strings.Contains(text, "unheard") {
		t.Errorf("a passing test is heard:\n%s", text)
	}
	if skips != "sample/good TestSkips: needs a moon\n" {
		t.Errorf("skips file holds %q", skips)
	}

	text, skips, code = testRun(t, dir, "./...")
	if code == 0 {
		t.Error("exit code 0 for tests that fail")
	}
	wantText(t, text, "the reason", "--- FAIL: TestFails/inner", "out of luck", "broken/a.go:3", "FAIL\tsample/bad")
	if skips == "" {
		t.Error("a failing run forgets its skips")
	}
}

func testRun(t *testing.T, dir, pattern string) (text, skips string, code int) {
	t.Helper()
	var out strings.Builder
	file := filepath.Join(dir, "skips")
	code, err := run(&out, file, []string{pattern})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), string(b), code
}

func wantText(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("report does not contain %q:\n%s", w, text)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
