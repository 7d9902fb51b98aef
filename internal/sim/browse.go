package sim

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"hocket.dev/client"
)

// browse reads, with the SDK, a part of a log or a state that it need not follow.
func (k *kit) browse(c *client.Client, channel string) {
	d := &k.dice
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	if kinds[channel].state && d.chance(50) {
		r := &stateReading{who: k.name, channel: channel, byScore: d.chance(50), limit: d.between(1, 6)}
		most := d.between(1, 4)
		k.w.acting.Go(func() {
			defer cancel()
			k.state(ctx, c, r, "", most)
		})
		return
	}
	r := &reading{who: k.name, channel: channel, limit: d.between(1, 40), askedAt: k.w.now()}
	opts := &client.HistoryOptions{Limit: r.limit}
	_, f := k.w.truth.recent(channel, d)
	switch kind := d.n(3); {
	case f == nil:
	case kind == 0:
		r.after, r.hasAfter, opts.After = f.Offset, true, &f.Offset
	case kind == 1:
		r.before, opts.Before = f.Offset, &f.Offset
	}
	k.w.acting.Go(func() {
		defer cancel()
		page, err := c.History(ctx, channel, opts)
		if !k.readable(channel, err) {
			return
		}
		r.answeredAt = k.w.now()
		r.page.position, r.page.More, r.page.Messages = position(page.Position), page.More, raw(page.Messages)
		k.w.set(func() { k.w.readings = append(k.w.readings, r) })
	})
}

// state reads a page of a state, and perhaps those after it.
func (k *kit) state(ctx context.Context, c *client.Client, r *stateReading, next string, most int) {
	r.askedAt = k.w.now()
	page, err := c.ReadState(ctx, r.channel, &client.ReadStateOptions{ByScore: r.byScore, Limit: r.limit, Next: next})
	if !k.readable(r.channel, err) {
		return
	}
	r.answeredAt = k.w.now()
	r.page.position, r.page.Count, r.page.Next, r.page.Messages = position(page.Position), page.Count, page.Next, raw(page.Messages)
	k.w.set(func() { k.w.states = append(k.w.states, r) })
	if n := len(page.Messages); page.Next != "" && n > 0 && most > 1 {
		after := &stateReading{who: r.who, channel: r.channel, byScore: r.byScore, limit: r.limit}
		after.behind = k.w.truth.lookUp(r.channel, page.Epoch, page.Messages[n-1].Position.Offset)
		k.state(ctx, c, after, page.Next, most-1)
	}
}

// readable says that a read has brought something, and checks that there is a reason where it has not.
func (k *kit) readable(channel string, err error) bool {
	var why *client.Error
	switch {
	case err == nil:
		return true
	case errors.Is(err, client.ErrClosed), errors.Is(err, context.DeadlineExceeded):
	case errors.As(err, &why) && k.w.excuses(&failure{Code: why.Code}):
	default:
		k.w.fault(channel, k.name, k.w.now(), "the SDK could not read: %v", err)
	}
	return false
}

// raw are messages as they came to the SDK.
func raw(all []client.Message) (msgs []incoming) {
	for _, m := range all {
		in := incoming{Offset: m.Position.Offset, Time: m.Time.UnixMilli(), Payload: m.Payload, Key: m.Key, Op: m.Op, Tags: m.Tags, Score: m.Score}
		if in.Op == "set" {
			in.Op = ""
		}
		if m.Binary {
			in.Encoding = "base64"
			in.Payload, _ = json.Marshal(base64.StdEncoding.EncodeToString(m.Payload))
		}
		if m.From != nil {
			in.From = &author{m.From.Session, m.From.User}
		}
		msgs = append(msgs, in)
	}
	return msgs
}
