package wire

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"testing"
)

// §7.1.7: every error names its rule by the section, in a reason that fits a close frame
// (§5.5.1).
func TestEveryErrorNamesItsSection(t *testing.T) {
	section := regexp.MustCompile(`\((RFC 7692 )?§\d+(\.\d+)*\)$`)
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	ast.Inspect(file, func(n ast.Node) bool {
		value, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		rule, err := strconv.Unquote(value.Elts[1].(*ast.BasicLit).Value)
		if rules++; err != nil || !section.MatchString(rule) || len(rule) > maxReason {
			t.Errorf("the rule %q does not end with its section, or is too long: %v", rule, err)
		}
		return true
	})
	if rules < 15 {
		t.Errorf("%d rules found, there are more", rules)
	}
}
