// Command gosec looks through the code that ships for what is often a hole (github.com/securego/gosec), and fails where it finds
// something. It loads all packages at once, which takes half of the time that gosec's own command does, and has none of the
// SDKs of cloud services that that one brings along.
//
//	cd tools && go run ./gosec
//
// What is no hole is marked on its line, with the reason: #nosec G304 -- the operator says which file. Rules that find nothing
// but such lines are left out, here, with theirs.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/securego/gosec/v2"
	"github.com/securego/gosec/v2/issue"
	"github.com/securego/gosec/v2/rules"
	"golang.org/x/tools/go/packages"
)

// leftOut are the rules that are not asked, and why.
var leftOut = map[string]string{
	"G103": "unsafe: only internal/loop uses it, for system calls; vet and the race detector look at it",
	"G104": "errors that nobody looks at: on the ways out, where nobody could do anything; staticcheck and reviews look at them",
	"G115": "numbers converted to smaller types: lengths, times and counts that are bounded where they come in; with G407 and G602 it needs SSA, in a version of x/tools that staticcheck has left behind",
	"G304": "files named by a variable: they are those that the operator names, no client can name one",
	"G601": "addresses of loop variables: no hole since Go 1.22, and to find that out the rule runs `go list` at every node it meets, which took nine tenths of the time",
}

// notShipped are directories of programs that are for building and testing.
var notShipped = []string{
	"broker/brokertest", "internal/gen", "internal/sim", "internal/soak", "internal/strictflate", "internal/testproc", "internal/testrun", "internal/tidy",
}

func main() {
	issues, err := look("..")
	if err != nil {
		fmt.Fprintln(os.Stderr, "gosec:", err)
		os.Exit(2)
	}
	for _, i := range issues {
		fmt.Println(i)
	}
	if len(issues) > 0 {
		os.Exit(1)
	}
}

// look asks the rules about the packages of a module.
func look(root string) (found []string, err error) {
	all, err := packages.Load(&packages.Config{Mode: gosec.LoadMode, Dir: root}, "./...")
	if err != nil {
		return nil, err
	}
	a := gosec.NewAnalyzer(gosec.NewConfig(), false, true, true, 1, log.New(io.Discard, "", 0))
	a.LoadRules(rules.Generate(false, rules.NewRuleFilter(true, left()...)).RulesInfo())
	for _, p := range all {
		if !ships(p.PkgPath) {
			continue
		}
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("%s: %v", p.PkgPath, p.Errors[0])
		}
		a.CheckRules(p)
	}
	issues, metrics, _ := a.Report()
	if metrics.NumFiles == 0 {
		return nil, fmt.Errorf("no files were looked at")
	}
	for _, i := range issues {
		if fault := judge(i); fault != "" {
			found = append(found, fmt.Sprintf("%s:%s: %s: %s", i.File, i.Line, i.RuleID, fault))
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// judge says what is wrong about an issue, "" where its line says why it is none.
func judge(i *issue.Issue) string {
	if len(i.Suppressions) == 0 {
		return i.What
	}
	for _, s := range i.Suppressions {
		if s.Justification == "" {
			return "marked as no hole without a reason: write #nosec " + i.RuleID + " -- and why"
		}
	}
	return ""
}

func left() (ids []string) {
	for id := range leftOut {
		ids = append(ids, id)
	}
	return ids
}

func ships(path string) bool {
	name := strings.TrimPrefix(path, "hocket.dev/")
	return !slices.ContainsFunc(notShipped, func(dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") })
}
