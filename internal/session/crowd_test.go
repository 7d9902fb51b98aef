package session

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"hocket.dev/dialect"
)

// TestACrowdIsCounted fills a channel over the bound of named members, and empties it again.
func TestACrowdIsCounted(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) { cfg.Limits.NamedMembers = 10 })
	w := c.nodes[0]
	watcher := w.connect()
	watcher.subscribe("room", `{"presence":"watch"}`)
	// told is what the watcher is told until all is quiet: names, and the last count.
	told := func() (names, count int) {
		c.pass(time.Second)
		for _, text := range watcher.take() {
			m := decodePresence(t, text)
			if names += len(m.Members); m.Type == "presence" {
				count = m.Payload.Count
			}
		}
		return names, count
	}
	var all []*client
	for i := range 15 {
		a := w.as(i%2, fmt.Sprint(i), "")
		a.subscribe("room", member)
		all = append(all, a)
	}
	if names, count := told(); names != 11 || count != 15 {
		t.Errorf("of 15 that came %d had names, and %d were counted; want 11 and 15", names, count)
	}
	all[0].send(`{"type":"connect","payload":{"info":1}}`)
	if names, count := told(); names != 0 || count != 0 {
		t.Errorf("an update in a crowd is told: %d, %d", names, count)
	}
	for _, a := range all[:4] {
		a.Closed(1000, "")
	}
	if names, count := told(); names != 0 || count != 11 {
		t.Errorf("of 4 that left %d had names, and %d were counted; want 0 and 11", names, count)
	}
	for _, a := range all[4:] {
		a.Closed(1000, "")
	}
	if names, count := told(); names != 8 || count != 8 {
		t.Errorf("of the others %d had names, and %d were counted; want 8 and 8", names, count)
	}
	c.pass(time.Minute)
	w.wantNothingWaits()
}

// TestACrowdIsCountedAgain has a node know a number that is too old while members come, as it does where they come on several loops
// or nodes at once. When it is quiet the right one is told, once.
func TestACrowdIsCountedAgain(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) { cfg.Limits.NamedMembers = 10 })
	w := c.nodes[0]
	watcher := w.connect()
	watcher.subscribe("room", `{"presence":"watch"}`)
	counts := func() (told []int) {
		for _, text := range watcher.take() {
			if m := decodePresence(t, text); m.Type == "presence" {
				told = append(told, m.Payload.Count)
			}
		}
		return told
	}
	var all []*client
	come := func() {
		a := w.as(len(all)%2, fmt.Sprint(len(all)), "")
		a.subscribe("room", member)
		all = append(all, a)
	}
	for range 15 {
		come()
	}
	w.node.roster.noticed("room", 12)
	come()
	c.pass(2 * presenceGather)
	if told := counts(); !slices.Equal(told, []int{13}) {
		t.Fatalf("at first %v were told; want 13, of the number that is too old", told)
	}
	c.pass(2 * time.Second)
	if told := counts(); !slices.Equal(told, []int{16}) {
		t.Errorf("in the end %v were told; want 16 once", told)
	}
	come()
	c.pass(3 * time.Second)
	if told := counts(); !slices.Equal(told, []int{17}) {
		t.Errorf("of one more %v were told; want 17 once", told)
	}
	if page, err := w.node.Members(t.Context(), "room", &dialect.PresenceArgs{Limit: 100}); err != nil || page.Count != 17 || len(page.Members) != 17 {
		t.Errorf("the page has %d members of %d: %v", len(page.Members), page.Count, err)
	}
	for _, a := range all {
		a.Closed(1000, "")
	}
	c.pass(time.Minute)
	w.wantNothingWaits()
}

func TestMembersOfACrowd(t *testing.T) { manyMembers(t, 3000) }

// manyMembers has n members come within 10 seconds, while some read everything they are told and the others nothing, and ask
// for pages. What one of them is told does not grow with their number.
func manyMembers(t *testing.T, n int) {
	w := newWorld(t, func(c *Config) { addLoop(c); c.Log = slog.New(slog.DiscardHandler) })
	var readers []*client
	for range 10 {
		c := w.connect()
		c.subscribe("room", `{"presence":"watch"}`)
		readers = append(readers, c)
	}
	began := time.Now()
	var all []*client
	bytes, messages, longest := 0, 0, 0
	for range 100 {
		for range n / 100 {
			c := w.dialOn(len(all) % 2)
			c.Receive(fmt.Appendf(nil, `{"type":"connect","payload":{"client":"c-%d","info":{"name":"Somebody"}}}`, len(all)))
			c.Receive([]byte(`{"type":"subscribe","channel":"room","payload":{"presence":true}}`))
			all = append(all, c)
		}
		w.pass(100 * time.Millisecond)
		for _, c := range readers {
			for _, msg := range c.take() {
				bytes, messages, longest = bytes+len(msg), messages+1, max(longest, len(msg))
			}
		}
	}
	came := time.Since(began)
	w.pass(time.Second)
	began = time.Now()
	page, err := w.node.Members(context.Background(), "room", &dialect.PresenceArgs{Limit: 100})
	asked := time.Since(began)
	if err != nil || page.Count != n || len(page.Members) != 100 {
		t.Fatalf("a page of %d, %d in all: %v", len(page.Members), page.Count, err)
	}
	t.Logf("%d members came in %v of work; each reader was told %d bytes in %d messages, the longest of %d bytes; a page took %v",
		n, came.Round(time.Millisecond), bytes/len(readers), messages/len(readers), longest, asked.Round(time.Microsecond))
	// 100 members with names have some 90 bytes each; what a crowd is told comes five times a second.
	if longest > 12<<10 {
		t.Errorf("a message has %d bytes", longest)
	}
	if each := bytes / len(readers); each > 200<<10 {
		t.Errorf("a reader was told %d bytes", each)
	}
	began = time.Now()
	for _, c := range all {
		c.Closed(1006, "")
	}
	w.pass(15 * time.Second)
	t.Logf("they left in %v of work", time.Since(began).Round(time.Millisecond))
	if n := w.members("room"); n != 0 {
		t.Errorf("%d members are left", n)
	}
	for _, c := range readers {
		c.Closed(1000, "")
	}
	w.wantNothingWaits()
}
