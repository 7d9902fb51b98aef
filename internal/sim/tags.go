package sim

import "slices"

// The tags that entries carry, and their values.
var (
	languages = []string{"en", "de", "fr"}
	sorts     = []string{"a", "b"}
)

// tags draws those of an entry: always a language, and mostly what sort it is of.
func tags(d *dice) map[string]string {
	tags := map[string]string{"lang": languages[d.n(10)%3]}
	if d.chance(80) {
		tags["sort"] = pick(d, sorts)
	}
	return tags
}

// someFilter draws a filter: one value, several of them, or more than one tag.
func someFilter(d *dice) map[string][]string {
	filter := map[string][]string{"lang": {pick(d, languages)}}
	switch d.n(4) {
	case 0:
		filter["lang"] = []string{"en", "fr"}
	case 1:
		filter["sort"] = []string{pick(d, sorts)}
	}
	return filter
}

// passes says that tags are among those that a filter asks for.
func passes(filter map[string][]string, tags map[string]string) bool {
	for name, values := range filter {
		if value, tagged := tags[name]; !tagged || !slices.Contains(values, value) {
			return false
		}
	}
	return true
}
