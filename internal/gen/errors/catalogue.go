package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
)

// catalogue is spec/errors.json.
type catalogue struct {
	About  string       `json:"about"`
	Errors []errorEntry `json:"errors"`
	Closes []closeEntry `json:"closes"`
}

// errorEntry is an answer to a request.
type errorEntry struct {
	Code     int    `json:"code"`
	Name     string `json:"name"`
	HTTP     int    `json:"http"`
	Retry    bool   `json:"retry"`
	Sentence string `json:"sentence"`
}

// closeEntry is the end of a connection.
type closeEntry struct {
	Code     int    `json:"code"`
	Name     string `json:"name"`
	Action   string `json:"action"`
	Sentence string `json:"sentence"`
}

func readCatalogue(path string) (*catalogue, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	list := new(catalogue)
	if err := dec.Decode(list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := list.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

var (
	snakeCase    = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	sentenceForm = regexp.MustCompile(`^[A-Z][^\n|]*\.$`) // a bar would end the cell of the table
)

// The range of an action is how a client that does not know a code still does the right thing, so it is part of the
// protocol and checked here.
var closeRanges = map[string][2]int{"reconnect": {4000, 4099}, "token": {4100, 4199}, "stop": {4200, 4299}}

// check reports everything that is wrong with the list, not only the first fault.
func (c *catalogue) check() error {
	var faults []error
	fault := func(code int, format string, args ...any) {
		faults = append(faults, fmt.Errorf("code %d: %s", code, fmt.Sprintf(format, args...)))
	}
	last := 0
	names := map[string]bool{}
	common := func(code int, name, sentence string) {
		if code <= last {
			fault(code, "codes must be unique and ascending, this one follows %d", last)
		}
		last = code
		if !snakeCase.MatchString(name) {
			fault(code, "name %q is not lower case with underscores", name)
		}
		if names[name] {
			fault(code, "name %q is used twice", name)
		}
		names[name] = true
		if !sentenceForm.MatchString(sentence) {
			fault(code, "sentence %q must be one line, begin with a capital and end with a full stop", sentence)
		}
	}
	for _, e := range c.Errors {
		common(e.Code, e.Name, e.Sentence)
		if e.Code < 1100 || e.Code > 9999 || e.Code >= 4000 && e.Code <= 4299 {
			fault(e.Code, "errors have codes from 1100 to 9999, without the closes from 4000 to 4299")
		}
		if e.HTTP < 400 || e.HTTP > 599 {
			fault(e.Code, "HTTP status %d is no error status", e.HTTP)
		}
	}
	last = 0
	clear(names) // a close may have the name of the error it comes from
	for _, e := range c.Closes {
		common(e.Code, e.Name, e.Sentence)
		if r, ok := closeRanges[e.Action]; !ok {
			fault(e.Code, "action %q is none of reconnect, token, stop", e.Action)
		} else if e.Code < r[0] || e.Code > r[1] {
			fault(e.Code, "action %q has codes from %d to %d", e.Action, r[0], r[1])
		}
	}
	return errors.Join(faults...)
}
