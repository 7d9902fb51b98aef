package differential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	coderws "github.com/coder/websocket"
	gorillaws "github.com/gorilla/websocket"

	"hocket.dev/websocket"
	"hocket.dev/wire"
)

// maxMessage is the limit of a message in bytes.
const maxMessage = 1000

// A mode is what is agreed upon with the client.
type mode struct {
	offer    string // "" for no compression
	takeover bool   // later messages refer to earlier ones
}

var (
	plain         = mode{}
	eachForItself = mode{offer: "permessage-deflate; server_no_context_takeover; client_no_context_takeover"}
	withContext   = mode{offer: "permessage-deflate", takeover: true}
)

// A message is what a server has read.
type message struct {
	text bool
	data string
}

func (m message) String() string {
	kind := "binary"
	if m.text {
		kind = "text"
	}
	return fmt.Sprintf("%s %.20q (%d bytes)", kind, m.data, len(m.data))
}

// A verdict is what became of a stream of bytes.
type verdict struct {
	messages []message
	pongs    []string
	end      end
	code     wire.CloseCode // for closes, of the frame the server has sent
	rule     string         // for ours, that was broken, "" for none
}

// An end is how a server's reading ended.
type end int

const (
	cut    end = iota // the input was used up
	closes            // with a close frame
	silent            // by dropping the connection
	panics            // by a mistake of its own
)

func (v *verdict) String() string {
	return fmt.Sprintf("%s %d %q, %d messages %v, pongs %.100q",
		[...]string{"cut", "closes", "drops", "panics"}[v.end], v.code, v.rule, len(v.messages), v.messages, v.pongs)
}

// A peer is a server for one connection.
type peer struct {
	name string
	// read accepts a handshake and reads until the end.
	read func(w *takeover, r *http.Request, m mode) ([]message, error)
}

var (
	ours    = &peer{"hocket", readOurs}
	gorilla = &peer{"gorilla", readGorilla}
	coder   = &peer{"coder", readCoder}
)

// judge gives in to a server.
func (p *peer) judge(in []byte, m mode) (*verdict, error) {
	w := &takeover{conn: newTape(in), header: http.Header{}}
	messages, err := p.readAll(w, m)
	v := &verdict{messages: messages}
	var rule *wire.Error
	if errors.As(err, &rule) {
		v.rule = rule.Rule
	}
	out := w.conn.(*tape).out.Bytes()
	if bytes.HasPrefix(out, []byte("HTTP/1.1 101 ")) {
		_, out, _ = bytes.Cut(out, []byte("\r\n\r\n"))
	}
	if err := v.addAnswers(out); err != nil {
		return nil, fmt.Errorf("%s writes nonsense: %w: % x", p.name, err, out)
	}
	switch {
	case errors.Is(err, errPanic):
		v.end = panics
	case v.end != closes && !errors.Is(err, errCut):
		v.end = silent
	}
	return v, nil
}

var errPanic = errors.New("panic")

// readAll is read, where a panic is an error.
func (p *peer) readAll(w *takeover, m mode) (messages []message, err error) {
	if p != ours {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("%w: %v", errPanic, v)
			}
		}()
	}
	return p.read(w, handshake(m.offer), m)
}

// addAnswers takes the frames that the server has sent.
func (v *verdict) addAnswers(out []byte) error {
	for len(out) > 0 {
		if v.end == closes {
			return errors.New("something behind the close frame (§5.5.1)")
		}
		h, n, err := wire.ParseHeader(out)
		switch {
		case err != nil || n == 0 || h.Length > int64(len(out)-n):
			return errors.New("no whole frame")
		case h.Masked || !h.Fin || h.Rsv != 0 || h.Length > 125:
			return errors.New("no control frame of a server")
		}
		payload := out[n : n+int(h.Length)]
		out = out[n+int(h.Length):]
		switch h.Op {
		case wire.Pong:
			v.pongs = append(v.pongs, string(payload))
		case wire.Close:
			v.end, v.code = closes, wire.CloseNoStatus
			if len(payload) > 0 {
				v.code = wire.CloseCode(payload[0])<<8 | wire.CloseCode(payload[1])
			}
		default:
			return fmt.Errorf("a frame of kind %v", h.Op)
		}
	}
	return nil
}

func readOurs(w *takeover, r *http.Request, m mode) (got []message, err error) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Compression: ourCompression(m)})
	if err != nil {
		return nil, err
	}
	defer c.CloseNow()
	c.SetReadLimit(maxMessage)
	for {
		typ, data, err := c.Read(context.Background())
		if err != nil {
			return got, err
		}
		got = append(got, message{typ == websocket.Text, string(data)})
	}
}

func readGorilla(w *takeover, r *http.Request, m mode) (got []message, err error) {
	upgrader := gorillaws.Upgrader{EnableCompression: m.offer != ""}
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetReadLimit(maxMessage)
	for {
		typ, data, err := c.ReadMessage()
		if err != nil {
			return got, err
		}
		got = append(got, message{typ == gorillaws.TextMessage, string(data)})
	}
}

func readCoder(w *takeover, r *http.Request, m mode) (got []message, err error) {
	c, err := coderws.Accept(w, r, &coderws.AcceptOptions{CompressionMode: coderCompression(m)})
	if err != nil {
		return nil, err
	}
	defer c.CloseNow()
	c.SetReadLimit(maxMessage)
	for {
		typ, data, err := c.Read(context.Background())
		if err != nil {
			return got, err
		}
		got = append(got, message{typ == coderws.MessageText, string(data)})
	}
}
