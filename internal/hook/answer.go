package hook

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/rule"
)

// Bounds of what an answer may say, in bytes where not said otherwise.
const (
	maxDepth    = 128 // levels: a payload may have as many as one that a client sends
	maxTokenID  = 255
	maxTags     = 16 // tags
	maxTagName  = 64
	maxTagValue = 256
	maxVerbs    = 32 // of one pattern
	maxTime     = 1<<53 - 1
)

// answer is what a back end says. Which fields mean something depends on what it was asked.
type answer struct {
	allow        bool
	refused      *dialect.Error // when it does not
	user         string
	info         []byte
	capabilities map[string][]string
	expires      time.Time
	token        string
	payload      []byte // nil for none
	format       broker.Format
	tags         map[string]string // nil for none
}

// fields are those of an answer, as they are written.
type fields struct {
	allow, deny, encoding []byte
	payload, tags         []byte
}

// parse reads the answer to a question of a kind. The error names what is wrong, and repeats nothing that could be a secret.
func parse(b []byte, k Kind) (*answer, error) {
	var a answer
	var f fields
	o := jsonval.Fields(b, maxDepth)
	for o.Next() {
		if err := a.field(string(o.Name()), o.Value(), &f); err != nil {
			return nil, err
		}
	}
	if err := o.Err(); err != nil {
		return nil, fmt.Errorf("is not one JSON object: %w", err)
	}
	if err := a.decide(&f, k); err != nil {
		return nil, err
	}
	return &a, a.change(&f)
}

// field reads one field. Those it does not know are of no interest.
func (a *answer) field(name string, v []byte, f *fields) error {
	switch {
	case name == "payload": // null is one too
		f.payload = v
		return nil
	case jsonval.IsNull(v):
		return nil
	}
	switch name {
	case "allow":
		f.allow = v
	case "deny":
		f.deny = v
	case "encoding":
		f.encoding = v
	case "tags":
		f.tags = v
	}
	return a.identity(name, v)
}

// identity reads a field that says who a client is, and what it may do.
func (a *answer) identity(name string, v []byte) (err error) {
	var ok bool
	switch name {
	case "user":
		if a.user, ok = jsonval.String(v); !ok {
			return wrong("user", "a string", v)
		}
		return rule.CheckUser(a.user)
	case "token_id":
		if a.token, ok = jsonval.String(v); !ok || len(a.token) > maxTokenID {
			return wrong("token_id", fmt.Sprintf("a string of at most %d bytes", maxTokenID), v)
		}
	case "expires_at":
		ms, ok := jsonval.Uint(v, maxTime)
		if !ok {
			return wrong("expires_at", "Unix milliseconds as a whole number", v)
		}
		a.expires = time.UnixMilli(int64(ms))
	case "info":
		a.info = bytes.Clone(v)
	case "capabilities":
		a.capabilities, err = parseCapabilities(v)
	}
	return err
}

// wrong says what a field must be. It does not repeat what it is.
func wrong(name, want string, v []byte) error {
	return fmt.Errorf("%s must be %s, not %s", name, want, jsonval.Kind(v))
}

// parseCapabilities reads an object of lists of verbs. What those mean is looked at where they are given.
func parseCapabilities(v []byte) (map[string][]string, error) {
	if v[0] != '{' {
		return nil, wrong("capabilities", "an object", v)
	}
	lists := make(map[string][]string)
	for o := jsonval.Fields(v, maxDepth); o.Next(); {
		elements := jsonval.Elements(o.Value(), maxVerbs+1)
		if o.Value()[0] != '[' || len(elements) > maxVerbs {
			return nil, wrong("capabilities", fmt.Sprintf("an object of lists of at most %d verbs", maxVerbs), o.Value())
		}
		verbs := make([]string, len(elements))
		for i, e := range elements {
			var ok bool
			if verbs[i], ok = jsonval.String(e); !ok {
				return nil, wrong("a verb of capabilities", "a string", e)
			}
		}
		if lists[string(o.Name())] = verbs; len(lists) > rule.MaxCapabilities {
			return nil, fmt.Errorf("capabilities must be at most %d", rule.MaxCapabilities)
		}
	}
	return lists, nil
}

// decide reads whether the answer allows.
func (a *answer) decide(f *fields, k Kind) (err error) {
	allow, ok := jsonval.Bool(f.allow)
	switch {
	case f.allow != nil && !ok:
		return wrong("allow", "true or false", f.allow)
	case f.deny != nil && allow:
		return errors.New("must not both allow and deny")
	case f.deny == nil && f.allow == nil:
		return errors.New("must say allow or deny")
	case allow:
		a.allow = true
	case f.deny == nil:
		a.refused = refusals[k].Err()
	default:
		a.refused, err = parseDenial(f.deny, k)
	}
	return err
}

// change reads what a publish is changed to.
func (a *answer) change(f *fields) (err error) {
	if f.tags != nil {
		if a.tags, err = parseTags(f.tags); err != nil {
			return err
		}
	}
	encoding, _ := jsonval.String(f.encoding)
	switch {
	case f.encoding == nil:
		a.payload = bytes.Clone(f.payload)
		return nil
	case encoding != "base64":
		return errors.New(`encoding must be "base64" or left out`)
	}
	s, ok := jsonval.String(f.payload)
	if !ok {
		return wrong("payload", "a string, as encoding says", f.payload)
	}
	a.format = broker.Binary
	if a.payload, err = jsonval.Base64(s); err != nil {
		return fmt.Errorf("payload must be base64 as in RFC 4648 §4, with padding: %w", err)
	}
	return nil
}

func parseTags(v []byte) (map[string]string, error) {
	if v[0] != '{' {
		return nil, wrong("tags", "an object of strings", v)
	}
	tags := make(map[string]string)
	for o := jsonval.Fields(v, maxDepth); o.Next(); {
		name := string(o.Name())
		value, ok := jsonval.String(o.Value())
		switch {
		case len(name) == 0 || len(name) > maxTagName:
			return nil, fmt.Errorf("the name of a tag must have 1 to %d bytes", maxTagName)
		case !ok || len(value) > maxTagValue:
			return nil, wrong("a tag", fmt.Sprintf("a string of at most %d bytes", maxTagValue), o.Value())
		case len(tags) == maxTags:
			return nil, fmt.Errorf("tags must be at most %d", maxTags)
		}
		tags[name] = value
	}
	return tags, nil
}
