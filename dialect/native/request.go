package native

import (
	"bytes"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// maxPage is the most entries or members one page may be asked to hold.
const maxPage = 1000

// maxNext is the most bytes the place to go on from may have: as many as a key, which it may be.
const maxNext = maxKey

func (e *envelope) connect(c *dialect.Command) *dialect.Error {
	c.Verb = dialect.Connect
	if !absent(e.payload) && e.payload[0] != '{' { // not arguments' sentence: a token may stand here by mistake
		return dialect.Errorf(dialect.InvalidPayload, "the payload of connect must be an object, not %s", jsonval.Kind(e.payload))
	}
	o, err := arguments("connect", e.payload)
	if err != nil {
		return err
	}
	a := new(dialect.ConnectArgs)
	c.Connect = a
	for o.Next() {
		if err := connectField(a, string(o.Name()), o.Value()); err != nil {
			return err
		}
	}
	return nil
}

// connectField reads one argument of connect. A field that comes again overwrites the one before.
func connectField(a *dialect.ConnectArgs, name string, v []byte) (err *dialect.Error) {
	null := jsonval.IsNull(v)
	switch name {
	case "token":
		var ok bool
		if a.Token, ok = jsonval.String(v); !ok && !null { // a secret is not repeated in the error
			return dialect.Errorf(dialect.InvalidMessage, "token must be a string, not %s", jsonval.Kind(v))
		}
	case "user":
		if a.User = ""; !null {
			a.User, err = text(dialect.InvalidMessage, "user", v, 0, maxUser)
		}
	case "info":
		if a.Info = nil; !null {
			a.Info = bytes.Clone(v)
		}
	case "client":
		if a.Client = ""; !null {
			a.Client, err = identifier(dialect.InvalidKey, "client", v, maxClient)
		}
	case "heartbeat":
		a.Heartbeat, err = truth("heartbeat", v, false)
	case "binary":
		a.Binary, err = truth("binary", v, false)
	}
	return err
}

func (e *envelope) history(c *dialect.Command) *dialect.Error {
	c.Verb = dialect.History
	if err := e.needChannel(c); err != nil {
		return err
	}
	o, err := arguments("history", e.payload)
	if err != nil {
		return err
	}
	var after, before, limit []byte
	for o.Next() {
		switch string(o.Name()) {
		case "after":
			after = o.Value()
		case "before":
			before = o.Value()
		case "limit":
			limit = o.Value()
		}
	}
	a := new(dialect.HistoryArgs)
	c.History = a
	a.HasAfter, a.HasBefore = !absent(after), !absent(before)
	if a.HasAfter && a.HasBefore {
		return dialect.Errorf(dialect.InvalidMessage, "a history is asked for after an offset or before one, not both")
	}
	if a.HasAfter {
		if a.After, err = whole(dialect.InvalidPosition, "after", after, 0, maxOffset); err != nil {
			return err
		}
	}
	if a.HasBefore {
		if a.Before, err = whole(dialect.InvalidPosition, "before", before, 0, maxOffset); err != nil {
			return err
		}
	}
	a.Limit, err = pageLimit(limit)
	return err
}

// pageLimit reads how much a page may hold, 0 when that is not said.
func pageLimit(v []byte) (int, *dialect.Error) {
	if absent(v) {
		return 0, nil
	}
	n, err := whole(dialect.InvalidMessage, "limit", v, 1, maxPage)
	return int(n), err
}

// pageNext reads where a page begins, "" for the first one.
func pageNext(v []byte) (string, *dialect.Error) {
	if absent(v) {
		return "", nil
	}
	return text(dialect.InvalidMessage, "next", v, 0, maxNext)
}

func (e *envelope) state(c *dialect.Command) *dialect.Error {
	c.Verb = dialect.State
	if err := e.needChannel(c); err != nil {
		return err
	}
	o, err := arguments("state", e.payload)
	if err != nil {
		return err
	}
	var order, limit, next []byte
	for o.Next() {
		switch string(o.Name()) {
		case "order":
			order = o.Value()
		case "limit":
			limit = o.Value()
		case "next":
			next = o.Value()
		case "after", "before":
			if !absent(o.Value()) { // what is meant would not be what is answered
				return dialect.Errorf(dialect.InvalidMessage, "a state has no %s: its pages go on by next, and history has the entries after an offset", o.Name())
			}
		}
	}
	a := new(dialect.StateArgs)
	c.State = a
	if !absent(order) {
		switch s, _ := jsonval.String(order); s {
		case "offset":
		case "score":
			a.Order = broker.ByScore
		default:
			return dialect.Errorf(dialect.InvalidMessage, `order must be "offset" or "score", not %s`, excerpt(order))
		}
	}
	if a.Limit, err = pageLimit(limit); err != nil {
		return err
	}
	a.Next, err = pageNext(next)
	return err
}

func (e *envelope) presence(c *dialect.Command) *dialect.Error {
	c.Verb = dialect.Presence
	if err := e.needChannel(c); err != nil {
		return err
	}
	o, err := arguments("presence", e.payload)
	if err != nil {
		return err
	}
	var limit, next []byte
	for o.Next() {
		switch string(o.Name()) {
		case "limit":
			limit = o.Value()
		case "next":
			next = o.Value()
		}
	}
	a := new(dialect.PresenceArgs)
	c.Presence = a
	if a.Limit, err = pageLimit(limit); err != nil {
		return err
	}
	a.Next, err = pageNext(next)
	return err
}

func (e *envelope) call(c *dialect.Command) (err *dialect.Error) {
	c.Verb = dialect.Call
	if absent(e.method) {
		return dialect.Errorf(dialect.InvalidMessage, "method is missing: a call names one")
	}
	if c.Method, err = text(dialect.InvalidMessage, "method", e.method, 1, maxMethod); err != nil {
		return err
	}
	c.Payload = e.payload
	return e.needJSON("call")
}
