package hook

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/session"
)

// text appends a field with a string, nothing when that is "".
func text(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	return jsonval.AppendString(append(append(append(dst, `,"`...), name...), `":`...), s)
}

// begin appends what every question begins with.
func (c *Client) begin(k Kind, id string) []byte {
	b := make([]byte, 0, 512)
	b = append(append(append(b, `{"hook":"`...), kinds[k]...), '"')
	return text(text(b, "id", id), "node", c.cfg.Node)
}

// appendProof appends what a client shows of itself.
func (c *Client) appendProof(b []byte, p *session.Proof) []byte {
	if p.Kind == session.ProofToken {
		b = text(b, "token", p.Secret)
	} else {
		b = text(b, "cookie", strings.Join(p.Header["Cookie"], "; "))
	}
	b = text(text(b, "address", host(p.Address)), "origin", p.Origin)
	return c.appendHeaders(b, p.Header)
}

// appendHeaders appends those of a handshake that are listed.
func (c *Client) appendHeaders(b []byte, header http.Header) []byte {
	begun := false
	for _, name := range c.cfg.Forward {
		values := header.Values(name)
		if len(values) == 0 {
			continue
		}
		if !begun {
			b = append(b, `,"headers":{`...)
		} else {
			b = append(b, ',')
		}
		begun = true
		b = jsonval.AppendString(append(jsonval.AppendString(b, name), ':'), strings.Join(values, ", "))
	}
	if begun {
		b = append(b, '}')
	}
	return b
}

// host is an address without its port.
func host(address string) string {
	if at, err := netip.ParseAddrPort(address); err == nil {
		return at.Addr().Unmap().String()
	}
	return address
}

func appendAsking(b []byte, a *session.Asking) []byte {
	b = text(text(b, "session", a.Session), "user", a.User)
	return text(text(b, "address", host(a.Address)), "channel", a.Channel)
}

func appendSubscribe(b []byte, q *session.SubscribeQuestion) []byte {
	b = appendAsking(b, &q.Asking)
	switch q.Presence {
	case dialect.PresenceMember:
		b = append(b, `,"presence":true`...)
	case dialect.PresenceWatch:
		b = append(b, `,"presence":"watch"`...)
	}
	for i, tag := range q.Filter {
		if i == 0 {
			b = append(b, `,"filter":{`...)
		} else {
			b = append(b, ',')
		}
		b = append(jsonval.AppendString(b, tag.Name), ":["...)
		for j, value := range tag.Values {
			if j > 0 {
				b = append(b, ',')
			}
			b = jsonval.AppendString(b, value)
		}
		b = append(b, ']')
	}
	if len(q.Filter) > 0 {
		b = append(b, '}')
	}
	return b
}

func appendPublish(b []byte, q *session.PublishQuestion) []byte {
	b = text(appendAsking(b, &q.Asking), "key", q.Key)
	switch q.Op {
	case broker.Append:
		b = append(b, `,"op":"append"`...)
	case broker.Delete:
		b = append(b, `,"op":"delete"`...)
	}
	switch {
	case q.Payload == nil:
	case q.Format == broker.JSON: // checked where it entered
		b = append(append(b, `,"payload":`...), q.Payload...)
	default:
		b = append(b, `,"payload":"`...)
		b = append(base64.StdEncoding.AppendEncode(b, q.Payload), `","encoding":"base64"`...)
	}
	for i, name := range slices.Sorted(maps.Keys(q.Tags)) {
		if i == 0 {
			b = append(b, `,"tags":{`...)
		} else {
			b = append(b, ',')
		}
		b = jsonval.AppendString(append(jsonval.AppendString(b, name), ':'), q.Tags[name])
	}
	if len(q.Tags) > 0 {
		b = append(b, '}')
	}
	return b
}
