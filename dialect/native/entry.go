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

// AppendEntry appends the message that pushes e: a message, or for the entry of a presence log what it says of the
// channel's members, which may be nothing.
func (encoding) AppendEntry(dst []byte, channel, epoch string, e *broker.Entry) []byte {
	if of, ok := strings.CutPrefix(channel, dialect.PresencePrefix); ok {
		return appendNews(dst, of, epoch, newsOf(e), []*broker.Entry{e})
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
