package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// push is a "message" of the native protocol as far as the generator looks.
type push struct {
	channel []byte // name
	offset  uint64
	payload []byte // the JSON value, byte for byte
}

// scanPush reads a push whose fields stand in the order of the protocol's page,
// with a payload that holds no escapes. It reads nothing else: what it refuses is
// for parseNotice.
func scanPush(msg []byte) (p push, ok bool) {
	rest, ok := bytes.CutPrefix(msg, []byte(`{"type":"message","channel":"`))
	if !ok {
		return push{}, false
	}
	if p.channel, rest, ok = bytes.Cut(rest, []byte(`","offset":`)); !ok {
		return push{}, false
	}
	n := 0
	for ; n < len(rest) && rest[n] >= '0' && rest[n] <= '9'; n++ {
		p.offset = p.offset*10 + uint64(rest[n]-'0')
	}
	if _, rest, ok = bytes.Cut(rest[n:], []byte(`"payload":`)); !ok || len(rest) < 2 || rest[0] != '"' {
		return push{}, false
	}
	end := bytes.IndexByte(rest[1:], '"') + 2
	if end < 2 || bytes.IndexByte(rest[:end], '\\') >= 0 {
		return push{}, false
	}
	p.payload = rest[:end]
	return p, n > 0 && len(rest) > end && rest[len(rest)-1] == '}'
}

// notice is any message of the native protocol.
type notice struct {
	Type    string          `json:"type"`
	ID      json.RawMessage `json:"id"`
	Channel string          `json:"channel"`
	Offset  uint64          `json:"offset"`
	Payload json.RawMessage `json:"payload"`
	Error   struct {
		Code    int    `json:"code"`
		Name    string `json:"name"`
		Message string `json:"message"`
	} `json:"error"`
}

// parseNotice reads any message.
func parseNotice(msg []byte) (notice, error) {
	var n notice
	if err := json.Unmarshal(msg, &n); err != nil {
		return notice{}, fmt.Errorf("the server sent what is not JSON: %w", err)
	}
	return n, nil
}

// scanReply reads the id of a reply, as cheaply as scanPush reads a push: in a
// closed loop there is one for every publish.
func scanReply(msg []byte) (id uint64, ok bool) {
	rest, ok := bytes.CutPrefix(msg, []byte(`{"type":"reply","id":`))
	if !ok {
		return 0, false
	}
	digits, _, ok := bytes.Cut(rest, []byte(","))
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseUint(string(digits), 10, 64)
	return id, err == nil
}

// number returns the id of a request of ours.
func (n *notice) number() (id uint64, ok bool) {
	id, err := strconv.ParseUint(string(n.ID), 10, 64)
	return id, err == nil
}

// appendSubscribe appends a request for the entries to come of a channel.
func appendSubscribe(dst []byte, id uint64, channel string) []byte {
	dst = append(dst, `{"type":"subscribe","id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"channel":"`...)
	dst = append(dst, channel...)
	return append(dst, `"}`...)
}

// appendPublish appends the beginning of a publish; the payload and a closing
// brace follow.
func appendPublish(dst []byte, id uint64, channel string) []byte {
	dst = append(dst, `{"type":"publish","id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"channel":"`...)
	dst = append(dst, channel...)
	return append(dst, `","payload":`...)
}
