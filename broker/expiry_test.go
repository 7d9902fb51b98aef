package broker

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// runInBubble runs a broker in virtual time until f returns.
func runInBubble(t *testing.T, cfg MemoryConfig, sink Sink, f func(b *Memory)) {
	synctest.Test(t, func(t *testing.T) {
		b := NewMemory(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx, sink) }()
		<-b.Ready()
		f(b)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Values end within a few milliseconds of their time, whether it is near or far, and whether there are earlier ones.
func TestValuesEndPromptly(t *testing.T) {
	sink := &recorder{}
	late := map[string]time.Duration{}
	due := map[string]time.Time{}
	sink.deliver = func(_ string, e *Entry) {
		if e.Op == Delete {
			late[e.Key] = time.Since(due[e.Key])
		}
	}
	runInBubble(t, MemoryConfig{}, sink, func(b *Memory) {
		b.Follow([]string{"a"})
		write := func(key string, ttl time.Duration) {
			due[key] = time.Now().Add(ttl)
			must(t, b, "a", Entry{Key: key, TTL: ttl}, Retention{Count: 10})
		}
		write("far", time.Hour)
		write("near", 30*time.Millisecond)
		<-time.After(5 * time.Second)
		write("nearer", 700*time.Millisecond)
		write("renewed", 600*time.Millisecond)
		<-time.After(500 * time.Millisecond)
		write("renewed", 10*time.Minute)
		<-time.After(2 * time.Hour)
		synctest.Wait()
		for _, key := range []string{"far", "near", "nearer", "renewed"} {
			if d, ok := late[key]; !ok || d < 0 || d > 2*endEvery {
				t.Errorf("%s has ended: %v, %v late", key, ok, d)
			}
		}
		if len(late) != 4 || len(sink.entries) != 9 {
			t.Errorf("%d keys have ended, %d entries are delivered; want 4 and 9", len(late), len(sink.entries))
		}
	})
}

// What ends in the far future, or is renewed, does not wake Run.
func TestRunSleepsUntilValuesEnd(t *testing.T) {
	var looks atomic.Int64
	now := func() time.Time { looks.Add(1); return time.Now() }
	runInBubble(t, MemoryConfig{Now: now}, &recorder{}, func(b *Memory) {
		must(t, b, "a", Entry{Key: "k", TTL: math.MaxInt64}, Retention{})
		must(t, b, "b", Entry{Key: "k"}, Retention{Age: math.MaxInt64})
		for range 200 {
			must(t, b, "c", Entry{Key: "k", TTL: time.Minute}, Retention{})
			<-time.After(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := looks.Load() - 200; n > 150 { // 20 s, in each of which Run sweeps
			t.Errorf("%d looks at the clock in 20 s", n)
		}
	})
}

// Run lets other channels have their turn, and is done with very many values in a moment of broker time.
func TestManyValuesEndAtOnce(t *testing.T) {
	const keys = 20_000
	sink := &recorder{}
	runInBubble(t, MemoryConfig{}, sink, func(b *Memory) {
		b.Follow([]string{"a"})
		for i := range keys {
			must(t, b, "a", Entry{Key: fmt.Sprint(i), TTL: time.Second}, Retention{Count: 10})
			must(t, b, "b", Entry{Key: fmt.Sprint(i), TTL: time.Second}, Retention{Count: 10})
		}
		<-time.After(1100 * time.Millisecond)
		synctest.Wait()
		if n := len(sink.entries); n != 2*keys {
			t.Errorf("%d entries are delivered, want %d", n, 2*keys)
		}
		for _, name := range []string{"a", "b"} {
			if n, err := b.Keys(t.Context(), name); n != 0 || err != nil {
				t.Errorf("%s has %d keys, %v", name, n, err)
			}
		}
		// Nobody follows b; its head has moved all the same, and who comes back is told what is gone.
		page, err := b.State(t.Context(), "b", StateQuery{After: keys, Deletes: true, Limit: 2 * keys})
		if err != nil || !page.Complete || len(page.Entries) != keys || page.Head != 2*keys {
			t.Errorf("state of b: %d entries, complete %v, head %d, %v", len(page.Entries), page.Complete, page.Head, err)
		}
		// With its deletes forgotten, the log empty and nobody there, a channel is dropped; with a log it is not.
		must(t, b, "c", Entry{Key: "k", TTL: time.Second}, Retention{})
		<-time.After(5 * time.Minute)
		if epoch(t, b, "c") == "" {
			t.Error("a channel is dropped while it remembers a delete")
		}
		<-time.After(6 * time.Minute)
		if epoch(t, b, "c") != "" || epoch(t, b, "b") == "" {
			t.Errorf("epochs are %q and %q", epoch(t, b, "c"), epoch(t, b, "b"))
		}
	})
}

// A sink that is busy holds up neither Run nor the bound of what waits for it.
func TestValuesEndBehindABusySink(t *testing.T) {
	sink := &recorder{}
	runInBubble(t, MemoryConfig{}, sink, func(b *Memory) {
		busy := make(chan struct{}) // of the bubble, so that its time goes on
		sink.deliver = func(_ string, e *Entry) {
			if e.Key == "" {
				<-busy
			}
		}
		const keys = maxPending + 500
		for i := range keys {
			must(t, b, "a", Entry{Key: fmt.Sprint(i), TTL: time.Second}, Retention{Count: 10})
		}
		must(t, b, "other", Entry{Key: "k", TTL: 2 * time.Second}, Retention{})
		b.Follow([]string{"a"})
		go b.Publish("a", Entry{}, Retention{Count: 10}, nil)
		<-time.After(5 * time.Second)
		synctest.Wait()
		if c := b.find("a"); len(c.pending) != maxPending {
			t.Errorf("%d entries wait, want %d", len(c.pending), maxPending)
		}
		if n := b.find("other").state.values; n != 0 {
			t.Error("another channel's value has not ended")
		}
		if n, _ := b.Keys(t.Context(), "a"); n != 0 {
			t.Errorf("%d values are shown after their end", n)
		}
		close(busy)
		<-time.After(100 * time.Millisecond)
		synctest.Wait()
		if n := len(sink.entries); n != 1+keys {
			t.Errorf("%d entries are delivered, want %d", n, 1+keys)
		}
	})
}

// In a log that is long, entries whose TTL has passed are not looked for at once. They are not shown, and are not lost
// when they leave.
func TestPassedEntriesOfALongLog(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now})
	b.standIn(&recorder{})
	r := Retention{Count: 1000}
	for range 499 {
		must(t, b, "a", Entry{TTL: time.Second}, r)
	}
	must(t, b, "a", Entry{TTL: time.Millisecond}, r)
	c.ms.Add(1)
	must(t, b, "a", Entry{}, r) // looks at all
	c.ms.Add(1000)
	must(t, b, "a", Entry{}, r)
	if n := b.find("a").log.n; n != 501 {
		t.Fatalf("the log holds %d entries: this test wants it not to have looked", n)
	}
	for _, q := range []Query{{HasAfter: true}, {}, {Since: 1}, {Before: 1000}} {
		if page, _ := b.Read(t.Context(), "a", q); len(page.Entries) != 2 || page.More || !page.Complete {
			t.Errorf("answer to %+v: %+v", q, page)
		}
	}
	must(t, b, "a", Entry{}, Retention{Count: 3})
	if page, _ := b.Read(t.Context(), "a", Query{HasAfter: true}); len(page.Entries) != 3 || !page.Complete {
		t.Errorf("after a trim: %+v", page)
	}
	c.pass(b, time.Second)
	if l := &b.find("a").log; l.n != 3 || l.bytes != 3*128 || l.mortal != 0 {
		t.Errorf("%d entries, %d bytes, %d mortal are left", l.n, l.bytes, l.mortal)
	}
}

// What is remembered of deleted keys is bounded, and who relies on what was forgotten is told.
func TestDeletesAreBounded(t *testing.T) {
	b := NewMemory(MemoryConfig{})
	b.standIn(&recorder{})
	large := make([]byte, 10_000)
	for _, headers := range []map[string]string{nil, {"large": string(large)}} {
		name := fmt.Sprint(len(headers))
		var deleted []uint64
		for i := range maxDeletes + 10 {
			key := fmt.Sprint(i)
			must(t, b, name, Entry{Key: key}, Retention{})
			deleted = append(deleted, must(t, b, name, Entry{Key: key, Op: Delete, Headers: headers}, Retention{}).Offset)
		}
		s := &b.find(name).state
		if s.deleted > maxDeletes || s.delBytes > maxDeleteBytes || s.deleted < 100 || len(s.cells) != s.deleted || len(s.deletes.list) > 2*s.deleted+32 {
			t.Errorf("%d deletes in %d bytes are remembered, %d cells, %d marks", s.deleted, s.delBytes, len(s.cells), len(s.deletes.list))
		}
		for back, complete := range map[int]bool{s.deleted: false, s.deleted - 1: true} {
			after := deleted[len(deleted)-1-back] - 1
			if page, _ := b.State(t.Context(), name, StateQuery{After: after, Deletes: true}); page.Complete != complete {
				t.Errorf("complete is %v, %d deletes back", page.Complete, back)
			}
		}
	}
}

// Memory under pressure gives up deletes like entries of logs, and remembers no new ones when there is no room at all.
func TestDeletesMakeRoom(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now, MaxBytes: 100_000})
	b.standIn(&recorder{})
	for i := range 1000 {
		c.ms.Add(1)
		must(t, b, fmt.Sprint(i%8), Entry{Key: fmt.Sprint(i)}, Retention{})
		must(t, b, fmt.Sprint(i%8), Entry{Key: fmt.Sprint(i), Op: Delete}, Retention{})
	}
	if n := b.logged.Load() + b.held.Load(); n > 101_000 || n < 90_000 {
		t.Errorf("%d bytes are held, want about 100,000", n)
	}
	for i := 0; ; i++ {
		if _, err := publish(b, "full", Entry{Key: fmt.Sprint(i)}, Retention{}); err == ErrBusy {
			break
		} else if err != nil || i > 1000 {
			t.Fatal(i, err)
		}
	}
	at := must(t, b, "full", Entry{Key: "0", Op: Delete}, Retention{})
	page, _ := b.State(t.Context(), "full", StateQuery{After: at.Offset - 1, Deletes: true})
	if page.Complete || b.find("full").state.deleted != 0 {
		t.Errorf("without room for it, the delete is remembered: %+v", page)
	}
}

// Who has come as far as between two Deletes of a key, and was told of neither, learns of the second from the state.
func TestTheNewestDeleteOfAKeyIsRemembered(t *testing.T) {
	b := NewMemory(MemoryConfig{})
	defer run(t, b, &recorder{})()
	must(t, b, "a", Entry{Key: "k", Payload: []byte(`1`)}, Retention{})
	must(t, b, "a", Entry{Key: "k", Op: Delete}, Retention{})
	between := must(t, b, "a", Entry{Key: "other", Payload: []byte(`1`)}, Retention{})
	again := must(t, b, "a", Entry{Key: "k", Op: Delete}, Retention{})
	must(t, b, "a", Entry{Key: "never was", Op: Delete}, Retention{})
	page, err := b.State(t.Context(), "a", StateQuery{After: between.Offset, Deletes: true})
	if err != nil || !page.Complete || len(page.Entries) != 1 || page.Entries[0].Key != "k" || page.Entries[0].Offset != again.Offset {
		t.Errorf("%+v, %v", page, err)
	}
}
