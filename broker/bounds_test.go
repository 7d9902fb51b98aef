package broker

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestOldestEntriesGoFirst(t *testing.T) {
	c := newClock()
	e := Entry{Payload: make([]byte, 1000-128)} // 1000 bytes by Entry.Size
	b := NewMemory(MemoryConfig{Now: c.now, MaxBytes: 100_000})
	defer run(t, b, &recorder{})()
	for i := range 80 {
		c.ms.Add(1)
		must(t, b, fmt.Sprint("c", i%8), e, Retention{Count: 1000})
	}
	quiet := must(t, b, "quiet", e, Retention{Count: 1000})
	for range 75 {
		c.ms.Add(1)
		must(t, b, "busy", e, Retention{Count: 1000})
	}
	if n := b.logged.Load(); n > 100_000 || n < 90_000 {
		t.Errorf("%d bytes are held, want a little under 100,000", n)
	}
	oldest := int64(1 << 62)
	for i := range 8 {
		page, _ := b.Read(t.Context(), fmt.Sprint("c", i), Query{HasAfter: true})
		if page.Complete {
			t.Errorf("c%d is said to be complete", i)
		}
		for _, e := range page.Entries {
			oldest = min(oldest, e.Time)
		}
	}
	if oldest < 1_000_000+50 {
		t.Errorf("an entry from %d is left, and later ones are not", oldest)
	}
	page, _ := b.Read(t.Context(), "quiet", Query{HasAfter: true})
	if len(page.Entries) != 1 || page.Head != quiet.Offset {
		t.Errorf("the quiet channel has lost a recent entry: %+v", page)
	}
}

func TestValuesOfKeysAreNotEvictedButRefused(t *testing.T) {
	b := NewMemory(MemoryConfig{MaxBytes: 20_000})
	defer run(t, b, &recorder{})()
	r := Retention{Count: 100}
	taken := 0
	for {
		if _, err := publish(b, "a", Entry{Key: fmt.Sprint(taken)}, r); err == ErrBusy {
			break
		} else if err != nil || taken > 1000 {
			t.Fatalf("%d keys taken, %v", taken, err)
		}
		taken++
	}
	if n, _ := b.Keys(t.Context(), "a"); n != taken || b.logged.Load()+b.held.Load() > 21_000 {
		t.Errorf("%d keys of %d, %d bytes", n, taken, b.logged.Load()+b.held.Load())
	}
	if _, err := publish(b, "b", Entry{IdempotencyKey: "k"}, r); err != ErrBusy {
		t.Errorf("a publish to be remembered: %v", err)
	}
	must(t, b, "b", Entry{}, r)
	must(t, b, "a", Entry{Key: "0", Op: Delete}, r)
	must(t, b, "a", Entry{Key: "1", Op: Delete}, r)
	must(t, b, "a", Entry{Key: "new"}, r)
}

// Where values fill all there is, a publish does not look through all channels for an entry to give up: with a million of them that
// takes many milliseconds.
func TestRoomIsNotLookedForForLong(t *testing.T) {
	const most = 2_000_000
	b := NewMemory(MemoryConfig{MaxBytes: most})
	defer run(t, b, &recorder{})()
	r := Retention{Count: 100}
	for i := range 5 * looked {
		must(t, b, fmt.Sprint(i), Entry{Key: "k"}, r)
	}
	for i, err := 0, error(nil); err != ErrBusy; i++ {
		if _, err = publish(b, "full", Entry{Key: fmt.Sprint(i), Payload: make([]byte, 100)}, r); i > 100_000 {
			t.Fatalf("there is room for everything: %v", err)
		}
	}
	for i := range 1000 {
		must(t, b, fmt.Sprint(i), Entry{Payload: make([]byte, 1000)}, r)
		if n := b.logged.Load() + b.held.Load(); n > most+2000 {
			t.Fatalf("after %d more there are %d bytes", i, n)
		}
	}
	for range 100 * looked { // what the last of them have left
		if b.logged.Load() == 0 {
			break
		}
		b.makeRoom(b.shards[0].list[0])
	}
	at := b.evictAt
	if c := b.oldest(); c != nil {
		t.Fatalf("%s has something to give up", c.name)
	}
	walked := 0
	for one := make([]*channel, 1); at != b.evictAt; walked += b.walk(&at, one) {
	}
	if walked < looked || walked > looked+sampled {
		t.Errorf("it was looked for among %d channels more, want %d, or has gone round", walked, looked)
	}
}

func TestChannelsAreBounded(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now, MaxChannels: 3})
	defer run(t, b, &recorder{})()
	for i := range 3 {
		must(t, b, fmt.Sprint(i), Entry{}, Retention{})
	}
	if _, err := publish(b, "3", Entry{}, Retention{}); err != ErrBusy {
		t.Errorf("a fourth channel: %v", err)
	}
	must(t, b, "2", Entry{}, Retention{})
	b.Follow([]string{"4"})
	must(t, b, "4", Entry{}, Retention{})
	b.Unfollow([]string{"4"})
	c.pass(b, time.Hour)
	must(t, b, "3", Entry{}, Retention{})
}

// TestARefusedPublishCreatesNoChannel has each way to be refused, and a channel that is followed, which stays.
func TestARefusedPublishCreatesNoChannel(t *testing.T) {
	b := NewMemory(MemoryConfig{MaxChannels: 2})
	defer run(t, b, &recorder{})()
	r := Retention{Count: 1}
	for name, e := range map[string]Entry{
		"an expect that does not hold": {HasExpect: true, Expect: 7},
		"an append without a key":      {Op: Append},
		"an append of what is no text": {Op: Append, Key: "a", Payload: []byte("1")},
	} {
		for range 3 {
			_, err := publish(b, "none", e, r)
			var conflict *ConflictError
			if !errors.Is(err, ErrConflict) || errors.As(err, &conflict) && conflict.Position != (Position{}) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if names, err := b.Channels(t.Context(), "", 10); err != nil || len(names) != 0 || b.count.Load() != 0 {
			t.Errorf("%s: there are %v, %v", name, names, err)
		}
	}
	b.Follow([]string{"followed"})
	before, _ := b.Heads(t.Context(), []string{"followed"})
	if _, err := publish(b, "followed", Entry{HasExpect: true, Expect: 7}, r); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	if after, _ := b.Heads(t.Context(), []string{"followed"}); after[0] != before[0] || after[0].Epoch == "" {
		t.Errorf("the followed channel was at %v and is at %v", before, after)
	}
	must(t, b, "none", Entry{HasExpect: true}, r)
}

func TestEntriesCountWhatTheyCarry(t *testing.T) {
	bare := new(Entry).Size()
	e := Entry{
		Key: "key", Payload: []byte("payload"), Client: "client", IdempotencyKey: "idempotency",
		From: &Member{Session: "session", User: "user"}, Headers: map[string]string{"h": "header"},
	}
	if got, want := e.Size()-bare, int64(len("keypayloadclientidempotencysessionuserhheader")+32); got != want {
		t.Errorf("what an entry carries counts for %d bytes, want %d", got, want)
	}
}

func TestRingGivesMemoryBack(t *testing.T) {
	c := newClock()
	b := NewMemory(MemoryConfig{Now: c.now})
	defer run(t, b, &recorder{})()
	for range 1000 {
		must(t, b, "a", Entry{}, Retention{Count: 1000, Age: time.Minute})
	}
	must(t, b, "a", Entry{}, Retention{Count: 10})
	for range 10 {
		c.pass(b, time.Second)
	}
	if n := len(b.find("a").log.ring); n > 64 {
		t.Errorf("a ring of %d for 10 entries", n)
	}
	page, err := b.Read(t.Context(), "a", Query{HasAfter: true})
	if err != nil || len(page.Entries) != 10 || page.Entries[0].Offset != 992 {
		t.Errorf("entries after shrinking: %+v, %v", page, err)
	}
}

func TestFoldedValuesDoNotChangeAfterwards(t *testing.T) {
	b := NewMemory(MemoryConfig{})
	defer run(t, b, &recorder{})()
	own := append(make([]byte, 0, 64), `"a"`...) // spare room, which is not the broker's
	must(t, b, "a", Entry{Key: "k", Payload: own}, Retention{Count: 10})
	var pages []Page
	for range 4 {
		page, _ := b.State(t.Context(), "a", StateQuery{})
		pages = append(pages, page)
		must(t, b, "a", Entry{Key: "k", Op: Append, Payload: []byte(`"b"`)}, Retention{Count: 10})
	}
	for i, want := range []string{`"a"`, `"ab"`, `"abb"`, `"abbb"`} {
		if got := string(pages[i].Entries[0].Payload); got != want {
			t.Errorf("value %d is %s, want %s", i, got, want)
		}
	}
	if spare := string(own[:4]); spare != "\"a\"\x00" {
		t.Errorf("the publisher's bytes are %q", spare)
	}
}

func TestUnfollowedEntriesAreNotDeliveredLate(t *testing.T) {
	b := NewMemory(MemoryConfig{})
	sink := &recorder{}
	sink.deliver = func(channel string, e *Entry) {
		if e.Offset == 1 {
			b.Publish(channel, Entry{}, Retention{}, nil)
			b.Unfollow([]string{channel})
		}
	}
	defer run(t, b, sink)()
	b.Follow([]string{"a"})
	must(t, b, "a", Entry{}, Retention{})
	if len(sink.entries) != 1 {
		t.Errorf("%d entries delivered, want 1", len(sink.entries))
	}
}

func TestPublishAllocatesNothingButTheEntry(t *testing.T) {
	b := NewMemory(MemoryConfig{})
	defer run(t, b, quiet{})()
	b.Follow([]string{"a"})
	e := Entry{Payload: []byte(`1`)}
	done := func(Receipt, error) {}
	r := Retention{Count: 100, Age: time.Hour}
	for range 200 {
		b.Publish("a", e, r, done)
	}
	if n := testing.AllocsPerRun(1000, func() { b.Publish("a", e, r, done) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// quiet is a Sink that does nothing.
type quiet struct{}

func (quiet) Deliver(string, string, *Entry) {}
func (quiet) Gap(string)                     {}

func BenchmarkPublishOneChannel(b *testing.B) {
	m := NewMemory(MemoryConfig{})
	defer run(b, m, quiet{})()
	m.Follow([]string{"a"})
	r := Retention{Count: 1000, Age: 10 * time.Minute}
	payload := make([]byte, 128)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Publish("a", Entry{Payload: payload}, r, nil)
		}
	})
}

func BenchmarkPublishManyChannels(b *testing.B) {
	m := NewMemory(MemoryConfig{})
	defer run(b, m, quiet{})()
	var names [1024]string
	for i := range names {
		names[i] = fmt.Sprint("channel:", i)
	}
	payload := make([]byte, 128)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			m.Publish(names[i%len(names)], Entry{Payload: payload}, Retention{Count: 100}, nil)
		}
	})
}

// BenchmarkJoin is a member coming and going in a presence log of 100,000.
func BenchmarkJoin(b *testing.B) {
	m := NewMemory(MemoryConfig{MaxBytes: 1 << 30})
	defer run(b, m, quiet{})()
	r := Retention{Count: 1000}
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprint("session", i)
		must(b, m, "a", Entry{Key: keys[i]}, r)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key := keys[i%len(keys)]
		m.Publish("a", Entry{Key: key, Op: Delete}, r, nil)
		m.Publish("a", Entry{Key: key}, r, nil)
	}
}

// BenchmarkAppendToken is one token added to a value that grows to 10,000 of them.
func BenchmarkAppendToken(b *testing.B) {
	m := NewMemory(MemoryConfig{})
	defer run(b, m, quiet{})()
	r := Retention{Count: 100}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		op := Append
		if i%10_000 == 0 {
			op = Set
		}
		m.Publish("a", Entry{Key: "answer", Op: op, Payload: []byte(`" token"`)}, r, nil)
	}
}

func (quiet) Removed(string, Removal) {}
