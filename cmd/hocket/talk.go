package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"hocket.dev/client"
)

// server says which server a command talks to.
type server struct {
	URL  string `name:"url" default:"ws://127.0.0.1:8000/v1/ws" env:"HOCKET_URL" placeholder:"URL" help:"WebSocket address of the server (default ws://127.0.0.1:8000/v1/ws)."`
	User string `placeholder:"NAME" help:"Name of the user, where the server lets clients name themselves."`

	Token string `env:"HOCKET_TOKEN" placeholder:"TOKEN" help:"Signed token that proves who the client is; hocket token makes one."`
}

// dial connects. Lost connections are reported on standard error, and made anew by the client.
func (s *server) dial(ctx context.Context, std streams) (*client.Client, error) {
	lost := false
	var token func(context.Context) (string, error)
	if s.Token != "" {
		token = func(context.Context) (string, error) { return s.Token, nil }
	}
	return client.Dial(ctx, s.URL, &client.Options{User: s.User, Token: token, OnConnection: func(err error) {
		switch {
		case err != nil:
			fmt.Fprintf(std.err, "hocket: connection lost: %v; trying again\n", err)
		case lost:
			fmt.Fprintln(std.err, "hocket: connected again")
		}
		lost = err != nil
	}})
}

// subCmd prints what channels bring.
type subCmd struct {
	server   `embed:""`
	Channels []string `arg:"" name:"channel" help:"Channels to subscribe to."`

	Last  int           `xor:"from" placeholder:"N" help:"Begin with the newest N entries."`
	Since time.Duration `xor:"from" placeholder:"TIME" help:"Begin with the entries of the last TIME, such as 10m."`
	State bool          `xor:"from" help:"Begin with the latest entry of every key."`
	Count int           `short:"n" placeholder:"N" help:"Stop after N messages."`
}

// Help is the second part of `hocket sub --help`.
func (subCmd) Help() string {
	return `Prints one JSON object per line: messages; "gap" where the server says which offsets were left out; "reset" where the log began anew. A lost connection is made again and goes on from the last message.

Examples:
  hocket sub ticker:demo
  hocket sub --last 50 chat:lobby chat:help
  hocket sub -n 1 --url wss://rt.example.com/v1/ws news`
}

// Run prints messages until ctx ends or there have been enough.
func (s *subCmd) Run(ctx context.Context, std streams) error {
	c, err := s.dial(ctx, std)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer c.Close()
	out := &printer{w: std.out, left: s.Count, enough: func() {}}
	ctx, out.enough = context.WithCancel(ctx)
	defer out.enough()
	var readers sync.WaitGroup
	failures := make(chan error, len(s.Channels))
	for _, channel := range s.Channels {
		sub, err := c.Subscribe(ctx, channel, &client.SubscribeOptions{From: s.from()})
		if err != nil {
			failures <- fmt.Errorf("subscribe to %s: %w", channel, err)
			out.enough()
			break
		}
		readers.Go(func() {
			if err := follow(ctx, sub, out); err != nil {
				failures <- fmt.Errorf("%s: %w", channel, err)
				out.enough()
			}
		})
	}
	readers.Wait()
	select {
	case err := <-failures:
		return interrupted(ctx, err)
	default:
		return nil
	}
}

func (s *subCmd) from() client.Start {
	switch {
	case s.Last > 0:
		return client.Last(s.Last)
	case s.Since > 0:
		return client.Since(s.Since)
	case s.State:
		return client.State()
	}
	return client.Live()
}

// interrupted leaves out the error that comes of being asked to stop.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func follow(ctx context.Context, sub *client.Subscription, out *printer) error {
	for {
		m, err := sub.Next(ctx)
		if err != nil {
			return interrupted(ctx, err)
		}
		if err := out.print(line(&m)); err != nil {
			return err
		}
	}
}

// A printer writes lines, of several goroutines, until there have been enough.
type printer struct {
	mu     sync.Mutex
	w      io.Writer
	left   int // how many lines are wanted; 0 or less for all
	enough func()
	closed bool
}

func (p *printer) print(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	if _, err := p.w.Write(append(b, '\n')); err != nil {
		return err
	}
	if p.left--; p.left == 0 {
		p.closed = true
		p.enough()
	}
	return nil
}

// printed is a message as a line; the fields are those of the protocol.
type printed struct {
	Type     string            `json:"type"`
	Channel  string            `json:"channel"`
	Epoch    string            `json:"epoch"`
	Offset   uint64            `json:"offset"`
	Time     int64             `json:"time,omitempty"`
	Payload  json.RawMessage   `json:"payload,omitempty"`
	Encoding string            `json:"encoding,omitempty"`
	From     *client.Member    `json:"from,omitempty"`
	Key      string            `json:"key,omitempty"`
	Op       string            `json:"op,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Score    float64           `json:"score,omitempty"`
}

func line(m *client.Message) printed {
	p := printed{
		Type: m.Kind.String(), Channel: m.Channel, Epoch: m.Position.Epoch, Offset: m.Position.Offset,
		From: m.From, Key: m.Key, Tags: m.Tags, Score: m.Score,
	}
	switch {
	case m.Kind == client.Gap:
		p.Payload, _ = json.Marshal(map[string]any{"from": m.GapFrom, "to": m.GapTo, "reason": m.Reason})
		return p
	case m.Kind == client.Reset || m.Kind == client.Sync:
		return p
	case m.Binary:
		p.Encoding = "base64"
		p.Payload, _ = json.Marshal(base64.StdEncoding.EncodeToString(m.Payload))
	default:
		p.Payload = m.Payload
	}
	p.Time = m.Time.UnixMilli()
	if m.Op != "set" {
		p.Op = m.Op
	}
	return p
}

// pubCmd publishes once.
type pubCmd struct {
	server  `embed:""`
	Channel string `arg:"" help:"Channel to publish to."`
	Data    string `arg:"" help:"JSON, or any text, which is published as a JSON string; - reads it from standard input."`

	Key            string            `placeholder:"KEY" help:"Key of the entry."`
	Op             string            `placeholder:"OP" enum:"set,append,delete" default:"set" help:"What the entry does to its key: set, append or delete (default set)."`
	Tag            map[string]string `placeholder:"NAME=VALUE" help:"Tag of the entry; may be repeated."`
	IdempotencyKey string            `placeholder:"KEY" help:"Name by which a repetition of this publish is known, and not applied again."`
	Timeout        time.Duration     `default:"10s" placeholder:"TIME" help:"How long to wait for the answer (default 10s)."`
}

// Help is the second part of `hocket pub --help`.
func (pubCmd) Help() string {
	return `Prints the position of the new entry, once the log holds it: {"epoch":"k3","offset":42}.

Examples:
  hocket pub chat:lobby '{"text":"hello"}'
  hocket pub chat:lobby hello                  (the same as '"hello"')
  hocket pub board:7 --key pin-4 '{"x":3}'
  date | hocket pub log -`
}

// Run publishes.
func (p *pubCmd) Run(ctx context.Context, std streams) error {
	payload, err := data(p.Data, std.in)
	if err != nil {
		return err
	}
	ctx, cancel := patience(ctx, p.Timeout)
	defer cancel()
	c, err := p.dial(ctx, std)
	if err != nil {
		return err
	}
	defer c.Close()
	opts := &client.PublishOptions{Key: p.Key, Tags: p.Tag, IdempotencyKey: p.IdempotencyKey}
	if p.Op != "set" {
		opts.Op = p.Op
	}
	at, err := c.Publish(ctx, p.Channel, payload, opts)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", p.Channel, cause(ctx, err))
	}
	return json.NewEncoder(std.out).Encode(at)
}

// data makes a payload of an argument.
func data(arg string, in io.Reader) (json.RawMessage, error) {
	b := []byte(arg)
	if arg == "-" {
		var err error
		if b, err = io.ReadAll(in); err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		b = bytes.TrimSuffix(b, []byte("\n"))
	}
	if json.Valid(b) {
		return b, nil
	}
	return json.Marshal(string(b))
}

// patience returns a context that ends after d, with a cause for people.
func patience(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer within %v", d))
}

// cause explains an error that says no more than that ctx has ended.
func cause(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

// callCmd calls a method.
type callCmd struct {
	server  `embed:""`
	Method  string        `arg:"" help:"Method to call."`
	Data    string        `arg:"" optional:"" default:"null" help:"JSON, or any text, which is sent as a JSON string; - reads it from standard input."`
	Timeout time.Duration `default:"10s" placeholder:"TIME" help:"How long to wait for the answer (default 10s)."`
}

// Help is the second part of `hocket call --help`.
func (callCmd) Help() string {
	return `Prints the method's result, as JSON.

Examples:
  hocket call time
  hocket call echo '{"a":1}'`
}

// Run calls.
func (m *callCmd) Run(ctx context.Context, std streams) error {
	payload, err := data(m.Data, std.in)
	if err != nil {
		return err
	}
	ctx, cancel := patience(ctx, m.Timeout)
	defer cancel()
	c, err := m.dial(ctx, std)
	if err != nil {
		return err
	}
	defer c.Close()
	var result json.RawMessage
	if err := c.Call(ctx, m.Method, payload, &result); err != nil {
		return fmt.Errorf("call %s: %w", m.Method, cause(ctx, err))
	}
	_, err = fmt.Fprintf(std.out, "%s\n", result)
	return err
}
