package client

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"strings"
)

// endTag marks the last entry of a text.
const endTag = "end"

// Text follows a value that grows by Append, such as the answer of a language model:
//
//	for piece, err := range m.Text(ctx, "answer") {
//
// It gives what there is so far at once, then each piece as it comes, until its writer has ended it, it is deleted, or
// replaced by another one. Pieces that come while the loop is busy are given as one. The error is ctx's, or why the Map has
// ended; it comes last.
func (m *Map) Text(ctx context.Context, key string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if m.s.c.vault.covers(m.s.channel) {
			yield("", errNoAppend(m.s.channel))
			return
		}
		var text string
		began := false
		for {
			var value Message
			var has bool
			err := m.until(ctx, func() bool {
				value, has = m.values[key]
				return has && (!began || textOf(value) != text || ended(value)) || began && !has
			})
			if err != nil {
				yield("", err)
				return
			}
			more, same := strings.CutPrefix(textOf(value), text)
			if !has || !same {
				return
			}
			text, began = textOf(value), true
			if more != "" && !yield(more, nil) || ended(value) {
				return
			}
		}
	}
}

func textOf(m Message) (text string) {
	if m.Binary {
		return string(m.Payload)
	}
	_ = m.Decode(&text) // what is no text is an empty one
	return text
}

func ended(m Message) bool {
	_, ok := m.Tags[endTag]
	return ok
}

// Write publishes a text under a key, piece by piece, and ends it: what stood there is replaced, and Text, here or
// elsewhere, follows it. Pieces that come while others are under way travel together, so a fast stream makes few messages;
// Write takes no more while 64 KB wait. It returns when all of it is in the log, or with the first error, also of the
// pieces themselves. opts may be nil; its Key, Op, Expect and IdempotencyKey are not used.
func (m *Map) Write(ctx context.Context, key string, pieces iter.Seq2[string, error], opts *PublishOptions) error {
	if m.s.c.vault.covers(m.s.channel) {
		return errNoAppend(m.s.channel)
	}
	w := &writer{m: m, opts: *opts.of(key, "append")}
	w.opts.Expect, w.opts.IdempotencyKey = nil, ""
	if _, err := m.Set(ctx, key, "", &w.opts); err != nil {
		return err
	}
	for piece, err := range pieces {
		if err != nil {
			return err
		}
		w.add(piece)
		if err := w.wait(ctx, func() bool { return len(w.waiting) < maxPiece }); err != nil {
			return err
		}
	}
	if err := w.wait(ctx, func() bool { return !w.busy }); err != nil {
		return err
	}
	last := w.opts
	last.Tags = map[string]string{endTag: "1"}
	maps.Copy(last.Tags, w.opts.Tags)
	_, err := m.s.c.Publish(ctx, m.s.channel, "", &last)
	return err
}

// maxPiece bounds what waits in a writer, and so the length of a piece.
const maxPiece = 64 << 10

type writer struct {
	m    *Map
	opts PublishOptions

	// guarded by Client.mu
	busy    bool
	waiting []byte
	err     error
}

func (w *writer) add(piece string) {
	w.m.s.c.mu.Lock()
	defer w.m.s.c.mu.Unlock()
	w.waiting = append(w.waiting, piece...)
	w.send()
}

// wait waits until what is asked with the client's lock held is true, or something has failed.
func (w *writer) wait(ctx context.Context, ready func() bool) error {
	var failed error
	err := w.m.until(ctx, func() bool {
		failed = w.err
		return failed != nil || ready()
	})
	if failed != nil {
		return failed
	}
	return err
}

// send publishes what waits unless something is under way. It is called with the client's lock held.
func (w *writer) send() {
	if w.busy || w.err != nil || len(w.waiting) == 0 {
		return
	}
	c := w.m.s.c
	out, err := w.opts.request(w.m.s.channel, string(w.waiting))
	if err == nil {
		err = c.publish(out, func(_ json.RawMessage, err error) {
			w.busy, w.err = false, err
			w.send()
			w.m.stir()
		})
	}
	w.busy, w.err, w.waiting = err == nil, err, nil
}
