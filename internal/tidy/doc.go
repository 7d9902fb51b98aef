// Package tidy holds the repository to its own rules, as tests: which package may import which, how long a file and a
// function may be, that every exported name says what it is, that pure packages read no clock, that tests do not
// sleep, that links in the papers lead somewhere.
//
// Nothing imports it. `go test ./internal/tidy` names each breach with its file and line and says which rule it breaks
// and why the rule is there. A rule that is in the way is changed here, in the open, not worked around.
package tidy
