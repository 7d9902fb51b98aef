package sim

import (
	"fmt"
	"hash/fnv"
	"io"
	"regexp"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A Result is what came of a seed.
type Result struct {
	Counts
	Hash    uint64 // of everything that any client has seen, with its time
	Excerpt string // of the story around the first violation; "" when all promises were kept
}

const (
	quiet = 45 * time.Second // until everybody knows everything: heads of idle channels are compared every 30 s
	// takeover is how long it takes besides where a node has died while it wrote off the members of a life that had ended: its key of
	// that ends after a minute.
	takeover = 70 * time.Second
	linger   = 30 * time.Second // until a node has noticed who vanished, and forgotten the channels that nobody follows
)

// Run plays a seed. It blocks for some milliseconds.
func Run(t *testing.T, seed uint64) (r Result) {
	synctest.Test(t, func(*testing.T) {
		w := &world{seed: seed, profile: draw(seed), start: time.Now(), ephemeral: make(map[string]bool), writers: make(map[string]*lifetime)}
		w.truth = newTruth(w.profile.kept, func(format string, args ...any) { w.fault("", "engine", w.now(), format, args...) })
		w.play()
		r.Counts = w.counts
		r.Seeds, r.Violations = 1, uint64(len(w.broken))
		r.Hash = w.hash()
		if len(w.broken) > 0 {
			r.Excerpt = w.excerpt()
		}
	})
	return r
}

// play lets everything happen, and checks it.
func (w *world) play() {
	w.engine = newEngine(w.seed, w.truth, w.profile.faults)
	defer w.engine.close()
	if err := w.open(); err != nil {
		w.fault("", "node", w.now(), "could not start: %v", err)
		return
	}
	var actors []*actor
	for i := range w.profile.hands + w.profile.visitors {
		a := newActor(w, i)
		actors = append(actors, a)
		w.acting.Go(a.live)
	}
	for i := range w.profile.kits {
		w.acting.Go(newKit(w, i).live)
	}
	w.clerk = clerk{w: w, dice: throw(w.seed, "clerk")}
	w.acting.Go(w.clerk.live)
	desk := &office{w: w, name: "office", dice: throw(w.seed, "office")}
	w.acting.Go(desk.live)
	w.dawdle()
	w.trouble()
	w.engine.calm()
	w.set(func() { w.calmed = true })
	w.note("world", "is calm from now on")
	time.Sleep(quiet)
	if w.profile.losses > 0 && w.profile.restarts > 0 {
		time.Sleep(takeover)
	}
	desk.probe()
	w.engine.rest()
	for _, a := range actors {
		a.mu.Lock()
	}
	w.check(actors)
	for _, a := range actors {
		a.mu.Unlock()
	}
	w.set(func() { w.ending = true })
	for _, a := range actors {
		a.part()
	}
	w.acting.Wait()
	time.Sleep(linger)
	w.checkEmpty()
	w.shut()
}

// trouble makes things go wrong beside what befalls links and single requests.
func (w *world) trouble() {
	d := throw(w.seed, "trouble")
	var plan []func()
	for range w.profile.outages {
		lasts := d.time(10*time.Millisecond, 4*time.Second)
		plan = append(plan, func() {
			w.note("engine", "is out of reach for "+lasts.String())
			w.engine.outage(lasts)
		})
	}
	for range w.profile.losses {
		plan = append(plan, func() {
			w.note("engine", "loses what it holds")
			w.engine.forget()
		})
	}
	for range w.profile.restarts {
		down := d.time(time.Millisecond, time.Second)
		crash := d.chance(50)
		plan = append(plan, func() { w.restart(down, crash) })
	}
	for i := len(plan) - 1; i > 0; i-- {
		j := d.n(i + 1)
		plan[i], plan[j] = plan[j], plan[i]
	}
	plan = append(plan, func() {})
	for _, what := range plan {
		time.Sleep(d.time(w.profile.lasts/time.Duration(len(plan)+1), w.profile.lasts/time.Duration(len(plan))))
		what()
	}
}

// restart ends the node and starts another one.
func (w *world) restart(down time.Duration, crash bool) {
	if crash {
		w.note("node", "dies")
		w.crash()
	} else {
		w.note("node", "drains")
		w.shut()
	}
	w.note("node", "is down for "+down.String())
	time.Sleep(down)
	if err := w.open(); err != nil {
		w.fault("", "node", w.now(), "could not start again: %v", err)
	}
}

func (w *world) set(what func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what()
}

func (w *world) count(what func(*Counts)) { w.set(func() { what(&w.counts) }) }

func (w *world) isCalm() (is bool)   { w.set(func() { is = w.calmed }); return is }
func (w *world) isEnding() (is bool) { w.set(func() { is = w.ending }); return is }

func (w *world) awaitCalm() {
	for !w.isCalm() {
		time.Sleep(307 * time.Millisecond)
	}
}

func (w *world) awaitEnd() {
	for !w.isEnding() {
		time.Sleep(503 * time.Millisecond)
	}
}

// hash is a number for the whole story.
func (w *world) hash() uint64 {
	h := fnv.New64a()
	for _, e := range w.story {
		_, _ = io.WriteString(h, fmt.Sprintln(e.at, e.who, e.what))
	}
	return h.Sum64()
}

var padding = regexp.MustCompile("xx+")

// excerpt is the story around the first violation, as far as it is about the same client or channel.
func (w *world) excerpt() string {
	first := w.broken[0]
	var lines []event
	for _, e := range w.story {
		about := strings.Contains(e.what, first.about) || !strings.Contains(e.what, `"channel":`)
		if e.at <= first.at+time.Second && (e.who == first.who && about || e.who == "clerk" || e.who == "office" || e.who == "engine" || e.who == "node" || e.who == "world") {
			lines = append(lines, e)
		}
	}
	lines = append(lines, w.facts(first)...)
	sort.SliceStable(lines, func(i, j int) bool { return lines[i].at < lines[j].at })
	lines = lines[max(0, len(lines)-90):]
	var b strings.Builder
	for _, e := range lines {
		what := padding.ReplaceAllString(e.what, "x…")
		if len(what) > 250 {
			what = what[:250] + "…"
		}
		fmt.Fprintf(&b, "  %12v %-6s %s\n", e.at, e.who, what)
	}
	for i, v := range w.broken {
		if i == 8 {
			fmt.Fprintf(&b, "  and %d more\n", len(w.broken)-i)
			break
		}
		fmt.Fprintf(&b, "  %12v %-6s BROKEN: %s: %s\n", v.at, v.who, v.about, v.what)
	}
	return b.String()
}

// facts are the entries that a violation may be about: of its channel, or of its member.
func (w *world) facts(v violation) (lines []event) {
	c, member := w.truth.logs[v.about], false
	if c == nil {
		c, member = w.truth.logs[presence+crowd], true
	}
	if c == nil {
		return nil
	}
	for _, e := range c.epochs {
		for _, f := range e.entries {
			if f.at <= v.at && (!member || f.Key == v.about) {
				what := fmt.Sprintf("%s %d %s %s %.40s %v echo=%v", e.name, f.Offset, opName(f.Op), f.Key, f.Payload, f.Headers, !f.NoEcho)
				lines = append(lines, event{f.at, "log", what})
			}
		}
	}
	return lines
}
