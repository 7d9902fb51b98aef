package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// Extension is one element of Sec-WebSocket-Extensions (§9.1): offered by a client,
// or chosen by a server.
type Extension struct {
	Name   string
	Params []Param // in their order; names may repeat, what that means is the extension's affair
}

// Param is a parameter of an [Extension].
type Param struct {
	Name  string
	Value string // without the quotes it may have had
	// HasValue tells `name=value` from `name`. A value is never empty: it is a token.
	HasValue bool
}

// String returns e as it stands in the header.
func (e Extension) String() string {
	s := e.Name
	for _, p := range e.Params {
		s += "; " + p.Name
		if p.HasValue {
			s += "=" + p.Value
		}
	}
	return s
}

// ParseExtensions reads every line of a Sec-WebSocket-Extensions header (§9.1):
//
//	extension-list  = 1#( token *( ";" extension-param ) )
//	extension-param = token [ "=" ( token | quoted-string ) ]
//
// Empty list elements are left out (RFC 9110 §5.6.1.2). What does not fit the grammar is
// an error, upon which the handshake must fail; so is a quoted value that is no token
// once its quotes are gone.
func ParseExtensions(lines []string) ([]Extension, error) {
	items := listItems(lines)
	if len(items) == 0 {
		return nil, nil
	}
	all := make([]Extension, len(items))
	for i, item := range items {
		if err := all[i].parse(item); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// parse reads one element of the list.
func (e *Extension) parse(item string) error {
	s := scanner{item}
	if e.Name = s.token(); e.Name == "" {
		return badExtension(item, "does not begin with a token")
	}
	for s.take(';') {
		e.Params = append(e.Params, Param{})
		if !s.param(&e.Params[len(e.Params)-1]) {
			return badExtension(item, "has a parameter that is no token, or has a value that is none")
		}
	}
	if s.rest != "" {
		return badExtension(item, "goes on with "+strconv.Quote(s.rest)+" where only ';' can follow")
	}
	return nil
}

// badExtension stands by itself for the stack of those who call parse: see refuseMethod.
//
//go:noinline
func badExtension(item, what string) error {
	return fmt.Errorf("the extension %q %s (RFC 6455 §9.1)", item, what)
}

// scanner reads the pieces of one list element; white space stands before a piece, or
// behind it, and is no part of it.
type scanner struct{ rest string }

// token takes a token, "" when there is none.
func (s *scanner) token() string {
	s.rest = strings.TrimLeft(s.rest, " \t")
	n := 0
	for n < len(s.rest) && isTokenByte(s.rest[n]) {
		n++
	}
	t := s.rest[:n]
	s.rest = strings.TrimLeft(s.rest[n:], " \t")
	return t
}

// take takes c, if it comes next.
func (s *scanner) take(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// param takes a parameter into p, which is empty, and reports whether it is well-formed.
func (s *scanner) param(p *Param) bool {
	if p.Name = s.token(); p.Name == "" {
		return false
	}
	if p.HasValue = s.take('='); !p.HasValue {
		return true
	}
	s.rest = strings.TrimLeft(s.rest, " \t")
	if s.take('"') {
		return s.quoted(&p.Value)
	}
	p.Value = s.token()
	return p.Value != ""
}

// quoted takes the rest of a quoted string into value and reports whether it was closed
// and holds a token.
func (s *scanner) quoted(value *string) bool {
	var b strings.Builder
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = strings.TrimLeft(s.rest[i+1:], " \t")
			*value = b.String()
			return isToken(*value)
		case c == '\\' && i+1 < len(s.rest):
			i++
			b.WriteByte(s.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return false
}
