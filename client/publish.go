package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"hocket.dev/dialect"
)

// PublishOptions change what Publish does. nil and the zero value are the same.
type PublishOptions struct {
	// Key makes the entry one about this key of a keyed log; Op is "set" (or ""), "append" or "delete".
	Key, Op string
	// NoEcho keeps the entry from this client's own subscription.
	NoEcho bool
	// Tags travel with the entry: at most 16, names of 1 to 64 bytes, values of at most 256.
	Tags map[string]string
	// Expect makes the publish conditional: the newest entry of the key, or of the channel where Key is "", must have this
	// offset, 0 for none; new(at) makes one. Otherwise a *ConflictError tells which one it has.
	Expect *uint64
	// TTL is how long the entry, and with it the value of its key, is kept, in whole milliseconds; 0 leaves it to the
	// channel's rule.
	TTL time.Duration
	// Score sorts the key among the others, see ReadState and Map.Top.
	Score float64
	// Ephemeral deletes the key when this client is gone: for cursors, and for who is typing.
	Ephemeral bool
	// IdempotencyKey makes the publish known by name, so that another process may repeat it; 1 to 64 bytes. Without it
	// the client numbers its publishes, which is enough for repetitions of its own.
	IdempotencyKey string
}

// Publish appends an entry to a channel and waits until the log holds it. The payload is sent as JSON, a json.RawMessage
// as it is, a []byte as bytes that are no JSON; nil, with the op "delete", as none.
//
// While there is no connection Publish waits for one; when the connection is lost before the answer the publish is sent
// again and applied once. When ctx ends the outcome is unknown, and with an *UnknownOutcomeError. Other errors are an *Error or
// a *ConflictError, and nothing was published.
// Publishes of one goroutine to one channel stand in their order.
func (c *Client) Publish(ctx context.Context, channel string, payload any, opts *PublishOptions) (Position, error) {
	o, err := opts.request(channel, payload)
	if err != nil {
		return Position{}, err
	}
	if err := c.seal(ctx, &o); err != nil {
		return Position{}, err
	}
	reply, err := c.do(ctx, o, true)
	if err != nil {
		return Position{}, err
	}
	return published(channel, reply)
}

// published reads the reply to a publish.
func published(channel string, reply json.RawMessage) (at Position, err error) {
	if err := json.Unmarshal(reply, &at); err != nil {
		return Position{}, fmt.Errorf("client: publish to %q: the reply makes no sense: %w", channel, err)
	}
	return at, nil
}

// request makes the request to publish.
func (opts *PublishOptions) request(channel string, payload any) (outgoing, error) {
	if opts == nil {
		opts = &PublishOptions{}
	}
	if err := opts.check(); err != nil {
		return outgoing{}, err
	}
	o := outgoing{
		Type: "publish", Channel: channel, Key: opts.Key, Op: opts.Op, Tags: opts.Tags, IdempotencyKey: opts.IdempotencyKey,
		Expect: opts.Expect, Score: opts.Score, Ephemeral: opts.Ephemeral,
		TTLMS: opts.TTL.Milliseconds(),
	}
	if opts.TTL%time.Millisecond > 0 {
		o.TTLMS++
	}
	if opts.NoEcho {
		o.Echo = new(bool)
	}
	if raw, ok := payload.([]byte); ok {
		payload, o.Encoding = base64.StdEncoding.EncodeToString(raw), "base64"
	}
	if payload != nil || opts.Op != "delete" {
		var err error
		if o.Payload, err = marshal(payload); err != nil {
			return o, err
		}
	}
	return o, nil
}

// check tells what would not come to the server as it stands here: JSON has no NaN and no bytes that are no UTF-8, and a life
// that is over would round to none.
func (opts *PublishOptions) check() error {
	switch {
	case math.IsNaN(opts.Score) || math.IsInf(opts.Score, 0):
		return &Error{Code: int(dialect.InvalidRange), Name: "invalid_range", Message: fmt.Sprintf("Score must be a finite number, not %v", opts.Score)}
	case opts.TTL < 0:
		return &Error{Code: int(dialect.InvalidRange), Name: "invalid_range", Message: fmt.Sprintf("TTL must not be negative, as %v is", opts.TTL)}
	case !utf8.ValidString(opts.Key):
		return &Error{Code: int(dialect.InvalidKey), Name: "invalid_key", Message: "Key must be valid UTF-8"}
	}
	return nil
}

// Call calls a method of the program behind the server and stores its result in what result points to, as json.Unmarshal
// does; nil drops it. The payload is sent as JSON.
//
// While there is no connection Call waits for one. When the connection is lost before the answer the error is
// ErrConnectionLost: a method may have effects, so the call is not repeated. Other errors are an *Error, or ctx's.
func (c *Client) Call(ctx context.Context, method string, payload, result any) error {
	b, err := marshal(payload)
	if err != nil {
		return err
	}
	reply, err := c.do(ctx, outgoing{Type: "call", Method: method, Payload: b}, false)
	if err != nil || result == nil {
		return err
	}
	if len(reply) == 0 {
		reply = json.RawMessage("null")
	}
	if err := json.Unmarshal(reply, result); err != nil {
		return fmt.Errorf("client: call %q: the result does not fit: %w", method, err)
	}
	return nil
}
