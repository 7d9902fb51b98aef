package differential

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"

	coderws "github.com/coder/websocket"
	gorillaws "github.com/gorilla/websocket"

	"hocket.dev/websocket"
)

// A talker is one end of a connection, of whichever library.
type talker interface {
	read() (message, error)
	// write sends a message, in as many pieces as the library makes of so many calls of its writer.
	write(m message, pieces int) error
	hangUp()
}

// A library is both ends of connections.
type library struct {
	name     string
	takeover bool // it can keep the context of earlier messages
	accept   func(w http.ResponseWriter, r *http.Request, m mode) (talker, error)
	dial     func(ctx context.Context, dial dialer, m mode) (talker, *http.Response, error)
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

var libraries = []*library{
	{name: "hocket", takeover: true, accept: acceptOurs, dial: dialOurs},
	{name: "gorilla", accept: acceptGorilla, dial: dialGorilla},
	{name: "coder", takeover: true, accept: acceptCoder, dial: dialCoder},
}

// TestWhatOneWritesTheOtherReads has ours talk with each of the others, in both roles, plain and compressed: messages of sizes
// around those at which a header grows, whole and in fragments, come back as they went.
func TestWhatOneWritesTheOtherReads(t *testing.T) {
	us := libraries[0]
	for name, m := range map[string]mode{"plain": plain, "compressed": eachForItself, "with context": withContext} {
		for _, them := range libraries[1:] {
			if m.takeover && !them.takeover {
				continue
			}
			t.Run(name+"/"+them.name+" as client", func(t *testing.T) { talk(t, us, them, m) })
			t.Run(name+"/"+them.name+" as server", func(t *testing.T) { talk(t, them, us, m) })
		}
	}
}

// talk sends messages from client to server and back.
func talk(t *testing.T, server, client *library, m mode) {
	l := newPipes()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := server.accept(w, r, m)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer c.hangUp()
		for pieces := 1; ; pieces = pieces%3 + 1 {
			got, err := c.read()
			if err != nil {
				return
			}
			if err := c.write(got, pieces); err != nil {
				t.Errorf("the server writes: %v", err)
				return
			}
		}
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(l) // until it is closed
	}()
	defer func() { srv.Close(); <-done }()
	c, response, err := client.dial(t.Context(), l.dial, m)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	defer c.hangUp()
	if got := response.Header.Get("Sec-WebSocket-Extensions"); strings.HasPrefix(got, "permessage-deflate") != (m.offer != "") {
		t.Fatalf("agreed upon %q", got)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 124, 125, 126, 127, 128, 511, 512, 4096, 65535, 65536, 65537, 200_000} {
		for pieces := 1; pieces <= 3; pieces++ {
			for _, sent := range []message{{true, strings.Repeat("ø hocket ", size/10+1)[:size/10*10]}, {false, noise(random, size)}} {
				if err := c.write(sent, pieces); err != nil {
					t.Fatalf("write %v: %v", sent, err)
				}
				if got, err := c.read(); err != nil || got != sent {
					t.Fatalf("sent %v in %d pieces, received %v (%v)", sent, pieces, got, err)
				}
			}
		}
	}
}

// noise is data that deflates badly.
func noise(random *rand.Rand, size int) string {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(random.Uint32())
	}
	return string(p)
}

// cutUp calls write for each of so many pieces of s.
func cutUp(w io.WriteCloser, s string, pieces int) error {
	for ; pieces > 0; pieces-- {
		n := len(s) / pieces
		if _, err := io.WriteString(w, s[:n]); err != nil {
			return err
		}
		s = s[n:]
	}
	return w.Close()
}

// pipes is a listener in memory.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.waiting <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

const url = "ws://hocket.example/"

type oursTalker struct{ c *websocket.Conn }

func acceptOurs(w http.ResponseWriter, r *http.Request, m mode) (talker, error) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Compression: ourCompression(m)})
	return oursTalker{c}, err
}

func dialOurs(ctx context.Context, dial dialer, m mode) (talker, *http.Response, error) {
	c, response, err := websocket.Dial(ctx, url, &websocket.DialOptions{NetDial: dial, Compression: ourCompression(m)})
	return oursTalker{c}, response, err
}

func ourCompression(m mode) (c websocket.Compression) {
	switch {
	case m.takeover:
		c.Mode = websocket.CompressionTakeover
	case m.offer != "":
		c.Mode = websocket.CompressionOn
	}
	c.Threshold = 1
	return c
}

func (t oursTalker) read() (message, error) {
	typ, data, err := t.c.Read(context.Background())
	return message{typ == websocket.Text, string(data)}, err
}

func (t oursTalker) write(m message, pieces int) error {
	typ := websocket.Binary
	if m.text {
		typ = websocket.Text
	}
	if pieces == 1 {
		return t.c.Write(context.Background(), typ, []byte(m.data))
	}
	w, err := t.c.NextWriter(context.Background(), typ)
	if err != nil {
		return err
	}
	return cutUp(w, m.data, pieces)
}

func (t oursTalker) hangUp() { t.c.CloseNow() }

type gorillaTalker struct{ c *gorillaws.Conn }

func acceptGorilla(w http.ResponseWriter, r *http.Request, m mode) (talker, error) {
	upgrader := gorillaws.Upgrader{EnableCompression: m.offer != ""}
	c, err := upgrader.Upgrade(w, r, nil)
	return gorillaTalker{c}, err
}

func dialGorilla(ctx context.Context, dial dialer, m mode) (talker, *http.Response, error) {
	d := gorillaws.Dialer{NetDialContext: dial, EnableCompression: m.offer != ""}
	c, response, err := d.DialContext(ctx, url, nil)
	return gorillaTalker{c}, response, err
}

func (t gorillaTalker) read() (message, error) {
	typ, data, err := t.c.ReadMessage()
	return message{typ == gorillaws.TextMessage, string(data)}, err
}

func (t gorillaTalker) write(m message, pieces int) error {
	typ := gorillaws.BinaryMessage
	if m.text {
		typ = gorillaws.TextMessage
	}
	switch pieces {
	case 1:
		return t.c.WriteMessage(typ, []byte(m.data))
	case 2:
		prepared, err := gorillaws.NewPreparedMessage(typ, []byte(m.data))
		if err != nil {
			return err
		}
		return t.c.WritePreparedMessage(prepared)
	}
	w, err := t.c.NextWriter(typ)
	if err != nil {
		return err
	}
	return cutUp(w, m.data, pieces)
}

func (t gorillaTalker) hangUp() { t.c.Close() }

type coderTalker struct{ c *coderws.Conn }

func acceptCoder(w http.ResponseWriter, r *http.Request, m mode) (talker, error) {
	c, err := coderws.Accept(w, r, &coderws.AcceptOptions{CompressionMode: coderCompression(m), CompressionThreshold: 1})
	if err == nil {
		c.SetReadLimit(websocket.DefaultReadLimit)
	}
	return coderTalker{c}, err
}

func dialCoder(ctx context.Context, dial dialer, m mode) (talker, *http.Response, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	c, response, err := coderws.Dial(ctx, url, &coderws.DialOptions{HTTPClient: client, CompressionMode: coderCompression(m), CompressionThreshold: 1})
	if err == nil {
		c.SetReadLimit(websocket.DefaultReadLimit)
	}
	return coderTalker{c}, response, err
}

func coderCompression(m mode) coderws.CompressionMode {
	switch {
	case m.takeover:
		return coderws.CompressionContextTakeover
	case m.offer != "":
		return coderws.CompressionNoContextTakeover
	}
	return coderws.CompressionDisabled
}

func (t coderTalker) read() (message, error) {
	typ, data, err := t.c.Read(context.Background())
	return message{typ == coderws.MessageText, string(data)}, err
}

func (t coderTalker) write(m message, pieces int) error {
	typ := coderws.MessageBinary
	if m.text {
		typ = coderws.MessageText
	}
	if pieces == 1 {
		return t.c.Write(context.Background(), typ, []byte(m.data))
	}
	w, err := t.c.Writer(context.Background(), typ)
	if err != nil {
		return err
	}
	return cutUp(w, m.data, pieces)
}

func (t coderTalker) hangUp() { t.c.CloseNow() }
