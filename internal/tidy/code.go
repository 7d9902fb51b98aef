package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

const (
	maxFileLines     = 700
	maxFunctionLines = 100
)

// source is one parsed Go file.
type source struct {
	file
	fset *token.FileSet
	ast  *ast.File
}

// parseAll parses the Go files. One that does not parse is left to the compiler.
func parseAll(files []file) []source {
	var sources []source
	for _, f := range files {
		if !f.has(".go") {
			continue
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, f.name, f.text, parser.ParseComments)
		if err == nil {
			sources = append(sources, source{f, fset, parsed})
		}
	}
	return sources
}

// at begins a message with the place of n.
func (s source) at(n ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: ", s.name, s.fset.Position(n.Pos()).Line) + fmt.Sprintf(format, args...)
}

// checkFunctionLength names functions with more lines than one can hold in mind.
func checkFunctionLength(s source) []string {
	var faults []string
	for _, decl := range s.ast.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || s.isGenerated() {
			continue
		}
		if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > maxFunctionLines {
			faults = append(faults, s.at(f, "function %s has %d lines, more than %d: it has two jobs, split it by naming the steps", f.Name.Name, n, maxFunctionLines))
		}
	}
	return faults
}

// early is the one package whose purpose is to run unasked, before net/http does: its page says why there is no other way.
const early = "websocket/http2/http2.go"

// checkNames refuses package names that say nothing and functions that run unasked.
func checkNames(s source) []string {
	var faults []string
	switch strings.TrimSuffix(s.ast.Name.Name, "_test") {
	case "common", "util", "utils", "types", "helper", "helpers", "model", "models", "misc", "shared", "base":
		faults = append(faults, s.at(s.ast.Name, "package %s: name it for what it holds; a type lives with the contract that owns it", s.ast.Name.Name))
	}
	for _, decl := range s.ast.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && s.name != early {
			faults = append(faults, s.at(f, "func init: main lists the parts in plain sight, nothing registers itself"))
		}
	}
	return faults
}

// purePackages are step functions: the same code serves an event loop, a goroutine, an HTTP stream and a test in
// virtual time, so time comes in as now and whoever calls owns the goroutine.
var purePackages = []string{
	"wire", "internal/token", "internal/rule", "internal/jsonval", "internal/origin", "internal/clientcert", "internal/page", "internal/hub",
	"dialect", "dialect/native", "internal/session",
}

// clockFunctions are the functions of package time that read or wait for the clock.
var clockFunctions = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// checkPure names every goroutine and every look at the clock in a pure package.
func checkPure(s source) []string {
	if s.isTest() || !slices.Contains(purePackages, s.dir()) {
		return nil
	}
	var faults []string
	clock := s.importName("time")
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			faults = append(faults, s.at(n, "go statement: package %s is pure, its caller owns the goroutines", s.dir()))
		case *ast.SelectorExpr:
			if name := selected(n, clock); slices.Contains(clockFunctions, name) {
				faults = append(faults, s.at(n, "time.%s: package %s is pure, time comes in as now", name, s.dir()))
			}
		}
		return true
	})
	return faults
}

// checkSleep names sleeps in tests. In a bubble of testing/synctest a sleep costs no time and is how it moves on;
// elsewhere it is a guess. internal/testproc, the one helper that polls, is no test file.
func checkSleep(s source) []string {
	if !s.isTest() {
		return nil
	}
	var faults []string
	clock, bubble := s.importName("time"), s.importName("testing/synctest")
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && selected(sel, bubble) == "Test" {
				return false
			}
		case *ast.SelectorExpr:
			if selected(n, clock) == "Sleep" {
				faults = append(faults, s.at(n, "time.Sleep outside synctest.Test: use virtual time, or wait for what you want with testproc.Until"))
			}
		}
		return true
	})
	return faults
}

// importName is the name the file has for an imported package, "" when it does not import it.
func (s source) importName(importPath string) string {
	for _, spec := range s.ast.Imports {
		if have, err := strconv.Unquote(spec.Path.Value); err != nil || have != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return importPath[strings.LastIndexByte(importPath, '/')+1:]
	}
	return ""
}

// selected is the Name of pkg.Name, "" when n selects from something else.
func selected(n *ast.SelectorExpr, pkg string) string {
	if x, ok := n.X.(*ast.Ident); ok && pkg != "" && x.Name == pkg {
		return n.Sel.Name
	}
	return ""
}
