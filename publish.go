package hocket

import (
	"context"
	"encoding/json"
	"fmt"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
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
	if e.Format == broker.JSON && e.Op != broker.Delete {
		if err := jsonval.Check(e.Payload, maxDepth); err != nil {
			return Receipt{}, dialect.Errorf(dialect.InvalidPayload, "the payload is not JSON: %v", err)
		}
	}
	type answer struct {
		receipt Receipt
		err     *dialect.Error
	}
	done := make(chan answer, 1)
	s.node.Publish(channel, e, func(r Receipt, err *dialect.Error) { done <- answer{r, err} })
	select {
	case a := <-done:
		if a.err != nil {
			return Receipt{}, a.err
		}
		return a.receipt, nil
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
