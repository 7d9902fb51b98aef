package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// lister collects the lines of one package.
type lister struct {
	fset  *token.FileSet
	file  *ast.File // under way
	lines []string
	lent  []alias
}

// alias is a type that another package lends: what it promises stands there.
type alias struct {
	name string
	path string // of the lender
	of   string // its name there
}

// exported lists the exported names of the package in dir, sorted; none when there is no package. What an internal package
// lends is listed with its fields and methods, which are promised as well and seen nowhere else.
func exported(root, dir string) ([]string, error) {
	l, err := list(dir)
	if err != nil || l == nil {
		return nil, err
	}
	for _, a := range l.lent {
		below, ok := strings.CutPrefix(a.path, modulePath+"/")
		if !ok || !strings.HasPrefix(below, "internal/") {
			continue
		}
		lender, err := list(filepath.Join(root, filepath.FromSlash(below)))
		if err == nil && lender == nil {
			err = errors.New("there is no such package")
		}
		if err != nil {
			return nil, fmt.Errorf("%s, lent by %s: %w", a.name, a.path, err)
		}
		for _, line := range lender.lines {
			for _, form := range []string{"type %s struct, ", "type %s interface, ", "method (%s) ", "method (*%s) "} {
				if rest, ok := strings.CutPrefix(line, fmt.Sprintf(form, a.of)); ok {
					l.add(form+"%s", a.name, rest)
				}
			}
		}
	}
	slices.Sort(l.lines)
	return slices.Compact(l.lines), nil
}

// list lists the exported names of the package in dir alone; nil when there is no package.
func list(dir string) (*lister, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	context := build.Default
	context.GOOS, context.GOARCH, context.CgoEnabled = "linux", "amd64", false
	pkg, err := context.ImportDir(dir, 0)
	var empty *build.NoGoError
	if errors.As(err, &empty) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l := &lister{fset: token.NewFileSet()}
	for _, name := range pkg.GoFiles {
		file, err := parser.ParseFile(l.fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		l.file = file
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				l.function(d)
			case *ast.GenDecl:
				l.declaration(d)
			}
		}
	}
	return l, nil
}

// importPath returns the path of the package that has this name in the file under way.
func (l *lister) importPath(name string) string {
	for _, spec := range l.file.Imports {
		p := strings.Trim(spec.Path.Value, "`\"")
		if spec.Name != nil && spec.Name.Name == name || spec.Name == nil && path.Base(p) == name {
			return p
		}
	}
	return ""
}

func (l *lister) add(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *lister) function(f *ast.FuncDecl) {
	if !f.Name.IsExported() {
		return
	}
	signature := strings.TrimPrefix(l.print(f.Type), "func")
	if f.Recv == nil {
		l.add("func %s%s", f.Name.Name, signature)
		return
	}
	if recv := l.print(f.Recv.List[0].Type); ast.IsExported(strings.TrimLeft(recv, "*")) {
		l.add("method (%s) %s%s", recv, f.Name.Name, signature)
	}
}

func (l *lister) declaration(d *ast.GenDecl) {
	var constType string // of the constants that repeat the specification above them
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			l.typ(s)
		case *ast.ValueSpec:
			typ := l.print(s.Type)
			if d.Tok == token.CONST {
				if len(s.Values) > 0 {
					constType = typ
				}
				typ = constType
			}
			l.values(d.Tok, typ, s)
		}
	}
}

func (l *lister) values(tok token.Token, typ string, s *ast.ValueSpec) {
	for i, name := range s.Names {
		if !name.IsExported() {
			continue
		}
		line := tok.String() + " " + name.Name
		if typ != "" {
			line += " " + typ
		}
		if tok == token.CONST && i < len(s.Values) {
			if value := l.print(s.Values[i]); !strings.Contains(value, "iota") { // its number depends on the place
				line += " = " + value
			}
		}
		l.add("%s", line)
	}
}

func (l *lister) typ(s *ast.TypeSpec) {
	if !s.Name.IsExported() {
		return
	}
	name := s.Name.Name
	if s.TypeParams != nil {
		name += "[" + l.fields(s.TypeParams) + "]"
	}
	if s.Assign != token.NoPos {
		l.add("type %s = %s", name, l.print(s.Type))
		if of, ok := s.Type.(*ast.SelectorExpr); ok {
			l.lent = append(l.lent, alias{name: name, path: l.importPath(l.print(of.X)), of: of.Sel.Name})
		}
		return
	}
	switch t := s.Type.(type) {
	case *ast.StructType:
		l.add("type %s struct", name)
		l.members(name, "struct", t.Fields)
	case *ast.InterfaceType:
		l.add("type %s interface", name)
		l.members(name, "interface", t.Methods)
	default:
		l.add("type %s %s", name, l.print(t))
	}
}

// members lists fields and interface methods. Whether there are unexported ones is part of the promise too: such a
// struct cannot be written without field names, such an interface not be implemented.
func (l *lister) members(owner, kind string, list *ast.FieldList) {
	for _, f := range list.List {
		if len(f.Names) == 0 { // embedded
			l.add("type %s %s, %s", owner, kind, l.print(f.Type))
		}
		for _, name := range f.Names {
			switch _, method := f.Type.(*ast.FuncType); {
			case !name.IsExported():
				l.add("type %s %s, with unexported members", owner, kind)
			case method && kind == "interface":
				l.add("type %s %s, %s%s", owner, kind, name.Name, strings.TrimPrefix(l.print(f.Type), "func"))
			default:
				l.add("type %s %s, %s %s", owner, kind, name.Name, l.print(f.Type))
			}
		}
	}
}

func (l *lister) fields(list *ast.FieldList) string {
	var parts []string
	for _, f := range list.List {
		var names []string
		for _, n := range f.Names {
			names = append(names, n.Name)
		}
		parts = append(parts, strings.Join(names, ", ")+" "+l.print(f.Type))
	}
	return strings.Join(parts, ", ")
}

// print writes an expression on one line; "" for none.
func (l *lister) print(n ast.Node) string {
	if n == nil || n == ast.Expr(nil) {
		return ""
	}
	var b strings.Builder
	if err := printer.Fprint(&b, l.fset, n); err != nil {
		panic(err) // a strings.Builder takes everything, and the node was parsed
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
