package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// docs/api.txt is what the source says now.
func TestAPIFileIsCurrent(t *testing.T) {
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate(root, packages)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join(root, "docs", "api.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("docs/api.txt does not list what is exported. If the change is meant, run `make api` and commit it.\n%s",
			cmp.Diff(string(have), string(want)))
	}
}

func TestEveryKindOfNameIsListed(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.go"), `package a

import "io"

// Kind is.
type Kind uint8

const (
	One Kind = iota + 1
	Two
	hidden
)

const Max = 1 << 20

var ErrOne, errTwo error

type Options struct {
	io.Reader
	Name string
	Call func(int) (string,
		error)
	secret int
}

type Sink interface {
	Put(b []byte) error
	unexported()
}

type List[T any, K comparable] []T

type Alias = Options

type inner struct{ Field int }

func New(options ...Options) (*List[int, string], error) { return nil, nil }
func (l *List[T, K]) Len() int { return 0 }
func (Options) String() string { return "" }
func (inner) Exported() {}
func helper() {}
`)
	write(t, filepath.Join(dir, "a_test.go"), "package a\n\nfunc Tested() {}\n")
	write(t, filepath.Join(dir, "a_windows.go"), "package a\n\nfunc Windows() {}\n")
	want := []string{
		"const Max = 1 << 20",
		"const One Kind",
		"const Two Kind",
		"func New(options ...Options) (*List[int, string], error)",
		"method (*List[T, K]) Len() int",
		"method (Options) String() string",
		"type Alias = Options",
		"type Kind uint8",
		"type List[T any, K comparable] []T",
		"type Options struct",
		"type Options struct, Call func(int) (string, error)",
		"type Options struct, Name string",
		"type Options struct, io.Reader",
		"type Options struct, with unexported members",
		"type Sink interface",
		"type Sink interface, Put(b []byte) error",
		"type Sink interface, with unexported members",
		"var ErrOne error",
	}
	have, err := exported(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("listed (+), wanted (-):\n%s", diff)
	}
	for _, empty := range []string{t.TempDir(), filepath.Join(dir, "none")} {
		if lines, err := exported(empty, empty); err != nil || len(lines) != 0 {
			t.Errorf("exported of no package: %q, %v", lines, err)
		}
	}
}

// What users may write of a type, such as a field of a Rule, is seen where it changes, wherever that is.
func TestTypesOfInternalPackagesAreListedWithWhatTheyPromise(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"internal/rule", "broker"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "a.go"), `package a

import (
	"hocket.dev/broker"
	rules "hocket.dev/internal/rule"
)

type Channel = rules.Rule
type Publishers = rules.Publishers
type Receipt = broker.Receipt
`)
	write(t, filepath.Join(root, "internal", "rule", "rule.go"), `package rule

type Rule struct {
	Pattern string
	set     bool
}

type Publishers uint8

type RuleSet struct{ Rules []Rule }

func (r *Rule) Check() error { return nil }
func (p Publishers) String() string { return "" }
`)
	write(t, filepath.Join(root, "broker", "broker.go"), "package broker\n\ntype Receipt struct{ Offset uint64 }\n")
	want := []string{
		"method (*Channel) Check() error",
		"method (Publishers) String() string",
		"type Channel = rules.Rule",
		"type Channel struct, Pattern string",
		"type Channel struct, with unexported members",
		"type Publishers = rules.Publishers",
		"type Receipt = broker.Receipt",
	}
	have, err := exported(root, root)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("listed (+), wanted (-):\n%s", diff)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
