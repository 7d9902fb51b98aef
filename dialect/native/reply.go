package native

import (
	"strconv"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// AppendReply appends the message that says r.
func (codec) AppendReply(dst []byte, id dialect.ID, r dialect.Reply) []byte {
	switch r := r.(type) {
	case *dialect.Connected:
		return appendConnected(dst, id, r)
	case *dialect.Subscribed:
		return appendSubscribed(dst, id, r)
	case *dialect.Published:
		return appendPublished(dst, id, r)
	case *dialect.Done:
		return append(appendHead(dst, "reply", id, r.Channel), '}')
	case *dialect.HistoryPage:
		return appendHistory(dst, id, r)
	case *dialect.StatePage:
		dst = append(appendHead(dst, "reply", id, r.Channel), `,"payload":`...)
		return append(appendState(dst, r), '}')
	case *dialect.PresencePage:
		return appendPresence(dst, id, r)
	case *dialect.Result:
		dst = append(appendHead(dst, "reply", id, ""), `,"payload":`...)
		if len(r.Payload) == 0 {
			return append(dst, "null}"...)
		}
		return append(append(dst, r.Payload...), '}')
	case *dialect.PongReply:
		return append(appendHead(dst, "pong", id, ""), '}')
	case *dialect.Failed:
		return appendFailed(dst, id, r)
	}
	return appendNotice(dst, r)
}

// appendHead appends the beginning of a message: its type, and the id and the channel where there are any.
func appendHead(dst []byte, typ string, id dialect.ID, channel string) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, typ...)
	dst = append(dst, '"')
	switch id.Kind {
	case dialect.IDNumber:
		dst = append(dst, `,"id":`...)
		dst = strconv.AppendUint(dst, id.Num, 10)
	case dialect.IDString:
		dst = appendStringField(dst, "id", id.Str)
	}
	if channel != "" {
		dst = appendStringField(dst, "channel", channel)
	}
	return dst
}

// appendName appends a comma where a field stands before, the name of a field, and the colon.
func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func appendStringField(dst []byte, name, value string) []byte {
	return jsonval.AppendString(appendName(dst, name), value)
}

func appendUintField(dst []byte, name string, value uint64) []byte {
	return strconv.AppendUint(appendName(dst, name), value, 10)
}

func appendIntField(dst []byte, name string, value int64) []byte {
	return strconv.AppendInt(appendName(dst, name), value, 10)
}

func appendPositionFields(dst []byte, epoch string, offset uint64) []byte {
	return appendUintField(appendStringField(dst, "epoch", epoch), "offset", offset)
}

// appendConnected greets: as a notice of its own, or as the reply to a connect.
func appendConnected(dst []byte, id dialect.ID, r *dialect.Connected) []byte {
	typ := "connected"
	if id != dialect.NoID {
		typ = "reply"
	}
	dst = append(appendHead(dst, typ, id, ""), `,"payload":{`...)
	dst = appendStringField(dst, "session", r.Session)
	dst = appendStringField(dst, "user", r.User)
	dst = appendStringField(dst, "node", r.Node)
	dst = appendIntField(dst, "ping_ms", r.PingMS)
	if r.ExpiresAt != 0 {
		dst = appendIntField(dst, "expires_at", r.ExpiresAt)
	}
	dst = append(dst, `,"features":[`...)
	for i, feature := range r.Features {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonval.AppendString(dst, feature)
	}
	dst = append(dst, `],"limits":{`...)
	dst = appendIntField(dst, "message_bytes", r.MessageBytes)
	return append(dst, "}}}"...)
}

func appendSubscribed(dst []byte, id dialect.ID, r *dialect.Subscribed) []byte {
	dst = append(appendHead(dst, "reply", id, r.Channel), `,"payload":{`...)
	dst = appendPositionFields(dst, r.Epoch, r.Offset)
	dst = strconv.AppendBool(append(dst, `,"recovered":`...), r.Recovered)
	if r.HasCount {
		dst = append(dst, `,"presence":{`...)
		dst = appendIntField(dst, "count", int64(r.Count))
		dst = appendPositionFields(dst, r.PresenceEpoch, r.PresenceOffset)
		dst = append(dst, '}')
	}
	if r.E2E {
		dst = append(dst, `,"e2e":true`...)
	}
	return append(dst, "}}"...)
}

func appendPublished(dst []byte, id dialect.ID, r *dialect.Published) []byte {
	dst = append(appendHead(dst, "reply", id, ""), `,"payload":`...)
	return append(appendReceipt(dst, r), '}')
}

func appendReceipt(dst []byte, r *dialect.Published) []byte {
	dst = appendPositionFields(append(dst, '{'), r.Epoch, r.Offset)
	if r.Duplicate {
		dst = append(dst, `,"duplicate":true`...)
	}
	return append(dst, '}')
}

func appendHistory(dst []byte, id dialect.ID, r *dialect.HistoryPage) []byte {
	dst = append(appendHead(dst, "reply", id, r.Channel), `,"payload":`...)
	return append(appendPage(dst, r), '}')
}

func appendPage(dst []byte, r *dialect.HistoryPage) []byte {
	dst = appendPositionFields(append(dst, '{'), r.Page.Epoch, r.Page.Head)
	dst = appendMessages(dst, r.Page.Entries)
	dst = strconv.AppendBool(append(dst, `,"more":`...), r.Page.More)
	return append(dst, '}')
}

func appendMessages(dst []byte, entries []*broker.Entry) []byte {
	dst = append(dst, `,"messages":[`...)
	for i, e := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		dst = appendEntryFields(dst, e)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendState(dst []byte, r *dialect.StatePage) []byte {
	dst = appendPositionFields(append(dst, '{'), r.Page.Epoch, r.Page.Head)
	dst = appendIntField(dst, "count", int64(r.Count))
	dst = appendMessages(dst, r.Page.Entries)
	if r.Next != "" {
		dst = appendStringField(dst, "next", r.Next)
	}
	return append(dst, '}')
}

func appendPresence(dst []byte, id dialect.ID, r *dialect.PresencePage) []byte {
	dst = append(appendHead(dst, "reply", id, r.Channel), `,"payload":`...)
	return append(appendMembers(dst, r), '}')
}

func appendMembers(dst []byte, r *dialect.PresencePage) []byte {
	dst = appendIntField(append(dst, '{'), "count", int64(r.Count))
	dst = append(dst, `,"members":[`...)
	for i, e := range r.Members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, e)
	}
	dst = append(dst, ']')
	if r.Next != "" {
		dst = appendStringField(dst, "next", r.Next)
	}
	dst = appendPositionFields(dst, r.Epoch, r.Offset)
	return append(dst, '}')
}

func appendFailed(dst []byte, id dialect.ID, r *dialect.Failed) []byte {
	dst = append(appendHead(dst, "error", id, r.Channel), `,"error":{`...)
	dst = appendErrorFields(dst, r.Err)
	dst = appendStringField(dst, "message", r.Err.Message)
	wait := (r.Err.RetryAfter + time.Millisecond - 1).Milliseconds() // rounded up: 0 would say that there is no advice
	dst = appendIntField(dst, "retry_after_ms", wait)
	if p := r.Err.Position; p != nil {
		dst = appendPositionFields(dst, p.Epoch, p.Offset)
	}
	return append(dst, "}}"...)
}

func appendErrorFields(dst []byte, err *dialect.Error) []byte {
	return appendStringField(appendIntField(dst, "code", int64(err.Code)), "name", err.Name)
}

// appendNotice appends what answers no request.
func appendNotice(dst []byte, r dialect.Reply) []byte {
	switch r := r.(type) {
	case *dialect.PingNotice:
		return append(dst, `{"type":"ping"}`...)
	case *dialect.PositionNotice:
		dst = appendHead(dst, "position", dialect.NoID, r.Channel)
		return append(appendUintField(dst, "offset", r.Offset), '}')
	case *dialect.GapNotice:
		dst = append(appendHead(dst, "gap", dialect.NoID, r.Channel), `,"payload":{`...)
		dst = appendUintField(dst, "from", r.From)
		dst = appendUintField(dst, "to", r.To)
		dst = appendStringField(dst, "reason", r.Reason)
		return append(dst, "}}"...)
	case *dialect.Unsubscribed:
		dst = append(appendHead(dst, "unsubscribed", dialect.NoID, r.Channel), `,"payload":{`...)
		if r.Err != nil {
			dst = appendErrorFields(dst, r.Err)
		}
		return append(dst, "}}"...)
	case *dialect.Event:
		return append(appendPayload(append(dst, `{"type":"event"`...), r.Format, r.Payload), '}')
	case *dialect.Reconnect:
		dst = appendIntField(append(dst, `{"type":"reconnect","payload":{`...), "after_ms", r.AfterMS)
		if r.URL != "" {
			dst = appendStringField(dst, "url", r.URL)
		}
		return append(dst, "}}"...)
	}
	panic("native: a reply of an unknown type")
}
