//go:build linux

package generator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

var nan = math.NaN()

// A Dialect is what a server wants to hear from subscribers and publishers. There are
// [Bare], [Hocket] and [Centrifuge].
type Dialect interface {
	// subscriber returns the path to connect to and the messages that join a room.
	subscriber(room int) (path string, hello []string)
	// joined reports whether a message says that what is published from now on comes.
	joined(msg []byte) (bool, error)
	// publisher is subscriber for who publishes to a room.
	publisher(room int) (path string, hello []string)
	// appendPublish appends the message that publishes p, n-th of its connection.
	appendPublish(dst []byte, room int, n uint64, p []byte) []byte
	// answered checks a message that came to a publisher.
	answered(msg []byte) error
	// next cuts the first publication off a message.
	next(msg []byte) (publication, rest []byte)
	// carries reports whether a publication is p, with nothing changed in it.
	carries(publication, p []byte) bool
}

// A resumer is a Dialect with positions: who comes back says where it stood.
type resumer interface {
	// position takes the position out of the message that says that a subscriber has joined.
	position(msg []byte) (epoch string, offset uint64, err error)
	// offset takes the offset out of a publication.
	offset(publication []byte) (uint64, error)
	// resume is Dialect.subscriber for who comes back.
	resume(room int, epoch string, offset uint64) (path string, hello []string)
	// published tells whether a message to a publisher is the answer to a publish.
	published(msg []byte) bool
	// resumed reports whether a message says that nothing was missed.
	resumed(msg []byte) error
}

// The dialects.
var (
	Bare       Dialect = bare{}       // a message is a publication
	Hocket     Dialect = hocket{}     // Hocket's own protocol in JSON
	Centrifuge Dialect = centrifuge{} // centrifuge's protocol in JSON
)

type bare struct{}

func (bare) subscriber(room int) (string, []string) {
	return "/sub?room=" + strconv.Itoa(room), nil
}

func (bare) publisher(room int) (string, []string) {
	return "/pub?room=" + strconv.Itoa(room), nil
}

func (bare) joined(msg []byte) (bool, error) {
	if string(msg) != "ready" {
		return false, fmt.Errorf("the greeting is %q, not \"ready\"", msg)
	}
	return true, nil
}

func (bare) appendPublish(dst []byte, _ int, _ uint64, p []byte) []byte { return append(dst, p...) }

func (bare) answered(msg []byte) error { return fmt.Errorf("a publisher was sent %q", msg) }

func (bare) next(msg []byte) (publication, rest []byte) { return msg, nil }

func (bare) carries(publication, p []byte) bool { return bytes.Equal(publication, p) }

type hocket struct{}

func (hocket) subscriber(room int) (string, []string) {
	return "/v1/ws", []string{fmt.Sprintf(`{"type":"subscribe","id":1,"channel":"room:%d"}`, room)}
}

func (hocket) publisher(int) (string, []string) { return "/v1/ws", nil }

func (hocket) joined(msg []byte) (bool, error) {
	if bytes.Contains(msg, []byte(`"type":"error"`)) || bytes.Contains(msg, []byte(`"error":`)) {
		return false, fmt.Errorf("the server answers %s", msg)
	}
	return bytes.HasPrefix(msg, []byte(`{"type":"reply","id":1`)), nil
}

func (hocket) appendPublish(dst []byte, room int, n uint64, p []byte) []byte {
	dst = append(dst, `{"type":"publish","id":`...)
	dst = strconv.AppendUint(dst, n+1, 10)
	dst = append(dst, `,"channel":"room:`...)
	dst = strconv.AppendInt(dst, int64(room), 10)
	dst = append(dst, `","payload":`...)
	dst = append(dst, p...)
	return append(dst, '}')
}

func (hocket) answered(msg []byte) error {
	if bytes.Contains(msg, []byte(`"error"`)) {
		return fmt.Errorf("a publish was answered %s", msg)
	}
	return nil
}

func (hocket) next(msg []byte) (publication, rest []byte) { return msg, nil }

func (hocket) carries(publication, p []byte) bool {
	return carriesIn(publication, `{"type":"message"`, `"payload":`, p)
}

// carriesIn reports whether a publication begins as it should and has p behind name. p
// holds its own numbers, so that it cannot stand there by chance.
func carriesIn(publication []byte, prefix, name string, p []byte) bool {
	_, behind, ok := bytes.Cut(publication, []byte(name))
	if !ok || !bytes.HasPrefix(publication, []byte(prefix)) || !bytes.HasPrefix(behind, p) {
		return false
	}
	end := behind[len(p):]
	return len(end) > 0 && (end[0] == '}' || end[0] == ',')
}

func (hocket) position(msg []byte) (epoch string, offset uint64, err error) {
	var reply struct {
		Payload struct {
			Epoch  string
			Offset uint64
		}
	}
	if err := json.Unmarshal(msg, &reply); err != nil || reply.Payload.Epoch == "" {
		return "", 0, fmt.Errorf("%q names no position", msg)
	}
	return reply.Payload.Epoch, reply.Payload.Offset, nil
}

func (hocket) offset(publication []byte) (uint64, error) {
	_, behind, _ := bytes.Cut(publication, []byte(`"offset":`))
	digits, _, _ := bytes.Cut(behind, []byte(","))
	offset, err := strconv.ParseUint(string(digits), 10, 53)
	if err != nil {
		return 0, fmt.Errorf("%q names no offset", publication)
	}
	return offset, nil
}

func (hocket) resume(room int, epoch string, offset uint64) (string, []string) {
	return "/v1/ws", []string{fmt.Sprintf(
		`{"type":"subscribe","id":1,"channel":"room:%d","payload":{"from":{"epoch":%q,"offset":%d}}}`, room, epoch, offset)}
}

func (hocket) published(msg []byte) bool { return bytes.HasPrefix(msg, []byte(`{"type":"reply"`)) }

func (hocket) resumed(msg []byte) error {
	if !bytes.Contains(msg, []byte(`"recovered":true`)) {
		return fmt.Errorf("a subscriber that came back missed something: %s", msg)
	}
	return nil
}

type centrifuge struct{}

func (centrifuge) subscriber(room int) (string, []string) {
	return "/connection/websocket", []string{`{"id":1,"connect":{}}`, fmt.Sprintf(`{"id":2,"subscribe":{"channel":"room%d"}}`, room)}
}

func (centrifuge) publisher(int) (string, []string) {
	return "/connection/websocket", []string{`{"id":1,"connect":{}}`}
}

// joined looks for the second reply, which may come in one message with the first.
func (centrifuge) joined(msg []byte) (bool, error) {
	if bytes.Contains(msg, []byte(`"error":`)) {
		return false, fmt.Errorf("the server answers %s", msg)
	}
	return bytes.Contains(msg, []byte(`{"id":2,"subscribe":`)), nil
}

func (centrifuge) appendPublish(dst []byte, room int, n uint64, p []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, n+2, 10)
	dst = append(dst, `,"publish":{"channel":"room`...)
	dst = strconv.AppendInt(dst, int64(room), 10)
	dst = append(dst, `","data":`...)
	dst = append(dst, p...)
	return append(dst, `}}`...)
}

func (centrifuge) answered(msg []byte) error { return hocket{}.answered(msg) }

// next cuts at a line break: several pushes may share a message.
func (centrifuge) next(msg []byte) (publication, rest []byte) {
	publication, rest, _ = bytes.Cut(msg, []byte("\n"))
	return publication, rest
}

func (centrifuge) carries(publication, p []byte) bool {
	return carriesIn(publication, `{"push":{"channel":"room`, `"data":`, p)
}
