package native

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// encoding makes the pushed entries of JSON connections. All of them are equal, so they share their bytes.
type encoding struct{}

// AppendEntry appends the message that pushes e: a message, or for the entry of a presence log what it says of a
// member of the channel.
func (encoding) AppendEntry(dst []byte, channel, epoch string, e *broker.Entry) []byte {
	if of, ok := strings.CutPrefix(channel, dialect.PresencePrefix); ok {
		return appendPresenceEntry(dst, of, epoch, e)
	}
	dst = append(dst, `{"type":"message","channel":`...)
	dst = jsonval.AppendString(dst, channel)
	dst = append(dst, ',')
	dst = appendEntryFields(dst, e)
	return append(dst, '}')
}

// appendEntryFields appends what a message and an element of a history page have in common.
func appendEntryFields(dst []byte, e *broker.Entry) []byte {
	dst = append(dst, `"offset":`...)
	dst = strconv.AppendUint(dst, e.Offset, 10)
	dst = append(dst, `,"time":`...)
	dst = strconv.AppendInt(dst, e.Time, 10)
	dst = appendPayload(dst, e.Format, e.Payload)
	if e.From != nil {
		dst = append(dst, `,"from":{"user":`...)
		dst = jsonval.AppendString(dst, e.From.User)
		dst = append(dst, `,"session":`...)
		dst = jsonval.AppendString(dst, e.From.Session)
		dst = append(dst, '}')
	}
	if e.Key != "" {
		dst = append(dst, `,"key":`...)
		dst = jsonval.AppendString(dst, e.Key)
	}
	switch e.Op {
	case broker.Append:
		dst = append(dst, `,"op":"append"`...)
	case broker.Delete:
		dst = append(dst, `,"op":"delete"`...)
	}
	if e.Score != 0 {
		dst = jsonval.AppendFloat(append(dst, `,"score":`...), e.Score)
	}
	return appendTags(dst, e.Headers)
}

// appendPayload appends a payload with the comma before it, nothing when there is none. JSON was checked where it
// entered and passes untouched; anything else is base64, which says so and leaves every byte as it was.
func appendPayload(dst []byte, f broker.Format, payload []byte) []byte {
	if f == broker.JSON {
		if len(payload) == 0 {
			return dst
		}
		dst = append(dst, `,"payload":`...)
		return append(dst, payload...)
	}
	dst = append(dst, `,"payload":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, payload)
	return append(dst, `","encoding":"base64"`...)
}

// appendTags appends the tags among the headers, by name, so that an entry has the same bytes on every node.
func appendTags(dst []byte, headers map[string]string) []byte {
	if len(headers) == 0 {
		return dst
	}
	var room [maxTags]string // as many as a client may set: no allocation
	names := room[:0]
	for name := range headers {
		if strings.HasPrefix(name, dialect.TagHeader) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return dst
	}
	slices.Sort(names)
	dst = append(dst, `,"tags":{`...)
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonval.AppendString(dst, name[len(dialect.TagHeader):])
		dst = append(dst, ':')
		dst = jsonval.AppendString(dst, headers[name])
	}
	return append(dst, '}')
}

// appendPresenceEntry appends what an entry of a presence log says of a member of channel.
func appendPresenceEntry(dst []byte, channel, epoch string, e *broker.Entry) []byte {
	switch {
	case e.Op == broker.Delete:
		dst = append(dst, `{"type":"leave"`...)
	case e.Headers[dialect.UpdateHeader] == "1":
		dst = append(dst, `{"type":"update"`...)
	default:
		dst = append(dst, `{"type":"join"`...)
	}
	dst = append(dst, `,"channel":`...)
	dst = jsonval.AppendString(dst, channel)
	dst = append(dst, `,"epoch":`...)
	dst = jsonval.AppendString(dst, epoch)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendUint(dst, e.Offset, 10)
	dst = append(dst, `,"members":[`...)
	dst = appendMember(dst, e)
	return append(dst, "]}"...)
}

// appendMember appends the member that an entry of a presence log is about.
func appendMember(dst []byte, e *broker.Entry) []byte {
	session, user := e.Key, ""
	if e.From != nil {
		session, user = e.From.Session, e.From.User
	}
	dst = append(dst, `{"session":`...)
	dst = jsonval.AppendString(dst, session)
	dst = append(dst, `,"user":`...)
	dst = jsonval.AppendString(dst, user)
	if e.Format == broker.JSON && len(e.Payload) > 0 && !jsonval.IsNull(e.Payload) {
		dst = append(dst, `,"info":`...)
		dst = append(dst, e.Payload...)
	}
	return append(dst, '}')
}
