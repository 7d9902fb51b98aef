package brokertest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"hocket.dev/broker"
)

func testNotRunning(t *testing.T, open func(*testing.T) broker.Broker) {
	b := open(t)
	c := channel()
	one := broker.Entry{Payload: []byte(`1`)}
	before := &node{tb: t, t: t, b: b, sink: newSink()}
	before.wantError(c, one, keep, broker.ErrClosed)
	before.wantClosedReads(c)
	b.Follow([]string{c}) // holds once it runs

	n := start(t, b)
	n.mustPublish(c, one, keep)
	n.delivered(c, 1)

	// Publishers go on while the broker ends: each gets an answer, and the sink hears nothing afterwards.
	var wg sync.WaitGroup
	begun := make(chan struct{}, 4)
	for range 4 {
		wg.Go(func() {
			begun <- struct{}{}
			for {
				if _, err := n.publish(c, one, keep); errors.Is(err, broker.ErrClosed) {
					return
				}
			}
		})
	}
	for range 4 {
		<-begun
	}
	n.stop()
	count := len(n.sink.of(c))
	wg.Wait()
	n.wantError(c, one, keep, broker.ErrClosed)
	n.wantClosedReads(c)
	b.Follow([]string{c})
	b.Unfollow([]string{c})
	if got := len(n.sink.of(c)); got != count {
		t.Errorf("%d entries delivered after Run had returned", got-count)
	}
}

func (n *node) wantClosedReads(c string) {
	n.Helper()
	if _, err := n.b.Read(context.Background(), c, broker.Query{}); !errors.Is(err, broker.ErrClosed) {
		n.Errorf("Read answers %v", err)
	}
	if _, err := n.b.Heads(context.Background(), []string{c}); !errors.Is(err, broker.ErrClosed) {
		n.Errorf("Heads answers %v", err)
	}
}

func testCanceled(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := n.b.Read(ctx, channel(), broker.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Read answers %v", err)
	}
	if _, err := n.b.Heads(ctx, []string{channel()}); !errors.Is(err, context.Canceled) {
		t.Errorf("Heads answers %v", err)
	}
}
