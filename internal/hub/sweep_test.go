package hub

import "testing"

// What somebody asks the next sweep to look at while one is under way is not forgotten by its end.
func TestASweepForgetsNothingSaidMeanwhile(t *testing.T) {
	w := newWorld(t)
	clients := make([]*client, sweepStep+10)
	for i := range clients {
		clients[i] = w.subscribe("a")
		w.loops[0].run()
	}
	g := clients[0].group
	g.sweep()
	if g.at != 0 || g.watch.Load() {
		t.Fatal("there is something to look at")
	}
	g.watch.Store(true) // as who begins to read a page of the broker does
	w.loops[0].run()
	if !g.watch.Load() {
		t.Error("the next sweep looks at nobody")
	}
}
