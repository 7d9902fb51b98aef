package hocket

import (
	"context"
	"encoding/json"
	"fmt"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/rule"
)

// Receipt is the answer to a publish: the position of the new entry.
type Receipt = broker.Receipt

// Publish appends a payload to a channel and waits until the log holds it. The payload is sent as JSON; a
// json.RawMessage is taken as it is. The error is an *Error, or ctx's: then the outcome is unknown.
func (s *Server) Publish(ctx context.Context, channel string, payload any) (Receipt, error) {
	b, err := marshal(payload)
	if err != nil {
		return Receipt{}, err
	}
	return s.PublishEntry(ctx, channel, broker.Entry{Payload: b, Format: broker.JSON})
}

// PublishEntry is Publish for an entry with a key, an idempotency key or tags. The payload, which must not be changed
// afterwards, is checked to be what Format says.
func (s *Server) PublishEntry(ctx context.Context, channel string, e broker.Entry) (Receipt, error) {
	if err := rule.CheckChannel(channel); err != nil {
		return Receipt{}, dialect.Errorf(dialect.InvalidChannel, "%v", err)
	}
	if e.Format == broker.JSON && e.Op != broker.Delete {
		if err := jsonval.Check(e.Payload, maxDepth); err != nil {
			return Receipt{}, dialect.Errorf(dialect.InvalidPayload, "the payload is not JSON: %v", err)
		}
	}
	h := s.rules.For(channel).History
	type answer struct {
		receipt Receipt
		err     error
	}
	done := make(chan answer, 1)
	s.broker.Publish(channel, e, broker.Retention{Count: h.Count, Bytes: h.Bytes, Age: h.Age},
		func(r Receipt, err error) { done <- answer{r, err} })
	select {
	case a := <-done:
		return a.receipt, a.err
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
}

// maxDepth is how deep a payload may be nested.
const maxDepth = 127

func marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("hocket: payload: %w", err)
	}
	return b, nil
}
