package native

import (
	"errors"

	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// The bounds of what stands in an envelope, in bytes.
const (
	maxID     = 64
	maxMethod = 128
	maxUser   = 255
	maxClient = 64
)

// envelope holds the fields of a message as they stand in it, nil for those that are not there. Names are matched exactly.
type envelope struct {
	typ, id, channel, payload, method, encoding []byte
	key, op, echo, idempotencyKey, seq, tags    []byte
	expect, ttl, score, ephemeral               []byte
}

// Decode appends the one command that msg is. Everything in the message is looked at before anything is interpreted,
// so that an error carries the id wherever that stands. A message that is not JSON is no request and has none.
func (codec) Decode(dst []dialect.Command, msg []byte) []dialect.Command {
	dst = append(dst, dialect.Command{})
	c := &dst[len(dst)-1]
	var e envelope
	if c.Err = e.scan(msg); c.Err != nil {
		if c.Err.Code != dialect.InvalidJSON {
			c.ID, _ = decodeID(e.id)
		}
		return dst
	}
	if c.ID, c.Err = decodeID(e.id); c.Err == nil {
		c.Err = e.decode(c)
	}
	return dst
}

// scan checks that msg is one JSON object and remembers where the fields are.
func (e *envelope) scan(msg []byte) *dialect.Error {
	o := jsonval.Fields(msg, maxDepth)
	for o.Next() {
		if v := e.field(o.Name()); v != nil {
			*v = o.Value()
		}
	}
	err := o.Err()
	if err == nil {
		return nil
	}
	var syntax *jsonval.Error
	switch {
	case !errors.As(err, &syntax) || !syntax.Refused:
		return dialect.Errorf(dialect.InvalidJSON, "the message must be one JSON object: %s", err)
	case syntax.TooDeep:
		return dialect.Errorf(dialect.InvalidMessage,
			"the message is nested deeper than %d levels at byte %d", maxDepth, syntax.Offset)
	}
	return dialect.Errorf(dialect.InvalidMessage, "the message is refused: %s", err)
}

// field returns the place for the field of this name, nil for an unknown one.
func (e *envelope) field(name []byte) *[]byte {
	switch string(name) {
	case "type":
		return &e.typ
	case "id":
		return &e.id
	case "channel":
		return &e.channel
	case "payload":
		return &e.payload
	case "method":
		return &e.method
	case "key":
		return &e.key
	case "op":
		return &e.op
	case "echo":
		return &e.echo
	case "idempotency_key":
		return &e.idempotencyKey
	case "seq":
		return &e.seq
	case "tags":
		return &e.tags
	case "expect":
		return &e.expect
	case "ttl_ms":
		return &e.ttl
	case "score":
		return &e.score
	case "ephemeral":
		return &e.ephemeral
	case "encoding":
		return &e.encoding
	}
	return nil
}

// decodeID reads an id: a string, a whole number, or none.
func decodeID(v []byte) (dialect.ID, *dialect.Error) {
	if v == nil {
		return dialect.NoID, nil
	}
	if n, ok := jsonval.Uint(v, maxOffset); ok {
		return dialect.ID{Kind: dialect.IDNumber, Num: n}, nil
	}
	if v[0] != '"' {
		return dialect.NoID, dialect.Errorf(dialect.InvalidID,
			"id must be a string or a whole number from 0 to %d, not %s", uint64(maxOffset), excerpt(v))
	}
	s, err := text(dialect.InvalidID, "id", v, 0, maxID)
	if err != nil {
		return dialect.NoID, err
	}
	return dialect.ID{Kind: dialect.IDString, Str: s}, nil
}

// decode sets what kind of request c is, and its arguments.
func (e *envelope) decode(c *dialect.Command) *dialect.Error {
	if e.typ == nil || e.typ[0] != '"' {
		if absent(e.typ) {
			return dialect.Errorf(dialect.InvalidMessage, `type is missing: it says what the message is, such as "subscribe"`)
		}
		return dialect.Errorf(dialect.InvalidMessage, "type must be a string, not %s", excerpt(e.typ))
	}
	// The common types are compared as they stand; String resolves what an eccentric writer may have escaped.
	switch string(e.typ) {
	case `"publish"`:
		return e.publish(c)
	case `"ping"`:
		c.Verb = dialect.Ping
		return nil
	}
	typ, _ := jsonval.String(e.typ)
	switch typ {
	case "connect":
		return e.connect(c)
	case "subscribe":
		return e.subscribe(c)
	case "unsubscribe":
		c.Verb = dialect.Unsubscribe
		return e.needChannel(c)
	case "publish":
		return e.publish(c)
	case "history":
		return e.history(c)
	case "state":
		return e.state(c)
	case "presence":
		return e.presence(c)
	case "call":
		return e.call(c)
	case "ping":
		c.Verb = dialect.Ping
		return nil
	case "pong":
		c.Verb = dialect.Pong
		return nil
	}
	return dialect.Errorf(dialect.UnknownType, "the type %s is not known: a client sends connect, subscribe, "+
		"unsubscribe, publish, history, state, presence, call, ping or pong", excerpt(e.typ))
}

// needChannel reads the channel. Whether its name is well formed is for the session to say.
func (e *envelope) needChannel(c *dialect.Command) *dialect.Error {
	if absent(e.channel) {
		return dialect.Errorf(dialect.InvalidChannel, "channel is missing")
	}
	channel, ok := jsonval.String(e.channel)
	if !ok {
		return dialect.Errorf(dialect.InvalidChannel, "channel must be a string, not %s", excerpt(e.channel))
	}
	c.Channel = channel
	return nil
}

// needJSON refuses an encoding where only JSON is possible.
func (e *envelope) needJSON(verb string) *dialect.Error {
	if absent(e.encoding) {
		return nil
	}
	return dialect.Errorf(dialect.NotSupported, "the payload of %s is JSON: leave encoding out", verb)
}
