package hub

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// told is an encoding that can gather: of each entry it tells what a follower of a keyed log needs, in a word of its own.
type told struct{}

func (e told) AppendEntry(dst []byte, channel, epoch string, entry *broker.Entry) []byte {
	dst, _ = e.AppendEntries(dst, channel, epoch, []*broker.Entry{entry})
	return dst
}

func (told) AppendEntries(dst []byte, _, _ string, entries []*broker.Entry) (b []byte, n int) {
	for n < len(entries) && n < 3 {
		e := entries[n]
		dst = fmt.Appendf(dst, "%d:%s%c%s ", e.Offset, e.Key, " =+-"[e.Op+1], e.Payload)
		n++
	}
	return append(dst, '\n'), n
}

// apply does an entry as told to a client.
func apply(values map[string]string, key string, op byte, value string) {
	switch op {
	case '=':
		values[key] = value
	case '+':
		values[key] += value
	default:
		delete(values, key)
	}
}

// pacedWorld is a log that is sampled or gathered, all that was ever written to it, and clients that come and go.
type pacedWorld struct {
	*rapid.T
	w       *world
	sample  bool
	log     []broker.Entry
	clients []*folded
}

// at is what the keys hold after the entry with the given offset.
func (p *pacedWorld) at(offset uint64) map[string]string {
	values := map[string]string{}
	for _, e := range p.log {
		if e.Offset <= offset {
			apply(values, e.Key, " =+-"[e.Op+1], string(e.Payload))
		}
	}
	return values
}

func (p *pacedWorld) write(t *rapid.T) {
	for range rapid.IntRange(1, 4).Draw(t, "entries") {
		e := broker.Entry{Key: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"), Format: broker.Text}
		e.Op = rapid.SampledFrom([]broker.Op{broker.Set, broker.Append, broker.Append, broker.Delete}).Draw(t, "op")
		if e.Op != broker.Delete {
			e.Payload = []byte{byte('a' + len(p.log)%26)}
		}
		e.Offset = p.w.put("x", e)
		p.log = append(p.log, e)
	}
}

// join has f follow from where it stands: at the head, if it stands nowhere yet.
func (p *pacedWorld) join(t *rapid.T, f *folded) {
	f.client = &client{w: p.w, direct: rapid.Bool().Draw(t, "direct")}
	s := Start{}
	if f.epoch != "" {
		s = Start{Kind: Position, Position: broker.Position{Epoch: f.epoch, Offset: f.at}}
	}
	p.w.join(f.client, "x", from(s), onLoop(rapid.IntRange(0, 1).Draw(t, "loop")), func(r *Request) {
		r.Encoding, r.Overflow = told{}, rule.OverflowRefill
		if p.sample {
			r.Sample = time.Second
		} else {
			r.Gather = time.Second
		}
	})
	p.w.settle()
	if f.err != nil || !f.placed.Recovered {
		t.Fatalf("placed %+v, error %v", f.placed, f.err)
	}
	if f.epoch == "" {
		f.epoch, f.at = f.placed.Epoch, f.placed.Offset
		f.values = p.at(f.at)
	}
}

// take applies whole lines, and checks that offsets grow and that what is not told was superseded.
func (p *pacedWorld) take(f *folded) {
	text := f.out.String()
	text = text[:strings.LastIndexByte(text, '\n')+1]
	f.out.Next(len(text))
	for _, word := range strings.Fields(text) {
		var offset uint64
		fmt.Sscanf(word, "%d:", &offset)
		_, entry, _ := strings.Cut(word, ":")
		i := slices.IndexFunc(p.log, func(e broker.Entry) bool { return e.Offset == offset })
		if i < 0 || offset <= f.at {
			p.Fatalf("told %q after %d", word, f.at)
		}
		if !p.sample && i > 0 && p.log[i-1].Offset > f.at {
			p.Fatalf("told %q after %d: something is missing", word, f.at)
		}
		f.at = offset
		apply(f.values, entry[:1], entry[1], entry[2:])
	}
}

func TestPacedLogsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := openWorld(t, keeping(rule.History{Count: 10_000}), window(rapid.SampledFrom([]int{4, 12, 10_000}).Draw(t, "window")))
		defer w.stop()
		w.hub.cacheBytes = rapid.SampledFrom([]int{1, 60, 100_000}).Draw(t, "cache")
		p := &pacedWorld{T: t, w: w, sample: rapid.Bool().Draw(t, "sample")}
		pick := func(t *rapid.T) *folded {
			if len(p.clients) == 0 {
				t.Skip("nobody is there")
			}
			return p.clients[rapid.IntRange(0, len(p.clients)-1).Draw(t, "who")]
		}
		read := func(f *folded, times, most, cut int) {
			for range times {
				f.pull(most, cut)
			}
			w.settle()
			p.take(f)
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": p.write,
			"subscribe": func(t *rapid.T) {
				f := &folded{}
				p.join(t, f)
				p.clients = append(p.clients, f)
			},
			"cut off": func(t *rapid.T) {
				f := pick(t)
				p.take(f)
				f.Close()
				if rapid.Bool().Draw(t, "later") {
					w.wait(time.Second)
				}
				p.join(t, f)
			},
			"read": func(t *rapid.T) {
				read(pick(t), rapid.IntRange(1, 5).Draw(t, "times"), rapid.SampledFrom([]int{1, 30, 1000}).Draw(t, "most"), rapid.IntRange(1, 30).Draw(t, "cut"))
			},
			"wait": func(t *rapid.T) { w.wait(time.Duration(rapid.IntRange(1, 1500).Draw(t, "ms")) * time.Millisecond) },
			"tick": func(t *rapid.T) { w.pass(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond) },
		})
		w.wait(2 * time.Second)
		w.settle()
		head := p.at(^uint64(0))
		for _, f := range p.clients {
			for range 3 {
				read(f, 1000, 1000, 1000)
			}
			if len(f.rest) > 0 || f.Behind() > 0 || !maps.Equal(f.values, head) {
				t.Fatalf("a client at %d has %v, want %v", f.at, f.values, head)
			}
		}
	})
}
