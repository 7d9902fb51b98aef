package api

import (
	"bytes"
	"context"
	"encoding/json"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
	"hocket.dev/internal/jsonval"
)

// maxMany is how many channels a broadcast and how many commands a batch may have.
const maxMany = 1000

// publication is one entry on its way.
type publication struct {
	channel string
	entry   broker.Entry
	receipt broker.Receipt
	err     *dialect.Error
}

// makeEntry makes the entry that c asks for. It keeps nothing of the request's body.
func makeEntry(c *dialect.Command) (e broker.Entry, err *dialect.Error) {
	a := &c.Publish
	switch {
	case c.Err != nil:
		return e, c.Err
	case a.Ephemeral:
		return e, dialect.Errorf(dialect.NotSupported, "ephemeral is for clients: a back end has no session that could end")
	case a.Seq != 0:
		return e, dialect.Errorf(dialect.NotSupported, "seq is for clients: a back end gives an idempotency_key")
	}
	e = broker.Entry{
		Key: a.Key, Op: a.Op, Format: c.Format, Payload: bytes.Clone(c.Payload),
		Expect: a.Expect, HasExpect: a.HasExpect, TTL: a.TTL, Score: a.Score,
	}
	if a.IdempotencyKey != "" {
		e.IdempotencyKey = "b:" + a.IdempotencyKey // apart from those of users, whose begin with other letters
	}
	for name, value := range a.Tags {
		if e.Headers == nil {
			e.Headers = make(map[string]string, len(a.Tags))
		}
		e.Headers[dialect.TagHeader+name] = value
	}
	return e, nil
}

// append publishes, in the order given, what has no err yet and the key opens, and waits for the outcomes.
func (h *Handler) append(ctx context.Context, all []publication) {
	type outcome struct {
		index   int
		receipt broker.Receipt
		err     *dialect.Error
	}
	outcomes := make(chan outcome, len(all)) // room for all: who answers late is not kept waiting
	waiting := make(map[int]struct{}, len(all))
	for i := range all {
		if all[i].err == nil {
			all[i].err = permit(ctx, scopePublish, all[i].channel)
		}
		if all[i].err != nil {
			continue
		}
		waiting[i] = struct{}{}
		h.cfg.Node.Publish(all[i].channel, all[i].entry, func(r broker.Receipt, err *dialect.Error) {
			outcomes <- outcome{i, r, err}
		})
	}
	for len(waiting) > 0 {
		select {
		case o := <-outcomes:
			all[o.index].receipt, all[o.index].err = o.receipt, o.err
			delete(waiting, o.index)
		case <-ctx.Done():
			for i := range waiting {
				all[i].err = dialect.Errorf(dialect.Timeout, "the log of %s did not answer in time: whether it holds the entry "+
					"is not known; publishing again with the same idempotency_key cannot add it twice", all[i].channel)
			}
			return
		}
	}
}

// appendReceipt appends what a publication has led to.
func (p *publication) appendReceipt(dst []byte) []byte {
	return native.AppendResult(dst, &dialect.Published{
		Epoch: p.receipt.Epoch, Offset: p.receipt.Offset, Duplicate: p.receipt.Duplicate,
	})
}

func (h *Handler) publish(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	c := native.DecodeRequest(dialect.Publish, body)
	p := publication{channel: c.Channel}
	if p.entry, p.err = makeEntry(&c); p.err == nil {
		one := []publication{p}
		h.append(ctx, one)
		p = one[0]
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.appendReceipt(dst), nil
}

// broadcast publishes one payload to many channels.
func (h *Handler) broadcast(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	f, err := scan(body, "channels")
	if err != nil {
		return nil, err
	}
	channels, err := f.list("channels", "names", maxMany)
	if err != nil {
		return nil, err
	}
	c := native.DecodeEntry(body)
	entry, err := makeEntry(&c)
	if err != nil {
		return nil, err
	}
	all := make([]publication, len(channels))
	for i, v := range channels {
		name, ok := jsonval.String(v)
		if !ok {
			return nil, dialect.Errorf(dialect.InvalidChannel, "channels[%d] must be a string, not %s", i, jsonval.Kind(v))
		}
		all[i] = publication{channel: name, entry: entry}
	}
	h.append(ctx, all)
	return appendResults(dst, all, func(dst []byte, p *publication) []byte {
		dst = jsonval.AppendString(append(dst, `{"channel":`...), p.channel)
		if dst = append(dst, ','); p.err != nil {
			return append(appendError(dst, p.err), '}')
		}
		return append(dst, p.appendReceipt(nil)[1:]...)
	}), nil
}

// batch carries out many commands, each as if it had come alone; those on one channel in their order.
func (h *Handler) batch(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	f, err := scan(body, "commands")
	if err != nil {
		return nil, err
	}
	commands, err := f.list("commands", "commands", maxMany)
	if err != nil {
		return nil, err
	}
	all := make([]publication, len(commands))
	for i, command := range commands {
		all[i] = readCommand(command)
	}
	h.append(ctx, all)
	return appendResults(dst, all, func(dst []byte, p *publication) []byte {
		if p.err != nil {
			return appendFailure(dst, p.err)
		}
		return append(p.appendReceipt(append(dst, `{"result":`...)), '}')
	}), nil
}

// readCommand reads one command of a batch.
func readCommand(command json.RawMessage) (p publication) {
	f, err := scan(command, "method")
	if err != nil {
		p.err = err
		return p
	}
	switch name, ok := jsonval.String(f["method"]); {
	case !ok:
		p.err = dialect.Errorf(dialect.InvalidMessage, "method must be a string, not %s", jsonval.Kind(f["method"]))
		return p
	case name != "publish":
		p.err = dialect.Errorf(dialect.NotSupported, "a batch takes only publish")
		return p
	}
	c := native.DecodeRequest(dialect.Publish, command)
	p.channel = c.Channel
	p.entry, p.err = makeEntry(&c)
	return p
}

// appendResults appends the results of many, each in the place of what asked for it.
func appendResults(dst []byte, all []publication, result func(dst []byte, p *publication) []byte) []byte {
	dst = append(dst, `{"results":[`...)
	for i := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = result(dst, &all[i])
	}
	return append(dst, "]}"...)
}
