package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hocket.dev/dialect"
)

// The files in the repository are what the generator would write now.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(have, want) {
			t.Errorf("%s is not what spec/errors.json makes of it: run `make generate`", name)
		}
	}
}

// What Go code looks up is what the list says.
func TestCatalogueAnswersFromTheList(t *testing.T) {
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	list, err := readCatalogue(filepath.Join(root, "spec", "errors.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Errors {
		want := dialect.Info{Name: e.Name, Sentence: e.Sentence, HTTP: e.HTTP, Retry: e.Retry}
		if have := dialect.Code(e.Code).Info(); have != want {
			t.Errorf("Code(%d).Info() = %+v, want %+v", e.Code, have, want)
		}
	}
	for _, e := range list.Closes {
		want := dialect.Info{Name: e.Name, Sentence: e.Sentence, Retry: e.Action == "reconnect", Action: dialect.Action(e.Action)}
		if have := dialect.Code(e.Code).Info(); have != want {
			t.Errorf("Code(%d).Info() = %+v, want %+v", e.Code, have, want)
		}
	}
	if have := dialect.Code(10000).Info(); have != (dialect.Info{}) {
		t.Errorf("an application's code has the info %+v", have)
	}
}

func TestGoNamesWriteInitialismsInCapitals(t *testing.T) {
	for name, want := range map[string]string{
		"invalid_json": "InvalidJSON", "id_in_use": "IDInUse", "invalid_id": "InvalidID", "busy": "Busy", "tls_required": "TLSRequired", "too_large": "TooLarge",
	} {
		if have := goName(name); have != want {
			t.Errorf("goName(%q) = %q, want %q", name, have, want)
		}
	}
}

func TestFaultsInTheListAreNamed(t *testing.T) {
	ok := errorEntry{Code: 1100, Name: "some_name", HTTP: 400, Sentence: "It failed."}
	for _, test := range []struct {
		want string
		list catalogue
	}{
		{"follows 1100", catalogue{Errors: []errorEntry{ok, {Code: 1100, Name: "other", HTTP: 400, Sentence: "It failed."}}}},
		{"used twice", catalogue{Errors: []errorEntry{ok, {Code: 1101, Name: ok.Name, HTTP: 400, Sentence: "It failed."}}}},
		{"lower case", catalogue{Errors: []errorEntry{{Code: 1100, Name: "someName", HTTP: 400, Sentence: "It failed."}}}},
		{"full stop", catalogue{Errors: []errorEntry{{Code: 1100, Name: "some_name", HTTP: 400, Sentence: "It failed"}}}},
		{"full stop", catalogue{Errors: []errorEntry{{Code: 1100, Name: "some_name", HTTP: 400}}}},
		{"from 1100", catalogue{Errors: []errorEntry{{Code: 999, Name: "some_name", HTTP: 400, Sentence: "It failed."}}}},
		{"HTTP status 200", catalogue{Errors: []errorEntry{{Code: 1100, Name: "some_name", HTTP: 200, Sentence: "It failed."}}}},
		{"none of", catalogue{Closes: []closeEntry{{Code: 4000, Name: "some_name", Action: "wait", Sentence: "It failed."}}}},
		{"from 4200", catalogue{Closes: []closeEntry{{Code: 4000, Name: "some_name", Action: "stop", Sentence: "It failed."}}}},
	} {
		if err := test.list.check(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("check says %v, want something with %q", err, test.want)
		}
	}
}
