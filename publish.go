package hocket

import (
	"context"
	"encoding/json"
	"fmt"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
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

// PublishEntry is Publish for an entry with a key, a condition, a life, a score, an idempotency key or tags:
//
//	srv.PublishEntry(ctx, "flags", broker.Entry{Key: "dark", Payload: []byte("true"), Expect: at, HasExpect: true})
//
// The payload, which must not be changed afterwards, is checked to be what Format says, and what stands beside it has the
// bounds that the protocol has: a Key of at most 512 bytes, for instance. Where Expect does not hold, the
// *Error has the code dialect.Conflict, and in Position what is there.
func (s *Server) PublishEntry(ctx context.Context, channel string, e broker.Entry) (Receipt, error) {
	if err := native.CheckEntry(&e); err != nil {
		return Receipt{}, err
	}
	if e.Format == broker.JSON && (e.Op != broker.Delete || len(e.Payload) > 0) {
		if err := jsonval.Check(e.Payload, maxDepth); err != nil {
			return Receipt{}, dialect.Errorf(dialect.InvalidPayload, "the payload must be JSON that everybody reads alike: %v", err)
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

// Removal says which entries to take out of a channel: exactly one of UpTo, Offset and Key is set. An UpTo behind the newest
// entry, such as broker.MaxOffset, means all there are.
type Removal = broker.Removal

// Remove takes entries out of a channel's log and answers how many those were; none is no error. What has been sent to
// clients stays with them: a key is deleted first, so that they learn of it. The error is an *Error, "not_supported" where
// the broker cannot.
func (s *Server) Remove(ctx context.Context, channel string, r Removal) (int, error) {
	if err := native.CheckRemoval(&r); err != nil {
		return 0, err
	}
	n, err := s.node.Remove(ctx, channel, r)
	if err != nil {
		return 0, err
	}
	return n, nil
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
