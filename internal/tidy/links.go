package tidy

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	fenced     = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	inlineCode = regexp.MustCompile("`[^`\n]*`")
	link       = regexp.MustCompile(`\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)|(?:href|src|srcset)="([^"]+)"`)
	heading    = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *#*$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// checkLinks names relative links of a Markdown page that lead to no file, or to no heading of it.
func checkLinks(root string, page file) []string {
	var faults []string
	text := inlineCode.ReplaceAllString(fenced.ReplaceAllString(string(page.text), ""), "")
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		target := m[1] + m[2]
		u, err := url.Parse(target)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: link %q: %v", page.name, target, err))
			continue
		}
		if u.Scheme != "" || u.Host != "" {
			continue // whether the world still has it is not ours to test
		}
		name := page.name
		if u.Path != "" {
			name = path.Join(page.dir(), u.Path)
		}
		if strings.HasPrefix(u.Path, "/") || strings.HasPrefix(name, "../") {
			faults = append(faults, fmt.Sprintf("%s: link %q leaves the repository", page.name, target))
			continue
		}
		linked, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: link %q leads nowhere", page.name, target))
			continue
		}
		if u.Fragment != "" && !linked.IsDir() && strings.HasSuffix(name, ".md") && !hasHeading(root, name, u.Fragment) {
			faults = append(faults, fmt.Sprintf("%s: link %q: %s has no such heading", page.name, target, name))
		}
	}
	return faults
}

func hasHeading(root, name, fragment string) bool {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return false
	}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
		if slug(m[1]) == fragment {
			return true
		}
	}
	return false
}

// slug is the anchor that the usual renderers give a heading.
func slug(heading string) string {
	return strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}
