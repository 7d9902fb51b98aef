package hocket

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/wire"
)

// house is a server on a network in memory.
type house struct {
	srv    *Server
	http   *http.Server
	conns  chan net.Conn
	served chan struct{}
	closed chan struct{} // nil until the server is asked to stop
}

// transcriptConfig is the configuration that the README of the transcripts describes.
func transcriptConfig(seed uint64) Config {
	keep := History{Count: 1000}
	return Config{
		MethodSchemas: map[string]string{"refuse": `{"type":["null","integer"]}`},
		Node:          "n1", Anonymous: true, Portable: true, Loops: 2, KeepMemory: true,
		APIKeys: []string{transcriptKey},
		Broker:  broker.NewMemory(broker.MemoryConfig{Seed: seed, Scatter: true}),
		Log:     slog.New(slog.DiscardHandler),
		Channels: []Rule{
			{Pattern: "ticker:>", History: keep, Publish: PublishServer},
			{Pattern: "short:>", History: History{Count: 2}},
			{Pattern: "strict:>", History: keep, Overflow: OverflowDisconnect},
			{Pattern: "refill:>", History: History{Count: 5000}, Overflow: OverflowRefill},
			{Pattern: "latest:>", History: keep, Overflow: OverflowLatest},
			{Pattern: "sampled:>", History: keep, Sample: 250 * time.Millisecond},
			{Pattern: "sealed:>", History: keep, E2E: true},
			{Pattern: "form:>", History: keep,
				Schema: `{"type":"object","required":["text"],"properties":{"text":{"type":"string","maxLength":8}}}`},
			{Pattern: "asked:>", History: keep, Ask: CanSubscribe | CanPublish},
		},
		Hooks:    Hooks{OnSubscribe: mayFollow, OnPublish: mayPublish},
		Fallback: Rule{History: keep, Presence: true},
	}
}

// mayFollow is what the application says of subscriptions.
func mayFollow(_ context.Context, q SubscribeQuestion) (answer SubscribeAnswer, err error) {
	switch q.Channel {
	case "asked:full":
		err = &Error{Code: 10042, Name: "room_full", Message: "the room is full"}
	case "asked:talk":
		answer.Capabilities = map[string][]string{"talk:>": {"publish", "publishes 2/s"}}
	case "asked:more":
		answer.Capabilities = map[string][]string{"talk:>": {"publishes 10/s burst 3"}}
	}
	return answer, err
}

// mayPublish is what it says of entries.
func mayPublish(_ context.Context, q PublishQuestion) (answer PublishAnswer, err error) {
	switch string(q.Payload) {
	case `"refuse this"`:
		err = dialect.Errorf(dialect.PermissionDenied, "not this")
	case `"change this"`:
		answer.Payload = []byte(`"changed"`)
	}
	return answer, err
}

func openHouse(cfg Config) (*house, error) {
	srv, err := New(cfg)
	if err != nil {
		return nil, err
	}
	srv.Handle("echo", func(_ context.Context, c Call) (any, error) { return json.RawMessage(c.Payload), nil })
	srv.Handle("refuse", func(context.Context, Call) (any, error) {
		return nil, &Error{Code: 10001, Name: "sold_out", Message: "there are none left"}
	})
	srv.Handle("fail", func(context.Context, Call) (any, error) { return nil, errors.New("a secret of the server") })
	srv.Handle("panic", func(context.Context, Call) (any, error) { panic("a mistake in a method") })
	srv.Handle("wait", func(ctx context.Context, _ Call) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
	h := &house{srv: srv, http: &http.Server{Handler: srv}, conns: make(chan net.Conn), served: make(chan struct{})}
	go func() {
		defer close(h.served)
		_ = h.http.Serve(h)
	}()
	return h, nil
}

// Accept implements net.Listener, with the methods below.
func (h *house) Accept() (net.Conn, error) {
	if c, ok := <-h.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// Close leaves it to stop to end the network.
func (h *house) Close() error { return nil }

// Addr is the address of the network.
func (h *house) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8000} }

// close ends the server as SIGTERM does.
func (h *house) close() {
	h.closed = make(chan struct{})
	go func() {
		defer close(h.closed)
		_ = h.srv.Close(context.Background())
	}()
}

// stop ends the server, unless it has been asked to, and then the network.
func (h *house) stop() {
	if h.closed == nil {
		h.close()
	}
	<-h.closed
	close(h.conns)
	_ = h.http.Close()
	<-h.served
}

// server starts the server when there is none.
func (p *play) server() *house {
	if p.house == nil {
		p.open(func(*Config) {})
	}
	return p.house
}

func (p *play) open(change func(*Config)) {
	cfg := transcriptConfig(uint64(p.step.line))
	change(&cfg)
	var err error
	if p.house, err = openHouse(cfg); err != nil {
		p.failf("%v", err)
	}
}

// openWith starts the server as words say.
func (p *play) openWith(words []string) {
	p.open(func(c *Config) {
		for _, word := range words {
			var err error
			name, value, _ := strings.Cut(word, "=")
			switch name {
			case "open":
			case "closed":
				c.Anonymous = false
			case "lag_age":
				c.Limits.LagAge, err = time.ParseDuration(value)
			case "lag_bytes":
				c.Limits.LagBytes, err = strconv.ParseInt(value, 10, 64)
			case "tokens":
				c.Tokens = Tokens{Keys: []TokenKey{{Secret: transcriptSecret}}, Audience: []string{transcriptAudience}}
			case "publishes":
				err = c.Limits.Rates.Session.Publishes.UnmarshalText([]byte(value))
			case "refusals":
				err = c.Limits.Rates.Refusals.UnmarshalText([]byte(value))
			case "ephemeral_keys":
				c.Limits.EphemeralKeys, err = strconv.Atoi(value)
			case "named_members":
				c.Limits.NamedMembers, err = strconv.Atoi(value)
			default:
				p.failf("%s is not known", word)
			}
			if err != nil {
				p.failf("%v", err)
			}
		}
	})
}

// end cuts every line and sees that the server has freed what its clients held.
func (p *play) end() {
	for _, peer := range p.peers {
		peer.cut()
	}
	if p.house == nil {
		return
	}
	synctest.Wait()
	if n := p.house.srv.Sessions(); n != 0 && !p.t.Failed() {
		p.t.Errorf("%s: %d sessions are left", p.path, n)
	}
	if n := p.house.srv.hub.Stats().Cursors; n != 0 && !p.t.Failed() {
		p.t.Errorf("%s: %d cursors are left", p.path, n)
	}
	p.house.stop()
}

// direct does what a line with "=" asks for.
func (p *play) direct(text string) {
	verb, rest, _ := strings.Cut(text, " ")
	switch verb {
	case "server":
		p.openWith(strings.Fields(rest))
	case "restart":
		p.nothingMore()
		p.house.stop()
		synctest.Wait()
		p.open(func(*Config) {})
	case "stop":
		p.house.close()
	case "connect":
		p.dial(rest)
		p.greeted()
	case "dial":
		p.dial(rest)
	case "cut":
		p.peer().cut()
	case "close":
		code, _ := strconv.Atoi(rest)
		p.peer().frame(wire.Close, wire.AppendClosePayload(nil, wire.CloseCode(code), ""))
	case "mute":
		p.peer().set(func(c *peer) { c.mute = true })
	case "stall":
		p.peer().set(func(c *peer) { c.gate = make(chan struct{}) })
	case "resume":
		synctest.Wait() // what was published before is looked at before
		p.peer().set(func(c *peer) { close(c.gate); c.gate = nil })
	case "binary":
		p.peer().frame(wire.Binary, []byte(rest))
	case "frame":
		p.peer().raw(p.hex(rest))
	case "large":
		size, msg, _ := strings.Cut(rest, " ")
		n, _ := strconv.Atoi(size)
		p.peer().frame(wire.Text, []byte(msg+strings.Repeat(" ", n-len(msg))))
	case "publish":
		channel, payload, _ := strings.Cut(rest, " ")
		p.publish(channel, payload)
	case "fill":
		p.fillChannel(rest)
	case "remove":
		p.remove(rest)
	case "send":
		p.sendEvent(rest)
	case "token", "forge":
		p.token(rest, verb == "forge")
	case "ticket":
		p.ticket(rest)
	case "revoke":
		p.api("revoke", rest, new(struct{}))
	default:
		p.failf("= %s is not known", verb)
	}
}

func (p *play) publish(channel, payload string) {
	if _, err := p.server().srv.Publish(context.Background(), channel, json.RawMessage(payload)); err != nil {
		p.failf("%v", err)
	}
}

// remove takes out of a channel the entry at an offset, a key, or the history.
func (p *play) remove(text string) {
	words := strings.Split(p.fill(text), " ")
	var r Removal
	switch words[1] {
	case "history":
		r.UpTo = broker.MaxOffset
	case "key":
		r.Key = words[2]
	case "offset":
		r.Offset, _ = strconv.ParseUint(words[2], 10, 64)
	}
	if _, err := p.server().srv.Remove(context.Background(), words[0], r); err != nil {
		p.failf("%v", err)
	}
}

// fillChannel publishes so many strings of so many letters, where it says so of so many keys in turn.
func (p *play) fillChannel(text string) {
	var channel string
	var count, size int
	keys := 0 // none
	if n, err := fmt.Sscanf(text, "%s %d %d %d", &channel, &count, &size, &keys); n < 3 {
		p.failf("%v", err)
	}
	for i := range count {
		e := broker.Entry{Payload: []byte(`"` + strings.Repeat("a", size) + `"`)}
		if keys > 0 {
			e.Key = fmt.Sprint("k", i%keys)
		}
		if _, err := p.server().srv.PublishEntry(context.Background(), channel, e); err != nil {
			p.failf("%v", err)
		}
		synctest.Wait() // so that it does not depend on the scheduler what a client gets before it stalls
	}
}

// sendEvent sends to a session or to a user.
func (p *play) sendEvent(text string) {
	words := strings.SplitN(p.fill(text), " ", 3)
	session, user := words[1], ""
	if words[0] == "user" {
		session, user = "", words[1]
	}
	if _, err := p.server().srv.node.Send(context.Background(), session, user, []byte(words[2]), broker.JSON); err != nil {
		p.failf("%v", err)
	}
}

func (p *play) hex(text string) []byte {
	var b []byte
	if _, err := fmt.Sscanf(strings.ReplaceAll(text, " ", ""), "%x", &b); err != nil {
		p.failf("%v", err)
	}
	return b
}

// greeted takes the greeting and learns the name of the session.
func (p *play) greeted() {
	msg, _ := p.peer().take()
	var greeting struct {
		Type    string
		Payload struct{ Session string }
	}
	if err := json.Unmarshal([]byte(msg), &greeting); err != nil || greeting.Type != "connected" {
		p.failf("was greeted with %q (%s)", msg, p.peer().ending())
	}
	p.bound[fmt.Sprintf("session:%d", p.step.client)] = greeting.Payload.Session
}

// dial opens a client's connection.
func (p *play) dial(text string) {
	text = p.fill(text)
	query, protocols, _ := strings.Cut(text, " ")
	if !strings.HasPrefix(query, "?") {
		query, protocols = "", text
	}
	if old := p.peers[p.step.client]; old != nil {
		p.nothingMore()
		old.cut()
		synctest.Wait()
	}
	near, far := net.Pipe()
	p.server().conns <- far
	c := &peer{nc: near, writes: make(chan []byte, 1024)}
	p.peers[p.step.client] = c
	request := "GET /v1/ws" + query + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if protocols != "" {
		request += "Sec-WebSocket-Protocol: " + protocols + "\r\n"
	}
	go c.pump()
	c.raw([]byte(request + "\r\n"))
	go c.read()
	synctest.Wait()
}

// peer is a client: a plain WebSocket that answers pings.
type peer struct {
	nc     net.Conn
	writes chan []byte
	out    []byte // the transcript's: not yet sent

	mu   sync.Mutex
	got  []string      // messages not yet taken
	end  string        // how the connection has ended, "" while it has not
	mute bool          // pings are not answered
	gate chan struct{} // closed when reading goes on; nil while it does
	gone bool          // cut
}

func (c *peer) set(change func(*peer)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func (c *peer) stalled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gate != nil
}

// write adds a frame to what flush sends at once.
func (c *peer) write(op wire.Opcode, payload []byte) {
	c.out = wire.AppendMaskedFrame(c.out, op, [4]byte{1, 2, 3, 4}, payload)
}

func (c *peer) flush() {
	c.raw(c.out)
	c.out = nil
}

func (c *peer) frame(op wire.Opcode, payload []byte) {
	c.raw(wire.AppendMaskedFrame(nil, op, [4]byte{1, 2, 3, 4}, payload))
}

func (c *peer) raw(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		c.writes <- b
	}
}

// cut breaks the line; nothing that has been sent is taken back.
func (c *peer) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	close(c.writes)
	if c.gate != nil {
		close(c.gate)
		c.gate = nil
	}
	c.nc.Close()
}

func (c *peer) pump() {
	for b := range c.writes {
		_, _ = c.nc.Write(b) // reading says when the line is broken
	}
}

func (c *peer) peek() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.got) == 0 {
		return "", false
	}
	return c.got[0], true
}

func (c *peer) take() (string, bool) {
	msg, ok := c.peek()
	if ok {
		c.set(func(c *peer) { c.got = c.got[1:] })
	}
	return msg, ok
}

// ending says how the connection has ended, in the words of a transcript.
func (c *peer) ending() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == "" {
		return "open"
	}
	return c.end
}

// over notes how the connection has ended; the first account of it holds.
func (c *peer) over(end string) {
	c.set(func(c *peer) {
		if c.end == "" {
			c.end = end
		}
	})
}

// read takes what the server sends until the connection ends.
func (c *peer) read() {
	in := bufio.NewReader(c.nc)
	answer, err := http.ReadResponse(in, nil)
	switch {
	case err != nil:
		c.over("lost")
		return
	case answer.StatusCode != http.StatusSwitchingProtocols:
		var body struct{ Error struct{ Reason string } }
		_ = json.NewDecoder(answer.Body).Decode(&body) // without a reason the transcript will not match
		c.over(fmt.Sprintf("refused %d %s", answer.StatusCode, body.Error.Reason))
		return
	}
	dec, whole := wire.NewDecoder(wire.Client, nil), wire.Assembler{}
	buf := make([]byte, 4096)
	for {
		c.mu.Lock()
		gate := c.gate
		c.mu.Unlock()
		if gate != nil {
			<-gate
		}
		n, err := in.Read(buf)
		if !c.decode(&dec, &whole, buf[:n]) {
			_, _ = io.Copy(io.Discard, in) // until the server ends it
			return
		}
		if err != nil {
			c.over("lost")
			return
		}
	}
}

// decode answers false when the server has closed.
func (c *peer) decode(dec *wire.Decoder, whole *wire.Assembler, b []byte) bool {
	for len(b) > 0 {
		ev, n, err := dec.Next(b)
		if err != nil {
			c.over("broken " + err.Error())
			return false
		}
		b = b[n:]
		switch ev.Kind {
		case wire.KindData:
			if msg, done := whole.Add(ev); done {
				c.set(func(c *peer) { c.got = append(c.got, string(msg)) })
			}
		case wire.KindPing:
			c.mu.Lock()
			mute := c.mute
			c.mu.Unlock()
			if !mute {
				c.frame(wire.Pong, ev.Payload)
			}
		case wire.KindClose:
			c.frame(wire.Close, wire.AppendClosePayload(nil, ev.Code, ""))
			c.over(strings.TrimSpace(fmt.Sprintf("close %d %s", ev.Code, ev.Payload)))
			return false
		}
	}
	return true
}
