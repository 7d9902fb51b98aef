package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"hocket.dev/internal/rule"
)

// An Error says where a file is wrong, and why.
type Error struct {
	File  string
	Line  int    // from 1; 0 when no line can be named
	Field string // such as "channels[0].history.age"; "" when it is none
	Err   error
}

// Error returns a sentence like `hocket.yaml:7: channels[0].history.count: "many" is no whole number`.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	return b.String() + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// lines tells where a field stands, by its path.
type lines map[string]int

// Read reads the file at path into f: what the file does not name stays as it is. The error is an *Error; f is then in
// no particular state.
func Read(path string, f *File) error {
	text, err := os.ReadFile(path)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return &Error{File: path, Err: fmt.Errorf("cannot be read: %w", err)}
	}
	return parse(path, text, f)
}

func parse(path string, text []byte, f *File) error {
	var document, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&document); err != nil && err != io.EOF {
		return syntaxError(path, err)
	}
	switch err := d.Decode(&second); {
	case err == nil:
		return &Error{File: path, Line: second.Line, Err: errors.New("a second document begins here: a configuration is one")}
	case err != io.EOF:
		return syntaxError(path, err)
	}
	f.at = &lines{}
	err := decodeDocument(&document, f)
	if err == nil {
		err = f.check()
	}
	var e *Error
	if errors.As(err, &e) {
		e.File = path
	}
	return err
}

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// syntaxError takes the line out of an error of the YAML parser, and leaves out what could be a secret: a key that
// begins with "*" is to YAML a name to look up, and repeated in its error.
func syntaxError(path string, err error) error {
	if strings.Contains(err.Error(), "unknown anchor") {
		return &Error{File: path, Err: errors.New("is no YAML: a value that begins with * must be in quotes")}
	}
	e := &Error{File: path, Line: 1, Err: err} // the parser does not say so when it is the first line
	if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
		if m[1] != "" {
			e.Line, _ = strconv.Atoi(m[1])
		}
		e.Err = errors.New("is no YAML: " + m[2])
	}
	return e
}

// fail makes an error about the field at path.
func (f *File) fail(path string, format string, args ...any) error {
	return &Error{Line: (*f.at)[path], Field: path, Err: fmt.Errorf(format, args...)}
}

// check says what is wrong with values that are well-formed.
func (f *File) check() error {
	if _, _, err := net.SplitHostPort(f.Listen); err != nil {
		return f.fail("listen", "%q is no address: write it like 127.0.0.1:8000 or :8000", f.Listen)
	}
	switch {
	case f.TLS.Cert != "" && f.TLS.Key == "":
		return f.fail("tls.cert", "is a certificate without its key: name that too, as tls.key")
	case f.TLS.Cert == "" && f.TLS.Key != "":
		return f.fail("tls.key", "is a key without its certificate: name that too, as tls.cert")
	}
	for i, origin := range f.Origins {
		if !isOrigin(origin) {
			return f.fail(fmt.Sprintf("origins[%d]", i), "%q is no origin: write it like https://app.example.com, without a path", origin)
		}
	}
	for i, key := range f.APIKeys {
		if key == "" || strings.ContainsAny(key, " \t\r\n") {
			return f.fail(fmt.Sprintf("api_keys[%d]", i), "a key is empty or holds white space")
		}
	}
	if n := len(f.SessionSecret); n > 0 && n < minSecret {
		return f.fail("session_secret", "is too short to be a secret: it has %d bytes and needs %d", n, minSecret)
	}
	if err := f.checkTicks("ping_every", f.PingEvery); err != nil {
		return err
	}
	if err := f.checkTicks("pong_timeout", f.PongTimeout); err != nil {
		return err
	}
	return f.checkRules()
}

// minSecret is how many bytes a secret has at least: a random one of 128 bits, however it is written, has as many.
const minSecret = 16

// checkTicks holds what the sweep of connections can count: seconds, in one byte.
func (f *File) checkTicks(path string, d time.Duration) error {
	if d > 4*time.Minute || d%time.Second != 0 {
		return f.fail(path, "%v is not in whole seconds up to 4m", d)
	}
	return nil
}

func isOrigin(s string) bool {
	if s == "*" {
		return true
	}
	u, err := url.Parse(strings.TrimSuffix(s, ":*"))
	return err == nil && u.Scheme != "" && u.Host != "" && u.Path == "" && u.RawQuery == "" && u.User == nil
}

func (f *File) checkRules() error {
	config := f.Hocket()
	_, err := rule.Compile(config.Channels, config.Fallback)
	var e *rule.Error
	if errors.As(err, &e) {
		path := "fallback." + e.Field
		if e.Index >= 0 {
			path = fmt.Sprintf("channels[%d].%s", e.Index, e.Field)
		}
		if _, named := (*f.at)[path]; !named { // a field that is missing stands where its rule begins
			(*f.at)[path] = (*f.at)[strings.TrimSuffix(path, "."+e.Field)]
		}
		return f.fail(path, "%w", e.Err)
	}
	return err
}
