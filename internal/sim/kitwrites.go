package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hocket.dev/client"
)

// publish sends something, on a goroutine of its own, as long as the world lasts.
func (k *kit) publish(c *client.Client, channel string) {
	k.count++
	p := &publication{
		who: k.name, text: fmt.Sprintf("%s.%d;", k.name, k.count), channel: channel, op: "set", echo: !k.dice.chance(30),
		sentAt: k.w.now(), seq: uint64(k.count), sessions: []string{k.id},
	}
	opts := client.PublishOptions{NoEcho: !p.echo}
	of := kinds[channel]
	if k.dice.chance(of.keys) {
		p.key, p.op = fmt.Sprintf("k%d", k.dice.n(of.names)), pick(&k.dice, []string{"set", "append", "delete"})
		opts.Key, opts.Op = p.key, p.op
	}
	if of.state && k.maps { // else its map has not what it writes itself
		p.echo, opts.NoEcho = true, false
	}
	p.tags = tags(&k.dice)
	opts.Tags = p.tags
	if of.scored && p.op != "delete" {
		p.score = float64(k.dice.n(9)-3) / 2
		opts.Score = p.score
	}
	if p.op != "delete" && k.dice.chance(of.fleeting) {
		p.ttl = time.Duration(pick(&k.dice, lifetimes)) * time.Millisecond
		opts.TTL = p.ttl
	}
	var payload any = p.text
	if p.payload = `"` + p.text + `"`; p.key == "" && k.dice.chance(15) {
		p.binary, p.payload, payload = true, p.text, []byte(p.text)
	}
	if k.dice.chance(10) {
		p.conditional, p.expect = true, k.w.truth.guess(channel, p.key, &k.dice)
		opts.Expect = new(p.expect)
	}
	k.w.mu.Lock()
	k.w.sent = append(k.w.sent, p)
	k.w.counts.Publishes++
	k.w.mu.Unlock()
	k.mu.Lock()
	m := k.held[channel]
	k.mu.Unlock()
	if m != nil && p.key != "" && p.op == "set" && k.dice.chance(40) {
		k.w.acting.Go(func() { k.update(m, p, &opts) })
		return
	}
	k.w.acting.Go(func() {
		at, err := c.Publish(context.Background(), channel, payload, &opts)
		k.published(p, position(at), err)
	})
}

// update changes a value as its map has it, once that is whole. Where it was not the newest, the SDK does so once more.
func (k *kit) update(m *client.Map, p *publication, opts *client.PublishOptions) {
	p.conditional = true
	err := m.Update(context.Background(), p.key, opts, func(old client.Message) (any, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		p.expect, p.sentAt = old.Position.Offset, k.w.now()
		return p.text, nil
	})
	if err == nil {
		k.hasSince(m, p)
	}
	if errors.Is(err, client.ErrClosed) { // perhaps it was waiting for its map to have what it had written
		err = errors.Join(err, new(client.UnknownOutcomeError))
	}
	k.published(p, k.w.truth.place(p.channel, p.text), err)
}

// place is where a text stands, in the newest log that has it; the zero position for nowhere.
func (t *truth) place(channel, text string) (at position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.logs[channel].allEpochs() {
		for _, f := range e.entries {
			if textOf(f) == text {
				at = position{e.name, f.Offset}
			}
		}
	}
	return at
}

// published takes what came of a publish.
func (k *kit) published(p *publication, at position, err error) {
	now := k.w.now()
	k.w.note(k.name, fmt.Sprintf("published %s to %s: %v %v", p.text, p.channel, at, err))
	k.mu.Lock()
	defer k.mu.Unlock()
	unknown, conflict := new(client.UnknownOutcomeError), new(client.ConflictError)
	switch {
	case err == nil:
		p.acked, p.ackedAt, p.position = true, now, at
	case errors.As(err, &unknown):
		p.failed++
	case errors.As(err, &conflict):
		p.denials = append(p.denials, answer{position: position(conflict.Position), askedAt: p.sentAt, answeredAt: now})
		p.refused++
	default:
		p.refused++
	}
}
