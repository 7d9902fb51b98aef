package hub

import (
	"context"
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

// resuming goes on with a state from a position.
func resuming(epoch string, offset uint64) asking {
	return from(Start{Kind: Position, WantsState: true, Position: broker.Position{Epoch: epoch, Offset: offset}})
}

func TestAPositionInAStateIsRecoveredFromTheWindow(t *testing.T) {
	w := newWorld(t)
	w.keyed("a", "a=1", "b=1", "a=2", "b-")
	w.place("a")
	c := w.place("a", resuming(w.epoch("a"), 1))
	c.want("2 1\n3 2\n4 \n")
	if n := w.hub.Stats().Reads; n != 2 || !c.placed.Recovered { // when the log was opened, and of nothing new
		t.Errorf("%d reads, recovered %v", n, c.placed.Recovered)
	}
}

func TestAPositionBeforeTheWindowIsRecoveredFromTheState(t *testing.T) {
	w := newWorld(t, window(2), keeping(rule.History{Count: 2}))
	w.keyed("a", "a=1", "b=1", "c=1", "a=2", "b-", "d=1", "d=2", "d+3")
	c := w.place("a", resuming(w.epoch("a"), 2))
	if c.want("3 1\n4 2\n5 \n8 23\n"); !c.placed.Recovered || c.placed.Offset != 8 {
		t.Errorf("placed %+v", c.placed)
	}
	w.keyed("a", "d+4")
	c.want("9 4\n")
	d := w.place("a", resuming("other", 2))
	if d.want("3 1\n4 2\n9 234\n"); d.placed.Recovered {
		t.Error("recovered from another epoch")
	}
}

// The client may have been cut off before it got the value that is appended to.
func TestPiecesAreNotAppendedToWhatAStateHasNotTold(t *testing.T) {
	w := newWorld(t)
	w.keyed("a", "a=1", "b=1", "a+2", "a+3")
	w.place("a")
	w.place("a", resuming(w.epoch("a"), 2)).want("4 123\n")
	w.keyed("a", "a=new", "a+er")
	w.place("a", resuming(w.epoch("a"), 4)).want("5 new\n6 er\n")
}

// A client that was cut off in the middle of a state has not got the keys that had changed by then. They may have changed
// by an append that this node does not know of yet.
func TestPiecesThatAreOnTheirWayAreNotAppendedToWhatAStateHasNotTold(t *testing.T) {
	w := newWorld(t)
	w.hub.pageEntries = 1
	w.keyed("a", "a=1", "b=1", "c=1")
	w.place("a")
	c := w.place("a", from(Start{Kind: State}))
	c.pull(1000, 1000)
	w.broker.Lose("a", 1)
	w.keyed("a", "b+2")
	c.pull(1000, 1000)
	w.settle()
	c.pull(1000, 1000)
	if got := c.text(); got != "1 1\n3 1\n" {
		t.Fatalf("before the cut comes\n%s", got)
	}
	c.Close()
	d := w.place("a", resuming(w.epoch("a"), 3))
	if d.want("4 12\n"); !d.placed.Recovered {
		t.Error("not recovered")
	}
	w.keyed("a", "b+3")
	d.want("5 3\n")
}

func TestPiecesThatWaitAreNotAppendedToWhatAStateHasNotTold(t *testing.T) {
	w := newWorld(t)
	w.keyed("a", "a=1", "b=1", "c=1")
	w.place("a", sampled(time.Second))
	w.keyed("a", "d=1", "b+2")
	c := w.place("a", sampled(time.Second), resuming(w.epoch("a"), 3))
	w.wait(2 * time.Second)
	c.want("4 1\n5 12\n")
}

// Whoever comes back with a part of a state waits for the log to be as far as the broker is, and all do so for one read.
func TestThoseWhoComeBackToAStateShareARead(t *testing.T) {
	w := newWorld(t, tasksByHand)
	w.keyed("a", "a=1", "b=1")
	w.place("a")
	before := w.hub.Stats().Reads
	var back []*client
	for range 10 {
		back = append(back, w.subscribe("a", resuming(w.epoch("a"), 1)))
	}
	w.settle()
	for _, c := range back {
		if c.want("2 1\n"); !c.placed.Recovered {
			t.Error("not recovered")
		}
	}
	if n := w.hub.Stats().Reads - before; n != 1 {
		t.Errorf("%d reads", n)
	}
	late := w.subscribe("a", resuming(w.epoch("a"), 2))
	w.broker.Fail(errDown)
	w.settle()
	if w.broker.Fail(nil); late.err != errDown {
		t.Errorf("without a broker: %v", late.err)
	}
	late = w.subscribe("a", resuming(w.epoch("a"), 2))
	w.hub.Close()
	w.settle()
	if late.err != ErrClosed {
		t.Errorf("of a hub that is closed: %v", late.err)
	}
}

func TestAStateWhoseDeletesAreForgottenIsRecoveredFromTheLogOrNot(t *testing.T) {
	w := newWorld(t, window(2))
	w.keyed("a", "a=1", "b=1", "c=1", "a-", "c=2")
	w.broker.forgotten = true
	c := w.place("a", resuming(w.epoch("a"), 1))
	if c.want("2 1\n3 1\n4 \n5 2\n"); !c.placed.Recovered {
		t.Error("not recovered though the log has it all")
	}
	w.keyed("a", "b+3")
	c = w.place("a", resuming(w.epoch("a"), 2))
	if c.want("5 2\n6 13\n"); c.placed.Recovered {
		t.Error("recovered though nobody knows what was deleted")
	}
}

// folded is a client of a keyed log: what its keys hold, as it has been told, and where it stands.
type folded struct {
	*client
	values map[string]string
	at     uint64
	epoch  string
}

// keys is an encoding that tells what a follower of a keyed log needs.
type keys struct{}

func (keys) AppendEntry(dst []byte, _, _ string, e *broker.Entry) []byte {
	dst = strconv.AppendUint(dst, e.Offset, 10)
	dst = append(append(append(dst, ' '), e.Key...), " =+-"[e.Op+1])
	return append(append(dst, e.Payload...), '\n')
}

// take applies whole lines of what the client has received.
func (f *folded) take(t *rapid.T) {
	for line := range strings.Lines(f.out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if gap, ok := strings.CutPrefix(line, "gap "); ok {
			if !strings.HasSuffix(gap, " state") {
				t.Fatalf("told %q", line)
			}
			f.values, f.at = map[string]string{}, 0
			continue
		}
		number, rest, _ := strings.Cut(line, " ")
		offset, _ := strconv.ParseUint(number, 10, 64)
		if offset <= f.at {
			t.Fatalf("entry %d after %d", offset, f.at)
		}
		f.at = offset
		i := strings.IndexAny(rest, "=+-")
		switch key, value := rest[:i], rest[i+1:]; rest[i] {
		case '=':
			f.values[key] = value
		case '+':
			f.values[key] += value
		default:
			delete(f.values, key)
		}
	}
	f.out.Reset()
}

// TestAStateIsTheLogCompacted has keys set, appended to and deleted while clients take a state page by page, fall behind,
// are cut off anywhere and resume: in the end each holds what the broker holds, and no offset was told twice.
func TestAStateIsTheLogCompacted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := func(label string) int { return rapid.IntRange(1, 6).Draw(t, label) }
		w := openWorld(t, window(small("window")), keeping(rule.History{Count: small("kept")}))
		defer w.stop()
		w.hub.pageEntries = small("page")
		w.hub.cacheBytes = rapid.SampledFrom([]int{1, 100_000}).Draw(t, "cache")
		if rapid.Bool().Draw(t, "tasks by hand") {
			w.tasks = &queue{}
		}
		write := func() {
			key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "key")
			w.keyed("x", key+rapid.SampledFrom([]string{"=1", "=2", "+3", "+4", "-"}).Draw(t, "entry"))
		}
		for range rapid.IntRange(0, 12).Draw(t, "before") {
			write()
		}
		var clients []*folded
		join := func(f *folded, s Start) {
			f.client = &client{w: w}
			w.join(f.client, "x", from(s), ruled(rule.OverflowLatest), func(r *Request) { r.Encoding = keys{} })
		}
		pick := func() *folded {
			if len(clients) == 0 {
				t.Skip("nobody is there")
			}
			return clients[rapid.IntRange(0, len(clients)-1).Draw(t, "who")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(*rapid.T) { write() },
			"subscribe": func(*rapid.T) {
				f := &folded{values: map[string]string{}}
				join(f, Start{Kind: State})
				clients = append(clients, f)
			},
			"cut off": func(*rapid.T) {
				f := pick()
				f.take(t)
				if f.placed.Epoch != "" && f.Placed() {
					f.epoch = f.placed.Epoch
				}
				f.Close()
				if f.epoch == "" {
					join(f, Start{Kind: State})
					return
				}
				join(f, Start{Kind: Position, WantsState: true, Position: broker.Position{Epoch: f.epoch, Offset: f.at}})
			},
			"read": func(*rapid.T) {
				f := pick()
				for range rapid.IntRange(1, 4).Draw(t, "times") {
					f.pull(rapid.SampledFrom([]int{1, 20, 1000}).Draw(t, "most"), 1000)
				}
			},
			"turn": func(*rapid.T) {
				for range rapid.IntRange(1, 5).Draw(t, "functions") {
					if w.tasks != nil {
						w.tasks.one()
					}
					w.loops[0].one()
				}
			},
			"": func(t *rapid.T) {
				for _, f := range clients {
					if f.done && f.err == nil && f.epoch == "" {
						f.epoch = f.placed.Epoch
					}
					if f.done && f.err == nil && !f.placed.Recovered && f.at != 0 && f.sent == 0 && f.out.Len() == 0 {
						f.values, f.at = map[string]string{}, 0
					}
					f.take(t)
				}
			},
		})
		page, err := w.broker.Lossy.State(context.Background(), "x", broker.StateQuery{})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, e := range page.Entries {
			want[e.Key] = string(e.Payload)
		}
		for _, f := range clients {
			w.settle()
			if f.done && !f.placed.Recovered && f.sent == 0 {
				f.values, f.at = map[string]string{}, 0
			}
			for again := true; again; again = f.due {
				for f.pull(1000, 1000) {
				}
				w.settle()
			}
			f.take(t)
			if !maps.Equal(f.values, want) {
				t.Fatalf("a client has %v, want %v (keys %v)", f.values, want, slices.Sorted(maps.Keys(want)))
			}
		}
	})
}
