package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"hocket.dev"
)

// The heart of it: however often lines are cut, what was published stands in the log once, and comes once and in order.
func TestCutLinesLoseNothingAndDoubleNothing(t *testing.T) {
	_, url := serve(t, nil)
	line, through := startProxy(t, url)
	publisher, reader := dial(t, through, nil), dial(t, through, nil)
	sub := subscribe(t, reader, "work", nil)
	const goroutines, each, early = 4, 60, 10
	cut := make(chan struct{}) // closed by the first cut, before which not everything is published
	var publishing sync.WaitGroup
	for g := range goroutines {
		publishing.Go(func() {
			for i := range each {
				if i == early {
					<-cut
				}
				if _, err := publisher.Publish(t.Context(), "work", fmt.Sprintf("%d-%d", g, i), nil); err != nil {
					t.Errorf("publish %d-%d: %v", g, i, err)
				}
			}
		})
	}
	var came [goroutines]int
	var last Position
	for n := range goroutines * each {
		m := next(t, sub)
		var g, i int
		if _, err := fmt.Sscanf(string(m.Payload), `"%d-%d"`, &g, &i); m.Kind != Entry || err != nil {
			t.Fatalf("message %d: %v %s", n, m.Kind, m.Payload)
		}
		if came[g] != i || m.Position.Offset <= last.Offset {
			t.Fatalf("message %d: %s at %v, want %d-%d after %v", n, m.Payload, m.Position, g, came[g], last)
		}
		came[g]++
		last = m.Position
		if n%10 == 5 {
			line.cut()
		}
		if n == 5 {
			close(cut)
		}
	}
	publishing.Wait()
	publish(t, reader, "work", "end")
	wantPayload(t, sub, `"end"`) // and nothing in between
	if line.dialed() < 4 {
		t.Errorf("%d connections: the line was never cut", line.dialed())
	}
}

// A subscription that began live goes on from there, though no message had come before the line was cut.
func TestCutBeforeTheFirstMessage(t *testing.T) {
	srv, url := serve(t, nil)
	c, line, lose := dialCuttable(t, url, Options{})
	if _, err := srv.Publish(t.Context(), "a", "before"); err != nil {
		t.Fatal(err)
	}
	s := subscribe(t, c, "a", nil)
	lose()
	if _, err := srv.Publish(t.Context(), "a", "away"); err != nil {
		t.Fatal(err)
	}
	line.aim(url)
	wantPayload(t, s, `"away"`)
}

// A start in the past is asked for again where nothing had come when the line was cut: the newest one is then another one, and
// that something lies before it is told.
func TestCutBeforeTheFirstOfTheNewest(t *testing.T) {
	srv, url := serve(t, nil)
	c, line, lose := dialCuttable(t, url, Options{})
	s := subscribe(t, c, "a", &SubscribeOptions{From: Last(1)})
	lose()
	for _, text := range []string{"missed", "newest"} {
		if _, err := srv.Publish(t.Context(), "a", text); err != nil {
			t.Fatal(err)
		}
	}
	line.aim(url)
	if m := next(t, s); m.Kind != Reset || m.Position.Offset == 0 {
		t.Fatalf("%v %+v", m.Kind, m)
	}
	wantPayload(t, s, `"newest"`)
}

func TestRestartOfTheServerIsTold(t *testing.T) {
	_, url := serve(t, nil)
	line, through := startProxy(t, url)
	c := dial(t, through, nil)
	s := subscribe(t, c, "a", nil)
	before := publish(t, c, "a", "old")
	wantPayload(t, s, `"old"`)

	srv, url := serve(t, nil)
	if _, err := srv.Publish(t.Context(), "a", "kept"); err != nil {
		t.Fatal(err)
	}
	line.aim(url)
	line.cut()
	if m := next(t, s); m.Kind != Reset || m.Position.Epoch == before.Epoch || m.Position.Epoch == "" {
		t.Fatalf("%v %+v", m.Kind, m)
	}
	wantPayload(t, s, `"kept"`)
	publish(t, c, "a", "new")
	wantPayload(t, s, `"new"`)
}

// A reader that does not read holds up nothing, and gets everything later.
func TestSlowReaderMissesNothing(t *testing.T) {
	srv, url := serve(t, nil)
	c := dial(t, url, nil)
	slow := subscribe(t, c, "slow", &SubscribeOptions{Buffer: 10})
	fast := subscribe(t, c, "fast", nil)
	for i := range 100 {
		if _, err := srv.Publish(t.Context(), "slow", i); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, c, "fast", 1)
	wantPayload(t, fast, "1")
	c.mu.Lock()
	if n := len(slow.buffer); n > 10 {
		t.Errorf("%d messages are kept for a reader that asked for 10", n)
	}
	c.mu.Unlock()
	for i := range 100 {
		wantPayload(t, slow, strconv.Itoa(i))
	}
	publish(t, c, "slow", "live")
	wantPayload(t, slow, `"live"`)
}

func TestCallOnALostLineIsNotRepeated(t *testing.T) {
	srv, url := serve(t, nil)
	line, through := startProxy(t, url)
	began := make(chan struct{}, 10)
	srv.Handle("wait", func(ctx context.Context, _ hocket.Call) (any, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	c := dial(t, through, nil)
	answered := make(chan error, 1)
	go func() { answered <- c.Call(t.Context(), "wait", nil, nil) }()
	<-began
	line.cut()
	if err := <-answered; !errors.Is(err, ErrConnectionLost) {
		t.Errorf("%v", err)
	}
	publish(t, c, "a", 1)
	if len(began) != 0 {
		t.Error("the method was called again")
	}
}
