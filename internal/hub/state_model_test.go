package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// keys is an encoding that tells what a follower of a keyed log needs.
type keys struct{}

func (keys) AppendEntry(dst []byte, _, _ string, e *broker.Entry) []byte {
	dst = strconv.AppendUint(dst, e.Offset, 10)
	dst = append(append(append(dst, ' '), e.Key...), " =+-"[e.Op+1])
	return append(append(dst, e.Payload...), '\n')
}

// pickyKeys is keys of who has a filter: of entries without a key it tells those with an even number.
type pickyKeys struct{ keys }

func (p pickyKeys) AppendEntry(dst []byte, channel, epoch string, e *broker.Entry) []byte {
	if e.Key == "" && string(e.Payload) == "1" {
		return dst
	}
	return p.keys.AppendEntry(dst, channel, epoch, e)
}

// folded is a client of a keyed log: what its keys hold, as it has been told, and where it stands.
type folded struct {
	*client
	values map[string]string
	at     uint64
	epoch  string
	seen   bool // what Subscribe has answered
	picky  bool // it has a filter
	plain  bool // it has come back as one that knows of no state: by the rule latest it is as good

	loose  map[uint64]bool // entries without a key that it has got
	jumped uint64          // the newest entry of end that it may have jumped to, told or over by then
	told   []span          // what it was told that it misses, or has not been promised
	caught []span          // what it has caught up with, as far as it was not removed
}

// loose is an entry without a key.
type loose struct {
	offset uint64
	own    bool // by the session called "me", without echo
	odd    bool // not for who has a filter
	brief  bool // it has a time to live: nobody need get it
	gone   bool // it was removed
}

// gets says that an entry without a key is for the client.
func (f *folded) gets(x *loose) bool { return !(x.own && f.name == "me") && !(x.odd && f.picky) }

// span is a run of offsets, from the one after from on.
type span struct{ from, to uint64 }

// stateModel has keys set, appended to and deleted, and entries without a key among them, while clients take a state page by
// page, fall behind, are cut off anywhere and resume. In the end each holds what the broker holds. No offset is told twice,
// and no entry without a key is left out untold that came after the answer to a client's subscription, but where another one
// may take its place.
type stateModel struct {
	*rapid.T
	w       *world
	rule    rule.Overflow
	sample  time.Duration
	roomy   bool // the log keeps everything
	clients []*folded
	loose   []*loose
	ended   uint64 // the newest entry of end
	removed uint64 // everything up to here was
}

func TestAStateIsTheLogCompacted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newStateModel(t)
		defer m.w.stop()
		for range rapid.IntRange(0, 12).Draw(t, "before") {
			m.write(t)
		}
		t.Repeat(map[string]func(*rapid.T){
			"write":     m.write,
			"end":       m.end,
			"lose":      m.lose,
			"remove":    m.remove,
			"find":      func(*rapid.T) { m.w.hub.Gap("x") },
			"subscribe": m.subscribe,
			"cut off":   func(t *rapid.T) { m.resume(m.pick(t)) },
			"read":      m.read,
			"turn":      m.turn,
			"wait":      func(t *rapid.T) { m.w.wait(time.Duration(rapid.IntRange(1, 300).Draw(t, "ms")) * time.Millisecond) },
			"":          func(*rapid.T) { m.check() },
		})
		m.finish()
	})
}

func newStateModel(t *rapid.T) *stateModel {
	small := func(label string) int { return rapid.IntRange(1, 6).Draw(t, label) }
	m := &stateModel{T: t, roomy: rapid.Bool().Draw(t, "roomy")}
	kept := small("kept")
	if m.roomy {
		kept = 10_000
	}
	m.w = openWorld(t, window(small("window")), keeping(rule.History{Count: kept}), func(_ *world, _ *Config, c *broker.MemoryConfig) {
		c.Scatter = rapid.Bool().Draw(t, "scattered")
	})
	m.w.hub.pageEntries = small("page")
	m.w.hub.cacheBytes = rapid.SampledFrom([]int{1, 100_000}).Draw(t, "cache")
	m.rule = rapid.SampledFrom([]rule.Overflow{rule.OverflowLatest, rule.OverflowRefill, rule.OverflowGap}).Draw(t, "rule")
	m.sample = rapid.SampledFrom([]time.Duration{0, 0, 250 * time.Millisecond}).Draw(t, "sample")
	if rapid.Bool().Draw(t, "tasks by hand") {
		m.w.tasks = &queue{}
	}
	return m
}

func (m *stateModel) write(t *rapid.T) {
	key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", ""}).Draw(t, "key")
	if key != "" {
		m.w.keyed("x", key+rapid.SampledFrom([]string{"=1", "=2", "+3", "+4", "-"}).Draw(t, "entry"))
		return
	}
	x := &loose{odd: rapid.Bool().Draw(t, "odd")}
	e := broker.Entry{Format: broker.Text, Payload: []byte(map[bool]string{true: "1", false: "2"}[x.odd])}
	switch rapid.SampledFrom([]string{"", "", "own", "brief"}).Draw(t, "how") {
	case "own":
		x.own, e.From, e.NoEcho = true, &broker.Member{Session: "me"}, true
	case "brief":
		x.brief, e.TTL = true, 200*time.Millisecond
	}
	x.offset = m.w.put("x", e)
	m.loose = append(m.loose, x)
}

// end writes an entry without a key that may be over before it comes to anybody: nobody misses it.
func (m *stateModel) end(t *rapid.T) {
	ttl := time.Duration(rapid.IntRange(1, 300).Draw(t, "ms")) * time.Millisecond
	m.ended = m.w.put("x", broker.Entry{TTL: ttl, Format: broker.Text, Payload: []byte("t")})
}

// remove takes out an entry without a key, or all up to it: then they are missing.
func (m *stateModel) remove(t *rapid.T) {
	if len(m.loose) == 0 {
		t.Skip("nothing is there")
	}
	i := rapid.IntRange(0, len(m.loose)-1).Draw(t, "entry")
	x := m.loose[i]
	r := broker.Removal{UpTo: x.offset}
	alone := rapid.Bool().Draw(t, "alone")
	if alone {
		r = broker.Removal{Offset: x.offset}
	}
	switch _, err := m.w.broker.Remove(context.Background(), "x", r); {
	case errors.Is(err, broker.ErrConflict): // a value or a delete rests on it
		t.Skip(err)
	case err != nil:
		m.Fatal(err)
	}
	x.gone = x.gone || alone
	m.removed = max(m.removed, r.UpTo)
}

func (m *stateModel) lose(t *rapid.T) {
	m.w.broker.Lose("x", rapid.IntRange(1, 6).Draw(t, "lost"))
	for range rapid.IntRange(1, 7).Draw(t, "entries") {
		m.write(t)
	}
}

func (m *stateModel) pick(t *rapid.T) *folded {
	if len(m.clients) == 0 {
		t.Skip("nobody is there")
	}
	return m.clients[rapid.IntRange(0, len(m.clients)-1).Draw(t, "who")]
}

func (m *stateModel) join(f *folded, s Start) {
	f.client, f.seen = &client{w: m.w, name: f.name}, false
	encoding := Encoding(keys{})
	if f.picky {
		encoding = pickyKeys{}
	}
	m.w.join(f.client, "x", from(s), ruled(m.rule), sampled(m.sample), func(r *Request) { r.Encoding = encoding })
	m.notice(f)
}

func (m *stateModel) subscribe(t *rapid.T) {
	f := &folded{values: map[string]string{}, loose: map[uint64]bool{}, picky: rapid.Bool().Draw(t, "picky")}
	f.client = &client{name: rapid.SampledFrom([]string{"", "me"}).Draw(t, "name")}
	m.clients = append(m.clients, f)
	m.join(f, Start{Kind: State})
}

// resume cuts a client off, which comes back to where it stood.
func (m *stateModel) resume(f *folded) {
	m.take(f)
	f.Close()
	if f.epoch == "" {
		m.join(f, Start{Kind: State})
		return
	}
	f.plain = m.rule == rule.OverflowLatest && rapid.Bool().Draw(m.T, "plain")
	m.join(f, Start{Kind: Position, WantsState: !f.plain, Position: broker.Position{Epoch: f.epoch, Offset: f.at}})
}

// notice looks at what Subscribe has answered.
func (m *stateModel) notice(f *folded) {
	if f.seen || !f.done {
		return
	}
	if f.err != nil {
		m.Fatalf("not placed: %v", f.err)
	}
	f.seen = true
	switch {
	case f.epoch == "": // of what was there before it gets the keys
		f.told = append(f.told, span{0, f.placed.Offset})
	case !f.placed.Recovered && f.plain: // of what is kept of the log a state cannot be made
		f.Close()
		f.epoch, f.values, f.at = "", map[string]string{}, 0
		m.join(f, Start{Kind: State})
		return
	case !f.placed.Recovered:
		f.values, f.at = map[string]string{}, 0
		f.told = append(f.told, span{0, f.placed.Offset})
	case f.plain:
		f.caught = append(f.caught, span{f.at, f.placed.Offset})
	case !m.roomy: // the log may not have them any more
		f.told = append(f.told, span{f.at, f.placed.Offset})
	default:
		f.caught = append(f.caught, span{f.at, f.placed.Offset})
	}
	if f.placed.Recovered {
		f.client.told = max(f.client.told, f.at)
	}
	f.epoch = f.placed.Epoch
}

func (m *stateModel) read(t *rapid.T) {
	f := m.pick(t)
	for range rapid.IntRange(1, 4).Draw(t, "times") {
		f.pull(rapid.SampledFrom([]int{1, 20, 1000}).Draw(t, "most"), 1000)
		m.jump(f)
	}
}

func (m *stateModel) turn(t *rapid.T) {
	for range rapid.IntRange(1, 5).Draw(t, "functions") {
		if m.w.tasks != nil {
			m.w.tasks.one()
		}
		m.w.loops[0].one()
	}
}

func (m *stateModel) check() {
	for _, f := range m.clients {
		m.notice(f)
		m.jump(f)
		if m.take(f) {
			m.resume(f)
		}
	}
}

// jump looks whether the client is on its way to the newest there is.
func (m *stateModel) jump(f *folded) {
	if m.rule == rule.OverflowLatest && f.behind != nil {
		f.jumped = m.ended
	}
}

// take applies what the client has received. It answers true when a gap tells it to ask again from before it.
func (m *stateModel) take(f *folded) (again bool) {
	m.notice(f)
	defer f.out.Reset()
	for line := range strings.Lines(f.out.String()) {
		var from, to uint64
		var reason string
		if n, _ := fmt.Sscanf(line, "gap %d-%d %s", &from, &to, &reason); n == 3 {
			if from <= f.at || to < from {
				m.Fatalf("%q after %d", line, f.at)
			}
			m.passed(f, from)
			f.told = append(f.told, span{from - 1, to})
			switch reason {
			case gapWithoutKey:
			case gapState:
				f.values, f.at = map[string]string{}, 0
			default:
				return true
			}
			continue
		}
		number, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		offset, _ := strconv.ParseUint(number, 10, 64)
		if offset <= f.at {
			m.Fatalf("entry %d after %d", offset, f.at)
		}
		m.passed(f, offset)
		f.at = offset
		i := strings.IndexAny(rest, "=+-")
		switch key, value := rest[:i], rest[i+1:]; {
		case key == "":
			f.loose[offset] = true
		case rest[i] == '=':
			f.values[key] = value
		case rest[i] == '+':
			f.values[key] += value
		default:
			delete(f.values, key)
		}
	}
	return false
}

// passed checks what the client has not got before an offset that it has come to.
func (m *stateModel) passed(f *folded, offset uint64) {
	for _, x := range m.loose {
		if x.offset <= f.at || x.offset >= offset || !f.gets(x) || x.brief || x.gone || f.loose[x.offset] || m.replaced(f, x) {
			continue
		}
		in := func(s span) bool { return s.from < x.offset && x.offset <= s.to }
		if !slices.ContainsFunc(f.told, in) && !(x.offset <= m.removed && slices.ContainsFunc(f.caught, in)) {
			m.Fatalf("entry %d without a key is left out before %d", x.offset, offset)
		}
	}
}

// replaced says that another entry without a key may be told in place of one: sampling does not ask for whom it is, nor whether
// it is over by then.
func (m *stateModel) replaced(f *folded, x *loose) bool {
	return f.jumped > x.offset || m.sample > 0 && m.ended > x.offset || slices.ContainsFunc(m.loose, func(y *loose) bool {
		return y.offset > x.offset && (m.sample > 0 || m.rule == rule.OverflowLatest && f.gets(y))
	})
}

// finish lets everything come to rest, and compares.
func (m *stateModel) finish() {
	m.w.broker.Lose("x", 0)
	m.w.pass(2 * time.Second) // what was lost is found
	page, err := m.w.broker.Lossy.State(context.Background(), "x", broker.StateQuery{})
	if err != nil {
		m.Fatal(err)
	}
	want := map[string]string{}
	for _, e := range page.Entries {
		want[e.Key] = string(e.Payload)
	}
	for _, f := range m.clients {
		m.w.settle()
		m.notice(f)
		for again := true; again; again = f.due || !f.seen {
			for f.pull(1000, 1000) {
			}
			m.w.pass(time.Second)
			if m.take(f) {
				m.resume(f)
				m.w.pass(time.Second)
				m.notice(f)
			}
		}
		m.take(f)
		if !maps.Equal(f.values, want) {
			m.Fatalf("a client has %v, want %v (keys %v)", f.values, want, slices.Sorted(maps.Keys(want)))
		}
		if f.client.told < page.Head {
			m.Fatalf("a client was told up to %d, and not of %d", f.client.told, page.Head)
		}
		f.at = 0
		m.passed(f, broker.MaxOffset)
	}
}
