//go:build linux

package generator

import (
	"bytes"
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
