package native

import (
	"bytes"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// Back ends use the words of the protocol without its envelope: the fields of a request stand side by side in one
// object, and an answer is what a reply has for its payload.

// DecodeRequest reads a back end's Publish, History, State or Presence from one JSON object, which need not have been checked.
// Fields have the names, the bounds and the errors they have in a client's message. The Payload is a part of body.
func DecodeRequest(verb dialect.Verb, body []byte) dialect.Command {
	c := dialect.Command{Verb: verb}
	body = bytes.TrimLeft(body, " \t\r\n")
	var e envelope
	if c.Err = e.scan(body); c.Err != nil {
		return c
	}
	switch verb {
	case dialect.Publish:
		c.Err = e.publish(&c)
	case dialect.History:
		e.payload = body
		c.Err = e.history(&c)
	case dialect.State:
		e.payload = body
		c.Err = e.state(&c)
	case dialect.Presence:
		e.payload = body
		c.Err = e.presence(&c)
	default:
		panic("native: not a verb of back ends")
	}
	return c
}

// DecodeEntry is DecodeRequest for a Publish whose channel stands elsewhere.
func DecodeEntry(body []byte) dialect.Command {
	c := dialect.Command{Verb: dialect.Publish}
	var e envelope
	if c.Err = e.scan(body); c.Err == nil {
		c.Err = e.entry(&c)
	}
	return c
}

// DecodePayload reads a payload, which must be one checked JSON value, and its encoding, nil for none. What it returns is
// a part of payload or a copy.
func DecodePayload(payload, encoding []byte) ([]byte, broker.Format, *dialect.Error) {
	var c dialect.Command
	e := envelope{payload: payload, encoding: encoding}
	err := e.publishPayload(&c)
	return c.Payload, c.Format, err
}

// AppendResult appends what the reply to a client's request has for its payload: a JSON object. r is a Published, a
// HistoryPage, a StatePage or a PresencePage.
func AppendResult(dst []byte, r dialect.Reply) []byte {
	switch r := r.(type) {
	case *dialect.Published:
		return appendReceipt(dst, r)
	case *dialect.HistoryPage:
		return appendPage(dst, r)
	case *dialect.StatePage:
		return appendState(dst, r)
	case *dialect.PresencePage:
		return appendMembers(dst, r)
	}
	panic("native: a reply without a result for back ends")
}
