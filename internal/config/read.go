package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"hocket.dev/internal/api"
	"hocket.dev/internal/origin"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
)

// An Error says where a file is wrong, and why.
type Error struct {
	File  string // "" when the file is not at hand
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
	return strings.TrimPrefix(b.String()+": "+e.Err.Error(), ": ")
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// lines tells where a field stands, by its path.
type lines map[string]int

// Read reads the file at path into f: what the file does not name stays as it is. The error is an *Error; f is then in
// no particular state.
func Read(path string, f *File) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	return parse(path, text, f)
}

func readFile(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, &Error{File: path, Err: fmt.Errorf("cannot be read: %w", err)}
	}
	return text, nil
}

// ReadKeys reads a file of API keys: a list as under api_keys. The error is an *Error.
func ReadKeys(path string) ([]APIKey, error) {
	var list struct {
		Keys []APIKey `secret:"true"`
	}
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	f := File{}
	v := reflect.ValueOf(&list).Elem()
	err = f.decode(path, text, func(d *decoder, root *yaml.Node) error {
		return d.value(root, v.Field(0), "", v.Type().Field(0).Tag)
	}, func() error {
		if len(list.Keys) == 0 {
			return &Error{Err: errors.New("holds no key")} // a file that is being written may be empty for a moment
		}
		return f.checkKeys("", list.Keys)
	})
	return list.Keys, err
}

// checkKeys holds keys that stand at path to what the API asks of them.
func (f *File) checkKeys(path string, keys []APIKey) error {
	err := api.CheckKeys(HocketKeys(keys))
	var e *api.KeyError
	if !errors.As(err, &e) {
		return err
	}
	at := fmt.Sprintf("%s[%d]", path, e.Index)
	if field := at + "." + e.Field; (*f.at)[field] > 0 {
		return f.fail(field, "%w", e.Err)
	}
	return f.fail(at, "its %s %w", e.Field, e.Err)
}

func parse(path string, text []byte, f *File) error {
	return f.decode(path, text, func(d *decoder, root *yaml.Node) error {
		return d.value(root, reflect.ValueOf(f).Elem(), "", "")
	}, f.check)
}

// decode reads the one document in a text by into, and has check look at it.
func (f *File) decode(path string, text []byte, into func(*decoder, *yaml.Node) error, check func() error) error {
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
	err := decodeDocument(&document, &decoder{at: *f.at, dir: filepath.Dir(path)}, into)
	if err == nil {
		err = check()
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
	case f.TLS.ClientCA == "" && f.TLS.ClientAuth == ClientRequire:
		return f.fail("tls.client_auth", "says who needs a certificate, %w", errNoClientCA)
	case f.TLS.ClientCA == "" && f.TLS.ClientUser != "none":
		return f.fail("tls.client_user", "says whom a certificate proves, %w", errNoClientCA)
	}
	if err := f.checkACME(); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(f.Admin.Listen); f.Admin.Listen != "" && err != nil {
		return f.fail("admin.listen", "%q is no address: write it like 127.0.0.1:8001", f.Admin.Listen)
	}
	if _, _, err := net.SplitHostPort(f.Redirect); f.Redirect != "" && f.Redirect != "none" && err != nil {
		return f.fail("redirect", "%q is no address: write it like :80, or \"none\"", f.Redirect)
	}
	_, err := origin.Compile(f.Origins)
	if err := f.failAt("origins", err); err != nil {
		return err
	}
	if err := f.checkKeys("api_keys", f.APIKeys); err != nil {
		return err
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
	if err := f.checkTokens(); err != nil {
		return err
	}
	if err := f.checkProxying(); err != nil {
		return err
	}
	if err := f.checkRules(); err != nil {
		return err
	}
	return f.checkHooks()
}

// errNoClientCA tells of settings without which a door would be open that looks closed.
var errNoClientCA = errors.New("but nothing says whose are good: name the file of their authorities, as tls.client_ca")

func (f *File) checkACME() error {
	if len(f.ACME.Domains) > 0 && f.TLS.Cert != "" {
		return f.fail("acme.domains", "and tls.cert cannot both be: the certificate comes from one of them")
	}
	for i, domain := range f.ACME.Domains {
		if err := CheckDomain(domain); err != nil {
			return f.fail(fmt.Sprintf("acme.domains[%d]", i), "%q %w", domain, err)
		}
	}
	if d := f.ACME.Directory; d != "" && !strings.HasPrefix(d, "https://") {
		return f.fail("acme.directory", "%q is no address of a directory: it begins with https://", d)
	}
	return nil
}

// failAt makes an error about one entry of the list at path.
func (f *File) failAt(path string, err error) error {
	var e *origin.Error
	if !errors.As(err, &e) {
		return err
	}
	return f.fail(fmt.Sprintf("%s[%d]", path, e.Index), "%w", e)
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

func (f *File) checkRules() error {
	config := f.Hocket()
	_, err := rule.Compile(config.Channels, config.Fallback)
	if err == nil {
		_, err = session.CompileSchemas(config.Channels, config.Fallback)
	}
	var e *rule.Error
	if errors.As(err, &e) {
		path := "fallback." + e.Field
		if e.Index >= 0 {
			path = fmt.Sprintf("channels[%d].%s", e.Index, e.Field)
		}
		if _, named := (*f.at)[path]; !named { // a field that is missing stands where its rule begins
			(*f.at)[path] = (*f.at)[strings.TrimSuffix(path, "."+e.Field)]
		}
		return f.fail(f.schemaPlace(path, e), "%w", e.Err)
	}
	return err
}

// CheckDomain tells what is wrong with a domain that a certificate is to be had for.
func CheckDomain(s string) error {
	switch {
	case strings.Contains(s, "*"):
		return errors.New("stands for many domains, for which an authority asks the DNS and not the server: list each one")
	case net.ParseIP(s) != nil || s != strings.ToLower(s) || strings.Trim(s, ".-") != s || s == "" || strings.ContainsFunc(s, notInDomain):
		return errors.New("is no domain: write it in lower case, like rt.example.com")
	}
	return nil
}

func notInDomain(r rune) bool {
	return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '.')
}
