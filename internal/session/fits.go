package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/schema"
)

// What is checked on a loop has at most so many bytes and takes at most so many steps: some 300 µs. The rest is a task.
const (
	quickBytes = 1 << 10
	quickSteps = 200
)

// maxSchemaDepth is how deep a schema may be nested.
const maxSchemaDepth = 128

// Schemas are the schemas of rules, by their JSON.
type Schemas map[string]*schema.Schema

// CompileSchemas makes the schemas of rules ready. The error is a *rule.Error.
func CompileSchemas(rules []rule.Rule, fallback rule.Rule) (Schemas, error) {
	all := make(Schemas)
	for i, r := range rules {
		if err := all.add(i, r.Schema); err != nil {
			return nil, err
		}
	}
	if err := all.add(-1, fallback.Schema); err != nil {
		return nil, err
	}
	return all, nil
}

func (s Schemas) add(index int, text string) error {
	if text == "" || s[text] != nil {
		return nil
	}
	compiled, err := CompileSchema(text)
	if err != nil {
		return &rule.Error{Index: index, Field: "schema", Err: err}
	}
	s[text] = compiled
	return nil
}

// CompileSchema makes one schema ready.
func CompileSchema(text string) (*schema.Schema, error) {
	if err := jsonval.Check([]byte(text), maxSchemaDepth); err != nil {
		return nil, fmt.Errorf("is not JSON that everybody reads alike: %w", err)
	}
	return schema.Compile(text)
}

// CheckPayload tells whether what is about to be published to a channel is what its rule wants.
func (n *Node) CheckPayload(channel string, e *broker.Entry) *dialect.Error {
	return n.checkPayload(n.cfg.Rules.For(channel), channel, e.Op, e.Format, e.Payload, schema.Steps(len(e.Payload)))
}

// errLater says that a check takes longer than a loop has time for.
var errLater = dialect.Internal.Err()

// checkPayload is CheckPayload in so many steps; errLater when they are not enough.
func (n *Node) checkPayload(r *rule.Rule, channel string, op broker.Op, format broker.Format, payload []byte, steps int) *dialect.Error {
	if op == broker.Append && !r.E2E {
		if err := checkAppended(format, payload); err != nil {
			return err
		}
	}
	if r.Schema == "" && !r.E2E {
		return nil
	}
	if op == broker.Delete && format == broker.JSON && (len(payload) == 0 || jsonval.IsNull(payload)) {
		return nil // it has none, or says so
	}
	switch {
	case r.E2E:
		return checkSealed(channel, op, format, payload)
	case format != broker.JSON:
		return dialect.Errorf(dialect.SchemaMismatch, "%s has a schema, so its payloads are JSON", channel)
	case steps == quickSteps && len(payload) > quickBytes:
		return errLater
	}
	err := n.cfg.Schemas[r.Schema].Check(payload, steps)
	if errors.Is(err, schema.ErrSteps) && steps == quickSteps {
		return errLater
	}
	return mismatch(err, channel)
}

// checkAppended tells whether there can be a value that the payload could be appended to.
func checkAppended(format broker.Format, payload []byte) *dialect.Error {
	payload = bytes.TrimLeft(payload, " \t\r\n")
	if format != broker.JSON || len(payload) > 0 && payload[0] == '"' {
		return nil
	}
	return dialect.Errorf(dialect.InvalidPayload,
		"an append adds a string to a string, or bytes in base64 to bytes: the payload must be one of them, not %s", jsonval.Kind(payload))
}

// mismatch is err as it is told; nil for nil. of has the schema.
func mismatch(err error, of string) *dialect.Error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, schema.ErrSteps):
		return dialect.Errorf(dialect.SchemaMismatch, "the payload takes too long to hold to the schema of %s: nest it less", of)
	}
	return dialect.Errorf(dialect.SchemaMismatch, "the payload does not fit the schema of %s: %v", of, err)
}

// CheckCall tells whether the payload of a call fits a schema. It may take a while.
func CheckCall(s *schema.Schema, c *Call) error {
	payload := c.Payload
	if payload == nil {
		payload = []byte("null")
	}
	if err := mismatch(s.Check(payload, schema.Steps(len(payload))), c.Method); err != nil {
		return err
	}
	return nil
}

// checked goes on with a publish whose payload is as the channel's rule wants it, and refuses another one. What takes long
// to check is checked elsewhere, and what comes for the channel meanwhile waits.
func (s *Session) checked(c *dialect.Command, r *rule.Rule) {
	err := s.shard.node.checkPayload(r, c.Channel, c.Publish.Op, c.Format, c.Payload, quickSteps)
	switch err {
	case nil:
		s.append(c, r)
	case errLater:
		s.checkElsewhere(c, r)
	default:
		s.fail(c.ID, c.Channel, err)
	}
}

// checkElsewhere queues the check of a publish. A session has one under way at a time, so that what one client sends keeps one
// core busy at most.
func (s *Session) checkElsewhere(c *dialect.Command, r *rule.Rule) {
	kept := s.keep(c)
	if kept == nil {
		return
	}
	o := s.open
	if o.behind == nil {
		o.behind = make(map[string][]*dialect.Command)
	}
	o.behind[c.Channel] = nil
	o.checks = append(o.checks, func() { s.check(kept, r) })
	if len(o.checks) == 1 {
		o.checks[0]()
	}
}

// check checks a publish whose turn it is. Each takes a processor and, for a payload of 64 KiB, up to ten megabytes: so few are under
// way at once, however many sessions have one.
func (s *Session) check(c *dialect.Command, r *rule.Rule) {
	node := s.shard.node
	var err *dialect.Error
	ok := s.task(func(context.Context) {
		node.checks <- struct{}{}
		defer func() { <-node.checks }()
		err = node.checkPayload(r, c.Channel, c.Publish.Op, c.Format, c.Payload, schema.Steps(len(c.Payload)))
	}, func() { s.checkedElsewhere(c, r, err) })
	if !ok {
		s.checkedElsewhere(c, r, asError(hub.ErrBusy, c.Channel))
	}
}

// checkedElsewhere goes on with a publish, with what came for its channel after it, and with the next check.
func (s *Session) checkedElsewhere(c *dialect.Command, r *rule.Rule, err *dialect.Error) {
	o := s.open
	waiting := o.behind[c.Channel]
	delete(o.behind, c.Channel)
	s.letGo(c)
	o.checks = o.checks[1:]
	var next func()
	if len(o.checks) > 0 {
		next = o.checks[0]
	}
	s.end(c.ID)
	switch {
	case s.closing:
		return
	case err != nil:
		s.fail(c.ID, c.Channel, err)
	default:
		s.append(c, r)
	}
	s.doLater(waiting)
	if next != nil && !s.closing && !s.closed {
		next()
	}
}

// waits tells whether a command has to wait for one that is checked, and has it wait.
func (s *Session) waits(c *dialect.Command) bool {
	if s.open == nil || s.open.behind == nil {
		return false
	}
	waiting, checking := s.open.behind[c.Channel]
	if checking {
		if kept := s.keep(c); kept != nil {
			s.open.behind[c.Channel] = append(waiting, kept)
		}
	}
	return checking
}
