package hub

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// lag lets time pass after which no frames are left, or not.
func aged(t *testing.T, fn func(t *testing.T, w *world, age func())) {
	for name, d := range map[string]time.Duration{"near": 0, "far": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			fn(t, w, func() {
				if d > 0 {
					w.pass(d)
				}
			})
		})
	}
}

func TestARemovedEntryIsPassed(t *testing.T) {
	aged(t, func(t *testing.T, w *world, age func()) {
		c := w.place("a")
		w.many("a", 5)
		w.settle()
		age()
		w.hub.Removed("a", broker.Removal{Offset: 3})
		w.hub.Removed("a", broker.Removal{Offset: 5})
		w.hub.Removed("b", broker.Removal{Offset: 5}) // nobody follows
		c.want("1 0\n2 1\n4 3\n")
		if c.Offset() != 5 || c.passed == 0 {
			t.Errorf("at %d, passed told %d times", c.Offset(), c.passed)
		}
		w.place("a", last(2)).want("2 1\n4 3\n")
		w.place("a", last(1)).want("4 3\n")
		w.place("a", after(w.epoch("a"), 2)).want("4 3\n")
		if n := w.hub.Stats().Reads; n != 1 {
			t.Errorf("%d reads", n)
		}
		c.wantOffsets(w.many("a", 2))
	})
}

func TestARemovedKeyIsPassedButForItsDelete(t *testing.T) {
	aged(t, func(t *testing.T, w *world, age func()) {
		c := w.place("a")
		w.keyed("a", "k=1", "other=1", "k+2", "k-")
		w.settle()
		age()
		w.hub.Removed("a", broker.Removal{Key: "k"})
		c.want("2 1\n4 \n")
	})
}

// The newest Delete stays, and tells what the others would: they are in the log no more.
func TestOfTheDeletesOfARemovedKeyOneStays(t *testing.T) {
	aged(t, func(t *testing.T, w *world, age func()) {
		c := w.place("a")
		w.keyed("a", "k=1", "other=1", "k-", "other=2", "k-")
		w.settle()
		age()
		w.hub.Removed("a", broker.Removal{Key: "k"})
		c.want("2 1\n4 2\n5 \n")
		w.place("a", last(3)).want("2 1\n4 2\n5 \n")
	})
}

// A removal may be heard of before the Delete with which it ends: that one stays then, and none before it.
func TestTheDeleteThatStaysMayBeYetToCome(t *testing.T) {
	aged(t, func(t *testing.T, w *world, age func()) {
		c := w.place("a")
		w.keyed("a", "k=1", "k-", "other=1")
		w.settle()
		age()
		w.broker.Lose("a", 1)
		w.keyed("a", "k-")
		w.hub.Removed("a", broker.Removal{Key: "k", UpTo: 4})
		c.want("3 1\n4 \n")
		w.place("a", last(2)).want("3 1\n4 \n")
	})
}

func TestRemovedHistoryIsAGap(t *testing.T) {
	for _, o := range []rule.Overflow{rule.OverflowGap, rule.OverflowDisconnect, rule.OverflowRefill, rule.OverflowLatest} {
		aged(t, func(t *testing.T, w *world, age func()) {
			c := w.place("a", ruled(o))
			w.many("a", 5)
			w.settle()
			c.pull(1, 100)
			age()
			w.hub.Removed("a", broker.Removal{UpTo: 3})
			c.want("1 0\ngap 2-3 removed\n4 3\n5 4\n")
			w.wantActions(Overflows{})
			w.place("a", last(10)).want("4 3\n5 4\n")
			if d := w.place("a", after(w.epoch("a"), 2)); d.placed.Recovered {
				t.Error("recovered over what was removed")
			}
			w.hub.Removed("a", broker.Removal{UpTo: 5})
			if d := w.place("a", after(w.epoch("a"), 5)); !d.placed.Recovered {
				t.Error("not recovered from the head")
			}
			if n := w.hub.Stats().WindowBytes; n != 0 {
				t.Errorf("%d bytes held", n)
			}
			c.wantOffsets(w.many("a", 2))
		})
	}
}

// removing is what the broker does: it takes entries out of what is read.
func (w *world) removing(upTo uint64) {
	w.broker.page = func(_ string, q broker.Query, p *broker.Page) {
		for len(p.Entries) > 0 && p.Entries[0].Offset <= upTo {
			p.Entries = p.Entries[1:]
		}
		p.Complete = p.Complete && (!q.HasAfter || q.After >= upTo)
	}
}

func TestWhatIsRemovedBeforeItHasComeIsAGap(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.broker.Lose("a", 3)
	w.many("a", 3)
	w.removing(2)
	w.hub.Removed("a", broker.Removal{UpTo: 2})
	c.want("gap 1-2 removed\n3 2\n")
}

func TestPagesAreReadAgainAfterARemoval(t *testing.T) {
	w := newWorld(t, window(2))
	w.hub.pageEntries = 4
	w.many("a", 10)
	c, d := w.place("a", after(w.epoch("a"), 2)), w.place("a", after(w.epoch("a"), 0))
	c.pull(1, 100)
	w.hub.pageEntries = 20
	w.removing(6)
	w.hub.Removed("a", broker.Removal{UpTo: 6})
	want := "7 6\n8 7\n9 8\n10 9\n"
	c.want("3 2\ngap 4-6 removed\n" + want)
	d.want("gap 1-6 removed\n" + want)
}

func TestReadsUnderWayDoNotBringBackWhatIsRemoved(t *testing.T) {
	for name, read := range map[string]func(w *world) *client{
		"the first": func(w *world) *client { return w.subscribe("a", last(10)) },
		"for one": func(w *world) *client {
			w.place("a")
			return w.subscribe("a", last(10))
		},
		"the next": func(w *world) *client {
			c := w.place("a", after(w.epoch("a"), 0))
			c.read()
			return c
		},
		"what was missed": func(w *world) *client {
			c := w.place("a")
			w.broker.Lose("a", 1)
			w.publish("a", "secret")
			w.hub.Gap("a")
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, window(2), tasksByHand)
			w.hub.pageEntries = 2
			w.many("a", 4)
			w.broker.page = func(_ string, q broker.Query, p *broker.Page) {
				p.Entries = append([]*broker.Entry(nil), p.Entries...)
				for i, e := range p.Entries {
					if string(e.Payload) == "secret" || e.Offset == 3 {
						p.Entries[i] = &broker.Entry{Offset: e.Offset, Prev: e.Prev, Payload: []byte("secret"), Format: broker.Text}
					}
				}
			}
			c := read(w)
			w.tasks.one()
			w.broker.page = func(_ string, q broker.Query, p *broker.Page) {
				entries := p.Entries
				p.Entries = nil
				for _, e := range entries {
					if string(e.Payload) != "secret" && e.Offset != 3 {
						p.Entries = append(p.Entries, e)
					}
				}
			}
			w.hub.Removed("a", broker.Removal{Offset: 3})
			w.hub.Removed("a", broker.Removal{Offset: 5})
			w.settle()
			w.publish("a", "x")
			w.settle()
			if got := c.read(); strings.Contains(got, "secret") || !strings.HasSuffix(got, "x\n") {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// What a window is opened with is read once more where something is removed meanwhile.
func TestAWindowIsOpenedWithoutWhatIsRemovedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.many("a", 4)
	removed := false
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) {
		if removed {
			p.Entries = slices.Delete(slices.Clone(p.Entries), 2, 3)
			return
		}
		removed = true
		w.hub.Removed("a", broker.Removal{Offset: 3})
	}
	w.place("a", last(10)).want("1 0\n2 1\n4 3\n")
}

func TestEntriesPastTheirTimeArePassed(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	for i, ttl := range []time.Duration{0, 5 * time.Second, 20 * time.Second, 5 * time.Second} {
		w.put("a", broker.Entry{TTL: ttl, Payload: []byte{byte('0' + i)}, Format: broker.Text})
	}
	w.settle()
	w.pass(10 * time.Second) // the frames are gone
	c.want("1 0\n3 2\n")
	if c.Offset() != 4 || c.passed == 0 {
		t.Errorf("at %d, passed told %d times", c.Offset(), c.passed)
	}
	d := w.place("a", after(w.epoch("a"), 1))
	if d.want("3 2\n"); !d.placed.Recovered {
		t.Error("not recovered")
	}
	w.place("a", last(2)).want("1 0\n3 2\n")
	w.place("a", from(Start{Kind: Since, Since: 1})).want("1 0\n3 2\n")
}

func TestSharedFramesPastTheirTimeAreSentToNobody(t *testing.T) {
	w := newWorld(t)
	slow := w.place("a")
	w.put("a", broker.Entry{TTL: 300 * time.Millisecond, Payload: []byte("0"), Format: broker.Text})
	w.put("a", broker.Entry{Payload: []byte("1"), Format: broker.Text})
	w.put("a", broker.Entry{TTL: time.Minute, Payload: []byte("2"), Format: broker.Text})
	w.settle()
	w.pass(time.Second) // frames live longer
	slow.want("2 1\n3 2\n")
	w.place("a", last(10)).want("2 1\n3 2\n")
	late := w.place("a", after(w.epoch("a"), 0))
	if late.want("2 1\n3 2\n"); !late.placed.Recovered {
		t.Error("not recovered")
	}
}

func TestAnEntryThatComesPastItsTimeIsPassed(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.publish("a", "0")
	w.pass(5 * time.Second)
	late := &broker.Entry{Offset: 2, Prev: 1, Time: start.UnixMilli(), TTL: time.Second, Format: broker.Text}
	w.hub.Deliver("a", w.epoch("a"), late)
	c.want("1 0\n")
	if c.Offset() != 2 || c.passed == 0 {
		t.Errorf("at %d, passed told %d times", c.Offset(), c.passed)
	}
}

// The window may be shorter than what has frames.
func TestFramesPastTheirTimeAreSentToNobodyWithoutAWindow(t *testing.T) {
	w := newWorld(t, window(2))
	slow := w.place("a")
	w.put("a", broker.Entry{TTL: 300 * time.Millisecond, Payload: []byte("0"), Format: broker.Text})
	w.many("a", 3)
	w.settle()
	w.pass(time.Second)
	if got := slow.read(); strings.Contains(got, "1 0\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestEntriesOfAPagePastTheirTimeArePassed(t *testing.T) {
	w := newWorld(t, window(2))
	w.put("a", broker.Entry{TTL: 5 * time.Second, Format: broker.Text})
	w.many("a", 5)
	c := w.place("a", after(w.epoch("a"), 0))
	w.pass(6 * time.Second)
	c.wantOffsets([]uint64{2, 3, 4, 5, 6})
}

// The position of an entry that is over before it has come is passed as well.
func TestAnEntryOverBeforeItHasComeIsPassed(t *testing.T) {
	for name, change := range map[string]asking{
		"plain": func(*Request) {}, "sampled": func(r *Request) { r.Sample = time.Second }, "latest": ruled(rule.OverflowLatest),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.place("a", change)
			w.publish("a", "0")
			w.settle()
			w.broker.Lose("a", 1)
			w.put("a", broker.Entry{TTL: time.Second, Format: broker.Text})
			w.pass(2 * time.Second)
			w.pass(2 * time.Second)
			c.want("1 0\n")
			if c.Offset() != 2 || c.passed == 0 {
				t.Errorf("at %d, passed told %d times", c.Offset(), c.passed)
			}
			w.place("a", last(1)).want("1 0\n")
			w.publish("a", "2")
			w.pass(2 * time.Second)
			c.want("3 2\n")
		})
	}
}

func TestWhatHasEndedBeforeTheWindowIsNotMissing(t *testing.T) {
	w := newWorld(t, window(1), keeping(rule.History{Count: 4}))
	for i := range 4 {
		w.put("a", broker.Entry{TTL: time.Duration(1-i/3) * time.Second, Payload: []byte{byte('0' + i)}, Format: broker.Text})
	}
	w.pass(2 * time.Second)
	c := w.place("a", after(w.epoch("a"), 0))
	if c.want("4 3\n"); !c.placed.Recovered {
		t.Error("not recovered over what has ended")
	}
}

// A log keeps so many entries beside those that were removed, and so may reach back further than the window.
func TestWhatWasRemovedDoesNotCountForWhatIsKept(t *testing.T) {
	w := newWorld(t, window(4), keeping(rule.History{Count: 4}))
	w.place("a")
	w.many("a", 4)
	if _, err := w.broker.Remove(t.Context(), "a", broker.Removal{Offset: 3}); err != nil {
		t.Fatal(err)
	}
	w.many("a", 1)
	c := w.place("a", after(w.epoch("a"), 0))
	if c.want("1 0\n2 1\n4 3\n5 0\n"); !c.placed.Recovered {
		t.Error("not recovered, though the log has it all")
	}
}

// Who has the value of a key has to learn that it has been deleted, whatever was removed.
func TestARemovedDeleteIsToldWithoutItsPayload(t *testing.T) {
	aged(t, func(t *testing.T, w *world, age func()) {
		c := w.place("a")
		w.put("a", broker.Entry{Key: "k", Op: broker.Delete, Payload: []byte("secret"), Format: broker.Text})
		w.keyed("a", "k+1")
		w.settle()
		age()
		w.hub.Removed("a", broker.Removal{Offset: 1})
		c.want("1 \n2 1\n")
		w.place("a", last(10)).want("1 \n2 1\n")
	})
}

// A window that begins behind entries which were removed one by one is complete also for who stands before those.
func TestRemovedBeforeTheWindowIsNotMissing(t *testing.T) {
	w := newWorld(t)
	w.many("a", 4)
	for _, r := range []broker.Removal{{UpTo: 1}, {Offset: 2}, {Offset: 3}} {
		if n, err := w.broker.Lossy.Remove(t.Context(), "a", r); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	w.place("a").want("")
	for offset, recovered := range []bool{false, true, true, true} {
		c := w.place("a", after(w.epoch("a"), uint64(offset)))
		if c.want("4 3\n"); c.placed.Recovered != recovered {
			t.Errorf("after %d: recovered is %v", offset, c.placed.Recovered)
		}
	}
}

func TestARemovedKeyKeepsWhatWasWrittenSince(t *testing.T) {
	aged(t, func(t *testing.T, w *world, age func()) {
		c := w.place("a")
		w.keyed("a", "k=1", "k-", "k=2")
		w.settle()
		age()
		w.hub.Removed("a", broker.Removal{Key: "k", UpTo: 2})
		c.want("2 \n3 2\n")
		if d := w.place("a", after(w.epoch("a"), 0)); !d.placed.Recovered {
			t.Error("not recovered")
		}
	})
}

// What this node has not got yet may have been removed by now: then the newest position it knows is none to go on from.
func TestAPositionBeforeWhatWasRemovedUnseenIsNotRecovered(t *testing.T) {
	for offset := range uint64(6) {
		w := newWorld(t, tasksByHand)
		w.place("a")
		w.many("a", 3)
		w.broker.Lose("a", 2)
		w.many("a", 2)
		if _, err := w.broker.Remove(t.Context(), "a", broker.Removal{UpTo: 4}); err != nil {
			t.Fatal(err)
		}
		c := w.place("a", after(w.epoch("a"), offset)) // the node reads on only now
		if c.placed.Recovered != (offset >= 4) {
			t.Errorf("after %d: recovered is %v", offset, c.placed.Recovered)
		}
		if got := c.read(); strings.Contains(got, "5 1\n") != (offset < 5) {
			t.Errorf("after %d got %q", offset, got)
		}
	}
}

// The values of keys stay when the history is removed, so who has a state goes on with it.
func TestAStateIsRecoveredOverWhatWasRemovedUnseen(t *testing.T) {
	w := newWorld(t, tasksByHand)
	w.place("a")
	w.keyed("a", "k=1", "l=1", "m=1")
	w.broker.Lose("a", 2)
	w.keyed("a", "k=2", "l-")
	if _, err := w.broker.Remove(t.Context(), "a", broker.Removal{UpTo: 4}); err != nil {
		t.Fatal(err)
	}
	c := w.place("a", resuming(w.epoch("a"), 3))
	if c.want("4 2\n5 \n"); !c.placed.Recovered {
		t.Error("not recovered")
	}
}

// The word of a removal may come when the log has begun anew: the offsets and keys of one log are none of another.
func TestWhatWasRemovedFromAnotherLogStays(t *testing.T) {
	for _, r := range []broker.Removal{{UpTo: 2}, {Offset: 2}, {Key: "k"}, {Key: "k", UpTo: 9}} {
		w := newWorld(t)
		c := w.place("a")
		w.keyed("a", "k=1", "k=2")
		r.Epoch = "before"
		w.hub.Removed("a", r)
		c.want("1 1\n2 2\n")
		r.Epoch = w.epoch("a")
		w.hub.Removed("a", r)
		if got := w.place("a", last(10)).read(); strings.Contains(got, "2 2\n") {
			t.Errorf("%+v leaves %q", r, got)
		}
	}
}

// A mark of what is missing ends at the head where nothing is left, though what was removed one by one before that is not missing.
func TestWhatIsMissingIsNoLongerThanItIs(t *testing.T) {
	w := newWorld(t, keeping(rule.History{Count: 1, Age: 2 * time.Second}))
	w.place("a")
	w.broker.Lose("a", 3)
	w.many("a", 3)
	if _, err := w.broker.Remove(t.Context(), "a", broker.Removal{Offset: 3}); err != nil {
		t.Fatal(err)
	}
	w.hub.Gap("a")
	w.pass(3 * time.Second) // the window lets go of the mark
	for offset := range uint64(4) {
		if c := w.place("a", after(w.epoch("a"), offset)); c.placed.Recovered != (offset >= 2) {
			t.Errorf("after %d: recovered is %v", offset, c.placed.Recovered)
		}
	}
}
