package broker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestLikeTheNaiveChannel publishes, removes and lets time pass at random, and compares every answer with that of a
// channel that is too simple to be wrong.
func TestLikeTheNaiveChannel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &pair{T: t, clock: newClock(), sink: &recorder{}, naive: newNaive()}
		p.b = NewMemory(MemoryConfig{Now: p.clock.now, Seed: 1, Scatter: rapid.Bool().Draw(t, "scatter")})
		p.b.standIn(p.sink)
		p.b.Follow([]string{"a"})
		p.naive.epoch = p.b.find("a").epoch
		t.Repeat(map[string]func(*rapid.T){
			"publish": p.publish,
			"more":    p.publish,
			"wait":    p.wait,
			"sweep":   p.sweep,
			"remove":  p.remove,
			"":        p.ask,
		})
	})
}

// A pair is a broker and its model, side by side.
type pair struct {
	*rapid.T
	clock *clock
	b     *Memory
	sink  *recorder
	naive *naive
	told  int // entries of the sink that the model knows
}

func (p *pair) now() int64 { return p.clock.ms.Load() }

func (p *pair) publish(t *rapid.T) {
	e := Entry{
		Key:            rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "key"),
		Payload:        []byte(rapid.SampledFrom([]string{`"x"`, `"yy"`, `1`}).Draw(t, "payload")),
		Score:          float64(rapid.IntRange(-1, 2).Draw(t, "score")),
		TTL:            time.Duration(rapid.SampledFrom([]int{0, 0, 1, 5, 50}).Draw(t, "ttl")) * time.Millisecond,
		IdempotencyKey: rapid.SampledFrom([]string{"", "", "", "n1", "n2"}).Draw(t, "name"),
	}
	if e.Key != "" {
		e.Op = rapid.SampledFrom([]Op{Set, Set, Append, Delete}).Draw(t, "op")
	}
	r := Retention{
		Count:   rapid.SampledFrom([]int{0, 3, 20, 20}).Draw(t, "count"),
		Bytes:   rapid.SampledFrom([]int64{0, 0, 700}).Draw(t, "bytes"),
		Age:     time.Duration(rapid.SampledFrom([]int{0, 0, 20}).Draw(t, "age")) * time.Millisecond,
		Deletes: time.Duration(rapid.SampledFrom([]int{0, 10}).Draw(t, "deletes")) * time.Millisecond,
	}
	newest := p.naive.newest(e.Key, r, p.now())
	if rapid.IntRange(0, 3).Draw(t, "expecting") == 0 {
		e.HasExpect, e.Expect = true, rapid.SampledFrom([]uint64{0, newest, p.naive.head.Offset}).Draw(t, "expect")
	}
	fits := p.naive.fits(&e, r, p.now())
	ended := p.naive.ended(e.Key, r, p.now())
	receipt, err := publish(p.b, "a", e, r)
	var conflict *ConflictError
	switch was := p.naive.names[e.IdempotencyKey]; {
	case was != nil:
		if err != nil || !receipt.Duplicate || receipt.Offset != was.Offset {
			t.Fatalf("%+v, %v; it was published at %d", receipt, err, was.Offset)
		}
		return
	case e.HasExpect && e.Expect != newest:
		if !errors.As(err, &conflict) || conflict.Position != (Position{p.naive.epoch, newest}) {
			t.Fatalf("%d is expected, %d the newest: %+v, %v", e.Expect, newest, receipt, err)
		}
		p.take(1, ended)
		return
	case !fits:
		if err != ErrConflict {
			t.Fatalf("an append that does not fit: %+v, %v", receipt, err)
		}
		p.take(1, ended)
		return
	case err != nil || receipt.Duplicate:
		t.Fatalf("%+v, %v", receipt, err)
	}
	p.take(1, ended)
	p.naive.keep = r
	got := p.take(1, true)[0]
	if got.Offset != receipt.Offset || got.Key != e.Key || got.Op != e.Op {
		t.Fatalf("%+v is delivered for %+v", got, e)
	}
	if e.IdempotencyKey != "" {
		p.naive.names[e.IdempotencyKey] = got
	}
}

// take hands the model n entries that were delivered, if they should have been.
func (p *pair) take(n int, should bool) []*Entry {
	p.Helper()
	if !should {
		n = 0
	}
	if len(p.sink.entries) < p.told+n {
		p.Fatalf("%d entries delivered, want %d", len(p.sink.entries), p.told+n)
	}
	took := p.sink.entries[p.told : p.told+n]
	for _, e := range took {
		if e.Prev != p.naive.head.Offset || e.Offset <= e.Prev || e.Time != p.now() {
			p.Fatalf("%+v follows %+v at %d", e, p.naive.head, p.now())
		}
		p.naive.push(e, p.now())
	}
	p.told += n
	return took
}

func (p *pair) wait(t *rapid.T) {
	p.clock.ms.Add(rapid.SampledFrom([]int64{0, 1, 4, 15, 60}).Draw(t, "ms"))
}

// sweep does what Run does from time to time. The values that have reached their end, and no others, get their Delete.
func (p *pair) sweep(*rapid.T) {
	ends := map[string]bool{}
	for key := range p.naive.values {
		if p.naive.ended(key, p.naive.keep, p.now()) {
			ends[key] = true
		}
	}
	p.clock.pass(p.b, 0)
	p.naive.trim(p.now())
	p.naive.forget(p.now())
	for range len(ends) {
		e := p.take(1, true)[0]
		if !ends[e.Key] || e.Op != Delete || e.Headers[ExpiredHeader] != "1" || e.From != nil {
			p.Fatalf("%v have reached their end, %+v is delivered", ends, e)
		}
		delete(ends, e.Key)
	}
}

func (p *pair) remove(t *rapid.T) {
	r := Removal{}
	switch offset := p.drawOffset(t); rapid.IntRange(0, 3).Draw(t, "which") {
	case 0:
		r.UpTo = max(1, offset)
	case 1:
		r.Key = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
		r.UpTo = rapid.SampledFrom([]uint64{0, offset}).Draw(t, "up to")
	default:
		r.Offset = max(1, offset)
	}
	want, wantErr := p.naive.remove(r, p.now())
	if got, err := p.b.Remove(context.Background(), "a", r); got != want || err != wantErr {
		t.Fatalf("%+v answers %d, %v; want %d, %v", r, got, err, want, wantErr)
	}
}

func (p *pair) drawOffset(t *rapid.T) uint64 {
	offsets := []uint64{0, p.naive.head.Offset, p.naive.head.Offset + 1}
	for _, e := range p.sink.entries {
		offsets = append(offsets, e.Offset)
	}
	return rapid.SampledFrom(offsets).Draw(t, "offset")
}

// ask compares answers to questions of every kind.
func (p *pair) ask(t *rapid.T) {
	if len(p.sink.entries) != p.told {
		t.Fatalf("%d entries delivered, want %d", len(p.sink.entries), p.told)
	}
	offset, limit := p.drawOffset(t), rapid.IntRange(1, 6).Draw(t, "limit")
	for _, q := range []Query{
		{HasAfter: true, Limit: 100},
		{HasAfter: true, After: offset, Limit: limit},
		{HasAfter: true, After: offset, Limit: limit, Epoch: "another"},
		{Before: max(1, offset), Limit: limit},
		{Since: p.now() - rapid.Int64Range(0, 20).Draw(t, "ago"), Limit: limit},
		{Limit: limit},
	} {
		got, err := p.b.Read(context.Background(), "a", q)
		p.compare(q, p.naive.read(q, p.now()), got, err)
	}
	score := float64(rapid.IntRange(-2, 3).Draw(t, "after score"))
	for _, q := range []StateQuery{
		{Limit: 100},
		{After: offset, Limit: limit},
		{After: offset, Limit: limit, Deletes: true},
		{Order: ByScore, Limit: 100},
		{Order: ByScore, Limit: limit, After: offset, AfterScore: score, HasAfterScore: true},
	} {
		got, err := p.b.State(context.Background(), "a", q)
		p.compare(q, p.naive.state(q, p.now()), got, err)
	}
	want := len(p.naive.state(StateQuery{Limit: 100}, p.now()).Entries)
	if keys, err := p.b.Keys(context.Background(), "a"); err != nil || keys != want {
		t.Fatalf("%d keys, %v; want %d", keys, err, want)
	}
	checkTotals(t, p.b)
}

// compare compares pages but for the payloads of Deletes, which a state leaves out.
func (p *pair) compare(q any, want, got Page, err error) {
	p.Helper()
	for _, page := range []*Page{&want, &got} {
		if len(page.Entries) == 0 {
			page.Entries = nil
		}
		for i, e := range page.Entries {
			if e.Op == Delete {
				bare := *e
				bare.Payload = nil
				page.Entries[i] = &bare
			}
		}
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		p.Fatalf("%v, answer to %+v differs (-naive +got):\n%s", err, q, diff)
	}
}
