package sim

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"hocket.dev/broker"
)

// A truth is what really happened: every entry that any channel's log was given, as the broker handed it out.
type truth struct {
	mu    sync.Mutex
	start time.Time
	logs  map[string]*chronicle
	fault func(format string, args ...any)
}

// A chronicle is the history of one channel, epoch by epoch.
type chronicle struct {
	name   string
	epochs []*epoch
	byName map[string]*epoch
}

// An epoch is one history of a channel. Entries of it stay the truth when the log has lost them.
type epoch struct {
	name    string
	began   time.Duration
	entries []*fact
	latest  map[string]*fact // of each key
}

// A fact is an entry that was appended.
type fact struct {
	*broker.Entry
	at   time.Duration // since the beginning
	next *fact         // of the same key
}

// replaced is when the next entry of the same key was appended.
func (f *fact) replaced() time.Duration {
	if f.next == nil {
		return 1<<63 - 1
	}
	return f.next.at
}

func newTruth(fault func(string, ...any)) *truth {
	return &truth{start: time.Now(), logs: make(map[string]*chronicle), fault: fault}
}

func (t *truth) now() time.Duration { return time.Since(t.start) }

// begin notes that a channel has the epoch name from now on.
func (t *truth) begin(channel, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epoch(channel, name)
}

func (t *truth) epoch(channel, name string) *epoch {
	c := t.logs[channel]
	if c == nil {
		c = &chronicle{name: channel, byName: make(map[string]*epoch)}
		t.logs[channel] = c
	}
	e := c.byName[name]
	if e == nil {
		e = &epoch{name: name, began: t.now(), latest: make(map[string]*fact)}
		c.byName[name] = e
		c.epochs = append(c.epochs, e)
	}
	return e
}

// add takes down an entry.
func (t *truth) add(channel, name string, e *broker.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ep := t.epoch(channel, name)
	if n := len(ep.entries); n > 0 && (ep.entries[n-1].Offset >= e.Offset || ep.entries[n-1].Offset != e.Prev) {
		t.fault("broker: %s gave out offset %d, which follows on %d, after %d", channel, e.Offset, e.Prev, ep.entries[n-1].Offset)
	}
	f := &fact{Entry: e, at: t.now()}
	ep.entries = append(ep.entries, f)
	if e.Key == "" {
		return
	}
	if last := ep.latest[e.Key]; last != nil {
		last.next = f
	}
	ep.latest[e.Key] = f
}

// find gives an epoch of a channel; nil when there was none.
func (t *truth) find(channel, name string) *epoch {
	if c := t.logs[channel]; c != nil {
		return c.byName[name]
	}
	return nil
}

// current is the newest epoch of a channel; nil when there is none.
func (t *truth) current(channel string) *epoch {
	if c := t.logs[channel]; c != nil {
		return c.epochs[len(c.epochs)-1]
	}
	return nil
}

// channels names all channels in order.
func (t *truth) channels() []string {
	names := make([]string, 0, len(t.logs))
	for name := range t.logs {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// head is the offset of the newest entry, 0 without any.
func (e *epoch) head() uint64 {
	if e == nil || len(e.entries) == 0 {
		return 0
	}
	return e.entries[len(e.entries)-1].Offset
}

// after is the index of the first entry after an offset.
func (e *epoch) after(offset uint64) int {
	return sort.Search(len(e.entries), func(i int) bool { return e.entries[i].Offset > offset })
}

// between gives the entries after the offset from, up to to.
func (e *epoch) between(from, to uint64) []*fact {
	if to < from {
		return nil
	}
	return e.entries[e.after(from):e.after(to)]
}

// at is the entry with an offset; nil when there is none.
func (e *epoch) at(offset uint64) *fact {
	if i := e.after(offset); i > 0 && e.entries[i-1].Offset == offset {
		return e.entries[i-1]
	}
	return nil
}

// appendedBy counts the entries appended up to a moment.
func (e *epoch) appendedBy(at time.Duration) int {
	return sort.Search(len(e.entries), func(i int) bool { return e.entries[i].at > at })
}

// A value is what a key holds.
type value struct {
	text   string
	offset uint64 // of the last entry of the key
}

// fold is the state of a keyed log after its first n entries, the naive way: all payloads are JSON strings.
func (e *epoch) fold(n int) map[string]value {
	state := make(map[string]value)
	for _, f := range e.entries[:n] {
		if f.Key != "" {
			apply(state, f.Key, opName(f.Op), string(f.Payload), f.Offset)
		}
	}
	return state
}

// apply changes a state by one entry.
func apply(state map[string]value, key, op, payload string, offset uint64) {
	text := strings.TrimSuffix(strings.TrimPrefix(payload, `"`), `"`)
	switch op {
	case "delete":
		delete(state, key)
		return
	case "append":
		text = state[key].text + text
	}
	state[key] = value{text, offset}
}

func opName(op broker.Op) string {
	return [...]string{broker.Set: "set", broker.Append: "append", broker.Delete: "delete"}[op]
}

// different says how two states differ, "" when they do not.
func different(have, want map[string]value) string {
	var keys []string
	for k, v := range want {
		if have[k] != v {
			keys = append(keys, fmt.Sprintf("%s is %.60q@%d, not %.60q@%d", k, have[k].text, have[k].offset, v.text, v.offset))
		}
	}
	for k, v := range have {
		if _, ok := want[k]; !ok {
			keys = append(keys, fmt.Sprintf("%s is %.60q@%d, and should be gone", k, v.text, v.offset))
		}
	}
	sort.Strings(keys)
	return strings.Join(keys, "; ")
}
