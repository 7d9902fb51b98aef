package tidy

import (
	"testing"
)

// repository reads the tree once per test; it is small.
func repository(t *testing.T) (root string, files []file) {
	t.Helper()
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err = readTree(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d files below %s: this is not the repository", len(files), root)
	}
	return root, files
}

func report(t *testing.T, faults []string) {
	t.Helper()
	for _, f := range faults {
		t.Error(f)
	}
}

func TestImportsGoDown(t *testing.T) {
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			packages, err := listPackages(root, goos)
			if err != nil {
				t.Fatal(err)
			}
			report(t, checkFloors(packages))
		})
	}
}

func TestCode(t *testing.T) {
	_, files := repository(t)
	sources := parseAll(files)
	report(t, checkPackageDocs(sources))
	for _, s := range sources {
		report(t, checkFunctionLength(s))
		report(t, checkNames(s))
		report(t, checkPure(s))
		report(t, checkSleep(s))
		report(t, checkComments(s))
	}
}

func TestText(t *testing.T) {
	_, files := repository(t)
	for _, f := range files {
		report(t, checkFileLength(f))
		report(t, checkText(f))
	}
}

func TestLinks(t *testing.T) {
	root, files := repository(t)
	for _, f := range files {
		if f.has(".md") {
			report(t, checkLinks(root, f))
		}
	}
}

func TestProofs(t *testing.T) {
	_, files := repository(t)
	sources := parseAll(files)
	pages := map[string]func(file, []source) []string{"docs/conformance.md": checkProofs, "docs/security.md": checkAttacks}
	for _, f := range files {
		if check := pages[f.name]; check != nil {
			report(t, check(f, sources))
			delete(pages, f.name)
		}
	}
	for name := range pages {
		t.Errorf("%s is missing", name)
	}
}
