// Command vet looks at the code as it is for other systems than this one, with the analyzers of go vet, and fails where it
// finds something or where the code would not compile. It reads what we depend on from source, and of that only the
// declarations: go vet compiles all of it for each system, which nobody needs here.
//
//	cd tools && go run ./vet darwin windows
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/analysis/suite/vet"
	"golang.org/x/tools/go/packages"
)

const mode = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
	packages.NeedTypes | packages.NeedTypesSizes | packages.NeedTypesInfo | packages.NeedSyntax | packages.NeedModule

func main() {
	root, err := filepath.Abs("..")
	if err != nil {
		fmt.Fprintln(os.Stderr, "vet:", err)
		os.Exit(2)
	}
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "vet: for which systems?")
		os.Exit(2)
	}
	failed := false
	for _, goos := range os.Args[1:] {
		found, err := look(root, goos)
		if err != nil {
			fmt.Fprintf(os.Stderr, "vet for %s: %v\n", goos, err)
			os.Exit(2)
		}
		for _, f := range found {
			fmt.Printf("%s: %s\n", goos, f)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// look analyzes the packages of the module at root with their tests, the ones behind the tag soak as well.
func look(root, goos string) (found []string, err error) {
	all, err := packages.Load(&packages.Config{
		Mode: mode, Dir: root, Tests: true, BuildFlags: []string{"-tags=soak"}, ParseFile: under(root),
		Env: append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0"),
	}, "./...")
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p *packages.Package) bool { return strings.HasSuffix(p.ID, ".test") }) // main functions of tests, made by the go command
	if len(all) == 0 {
		return nil, fmt.Errorf("no packages")
	}
	ours := map[*packages.Package]bool{}
	for _, p := range all {
		ours[p] = true
		for _, e := range p.Errors {
			found = append(found, e.Error())
		}
	}
	if len(found) > 0 {
		return tidied(found), nil
	}
	for _, p := range all {
		p.IllTyped = false // what it depends on is: its functions have no bodies, so that its imports seem not to be used
		for path, imported := range p.Imports {
			if !ours[imported] {
				delete(p.Imports, path) // and nothing is to be learned from it but types
			}
		}
	}
	graph, err := checker.Analyze(vet.Suite, all, nil)
	if err != nil {
		return nil, err
	}
	for _, act := range graph.Roots {
		if act.Err != nil {
			return nil, fmt.Errorf("%v: %w", act, act.Err)
		}
		for _, d := range act.Diagnostics {
			found = append(found, fmt.Sprintf("%s: %s: %s", act.Package.Fset.Position(d.Pos), act.Analyzer.Name, d.Message))
		}
	}
	return tidied(found), nil
}

// tidied names each finding once: a file belongs to its package and to the one that is made for its tests.
func tidied(found []string) []string {
	slices.Sort(found)
	return slices.Compact(found)
}

// under parses files, and leaves out the bodies of functions in those that are not under root.
func under(root string) func(*token.FileSet, string, []byte) (*ast.File, error) {
	return func(files *token.FileSet, name string, src []byte) (*ast.File, error) {
		if strings.HasPrefix(name, root+string(filepath.Separator)) {
			return parser.ParseFile(files, name, src, parser.ParseComments|parser.AllErrors)
		}
		file, err := parser.ParseFile(files, name, src, parser.SkipObjectResolution)
		if file != nil {
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					f.Body = nil
				}
			}
		}
		return file, err
	}
}
