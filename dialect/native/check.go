package native

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// CheckEntry tells why an entry that a program has made is none that the protocol can carry. What stands beside the payload
// has the bounds it has in a client's message; JSON has been checked elsewhere.
func CheckEntry(e *broker.Entry) *dialect.Error {
	for _, check := range []func(*broker.Entry) *dialect.Error{checkKinds, checkNames, checkTags, checkNumbers} {
		if err := check(e); err != nil {
			return err
		}
	}
	return nil
}

// CheckRemoval tells why a program cannot remove what it names: a key that no entry can have would be told to all clients by the
// delete that goes before.
func CheckRemoval(r *broker.Removal) *dialect.Error { return checkNames(&broker.Entry{Key: r.Key}) }

func checkKinds(e *broker.Entry) *dialect.Error {
	switch {
	case e.Op > broker.Delete:
		return dialect.Errorf(dialect.InvalidMessage, "op must be Set, Append or Delete, not %d", e.Op)
	case e.Format > broker.Binary:
		return dialect.Errorf(dialect.InvalidMessage, "format must be JSON, Text or Binary, not %d", e.Format)
	case e.Format == broker.Text && !utf8.Valid(e.Payload):
		return dialect.Errorf(dialect.InvalidPayload, "the payload must be valid UTF-8, as its format says; what is not is Binary")
	}
	return nil
}

// checkNames looks at what others are to know the entry and its key by. What is no UTF-8 would be another key for clients.
func checkNames(e *broker.Entry) *dialect.Error {
	switch {
	case e.Key == "" && e.Op == broker.Append:
		return dialect.Errorf(dialect.InvalidKey, "key is missing: op append changes the value of a key")
	case e.Key == "" && e.Op == broker.Delete:
		return dialect.Errorf(dialect.InvalidKey, "key is missing: op delete changes the value of a key")
	case len(e.Key) > maxKey:
		return dialect.Errorf(dialect.InvalidKey, "key must have 1 to %d bytes, not %d", maxKey, len(e.Key))
	case !utf8.ValidString(e.Key):
		return dialect.Errorf(dialect.InvalidKey, "key must be valid UTF-8")
	case e.Key == jsonval.Proto:
		return dialect.Errorf(dialect.InvalidKey, "key %s", jsonval.NotTaken)
	case len(e.IdempotencyKey) > maxIdempotencyKey:
		return dialect.Errorf(dialect.InvalidKey, "idempotency_key must have 1 to %d bytes, not %d", maxIdempotencyKey, len(e.IdempotencyKey))
	case e.Seq > 0 && e.Client == "":
		return dialect.Errorf(dialect.InvalidMessage, "seq needs a client, whose publishes it numbers")
	}
	return nil
}

func checkTags(e *broker.Entry) *dialect.Error {
	tags := 0
	for header, value := range e.Headers {
		name, isTag := strings.CutPrefix(header, dialect.TagHeader)
		if !isTag {
			continue
		}
		tags++
		switch {
		case name == jsonval.Proto:
			return dialect.Errorf(dialect.InvalidMessage, "the name __proto__ is not taken for a tag")
		case len(name) == 0 || len(name) > maxTagName:
			return dialect.Errorf(dialect.InvalidMessage, "the name of a tag must have 1 to %d bytes, not %d", maxTagName, len(name))
		case len(value) > maxTagValue:
			return dialect.Errorf(dialect.InvalidMessage, "the tag %s must be a string of at most %d bytes, not %d", excerptOf(name), maxTagValue, len(value))
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return dialect.Errorf(dialect.InvalidMessage, "the tag %s must be valid UTF-8", excerptOf(name))
		}
	}
	if tags > maxTags {
		return dialect.Errorf(dialect.InvalidMessage, "tags must be at most %d", maxTags)
	}
	return nil
}

func checkNumbers(e *broker.Entry) *dialect.Error {
	switch {
	case e.TTL < 0 || e.TTL%time.Millisecond != 0 || e.TTL > maxTTL:
		return dialect.Errorf(dialect.InvalidRange, "the TTL of an entry is in whole milliseconds, at most %v, not %v", maxTTL, e.TTL)
	case math.IsNaN(e.Score) || math.IsInf(e.Score, 0):
		return dialect.Errorf(dialect.InvalidRange, "the score of an entry is a finite number, not %v", e.Score)
	case e.Score != 0 && e.Key == "":
		return dialect.Errorf(dialect.InvalidKey, "key is missing: score belongs to the value of a key")
	case e.Score != 0 && e.Op == broker.Delete:
		return dialect.Errorf(dialect.InvalidMessage, "score belongs to the value of a key: a delete leaves none")
	}
	return nil
}
