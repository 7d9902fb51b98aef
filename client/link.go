package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"hocket.dev/websocket"
)

// A link is one connection, admitted by the server.
type link struct {
	conn  *websocket.Conn
	limit int           // bytes a message to the server may have
	who   Member        // what the server calls this session
	can   []string      // its features
	quiet time.Duration // how long the server may say nothing, not even a heartbeat; 0 for any time

	wake chan struct{} // holds one when there is something in out
	out  [][]byte      // to be written, in order; guarded by Client.mu

	// The reader's, read by others once it has ended.
	said   *Error // the last error that belonged to no request
	goAway *goAway
}

// goAway is the server's wish that the client come back elsewhere.
type goAway struct {
	AfterMS int64  `json:"after_ms"`
	URL     string `json:"url"`
}

// connected is what the server says to a session it has admitted.
type connected struct {
	Session string `json:"session"`
	User    string `json:"user"`
	PingMS  int64  `json:"ping_ms"`

	Features []string `json:"features"`
	Limits   struct {
		MessageBytes int `json:"message_bytes"`
	} `json:"limits"`
}

// connect opens a connection and introduces the client. Where the server does not take what is new in the info, it connects
// with what a server took before.
func (c *Client) connect(ctx context.Context) (*link, error) {
	for {
		l, err := c.attempt(ctx)
		if err == nil {
			return l, nil
		}
		c.mu.Lock()
		again := c.sentInfo != nil && refusesInfo(err)
		if again {
			c.infoAnswered(err)
		} else {
			c.infoLost()
		}
		c.mu.Unlock()
		if !again {
			return nil, err
		}
	}
}

func (c *Client) attempt(ctx context.Context) (*link, error) {
	c.mu.Lock()
	address, info := c.url, c.takeNextInfo()
	c.lastID++
	id := c.lastID
	c.mu.Unlock()
	opts := websocket.DialOptions{
		Subprotocols: []string{"hocket.v1.json"}, Header: c.opts.Header, TLS: c.opts.TLS, NetDial: c.opts.NetDial,
	}
	if !c.opts.NoCompression {
		opts.Compression.Mode = websocket.CompressionOn
	}
	proved, err := c.withTicket(ctx, address)
	if err != nil {
		return nil, err
	}
	hello, err := c.hello(ctx, info)
	if err != nil {
		return nil, err
	}
	conn, response, err := websocket.Dial(ctx, proved, &opts)
	if err != nil {
		return nil, refusal(address, response, err)
	}
	conn.SetReadLimit(maxMessage)
	l := &link{conn: conn, wake: make(chan struct{}, 1)}
	if err := l.introduce(ctx, c, id, hello); err != nil {
		conn.CloseNow()
		return nil, err
	}
	return l, nil
}

// withTicket returns address with a new ticket in it, which is in no error.
func (c *Client) withTicket(ctx context.Context, address string) (string, error) {
	if c.opts.Ticket == nil {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("client: connect: %w", err)
	}
	ticket, err := c.opts.Ticket(ctx)
	if err != nil {
		return "", fmt.Errorf("client: get a ticket: %w", err)
	}
	query := u.Query()
	query.Set("ticket", ticket)
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// hello returns what introduces the client, with a new token in it.
func (c *Client) hello(ctx context.Context, info json.RawMessage) (json.RawMessage, error) {
	said := map[string]any{"user": c.opts.User, "info": info, "client": c.opts.ClientID, "heartbeat": true}
	if c.opts.Token != nil {
		token, err := c.opts.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("client: get a token: %w", err)
		}
		said["token"] = token
	}
	return marshal(said)
}

// introduce sends a connect and waits for the reply.
func (l *link) introduce(ctx context.Context, c *Client, id uint64, hello json.RawMessage) error {
	request := outgoing{Type: "connect", ID: id, Payload: hello}
	if err := l.conn.Write(ctx, websocket.Text, request.encode()); err != nil {
		return fmt.Errorf("client: connect: %w", err)
	}
	for {
		in, err := l.read(ctx)
		switch {
		case err != nil:
			if e := final(err, l.said); e != nil {
				return e
			}
			return fmt.Errorf("client: connect: %w", err)
		case in.Type == "error" && in.Error != nil:
			if in.ID != nil && *in.ID == id || in.Error.Code == tooLarge { // one that is too large is thrown away with its id
				return in.Error.error()
			}
			l.said = in.Error.error()
		case in.Type == "event": // the server knows the session before it answers
			c.handle(l, in)
		case in.Type == "reply" && in.ID != nil && *in.ID == id:
			var hi connected
			if err := json.Unmarshal(in.Payload, &hi); err != nil {
				return fmt.Errorf("client: connect: the reply makes no sense: %w", err)
			}
			l.limit, l.who = hi.Limits.MessageBytes, Member{User: hi.User, Session: hi.Session}
			l.can = hi.Features
			if hi.PingMS > 0 {
				l.quiet = time.Duration(hi.PingMS)*time.Millisecond + heartbeatGrace
			}
			return nil
		}
	}
}

// read returns the next message.
func (l *link) read(ctx context.Context) (*incoming, error) {
	typ, b, err := l.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	in := new(incoming)
	if typ != websocket.Text {
		return nil, errors.New("the server sent a binary message")
	}
	if err := json.Unmarshal(b, in); err != nil {
		return nil, fmt.Errorf("the server sent what is no message: %w", err)
	}
	return in, nil
}

var (
	errSilent = errors.New("the server has fallen silent") // not even a heartbeat came
	errGoAway = errors.New("the server asked to connect again")
)

// run reads and writes until the connection is lost, or ctx ends: then it is closed properly.
func (l *link) run(ctx context.Context, c *Client) error {
	lost, cancel := context.WithCancelCause(ctx)
	written := make(chan struct{})
	go func() {
		defer close(written)
		l.write(lost, c, cancel)
	}()
	err := l.receive(lost, c)
	cancel(err)
	<-written
	return err
}

// receive handles messages until there are no more.
func (l *link) receive(ctx context.Context, c *Client) error {
	var silent *time.Timer // nil when the server may say nothing for any time
	if l.quiet > 0 {
		silent = time.AfterFunc(l.quiet, func() { l.conn.CloseNow() })
		defer silent.Stop()
	}
	for {
		in, err := l.read(ctx)
		switch {
		case err == nil:
		case silent != nil && !silent.Stop():
			return errSilent
		default:
			return err
		}
		if silent != nil {
			silent.Reset(l.quiet)
		}
		if c.handle(l, in); l.goAway != nil {
			return errGoAway
		}
	}
}

// write writes what is queued until ctx ends, and then closes the connection.
func (l *link) write(ctx context.Context, c *Client, lost context.CancelCauseFunc) {
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			l.bye(c)
			return
		}
		c.mu.Lock()
		batch := l.out
		l.out = nil
		c.mu.Unlock()
		for _, b := range batch {
			if err := l.conn.Write(ctx, websocket.Text, b); err != nil {
				lost(err)
				l.conn.CloseNow()
				return
			}
		}
	}
}

// bye closes the connection: properly when it is this program that ends it, for the server then frees the session at
// once; at once when it is lost anyway.
func (l *link) bye(c *Client) {
	c.mu.Lock()
	ours := c.err == ErrClosed
	c.mu.Unlock()
	if ours {
		l.conn.Close(websocket.CloseNormal, "")
		return
	}
	l.conn.CloseNow()
}

// wakeUp tells the writer that there is something to write.
func (l *link) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
