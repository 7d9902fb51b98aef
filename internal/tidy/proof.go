package tidy

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"strings"
)

var (
	// proofRow is a row of a table whose first cell is a section and whose last names tests.
	proofRow = regexp.MustCompile("(?m)^\\| ([^|]*§[^|]*) \\|.*\\| ([^|]*`\\w+\\.Test[^|]*) \\|$")
	proof    = regexp.MustCompile("`(\\w+)\\.(Test\\w+)`")
	number   = regexp.MustCompile(`§([\d.]*\d)`)
)

// checkProofs names the tests that a page gives for the rules of a standard and that do not exist, or do not name the
// section.
func checkProofs(page file, sources []source) []string {
	tests := testTexts(sources)
	rows := proofRow.FindAllStringSubmatch(string(page.text), -1)
	if len(rows) == 0 {
		return []string{page.name + ": no row of rules and tests is understood"}
	}
	var faults []string
	for _, row := range rows {
		section := number.FindStringSubmatch(row[1])[1]
		named := regexp.MustCompile(`(?:§|")` + regexp.QuoteMeta(section) + `(?:\.\d+)*(?:\D|$)`)
		for _, p := range proof.FindAllStringSubmatch(row[2], -1) {
			name := p[1] + "." + p[2]
			text, ok := tests[name]
			switch {
			case !ok:
				faults = append(faults, fmt.Sprintf("%s: §%s: there is no test %s", page.name, section, name))
			case !named.MatchString(text):
				faults = append(faults, fmt.Sprintf("%s: §%s: %s does not name the section", page.name, section, name))
			}
		}
	}
	return faults
}

// checkAttacks names the tests that a page gives for attacks and that do not exist. Those of the root are called by its package.
func checkAttacks(page file, sources []source) []string {
	tests := testTexts(sources)
	named := proof.FindAllStringSubmatch(string(page.text), -1)
	if len(named) == 0 {
		return []string{page.name + ": no test is named"}
	}
	var faults []string
	for _, p := range named {
		_, ok := tests[p[1]+"."+p[2]]
		if _, root := tests["."+"."+p[2]]; !ok && !(root && p[1] == "hocket") {
			faults = append(faults, fmt.Sprintf("%s: there is no test %s.%s", page.name, p[1], p[2]))
		}
	}
	return faults
}

// testTexts returns every test with its comment, by the name of its directory and its own.
func testTexts(sources []source) map[string]string {
	tests := make(map[string]string)
	for _, s := range sources {
		if !s.isTest() {
			continue
		}
		for _, decl := range s.ast.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			from := f.Pos()
			if f.Doc != nil {
				from = f.Doc.Pos()
			}
			text := s.text[s.fset.Position(from).Offset:s.fset.Position(f.End()).Offset]
			tests[path.Base(s.dir())+"."+f.Name.Name] = string(text)
		}
	}
	return tests
}
