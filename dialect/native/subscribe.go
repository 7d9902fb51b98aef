package native

import (
	"math"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// maxEpoch is the most bytes an epoch may have; those of every broker are far shorter.
const maxEpoch = 128

func (e *envelope) subscribe(c *dialect.Command) *dialect.Error {
	c.Verb = dialect.Subscribe
	if err := e.needChannel(c); err != nil {
		return err
	}
	o, err := arguments("subscribe", e.payload)
	if err != nil {
		return err
	}
	var from, presence, filter []byte
	for o.Next() {
		switch string(o.Name()) {
		case "from":
			from = o.Value()
		case "presence":
			presence = o.Value()
		case "filter":
			filter = o.Value()
		}
	}
	a := new(dialect.SubscribeArgs)
	c.Subscribe = a
	if !absent(from) {
		if err := decodeFrom(a, from); err != nil {
			return err
		}
	}
	if !absent(presence) {
		if err := decodePresenceMode(a, presence); err != nil {
			return err
		}
	}
	if !absent(filter) {
		a.Filter, err = decodeFilter(filter)
	}
	return err
}

const fromForms = `from must be "live", "state", {"last":N}, {"since_ms":N}, {"epoch":"…","offset":N} or {"epoch":"…","offset":N,"state":true}`

// decodeFrom reads where a subscription begins.
func decodeFrom(a *dialect.SubscribeArgs, v []byte) *dialect.Error {
	if v[0] == '{' {
		return decodeFromObject(a, v)
	}
	switch s, _ := jsonval.String(v); s {
	case "live":
		a.Start = dialect.StartLive
	case "state":
		a.Start = dialect.StartState
	default:
		return dialect.Errorf(dialect.InvalidPosition, "%s, not %s", fromForms, excerpt(v))
	}
	return nil
}

func decodeFromObject(a *dialect.SubscribeArgs, v []byte) *dialect.Error {
	var last, since, epoch, offset, state []byte
	for o := jsonval.Fields(v, maxDepth); o.Next(); {
		if absent(o.Value()) { // as in an object that names all there is to say, most of it null
			continue
		}
		switch string(o.Name()) {
		case "last":
			last = o.Value()
		case "since_ms":
			since = o.Value()
		case "epoch":
			epoch = o.Value()
		case "offset":
			offset = o.Value()
		case "state":
			state = o.Value()
		case "positions":
			return dialect.Errorf(dialect.NotSupported, "from with positions is not supported yet, nor are the patterns it is for")
		}
	}
	forms := 0
	for _, given := range []bool{last != nil, since != nil, epoch != nil || offset != nil} {
		if given {
			forms++
		}
	}
	if forms != 1 {
		return dialect.Errorf(dialect.InvalidPosition, "%s: exactly one of them", fromForms)
	}
	wantsState, err := truth("state", state, false)
	if err != nil {
		return err
	}
	switch {
	case wantsState && epoch == nil && offset == nil:
		return dialect.Errorf(dialect.InvalidPosition, "%s: state goes with a position", fromForms)
	case last != nil:
		n, err := whole(dialect.InvalidPosition, "last", last, 0, math.MaxInt32)
		a.Start, a.Last = dialect.StartLast, int(n)
		return err
	case since != nil:
		n, err := whole(dialect.InvalidPosition, "since_ms", since, 0, uint64(maxSince.Milliseconds()))
		a.Start, a.Since = dialect.StartSince, time.Duration(n)*time.Millisecond
		return err
	}
	p, err := decodePosition("from", epoch, offset)
	if err != nil {
		return err
	}
	a.Start, a.Epoch, a.Offset = dialect.StartPosition, p.Epoch, p.Offset
	a.WantsState = wantsState
	return nil
}

// decodePosition reads the two parts of a position, of which one may be missing; name is the field it stands in. The epoch
// is "" in a position that was told of a log that had not begun.
func decodePosition(name string, epoch, offset []byte) (p broker.Position, err *dialect.Error) {
	if epoch == nil || offset == nil {
		return p, dialect.Errorf(dialect.InvalidPosition, `%s must name both epoch and offset, as in {"epoch":"k3","offset":41}`, name)
	}
	if p.Epoch, err = text(dialect.InvalidPosition, "epoch", epoch, 0, maxEpoch); err != nil {
		return p, err
	}
	p.Offset, err = whole(dialect.InvalidPosition, "offset", offset, 0, maxOffset)
	return p, err
}

// decodePresenceMode reads what the subscription has to do with the channel's presence.
func decodePresenceMode(a *dialect.SubscribeArgs, v []byte) *dialect.Error {
	if v[0] == '{' {
		var epoch, offset []byte
		for o := jsonval.Fields(v, maxDepth); o.Next(); {
			switch string(o.Name()) {
			case "epoch":
				epoch = o.Value()
			case "offset":
				offset = o.Value()
			}
		}
		p, err := decodePosition("presence", epoch, offset)
		a.Presence, a.PresenceFrom, a.HasPresenceFrom = dialect.PresenceMember, p, true
		return err
	}
	switch string(v) {
	case "true":
		a.Presence = dialect.PresenceMember
		return nil
	case "false":
		return nil
	}
	if s, _ := jsonval.String(v); s == "watch" {
		a.Presence = dialect.PresenceWatch
		return nil
	}
	return dialect.Errorf(dialect.InvalidMessage,
		`presence must be true, "watch" or {"epoch":"…","offset":N}, not %s`, excerpt(v))
}
