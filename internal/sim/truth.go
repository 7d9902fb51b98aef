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
	keeps func(channel string) int // how many entries are kept

	copying bool // what is added has been in a log before
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
	latest  map[string]*fact // of each key, of those without one under ""
	kept    []*fact          // the newest of those that have not been removed, as many as are kept at least
	removals
}

// A fact is an entry that was appended.
type fact struct {
	*broker.Entry
	at   time.Duration // since the beginning
	next *fact         // of the same key
	last *fact         // the one before of the same key
	idle bool          // it deletes what is not there

	value   string        // of its key by now
	mortal  time.Duration // until then the parts of the value live by their own times
	lives   time.Duration // until then the value does: it ends besides when nothing was written for the age of the log
	ends    time.Duration // when its own time to live does
	old     time.Duration // when it is older than the log keeps entries
	dropped time.Duration // when the log has no longer to keep it
	gone    *removal      // that took it out, nil for none
	copied  bool          // from a log that was lost
}

// never is when nothing happens.
const never = time.Duration(1<<63 - 1)

// before is what a condition of the entry is about: the offset of the newest entry of its key, where that had a value, or of the
// channel.
func (f *fact) before() uint64 {
	switch {
	case f.Key == "":
		return f.Prev
	case f.last == nil || f.last.Op == broker.Delete:
		return 0
	}
	return f.last.Offset
}

// replaced is when the next entry of the same key was appended.
func (f *fact) replaced() time.Duration {
	if f.next == nil {
		return never
	}
	return f.next.at
}

// spent says that by a moment a key was something else than what it was by an entry: it had been written again, or its value had ended. The
// delete that says so may come later, or never where the log is lost before.
func (f *fact) spent(at time.Duration) bool {
	return f.idle || f.replaced() <= at || f.holds() && f.lives <= at
}

func newTruth(keeps func(channel string) int, fault func(string, ...any)) *truth {
	return &truth{start: time.Now(), logs: make(map[string]*chronicle), fault: fault, keeps: keeps}
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
	f := &fact{Entry: e, at: t.now(), ends: never, mortal: never, lives: never, old: never, copied: t.copying}
	if age := kinds[channel].age; age > 0 { // to the millisecond
		f.old = t.moment(f.Time + age.Milliseconds() + 1)
	}
	f.dropped = f.old
	ep.entries = append(ep.entries, f)
	last := ep.latest[e.Key]
	if last != nil {
		last.next = f
	}
	f.last = last
	f.idle = e.Op == broker.Delete && !last.holds()
	ep.latest[e.Key] = f
	t.evaluate(channel, f)
	ep.keep(f, t.keeps(channel), kinds[channel].bytes)
}

// copy says that what is added from now on has been in a log that was lost, or that it has not.
func (t *truth) copy(is bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.copying = is
}

// moment is a time of the broker's, which counts milliseconds, since the beginning.
func (t *truth) moment(ms int64) time.Duration { return time.UnixMilli(ms).Sub(t.start) }

// evaluate says what the value of the key is by an entry, and for how long, and checks that the value before it ended in time.
func (t *truth) evaluate(channel string, f *fact) {
	if f.TTL > 0 {
		f.ends = t.moment(f.Time + f.TTL.Milliseconds())
	}
	switch text := unquote(f.Payload); {
	case f.Op == broker.Set, f.Op == broker.Append && !f.last.holds():
		f.value, f.mortal = text, f.ends
	case f.Op == broker.Append:
		f.value, f.mortal = f.last.value+text, min(f.last.mortal, f.ends)
	}
	if f.Op == broker.Append && f.last.holds() && f.last.Format != f.Format {
		t.fault("broker: %s %d was appended to %d, a value of another kind", channel, f.Offset, f.last.Offset)
	}
	if f.lives = f.mortal; f.holds() {
		f.lives = min(f.mortal, f.old)
	}
	if f.copied || f.Key == "" {
		return
	}
	over := f.last.holds() && f.last.lives <= t.moment(f.Time)
	switch ending := f.Headers[broker.ExpiredHeader] != ""; {
	case over && !ending:
		t.fault("broker: %s %d follows on a value of %s that has ended, and was not deleted", channel, f.Offset, f.Key)
	case ending && !over:
		t.fault("broker: %s %d ends a value of %s that lives", channel, f.Offset, f.Key)
	case ending && f.at > f.last.lives+endsLate:
		t.fault("broker: %s %d ends a value of %s %v too late", channel, f.Offset, f.Key, f.at-f.last.lives)
	}
}

// endsLate is how long the end of a value may take to be told.
const endsLate = 50 * time.Millisecond

// holds says that the entry leaves its key with a value.
func (f *fact) holds() bool { return f != nil && f.Key != "" && f.Op != broker.Delete }

// keep puts an entry into what is kept, at most so many, and so many bytes.
func (e *epoch) keep(f *fact, most int, bytes int64) {
	e.kept = append(e.kept, f)
	size := int64(0)
	for _, f := range e.kept {
		size += f.Size()
	}
	for len(e.kept) > most || bytes > 0 && size > bytes && len(e.kept) > 0 {
		size -= e.kept[0].Size()
		e.kept[0].dropped = min(e.kept[0].dropped, f.at)
		e.kept = e.kept[1:]
	}
}

// oldest is the index of the oldest entry that is kept at a moment, when there are n of them, of which so many are kept at least.
func (e *epoch) oldest(n, count int, k *kind, at time.Duration) int {
	oldest := max(0, n-count)
	if k.bytes > 0 && n > 0 {
		at = e.entries[n-1].at
	}
	for k.bytes+int64(k.age) > 0 && oldest < n && e.entries[oldest].dropped <= at {
		oldest++
	}
	return oldest
}

func unquote(payload []byte) string {
	return strings.TrimSuffix(strings.TrimPrefix(string(payload), `"`), `"`)
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

// back is the index of the oldest of the n entries before an index that are not left out, 0 if there are less.
func (e *epoch) back(to, n int, out func(*fact) bool) int {
	for ; to > 0 && n > 0; to-- {
		if !out(e.entries[to-1]) {
			n--
		}
	}
	return to
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
	text := unquote([]byte(payload))
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
