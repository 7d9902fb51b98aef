package native

import (
	"strconv"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// maxMembers is how many members one message names at most.
const maxMembers = 100

// news is what an entry of a presence log says to those who follow it.
type news uint8

const (
	nothing news = iota
	joined
	updated
	left
	crowded // how many members there are, and not whom it is about
)

var newsTypes = [...]string{joined: "join", updated: "update", left: "leave", crowded: "presence"}

func newsOf(e *broker.Entry) news {
	crowd := e.Headers[dialect.CrowdHeader] != ""
	switch {
	case e.Op == broker.Delete && !crowd:
		return left
	case e.Headers[dialect.SilentHeader] == "1":
		return nothing
	case e.Headers[dialect.UpdateHeader] == "1":
		if crowd {
			return nothing // the number is as it was
		}
		return updated
	case crowd:
		return crowded
	}
	return joined
}

// AppendEntries implements hub.Gatherer: of a presence log it tells a run of joins, of updates or of leaves in one
// message, and of a crowd the number of members at the end of the run.
func (c encoding) AppendEntries(dst []byte, channel, epoch string, entries []*broker.Entry) (b []byte, n int) {
	of, ok := strings.CutPrefix(channel, dialect.PresencePrefix)
	if !ok {
		return c.AppendEntry(dst, channel, epoch, entries[0]), 1
	}
	kind, told := nothing, 0
	for n < len(entries) && told < maxMembers {
		switch k := newsOf(entries[n]); {
		case k == nothing:
		case kind != nothing && k != kind:
			return appendNews(dst, of, epoch, kind, entries[:n]), n
		default:
			kind = k
			if k != crowded {
				told++
			}
		}
		n++
	}
	return appendNews(dst, of, epoch, kind, entries[:n]), n
}

// appendNews appends the message that tells a run of entries of a presence log, which are of one kind or say nothing.
func appendNews(dst []byte, channel, epoch string, kind news, entries []*broker.Entry) []byte {
	if kind == nothing {
		return dst
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, newsTypes[kind]...)
	dst = append(dst, `","channel":`...)
	dst = jsonval.AppendString(dst, channel)
	dst = append(dst, `,"epoch":`...)
	dst = jsonval.AppendString(dst, epoch)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendUint(dst, entries[len(entries)-1].Offset, 10)
	if kind == crowded {
		return appendCount(dst, entries)
	}
	dst = append(dst, `,"members":[`...)
	for i := range entries {
		if newsOf(entries[i]) != kind {
			continue
		}
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, entries[i])
	}
	return append(dst, "]}"...)
}

// appendCount appends how many members there were after the last entry that counts them.
func appendCount(dst []byte, entries []*broker.Entry) []byte {
	dst = append(dst, `,"payload":{"count":`...)
	for i := len(entries) - 1; ; i-- {
		if newsOf(entries[i]) == crowded {
			dst = strconv.AppendUint(dst, parseCount(entries[i].Headers[dialect.CrowdHeader]), 10)
			return append(dst, "}}"...)
		}
	}
}

// parseCount reads what a node wrote; what it did not write as a number is no text of ours.
func parseCount(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 53)
	return n
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
