package hub

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

func sampled(d time.Duration) asking { return func(r *Request) { r.Sample = d } }

// gathering is an encoding that tells entries of one op together: their offsets and payloads in one line.
type gathering struct{ most int }

func (g gathering) AppendEntry(dst []byte, channel, epoch string, e *broker.Entry) []byte {
	dst, _ = g.AppendEntries(dst, channel, epoch, []*broker.Entry{e})
	return dst
}

func (g gathering) AppendEntries(dst []byte, channel, _ string, entries []*broker.Entry) (b []byte, n int) {
	for n < len(entries) && n < g.most && entries[n].Op == entries[0].Op {
		n++
	}
	dst = fmt.Appendf(dst, "m %s %d", channel, entries[n-1].Offset)
	for _, e := range entries[:n] {
		if string(e.Payload) != "silent" {
			dst = fmt.Appendf(dst, " %s", e.Payload)
		}
	}
	return append(dst, '\n'), n
}

func gathered(d time.Duration) asking {
	return func(r *Request) { r.Gather, r.Encoding = d, gathering{100} }
}

func TestASampledLogTellsTheLatestOfEachKeyPerInterval(t *testing.T) {
	w := newWorld(t)
	c := w.place("a", sampled(250*time.Millisecond))
	w.keyed("a", "k=1")
	c.want("1 1\n") // the first does not wait
	w.keyed("a", "k=2", "l=1", "k=3", "=x", "=y", "k=4")
	c.want("")
	w.wait(249 * time.Millisecond)
	c.want("")
	w.wait(time.Millisecond)
	c.want("3 1\n6 y\n7 4\n")
	w.keyed("a", "k=5")
	w.wait(249 * time.Millisecond)
	c.want("")
	w.wait(time.Millisecond)
	c.want("8 5\n")
	w.wait(250 * time.Millisecond)
	w.keyed("a", "k=6")
	c.want("9 6\n") // after a silence
}

func TestPartsOfAValueAreAllTold(t *testing.T) {
	for i, test := range []struct{ in, want string }{
		{"k+1 k+2 k+3", "4 123\n"},
		{"k=1 k+2 k+3", "4 123\n"},
		{"k=1 k=2 k+3", "4 23\n"},
		{"k+1 k=2", "3 2\n"},
		{"k- k+1", "2 \n3 1\n"}, // who filters gets the delete, and perhaps not what follows
		{"k=1 k-", "3 \n"},
		{"k+1 l=1 k+2", "2 1\n3 1\n4 2\n"},
		{"k+1 l=1 k+2 l=2", "4 12\n5 2\n"},
	} {
		w := newWorld(t)
		c := w.place("a", sampled(time.Second))
		w.keyed("a", "first=0")
		c.want("1 0\n")
		w.keyed("a", strings.Fields(test.in)...)
		w.wait(time.Second)
		if got := c.read(); got != test.want {
			t.Errorf("%d: %s brings %q, want %q", i, test.in, got, test.want)
		}
	}
}

// lives appends an entry with a time to live.
func (w *world) lives(channel, key string, op broker.Op, payload string, ttl time.Duration) {
	w.put(channel, broker.Entry{Key: key, Op: op, Payload: []byte(payload), Format: broker.Text, TTL: ttl})
}

func TestWhatHasEndedWhileItWaitedIsNotTold(t *testing.T) {
	for name, pace := range map[string]asking{"sampled": sampled(10 * time.Second), "gathered": gathered(10 * time.Second)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.place("a", pace)
			w.keyed("a", "first=0", "k=1")
			w.lives("a", "l", broker.Set, "2", time.Second)
			w.lives("a", "m", broker.Set, "3", time.Minute)
			w.lives("a", "", broker.Set, "4", time.Second)
			c.want("1 0\n")
			w.pass(5 * time.Second)
			w.wait(5 * time.Second)
			if c.want("2 1\n4 3\n"); c.Offset() != w.head("a") || c.passed == 0 {
				t.Errorf("at %d, passed told %d times", c.Offset(), c.passed)
			}
		})
	}
}

func TestAJoinedValueEndsWithTheFirstOfItsParts(t *testing.T) {
	w := newWorld(t)
	w.hub.cacheBytes = 1
	c, slow := w.place("a", sampled(time.Second)), w.place("a", sampled(time.Second))
	w.keyed("a", "first=0")
	w.lives("a", "k", broker.Set, "1", 5*time.Second)
	w.keyed("a", "k+2", "first=1")
	w.wait(time.Second)
	c.want("1 0\n3 12\n4 1\n")
	w.pass(5 * time.Second)
	slow.want("1 0\n4 1\n")
}

func TestPartsWithDifferentTagsAreNotJoined(t *testing.T) {
	w := newWorld(t)
	c := w.place("a", sampled(time.Second))
	w.keyed("a", "first=0")
	for i, tag := range []string{"en", "en", "de"} {
		w.put("a", broker.Entry{
			Key: "k", Op: broker.Append, Payload: []byte(strconv.Itoa(i)), Format: broker.Text, Headers: map[string]string{"tag:lang": tag},
		})
	}
	w.wait(time.Second)
	c.want("1 0\n3 01\n4 2\n")
}

func TestPartsWithoutEchoAreNotJoinedWithOthers(t *testing.T) {
	w := newWorld(t)
	c, ann := w.place("a", sampled(time.Second)), &client{w: w, name: "ann"}
	w.join(ann, "a", sampled(time.Second))
	w.settle()
	w.keyed("a", "first=0", "k+1")
	w.put("a", broker.Entry{
		Key: "k", Op: broker.Append, Payload: []byte("2"), Format: broker.Text,
		From: &broker.Member{Session: "ann"}, NoEcho: true,
	})
	w.wait(time.Second)
	c.want("1 0\n2 1\n3 2\n")
	ann.want("1 0\n2 1\n")
}

func TestWhoComesInAmongWhatWaitsGetsTheRestAlone(t *testing.T) {
	for _, kind := range []StartKind{Live, Position} {
		w := newWorld(t)
		c := w.place("a", sampled(time.Second))
		w.keyed("a", "k=0", "k+1", "k+2")
		d := w.place("a", from(Start{Kind: kind, Position: broker.Position{Epoch: w.epoch("a"), Offset: 3}}))
		if kind == Position && !d.placed.Recovered {
			t.Error("not recovered")
		}
		w.keyed("a", "k+3")
		w.wait(time.Second)
		c.want("1 0\n3 12\n4 3\n")
		d.want("4 3\n")
	}
}

// Who has read further than the log has come is not sent again what he has.
func TestWhoIsAheadOfWhatWaitsGetsTheRestAlone(t *testing.T) {
	w := newWorld(t)
	c := w.place("a", sampled(time.Second))
	w.keyed("a", "k=0")
	w.settle()
	w.broker.Lose("a", 1)
	w.keyed("a", "k+1")
	d := w.place("a", from(Start{Kind: State}))
	d.want("2 01\n")
	w.keyed("a", "k+2")
	w.wait(time.Second)
	c.want("1 0\n2 1\n3 2\n")
	d.want("3 2\n")
}

func TestAPositionAmongJoinedPartsIsReadFromTheBroker(t *testing.T) {
	w := newWorld(t)
	w.place("a", sampled(time.Second))
	w.keyed("a", "k=0", "k+1", "k+2", "k+3")
	w.wait(time.Second)
	for at, want := range []string{"1 0\n4 123\n", "4 123\n", "3 2\n4 3\n", "4 3\n", ""} {
		c := w.place("a", after(w.epoch("a"), uint64(at)))
		c.want(want)
	}
	w.hub.Removed("a", broker.Removal{Offset: 3})
	w.place("a", last(5)).want("1 0\n")
}

// Between the parts of a value that were joined lies what was superseded. When that is removed the value stays; when a part is, it goes.
func TestWhatLiesBetweenJoinedPartsIsNoneOfThem(t *testing.T) {
	w := newWorld(t)
	w.place("a", sampled(time.Second))
	w.keyed("a", "j=0", "k+1", "j=1", "k+2", "j=2", "m=3", "j=3", "m+5", "j=4")
	w.wait(time.Second)
	for _, test := range []struct {
		removed uint64
		want    string
	}{
		{3, "1 0\n4 12\n8 35\n9 4\n"},
		{7, "1 0\n4 12\n8 35\n9 4\n"},
		{6, "1 0\n4 12\n9 4\n"},
		{2, "1 0\n9 4\n"},
	} {
		w.hub.Removed("a", broker.Removal{Offset: test.removed})
		w.place("a", last(9)).want(test.want)
	}
}

func TestMuchThatIsSupersededTakesNoRoom(t *testing.T) {
	w := newWorld(t, window(10))
	c := w.place("a", sampled(time.Second))
	for i := range 5000 {
		w.publish("a", strconv.Itoa(i))
	}
	if n := len(w.hub.find("a").pace.waiting); n > 2*siftFrom {
		t.Errorf("%d entries wait", n)
	}
	w.wait(time.Second)
	c.want("1 0\n5000 4999\n")
	w.keyed("a", "k=1", "k=2") // still waiting when the log goes
	c.Close()
	w.pass(time.Minute)
	w.pass(time.Minute)
	w.wantEmpty()
}

func TestALogThatNobodyFollowsIsNotPaced(t *testing.T) {
	w := newWorld(t)
	w.place("a", sampled(time.Second)).Close()
	w.keyed("a", "k=1", "k=2")
	w.place("a", last(5)).want("1 1\n2 2\n")
}

func TestAGapDoesNotWait(t *testing.T) {
	w := newWorld(t, keeping(rule.History{Count: 1}))
	c := w.place("a", sampled(time.Second))
	w.keyed("a", "k=1", "k=2", "l=1")
	w.broker.Lose("a", 3)
	w.keyed("a", "k=3", "k=4", "k=5", "k=6")
	w.settle()
	w.wait(2 * time.Second)
	c.want("1 1\n2 2\n3 1\ngap 4-6 unavailable\n7 6\n")
}

func TestAGatheredLogTellsManyInOneMessage(t *testing.T) {
	w := newWorld(t)
	c, d := w.place("a", gathered(200*time.Millisecond)), w.place("a", onLoop(1), gathered(200*time.Millisecond))
	plain := w.place("a", tagged("m"))
	w.many("a", 1)
	for _, c := range []*client{c, d, plain} {
		c.want("1 0\n")
	}
	w.many("a", 3)
	w.keyed("a", "k-")
	w.many("a", 2)
	c.want("")
	w.wait(200 * time.Millisecond)
	c.want("4 0 1 2\n5 \n7 0 1\n")
	d.want("4 0 1 2\n5 \n7 0 1\n")
	plain.want("2 0\n3 1\n4 2\n5 \n6 0\n7 1\n")
	if c.sent != 7 || c.Offset() != 7 {
		t.Errorf("%d sent, at %d", c.sent, c.Offset())
	}
	w.pass(10 * time.Second)
	w.place("a", last(7), gathered(1)).want("4 0 0 1 2\n5 \n7 0 1\n") // from the window too
}

func TestWhoIsNamedInARunOrBeginsInsideGetsTheOthers(t *testing.T) {
	for _, cut := range []int{1, 5, 1000} {
		w := newWorld(t)
		ann := &client{w: w, name: "ann"}
		w.join(ann, "a", gathered(time.Second))
		w.settle()
		w.many("a", 2)
		inside := w.place("a", after(w.epoch("a"), 3-1), gathered(time.Second))
		w.publish("a", "x")
		live := w.place("a", gathered(time.Second))
		w.publish("a", "own", "ann")
		w.publish("a", "y")
		w.wait(time.Second)
		for _, test := range []struct {
			c    *client
			want string
		}{{ann, "1 0\n3 1 x\n5 y\n"}, {inside, "5 x own y\n"}, {live, "5 own y\n"}} {
			for test.c.pull(1000, cut) {
			}
			if got := test.c.read(); got != test.want {
				t.Errorf("cut at %d: got %q, want %q", cut, got, test.want)
			}
		}
	}
}

// A run goes as a whole: nobody's position is inside one that has not been sent.
func TestARunIsPassedWhenItIsSent(t *testing.T) {
	w := newWorld(t)
	c := w.place("a", gathered(time.Second))
	w.many("a", 4)
	w.wait(time.Second)
	c.pull(1, 1000)
	sl := c.Take(&c.scratch, 1000)
	if c.Offset() != 1 || sl.Passed {
		t.Errorf("at %d before the run is sent", c.Offset())
	}
	if n, _ := c.Sent(&sl, 0); n != 0 || c.Offset() != 1 {
		t.Errorf("at %d when nothing has been sent", c.Offset())
	}
	n, rest := c.Sent(&sl, 3)
	if n != 3 || c.Offset() != 4 || len(rest) != len(sl.Bytes)-3 {
		t.Errorf("%d entries sent, at %d, rest %q", n, c.Offset(), rest)
	}
}

func TestAGatheredLogIsBounded(t *testing.T) {
	w := newWorld(t, window(10))
	c := w.place("a", gathered(time.Second))
	all := w.many("a", 100)
	w.wait(time.Second)
	var got []string
	for line := range strings.Lines(c.read()) {
		got = append(got, strings.Fields(line)[1:]...)
	}
	if len(got) != len(all) || slices.Contains(got, "gap") {
		t.Errorf("got %v", got)
	}
}
