package hub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// The model is naive: it keeps every entry ever published, and what each client was sent as text. A client's text has
// to tell, from the place where it began, every entry that is not its own without echo, once and in order, or name
// exactly the offsets that it does not tell.
type model struct {
	*rapid.T
	w       *world
	entries map[string][]broker.Entry
	clients []*modelled
	number  int
	roomy   bool // nothing has to be given up: nobody may be told a gap
	// removed are the offsets up to which each channel's entries were removed. Single entries that were are due to nobody.
	removed map[string]uint64
	rules   map[string]rule.Overflow
}

// modelled is a client with what the model knows of it.
type modelled struct {
	*client
	channel string
	start   Start
	begins  uint64 // entries after this offset are due; known when placed
	seen    bool   // it has been placed
	picky   bool   // it has a filter
	text    string
}

// filtered is an encoding that tells nothing of every third entry, by its number.
type filtered struct{ lines }

func (f filtered) AppendEntry(dst []byte, channel, epoch string, e *broker.Entry) []byte {
	if filters(e) {
		return dst
	}
	return f.lines.AppendEntry(dst, channel, epoch, e)
}

func filters(e *broker.Entry) bool {
	n, _ := strconv.Atoi(strings.TrimRight(string(e.Payload), "x"))
	return n%3 == 0
}

func TestAgainstTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		defer m.w.stop()
		t.Repeat(map[string]func(*rapid.T){
			"publish":     m.publish,
			"lose":        m.lose,
			"subscribe":   m.subscribe,
			"unsubscribe": m.unsubscribe,
			"read":        m.read,
			"turn":        m.turn,
			"tick":        m.tick,
			"fail":        m.fail,
			"refuse":      m.refuse,
			"gap":         func(t *rapid.T) { m.w.hub.Gap(m.channel(t)) },
			"remove":      m.remove,
			"":            func(*rapid.T) { m.check() },
		})
		m.finish()
	})
}

func newModel(t *rapid.T) *model {
	small := func(label string) int { return rapid.IntRange(1, 12).Draw(t, label) }
	entries, kept, budget := small("window"), rapid.IntRange(0, 20).Draw(t, "kept"), rapid.SampledFrom([]int64{1500, 1 << 20}).Draw(t, "budget")
	roomy := rapid.Bool().Draw(t, "roomy")
	if roomy {
		entries, kept, budget = 10_000, 10_000, 1<<30
	}
	w := openWorld(t, window(entries), keeping(rule.History{Count: kept}),
		with(func(c *Config) { c.BudgetBytes, c.WindowBytes = budget, 1<<30 }),
		func(w *world, _ *Config, b *broker.MemoryConfig) {
			b.Scatter = rapid.Bool().Draw(t, "scattered")
			if rapid.Bool().Draw(t, "tasks by hand") {
				w.tasks = &queue{}
			}
		})
	w.hub.pageEntries = small("page")
	w.hub.cacheBytes = rapid.SampledFrom([]int{1, 100, 1000, 100_000}).Draw(t, "cache")
	rules := rapid.SampledFrom([]rule.Overflow{rule.OverflowGap, rule.OverflowDisconnect, rule.OverflowRefill, rule.OverflowLatest})
	return &model{
		T: t, w: w, roomy: roomy, entries: map[string][]broker.Entry{}, removed: map[string]uint64{},
		rules: map[string]rule.Overflow{"a": rules.Draw(t, "rule of a"), "b": rules.Draw(t, "rule of b")},
	}
}

func (m *model) channel(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b"}).Draw(t, "channel")
}

var names = []string{"", "ann", "bob"}

func (m *model) publish(t *rapid.T) {
	channel := m.channel(t)
	for range rapid.IntRange(1, 6).Draw(t, "entries") {
		m.number++
		e := broker.Entry{Format: broker.Text}
		if rapid.IntRange(0, 5).Draw(t, "lives") == 0 {
			e.TTL = 2 * time.Second
		}
		e.Payload = []byte(strconv.Itoa(m.number) + strings.Repeat("x", rapid.SampledFrom([]int{0, 30, 600, 20_000}).Draw(t, "size")))
		if name := rapid.SampledFrom(names).Draw(t, "from"); name != "" {
			e.From, e.NoEcho = &broker.Member{Session: name}, true
		}
		var at broker.Receipt
		var err error
		m.w.broker.Publish(channel, e, broker.Retention{Count: m.w.keep.Count},
			func(x broker.Receipt, y error) { at, err = x, y })
		if err != nil {
			return
		}
		e.Offset, e.Time = at.Offset, m.w.clock.UnixMilli()
		m.entries[channel] = append(m.entries[channel], e)
		m.notice()
	}
}

// remove has the hub forget entries. The broker of this model cannot: who reads pages may be told of them.
func (m *model) remove(t *rapid.T) {
	channel := m.channel(t)
	all := m.entries[channel]
	if len(all) == 0 {
		t.Skip("nothing is there")
	}
	e := &all[rapid.IntRange(0, len(all)-1).Draw(t, "entry")]
	if rapid.Bool().Draw(t, "all before") {
		m.removed[channel] = max(m.removed[channel], e.Offset)
		m.w.hub.Removed(channel, broker.Removal{UpTo: e.Offset})
		return
	}
	e.HasExpect = true // stands for having been removed
	m.w.hub.Removed(channel, broker.Removal{Offset: e.Offset})
}

func (m *model) lose(t *rapid.T) {
	m.w.broker.Lose(m.channel(t), rapid.IntRange(1, 4).Draw(t, "lost"))
}

func (m *model) subscribe(t *rapid.T) {
	c := &modelled{client: &client{w: m.w, name: rapid.SampledFrom(names).Draw(t, "name")}, channel: m.channel(t)}
	c.direct = rapid.Bool().Draw(t, "direct")
	c.start.Kind = rapid.SampledFrom([]StartKind{Live, Last, Since, Position}).Draw(t, "start")
	switch c.start.Kind {
	case Since:
		c.start.Since = m.w.clock.UnixMilli() - rapid.Int64Range(-1, 60_000).Draw(t, "ago")
	case Last:
		c.start.Last = rapid.IntRange(0, 25).Draw(t, "last")
	case Position:
		c.start.Position.Epoch = "another"
		if heads, err := m.w.broker.Lossy.Heads(context.Background(), []string{c.channel}); err == nil && rapid.IntRange(0, 9).Draw(t, "epoch") > 0 {
			c.start.Position.Epoch = heads[0].Epoch
		}
		if all := m.entries[c.channel]; len(all) > 0 {
			i := rapid.IntRange(0, len(all)).Draw(t, "position")
			if c.start.Position.Offset = 0; i > 0 {
				c.start.Position.Offset = all[i-1].Offset
			}
		}
	}
	m.clients = append(m.clients, c)
	encoding := Encoding(lines{rapid.SampledFrom([]string{"m", "n"}).Draw(t, "encoding")})
	if c.picky = rapid.Bool().Draw(t, "picky"); c.picky {
		encoding = filtered{lines{"f"}}
	}
	as := []asking{from(c.start), onLoop(rapid.IntRange(0, 1).Draw(t, "loop")), ruled(m.rules[c.channel])}
	if !m.roomy {
		as = append(as, bound(rapid.SampledFrom([]int64{0, 1, 1000, 30_000}).Draw(t, "lag bytes"),
			time.Duration(rapid.IntRange(0, 30).Draw(t, "lag age"))*time.Second))
	}
	m.w.join(c.client, c.channel, append(as, func(r *Request) { r.Encoding = encoding })...)
	m.notice()
}

// notice looks at who has been placed, and says where each begins.
func (m *model) notice() {
	for _, c := range m.clients {
		if c.seen || !c.done || c.err != nil {
			continue
		}
		c.seen, c.begins = true, c.placed.Offset
		switch {
		case c.start.Kind == Live:
			c.told = max(c.told, c.placed.Offset)
		case c.start.Kind == Last:
			c.begins = m.before(c, c.start.Last)
		case c.start.Kind == Since:
			c.begins = max(m.before(c, m.w.keep.Count), m.earlier(c))
		case c.start.Kind == Position && c.placed.Recovered:
			c.begins = c.start.Position.Offset
			if c.placed.Epoch != c.start.Position.Epoch {
				m.Fatalf("recovered in epoch %q from %+v", c.placed.Epoch, c.start.Position)
			}
		case c.start.Kind == Position:
			if c.placed.Epoch == c.start.Position.Epoch && c.start.Position.Offset >= m.removed[c.channel] && m.count(c.channel, c.start.Position.Offset) <= m.w.keep.Count {
				m.Fatalf("not recovered from %+v though all is retained", c.start.Position)
			}
			c.begins = m.before(c, m.w.keep.Count)
		}
		if c.start.Kind != Position || !c.placed.Recovered {
			c.begins = max(c.begins, m.removed[c.channel])
		}
	}
}

// count counts the entries after an offset.
func (m *model) count(channel string, offset uint64) (n int) {
	for _, e := range m.entries[channel] {
		if e.Offset > offset {
			n++
		}
	}
	return n
}

// before is the offset before the newest n entries that are retained, as of the offset at which c was placed.
func (m *model) before(c *modelled, n int) uint64 {
	all := m.entries[c.channel]
	for len(all) > 0 && all[len(all)-1].Offset > c.placed.Offset {
		all = all[:len(all)-1]
	}
	if n = min(n, m.w.keep.Count); n >= len(all) {
		return 0
	}
	return all[len(all)-n-1].Offset
}

// earlier is the offset of the newest entry that is older than what c asks for, as of the offset at which it was placed.
func (m *model) earlier(c *modelled) (offset uint64) {
	for _, e := range m.entries[c.channel] {
		if e.Offset <= c.placed.Offset && e.Time < c.start.Since {
			offset = e.Offset
		}
	}
	return offset
}

func (m *model) unsubscribe(t *rapid.T) {
	if len(m.clients) == 0 {
		t.Skip("nobody is there")
	}
	m.collect()
	i := rapid.IntRange(0, len(m.clients)-1).Draw(t, "who")
	m.verify(m.clients[i], false)
	m.clients[i].Close()
	m.clients = append(m.clients[:i], m.clients[i+1:]...)
}

func (m *model) read(t *rapid.T) {
	if len(m.clients) == 0 {
		t.Skip("nobody is there")
	}
	c := m.clients[rapid.IntRange(0, len(m.clients)-1).Draw(t, "who")]
	max := rapid.SampledFrom([]int{1, 50, 2000, 64 << 10}).Draw(t, "most bytes")
	for range rapid.IntRange(1, 10).Draw(t, "times") {
		if taken := rapid.IntRange(0, 2000).Draw(t, "taken"); !c.over { // who has been told to end asks for nothing
			c.pull(max, taken)
		}
	}
}

func (m *model) turn(t *rapid.T) {
	turns := append([]*queue(nil), m.w.loops...)
	if m.w.tasks != nil {
		turns = append(turns, m.w.tasks)
	}
	q := rapid.SampledFrom(turns).Draw(t, "loop or tasks")
	for range rapid.IntRange(1, 20).Draw(t, "functions") {
		q.one()
		m.notice()
	}
}

func (m *model) tick(t *rapid.T) {
	m.pass(time.Duration(rapid.IntRange(100, 20_000).Draw(t, "ms")) * time.Millisecond)
}

func (m *model) pass(d time.Duration) {
	m.w.setClock(m.w.clock.Add(d))
	for _, l := range m.w.loops {
		l.expire()
	}
	m.w.hub.Tick(m.w.clock)
}

var errDown = errors.New("down")

func (m *model) fail(t *rapid.T) {
	if rapid.Bool().Draw(t, "down") {
		m.w.broker.Fail(errDown)
		return
	}
	m.w.broker.Fail(nil)
}

func (m *model) refuse(t *rapid.T) { m.w.refuse = rapid.IntRange(0, 4).Draw(t, "busy") == 0 }

// check looks at every client as it stands.
func (m *model) check() {
	m.notice()
	m.collect()
	for _, c := range m.clients {
		m.verify(c, false)
	}
}

func (m *model) collect() {
	for _, c := range m.clients {
		c.text += c.out.String()
		c.out.Reset()
	}
}

// finish lets everything come to rest: then nothing may be missing.
func (m *model) finish() {
	m.w.broker.Fail(nil)
	m.w.refuse = false
	for range 4 {
		m.settle()
		m.pass(31 * time.Second)
	}
	m.settle()
	m.collect()
	for _, c := range m.clients {
		if !c.done {
			m.Fatalf("a client is still waiting")
		}
		if c.over && (m.roomy || m.rules[c.channel] != rule.OverflowDisconnect) {
			m.Fatalf("a client is disconnected that need not be")
		}
		m.verify(c, c.Placed() && !c.over)
		c.Close()
	}
	for range 2 {
		m.w.pass(16 * time.Second)
	}
	m.w.wantEmpty()
}

func (m *model) settle() {
	for busy := true; busy; {
		busy = false
		if m.w.tasks != nil {
			busy = m.w.tasks.one()
		}
		for _, l := range m.w.loops {
			busy = l.one() || busy
		}
		m.notice()
		for _, c := range m.clients {
			for c.due && !c.over && c.pull(5000, 3000) {
				busy = true
			}
			if len(c.rest) > 0 {
				c.out.Write(c.rest)
				c.rest = nil
			}
		}
	}
}

// verify compares what c was sent with what was published; whole says that all of it must be there by now.
func (m *model) verify(c *modelled, whole bool) {
	if !c.seen {
		if c.text != "" {
			m.Fatalf("a client that was not placed was sent\n%s", c.text)
		}
		return
	}
	all := m.entries[c.channel]
	at, recovered := c.begins, c.start.Kind == Position && c.placed.Recovered && c.begins < c.placed.Offset
	skip := func(to uint64) { // the client hears nothing of what lies between at and to: its own entries without echo
		if m.rules[c.channel] == rule.OverflowLatest && !m.roomy && to != ^uint64(0) {
			return // the client may have jumped here
		}
		for _, e := range all {
			if e.Offset > at && e.Offset < to && m.due(c, &e) {
				m.Fatalf("entry %d of channel %s is missing before %d; client %+v\n%s", e.Offset, c.channel, to, c.start, brief(c.text))
			}
		}
	}
	for line := range strings.Lines(c.text) {
		if !strings.HasSuffix(line, "\n") {
			break // the rest is on its way
		}
		var from, to uint64
		if _, err := fmt.Sscanf(line, "gap %d-%d", &from, &to); err == nil {
			skip(from)
			if m.roomy && !strings.HasSuffix(line, " removed\n") {
				m.Fatalf("gap %d-%d though nothing was given up", from, to)
			}
			if from > to || from <= at && at != c.begins {
				m.Fatalf("gap %d-%d after offset %d\n%s", from, to, at, brief(c.text))
			}
			if strings.HasSuffix(line, " removed\n") && to > m.removed[c.channel] {
				m.Fatalf("%.40q, but only what comes up to %d was removed", line, m.removed[c.channel])
			}
			if e := m.find(c.channel, to); e == nil {
				m.Fatalf("gap up to %d, where no entry is\n%s", to, brief(c.text))
			}
			at = to
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		offset, _ := strconv.ParseUint(f[2], 10, 64)
		e := m.find(c.channel, offset)
		if e == nil || string(e.Payload) != f[3] || f[1] != c.channel {
			m.Fatalf("line %.60q is no entry", line)
		}
		if offset <= at && at != c.begins { // at the beginning it may be catching up with more than it asked for
			m.Fatalf("entry %d after %d\n%s", offset, at, brief(c.text))
		}
		skip(offset)
		at = offset
	}
	if whole {
		skip(^uint64(0))
		if n := len(all); n > 0 && c.told < all[n-1].Offset && (c.told > 0 || c.placed.Offset < all[n-1].Offset || recovered) {
			m.Fatalf("the client was told up to %d, and not of %d; client %+v\n%s", c.told, all[n-1].Offset, c.start, brief(c.text))
		}
	}
}

// due says that c has to be told of e, or that it will not be.
func (m *model) due(c *modelled, e *broker.Entry) bool {
	own := c.name != "" && e.From != nil && e.From.Session == c.name
	return !own && e.TTL == 0 && !e.HasExpect && !(c.picky && filters(e))
}

func (m *model) find(channel string, offset uint64) *broker.Entry {
	for i := range m.entries[channel] {
		if e := &m.entries[channel][i]; e.Offset == offset {
			return e
		}
	}
	return nil
}

// brief is a text with its lines cut short.
func brief(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "%.40s\n", strings.TrimSuffix(line, "\n"))
	}
	return b.String()
}
