package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// checkPackageDocs names directories whose package does not say what it is for.
func checkPackageDocs(sources []source) []string {
	documented := map[string]bool{}
	for _, s := range sources {
		if !s.isTest() {
			documented[s.dir()] = documented[s.dir()] || s.ast.Doc != nil
		}
	}
	var faults []string
	for dir, ok := range documented {
		if !ok {
			faults = append(faults, fmt.Sprintf("%s: no package comment: say what the package is for, what it leaves out and who may call it", dir))
		}
	}
	slices.Sort(faults)
	return faults
}

// checkComments names exported names without a comment, and comments that do not begin with the name they explain.
// Programs export nothing, and generated files are their generator's matter.
func checkComments(s source) []string {
	if s.isTest() || s.ast.Name.Name == "main" || s.isGenerated() {
		return nil
	}
	var faults []string
	for _, decl := range s.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || receiverExported(d.Recv)) {
				faults = append(faults, s.checkComment(d.Name, d.Doc)...)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				faults = append(faults, s.checkSpec(d, spec)...)
			}
		}
	}
	return faults
}

func (s source) checkSpec(d *ast.GenDecl, spec ast.Spec) []string {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return nil
		}
		doc := spec.Doc
		if doc == nil && d.Lparen == token.NoPos {
			doc = d.Doc
		}
		faults := s.checkComment(spec.Name, doc)
		if i, ok := spec.Type.(*ast.InterfaceType); ok {
			faults = append(faults, s.checkMethods(spec.Name.Name, doc.Text(), i)...)
		}
		return faults
	case *ast.ValueSpec:
		if d.Doc != nil || spec.Doc != nil || spec.Comment != nil {
			return nil // a group is explained once; its members by their names
		}
		for _, name := range spec.Names {
			if name.IsExported() {
				return []string{s.at(name, "%s has no comment, nor has its group", name.Name)}
			}
		}
	}
	return nil
}

// checkMethods wants every method of an interface explained, beside it or in the comment of the interface.
func (s source) checkMethods(owner, doc string, i *ast.InterfaceType) []string {
	var faults []string
	for _, m := range i.Methods.List {
		if len(m.Names) != 1 || !m.Names[0].IsExported() || m.Doc != nil || m.Comment != nil {
			continue
		}
		if !strings.Contains(doc, m.Names[0].Name) {
			faults = append(faults, s.at(m, "%s.%s has no comment: who implements it must know what is expected", owner, m.Names[0].Name))
		}
	}
	return faults
}

func (s source) checkComment(name *ast.Ident, doc *ast.CommentGroup) []string {
	text := doc.Text()
	if text == "" {
		return []string{s.at(name, "%s is exported and has no comment", name.Name)}
	}
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	if strings.HasPrefix(text, name.Name) {
		return nil
	}
	return []string{s.at(name, "the comment of %s does not begin with its name", name.Name)}
}

func receiverExported(recv *ast.FieldList) bool {
	t := recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}
