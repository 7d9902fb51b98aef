package tidy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// modulePath is the path of the repository's main module.
const modulePath = "hocket.dev"

// floor is a height in the building: a package imports packages of lower floors, and its own parent.
type floor struct {
	number int
	reason string // why these packages stand here and no higher
}

var (
	ground     = floor{0, "pure rules without I/O that everything else can stand on"}
	contracts  = floor{1, "how a node waits and what it expects of its channels and logs, known by everything that serves clients"}
	proofs     = floor{2, "what a client proves about itself, in the words of the rules"}
	machines   = floor{2, "connections and cursors, which need the contracts and know no client protocol"}
	languages  = floor{3, "what any client protocol can say, so that a session never learns the name of one"}
	speakers   = floor{4, "one client protocol each, and the life of a client, which does no I/O so that it can be simulated"}
	doors      = floor{5, "the only floor where bytes from outside meet a session or a person"}
	wiring     = floor{6, "the library's face: it wires the floors and decides nothing"}
	operations = floor{7, "what a program around the library needs: configuration and load"}
	programs   = floor{8, "programs: nothing imports them"}
)

// floors says where each package stands. A path ending in /... holds everything below it that is not named itself.
var floors = map[string]floor{
	"wire":                ground,
	"internal/limit":      ground,
	"internal/schema":     ground,
	"internal/clientaddr": ground,
	"internal/origin":     ground,
	"internal/page":       ground,
	"internal/jsonval":    ground,
	"internal/sys":        ground,

	"internal/rule":        contracts,
	"internal/connect":     contracts,
	"internal/loop":        contracts,
	"internal/loop/listen": contracts,
	"broker":               contracts,
	"broker/brokertest":    contracts,

	"internal/token":      proofs,
	"internal/clientcert": proofs,

	"websocket":       machines,
	"websocket/http2": machines,
	"broker/nats":     machines,
	"broker/redis":    machines,
	"internal/hub":    machines,

	"dialect": languages,

	"dialect/...":      speakers,
	"internal/session": speakers,

	"internal/transport/...": doors,
	"internal/api":           doors,
	"internal/auth":          doors,
	"internal/hook":          doors,
	"internal/jwks":          doors,
	"internal/metrics":       doors,
	"internal/playground":    doors,
	"internal/console":       doors,
	"client":                 doors,

	"": wiring,

	"internal/config": operations,
	"internal/acme":   operations,
	"internal/load":   operations,

	"cmd/...":      programs,
	"examples/...": programs,
}

// tools help to build and test; the code that ships does not import them.
var tools = []string{"internal/sim", "internal/soak", "internal/testproc", "internal/testrun", "internal/strictflate", "internal/tidy", "internal/gen", "broker/brokertest"}

// listed is what the go command says of a package.
type listed struct {
	ImportPath string
	Imports    []string
}

// listPackages asks the go command for the packages of the main module as goos sees them. Packages that do not build
// are listed too: that is for the compiler to say.
func listPackages(root, goos string) ([]listed, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w\n%s", goos, err, stderr.String())
	}
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// checkFloors names every import that goes up, sideways or into a tool, and every package without a floor.
func checkFloors(packages []listed) []string {
	var faults []string
	for _, p := range packages {
		name := inModule(p.ImportPath)
		if isTool(name) && name != "broker/brokertest" {
			continue
		}
		from, ok := floorOf(name)
		if !ok {
			faults = append(faults, fmt.Sprintf("%s has no floor: give it one in internal/tidy/floors.go, with the table in ARCHITECTURE.md", p.ImportPath))
			continue
		}
		for _, imported := range p.Imports {
			if imported == "testing" && !isTool(name) {
				faults = append(faults, fmt.Sprintf("%s imports testing: code that ships carries no test flags", p.ImportPath))
			}
			if imported == modulePath || strings.HasPrefix(imported, modulePath+"/") {
				faults = append(faults, checkImport(name, from, inModule(imported))...)
			}
		}
	}
	return faults
}

// checkImport judges one import of the package name on floor from.
func checkImport(name string, from floor, imported string) []string {
	if isTool(imported) {
		if isTool(name) {
			return nil
		}
		return []string{fmt.Sprintf("%s imports %s, a tool: only tests may", display(name), display(imported))}
	}
	to, ok := floorOf(imported)
	if !ok || to.number < from.number || imported == path.Dir(name) && name != "" {
		return nil // a package without a floor is reported once, as itself
	}
	return []string{fmt.Sprintf("%s (floor %d: %s) imports %s (floor %d: %s): import lower floors only; an idea that both need belongs below both",
		display(name), from.number, from.reason, display(imported), to.number, to.reason)}
}

func floorOf(name string) (floor, bool) {
	if f, ok := floors[name]; ok {
		return f, true
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if f, ok := floors[dir+"/..."]; ok {
			return f, true
		}
	}
	return floor{}, false
}

func isTool(name string) bool {
	return slices.ContainsFunc(tools, func(tool string) bool { return name == tool || strings.HasPrefix(name, tool+"/") })
}

// inModule cuts the module path off: "" is the root package.
func inModule(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, modulePath), "/")
}

func display(name string) string {
	if name == "" {
		return modulePath
	}
	return name
}
