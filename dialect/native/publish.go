package native

import (
	"math"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// The bounds of what a publish may carry beside its payload, in bytes where not said otherwise.
const (
	maxKey            = 512
	maxIdempotencyKey = 64
	maxTags           = 16 // tags
	maxTagName        = 64
	maxTagValue       = 256
)

func (e *envelope) publish(c *dialect.Command) *dialect.Error {
	c.Verb = dialect.Publish
	if err := e.needChannel(c); err != nil {
		return err
	}
	return e.entry(c)
}

// entry reads what is to be published, whatever the channel.
func (e *envelope) entry(c *dialect.Command) *dialect.Error {
	a := &c.Publish
	if err := e.keyAndOp(a); err != nil {
		return err
	}
	if err := e.identity(a); err != nil {
		return err
	}
	echo, err := truth("echo", e.echo, true)
	if err != nil {
		return err
	}
	a.NoEcho = !echo
	if !absent(e.tags) {
		if a.Tags, err = decodeTags(e.tags); err != nil {
			return err
		}
	}
	if err := e.conditions(a); err != nil {
		return err
	}
	return e.publishPayload(c)
}

// keyAndOp reads what the entry does to which key.
func (e *envelope) keyAndOp(a *dialect.PublishArgs) (err *dialect.Error) {
	if !absent(e.key) {
		if a.Key, err = identifier(dialect.InvalidKey, "key", e.key, maxKey); err != nil {
			return err
		}
	}
	if absent(e.op) {
		return nil
	}
	op, _ := jsonval.String(e.op)
	switch op {
	case "set":
		return nil
	case "append":
		a.Op = broker.Append
	case "delete":
		a.Op = broker.Delete
	default:
		return dialect.Errorf(dialect.InvalidMessage, `op must be "set", "append" or "delete", not %s`, excerpt(e.op))
	}
	if a.Key == "" {
		return dialect.Errorf(dialect.InvalidKey, "key is missing: op %s changes the value of a key", op)
	}
	return nil
}

// identity reads what makes the publish idempotent.
func (e *envelope) identity(a *dialect.PublishArgs) (err *dialect.Error) {
	if !absent(e.idempotencyKey) {
		a.IdempotencyKey, err = text(dialect.InvalidKey, "idempotency_key", e.idempotencyKey, 1, maxIdempotencyKey)
		if err != nil {
			return err
		}
	}
	if !absent(e.seq) {
		a.Seq, err = whole(dialect.InvalidMessage, "seq", e.seq, 1, maxOffset)
	}
	return err
}

// conditions reads when the entry may be appended, how long it lives, and how its key is ranked.
func (e *envelope) conditions(a *dialect.PublishArgs) (err *dialect.Error) {
	if !absent(e.expect) {
		a.HasExpect = true
		if a.Expect, err = whole(dialect.InvalidPosition, "expect", e.expect, 0, maxOffset); err != nil {
			return err
		}
	}
	if !absent(e.ttl) {
		n, err := whole(dialect.InvalidMessage, "ttl_ms", e.ttl, 1, uint64(maxTTL.Milliseconds()))
		if err != nil {
			return err
		}
		a.TTL = time.Duration(n) * time.Millisecond
	}
	if !absent(e.score) {
		if a.Score, err = decodeScore(e.score, a); err != nil {
			return err
		}
	}
	if a.Ephemeral, err = truth("ephemeral", e.ephemeral, false); err != nil || !a.Ephemeral {
		return err
	}
	return needValue("ephemeral", a)
}

func decodeScore(v []byte, a *dialect.PublishArgs) (float64, *dialect.Error) {
	score, ok := jsonval.Float(v)
	switch {
	case !ok:
		return 0, dialect.Errorf(dialect.InvalidMessage, "score must be a number, not %s", excerpt(v))
	case math.IsInf(score, 0):
		return 0, dialect.Errorf(dialect.InvalidRange, "score must be a number from -1.7e308 to 1.7e308, not %s", excerpt(v))
	}
	return score, needValue("score", a)
}

// needValue refuses a field that says something of the value of a key where there is none.
func needValue(name string, a *dialect.PublishArgs) *dialect.Error {
	switch {
	case a.Key == "":
		return dialect.Errorf(dialect.InvalidKey, "key is missing: %s belongs to the value of a key", name)
	case a.Op == broker.Delete:
		return dialect.Errorf(dialect.InvalidMessage, "%s belongs to the value of a key: a delete leaves none", name)
	}
	return nil
}

func decodeTags(v []byte) (map[string]string, *dialect.Error) {
	if v[0] != '{' {
		return nil, dialect.Errorf(dialect.InvalidMessage, "tags must be an object of strings, not %s", excerpt(v))
	}
	tags := make(map[string]string)
	for o := jsonval.Fields(v, maxDepth); o.Next(); {
		name := string(o.Name())
		if len(name) == 0 || len(name) > maxTagName {
			return nil, dialect.Errorf(dialect.InvalidMessage,
				"the name of a tag must have 1 to %d bytes, not %d", maxTagName, len(name))
		}
		value, ok := jsonval.String(o.Value())
		if !ok || len(value) > maxTagValue {
			return nil, dialect.Errorf(dialect.InvalidMessage,
				"the tag %s must be a string of at most %d bytes, not %s", excerptOf(name), maxTagValue, excerpt(o.Value()))
		}
		if tags[name] = value; len(tags) > maxTags {
			return nil, dialect.Errorf(dialect.InvalidMessage, "tags must be at most %d", maxTags)
		}
	}
	return tags, nil
}

// publishPayload takes the payload: as it stands, or what its base64 means.
func (e *envelope) publishPayload(c *dialect.Command) *dialect.Error {
	if e.payload == nil {
		if c.Publish.Op == broker.Delete {
			return nil
		}
		return dialect.Errorf(dialect.InvalidPayload, "payload is missing: a publish carries one JSON value")
	}
	if absent(e.encoding) {
		c.Payload = e.payload
		return nil
	}
	if encoding, _ := jsonval.String(e.encoding); encoding != "base64" {
		return dialect.Errorf(dialect.InvalidMessage, `encoding must be "base64" or left out, not %s`, excerpt(e.encoding))
	}
	s, ok := jsonval.String(e.payload)
	if !ok {
		return dialect.Errorf(dialect.InvalidPayload,
			`with "encoding":"base64" the payload must be a string, not %s`, excerpt(e.payload))
	}
	payload, err := jsonval.Base64(s)
	if err != nil {
		return dialect.Errorf(dialect.InvalidPayload, "the payload is not base64 as in RFC 4648 §4, with padding: %s", err)
	}
	c.Payload, c.Format = payload, broker.Binary
	return nil
}
